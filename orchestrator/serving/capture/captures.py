"""Capture for all endpoints of a server: who asked for it, which exchanges are taken, and how it is going."""

from __future__ import annotations

import random
import threading
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from orchestrator.serving.capture import files, line
from orchestrator.serving.capture.writer import Item, Reason, Writer
from orchestrator.serving.declarations import Declaration
from orchestrator.serving.exchange import Exchange, Observer
from orchestrator.serving.metrics import Metrics
from orchestrator.serving.traffic import Capture
from orchestrator.stores import objects

CLOSE_SECONDS = 5.0
# A line of so many bytes costs the event loop a few microseconds, less than a thread that wants the interpreter does.
_SMALL = 32 * 1024


@dataclass(frozen=True, slots=True)
class Standing:
    """How the capture of an endpoint is going, in this process."""

    to: str
    sample: float
    captured: int
    dropped: Mapping[str, int]
    stopped: str
    """Why nothing is written at the moment; "" while it is."""


class Captures:
    """Watches the endpoints whose declaration asks for capture."""

    def __init__(self, state: Path, metrics: Metrics) -> None:
        self._state = state
        self._metrics = metrics
        self._open: dict[str, _Endpoint] = {}

    def attach(self, declaration: Declaration) -> Observer | None:
        wanted = declaration.spec.capture
        current = self._open.get(declaration.name)
        # Weights change while a server runs: what is captured goes on.
        if current is not None and current.wanted != wanted:
            self.detach(declaration.name)
            current = None
        if wanted is None:
            return None
        if current is None:
            current = self._open[declaration.name] = _Endpoint(declaration.name, wanted, self._state, self._metrics)
        return current.observe

    def detach(self, name: str) -> None:
        if (current := self._open.pop(name, None)) is not None:
            current.writer.close(CLOSE_SECONDS)

    def standing(self, name: str) -> Standing | None:
        """How the capture of an endpoint is going; None when it is not asked for."""
        current = self._open.get(name)
        return current.standing() if current is not None else None

    def flush(self) -> None:
        """Write what is queued, and take nothing more."""
        for current in list(self._open.values()):
            current.writer.close(CLOSE_SECONDS)

    def close(self) -> None:
        """The server ends."""
        for name in list(self._open):
            self.detach(name)


class _Endpoint:
    """The capture of one endpoint."""

    def __init__(self, name: str, wanted: Capture, state: Path, metrics: Metrics) -> None:
        self.wanted = wanted
        self._name = name
        self._metrics = metrics
        self._share = wanted.sample / 100
        self._captured = 0
        self._dropped: Counter[str] = Counter()
        self._counting = threading.Lock()
        place = files.at(wanted.to, name, wanted.disk_bytes, state)
        self.writer = Writer(name, place, self._count_captured, self._count_dropped)

    def observe(self, exchange: Exchange) -> None:
        """Queue the exchange, if the dice say so."""
        if self._share < 1 and random.random() >= self._share:  # noqa: S311  A sample, not a secret.
            return
        if self.writer.is_refusing:
            self.writer.refuse()
            return
        size = len(exchange.request) + len(exchange.response)
        wanted = self.wanted
        made = line.of(exchange, wanted) if size <= _SMALL else lambda: line.of(exchange, wanted)
        self.writer.offer(Item(files.of(exchange), made, size))

    def standing(self) -> Standing:
        dropped = dict(self._dropped)
        return Standing(objects.shown(self.wanted.to), self.wanted.sample, self._captured, dropped, self.writer.stopped)

    def _count_captured(self, count: int) -> None:
        self._captured += count  # Only the writer's thread does.
        self._metrics.captured(self._name, count)

    def _count_dropped(self, reason: Reason, count: int) -> None:
        with self._counting:
            self._dropped[reason] += count
        self._metrics.capture_dropped(self._name, reason, count)
