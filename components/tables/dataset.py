"""A Dataset file as an Arrow table: CSV, JSON Lines or Parquet in, Parquet out.

Whatever the file was, the table holds plain columns only (integers, floats, booleans, text, timestamps), and a missing
value is a null: an empty cell, one of the `missing` words, a NaN.
"""

from __future__ import annotations

import gzip
import os
import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from components.tables import text
from components.tables.reading import TYPES, Reading
from orchestrator.errors import BackendError, OrchestratorError, did_you_mean

FORMATS = ("csv", "jsonl", "parquet")

_GZIP = b"\x1f\x8b"
_PARQUET = b"PAR1"
_SUFFIXES = {
    ".csv": "csv",
    ".tsv": "csv",
    ".txt": "csv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "jsonl",
    ".parquet": "parquet",
    ".pq": "parquet",
}


def read(path: Path, reading: Reading | None = None) -> pa.Table:
    """The table in the file at `path`; raises OrchestratorError that names the file and, for text, the line."""
    if path.is_dir():
        raise OrchestratorError(f"{path.name}: is a folder", hint="a Dataset is one CSV, JSON Lines or Parquet file")
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise OrchestratorError(f"{path.name}: cannot be read: {error.strerror}") from error
    return parse(raw, path.name, reading)


def parse(raw: bytes, name: str, reading: Reading | None = None) -> pa.Table:
    """The table in these bytes; `name` stands for the file in errors, and its ending counts as the file's."""
    reading = reading or Reading()
    if reading.format and reading.format not in FORMATS:
        message = f"there is no format {reading.format!r}"
        raise OrchestratorError(message, hint=did_you_mean(reading.format, FORMATS))
    raw = _unpacked(raw, name)
    if not raw.removeprefix(text.BOM).strip():
        raise OrchestratorError(f"{name}: the file is empty")
    match reading.format or detect(raw, name):
        case "parquet":
            table = _parquet(raw, name)
        case "jsonl":
            table = text.jsonl(raw, name)
        case _:
            table = text.csv(raw, name, reading)
    return plain(table, name, reading)


def detect(raw: bytes, name: str) -> str:
    """The format: by magic bytes, then by the name's ending, then by the first character (`{` opens JSON Lines)."""
    if raw.startswith(_PARQUET):
        return "parquet"
    stem = Path(name.removesuffix(".gz"))
    by_name = _SUFFIXES.get(stem.suffix.lower())
    if by_name:
        return by_name
    return "jsonl" if raw.lstrip(b"\xef\xbb\xbf \t\r\n").startswith((b"{", b"[")) else "csv"


def write(table: pa.Table, path: Path) -> None:
    """Write Parquet. The bytes depend on the table alone, so that equal data has an equal digest."""
    try:
        # Given a path, Arrow deletes what is there when writing fails, whatever it is; an open file it leaves alone.
        with path.open("wb") as file:
            pq.write_table(table, file, compression="zstd")
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else str(error)
        raise BackendError("disk", f"cannot write {path}: {reason}") from error


def plain(table: pa.Table, name: str, reading: Reading | None = None) -> pa.Table:
    """The same table with plain column types, NaN as null, and the types that `reading` asks for."""
    reading = reading or Reading()
    _check_names(table.column_names, name)
    for column, wanted in reading.types.items():
        require([column], table.column_names, name)
        if wanted not in TYPES:
            raise OrchestratorError(f"types: {column!r} cannot be {wanted!r}", hint=did_you_mean(wanted, TYPES))
    columns = [
        _typed(_plain(table[column], column, name), column, name, reading.types.get(column, ""))
        for column in table.column_names
    ]
    return pa.table(dict(zip(table.column_names, columns, strict=True)))


def require(columns: Iterable[str], known: Iterable[str], name: str) -> None:
    """Raise unless every column is among the known ones."""
    present = list(known)
    for column in columns:
        if column not in present:
            raise OrchestratorError(f"{name}: there is no column {column!r}", hint=did_you_mean(column, present))


def _unpacked(raw: bytes, name: str) -> bytes:
    if not raw.startswith(_GZIP):
        return raw
    try:
        return gzip.decompress(raw)
    except (OSError, EOFError, zlib.error) as error:
        raise OrchestratorError(f"{name}: the gzip file is damaged: {error}") from error


def _parquet(raw: bytes, name: str) -> pa.Table:
    try:
        return pq.ParquetFile(pa.BufferReader(raw)).read()
    except (pa.ArrowException, OSError) as error:
        reason = str(error).splitlines()[0]
        hint = "is the file cut off, or not a Parquet file at all?"
        raise OrchestratorError(f"{name}: not a readable Parquet file: {reason}", hint=hint) from error


def _check_names(names: list[str], file: str) -> None:
    if not names:
        raise OrchestratorError(f"{file}: there are no columns")
    for number, column in enumerate(names, start=1):
        if not column.strip():
            hint = "pandas writes its index like this: save with to_csv(index=False)" if number == 1 else ""
            raise OrchestratorError(f"{file}: column {number} has no name", hint=hint)
        if names.index(column) != number - 1:
            first = names.index(column) + 1
            message = f"{file}: two columns are named {column!r}: the {_ordinal(first)} and the {_ordinal(number)}"
            raise OrchestratorError(message, hint="rename one of them")


def _ordinal(number: int) -> str:
    suffix = "th" if number % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{suffix}"


def _plain(column: Any, name: str, file: str) -> Any:
    kind = column.type
    if pa.types.is_dictionary(kind):
        return _plain(column.cast(kind.value_type), name, file)
    if pa.types.is_date(kind):
        return column.cast(pa.timestamp("ms"))
    if pa.types.is_decimal(kind):
        return column.cast(pa.float64())
    if pa.types.is_float16(kind):
        column = column.cast(pa.float32())
    if pa.types.is_floating(column.type):
        nan = pc.is_nan(column)
        return pc.if_else(nan, pa.scalar(None, column.type), column) if pc.any(nan).as_py() else column
    if pa.types.is_integer(kind) or pa.types.is_boolean(kind) or pa.types.is_timestamp(kind):
        return column
    # A column without a single value has no type of its own; text is the one that takes any later value.
    if any(is_kind(kind) for is_kind in (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view)) or (
        pa.types.is_time(kind) or pa.types.is_null(kind)
    ):
        return column.cast(pa.string())
    message = f"{file}: column {name!r} holds {_named(kind)}, which is not a table's cell"
    raise OrchestratorError(message, hint="leave the column out or flatten it before")


def _named(kind: Any) -> str:
    if pa.types.is_nested(kind):
        return "lists" if pa.types.is_list(kind) or pa.types.is_large_list(kind) else "objects"
    return "bytes" if pa.types.is_binary(kind) or pa.types.is_large_binary(kind) else f"values of type {kind}"


def _typed(column: Any, name: str, file: str, wanted: str) -> Any:
    if not wanted:
        return column
    kind = column.type
    if (wanted == "timestamp" and pa.types.is_timestamp(kind)) or (wanted == "string" and pa.types.is_string(kind)):
        return column
    try:
        return column.cast(TYPES[wanted])
    except pa.ArrowException as error:
        reason = str(error).splitlines()[0]
        raise OrchestratorError(f"{file}: column {name!r} cannot be read as {wanted}: {reason}") from error
