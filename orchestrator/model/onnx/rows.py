"""Rows of a file as a model takes them: CSV, JSON Lines or Parquet, part by part, in the types of its signature."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from orchestrator.errors import OrchestratorError
from orchestrator.model import frame
from orchestrator.model.signature import MISSING_WORDS, Column, Columns

ROWS = 10_000


def read(path: Path, inputs: Sequence[Column], *, limit: int | None = None) -> Iterator[Columns]:
    """The columns of a file, at most `ROWS` rows at a time and `limit` in all. Raises OrchestratorError."""
    left = limit
    try:
        for table in _tables(path, inputs):
            part = table if left is None else table.head(left)
            if len(part):
                yield frame.take(part, inputs, what=path.name)
            left = None if left is None else left - len(part)
            if left == 0:
                return
    except OrchestratorError:
        raise
    except (ValueError, OSError, EOFError, zlib.error) as error:  # What pandas and Arrow raise over a file's content.
        raise OrchestratorError(f"{path} cannot be read: {str(error).splitlines()[0]}") from error


def _tables(path: Path, inputs: Sequence[Column]) -> Iterator[Any]:
    import pandas as pd

    texts = {column.name: str for column in inputs if column.type in ("string", "timestamp")}
    match path.suffixes[-1:] and path.name.removesuffix(".gz").rpartition(".")[2].lower():
        case "parquet" | "pq":
            import pyarrow.parquet as pq

            for batch in pq.ParquetFile(path).iter_batches(ROWS):
                yield batch.to_pandas()
        case "jsonl" | "ndjson" | "json":
            with pd.read_json(path, lines=True, chunksize=ROWS, dtype=False, convert_dates=False) as parts:
                yield from parts
        case _:
            options: dict[str, Any] = {"dtype": texts, "na_values": sorted(MISSING_WORDS), "keep_default_na": False}
            with pd.read_csv(path, chunksize=ROWS, **options) as parts:
                yield from parts
