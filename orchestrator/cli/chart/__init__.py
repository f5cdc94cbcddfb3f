"""The timeline of a run as a picture: in a terminal, as SVG, or as an HTML page."""

from __future__ import annotations

from orchestrator.cli.chart.strip import text
from orchestrator.cli.chart.vector import html, svg

__all__ = ["html", "svg", "text"]
