"""What a server in a pod is told to serve: a declaration in one variable, which nothing on its way may change.

Two readers on that way take parts of a value for their own: KServe fills `{{...}}` in as a template, and Kubernetes
`$(NAME)` as a variable. So neither `{{` nor `$` is written as such; JSON has another way to write both.
"""

from __future__ import annotations

import json
import re

from orchestrator.errors import OrchestratorError
from orchestrator.serving import declarations, endpoint
from orchestrator.serving.declarations import Declaration

VARIABLE = "ORC_DECLARATION"
# The kernel refuses a program a variable of 128 KiB; a rollback needs the object twice in one.
LARGEST = 100 * 1024


def dump(declaration: Declaration) -> str:
    """The declaration without what another deployment of the same would change, nor what the server does not use."""
    spec = endpoint.dump(declaration.spec)
    told = {
        "version": declaration.version,
        "name": declaration.name,
        "variants": [{**each.model_dump(mode="json"), "path": ""} for each in declaration.variants],
        "spec": {
            **{key: spec[key] for key in ("apiVersion", "kind", "variants", "limits")},
            "metadata": {"name": declaration.name},
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


def load(text: str) -> Declaration:
    """The declaration in a variable's value. Raises OrchestratorError."""
    return declarations.load(text)
