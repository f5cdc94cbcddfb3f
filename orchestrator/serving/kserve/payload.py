"""What a server in a pod is told to serve: a declaration in one variable, which nothing on its way may change.

Two readers on that way take parts of a value for their own: KServe fills `{{...}}` in as a template, and Kubernetes
`$(NAME)` as a variable. So neither `{{` nor `$` is written as such; JSON has another way to write both.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from orchestrator.errors import OrchestratorError
from orchestrator.serving import declarations, endpoint
from orchestrator.serving.declarations import Declaration

VARIABLE = "ORC_DECLARATION"
# The kernel refuses a program a variable of 128 KiB; a rollback needs the object twice in one.
LARGEST = 100 * 1024

_SECTIONS = ("routing", "batching", "capture", "async")
# What holds where nothing is said stays unsaid: else a newer program would start replicas anew that serve the same.
_UNSAID: Mapping[str, Any] = {"format": "native", "shadow": None}


def dump(declaration: Declaration) -> str:
    """The declaration without what another deployment of the same would change, nor what the server does not use."""
    spec = endpoint.dump(declaration.spec)
    # On a cluster a replica that nobody asks ends; as long as it is there, so is its model.
    mode = {"mode": spec["mode"]} if spec["mode"] == "async" else {}
    told = {
        "version": declaration.version,
        "name": declaration.name,
        "variants": [{**_brief(each.model_dump(mode="json")), "path": ""} for each in declaration.variants],
        "spec": {
            **{key: spec[key] for key in ("apiVersion", "kind")},
            "variants": [_brief(each) for each in spec["variants"]],
            "limits": spec["limits"],
            **{key: spec[key] for key in _SECTIONS if spec[key] is not None},
            "metadata": {"name": declaration.name},
            **mode,
        },
        "example": {name: rows[:1] for name, rows in declaration.example.items()},
    }
    text = json.dumps(told, ensure_ascii=False, separators=(",", ":"))
    text = re.sub(r"(?<=\{)\{", r"\\u007b", text.replace("$", r"\u0024"))
    if (size := len(text.encode())) > LARGEST:
        raise OrchestratorError(
            f"endpoint {declaration.name!r} has {size:,} bytes to be told to its server; a pod takes {LARGEST:,}",
            hint="the example is one row of the model's training data: is it that wide?",
        )
    return text


def _brief(variant: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in variant.items() if key not in _UNSAID or value != _UNSAID[key]}


def load(text: str) -> Declaration:
    """The declaration in a variable's value. Raises OrchestratorError."""
    return declarations.load(text)
