"""Check a table against a schema file; every output is written before an error stops the pipeline."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from components.tables import dataset
from components.validate_schema import anomalies, schema, validate
from orchestrator import program
from orchestrator.errors import OrchestratorError


def main(task: program.Task) -> None:
    """Read, check, write, tell, and fail if asked to."""
    wanted = schema.read(task.path("schema"))
    verdict = validate.validate(dataset.read(task.path("data")), wanted)
    stops = validate.stops(verdict, task.value("fail_on"))
    _write(task.output("statistics"), verdict.statistics)
    _write(task.output("anomalies"), anomalies.document(verdict.anomalies))
    task.output("report").write_text(verdict.report, encoding="utf-8")
    task.set("valid", verdict.valid)
    task.metadata("anomalies", {"errors": verdict.errors, "warnings": verdict.warnings})
    task.metadata("statistics", {"rows": verdict.statistics["rows"], "columns": len(verdict.statistics["columns"])})
    for anomaly in verdict.anomalies:
        task.log(f"{anomaly.severity}: {anomaly}")
    if stops:
        message = f"the data do not fit the schema {wanted.metadata.name!r}: {verdict.summary}"
        raise OrchestratorError(message, hint="the report shows them beside the statistics")
    rows = f"{verdict.statistics['rows']:,} rows"
    task.log(f"{rows} checked: {verdict.summary or 'nothing found'}")


def _write(path: Path, document: dict[str, Any]) -> None:
    path.write_text(json.dumps(document, indent=1, allow_nan=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    program.run(__file__, main)
