"""`orc run --on kfp` and `orc resume` of such a run: followed like any other, and left alone when one stops looking."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from orchestrator.cli import extras, options, running, watch, wording
from orchestrator.cli.state import RunState
from orchestrator.runners.events import Event, RunStarted
from orchestrator.runs import prepared, submitted
from orchestrator.settings import Settings
from orchestrator.stores.records import KFP

INTERRUPTED = 130
_BETWEEN = 5.0
_LARGE = 8_000_000
"""Bytes from which on it is told how far an upload is."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What was asked for on the command line."""

    cache: bool
    experiment: str
    unpinned: bool
    anyway: bool
    detach: bool


@dataclass(slots=True)
class Told:
    """What is said on the side, on standard error: it is no part of what a view prints."""

    run: str = ""
    page: str = ""
    _last: dict[str, float] = field(default_factory=dict)

    def __call__(self, said: prepared.Sending | submitted.Submitted) -> None:
        if isinstance(said, submitted.Submitted):
            self.run, self.page = said.run, said.page
            _say(f"on Kubeflow Pipelines: {said.page}")
        elif said.size >= _LARGE:
            self._sending(said)

    def _sending(self, said: prepared.Sending) -> None:
        now, is_over = time.monotonic(), said.sent >= said.size
        if is_over or now - self._last.get(said.uri, 0.0) >= _BETWEEN:
            self._last[said.uri] = float("inf") if is_over else now
            _say(f"uploading {said.path.name}: {wording.size(said.sent)} of {wording.size(said.size)}")


def run(file: Path, given: Mapping[str, str], wanted: Wanted, format: running.View | None) -> int:
    """Start a run and watch it, or leave it at once; the exit code."""
    settings = options.read()
    told = Told()
    how = submitted.Options(
        cache=wanted.cache, experiment=wanted.experiment, unpinned=wanted.unpinned, anyway=wanted.anyway
    )
    with extras.needed("kubernetes"):
        events = submitted.start(file, given, settings, how, told)
        if wanted.detach:
            return _leave(events, told)
        return _watched(events, told, settings, RunState(file=str(file), on=KFP), format)


def resume(name: str, settings: Settings, before: RunState, format: running.View | None) -> int:
    """Watch a run again, or have it go on where it failed; the exit code."""
    told = Told(run=name)
    with extras.needed("kubernetes"):
        return _watched(submitted.resume(name, settings, told), told, settings, before, format)


def _watched(
    events: Iterator[Event], told: Told, settings: Settings, state: RunState, format: running.View | None
) -> int:
    try:
        return watch.watch(events, watch.VIEWS[running.view(format)](), settings, state)
    except KeyboardInterrupt:
        if not told.run:
            raise
        _say(f"\nthe run {told.run} goes on there, and is not watched any more")
        _ways(told.run)
        return INTERRUPTED


def _leave(events: Iterator[Event], told: Told) -> int:
    """Start a run and go: whatever stops it from being started has been told by then."""
    with contextlib.closing(events) as listened:  # type: ignore[type-var]
        for event in listened:
            if isinstance(event, RunStarted):
                print(told.run)
                break
    _ways(told.run)
    return 0


def _ways(name: str) -> None:
    _say(f"  watch it   orc resume {name}\n  how it is  orc show {name}\n  cancel it  orc cancel {name}")


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
