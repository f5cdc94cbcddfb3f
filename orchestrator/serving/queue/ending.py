"""What becomes of a request in the end: tried again, or settled, with its reason where a client looks for it."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from orchestrator.errors import BackendError
from orchestrator.serving.declarations import Declaration
from orchestrator.serving.metrics import Metrics
from orchestrator.serving.queue import errand, notice, spool
from orchestrator.serving.queue.item import Item, Outcome
from orchestrator.serving.queue.store import Store

_log = logging.getLogger(__name__)

Declared = Callable[[], Mapping[str, Declaration]]


@dataclass(frozen=True, slots=True)
class Ending:
    """Settles requests."""

    folder: Path
    store: Store
    metrics: Metrics
    declared: Declared

    def begun(self, item: Item, outcome: Outcome, seconds: float, *, closing: bool, unwanted: bool) -> None:
        """A request was answered, or came to nothing. Raises BackendError when that cannot be written down."""
        outcome = _writable(outcome)
        self._count(item, outcome, seconds)
        failed = outcome.status == "Failed"
        if failed and closing:
            self.store.put_back(item.id, 0.0, counted=False)
        elif failed and unwanted:
            self.final(item, Outcome("Cancelled"))
        elif failed and errand.tries_again(item, outcome):
            _log.warning("%s: request %s is tried again: %s", item.endpoint, item.id, outcome.reason)
            self.store.put_back(item.id, time.time() + errand.pause(item), reason=outcome.reason)
        else:
            self.final(item, outcome)

    def expired(self, item: Item) -> None:
        """A request waited too long."""
        waited = round(item.expires - item.received, 3)
        done = f"not answered within {waited:g} s of its arrival, although begun {item.tries} times: {item.reason}"
        reason = done if item.reason else f"not begun within {waited:g} s of its arrival"
        self.final(item, Outcome("Failed", f"it was {reason}", code=504))

    def lost(self, item: Item) -> None:
        """A server ended too often while it answered a request."""
        self.final(item, Outcome("Failed", f"the server ended {item.tries} times while it answered this", code=500))

    def final(self, item: Item, outcome: Outcome) -> None:
        """Write down how a request ended, and that somebody is to be told if the endpoint file says so."""
        outcome = _writable(outcome)
        if outcome.status == "Failed":
            _log.warning("%s: request %s failed: %s", item.endpoint, item.id, outcome.reason)
            try:
                errand.write_failure(item, outcome)
            except BackendError as error:
                _log.error("%s: request %s: the reason has no place: %s", item.endpoint, item.id, error.message)
            except Exception:  # noqa: BLE001  Whatever that place does, the request has ended.
                _log.exception("%s: request %s: the reason has no place", item.endpoint, item.id)
            outcome = replace(outcome, content_type="application/json")
        declaration = self.declared().get(item.endpoint)
        wanted = declaration.spec.asynchronous if declaration is not None else None
        # While nobody says who is to be told, somebody is: endpoints come one after the other when a server starts.
        tell = wanted is None or bool(notice.address(wanted.notify, outcome.status))
        self.store.finish(item.id, outcome, time.time(), tell=tell)
        spool.forget(self.folder, item)

    def count_captures(self, name: str, counts: Mapping[str, int]) -> None:
        """Count what a process captured, and what it dropped for which reason."""
        for reason, count in counts.items():
            if reason:
                self.metrics.capture_dropped(name, reason, count)
            else:
                self.metrics.captured(name, count)

    def _count(self, item: Item, outcome: Outcome, seconds: float) -> None:
        took = seconds if outcome.variant else None
        self.metrics.request(item.endpoint, outcome.variant, outcome.version, "async", outcome.code, seconds=took)


def _writable(outcome: Outcome) -> Outcome:
    """The same in words that any file takes: a model, or a text in a request, may have half a character in them."""
    reason, content_type = (
        text.encode(errors="backslashreplace").decode() for text in (outcome.reason, outcome.content_type)
    )
    return replace(outcome, reason=reason, content_type=content_type)
