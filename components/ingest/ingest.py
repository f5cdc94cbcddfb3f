"""From a table to its splits: choose columns, drop rows without a value, give every row its place."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from components.ingest import split
from components.tables import dataset
from orchestrator.errors import OrchestratorError, did_you_mean

METHODS = ("hash", "random")


@dataclass(frozen=True)
class Plan:
    """What to do with the table: see component.yaml."""

    shares: Mapping[str, Any] = field(default_factory=lambda: {"train": 0.8, "test": 0.2})
    key: Sequence[str] = ()
    columns: Sequence[str] = ()
    drop_missing: Sequence[str] = ()
    method: str = "hash"
    seed: int | None = None


@dataclass(frozen=True)
class Splits:
    """The three tables (those not asked for have no rows) and how many rows were dropped on the way, by column."""

    tables: Mapping[str, pa.Table]
    dropped: Mapping[str, int]

    @property
    def rows(self) -> int:
        return sum(table.num_rows for table in self.tables.values())


def ingest(table: pa.Table, plan: Plan, *, name: str = "source") -> Splits:
    """Split the table; raises OrchestratorError, calling the table `name`, when the plan does not fit it."""
    shares = split.shares(plan.shares)
    _check(table, plan, name)
    table, dropped = _dropped(table, plan.drop_missing)
    if not table.num_rows:
        raise OrchestratorError(f"{name}: no row has a value in {', '.join(plan.drop_missing)}")
    places = _places(table, plan, name)
    kept = table.select(list(plan.columns)) if plan.columns else table
    # Files of Arrow and of pandas carry metadata of their own; equal rows are to be equal bytes.
    kept = kept.combine_chunks().replace_schema_metadata(None)
    tables = {split_name: kept.slice(0, 0) for split_name in split.SPLITS}
    for split_name, rows in split.assign(places, shares).items():
        tables[split_name] = kept.filter(pa.array(rows))
        if not tables[split_name].num_rows:
            message = f"{name}: the split {split_name!r} ({shares[split_name]:g} of {table.num_rows} rows) got no row"
            raise OrchestratorError(message, hint=_too_few(plan))
    return Splits(tables, dropped)


def _check(table: pa.Table, plan: Plan, name: str) -> None:
    if not table.num_rows:
        raise OrchestratorError(f"{name}: there are no rows", hint="the file holds a header and nothing else")
    for what, columns in (("key", plan.key), ("columns", plan.columns), ("drop_missing", plan.drop_missing)):
        if twice := next((column for column in columns if list(columns).count(column) > 1), None):
            raise OrchestratorError(f"{what}: names {twice!r} twice")
        dataset.require(columns, table.column_names, f"{what}: {name}")
    if plan.method not in METHODS:
        raise OrchestratorError(f"there is no method {plan.method!r}", hint=did_you_mean(plan.method, METHODS))
    if plan.method == "random" and plan.seed is None:
        raise OrchestratorError("a random split needs a seed", hint="give seed, e.g. seed: 1, or use method: hash")
    if plan.method == "random" and plan.key:
        raise OrchestratorError("a random split takes no key", hint="leave out key, or use method: hash")
    if plan.seed is not None and plan.seed < 0:
        raise OrchestratorError(f"the seed is a whole number from 0, not {plan.seed}")
    if plan.seed is not None and plan.method == "hash":
        raise OrchestratorError("a split by hash takes no seed", hint="leave out seed, or use method: random")


def _dropped(table: pa.Table, columns: Sequence[str]) -> tuple[pa.Table, dict[str, int]]:
    counts = {}
    for column in columns:
        counts[column] = table[column].null_count
        table = table.filter(pc.is_valid(table[column]))
    return table, counts


def _places(table: pa.Table, plan: Plan, name: str) -> split.Places:
    if plan.method == "random":
        return split.at_random(table.num_rows, plan.seed or 0)
    for column in plan.key:
        if count := table[column].null_count:
            first = pc.index(pc.is_null(table[column]), value=True).as_py() + 1
            message = f"{name}: the key column {column!r} has no value in {count} rows, the first being row {first}"
            raise OrchestratorError(message, hint=f"choose another key, or drop them: drop_missing: [{column}]")
    return split.by_key(table, plan.key or table.column_names)


def _too_few(plan: Plan) -> str:
    if plan.key:
        return "the key has too few different values: rows with equal keys share a split"
    return "that is too few rows for this split: leave the split out, or give it a larger share"
