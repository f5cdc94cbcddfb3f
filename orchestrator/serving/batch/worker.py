"""The process that holds a model and answers chunks of records: one request, one answer, until nobody asks any more."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Mapping
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING, Any

from orchestrator.errors import OrchestratorError

if TYPE_CHECKING:
    from orchestrator.serving.hosted import Model

_EXTRAS = "pip install 'orchestrator[data,serve]'"
# Several processes that each use every core take longer than each on its own.
_ALONE = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


@dataclass(frozen=True, slots=True)
class Failed:
    """Why a model cannot be asked at all, or a request cannot be answered."""

    message: str
    hint: str = ""


@dataclass(frozen=True, slots=True)
class Ready:
    """What a loaded model takes and gives: the columns it fills with its own example, or why it fills none."""

    inputs: tuple[tuple[str, str], ...]
    ignored: tuple[str, ...]
    cells: tuple[Any, ...]
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Whole:
    """A file that is one request."""

    body: bytes
    kind: str


def environment(given: Mapping[str, str], count: int) -> dict[str, str]:
    """What one of `count` processes is started with."""
    found = dict(given)
    for name in _ALONE if count > 1 else ():
        found.setdefault(name, "1")
    return found


def main(handle: int) -> None:
    """Load the model that is named, say what it is, answer."""
    # Ctrl-C is for who asks: that one closes the connection.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # What a model prints is no output of ours.
    os.dup2(2, 1)
    with Connection(handle) as connection, contextlib.suppress(EOFError, OSError):
        path, digest = connection.recv()
        try:
            model, ready = _loaded(path, digest)
        except OrchestratorError as error:
            connection.send(Failed(error.message, error.hint))
            return
        except ModuleNotFoundError as error:
            connection.send(Failed(f"it needs {error.name}, which is not installed", _EXTRAS))
            return
        except Exception as error:  # noqa: BLE001  Whatever a model does when it is loaded is told, not lost with us.
            connection.send(Failed(f"the model cannot be loaded: {type(error).__name__}: {error}"))
            return
        connection.send(ready)
        while True:
            connection.send(_answered(model, connection.recv()))


def _loaded(path: str, digest: str) -> tuple[Model, Ready]:
    from orchestrator.model import signature as signatures
    from orchestrator.serving import backends
    from orchestrator.serving.batch import values

    model = backends.load(Path(path), digest)
    signature = model.signature
    inputs = tuple((column.name, column.type) for column in signature.inputs)
    cells: tuple[Any, ...] = ()
    problem = ""
    if not model.example:
        problem = "the model has no example that would tell the columns of its answers"
    else:
        outputs = model.outputs(signatures.columns_from_records(signature, list(model.example)))
        try:
            cells = values.cells(outputs, getattr(model, "classes", None))
        except OrchestratorError as error:
            problem = error.message
    return model, Ready(inputs if model.example else (), tuple(signature.ignored), cells, problem)


def _answered(model: Model, request: Any) -> Any:
    from orchestrator.serving.batch import answering

    try:
        if isinstance(request, Whole):
            return answering.respond(model, request.body, request.kind)
        return answering.answer(model, *request)
    except ValueError as error:
        return Failed(str(error))
    except OrchestratorError as error:
        return Failed(error.message, error.hint)
    except Exception as error:  # noqa: BLE001  Whatever it is, who asks is told, and the process goes on.
        return Failed(f"{type(error).__name__}: {error}")
