"""A table held against a schema: everything that is found out, as one value."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from components.validate_schema import anomalies, checks, expectations, page, statistics
from components.validate_schema.anomalies import Anomaly
from components.validate_schema.schema import Schema
from orchestrator.errors import OrchestratorError, did_you_mean

FAIL_ON = ("error", "warning", "never")


@dataclass(frozen=True)
class Verdict:
    """What was found: `valid` unless an anomaly is an error."""

    statistics: dict[str, Any]
    anomalies: Sequence[Anomaly]
    report: str

    @property
    def errors(self) -> int:
        return sum(anomaly.severity == "error" for anomaly in self.anomalies)

    @property
    def warnings(self) -> int:
        return len(self.anomalies) - self.errors

    @property
    def summary(self) -> str:
        return ", ".join(
            f"{number} {word}" if number == 1 else f"{number} {word}s"
            for number, word in ((self.errors, "error"), (self.warnings, "warning"))
            if number
        )

    @property
    def valid(self) -> bool:
        return not self.errors


def validate(table: pa.Table, schema: Schema) -> Verdict:
    """Measure the table, check it, and write the report of both."""
    table = checks.fitting(schema, table)
    planned = checks.plan(schema, table)
    measured = statistics.statistics(table)
    checked = expectations.validate(table, planned, name=schema.metadata.name)
    found = anomalies.translate(schema, planned, checked.results)
    return Verdict(measured, found, page.html(schema, measured, found, checked.data_docs))


def stops(verdict: Verdict, fail_on: str) -> bool:
    """Whether the pipeline stops here."""
    if fail_on not in FAIL_ON:
        raise OrchestratorError(f"fail_on: there is no {fail_on!r}", hint=did_you_mean(fail_on, FAIL_ON))
    match fail_on:
        case "error":
            return not verdict.valid
        case "warning":
            return bool(verdict.anomalies)
        case _:
            return False
