"""Models come into memory when they are declared, leave when idle or when others need the room, and come on call."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

from orchestrator.errors import OrchestratorError
from orchestrator.serving import hosted, residence
from orchestrator.serving.codec import RequestError
from orchestrator.serving.declarations import Declaration
from orchestrator.serving.exchange import Observer
from orchestrator.serving.hosted import Hosted, Load, Status
from orchestrator.serving.metrics import Metrics
from orchestrator.serving.residence import Resident, Room

# A model that could not be loaded on call is not tried again by every request of a crowd.
PATIENCE_SECONDS = 5.0
_LOADS_AT_ONCE = 2

Attach = Callable[[Declaration, Status], tuple[Observer, ...]]

_log = logging.getLogger(__name__)


class Residents:
    """Loads and unloads the models of endpoints. Requests under way keep the model they have."""

    def __init__(self, load: Load, metrics: Metrics, room: Room) -> None:
        self._load = load
        self._metrics = metrics
        self._room = room
        self._here: dict[str, Status] = {}  # Whose models are in memory, or on their way.
        # Held for moments, by the event loop too: while somebody decides who leaves, or changes what is served.
        self._deciding = threading.Lock()
        self._loads = ThreadPoolExecutor(_LOADS_AT_ONCE, thread_name_prefix="load")

    def load(
        self,
        declaration: Declaration,
        status: Status,
        outcome: str = "loaded",
        *,
        anew: bool = False,
        attach: Attach | None = None,
    ) -> Hosted:
        """Serve this declaration from now on; models that are loaded already are kept unless it is to be `anew`.

        Whoever calls holds `status.changing`. `attach` gives those who watch, before there is anything to see.
        Raises whatever loading and attaching raise; then everything is as it was.
        """
        before, size = status.size, residence.size(declaration)
        self._make_room(status, size)
        try:
            loaded = hosted.load(declaration, status.name, self._load, None if anew else status.hosted)
            observers = attach(declaration, status) if attach is not None else status.observers
        except BaseException:
            with self._deciding:
                status.size = before
                if not before:
                    self._here.pop(status.name, None)
            raise
        with self._deciding:
            status.hosted, status.observers = loaded, observers
        status.used = time.monotonic()
        # Who was on the way in meanwhile could not leave.
        self._make_room(status, size)
        self._metrics.loaded(status.name, ready=True, outcome=outcome)
        self._metrics.loaded_bytes(status.name, size)
        return loaded

    def _make_room(self, status: Status, size: int) -> None:
        with self._deciding:
            others = [other for other in self._here.values() if other is not status]
            residents = [Resident(other.name, other.size, other.used) for other in others]
            leaving = residence.leaving(residents, size, self._room)
            # Its place is taken before it is loaded, so that two that are loaded at once see each other.
            self._here[status.name], status.size = status, size
        for other in others:
            if other.name in leaving:
                self.rest(other, "others need its memory")

    def forget(self, status: Status) -> None:
        """The endpoint is served no longer."""
        with self._deciding:
            self._here.pop(status.name, None)

    def rest(self, status: Status, why: str) -> None:
        """Let go of an endpoint's models until it is asked again."""
        with self._deciding:
            known = status.hosted
            if known is None or known.asleep:
                return
            # The last call for it has its models, too.
            status.hosted, status.size, status.waking = hosted.rest(known), 0, None
            self._here.pop(status.name, None)
        self._metrics.loaded_bytes(status.name, 0)
        _log.info("%s: unloaded, %s", status.name, why)
        del known
        residence.give_back()

    def rest_idle(self, now: float) -> None:
        """Let go of the models of serverless endpoints that nobody asked for as long as their files say."""
        for status in list(self._here.values()):
            if status.hosted is None or status.hosted.asleep or status.in_flight:
                continue
            spec = status.hosted.declaration.spec
            if spec.mode == "serverless" and not spec.scaling.min and now - status.used > spec.scaling.idle_seconds:
                self.rest(status, f"nobody asked for {spec.scaling.idle}")

    def wake(self, status: Status) -> Future[Hosted]:
        """The endpoint with its models, in a while: they are loaded once for all who ask meanwhile.

        The future raises RequestError when they cannot be loaded.
        """
        with self._deciding:
            if status.waking is None or status.waking.done():
                status.waking = self._loads.submit(self._woken, status)
            return status.waking

    def _woken(self, status: Status) -> Hosted:
        with status.changing:
            known = status.hosted
            if known is not None and not known.asleep:
                return known
            if known is None or status.unloaded:
                raise RequestError(f"model {status.name!r} is not loaded", status=503)
            if time.monotonic() < status.stuck_until:
                raise RequestError(status.stuck, status=503)
            try:
                loaded = self.load(known.declaration, status, "woken")
            except Exception as error:  # A model's files may raise anything; the others go on.
                said = error.message if isinstance(error, OrchestratorError) else f"{type(error).__name__}: {error}"
                status.stuck = f"model {status.name!r} could not be loaded: {said}"
                status.stuck_until = time.monotonic() + PATIENCE_SECONDS
                self._metrics.loaded(status.name, ready=False, outcome="failed")
                _log.error("%s: not loaded on call: %s", status.name, said)
                raise RequestError(status.stuck, status=503) from error
        _log.info("%s: loaded on call", status.name)
        return loaded
