"""A file as chunks of records: read piece by piece, a record never larger than it may be, in memory that stays."""

from __future__ import annotations

import csv
import io
from collections import Counter, deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import IO, Any

from orchestrator.errors import OrchestratorError
from orchestrator.serving.batch import plan as plans
from orchestrator.serving.batch.plan import Plan

BOM = b"\xef\xbb\xbf"
# A chunk of long records is given to the model before it is full, lest it take too much memory.
BYTES = 4 * 1024 * 1024
_PARQUET = b"PAR1"
_DELIMITERS = ",\t;|"
_NO_CSV = "is this a CSV file?"


@dataclass(frozen=True, slots=True)
class Source:
    """How the records of a file are written: what a process needs to read a chunk of them."""

    name: str
    format: str
    columns: tuple[str, ...] = ()
    delimiter: str = ","
    header: bool = True
    schema: Any = None  # Arrow's, of a Parquet file.


@dataclass(frozen=True, slots=True)
class Line:
    """A record as it stands in a text file, where, and why it is not even read."""

    number: int
    text: bytes
    problem: str = ""
    # Within a quoted cell it is part of the text.
    end: bytes = field(default=b"\n", compare=False)


@dataclass(frozen=True, slots=True)
class Chunk:
    """Some records after one another: lines of text, or rows of a table in Arrow's own format."""

    first: int
    lines: tuple[Line, ...] = ()
    table: bytes = b""
    rows: int = 0

    def __len__(self) -> int:
        return self.rows or len(self.lines)

    def halves(self) -> tuple[Chunk, Chunk]:
        """The first half of the records, and the second."""
        middle = len(self) // 2
        if not self.rows:
            return Chunk(self.first, self.lines[:middle]), Chunk(self.first + middle, self.lines[middle:])
        table = rows(self.table)
        first, second = table.slice(0, middle), table.slice(middle)
        return (
            Chunk(self.first, table=packed(first), rows=middle),
            Chunk(self.first + middle, table=packed(second), rows=self.rows - middle),
        )


def recognised(stream: IO[bytes], name: str, plan: Plan) -> Source:
    """What a file holds: by what is asked for, its first bytes, its name, and its header. It is read from the start."""
    begin = stream.read(1 << 16)
    stream.seek(0)
    if not begin.removeprefix(BOM).strip():
        raise OrchestratorError(f"{name}: the file is empty")
    kind = plan.input_format or _format(begin, name)
    if kind == "parquet":
        return _parquet(stream, name)
    if kind == "jsonl":
        return Source(name, kind)
    first = next(texts(stream, plan, quoted=True), None)
    stream.seek(0)
    if first is None or first.problem:
        raise OrchestratorError(f"{name}: the header line cannot be read", hint=_NO_CSV)
    try:
        header = first.text.decode()
    except UnicodeDecodeError as error:
        raise OrchestratorError(f"{name}:1: the header line is not UTF-8") from error
    counts = Counter(character for character in header if character in _DELIMITERS)
    delimiter = plan.delimiter or max(_DELIMITERS, key=lambda each: counts[each])
    cells = _cells(header, delimiter, name)
    if not plan.header:
        return Source(name, kind, tuple(str(number) for number in range(len(cells))), delimiter, header=False)
    if twice := next((cell for cell in cells if cells.count(cell) > 1), None):
        raise OrchestratorError(f"{name}:1: two columns are named {twice!r}", hint="rename one, or say --no-header")
    return Source(name, kind, tuple(cells), delimiter)


def _cells(header: str, delimiter: str, name: str) -> list[str]:
    try:
        rows = list(csv.reader(io.StringIO(header, newline=""), delimiter=delimiter))
    except (csv.Error, ValueError) as error:
        raise OrchestratorError(f"{name}:1: the header line cannot be read: {error}", hint=_NO_CSV) from error
    if len(rows) > 1:
        raise OrchestratorError(f"{name}: its lines end with \\r alone", hint="write it with \\n or \\r\\n")
    return rows[0] if rows else []


