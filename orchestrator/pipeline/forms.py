"""The forms of texts and amounts in our files: names, labels, durations, quantities, paths."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Annotated, Any

from pydantic import AfterValidator, Field

from orchestrator.pipeline import quantity

_LABEL_VALUE = re.compile(r"([A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?)?")
_LABEL_KEY = re.compile(r"([a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?/)?[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?")
_LABEL_HINT = "letters, digits, '-', '_' and '.', at most 63"
_ANNOTATIONS_BYTES = 256 * 1024


def matching(pattern: str, what: str, hint: str) -> Callable[[str], str]:
    """A check that a text is of a form."""
    compiled = re.compile(pattern)

    def check(text: str) -> str:
        if not compiled.fullmatch(text):
            raise ValueError(f"{text!r} is not {what}", hint)
        return text

    return check


def filled(items: list[Any]) -> list[Any]:
    """A list that must hold something."""
    if not items:
        raise ValueError("the list is empty")
    return items


def _labels(labels: dict[str, str]) -> dict[str, str]:
    for key, value in labels.items():
        if not _LABEL_KEY.fullmatch(key):
            raise ValueError(f"{key!r} is not a label's name", _LABEL_HINT)
        if not _LABEL_VALUE.fullmatch(value):
            raise ValueError(f"{value!r} is not a label's value", _LABEL_HINT)
    return labels


def _annotations(annotations: dict[str, str]) -> dict[str, str]:
    for key in annotations:
        if not _LABEL_KEY.fullmatch(key):
            raise ValueError(f"{key!r} is not an annotation's name", _LABEL_HINT)
    if sum(len(text.encode()) for pair in annotations.items() for text in pair) > _ANNOTATIONS_BYTES:
        raise ValueError("the annotations are larger than 256 KiB, the most that Kubernetes takes")
    return annotations


FILLED = Field(json_schema_extra={"minItems": 1})
_DURATION_SCHEMA = {"anyOf": [{"type": "integer", "minimum": 0}, {"type": "string"}], "examples": ["10s", "30m", "7d"]}
Duration = Annotated[int | str, AfterValidator(quantity.seconds), Field(json_schema_extra=_DURATION_SCHEMA)]
Cpu = Annotated[int | float | str, AfterValidator(quantity.cpu)]
Memory = Annotated[int | str, AfterValidator(quantity.memory)]
Labels = Annotated[dict[str, str], AfterValidator(_labels)]
Annotations = Annotated[dict[str, str], AfterValidator(_annotations)]
ObjectName = Annotated[
    str,
    AfterValidator(
        matching(
            r"[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?",
            "the name of an object in Kubernetes",
            "lower case letters, digits, '-' and '.'",
        )
    ),
]
ClassName = Annotated[
    str,
    AfterValidator(
        matching(
            r"[a-z0-9]([a-z0-9.-]{0,61}[a-z0-9])?",
            "the name of a priority class",
            "lower case letters, digits, '-' and '.', at most 63",
        )
    ),
]
MountPath = Annotated[
    str, AfterValidator(matching(r"/[^:\x00]+", "a path to mount at", "an absolute path below /, without ':'"))
]
InnerPath = Annotated[
    str,
    AfterValidator(
        matching(r"(?!/)(?!(?:.*/)?\.\.(?:/|$)).+", "a folder inside the claim", "a relative path, without '..'")
    ),
]
ResourceName = Annotated[
    str,
    AfterValidator(
        matching(
            r"[a-z0-9]([a-z0-9.-]*[a-z0-9])?/[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?",
            "the name of a device",
            "write nvidia.com/gpu, amd.com/gpu, or what the nodes of the cluster call it",
        )
    ),
]
