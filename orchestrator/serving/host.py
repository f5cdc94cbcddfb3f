"""All endpoints of one server, in step with the declarations in its folder; one that fails takes no other down."""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from pathlib import Path

from orchestrator.errors import OrchestratorError
from orchestrator.serving import declarations, wishes
from orchestrator.serving.declarations import Declaration
from orchestrator.serving.exchange import Observer, Watcher
from orchestrator.serving.hosted import Hosted, Load, Status
from orchestrator.serving.marks import Mark
from orchestrator.serving.metrics import Metrics, Shown
from orchestrator.serving.residence import Room
from orchestrator.serving.residents import Residents
from orchestrator.serving.rollout import undo
from orchestrator.serving.wishes import Wanted

_log = logging.getLogger(__name__)


class Host:
    """The endpoints by name. `refresh` may block for seconds and runs in a thread; reading is safe at any time."""

    def __init__(
        self, state: Path, load: Load, metrics: Metrics, watchers: Sequence[Watcher] = (), room: Room | None = None
    ) -> None:
        self.state = state
        self.watchers = watchers
        self.metrics = metrics
        self.is_complete = False  # Whether every declaration has been looked at once.
        self.was_used = False  # Whether anything was ever declared.
        self._residents = Residents(load, metrics, room or Room())
        self._refreshing = threading.Lock()
        self._marks: Mapping[str, Mark] = {}
        self._wishes: Mapping[str, Mark] = {}
        self._endpoints: dict[str, Status] = {}

    @property
    def endpoints(self) -> Mapping[str, Status]:
        return self._endpoints

    def refresh(self) -> None:
        """Load what is new or was changed, let go of what is no longer declared, or of what nobody asks."""
        with self._refreshing:
            self._look()
            self._grant_wishes()
            self._residents.rest_idle(time.monotonic())
            self.is_complete = True
            self.was_used = self.was_used or bool(self._marks)
        for name in undo.mend(self.state):
            _log.warning("%s: its deployment was killed; what was served before is put back", name)

    def wish(self, status: Status, wanted: Wanted) -> None:
        """Load or unload an endpoint's models, here and in every other process of the server. It may block."""
        with self._refreshing:
            # What was declared a moment ago comes first: it would undo what is asked now.
            self._look()
            wishes.write(self.state, status.name, wanted, status.attempted)
            self._grant_wishes()

    def _look(self) -> None:
        marks = declarations.marks(self.state)
        if marks == self._marks and self.is_complete:
            return
        for name in self._endpoints.keys() - marks.keys():
            self._forget(name)
        for name, mark in marks.items():
            if self._marks.get(name) != mark:
                self._renew(name)
        self._marks = marks

    def wake(self, status: Status) -> Future[Hosted]:
        """The endpoint with its models, which were unloaded, in a while. The future may raise RequestError."""
        return self._residents.wake(status)

    def _renew(self, name: str) -> None:
        status = self._endpoints.get(name, Status(name))
        attempted = ""
        with status.changing:
            try:
                declaration = declarations.read(self.state, name)
                if declaration is None:  # Removed since it was listed; the next look will find it gone.
                    return
                attempted = declarations.fingerprint(declaration)
                loaded = self._residents.load(declaration, status, attach=self._attached)
            except OrchestratorError as error:
                self._keep(status, error.message, attempted)
            except Exception as error:  # noqa: BLE001  A model's files may raise anything; the others go on.
                _log.exception("%s: loading failed", name)
                self._keep(status, f"{type(error).__name__}: {error}", attempted)
            else:
                # In this order: who reads `attempted` in another thread may rely on the rest.
                status.unloaded, status.reason, status.attempted = False, "", attempted
                self._endpoints = {**self._endpoints, name: status}
                self.metrics.serving(name, (_shown(variant.declared) for variant in loaded.variants))
                _log.info("%s: serving %s", name, ", ".join(variant.label for variant in loaded.variants))

    def _attached(self, declaration: Declaration, status: Status) -> tuple[Observer, ...]:
        """Those who watch the exchanges under this declaration. Raises what keeps one from that."""
        try:
            attached = [watcher.attach(declaration) for watcher in self.watchers]
        except Exception:
            self._watch_as_before(status)
            raise
        return tuple(observer for observer in attached if observer is not None)

    def _watch_as_before(self, status: Status) -> None:
        """What was served goes on, and so does what watches it."""
        if status.hosted is None:
            for watcher in self.watchers:
                watcher.detach(status.name)
            return
        found: list[Observer | None] = []
        for watcher in self.watchers:
            with contextlib.suppress(Exception):  # It was said already what is wrong with that one.
                found.append(watcher.attach(status.hosted.declaration))
        status.observers = tuple(observer for observer in found if observer is not None)

    def _grant_wishes(self) -> None:
        """Load and unload what was asked over HTTP, here or in another worker process."""
        asked = wishes.marks(self.state)
        for name, mark in asked.items():
            status = self._endpoints.get(name)
            wish = wishes.read(self.state, name) if self._wishes.get(name) != mark else None
            if status is None or wish is None:
                continue
            if wish.wanted == "unloaded":
                # It is about what was declared then; what is new is served.
                if wish.declaration != status.attempted:
                    continue
                status.unloaded = True
                self._residents.rest(status, "as it was asked to be")
                self.metrics.loaded(name, ready=False, outcome="unloaded")
            elif self.is_complete:  # Else it was loaded a moment ago.
                self._load_anew(status)
        self._wishes = asked

    def _load_anew(self, status: Status) -> None:
        if status.hosted is None:
            self._renew(status.name)
            return
        with status.changing:
            try:
                self._residents.load(status.hosted.declaration, status, "reloaded", anew=True)
            except Exception as error:  # noqa: BLE001  As above: what is loaded goes on.
                said = error.message if isinstance(error, OrchestratorError) else f"{type(error).__name__}: {error}"
                self._keep(status, said, status.attempted)
            else:
                status.unloaded, status.reason = False, ""
                _log.info("%s: loaded anew", status.name)

    def _keep(self, status: Status, reason: str, attempted: str) -> None:
        """A declaration could not be loaded: what was served before goes on, and the reason is shown."""
        status.reason, status.attempted = reason, attempted
        self._endpoints = {**self._endpoints, status.name: status}
        self.metrics.loaded(status.name, ready=status.hosted is not None, outcome="failed")
        still = f"; {status.hosted.main.label} goes on" if status.hosted else ""
        _log.error("%s: not loaded: %s%s", status.name, reason, still)

    def _forget(self, name: str) -> None:
        self._residents.forget(self._endpoints[name])
        self._endpoints = {other: status for other, status in self._endpoints.items() if other != name}
        for watcher in self.watchers:
            watcher.detach(name)
        wishes.forget(self.state, name)
        self.metrics.removed(name)
        _log.info("%s: no longer served", name)


def _shown(variant: declarations.Variant) -> Shown:
    return Shown(variant.name, variant.model, variant.version, variant.format, variant.weight)
