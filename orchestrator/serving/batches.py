"""Requests of a variant that are answered by one call of its model: who waits, and what each is given of the outputs.

The first request to come does not wait for company: it is answered at once. Those that come meanwhile wait for it, but
no longer than the delay, nor than it takes for enough rows to come together.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import NamedTuple

import numpy as np

from orchestrator.model.signature import Array, Columns

Outputs = dict[str, Array]
Predict = Callable[[Columns], Outputs]
# Runs a call in a thread.
Submit = Callable[[Callable[[], "list[Outputs | Exception]"]], "asyncio.Future[list[Outputs | Exception]]"]

# Calls of one model at a time: the second is there when the first ends.
MOST_CALLS = 2


class Waiting(NamedTuple):
    """One request's rows, and where their outputs go."""

    columns: Columns
    rows: int
    outputs: asyncio.Future[Outputs]


@dataclass(frozen=True, slots=True)
class Bounds:
    """How far requests are gathered: at most so many rows, for so long."""

    rows: int
    delay: float


class Manner(NamedTuple):
    """How the model is asked: what it is, where it runs, and how far requests are gathered for it."""

    predict: Predict
    submit: Submit
    bounds: Bounds


@dataclass(slots=True)
class Batches:
    """The requests that wait for one model. Everything here happens on the event loop, but for the model's own work."""

    waiting: list[Waiting] = field(default_factory=list)
    calls: int = 0
    timer: asyncio.TimerHandle | None = None

    async def outputs(self, columns: Columns, rows: int, model: Manner) -> Outputs:
        """What the model gives for these rows. Raises what it raises for them."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Outputs] = loop.create_future()
        self.waiting.append(Waiting(columns, rows, future))
        if not self.calls or sum(each.rows for each in self.waiting) >= model.bounds.rows:
            self._call(model)
        elif self.timer is None:
            self.timer = loop.call_later(model.bounds.delay, self._late, model)
        return await future

    def _late(self, model: Manner) -> None:
        self.timer = None
        self._call(model)

    def _call(self, model: Manner) -> None:
        """Give the model what waits, unless it is busy enough; then the end of a call is the next turn."""
        # Who went away is not predicted for.
        self.waiting = [each for each in self.waiting if not each.outputs.done()]
        if not self.waiting or self.calls >= MOST_CALLS:
            return
        batch, self.waiting = taken(self.waiting, model.bounds.rows)
        if self.timer is not None and not self.waiting:
            self.timer.cancel()
            self.timer = None
        self.calls += 1
        requests = [each.columns for each in batch]
        call = model.submit(lambda: predicted(requests, model.predict))
        call.add_done_callback(partial(self._ended, model, batch))

    def _ended(self, model: Manner, batch: Sequence[Waiting], done: asyncio.Future[list[Outputs | Exception]]) -> None:
        self.calls -= 1
        _give(batch, done)
        self._call(model)


def taken(waiting: Sequence[Waiting], rows: int) -> tuple[list[Waiting], list[Waiting]]:
    """Those that come into the next call, first come first, and those that wait on; at least one comes in."""
    count, held = 1, waiting[0].rows
    while count < len(waiting) and held + waiting[count].rows <= rows:
        held += waiting[count].rows
        count += 1
    return list(waiting[:count]), list(waiting[count:])


def predicted(requests: Sequence[Columns], predict: Predict) -> list[Outputs | Exception]:
    """What the model gives for each request: all in one call, or one by one where that does not work.

    One bad request spoils no other: whatever the model raises for all of them is found out for each by itself.
    """
    if len(requests) > 1:
        try:
            together = predict(_joined(requests))
            return list(_split(together, [_rows(each) for each in requests]))
        except Exception:  # noqa: BLE001, S110  Whatever it is: each request is told its own below.
            pass
    return [_alone(each, predict) for each in requests]


def _alone(columns: Columns, predict: Predict) -> Outputs | Exception:
    try:
        return predict(columns)
    except Exception as error:  # noqa: BLE001  It is raised where the request waits.
        return error


def _joined(requests: Sequence[Columns]) -> Columns:
    first = requests[0]
    for other in requests[1:]:
        if other.keys() != first.keys() or any(other[name].dtype != first[name].dtype for name in first):
            raise ValueError("these requests do not fit together")
    return {name: np.concatenate([each[name] for each in requests]) for name in first}


def _split(outputs: Outputs, rows: Sequence[int]) -> list[Outputs]:
    ends = np.cumsum(rows)
    if any(len(values) != ends[-1] for values in outputs.values()):
        raise ValueError("the model does not answer row by row")
    found: list[Outputs] = []
    for end, count in zip(ends, rows, strict=True):
        found.append({name: values[end - count : end] for name, values in outputs.items()})
    return found


def _rows(columns: Columns) -> int:
    return len(next(iter(columns.values()), ()))


def _give(batch: Sequence[Waiting], done: asyncio.Future[list[Outputs | Exception]]) -> None:
    """Hand each request its outputs; one that went away meanwhile is not there to take them."""
    if done.cancelled():  # The server is ending.
        results: Sequence[Outputs | BaseException] = [asyncio.CancelledError()] * len(batch)
    elif error := done.exception():
        results = [error] * len(batch)
    else:
        results = done.result()
    for each, result in zip(batch, results, strict=True):
        if each.outputs.done():
            continue
        if isinstance(result, BaseException):
            each.outputs.set_exception(result)
        else:
            each.outputs.set_result(result)
