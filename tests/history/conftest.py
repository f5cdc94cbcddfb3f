"""Runs to look back at: the project of the runner's tests."""

from __future__ import annotations

from tests.runners.conftest import project, python

__all__ = ["project", "python"]
