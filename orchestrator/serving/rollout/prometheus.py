"""A query to a Prometheus server: one number, or none."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from http.client import HTTPException
from typing import Any
from urllib import error as url_errors
from urllib import parse
from urllib import request as url_requests

from orchestrator.errors import BackendError

_SECONDS = 10.0
_LARGEST = 1 << 20


def ask(url: str, query: str, *, largest: bool = True) -> float | None:
    """The value of a query now: of several series the largest, or the smallest; None when there is no number.

    Raises BackendError when the server does not answer, or refuses the query.
    """
    parts = parse.urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise BackendError("Prometheus", f"{_shown(parts)!r} is not an address", hint="for example http://host:9090")
    asked = parse.urlunsplit((parts.scheme, parts.netloc, f"{parts.path.rstrip('/')}/api/v1/query", "", ""))
    body = parse.urlencode({"query": query}).encode()
    request = url_requests.Request(asked, body, {"accept": "application/json"})  # noqa: S310  The scheme is checked.
    try:
        with url_requests.urlopen(request, timeout=_SECONDS) as response:  # noqa: S310
            answer = json.loads(response.read(_LARGEST))
    except url_errors.HTTPError as error:
        with error:
            told = _refusal(error.read(_LARGEST))
        raise BackendError("Prometheus", f"{_shown(parts)} answered {error.code}: {told}") from error
    except (OSError, HTTPException, ValueError) as error:
        reason = getattr(error, "reason", error)
        raise BackendError("Prometheus", f"{_shown(parts)} does not answer: {reason}") from error
    try:
        values = [*_values(answer["data"])]
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise BackendError("Prometheus", f"{_shown(parts)} answered what no Prometheus would") from error
    return (max if largest else min)(values, default=None)


def _values(data: Any) -> Iterator[float]:
    """The numbers of a result; a query such as 0/0 has a value that is none."""
    kind, result = data["resultType"], data["result"]
    match kind:
        case "vector":
            found = [each["value"][1] for each in result]
        case "scalar":
            found = [result[1]]
        case _:
            raise ValueError(kind)
    yield from (value for value in map(float, found) if not math.isnan(value))


def _refusal(body: bytes) -> str:
    try:
        return str(json.loads(body)["error"])[:300]
    except (ValueError, KeyError, TypeError):
        return "it does not say why"


def _shown(parts: parse.SplitResult) -> str:
    """The address without a user or password that may stand in it."""
    return parse.urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))
