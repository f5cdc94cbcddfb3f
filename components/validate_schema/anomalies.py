"""Typed anomalies, named as TensorFlow Data Validation names them, out of Great Expectations' results."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from components.validate_schema.checks import Check
from components.validate_schema.schema import Column, Schema, Severity
from orchestrator.errors import BackendError

# What is expected, and what was found instead; anything else is UNEXPECTED_DATA_TYPE.
_TYPES = {
    ("integer", "number"): ("INT_TYPE_INT_EXPECTED", "Fractions where integers are expected"),
    ("integer", "string"): ("INT_TYPE_NOT_INT_STRING", "Text where integers are expected"),
    ("number", "string"): ("FLOAT_TYPE_STRING_NOT_FLOAT", "Text where numbers are expected"),
    ("boolean", "string"): ("BOOL_TYPE_STRING_NOT_BOOL", "Text where true or false is expected"),
}
_SHOWN = 3


@dataclass(frozen=True)
class Anomaly:
    """One problem of the data: `short` heads it, `message` tells it with its numbers."""

    column: str
    type: str
    severity: Severity
    message: str
    short: str

    def __str__(self) -> str:
        place = f"{self.column}: " if self.column else ""
        return f"{place}{self.message} ({self.type})"


def document(anomalies: Sequence[Anomaly]) -> dict[str, Any]:
    """The Anomalies artifact."""
    return {"version": 1, "anomalies": [asdict(anomaly) for anomaly in anomalies]}


def translate(schema: Schema, checks: Sequence[Check], results: Sequence[Mapping[str, Any]]) -> list[Anomaly]:
    """The anomalies in the results, in the order of the checks; `results[i]` is what came of `checks[i]`."""
    return [
        anomaly
        for check, result in zip(checks, results, strict=True)
        if not result["success"]
        for anomaly in _anomalies(schema, check, result)
    ]


def _anomalies(schema: Schema, check: Check, result: Mapping[str, Any]) -> list[Anomaly]:
    refuse_exception(check, result)
    found = result.get("result", {})
    if check.rule == "columns":
        new = found["details"]["mismatched"].get("unexpected", [])
        message = "the column is not in the schema"
        return [Anomaly(name, "SCHEMA_NEW_COLUMN", check.severity, message, "New column") for name in new]
    if check.infinite:
        if found["unexpected_count"] == check.infinite:
            return []
        finite = [value for value in found["partial_unexpected_list"] if math.isfinite(value)]
        count = found["unexpected_count"] - check.infinite
        found = {**found, "unexpected_count": count, "partial_unexpected_list": finite}
    column = schema.columns.get(check.column)
    type_, short, message = _of_column(check, column, found) if column else _of_table(check, found)
    return [Anomaly(check.column, type_, check.severity, message, short)]


def _of_table(check: Check, found: Mapping[str, Any]) -> tuple[str, str, str]:
    rows = f"the table has {found['observed_value']:,} rows"
    if check.rule == "min_rows":
        message = f"{rows}, at least {check.arguments['min_value']:,} are expected"
        return "DATASET_LOW_NUM_EXAMPLES", "Too few rows", message
    message = f"{rows}, at most {check.arguments['max_value']:,} are expected"
    return "DATASET_HIGH_NUM_EXAMPLES", "Too many rows", message


def _of_column(check: Check, column: Column, found: Mapping[str, Any]) -> tuple[str, str, str]:
    whole = column.type == "integer"
    match check.rule:
        case "exists":
            return "SCHEMA_MISSING_COLUMN", "Column missing", "the column is missing"
        case "presence":
            return _presence(column.fraction, found)
        case "type":
            type_, short = _TYPES.get((column.type, check.found), ("UNEXPECTED_DATA_TYPE", "Unexpected type"))
            return type_, short, f"{column.type} is expected, the column holds {check.found}{_examples(found)}"
        case "finite":
            return "FLOAT_TYPE_HAS_INF", "Infinite values", f"{_share(found)} infinite"
        case "min":
            type_ = "INT_TYPE_SMALL_INT" if whole else "FLOAT_TYPE_SMALL_FLOAT"
            return type_, "Value too small", f"{_share(found)} below {column.min}{_examples(found)}"
        case "max":
            type_ = "INT_TYPE_BIG_INT" if whole else "FLOAT_TYPE_BIG_FLOAT"
            return type_, "Value too large", f"{_share(found)} above {column.max}{_examples(found)}"
        case "domain":
            allowed = f"; at least {_percent(column.min_domain_mass)} must be" if column.min_domain_mass < 1 else ""
            message = f"{_share(found)} not in the domain{_examples(found)}{allowed}"
            return "ENUM_TYPE_UNEXPECTED_STRING_VALUES", "Unexpected values", message
        case _:
            return "FEATURE_TYPE_LOW_UNIQUE", "Repeated values", f"{_share(found)} not unique{_examples(found)}"


def refuse_exception(check: Check, result: Mapping[str, Any]) -> None:
    """A check that could not be made has found nothing out: never take it for a finding."""
    told = result.get("exception_info") or {}
    details = [told] if "raised_exception" in told else list(told.values())
    for detail in details:
        if detail.get("raised_exception"):
            message = f"{check.expectation} on {check.column or 'the table'}: {detail.get('exception_message')}"
            raise BackendError("great_expectations", message)


def _presence(fraction: float, found: Mapping[str, Any]) -> tuple[str, str, str]:
    rows, missing = found["element_count"], found["unexpected_count"]
    expected = "every row" if fraction == 1 else f"{_percent(fraction)} of the rows"
    if rows == missing:
        message = f"not one of {rows:,} rows has a value, {expected} must have one"
        return "FEATURE_TYPE_NOT_PRESENT", "No values", message
    message = f"{missing:,} of {rows:,} rows have no value, {expected} must have one"
    return "FEATURE_TYPE_LOW_FRACTION_PRESENT", "Missing values", message


def _share(found: Mapping[str, Any]) -> str:
    count, total = found["unexpected_count"], found["element_count"] - found.get("missing_count", 0)
    return f"{count:,} of {total:,} values ({_percent(count / total)}) {'is' if count == 1 else 'are'}"


def _percent(share: float) -> str:
    return f"{share * 100:.3g}%"


def _examples(found: Mapping[str, Any]) -> str:
    values = list(dict.fromkeys(_quoted(value) for value in found.get("partial_unexpected_list", [])))
    if not values:
        return ""
    more = ", ..." if len(values) > _SHOWN else ""
    return f", e.g. {', '.join(values[:_SHOWN])}{more}"


def _quoted(value: Any) -> str:
    if not isinstance(value, str):
        return str(value)
    return repr(value if len(value) <= 60 else value[:59] + "…")
