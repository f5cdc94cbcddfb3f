"""One typed anomaly per problem, found by Great Expectations itself (scenarios AS-04 and AS-05)."""

from __future__ import annotations

import json
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from components.tables import dataset
from components.validate_schema import anomalies, schema, validate
from components.validate_schema.checks import Check
from components.validate_schema.schema import Schema
from orchestrator import source
from orchestrator.errors import BackendError, OrchestratorError

from .conftest import Invoke

SCHEMA = """
apiVersion: orchestrator/v1
kind: Schema
metadata: {name: birds}
minRows: 4
maxRows: 6
columns:
  id: {type: integer, min: 1, max: 100, unique: true}
  mass: {type: number, min: 1.5, max: 9.5, minFraction: 0.6}
  kind: {type: string, domain: [auk, tern]}
  sex: {type: string, domain: [f, m], minDomainMass: 0.75, nullable: true, severity: warning}
  ok: {type: boolean, required: false}
  seen: {type: timestamp, required: false}
"""
GOOD: dict[str, Any] = {
    "id": [1, 2, 3, 4, 5],
    "mass": [1.5, 9.5, None, None, 3.0],
    "kind": ["auk", "tern", "auk", "auk", "tern"],
    "sex": ["f", "m", None, "f", "x"],
}
INF = float("inf")


def birds(text: str = SCHEMA) -> Schema:
    return source.model(Schema, source.parse(text, "schema.yaml"))


def check(data: dict[str, Any], text: str = SCHEMA) -> list[tuple[str, str, str]]:
    found = validate.validate(dataset.plain(pa.table(data), "data"), birds(text))
    return [(each.column, each.type, each.severity) for each in found.anomalies]


CASES: dict[str, tuple[dict[str, Any], list[tuple[str, str, str]]]] = {
    "nothing": ({}, []),
    "whole floats are integers": ({"id": [1.0, 2.0, 3.0, 4.0, 5.0]}, []),
    "integers are numbers": ({"mass": [2, 3, 4, 5, 6]}, []),
    "small ints": ({"id": pa.array([1, 2, 3, 4, 5], pa.uint8())}, []),
    "float32": ({"mass": pa.array([2, 3, 4, 5, 6], pa.float32())}, []),
    "optional columns": ({"ok": [True, False] * 2 + [True], "seen": pa.array([0] * 5, pa.timestamp("ms", "UTC"))}, []),
    "too small": ({"id": [0, 2, 3, 4, 5]}, [("id", "INT_TYPE_SMALL_INT", "error")]),
    "too large": ({"id": [1, 2, 3, 4, 101]}, [("id", "INT_TYPE_BIG_INT", "error")]),
    "both": (
        {"mass": [1.4, 9.6, 3.0, None, None]},
        [("mass", "FLOAT_TYPE_SMALL_FLOAT", "error"), ("mass", "FLOAT_TYPE_BIG_FLOAT", "error")],
    ),
    "infinite": ({"mass": [INF, -INF, 3.0, 4.0, 5.0]}, [("mass", "FLOAT_TYPE_HAS_INF", "error")]),
    "infinite and large": (
        {"mass": [INF, 10.0, 3.0, 4.0, 5.0]},
        [("mass", "FLOAT_TYPE_HAS_INF", "error"), ("mass", "FLOAT_TYPE_BIG_FLOAT", "error")],
    ),
    "not a number is missing": (
        {"mass": [float("nan")] * 3 + [2.0, 3.0]},
        [("mass", "FEATURE_TYPE_LOW_FRACTION_PRESENT", "error")],
    ),
    "new category": (
        {"kind": ["auk", "tern", "auk", "dodo", "tern"]},
        [("kind", "ENUM_TYPE_UNEXPECTED_STRING_VALUES", "error")],
    ),
    "domain mass": ({"sex": ["f", "x", "y", "f", "m"]}, [("sex", "ENUM_TYPE_UNEXPECTED_STRING_VALUES", "warning")]),
    "missing": (
        {"kind": [None, "tern", "auk", "auk", "tern"]},
        [("kind", "FEATURE_TYPE_LOW_FRACTION_PRESENT", "error")],
    ),
    "all missing": ({"kind": pa.nulls(5, pa.string())}, [("kind", "FEATURE_TYPE_NOT_PRESENT", "error")]),
    "all missing, of no type": ({"mass": pa.nulls(5)}, [("mass", "FEATURE_TYPE_NOT_PRESENT", "error")]),
    "nullable": ({"sex": pa.nulls(5)}, []),
    "integers with a gap": ({"id": [1, 2, None, 4, 5]}, [("id", "FEATURE_TYPE_LOW_FRACTION_PRESENT", "error")]),
    "repeated": ({"id": [1, 2, 3, 4, 4]}, [("id", "FEATURE_TYPE_LOW_UNIQUE", "error")]),
    "new column": ({"extra": [1, 2, 3, 4, 5]}, [("extra", "SCHEMA_NEW_COLUMN", "error")]),
    "fractions": ({"id": [1.5, 2.0, 3.0, 4.0, 5.0]}, [("id", "INT_TYPE_INT_EXPECTED", "error")]),
    "text for integers": ({"id": ["1", "2", "3", "4", "x"]}, [("id", "INT_TYPE_NOT_INT_STRING", "error")]),
    "text for numbers": ({"mass": ["1", "2", "3", "4", "x"]}, [("mass", "FLOAT_TYPE_STRING_NOT_FLOAT", "error")]),
    "text for booleans": ({"ok": ["yes"] * 5}, [("ok", "BOOL_TYPE_STRING_NOT_BOOL", "error")]),
    "numbers for text": ({"kind": [1, 2, 3, 4, 5]}, [("kind", "UNEXPECTED_DATA_TYPE", "error")]),
    "text for timestamps": ({"seen": ["today"] * 5}, [("seen", "UNEXPECTED_DATA_TYPE", "error")]),
}


