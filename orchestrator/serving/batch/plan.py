"""What is asked of a batch: how files become records, what is kept of them, and how many may be bad."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal, get_args

from orchestrator.errors import OrchestratorError, did_you_mean
from orchestrator.serving import quantity
from orchestrator.serving.batch.jsonpath import Path

Format = Literal["csv", "jsonl", "parquet"]
FORMATS: tuple[str, ...] = get_args(Format)
Split = Literal["line", "none"]
SPLITS: tuple[str, ...] = get_args(Split)
JOINS = ("none", "input")
PAYLOAD = 6 * 1024 * 1024
SECONDS = 600.0
_SUFFIXES = {".csv": "csv", ".tsv": "csv", ".jsonl": "jsonl", ".ndjson": "jsonl", ".parquet": "parquet"}
_THRESHOLD = re.compile(r"(?P<number>\d+(?:\.\d+)?)\s*(?P<percent>%)?")


@dataclass(frozen=True, slots=True)
class Threshold:
    """How many records may be bad: a number of them, or percent of all."""

    most: float = 0
    percent: bool = False

    def is_over(self, bad: int, records: int) -> bool:
        """Whether so many are too many of so many."""
        return bad > (self.most / 100 * records if self.percent else self.most)

    def __str__(self) -> str:
        return f"{self.most:g}%" if self.percent else f"{self.most:g}"


@dataclass(frozen=True, slots=True)
class Plan:
    """How a batch is done; see docs/serving.md."""

    split: str = "line"
    join: str = "none"
    input_format: str = ""
    output_format: str = ""
    header: bool = True
    delimiter: str = ""
    input_filter: Path = field(default=Path())
    output_filter: Path = field(default=Path())
    # Under which a prediction stands beside the record it is for.
    name: str = "prediction"
    threshold: Threshold = Threshold()
    # Records the model is given at once; and the bytes of one record, beyond which it is a bad one.
    size: int = 1000
    payload: int = PAYLOAD
    workers: int | None = None
    retries: int = 3
    seconds: float = SECONDS

    def __post_init__(self) -> None:
        for what, value, known in (
            ("split", self.split, SPLITS),
            ("join", self.join, JOINS),
            ("format", self.input_format, ("", *FORMATS)),
            ("format", self.output_format, ("", *FORMATS)),
        ):
            if value not in known:
                hint = did_you_mean(value, filter(None, known))
                raise OrchestratorError(f"there is no {what} {value!r}", hint=hint)
        if self.split == "none" and self.join != "none":
            raise OrchestratorError(
                "a file that is not split has no records to join", hint="leave join out, or split line"
            )
        for what, number, least in (("size", self.size, 1), ("payload", self.payload, 1), ("retries", self.retries, 0)):
            if number < least:
                raise OrchestratorError(f"{what} is a whole number from {least}, not {number}")
        if self.seconds <= 0 or (self.workers is not None and self.workers < 1):
            raise OrchestratorError("timeout and workers are greater than 0")
        if len(self.delimiter) > 1:
            raise OrchestratorError(f"the delimiter is one character, not {self.delimiter!r}")

    @property
    def joins(self) -> bool:
        return self.join == "input"


def threshold(text: str) -> Threshold:
    """The threshold a text says: 10, or 0.5%. Raises OrchestratorError."""
    match = _THRESHOLD.fullmatch(text.strip())
    most = float(match["number"]) if match else 0.0
    percent = bool(match and match["percent"])
    if not match or (percent and most > 100) or (not percent and not most.is_integer()):
        message = f"an error threshold is a number of records or a share of them, not {text!r}"
        raise OrchestratorError(message, hint="write 10, or 0.5%")
    return Threshold(most, percent)


def size(text: str) -> int:
    """The bytes that 6Mi says. Raises OrchestratorError."""
    return int(_read(quantity.size, text, "for example 512Ki or 6Mi"))


def seconds(text: str) -> float:
    """The seconds that 10m says. Raises OrchestratorError."""
    return _read(quantity.seconds, text, "for example 30s or 10m")


def _read(read: Callable[[str], float], text: str, hint: str) -> float:
    try:
        return read(text.strip())
    except ValueError as error:
        raise OrchestratorError(str(error), hint=hint) from error


def format_of(name: str) -> str:
    """The format a file's name says; "" when it says none."""
    stem = name.lower().removesuffix(".gz")
    return next((kind for suffix, kind in _SUFFIXES.items() if stem.endswith(suffix)), "")
