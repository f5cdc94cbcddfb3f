"""A model that is a class: load, preprocess, predict and postprocess, each of them plain or async.

It is given the JSON of a request, or the bytes of another, and gives JSON, an array, a table or bytes. A model written
for KServe's server is such a class; kserve itself is only there where that model imported it.
"""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import json
import sys
import threading
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from orchestrator.errors import OrchestratorError
from orchestrator.model import rows
from orchestrator.model.signature import Array, Columns, InputError, missing
from orchestrator.serving import tensors
from orchestrator.serving.backends import program
from orchestrator.serving.backends.program import Answer, Request

# By these names a program is told where its files are.
FOLDERS = ("folder", "path", "model_dir", "model_path")
KSERVE = "kserve"
# In the order they are called. `validate` is KServe's own.
METHODS = ("preprocess", "validate", "predict", "postprocess")


@dataclass(frozen=True, slots=True)
class Instance:
    """An instance of the class, loaded."""

    model: Any
    methods: tuple[Callable[..., Any], ...]
    """What a request goes through, each called with the headers of request and answer behind what the last one gave."""
    loop: Loop | None = None
    """Of a class with async methods: all of a request then happens on it, as on KServe's."""

    @property
    def is_safe(self) -> bool:
        return self.loop is not None or program.is_safe(self.model)

    def respond(self, request: Request) -> Answer:
        payload: Any = request.body
        if program.plain_type(request.content_type) in ("", rows.JSON):
            try:
                payload = json.loads(request.body)
            except (ValueError, RecursionError) as error:
                raise InputError(f"the body is not valid JSON: {error}") from None
        given = self._answered(payload, request.headers)
        if callable(told := getattr(given, "to_rest", None)):
            told = told()
            given = told[0] if isinstance(told, tuple) else told
        if not isinstance(given, dict | bytes | bytearray | str | tuple):
            given = {"predictions": given}
        return program.written(given, rows.JSON, lambda value, _: program.json(value))

    def tensors(self, columns: Columns) -> dict[str, Array] | None:
        """KServe's own types of V2, for a model that was written for them; for any other class rows are written."""
        if not _is_of_kserve(type(self.model)):
            return None
        kserve = sys.modules[KSERVE]
        inputs = [_tensor(kserve, name, values) for name, values in columns.items()]
        request = kserve.InferRequest(model_name=str(self.model.name), infer_inputs=inputs)
        given = self._answered(request, {})
        if not hasattr(given, "outputs"):
            count = len(next(iter(columns.values())))
            return rows.predictions(program.json(given), rows.JSON, count)
        return {each.name: np.asarray(each.as_numpy()) for each in given.outputs}

    def _answered(self, payload: Any, headers: Mapping[str, str]) -> Any:
        if self.loop is not None:
            return self.loop.run(_awaited(self.methods, payload, headers))
        for method in self.methods:
            payload = method(payload, dict(headers), {})
        return payload


class Loop:
    """An event loop of the model's own: what its async methods hold open lives on between requests."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        threading.Thread(target=_forever, args=(self._loop,), name="program", daemon=True).start()

    def run(self, awaited: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(awaited, self._loop).result()

    def __del__(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)


def _forever(loop: asyncio.AbstractEventLoop) -> None:
    with contextlib.closing(loop):
        loop.run_forever()


def start(kind: Any, folder: Path, name: str) -> Instance:
    """An instance of the class, loaded. Raises OrchestratorError; what the code raises passes."""
    if not inspect.isclass(kind):
        raise OrchestratorError(f"{name} is a {type(kind).__name__}, not a class")
    model = kind(**_given(kind, folder, name))
    loop: Loop | None = None
    if callable(load := getattr(model, "load", None)):
        told = load(**_given(load, folder, name))
        if inspect.isawaitable(told):
            loop = Loop()
            told = loop.run(_result(told))
        if told is False:
            raise OrchestratorError(f"load of {kind.__name__} says that the model is not ready: it returned False")
    # After load, which may be what sets them.
    methods = [getattr(model, each, None) for each in METHODS if each != "validate" or _is_of_kserve(kind)]
    if not callable(getattr(model, "predict", None)):
        raise OrchestratorError(f"the class {kind.__name__} has no method predict")
    if loop is None and any(inspect.iscoroutinefunction(method) for method in methods):
        loop = Loop()
    return Instance(model, tuple(program.caller(each, 3) for each in methods if callable(each)), loop)


def _given(function: Callable[..., Any], folder: Path, name: str) -> dict[str, str]:
    """What a constructor or `load` asks for, by the names of its parameters."""
    known = {"name": name, **dict.fromkeys(FOLDERS, str(folder))}
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):  # A class of a C extension does not say.
        return {}
    named = [each for each in parameters if each.kind in (each.POSITIONAL_OR_KEYWORD, each.KEYWORD_ONLY)]
    strange = [each.name for each in named if each.default is each.empty and each.name not in known]
    if strange:
        what = getattr(function, "__qualname__", "the class")
        hint = "it is given name and folder; give anything else a default, or read it from a file in the folder"
        raise OrchestratorError(f"{what} needs {', '.join(strange)}, which nobody gives it", hint=hint)
    return {each.name: known[each.name] for each in named if each.name in known}


async def _awaited(methods: Sequence[Callable[..., Any]], payload: Any, headers: Mapping[str, str]) -> Any:
    """The methods, one after the other, each awaited where that is needed."""
    for method in methods:
        payload = method(payload, dict(headers), {})
        if inspect.isawaitable(payload):
            payload = await payload
    return payload


async def _result(awaited: Awaitable[Any]) -> Any:
    return await awaited


def _is_of_kserve(kind: type) -> bool:
    return any(each.__module__.partition(".")[0] == KSERVE for each in kind.__mro__) and KSERVE in sys.modules


def _tensor(kserve: Any, name: str, values: Array) -> Any:
    """A column as a tensor of KServe's."""
    if values.dtype.kind == "M":
        values = np.array([None if gone else str(at) for at, gone in zip(values, missing(values), strict=True)], object)
    return kserve.InferInput(
        name=name, shape=list(values.shape), datatype=tensors.datatype(values), data=values.tolist()
    )
