"""An endpoint's example as a request that can be sent, and as a line to paste into a shell."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping, Sequence
from typing import Any


def body(records: Sequence[Mapping[str, Any]]) -> str:
    """The V1 request for these rows."""
    return json.dumps({"instances": list(records)}, ensure_ascii=False)


def path(name: str) -> str:
    """Where V1 requests for an endpoint go."""
    return f"/v1/models/{name}:predict"


def curl(url: str, name: str, records: Sequence[Mapping[str, Any]], *, options: str = "") -> str:
    """A command that sends these rows, for any POSIX shell; `options` are more of curl's, quoted already."""
    return f"curl -s{options} {shlex.quote(url + path(name))} -d {shlex.quote(body(records))}"
