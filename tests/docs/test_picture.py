"""The pictures in README and docs are those `orc graph` and `orc timeline` draw today."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from orchestrator.cli import chart
from orchestrator.history import timeline
from orchestrator.history.timeline import Bar, Span, Timeline
from orchestrator.pipeline import load, picture

ROOT = Path(__file__).resolve().parents[2]
NINE = 1_795_251_600.0  # 2026-11-21, nine in the morning.


@pytest.fixture
def greenwich(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def test_the_picture_of_the_penguins_is_current(golden: Callable[[Path, str], None]) -> None:
    compiled = load.pipeline(ROOT / "pipelines" / "penguins" / "pipeline.yaml")
    golden(ROOT / "docs" / "penguins.svg", picture.svg(picture.of(compiled.definition)))


@pytest.mark.usefixtures("greenwich")
def test_the_picture_of_a_run_is_current(golden: Callable[[Path, str], None]) -> None:
    golden(ROOT / "docs" / "timeline.svg", chart.svg(_run()))


def _run() -> Timeline:
    """A search for the best of four models, one of which is tried again."""
    bars = (
        _bar("ingest", (0.2, 0.2), status="SKIPPED", waited=True),
        _bar("transform", (0.3, 4.1), waited=True),
        _bar("train[0]", (4.2, 13.8)),
        _bar("train[1]", (4.2, 9.5), (10.5, 21.7), waited=True),
        _bar("train[2]", (4.2, 15.2)),
        _bar("train[3]", (4.3, 11.0)),
        _bar("evaluate", (21.8, 26.4), waited=True),
        _bar("publish", (26.5, 28.0), waited=True),
    )
    spans = [span for bar in bars for span in bar.spans]
    first, last = NINE, NINE + 28.2
    scale = timeline.scale(spans, first, last)
    return Timeline("search-4c1f90", "search", "SUCCEEDED", first, last, bars, scale, timeline.most(spans))


def _bar(name: str, *times: tuple[float, float], status: str = "SUCCEEDED", waited: bool = False) -> Bar:
    """The last of its attempts has the status; those before it failed."""
    ends = [*["FAILED"] * (len(times) - 1), status]
    spans = tuple(Span(NINE + begin, NINE + end, each) for (begin, end), each in zip(times, ends, strict=True))
    return Bar(name, status, spans, waited)
