"""The types of inputs and outputs: those of parameters, and artifacts by title."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import AfterValidator, WithJsonSchema

from orchestrator.errors import did_you_mean

PARAMETERS = {
    "string": "STRING",
    "integer": "NUMBER_INTEGER",
    "number": "NUMBER_DOUBLE",
    "boolean": "BOOLEAN",
    "list": "LIST",
    "struct": "STRUCT",
    "TaskFinalStatus": "TASK_FINAL_STATUS",
}
ARTIFACTS = (
    "Artifact",
    "Dataset",
    "Model",
    "Metrics",
    "ClassificationMetrics",
    "SlicedClassificationMetrics",
    "HTML",
    "Markdown",
)
_SHOWN = {kind: name for name, kind in PARAMETERS.items()}
_TITLED = re.compile(r"[A-Za-z][A-Za-z0-9_]*\.[A-Za-z][A-Za-z0-9_]*")
_LIST = re.compile(r"[Ll]ist\[(.+)\]")


@dataclass(frozen=True, slots=True)
class Type:
    """The type of an input or output: a parameter's (`NUMBER_DOUBLE`) or an artifact's title (`system.Dataset`)."""

    name: str
    artifact: bool = False
    many: bool = False
    version: str = "0.0.1"

    def __str__(self) -> str:
        shown = self.name.removeprefix("system.") if self.artifact else _SHOWN.get(self.name, self.name)
        return f"list[{shown}]" if self.many else shown


def type_of(text: str) -> Type:
    """The type a file names. Raises ValueError (message, hint)."""
    if text in PARAMETERS:
        return Type(PARAMETERS[text])
    if match := _LIST.fullmatch(text):
        inner = type_of(match[1])
        return Type(inner.name, True, True, inner.version) if inner.artifact else Type("LIST")
    if text in ARTIFACTS:
        return Type(f"system.{text}", True)
    if _TITLED.fullmatch(text):
        return Type(text, True)
    known = (*PARAMETERS, *ARTIFACTS)
    hint = did_you_mean(text, known)
    listed = f"known: {', '.join(known)}, or NAMESPACE.TITLE for an artifact of your own"
    raise ValueError(f"unknown type {text!r}", hint if hint.startswith("did you") else listed)


def type_for(value: Any) -> Type | None:
    """The parameter type of a constant; None where nothing can be told from it."""
    match value:
        case bool():
            return Type("BOOLEAN")
        case int():
            return Type("NUMBER_INTEGER")
        case float():
            return Type("NUMBER_DOUBLE")
        case str():
            return Type("STRING")
        case list():
            return Type("LIST")
        case dict():
            return Type("STRUCT")
    return None


def fits(value: Any, kind: str) -> bool:
    """Whether a constant may stand for a parameter of this type."""
    found = type_for(value)
    if found is None:
        return False
    return found.name == kind or (kind == "NUMBER_DOUBLE" and found.name == "NUMBER_INTEGER")


def _named(text: str) -> str:
    type_of(text)
    return text


SCHEMA = WithJsonSchema(
    {
        "anyOf": [
            {"enum": [*PARAMETERS, *ARTIFACTS]},
            {"type": "string", "pattern": r"^([Ll]ist\[.+\]|[A-Za-z]\w*\.[A-Za-z]\w*)$"},
        ]
    }
)
TypeName = Annotated[str, AfterValidator(_named), SCHEMA]