@pytest.mark.parametrize("case", CASES)
def test_one_typed_anomaly_per_problem(case: str) -> None:
    change, expected = CASES[case]
    assert check({**GOOD, **change}) == expected


def test_missing_columns_and_the_number_of_rows() -> None:
    short = {name: values[:3] for name, values in GOOD.items() if name != "kind"} | {"sex": ["f", "m", "f"]}
    few = [("", "DATASET_LOW_NUM_EXAMPLES", "error"), ("kind", "SCHEMA_MISSING_COLUMN", "error")]
    assert check({**short, "mass": [2.0, 3.0, 4.0]}) == few
    none = {name: pa.array(values).slice(0, 0) for name, values in GOOD.items()}
    assert check(none) == [("", "DATASET_LOW_NUM_EXAMPLES", "error")]
    more = {name: values * 2 for name, values in GOOD.items()} | {"id": list(range(1, 11))}
    assert check(more) == [("", "DATASET_HIGH_NUM_EXAMPLES", "error")]
    assert check({**GOOD, "extra": [1] * 5}, SCHEMA + "allowExtraColumns: true\n") == []
    assert check({**GOOD, "extra": [1] * 5}, SCHEMA + "severity: {columns: warning}\n") == [
        ("extra", "SCHEMA_NEW_COLUMN", "warning")
    ]


def test_messages_have_numbers_and_examples() -> None:
    data = {**GOOD, "kind": ["auk", "dodo", "moa", "roc", "elk"], "mass": [1.0, None, None, None, 2.0]}
    found = validate.validate(dataset.plain(pa.table(data), "data"), birds())
    unexpected = "kind: 4 of 5 values (80%) are not in the domain, e.g. 'dodo', 'moa', 'roc', ..."
    assert [str(each) for each in found.anomalies] == [
        "mass: 3 of 5 rows have no value, 60% of the rows must have one (FEATURE_TYPE_LOW_FRACTION_PRESENT)",
        "mass: 1 of 2 values (50%) is below 1.5, e.g. 1.0 (FLOAT_TYPE_SMALL_FLOAT)",
        unexpected + " (ENUM_TYPE_UNEXPECTED_STRING_VALUES)",
    ]
    assert found.summary == "3 errors"


def test_a_check_that_could_not_be_made_is_never_a_finding() -> None:
    broken = {"success": False, "exception_info": {"a": {"raised_exception": True, "exception_message": "boom"}}}
    with pytest.raises(BackendError, match="great_expectations: ExpectColumnToExist on id: boom"):
        anomalies.translate(birds(), [Check("exists", "id", "error", "ExpectColumnToExist", {})], [broken])


