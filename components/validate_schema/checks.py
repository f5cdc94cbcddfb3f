"""Which checks a schema asks of a table, as Great Expectations' expectations: a pure function of both."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from components.validate_schema.schema import Column, Schema, Severity
from components.validate_schema.statistics import kind

# The pandas types of the columns that `expectations.frame` makes.
_INTEGERS = ["int64", "uint64", "Int64Dtype", "UInt64Dtype"]
DTYPES = {
    "integer": _INTEGERS,
    "number": ["float64", *_INTEGERS],
    "string": ["StringDtype"],
    "boolean": ["bool", "BooleanDtype"],
    "timestamp": ["datetime64[us]"],
}


@dataclass(frozen=True)
class Check:
    """One expectation: `rule` is the schema's rule it stands for, `found` what the column was seen to be.

    `infinite` counts the infinities that break a bound too: they are a finding of their own, not a second one here.
    """

    rule: str
    column: str
    severity: Severity
    expectation: str
    arguments: dict[str, Any]
    found: str = ""
    infinite: int = 0


def plan(schema: Schema, table: pa.Table) -> list[Check]:
    """The checks, in the schema's order. A column that is absent or of another type gets no rule about its values."""
    return [
        *_table(schema, table),
        *(check for name, column in schema.columns.items() for check in _column(name, column, table)),
    ]


def fitting(schema: Schema, table: pa.Table) -> pa.Table:
    """The table with whole floats as integers where the schema says integer: CSV and pandas write them so."""
    for number, name in enumerate(table.column_names):
        column = schema.columns.get(name)
        if column and column.type == "integer" and _is_whole(table[name]):
            table = table.set_column(number, name, table[name].cast(pa.int64()))
    return table


def _table(schema: Schema, table: pa.Table) -> Iterator[Check]:
    severity = schema.severity_of("rows")
    count = "ExpectTableRowCountToBeBetween"
    yield Check("min_rows", "", severity, count, {"min_value": schema.min_rows})
    if schema.max_rows is not None:
        yield Check("max_rows", "", severity, count, {"max_value": schema.max_rows})
    if not schema.allow_extra_columns:
        # Only those that are there: an absent one is a finding of its own column.
        known = [name for name in schema.columns if name in table.column_names]
        match = {"column_set": known, "exact_match": True}
        yield Check("columns", "", schema.severity_of("columns"), "ExpectTableColumnsToMatchSet", match)


def _column(name: str, column: Column, table: pa.Table) -> Iterator[Check]:
    def check(rule: str, group: str, expectation: str, **arguments: Any) -> Check:
        severity = column.severity_of(group)
        return Check(rule, name, severity, expectation, {"column": name, **arguments}, found)

    if name not in table.column_names:
        found = "absent"
        if column.required:
            yield check("exists", "presence", "ExpectColumnToExist")
        return
    found = kind(table[name].type)
    present = table.num_rows - table[name].null_count
    if column.fraction:
        yield check("presence", "presence", "ExpectColumnValuesToNotBeNull", mostly=column.fraction)
    if not present:
        return
    yield check("type", "type", "ExpectColumnValuesToBeInTypeList", type_list=DTYPES[column.type])
    if not _accepts(column.type, found):
        return
    if found == "number":
        infinities = [float("inf"), float("-inf")]
        yield check("finite", "range", "ExpectColumnValuesToNotBeInSet", value_set=infinities)
    if column.min is not None:
        low = check("min", "range", "ExpectColumnValuesToBeBetween", min_value=column.min)
        yield replace(low, infinite=_count(table[name], float("-inf")))
    if column.max is not None:
        high = check("max", "range", "ExpectColumnValuesToBeBetween", max_value=column.max)
        yield replace(high, infinite=_count(table[name], float("inf")))
    if column.domain is not None:
        mostly = column.min_domain_mass
        yield check("domain", "domain", "ExpectColumnValuesToBeInSet", value_set=list(column.domain), mostly=mostly)
    if column.unique:
        yield check("unique", "unique", "ExpectColumnValuesToBeUnique")


def _accepts(wanted: str, found: str) -> bool:
    return wanted == found or (wanted == "number" and found == "integer")


def _count(column: Any, value: float) -> int:
    """How often a float column holds this value."""
    if not pa.types.is_floating(column.type):
        return 0
    return pc.sum(pc.equal(column, value)).as_py() or 0


def _is_whole(column: Any) -> bool:
    if not pa.types.is_floating(column.type):
        return False
    safe = pc.and_(pc.is_finite(column), pc.less_equal(pc.abs(column), 2.0**53))
    whole = pc.and_(safe, pc.equal(pc.floor(column), column))
    return bool(pc.all(whole, min_count=0).as_py())
