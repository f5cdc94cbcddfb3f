"""The threads that tell others what became of requests, again and again until they take it."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path

from orchestrator.errors import BackendError
from orchestrator.serving.background import Notify
from orchestrator.serving.declarations import Declaration
from orchestrator.serving.queue import notice
from orchestrator.serving.queue.crew import Crew, Errand
from orchestrator.serving.queue.store import NOTICE_TRIES, Notice, Store

_log = logging.getLogger(__name__)

# One listener that hangs does not keep the others from being told.
_AT_ONCE = 4
_AGAIN_SECONDS = 1.0
_MOST_SECONDS = 300.0


class Teller:
    """Sends what the store says is due."""

    def __init__(self, store: Store, state: Path, declared: Callable[[], Mapping[str, Declaration]]) -> None:
        self._store = store
        self._state = state
        self._declared = declared
        self._crew = Crew("notice", _AT_ONCE)

    def tell(self) -> None:
        """Begin to send what is due; it returns at once."""
        self._crew.begin(self._due)

    def close(self) -> None:
        """Send no more; what was not sent is sent by the next server."""
        self._crew.close()

    def _due(self) -> Iterator[Errand]:
        # Only the endpoint file says who is to be told: what an endpoint has to tell waits until it is there (again).
        wanted = {
            name: each.spec.asynchronous.notify
            for name, each in self._declared().items()
            if each.spec.asynchronous is not None
        }
        for due in self._store.notices(time.time(), wanted):
            yield due.item.id, partial(self._send, due, wanted[due.item.endpoint])

    def _send(self, due: Notice, wanted: Notify) -> None:
        self._store.noticed(due.item.id, self._sent(due, wanted))

    def _sent(self, due: Notice, wanted: Notify) -> float | None:
        """When to send it again; None when that is over."""
        item = due.item
        url = notice.address(wanted, item.status)
        if not url:
            return None
        try:
            notice.send(url, item, self._state / wanted.secret if wanted.secret else None)
        except Exception as error:  # noqa: BLE001  Whatever it is, it is a try: nobody is called again at once, for ever.
            # Of what we did not foresee only the kind: its words may hold the address, and that a secret.
            reason = error.message if isinstance(error, BackendError) else type(error).__name__
            if due.tries + 1 >= NOTICE_TRIES:
                _log.error("%s: request %s is not told of: %s", item.endpoint, item.id, reason)
                return None
            _log.warning("%s: request %s is told of later: %s", item.endpoint, item.id, reason)
            return time.time() + min(_MOST_SECONDS, _AGAIN_SECONDS * float(2**due.tries))
        return None