def test_what_stops_the_pipeline() -> None:
    warned = validate.validate(dataset.plain(pa.table({**GOOD, "sex": ["x"] * 5}), "data"), birds())
    assert warned.valid
    assert [validate.stops(warned, word) for word in validate.FAIL_ON] == [False, True, False]
    with pytest.raises(OrchestratorError, match="did you mean 'error'"):
        validate.stops(warned, "errors")


def test_the_page_loads_nothing_and_runs_nothing() -> None:
    evil = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>"
    data = {**GOOD, "kind": [evil] * 5, evil: [evil] * 5, "$injection ${kind}": [1.0] * 5}
    page = validate.validate(dataset.plain(pa.table(data), "data"), birds()).report
    seen = _Seen()
    seen.feed(page)
    allowed = (
        "html head meta title style body main h1 h2 h4 h5 h6 p strong span div table thead tbody tr th td br code i"
    )
    assert seen.tags <= {*allowed.split(), "small", "svg", "rect", "ul", "li", "hr"}
    quiet = "lang charset name content http-equiv class scope viewbox width height role aria-label x y"
    assert seen.attributes <= set(quiet.split())
    assert "https://" not in page
    assert "http://" not in page
    assert "&lt;script&gt;" in page


class _Seen(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}


def test_as04_a_bad_batch_stops_the_pipeline_with_everything_written(
    invoke: Invoke, pipelines: Path, tmp_path: Path
) -> None:
    birds_ = dataset.read(pipelines / "penguins" / "data" / "penguins.csv").to_pandas()
    birds_.loc[2, "body_mass_g"] = 99_999
    birds_.loc[7, "species"] = "Dodo"
    birds_["year"] = birds_["year"].astype(str)
    bad = pa.Table.from_pandas(birds_.drop(columns="island"), preserve_index=False)
    dataset.write(bad, tmp_path / "bad.parquet")
    arguments = {"data": tmp_path / "bad.parquet", "schema": pipelines / "penguins" / "schema.yaml"}
    result = invoke("validate_schema", **arguments)
    assert result.code == 1
    found = json.loads(result.artifacts["anomalies"].read_text())
    assert found["version"] == 1
    assert {(each["column"], each["type"]) for each in found["anomalies"]} == {
        ("body_mass_g", "FLOAT_TYPE_BIG_FLOAT"),
        ("species", "ENUM_TYPE_UNEXPECTED_STRING_VALUES"),
        ("island", "SCHEMA_MISSING_COLUMN"),
        ("year", "INT_TYPE_NOT_INT_STRING"),
    }
    assert result.parameters == {"valid": False}
    assert result.metadata["anomalies"] == {"errors": 4, "warnings": 0}
    assert result.stdout.count("error: ") == 4
    assert "error: species: 1 of 344 values (0.291%) is not in the domain, e.g. 'Dodo'" in result.stdout
    assert result.stderr.startswith("error: the data do not fit the schema 'penguins': 4 errors\n  hint: ")
    assert result.artifacts["report"].read_text().startswith("<!doctype html>")
    going_on = invoke("validate_schema", fail_on="never", **arguments)
    assert (going_on.code, going_on.stderr, going_on.parameters) == (0, "", {"valid": False})


@pytest.mark.parametrize(("name", "label", "rows"), [("penguins", "species", 344), ("flights", "late", 327_346)])
def test_as05_our_own_data_fit_and_their_statistics_are_written(
    invoke: Invoke, pipelines: Path, name: str, label: str, rows: int
) -> None:
    folder = pipelines / name
    data = next((folder / "data").glob(f"{name}.*"))
    train = invoke("ingest", source=data, key=["id"], drop_missing=[label]).artifacts["train"]
    result = invoke("validate_schema", data=train, schema=folder / "schema.yaml", fail_on="warning")
    assert (result.code, result.stderr, result.parameters) == (0, "", {"valid": True})
    statistics = json.loads(result.artifacts["statistics"].read_text())
    table = pq.read_table(train)
    assert 0.75 * rows < statistics["rows"] == table.num_rows < 0.85 * rows
    frame = table.to_pandas()
    for column in statistics["columns"]:
        values = frame[column["name"]]
        assert column["missing"] == values.isna().sum()
        if column["type"] in ("integer", "number"):
            assert (column["min"], column["max"], column["median"]) == (values.min(), values.max(), values.median())
            assert column["mean"] == pytest.approx(values.mean())
    assert schema.read(folder / "schema.yaml").columns.keys() == set(table.column_names)
