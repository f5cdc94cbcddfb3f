"""A batch that is not what the schema promises stops before training; a metric that is no number publishes nothing."""

from __future__ import annotations

import csv
import json
from typing import Any

import pytest

from .conftest import Make, Project

PROGRAM = """\
import argparse, json

parser = argparse.ArgumentParser()
parser.add_argument("--f1"), parser.add_argument("--metrics")
given = parser.parse_args()
found = {} if given.f1 == "missing" else {"f1": "NaN" if given.f1 == "NaN" else float(given.f1)}
told = {"version": 1, "problem": "classification", "rows": 95, "metrics": {"accuracy": 0.9, **found}}
with open(given.metrics, "w") as file:
    json.dump({**told, "baseline": None, "slices": []}, file)
"""

COMPONENT = """\
apiVersion: orchestrator/v1
kind: Component
metadata: {name: measure}
inputs: {f1: {type: string}}
outputs: {metrics: {type: Metrics}}
container: {image: measure, command: [python, -m, components.measure]}
"""


def test_each_fault_of_a_batch_is_an_anomaly_of_its_type(penguins: Project) -> None:
    before = penguins.published()
    with (penguins.folder / "data" / "penguins.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        del row["year"]
        row["bill_length_mm"] = "999" if int(row["id"]) % 2 else row["bill_length_mm"]
        row["island"] = "Atlantis" if int(row["id"]) % 2 else row["island"]
        row["body_mass_g"] = f"{row['body_mass_g']} g"
    batch = penguins.folder / "batch.csv"
    with batch.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    ended = penguins.run("--arg", "source=batch.csv", code=3)
    for column in ("bill_length_mm", "island", "year", "body_mass_g"):
        assert column in ended.text, "the reason names every column"
    tasks = penguins.tasks()
    assert tasks["validate"]["status"] == "FAILED"
    assert not any(tasks[name]["started"] for name in ("transform", "train", "evaluate", "publish", "deploy"))
    anomalies = json.loads(penguins.artifact("validate", "anomalies").read_text())["anomalies"]
    errors = sorted((each["column"], each["type"]) for each in anomalies if each["severity"] == "error")
    assert errors == [
        ("bill_length_mm", "FLOAT_TYPE_BIG_FLOAT"),
        ("body_mass_g", "FLOAT_TYPE_STRING_NOT_FLOAT"),
        ("island", "ENUM_TYPE_UNEXPECTED_STRING_VALUES"),
        ("year", "SCHEMA_MISSING_COLUMN"),
    ]
    assert penguins.published() == before


@pytest.mark.parametrize(
    ("f1", "code", "status"), [("0.9", 0, "SUCCEEDED"), ("NaN", 3, "UNDECIDED"), ("missing", 3, "UNDECIDED")]
)
def test_a_metric_that_is_no_number_decides_nothing(penguins: Project, f1: str, code: int, status: str) -> None:
    folder = penguins.folder / "components" / "measure"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "component.yaml").write_text(COMPONENT)
    (folder / "__main__.py").write_text(PROGRAM)

    def change(data: dict[str, Any]) -> None:
        data["tasks"]["evaluate"] = {"component": "measure", "arguments": {"f1": f1}}
        data["tasks"]["publish"]["arguments"] |= {"name": f"measured-{f1.lower()}", "rules": ["f1 > 0.85"]}
        del data["tasks"]["deploy"], data["outputs"]

    before = penguins.published()
    ended = penguins.run(file=penguins.write("measured.yaml", change), code=code)
    run = penguins.show()
    assert run["status"] == status
    if status == "UNDECIDED":
        assert "undecided" in ended.out
        assert "f1" in run["reason"]
        assert penguins.published() == before
        assert json.loads(penguins.artifact("publish", "decision").read_text())["decision"] == "undecided"
    else:
        assert penguins.published() != before, "otherwise the two others prove nothing"


def test_flights_at_size(new: Make) -> None:
    project = new("flights")
    ended = project.run()
    assert '"predictions"' in ended.out
    assert project.published()["models"] == {"flights": ([1], {"champion": 1})}
    ingested = project.tasks()["ingest"]["outputs"]
    assert ingested["parameters"]["rows"] > 300_000
    statistics = json.loads(project.artifact("validate", "statistics").read_text())
    assert {"mean", "median", "min", "max", "missing"} <= set(statistics["columns"][0])
    assert project.run().out.count('"predictions"') == 1
    assert set(project.statuses().values()) <= {"SKIPPED", "SUCCEEDED"}
