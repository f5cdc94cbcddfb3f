"""An endpoint's example as a request that can be sent, and as a line to paste into a shell."""

from __future__ import annotations

import base64
import contextlib
import json
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

JSON = "application/json"
# A declaration travels as a variable of a pod: what is larger than this is left out.
LARGEST = 32 * 1024

Told = Mapping[str, Sequence[Any]]
"""As a declaration has it: `inputs` are rows; `body` (or `base64`) and `type` are a request of a program's own."""


@dataclass(frozen=True, slots=True)
class Sample:
    """A request, ready to be sent."""

    body: bytes
    content_type: str = JSON

    @property
    def text(self) -> str | None:
        """The body as text; None when it is none."""
        try:
            text = self.body.decode()
        except UnicodeDecodeError:
            return None
        return None if any(ord(letter) < 32 and letter not in "\t\r\n" for letter in text) else text

    @property
    def shown(self) -> Mapping[str, Any]:
        """The request as JSON can say it."""
        if self.content_type == JSON:
            with contextlib.suppress(ValueError):
                if isinstance(document := json.loads(self.body), dict):
                    return document
        return {"content_type": self.content_type, "body": self.text or f"{len(self.body):,} bytes"}


def told(content: bytes, content_type: str) -> dict[str, list[Any]]:
    """A request of a program's own for a declaration; nothing when it is too large to be carried along."""
    if len(content) > LARGEST:
        return {}
    text = Sample(content, content_type).text
    said = {"body": [text]} if text is not None else {"base64": [base64.b64encode(content).decode()]}
    return {**said, "type": [content_type]}


def sample(example: Told) -> Sample | None:
    """The request for the first row, or the program's own; None when there is no example."""
    if records := list(example.get("inputs") or ())[:1]:
        return Sample(body(records).encode())
    kind = str(next(iter(example.get("type") or ()), JSON))
    for text in example.get("body") or ():
        return Sample(str(text).encode(), kind)
    for text in example.get("base64") or ():
        return Sample(base64.b64decode(str(text)), kind)
    return None


def body(records: Sequence[Mapping[str, Any]]) -> str:
    """The V1 request for these rows."""
    return json.dumps({"instances": list(records)}, ensure_ascii=False)


def path(name: str) -> str:
    """Where V1 requests for an endpoint go."""
    return f"/v1/models/{name}:predict"


def curl(url: str, name: str, records: Sequence[Mapping[str, Any]], *, options: str = "") -> str:
    """A command that sends these rows, for any POSIX shell; `options` are more of curl's, quoted already."""
    return command(url, name, Sample(body(records).encode()), options=options)


def command(url: str, name: str, sent: Sample, *, options: str = "") -> str:
    """A command that sends a request, whatever it is."""
    line = f"curl -s{options} {shlex.quote(url + path(name))}"
    if sent.content_type != JSON:
        line += f" -H {shlex.quote(f'content-type: {sent.content_type}')}"
    if sent.text is None:
        return f"printf %s {base64.b64encode(sent.body).decode()} | base64 -d | {line} --data-binary @-"
    if any(letter in sent.text for letter in "\r\n\t"):
        # It is to stay one line, in a log too.
        escaped = sent.text.replace("\\", "\\\\")
        for letter, code in (("\n", "\\n"), ("\r", "\\r"), ("\t", "\\t")):
            escaped = escaped.replace(letter, code)
        return f"printf %b {shlex.quote(escaped)} | {line} --data-binary @-"
    return f"{line} {'-d' if sent.content_type == JSON else '--data-binary'} {shlex.quote(sent.text)}"