def chunks(stream: IO[bytes], source: Source, plan: Plan) -> Iterator[Chunk]:
    """The records of a file, in order, a chunk at a time."""
    if source.format == "parquet":
        yield from _tables(stream, plan)
        return
    waiting: list[Line] = []
    first, size = 1, 0
    lines = texts(stream, plan, quoted=source.format == "csv")
    if source.format == "csv" and source.header:
        next(lines, None)
    for line in lines:
        waiting.append(line)
        size += len(line.text)
        if len(waiting) >= plan.size or size >= BYTES:
            yield Chunk(first, tuple(waiting))
            first, size, waiting = first + len(waiting), 0, []
    if waiting:
        yield Chunk(first, tuple(waiting))


def texts(stream: IO[bytes], plan: Plan, *, quoted: bool) -> Iterator[Line]:
    """The lines of a text file that hold something; one with an open double quote goes on in the next, if `quoted`."""
    held: deque[Line] = deque()
    lines = _bounded(stream, plan.payload)
    while True:
        line = held.popleft() if held else next(lines, None)
        if line is None:
            return
        if not line.problem and not line.text.strip():
            continue
        if not quoted or line.problem or line.text.count(b'"') % 2 == 0:
            yield line
            continue
        parts, is_whole = _continued(line, held, lines, plan.payload)
        if is_whole:
            *before, last = parts
            yield Line(line.number, b"".join(part.text + part.end for part in before) + last.text, end=last.end)
            continue
        yield Line(line.number, line.text, "a double quote is left open")
        held.extendleft(reversed(parts[1:]))


def _continued(line: Line, held: deque[Line], lines: Iterator[Line], most: int) -> tuple[list[Line], bool]:
    parts, size = [line], len(line.text)
    while size <= most:
        following = held.popleft() if held else next(lines, None)
        if following is None:
            return parts, False
        parts.append(following)
        size += len(parts[-2].end) + len(following.text)
        if following.problem:
            return parts, False
        if following.text.count(b'"') % 2:
            return parts, size <= most
    return parts, False


def _bounded(stream: IO[bytes], most: int) -> Iterator[Line]:
    """Lines without their ends; of one that is too long only its beginning is ever held."""
    number = 0
    # Two more than allowed: the end of the line counts as well.
    while piece := stream.readline(most + 2):
        number += 1
        if number == 1:
            piece = piece.removeprefix(BOM)
        text = piece.rstrip(b"\r\n")
        if len(text) > most:
            while not piece.endswith(b"\n") and (piece := stream.readline(1 << 20)):
                pass
            yield Line(number, text[:1000], f"the record is larger than {most:,} bytes")
        else:
            yield Line(number, text, end=piece[len(text) :])


def packed(table: Any) -> bytes:
    """A table as bytes another process reads."""
    import pyarrow as pa

    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table) if isinstance(table, pa.Table) else writer.write_batch(table)
    whole: bytes = sink.getvalue().to_pybytes()
    return whole


def rows(packed: bytes) -> Any:
    """The table in such bytes."""
    import pyarrow as pa

    return pa.ipc.open_stream(pa.BufferReader(packed)).read_all()


def _format(begin: bytes, name: str) -> str:
    if begin.startswith(_PARQUET):
        return "parquet"
    named = plans.format_of(name)
    if named:
        return named
    return "jsonl" if begin.removeprefix(BOM).lstrip().startswith((b"{", b"[")) else "csv"


def _parquet(stream: IO[bytes], name: str) -> Source:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        schema = pq.ParquetFile(stream).schema_arrow
    except (pa.ArrowException, OSError) as error:
        message = f"{name}: not a readable Parquet file: {str(error).splitlines()[0]}"
        raise OrchestratorError(message, hint="is the file cut off, or not a Parquet file at all?") from error
    stream.seek(0)
    return Source(name, "parquet", tuple(schema.names), schema=schema.remove_metadata())


def _tables(stream: IO[bytes], plan: Plan) -> Iterator[Chunk]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    first = 1
    try:
        # Rows are read as they are needed, not a row group ahead.
        for batch in pq.ParquetFile(stream, pre_buffer=False).iter_batches(plan.size):
            if batch.num_rows:
                yield Chunk(first, table=packed(batch.replace_schema_metadata(None)), rows=batch.num_rows)
                first += batch.num_rows
    except (pa.ArrowException, OSError) as error:
        raise OrchestratorError(f"row {first:,} cannot be read: {str(error).splitlines()[0]}") from error
