"""Predictions for many records of which some are bad: the others are predicted as if these were not there."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from orchestrator.errors import OrchestratorError

Predict = Callable[[Sequence[Any]], Sequence[Any]]

PAUSE = 0.1


@dataclass(frozen=True, slots=True)
class Bad:
    """Why there is no prediction for a record."""

    reason: str


def each(predict: Predict, records: Sequence[Any], retries: int, *, pause: float = PAUSE) -> list[Any]:
    """A prediction for each record, in order, or a Bad one.

    What a model refuses is bad, and is looked for by halves; what else goes wrong in it may be over a moment later, and
    is tried again first.
    """
    if not records:
        return []
    attempt = 0
    while True:
        try:
            return _checked(predict(records), len(records))
        except (OrchestratorError, ValueError) as error:
            reason = error.message if isinstance(error, OrchestratorError) else str(error)
            break
        except Exception as error:  # noqa: BLE001  Whatever a model does is said of the record it does it with.
            reason = f"the model failed: {type(error).__name__}: {error}"
        if attempt == retries:
            break
        time.sleep(pause * 2**attempt)
        attempt += 1
    if len(records) == 1:
        return [Bad(worded(reason))]
    middle = len(records) // 2
    # The whole was tried again already.
    halves = (records[:middle], records[middle:])
    return [found for half in halves for found in each(predict, half, 0)]


def worded(reason: str) -> str:
    """A reason that is about one record among others, as one that is about this record."""
    # What a model says may hold half of a pair of surrogates, which no terminal and no file takes.
    clean = reason.encode(errors="backslashreplace").decode()
    first = " ".join(clean.split()) or "the model gave no reason"
    for told in ("record 0", "row 0"):
        first = first.replace(told, f"this {told[:-2]}")
    return first if len(first) <= 500 else first[:497] + "..."


def _checked(predicted: Sequence[Any], count: int) -> list[Any]:
    if len(predicted) != count:
        raise OrchestratorError(f"it gave {len(predicted)} predictions, not {count}")
    return list(predicted)
