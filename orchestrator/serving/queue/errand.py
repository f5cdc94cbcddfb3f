"""One request from its input to its answer in place: fetched, handed to a process, written where the file says."""

from __future__ import annotations

import json
import secrets
import time
from pathlib import Path

from orchestrator.errors import BackendError
from orchestrator.serving.background import Asynchronous
from orchestrator.serving.queue import location, spool
from orchestrator.serving.queue.hand import Files, Hand, Stop
from orchestrator.serving.queue.item import TRIES, Item, Outcome
from orchestrator.stores import objects

# A place that does not take an answer may do so a moment later; the model need not run again for that.
_PUT_TRIES = 4
_AGAIN_SECONDS = 1.0


def run(item: Item, hand: Hand, wanted: Asynchronous, *, state: Path, folder: Path, stop: Stop) -> Outcome:
    """The outcome of a request; when it is Completed, its answer is where it belongs."""
    # Nobody else writes there: a process of the try before may be at its end still when this one begins.
    answer = folder / "work" / f"{item.id}-{secrets.token_hex(4)}.out"
    files = Files(spool.bodies(folder) / item.id, answer)
    began = time.monotonic()
    try:
        if item.input:
            _fetch(item, files.body, wanted, state)
        outcome = hand.answer(item, files, max(0.0, item.timeout - (time.monotonic() - began)), stop)
        if outcome.status == "Completed":
            _put(item.output, files.answer, stop)
    except (objects.TooLargeError, objects.TooSlowError, _RefusedError) as error:
        return Outcome("Failed", error.message, code=400)
    except BackendError as error:
        final = _is_final(error.__cause__)
        return Outcome("Failed", error.message, code=400 if final else 500, retry=not final)
    else:
        return outcome
    finally:
        files.answer.unlink(missing_ok=True)
        if item.input:
            files.body.unlink(missing_ok=True)


def tries_again(item: Item, outcome: Outcome) -> bool:
    """Whether a request that came to nothing is begun again."""
    return outcome.retry and item.tries < TRIES


def pause(item: Item) -> float:
    """Seconds until it is."""
    return float(2**item.tries)


def write_failure(item: Item, outcome: Outcome) -> None:
    """Say where a client looks for it why there is no answer. Raises BackendError."""
    said = {"error": outcome.reason, "status": outcome.code, "inferenceId": item.inference}
    objects.put(item.failure, json.dumps(said, ensure_ascii=False).encode(errors="backslashreplace") + b"\n")


def _is_final(cause: BaseException | None) -> bool:
    """Whether it would be the same a moment later: what is not there, or not for us."""
    status = getattr(cause, "code", None)  # Of an answer over HTTP.
    if isinstance(status, int):
        return status < 500 and status not in (408, 429)
    return isinstance(cause, FileNotFoundError | PermissionError | IsADirectoryError)


class _RefusedError(BackendError):
    """The declaration changed since the request came, and no longer lets anybody read there."""


def _fetch(item: Item, target: Path, wanted: Asynchronous, state: Path) -> None:
    if not location.is_allowed(item.input, wanted.inputs, state):
        raise _RefusedError("queue", f"{objects.shown(item.input)} is not below what the endpoint may read")
    objects.fetch(item.input, target, limit=wanted.body_bytes, seconds=item.timeout)


def _put(uri: str, answer: Path, stop: Stop) -> None:
    pause = _AGAIN_SECONDS
    for left in range(_PUT_TRIES - 1, -1, -1):
        try:
            objects.put(uri, answer)
        except BackendError:
            if not left or stop():
                raise
            time.sleep(pause)
            pause *= 2
        else:
            return
