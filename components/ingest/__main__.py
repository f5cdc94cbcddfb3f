"""Read a table from a file, a URI or a database, and split it."""

from __future__ import annotations

import os
from typing import Any

from components.ingest import ingest, origin
from components.tables import dataset
from components.tables.reading import Reading
from orchestrator import program
from orchestrator.errors import OrchestratorError


def main(task: program.Task) -> None:
    """Read, split, write one Parquet file per split."""
    read = _origin(task)
    plan = ingest.Plan(
        shares=task.value("split"),
        key=_names(task, "key"),
        columns=_names(task, "columns"),
        drop_missing=_names(task, "drop_missing"),
        method=task.value("method"),
        seed=task.value("seed"),
    )
    splits = ingest.ingest(read.table, plan, name=read.name)
    for column, count in splits.dropped.items():
        task.log(f"dropped {count:,} of {read.table.num_rows:,} rows: no value in {column!r}")
    for name, table in splits.tables.items():
        dataset.write(table, task.output(name))
        if table.num_rows:
            task.log(f"{name}: {table.num_rows:,} rows, {table.num_columns} columns")
        task.metadata(name, {"rows": table.num_rows, "columns": table.num_columns, "source_sha256": read.digest})
    task.set("rows", splits.rows)


def _origin(task: program.Task) -> origin.Origin:
    reading = Reading(
        format=task.value("format"),
        delimiter=task.value("delimiter"),
        missing=_names(task, "missing"),
        types=task.value("types"),
    )
    path, uri, query = task.optional_path("source"), task.value("uri"), task.value("query")
    given = [name for name, value in (("source", path), ("uri", uri), ("query", query)) if value]
    if len(given) != 1:
        message = f"both {' and '.join(given)} are given" if given else "there is nothing to read"
        raise OrchestratorError(message, hint="give one of source (a file), uri and query")
    if path:
        return origin.file(path, reading)
    if uri:
        return origin.uri(uri, reading)
    return origin.query(query, task.value("database"), reading, os.environ)


def _names(task: program.Task, name: str) -> tuple[str, ...]:
    values: list[Any] = task.value(name)
    for value in values:
        if not isinstance(value, str):
            raise OrchestratorError(f"{name}: is a list of texts, and {value!r} is not one")
    return tuple(values)


if __name__ == "__main__":
    program.run(__file__, main)
