"""A shadow variant: some requests are answered by it, too, after the client has its answer; both are compared."""

from __future__ import annotations

import json
import logging
import random
import threading
import time
from collections import deque
from typing import NamedTuple

import numpy as np

from orchestrator.model.signature import Array
from orchestrator.serving import reply
from orchestrator.serving.codec import RequestError
from orchestrator.serving.exchange import Exchange
from orchestrator.serving.hosted import Variant
from orchestrator.serving.metrics import Metrics
from orchestrator.serving.reply import Answered, Call

# What waits for shadows is bounded in number and in memory; beyond that, requests are not copied.
MOST_WAITING = 256
MOST_BYTES = 64 * 1024 * 1024
# Two models that were trained alike differ by rounding.
RELATIVE, ABSOLUTE = 1e-6, 1e-9
_SILENCE_SECONDS = 60.0

_log = logging.getLogger(__name__)


class Copy(NamedTuple):
    """A request that a shadow is to answer, and the answer that the client got."""

    call: Call
    variant: Variant
    exchange: Exchange
    size: int  # Bytes that it keeps in memory.


class Shadows:
    """Asks shadows, one request after another, in a thread of its own that is started with the first."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._waiting: deque[Copy] = deque()
        self._bytes = 0
        self._come = threading.Condition()
        self._thread: threading.Thread | None = None
        self._complained: dict[str, float] = {}

    def offer(self, variant: Variant, call: Call, exchange: Exchange) -> None:
        """Let this variant answer, too, as often as it is to; it never waits."""
        share = variant.declared.shadow
        # Dice, not secrets. Who asked for the shadow itself has seen its answer.
        if share is None or random.random() * 100 >= share or exchange.variant == variant.declared.name:  # noqa: S311
            return
        size = _size(exchange)
        with self._come:
            full = len(self._waiting) >= MOST_WAITING or self._bytes + size > MOST_BYTES
            if not full:
                self._waiting.append(Copy(call, variant, exchange, size))
                self._bytes += size
                self._come.notify()
        if full:
            self._metrics.shadow(exchange.endpoint, variant.declared.name, "dropped")
        elif self._thread is None:
            self._thread = threading.Thread(target=self._run, name="shadow", daemon=True)
            self._thread.start()

    @property
    def waiting(self) -> int:
        """How many requests are still to be answered by shadows."""
        return len(self._waiting)

    def _run(self) -> None:
        while True:
            with self._come:
                while not self._waiting:
                    self._come.wait()
                copy = self._waiting.popleft()
                self._bytes -= copy.size
            outcome = self._outcome(copy)
            self._metrics.shadow(copy.exchange.endpoint, copy.variant.declared.name, outcome)
            del copy  # It would keep the model in memory until the next one comes.

    def _outcome(self, copy: Copy) -> str:
        try:
            return "equal" if equal(copy.exchange, _answered(copy)) else "different"
        except RequestError as error:
            self._complain(copy, error.message)
        except Exception as error:  # noqa: BLE001  A shadow may do nothing to the requests that are answered.
            self._complain(copy, f"{type(error).__name__}: {error}")
        return "failed"

    def _complain(self, copy: Copy, message: str) -> None:
        """Say why, once in a while: a shadow that fails does so for every request."""
        name = copy.exchange.endpoint
        now = time.monotonic()
        if now - self._complained.get(name, -_SILENCE_SECONDS) >= _SILENCE_SECONDS:
            self._complained[name] = now
            _log.warning("%s: the shadow %s did not answer: %s", name, copy.variant.declared.name, message)


def _size(exchange: Exchange) -> int:
    outputs = sum(values.nbytes for values in (exchange.outputs or {}).values())
    return len(exchange.request) + len(exchange.response) + outputs


def _answered(copy: Copy) -> Answered:
    """The shadow's answer; whatever goes wrong is raised as it is, and counted nowhere else."""
    call, body, variant = copy.call, copy.exchange.request, copy.variant
    if reply.in_bytes(call, variant):
        return reply.through_bytes(call, body, variant)
    asked = reply.decoded(call, body, variant)
    return reply.encoded(call, variant, asked, variant.model.outputs(asked.columns))


def equal(exchange: Exchange, answered: Answered) -> bool:
    """Whether the shadow predicted what the client was told: the predictions are compared, not their probabilities."""
    if exchange.outputs and answered.outputs:
        return _same(next(iter(exchange.outputs.values())), next(iter(answered.outputs.values())))
    if exchange.response == answered.content.body:
        return True
    try:
        return bool(json.loads(exchange.response) == json.loads(answered.content.body))
    except ValueError:
        return False


def _same(one: Array, other: Array) -> bool:
    if one.shape != other.shape:
        return False
    if one.dtype.kind in "fiub" and other.dtype.kind in "fiub":
        return bool(np.allclose(one, other, rtol=RELATIVE, atol=ABSOLUTE, equal_nan=True))
    return bool(np.array_equal(one, other))
