"""What is done with the records of one file, and what comes of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from orchestrator.serving.batch.plan import Plan
from orchestrator.serving.batch.records import Source
from orchestrator.serving.batch.values import Cell


@dataclass(frozen=True, slots=True)
class Task:
    """What is done with the records of one file."""

    source: Source
    plan: Plan
    output: str
    # The model's column each column of a table feeds: by its name, or by its place where there is no header.
    feeds: Mapping[str, str] = field(default_factory=dict)
    # Of a table that is written: its columns, and those of the source and of the model among them.
    columns: tuple[str, ...] = ()
    cells: Mapping[str, Cell] = field(default_factory=dict)
    types: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Rejected:
    """A record that has no prediction: which one, in which line, why, and what it was."""

    record: int
    line: int
    reason: str
    input: Any


@dataclass(frozen=True, slots=True)
class Answered:
    """The records of a chunk as they are written, and those that are bad."""

    bodies: tuple[bytes, ...]
    rejected: tuple[Rejected, ...] = ()
    unread: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Record:
    """One record: what the model is given (or Bad), what it is joined with, and how it stood in the file."""

    given: Any
    whole: Any
    line: int
    text: Any
