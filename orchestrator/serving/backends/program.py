"""A program that came with a model, as a back end calls it: a request in, an answer out, and its errors sorted.

What it refuses (ValueError, or an error with a status of 400 to 499) is the client's mistake; anything else is its own.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol

import msgspec
import numpy as np

from orchestrator.errors import OrchestratorError
from orchestrator.model import rows
from orchestrator.model.signature import Array, Columns, InputError
from orchestrator.serving.codec import RequestError

ANY = "*/*"


@dataclass(frozen=True, slots=True)
class Request:
    """A request as it came; `headers` are those a program may see, their names in lower case."""

    body: bytes
    content_type: str = rows.JSON
    accept: str = rows.JSON
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Answer:
    """What a program gave, and its content type."""

    body: bytes
    content_type: str = rows.JSON


class Program(Protocol):
    """A program that was started."""

    def respond(self, request: Request) -> Answer:
        """The answer to a request in bytes."""
        ...

    def tensors(self, columns: Columns) -> dict[str, Array] | None:
        """The answer to columns, of a program that takes V2 itself; None of one that does not."""
        ...

    @property
    def is_safe(self) -> bool:
        """Whether it may be called from several threads at once."""
        ...


@contextmanager
def answering() -> Iterator[None]:
    """Errors of a program as the server tells them: InputError and RequestError for the client, the rest as it is."""
    try:
        yield
    except OrchestratorError:
        raise
    except ValueError as error:
        raise InputError(_words(error)) from error
    except Exception as error:
        status = getattr(error, "status_code", None)
        if isinstance(status, int) and 400 <= status < 500:
            raise RequestError(_words(error), status=status) from error
        raise
    except (SystemExit, GeneratorExit) as error:
        # It would end the server, and with it every other endpoint.
        raise RuntimeError(f"the model's program called exit({getattr(error, 'code', '')})") from error


def is_safe(thing: object) -> bool:
    """Whether a class or a module says `thread_safe = True`: where such programs come from, nobody calls them twice at
    once, so that few are made for it."""
    return getattr(thing, "thread_safe", False) is True


def caller(function: Callable[..., Any], most: int, *, least: int = 1) -> Callable[..., Any]:
    """The function, to be called with `most` arguments: it gets as many as it takes, without the later ones (headers,
    a context) that it leaves out."""
    count = max(least, taken(function, most))
    return function if count == most else lambda *arguments: function(*arguments[:count])


def taken(function: Callable[..., Any], most: int) -> int:
    """How many positional arguments a function takes, `most` at most."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):  # A function of a C extension does not say.
        return most
    if any(each.kind is each.VAR_POSITIONAL for each in parameters):
        return most
    places = [each for each in parameters if each.kind in (each.POSITIONAL_ONLY, each.POSITIONAL_OR_KEYWORD)]
    return min(len(places), most)


def written(value: Any, content_type: str, encode: Callable[[Any, str], bytes]) -> Answer:
    """What a function gave as an answer: bytes and text as they are, a pair with its own content type."""
    if isinstance(value, tuple) and len(value) == 2 and isinstance(value[1], str):
        value, content_type = value
    if not content_type.isascii() or not content_type.isprintable():
        raise TypeError(f"{content_type!r} is no content type")
    if isinstance(value, bytes | bytearray | memoryview):
        return Answer(bytes(value), content_type)
    if isinstance(value, str):
        return Answer(value.encode(), content_type)
    if isinstance(value, dict):
        return Answer(json(value))
    return Answer(encode(value, content_type), content_type)


def json(value: Any) -> bytes:
    """JSON of what models give: arrays, tables and numbers of numpy too; NaN becomes null."""
    return _ENCODER.encode(value)


def plain_type(header: str) -> str:
    """A content type without its parameters, in lower case."""
    return header.partition(";")[0].strip().lower()


def accepted(header: str, known: Sequence[str]) -> str:
    """The first of the types that a client accepts and we know; the first we know for one that takes any."""
    wanted = [plain_type(each) for each in header.split(",") if each.strip()]
    for each in wanted:
        if each in (ANY, "application/*"):
            return known[0]
        if each in known:
            return each
    return wanted[0] if wanted else known[0]


def _plain(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, np.generic):
        return value.item()
    if hasattr(value, "columns") and callable(make := getattr(value, "to_dict", None)):
        return make(orient="records")  # A table of pandas.
    for name in ("tolist", "model_dump", "to_dict"):
        if callable(make := getattr(value, name, None)):
            return make()
    raise TypeError(f"the model gave a {type(value).__name__}, which JSON cannot say")


_ENCODER = msgspec.json.Encoder(enc_hook=_plain)


def _words(error: BaseException) -> str:
    said = getattr(error, "detail", None) or str(error) or type(error).__name__
    return str(said)[:2000]
