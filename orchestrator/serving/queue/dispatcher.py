"""Hands queued requests to processes: as many at once as the endpoint file says, over all processes of a server."""

from __future__ import annotations

import fcntl
import logging
import secrets
import shutil
import threading
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import IO

from orchestrator.errors import BackendError
from orchestrator.serving import declarations
from orchestrator.serving.background import Asynchronous
from orchestrator.serving.declarations import Declaration
from orchestrator.serving.queue import errand, spool
from orchestrator.serving.queue.crew import Crew, Errand
from orchestrator.serving.queue.ending import Ending
from orchestrator.serving.queue.hand import Hand
from orchestrator.serving.queue.item import Item, Outcome
from orchestrator.serving.queue.teller import Teller

_log = logging.getLogger(__name__)

TICK_SECONDS = 0.25
# A process that had nothing to do for so long ends: without requests an endpoint takes no memory for answering them.
IDLE_SECONDS = 60.0
_AGAIN_SECONDS = 5.0
_PRUNE_SECONDS = 3600.0
_CLOSE_SECONDS = 10.0
# Places for reasons that hang at once, before others have to wait for theirs.
_SETTLING = 4


class Dispatcher:
    """A thread in each process of a server; the one that has the lock of the folder does the work."""

    def __init__(self, state: Path, ending: Ending) -> None:
        self._state = state
        self._ending = ending
        self._folder = ending.folder
        self._store = ending.store
        self._woken = threading.Event()
        self._closing = threading.Event()
        self._lock = threading.Lock()
        self._idle: dict[str, list[Hand]] = defaultdict(list)
        self._busy: dict[str, tuple[Item, threading.Thread]] = {}
        self._unwanted: frozenset[str] = frozenset()
        self._leaving: list[threading.Thread] = []
        self._settling = Crew("settling", _SETTLING)
        self._pruned = 0.0
        self._thread = threading.Thread(target=self._run, name="queue", daemon=True)
        self._thread.start()

    def wake(self) -> None:
        """There is something to do."""
        self._woken.set()

    def close(self) -> None:
        """What is being answered is given up, and queued again."""
        self._closing.set()
        self._woken.set()
        self._thread.join(_CLOSE_SECONDS)

    def _run(self) -> None:
        with (self._folder / "lock").open("a") as lock:
            while not _locked(lock):
                if self._closing.wait(1.0):
                    return
            teller = Teller(self._store, self._state, self._ending.declared)
            begun = False
            while not self._closing.is_set():
                try:
                    if not begun:
                        self._begin()
                        begun = True
                    self._tick()
                    teller.tell()
                except Exception:  # noqa: BLE001  Whatever it is (a full disk, a bug), the queue goes on.
                    _log.exception("the queue could not be looked at; the next look is in %g s", TICK_SECONDS)
                self._woken.wait(TICK_SECONDS)
                self._woken.clear()
            teller.close()
            self._settling.close()
            self._end()

    def _begin(self) -> None:
        """Take up what a server left that was killed."""
        shutil.rmtree(self._folder / "work", ignore_errors=True)
        (self._folder / "work").mkdir(parents=True)
        lost = self._store.recover()
        self._settling.begin(lambda: ((item.id, partial(self._ending.lost, item)) for item in lost))

    def _tick(self) -> None:
        now = time.time()
        self._unwanted = frozenset(self._store.cancelled())
        self._settling.begin(lambda: self._expired(now))
        declared = self._ending.declared()
        for name, declaration in declared.items():
            wanted = declaration.spec.asynchronous
            if wanted is not None:
                if self._store.waiting(name):
                    self._fill(declaration, wanted)
                self._ending.metrics.queued(name, self._store.waiting(name))
        self._dismiss(declared)
        if now - self._pruned > _PRUNE_SECONDS:
            self._store.prune(now)
            spool.sweep(self._folder, self._store, now)
            self._pruned = now

    def _expired(self, now: float) -> Iterator[Errand]:
        for item in self._store.expired(now):
            yield item.id, partial(self._ending.expired, item)

    def _fill(self, declaration: Declaration, wanted: Asynchronous) -> None:
        """Begin as many requests as there may be at once."""
        while self._count(declaration.name) < wanted.workers and not self._closing.is_set():
            item = self._store.claim(declaration.name, time.time())
            if item is None:
                return
            try:
                arguments = (item, self._hand(declaration), wanted)
            except Exception:
                # No process could be started, which is not the request's fault.
                self._store.put_back(item.id, time.time() + _AGAIN_SECONDS, counted=False)
                raise
            thread = threading.Thread(target=self._answer, args=arguments, name=f"queue-{item.id[:8]}", daemon=True)
            with self._lock:
                self._busy[item.id] = (item, thread)
            thread.start()

    def _count(self, name: str) -> int:
        with self._lock:
            return sum(item.endpoint == name for item, _ in self._busy.values())

    def _hand(self, declaration: Declaration) -> Hand:
        fingerprint = declarations.fingerprint(declaration)
        while True:
            with self._lock:
                idle = self._idle[declaration.name]
                hand = idle.pop() if idle else None
            if hand is None:
                return Hand(declaration, self._folder / "work" / secrets.token_hex(6), self._state)
            if hand.fingerprint == fingerprint and hand.is_usable:
                return hand
            hand.close(kill=True)

    def _dismiss(self, declared: Mapping[str, Declaration]) -> None:
        """End processes that have had nothing to do for long, or whose endpoint is gone."""
        dismissed: list[Hand] = []
        with self._lock:
            for name, hands in self._idle.items():
                for hand in hands:
                    self._ending.count_captures(name, hand.counted())
                late = [each for each in hands if name not in declared or each.idle_seconds > IDLE_SECONDS]
                self._idle[name] = [each for each in hands if each not in late]
                dismissed += late
        self._leaving = [thread for thread in self._leaving if thread.is_alive()]
        if dismissed:
            # They have seconds for writing what they captured, and other endpoints do not wait for that.
            thread = threading.Thread(target=self._let_go, args=(dismissed,), name="queue-leaving", daemon=True)
            thread.start()
            self._leaving.append(thread)

    def _answer(self, item: Item, hand: Hand, wanted: Asynchronous) -> None:
        """In a thread of its own: all of one request."""
        began = time.monotonic()
        try:
            stop = lambda: self._stop(item)  # noqa: E731
            outcome = errand.run(item, hand, wanted, state=self._state, folder=self._folder, stop=stop)
        except Exception as error:  # noqa: BLE001  Whatever it is, the request does not stay as if it were being answered.
            _log.exception("%s: request %s failed", item.endpoint, item.id)
            outcome = Outcome("Failed", f"{type(error).__name__}: {error}", code=500, retry=True)
        try:
            seconds, unwanted = time.monotonic() - began, item.id in self._unwanted
            self._ending.begun(item, outcome, seconds, closing=self._closing.is_set(), unwanted=unwanted)
        except BackendError as error:
            # It counts as begun until the next server looks.
            _log.error("%s: request %s: %s", item.endpoint, item.id, error.message)
        except Exception:  # noqa: BLE001  Nobody else looks at what this thread raised.
            _log.exception("%s: request %s: how it ended could not be written down", item.endpoint, item.id)
        finally:
            self._free(item, hand)
            self._woken.set()

    def _stop(self, item: Item) -> str:
        if self._closing.is_set():
            return "the server ends"
        return "it was cancelled" if item.id in self._unwanted else ""

    def _free(self, item: Item, hand: Hand) -> None:
        kept = hand.is_usable and not self._closing.is_set()
        if not kept:
            hand.close(kill=True)
        with self._lock:
            del self._busy[item.id]
            if kept:
                hand.rest()
                self._idle[item.endpoint].append(hand)

    def _end(self) -> None:
        deadline = time.monotonic() + _CLOSE_SECONDS / 2
        with self._lock:
            busy = [thread for _, thread in self._busy.values()]
        for thread in (*busy, *self._leaving):
            thread.join(max(0.0, deadline - time.monotonic()))
        with self._lock:
            idle = [hand for hands in self._idle.values() for hand in hands]
        self._let_go(idle)

    def _let_go(self, hands: Sequence[Hand]) -> None:
        for hand in hands:
            hand.release()
        for hand in hands:
            self._ending.count_captures(hand.name, hand.close())


def _locked(lock: IO[str]) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
