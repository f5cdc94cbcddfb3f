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
    found = f"{verdict.errors} errors, {verdict.warnings} warnings"
    if stops:
        name = wanted.metadata.name
        raise OrchestratorError(f"the data do not fit the schema {name!r}: {found}", hint="see the report")
    task.log(
        f"{verdict.statistics['rows']:,} rows fit the schema" if verdict.valid else f"going on all the same: {found}"
    )


def _write(path: Path, document: dict[str, Any]) -> None:
    path.write_text(json.dumps(document, indent=1, allow_nan=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    program.run(__file__, main)
