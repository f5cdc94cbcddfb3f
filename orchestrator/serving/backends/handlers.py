"""A model that is functions in a file, as SageMaker's containers take them: model_fn, input_fn, predict_fn, output_fn.

`transform_fn` stands for the last three. What is not defined is done as those containers do it: JSON, CSV or NPY into
an array, the model's own `predict`, and an array into what the client accepts.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from orchestrator.errors import OrchestratorError
from orchestrator.model import rows
from orchestrator.model.signature import Array, Columns, InputError
from orchestrator.serving.backends import program
from orchestrator.serving.backends.program import Answer, Request
from orchestrator.serving.codec import RequestError

NPY = "application/x-npy"
TYPES = (rows.JSON, rows.CSV, NPY)
# These reach input_fn as text, any other body as bytes.
_TEXT = frozenset({rows.JSON, rows.CSV, "application/jsonlines"})


@dataclass(slots=True)
class Context:
    """What a function sees of the request when it takes one argument more than it must."""

    folder: str
    headers: Mapping[str, str] = field(default_factory=dict)
    response_type: str = ""

    @property
    def system_properties(self) -> Mapping[str, Any]:
        return {"model_dir": self.folder, "gpu_id": None}

    def get_request_header(self, _place: int, key: str) -> str | None:
        return self.headers.get(key.lower())

    def get_all_request_header(self, _place: int) -> Mapping[str, str]:
        return dict(self.headers)

    def set_response_content_type(self, _place: int, value: str) -> None:
        self.response_type = value


@dataclass(frozen=True, slots=True)
class Handlers:
    """The functions of a program, each called with a context behind its own arguments, and the model they are for."""

    model: Any
    folder: str
    transform: Callable[..., Any] | None
    input: Callable[..., Any]
    predict: Callable[..., Any]
    output: Callable[..., Any]
    is_safe: bool = False

    def respond(self, request: Request) -> Answer:
        kind = program.plain_type(request.content_type) or rows.JSON
        accept = program.accepted(request.accept or program.ANY, TYPES)
        context = Context(self.folder, request.headers)
        body: Any = request.body
        if kind in _TEXT:
            try:
                body = body.decode("utf-8-sig")
            except UnicodeDecodeError:
                raise InputError(f"the body is not UTF-8, as {kind} has to be") from None
        if self.transform is not None:
            given = self.transform(self.model, body, kind, accept, context)
        else:
            data = self.input(body, kind, context)
            given = self.output(self.predict(data, self.model, context), accept, context)
        return program.written(given, context.response_type or accept, _encoded)

    def tensors(self, _columns: Columns) -> dict[str, Array] | None:
        """They take bodies alone: columns are written as one."""
        return None


def start(module: ModuleType, folder: Path) -> Handlers:
    """Load the model with model_fn. Raises OrchestratorError; what the code raises passes."""
    found = {name: getattr(module, f"{name}_fn", None) for name in ("model", "transform", "input", "predict", "output")}
    load, transform = found["model"], found["transform"]
    if not callable(load):
        hint = "def model_fn(model_dir): return what the other functions are given as the model"
        raise OrchestratorError(f"{module.__name__}.py has no model_fn", hint=hint)
    more = [f"{name}_fn" for name in ("input", "predict", "output") if found[name] is not None]
    if transform is not None and more:
        raise OrchestratorError(f"{module.__name__}.py has transform_fn, which does all of it, and {', '.join(more)}")
    model = program.caller(load, 2)(str(folder), Context(str(folder)))
    return Handlers(
        model,
        str(folder),
        program.caller(transform, 5, least=4) if transform is not None else None,
        program.caller(found["input"] or _input, 3, least=2),
        program.caller(found["predict"] or _predict, 3, least=2),
        program.caller(found["output"] or _output, 3, least=2),
        program.is_safe(module),
    )


def _input(body: Any, content_type: str) -> Any:
    """The body as an array."""
    if content_type == rows.JSON:
        try:
            document = json.loads(body)
        except RecursionError:
            raise InputError("the JSON is nested too deeply") from None
        if isinstance(document, dict):
            document = next((document[key] for key in rows.CONTAINERS if key in document), document)
        return np.array(document)
    if content_type == rows.CSV:
        table = rows.read(body.encode(), rows.CSV)
        if table is None:
            raise InputError("the CSV is not a table")
        return np.array([list(row) for row in table.rows])
    if content_type == NPY:
        try:
            # Not np.load: that takes archives and pickles as well.
            return np.lib.format.read_array(io.BytesIO(body), allow_pickle=False)
        except Exception as error:  # Whatever the reader raises is about the client's bytes.
            raise InputError(f"the body is not an array as NPY: {error}") from error
    raise RequestError(f"the model takes {', '.join(TYPES)}, not {content_type!r}", status=415)


def _predict(data: Any, model: Any) -> Any:
    if callable(predict := getattr(model, "predict", None)):
        return predict(data)
    if callable(model):
        return model(data)
    raise TypeError(f"what model_fn gave, a {type(model).__name__}, has no predict: define predict_fn")


def _output(prediction: Any, accept: str) -> tuple[bytes, str]:
    return _encoded(prediction, accept), accept


def _encoded(value: Any, content_type: str) -> bytes:
    """A prediction in a content type."""
    if content_type == NPY:
        out = io.BytesIO()
        np.save(out, np.asarray(value), allow_pickle=False)
        return out.getvalue()
    if content_type == rows.CSV:
        lines = np.atleast_1d(np.asarray(value)).tolist()
        return "".join(",".join(map(str, line if isinstance(line, list) else [line])) + "\n" for line in lines).encode()
    if content_type == rows.JSON:
        return program.json(value)
    raise RequestError(f"the model answers with {', '.join(TYPES)}, not {content_type!r}", status=406)
