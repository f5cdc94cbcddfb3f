"""References: what stands between `${` and `}`, and texts that hold them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, TypeAlias


class ExpressionError(ValueError):
    """An expression that cannot be read; `hint` says how to write it."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


@dataclass(frozen=True, slots=True)
class Parameter:
    """`parameters.NAME`"""

    name: str

    def __str__(self) -> str:
        return f"parameters.{self.name}"


@dataclass(frozen=True, slots=True)
class Output:
    """`tasks.TASK.outputs.NAME`"""

    task: str
    name: str

    def __str__(self) -> str:
        return f"tasks.{self.task}.outputs.{self.name}"


@dataclass(frozen=True, slots=True)
class Run:
    """`run.FIELD`: something known about the run."""

    field: str

    def __str__(self) -> str:
        return f"run.{self.field}"


@dataclass(frozen=True, slots=True)
class Item:
    """`item`, the current one of a loop, or `item.FIELD` of it."""

    field: str = ""

    def __str__(self) -> str:
        return f"item.{self.field}" if self.field else "item"


@dataclass(frozen=True, slots=True)
class OneOf:
    """`one_of(tasks.A.outputs.X, tasks.B.outputs.Y)`: the output of the branch that ran."""

    outputs: tuple[Output, ...]

    def __str__(self) -> str:
        return f"one_of({', '.join(map(str, self.outputs))})"


Reference: TypeAlias = Parameter | Output | Run | Item | OneOf


@dataclass(frozen=True, slots=True)
class Text:
    """Text with references inside."""

    parts: tuple[str | Reference, ...]


RUN_FIELDS = {
    "name": "{{$.pipeline_job_name}}",
    "id": "{{$.pipeline_job_uuid}}",
    "created": "{{$.pipeline_job_create_time_utc}}",
    "scheduled": "{{$.pipeline_job_schedule_time_utc}}",
    "task": "{{$.pipeline_task_name}}",
    "status": "",
}
_FORMS = "write ${parameters.NAME}, ${tasks.TASK.outputs.NAME}, ${item}, ${run.name} or ${one_of(...)}"
WORD = r"[A-Za-z_][A-Za-z0-9_-]*"
_HOLE = re.compile(r"\$\$\{|\$\{([^}]*)\}|\$\{")
_PATH = re.compile(rf"{WORD}(?:\.{WORD})*")
_ONE_OF = re.compile(r"one_of\s*\((.*)\)", re.DOTALL)


def value(text: str) -> str | Reference | Text:
    """The value a text of an argument stands for: itself, what one reference names, or text with references inside."""
    if "${" not in text:
        return text
    return _value(text)


def tree(written: Any) -> Any:
    """An argument with every text in it read, however deep it lies in lists and mappings."""
    match written:
        case str():
            return value(written)
        case list():
            return [tree(each) for each in written]
        case dict():
            return {key: tree(each) for key, each in written.items()}
    return written


@lru_cache(maxsize=4096)
def _value(text: str) -> str | Reference | Text:
    parts: list[str | Reference] = []
    end = 0
    for match in _HOLE.finditer(text):
        parts.append(text[end : match.start()])
        end = match.end()
        if match[0] == "$${":
            parts.append("${")
        elif match[1] is None:
            raise ExpressionError(f"'${{' without '}}' in {text!r}", "write '$${' for a literal '${'")
        else:
            parts.append(reference(match[1]))
    parts.append(text[end:])
    joined = _joined(parts)
    if not joined:
        return ""
    return joined[0] if len(joined) == 1 else Text(tuple(joined))


def _joined(parts: list[str | Reference]) -> list[str | Reference]:
    """Neighbouring texts become one; empty ones go."""
    result: list[str | Reference] = []
    for part in parts:
        if isinstance(part, str) and result and isinstance(result[-1], str):
            result[-1] += part
        elif part != "":
            result.append(part)
    return result


def reference(text: str) -> Reference:
    """What a reference names: the inside of `${...}`."""
    text = text.strip()
    if match := _ONE_OF.fullmatch(text):
        return _one_of(match[1])
    if not _PATH.fullmatch(text):
        raise ExpressionError(f"'${{{text}}}' is not a reference", _FORMS)
    match text.split("."):
        case ["parameters", name]:
            return Parameter(name)
        case ["tasks", task, "outputs", name]:
            return Output(task, name)
        case ["item"]:
            return Item()
        case ["item", field]:
            return Item(field)
        case ["run", field] if field in RUN_FIELDS:
            return Run(field)
        case ["run", field]:
            raise ExpressionError(f"a run has no {field!r}", f"known: {', '.join(sorted(RUN_FIELDS))}")
        case ["tasks", task, name]:
            raise ExpressionError(f"'${{{text}}}' is not a reference", f"write ${{tasks.{task}.outputs.{name}}}")
    raise ExpressionError(f"'${{{text}}}' is not a reference", _FORMS)


def _one_of(inside: str) -> OneOf:
    outputs = [reference(part) for part in inside.split(",")]
    if len(outputs) < 2 or not all(isinstance(output, Output) for output in outputs):
        raise ExpressionError(
            f"one_of takes two or more outputs of tasks, not '{inside}'",
            "write ${one_of(tasks.a.outputs.x, tasks.b.outputs.x)}",
        )
    return OneOf(tuple(output for output in outputs if isinstance(output, Output)))


def references(argument: Any) -> Iterator[Reference]:
    """Every reference in an argument that was read, in reading order; OneOf as a whole."""
    match argument:
        case Parameter() | Output() | Run() | Item() | OneOf():
            yield argument
        case Text(parts):
            yield from (part for part in parts if not isinstance(part, str))
        case list():
            for item in argument:
                yield from references(item)
        case dict():
            for item in argument.values():
                yield from references(item)
