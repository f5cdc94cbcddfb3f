"""All endpoints of one server, in step with the declarations in its folder; one that fails takes no other down."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path

from orchestrator.errors import OrchestratorError
from orchestrator.serving import declarations, hosted
from orchestrator.serving.exchange import Watcher
from orchestrator.serving.hosted import Load, Status
from orchestrator.serving.metrics import Metrics, Shown
from orchestrator.serving.rollout import undo

_log = logging.getLogger(__name__)


class Host:
    """The endpoints by name. `refresh` may block for seconds and runs in a thread; reading is safe at any time."""

    def __init__(self, state: Path, load: Load, metrics: Metrics, watchers: Sequence[Watcher] = ()) -> None:
        self.state = state
        self.watchers = watchers
        self.metrics = metrics
        self.is_complete = False  # Whether every declaration has been looked at once.
        self.was_used = False  # Whether anything was ever declared.
        self._load = load
        self._marks: Mapping[str, tuple[int, int, int]] = {}
        self._endpoints: dict[str, Status] = {}

    @property
    def endpoints(self) -> Mapping[str, Status]:
        return self._endpoints

    @property
    def is_ready(self) -> bool:
        return self.is_complete and all(
            status.hosted is not None and not status.reason for status in self._endpoints.values()
        )

    def refresh(self) -> None:
        """Load what is new or was changed, let go of what is no longer declared."""
        marks = declarations.marks(self.state)
        if marks != self._marks or not self.is_complete:
            for name in self._endpoints.keys() - marks.keys():
                self._forget(name)
            for name, mark in marks.items():
                if self._marks.get(name) != mark:
                    self._renew(name)
            self._marks = marks
        self.is_complete = True
        self.was_used = self.was_used or bool(marks)
        for name in undo.mend(self.state):
            _log.warning("%s: its deployment was killed; what was served before is put back", name)

    def _renew(self, name: str) -> None:
        status = self._endpoints.get(name, Status(name))
        attempted = ""
        try:
            declaration = declarations.read(self.state, name)
            if declaration is None:  # Removed since it was listed; the next look will find it gone.
                return
            attempted = declarations.fingerprint(declaration)
            loaded = hosted.load(declaration, name, self._load, status.hosted)
        except OrchestratorError as error:
            self._keep(status, error.message, attempted)
        except Exception as error:  # noqa: BLE001  A model's files may raise anything; the others go on.
            _log.exception("%s: loading failed", name)
            self._keep(status, f"{type(error).__name__}: {error}", attempted)
        else:
            attached = (watcher.attach(declaration) for watcher in self.watchers)
            status.observers = tuple(observer for observer in attached if observer is not None)
            # In this order: who reads `attempted` in another thread may rely on the rest.
            status.hosted, status.reason, status.attempted = loaded, "", attempted
            self._endpoints = {**self._endpoints, name: status}
            self.metrics.loaded(name, ready=True, outcome="loaded")
            self.metrics.serving(name, (_shown(variant.declared) for variant in loaded.variants))
            _log.info("%s: serving %s", name, ", ".join(variant.label for variant in loaded.variants))

    def _keep(self, status: Status, reason: str, attempted: str) -> None:
        """A declaration could not be loaded: what was served before goes on, and the reason is shown."""
        status.reason, status.attempted = reason, attempted
        self._endpoints = {**self._endpoints, status.name: status}
        self.metrics.loaded(status.name, ready=status.hosted is not None, outcome="failed")
        still = f"; {status.hosted.main.label} goes on" if status.hosted else ""
        _log.error("%s: not loaded: %s%s", status.name, reason, still)

    def _forget(self, name: str) -> None:
        self._endpoints = {other: status for other, status in self._endpoints.items() if other != name}
        for watcher in self.watchers:
            watcher.detach(name)
        self.metrics.removed(name)
        _log.info("%s: no longer served", name)


def _shown(variant: declarations.Variant) -> Shown:
    return Shown(variant.name, variant.model, variant.version, variant.format, variant.weight)
