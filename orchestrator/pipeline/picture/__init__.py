"""A pipeline as a picture: in a terminal, as SVG, or as an HTML page."""

from __future__ import annotations

from orchestrator.pipeline.picture import specification
from orchestrator.pipeline.picture.boxes import of
from orchestrator.pipeline.picture.lanes import text
from orchestrator.pipeline.picture.vector import html, svg

__all__ = ["html", "of", "specification", "svg", "text"]
