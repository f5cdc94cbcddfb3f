"""CSV and JSON Lines: parsed by Arrow at its speed; when that fails, read again line by line to say where."""

from __future__ import annotations

import csv as csv_module
import io
import json
from collections import Counter

import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.json as pa_json

from components.tables.reading import TYPES, Reading
from orchestrator.errors import OrchestratorError

# Arrow infers types from the first block only, so the file is one block: a late "1.5" makes the column a float.
_MAX_BLOCK = 1 << 30
_DELIMITERS = ",\t;|"
BOM = b"\xef\xbb\xbf"


def csv(raw: bytes, name: str, reading: Reading) -> pa.Table:
    """The table in a CSV file with a header line."""
    _check_text(raw, name)
    delimiter = reading.delimiter or _delimiter(raw)
    if len(delimiter) != 1:
        raise OrchestratorError(f"the delimiter is one character, not {delimiter!r}")
    # Arrow drops the rows behind a quote that is never closed, without a word; quotes come in pairs otherwise.
    if raw.count(b'"') % 2 and (problem := _csv_problem(raw, name, delimiter)):
        raise problem
    # Only text has to be known before parsing: "007" read as a number has lost its zeros.
    as_text = {column: TYPES["string"] for column, kind in reading.types.items() if kind == "string"}
    try:
        return pa_csv.read_csv(
            pa.BufferReader(raw),
            read_options=pa_csv.ReadOptions(block_size=_block(raw)),
            parse_options=pa_csv.ParseOptions(delimiter=delimiter, newlines_in_values=True),
            convert_options=pa_csv.ConvertOptions(
                column_types=as_text, null_values=list(reading.missing), strings_can_be_null=True
            ),
        )
    except pa.ArrowException as error:
        problem = _csv_problem(raw, name, delimiter) or OrchestratorError(f"{name}: not valid CSV: {error}")
        raise problem from error


def jsonl(raw: bytes, name: str) -> pa.Table:
    """The table in a JSON Lines file: one object per line."""
    _check_text(raw, name)
    raw = raw.removeprefix(BOM)
    if raw.lstrip().startswith(b"["):
        hint = "turn it into JSON Lines, one object per line: jq -c '.[]'"
        raise OrchestratorError(f"{name}:1: the file is one JSON array", hint=hint)
    try:
        return pa_json.read_json(pa.BufferReader(raw), read_options=pa_json.ReadOptions(block_size=_block(raw)))
    except pa.ArrowException as error:
        raise _json_error(raw, name, str(error)) from error


def _block(raw: bytes) -> int:
    return min(max(len(raw) + 1, 1 << 16), _MAX_BLOCK)


def _delimiter(raw: bytes) -> str:
    """The likeliest of comma, tab, semicolon and bar in the header line; a comma when none is there."""
    header = raw.lstrip().split(b"\n", 1)[0].decode()
    counts = Counter(character for character in header if character in _DELIMITERS)
    return max(_DELIMITERS, key=lambda delimiter: counts[delimiter])


def _check_text(raw: bytes, name: str) -> None:
    zero = raw.find(b"\0")
    if zero >= 0:
        line = raw.count(b"\n", 0, zero) + 1
        raise OrchestratorError(f"{name}:{line}: not a text file: it holds a zero byte", hint="is this the right file?")
    try:
        raw.decode("utf-8")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        message = f"{name}:{line}: byte 0x{raw[error.start]:02x} is not UTF-8"
        raise OrchestratorError(message, hint="save the file as UTF-8: iconv -f LATIN1 -t UTF-8") from error


def _csv_problem(raw: bytes, name: str, delimiter: str) -> OrchestratorError | None:
    lines = io.StringIO(raw.removeprefix(BOM).decode(), newline="")
    rows = csv_module.reader(lines, delimiter=delimiter, strict=True)
    width = 0
    begin = 1
    try:
        for row in rows:
            width = width or len(row)
            if row and len(row) != width:
                message = f"{name}:{begin}: the row has {_cells(len(row))}, the header has {_cells(width)}"
                return OrchestratorError(message, hint=f'a value that holds {delimiter!r} stands in "double quotes"')
            begin = rows.line_num + 1
    except csv_module.Error as error:
        return OrchestratorError(f"{name}:{begin}: not valid CSV: {error}", hint="is a double quote left open?")
    return None


def _cells(count: int) -> str:
    return "1 cell" if count == 1 else f"{count} cells"


def _json_error(raw: bytes, name: str, reason: str) -> OrchestratorError:
    kinds: dict[str, tuple[str, int]] = {}
    for number, line in enumerate(raw.decode().splitlines(), start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except json.JSONDecodeError as error:
            return OrchestratorError(f"{name}:{number}: not valid JSON: {error.msg} at column {error.colno}")
        if not isinstance(row, dict):
            return OrchestratorError(
                f"{name}:{number}: expected a JSON object", hint='one row is {"column": value, ...}'
            )
        for column, value in row.items():
            kind = _json_kind(value)
            first, at = kinds.setdefault(column, (kind, number)) if kind else (kind, number)
            if kind != first:
                message = f"{name}:{number}: column {column!r} holds {kind}, but {first} in line {at}"
                return OrchestratorError(message, hint="give all values of a column one type")
    return OrchestratorError(f"{name}: not valid JSON Lines: {reason}")


def _json_kind(value: object) -> str:
    match value:
        case None:
            return ""
        case bool():
            return "a boolean"
        case int() | float():
            return "a number"
        case str():
            return "text"
        case list():
            return "a list"
        case _:
            return "an object"
