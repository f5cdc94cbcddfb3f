"""A model is exported once its form answers alike on real rows; the folder needs numpy and onnxruntime alone."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.cluster import KMeans
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LinearRegression

from orchestrator.errors import NotFoundError, OrchestratorError
from orchestrator.model import fit, folder, frame, transform
from orchestrator.model.folder import Prediction
from orchestrator.model.manifest import Manifest
from orchestrator.model.onnx import export, form, gate, runner
from orchestrator.model.onnx.export import Wanted
from orchestrator.model.signature import Column, Signature

PENGUINS = Path(__file__).parent.parent.parent / "pipelines" / "penguins" / "data" / "penguins.csv"
INPUTS = ["island", "bill_length_mm", "flipper_length_mm", "sex", "year"]
STEPS = [
    {"cast": {"columns": "year", "type": "string"}},
    {"impute": {"columns": "numeric", "strategy": "median"}},
    {"scale": {"columns": "numeric"}},
    {"encode": {"columns": "string"}},
]


def save(path: Path, estimator: Any, target: str) -> Path:
    table = pd.read_csv(PENGUINS).dropna(subset=[target])
    inputs, columns = frame.columns(table[INPUTS])
    fitted = fit.fit(STEPS, columns, inputs)
    _, matrix = transform.apply(fitted, columns)
    is_class = isinstance(estimator, RandomForestClassifier)
    names, numbers = np.unique(table[target].astype(str), return_inverse=True)
    estimator.fit(matrix, numbers if is_class else table[target].to_numpy())
    folder.save(
        path,
        Manifest(
            flavor="sklearn",
            algorithm="any",
            problem="classification" if is_class else "regression",
            signature=Signature(fitted.inputs, (Column(target, "string" if is_class else "number"),)),
            classes=tuple(names.tolist()) if is_class else None,
            example=tuple(frame.records(table, fitted.inputs, 3)),
        ),
        fitted,
        estimator,
    )
    return path


@pytest.fixture(scope="module")
def penguins(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save(tmp_path_factory.mktemp("model") / "penguins", RandomForestClassifier(20, random_state=0), "species")


@pytest.fixture(scope="module")
def edge(tmp_path_factory: pytest.TempPathFactory, penguins: Path) -> Path:
    """The exported penguins."""
    to = tmp_path_factory.mktemp("edge") / "penguins"
    export.export(penguins, PENGUINS, to)
    return to


def test_a_form_that_answers_alike_is_written_with_what_was_compared(penguins: Path, edge: Path) -> None:
    assert sorted(path.name for path in edge.iterdir()) == [
        "form.json",
        "model.json",
        "model.onnx",
        "predict.py",
        "transform.json",
    ]
    about = form.read(edge)
    assert about.of == folder.digest(penguins)
    assert about.gate.passed
    assert (about.gate.rows, about.gate.differing) == (344, 0)
    assert about.gate.largest < 1e-9
    assert [one.column for one in about.wiring.before] == ["year"]
    assert form.read(edge) == form.load(edge, folder.digest(edge)).form
    with pytest.raises(OrchestratorError, match="is the ONNX form of a model, not the model"):
        folder.load(edge)


def test_rows_may_come_as_csv_parquet_or_json_lines(tmp_path: Path, penguins: Path) -> None:
    table = pd.read_csv(PENGUINS)
    table.to_parquet(tmp_path / "rows.parquet")
    table.to_json(tmp_path / "rows.jsonl", orient="records", lines=True)
    for number, name in enumerate(("rows.parquet", "rows.jsonl")):
        made = export.export(penguins, tmp_path / name, tmp_path / f"form{number}", Wanted(rows=100))
        assert (made.gate.rows, made.gate.differing) == (100, 0)
        assert made.outside == ("year: cast",)


def test_a_form_that_answers_otherwise_leaves_nothing(tmp_path: Path) -> None:
    """In single precision a number is not what it was: a bound of nothing shows it."""
    model = save(tmp_path / "mass", LinearRegression(), "body_mass_g")
    strict = Wanted(precision="float32", max_difference=1e-12)
    made = export.export(model, PENGUINS, tmp_path / "form", strict)
    assert not made.gate.passed
    assert made.digest == ""
    assert 1e-12 < made.gate.largest < 1e-5
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mass"]
    assert export.export(model, PENGUINS, tmp_path / "form", Wanted(precision="float32")).gate.passed


def _answers(labels: list[str], chances: list[list[float]]) -> Prediction:
    return Prediction(np.array(labels, dtype=object), np.array(chances), ("a", "b"))


def test_the_gate_counts_labels_and_measures_what_is_largest() -> None:
    model = _answers(["a", "b", "b"], [[0.6, 0.4], [0.2, 0.8], [0.49, 0.51]])
    other = _answers(["a", "b", "a"], [[0.6, 0.4], [0.2, 0.8], [0.5, 0.5]])
    bounds: dict[str, Any] = {"data": "", "max_differing": 0, "max_difference": 0.1}
    found = gate.compare([(model, other), (model, model)], **bounds)
    assert (found.rows, found.differing, found.passed) == (6, 1, False)
    assert found.largest == pytest.approx(0.01)
    assert gate.compare([(model, other)], **{**bounds, "max_differing": 1}).passed
    assert not gate.compare([], **bounds).passed


def test_numbers_are_measured_by_how_much_they_vary_and_nan_never_passes() -> None:
    model, other = Prediction(np.array([1e6, 3e6])), Prediction(np.array([1e6, 3e6 + 10]))
    bounds: dict[str, Any] = {"data": "", "max_differing": 0, "max_difference": 1e-4}
    assert gate.compare([(model, other)], **bounds).largest == pytest.approx(1e-5)
    assert not gate.compare([(model, Prediction(np.array([1e6, np.nan])))], **bounds).passed


def test_clusters_are_labels(tmp_path: Path) -> None:
    model = Prediction(KMeans(2, n_init=1, random_state=0).fit_predict(np.array([[0.0], [0.1], [9.0]])))
    swapped = Prediction(1 - model.values)
    assert gate.compare([(model, swapped)], data="", max_differing=0, max_difference=0.1).differing == 3


@pytest.mark.parametrize(
    ("wanted", "data", "message"),
    [
        (Wanted(precision="float16"), "rows.csv", "there is no precision 'float16'"),
        (Wanted(), "nowhere.csv", "nowhere.csv"),
        (Wanted(), "empty.csv", "has no rows to compare with"),
        (Wanted(), "other.csv", "has no column 'island'"),
        (Wanted(), "bad.parquet", "cannot be read"),
        (Wanted(), "cut.csv.gz", "cannot be read"),
        (Wanted(), "damaged.csv.gz", "cannot be read"),
    ],
)
def test_what_cannot_be_compared_is_refused(
    tmp_path: Path, penguins: Path, wanted: Wanted, data: str, message: str
) -> None:
    pd.read_csv(PENGUINS).to_csv(tmp_path / "rows.csv")
    pd.read_csv(PENGUINS).head(0).to_csv(tmp_path / "empty.csv")
    (tmp_path / "other.csv").write_text("a,b\n1,2\n")
    (tmp_path / "bad.parquet").write_text("PAR1 not really")
    packed = gzip.compress(PENGUINS.read_bytes())
    (tmp_path / "cut.csv.gz").write_bytes(packed[:-50])
    (tmp_path / "damaged.csv.gz").write_bytes(packed[:200] + b"\xff" * 100 + packed[300:])
    before = sorted(tmp_path.iterdir())
    with pytest.raises((OrchestratorError, NotFoundError), match=message):
        export.export(penguins, tmp_path / data, tmp_path / "form", wanted)
    assert sorted(tmp_path.iterdir()) == before


def test_a_folder_in_use_is_left_alone(tmp_path: Path, penguins: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(OrchestratorError, match="is there already"):
        export.export(penguins, PENGUINS, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


@pytest.fixture(scope="module")
def lean(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where Python finds numpy and onnxruntime, and nothing else that is not its own."""
    place = tmp_path_factory.mktemp("lean")
    for package in ("numpy", "onnxruntime"):
        found = Path(str(find_spec(package).origin)).parent  # type: ignore[union-attr]
        for each in (found, found.with_name(f"{package}.libs")):
            if each.exists():
                (place / each.name).symlink_to(each)
    return place


def _run(lean: Path, edge: Path, *arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    """The program of the folder, in a Python without site-packages."""
    start = (
        "import runpy, sys; sys.path.insert(0, sys.argv[1]); sys.argv = sys.argv[2:];"
        "runpy.run_path(sys.argv[0], run_name='__main__');"
        "found = {name.partition('.')[0] for name in sys.modules};"
        "assert not found & {'orchestrator', 'sklearn', 'pandas', 'scipy', 'onnx'}, found"
    )
    command = [sys.executable, "-I", "-S", "-B", "-c", start, str(lean), str(edge / "predict.py"), *arguments]
    return subprocess.run(command, check=False, capture_output=True, text=True, timeout=120, input=stdin)


def test_it_predicts_with_numpy_and_onnxruntime_alone(lean: Path, edge: Path, penguins: Path, tmp_path: Path) -> None:
    model = folder.load(penguins)
    table = pd.read_csv(PENGUINS)
    records = frame.records(table, model.transform.inputs, 60)
    wanted = model.predict_records(records)
    rows = tmp_path / "rows.json"
    rows.write_text(json.dumps(records))
    ran = _run(lean, edge, str(rows))
    assert ran.returncode == 0, ran.stderr
    answers = [json.loads(line) for line in ran.stdout.splitlines()]
    assert [each["prediction"] for each in answers] == wanted.values.tolist()
    assert wanted.probabilities is not None
    chances = [[each["probabilities"][name] for name in model.manifest.classes or ()] for each in answers]
    np.testing.assert_allclose(chances, wanted.probabilities, atol=1e-12)
    table.head(60).to_csv(tmp_path / "rows.csv", index=False, na_rep="")
    assert _run(lean, edge, str(tmp_path / "rows.csv")).stdout == ran.stdout


def test_the_program_says_which_record_is_wrong(lean: Path, edge: Path) -> None:
    good = json.loads((edge / "model.json").read_text())["example"][0]
    ran = _run(lean, edge, stdin=json.dumps([good, {**good, "bill_length_mm": "long"}]))
    assert ran.returncode == 1
    assert ran.stderr.strip() == "error: record 1: 'bill_length_mm' takes a number, not 'long'"


@pytest.mark.parametrize(
    ("record", "said"),
    [
        ("7", "record 0 is no object"),
        ('{"bill_length_mm": 1' + "0" * 400 + "}", "record 0: 'bill_length_mm' takes a number, not 1000"),
        ("[" * 100_000, "the JSON is nested too deeply"),
        ('{"island"', "Expecting ':' delimiter"),
    ],
)
def test_the_program_ends_with_words(lean: Path, edge: Path, record: str, said: str) -> None:
    ran = _run(lean, edge, stdin=record)
    assert ran.returncode == 1
    assert ran.stderr.startswith(f"error: {said}")
    assert "Traceback" not in ran.stderr


@pytest.mark.parametrize(
    ("kind", "value"), [("boolean", "maybe"), ("boolean", []), ("timestamp", 5), ("timestamp", "soon"), ("number", {})]
)
def test_a_value_of_another_kind_is_refused_by_record_and_column(kind: str, value: Any) -> None:
    column = {"name": "x", "type": kind, "nullable": True}
    with pytest.raises(ValueError, match=f"record 1: 'x' takes a {kind}, not "):
        runner._column(column, [{"x": None}, {"x": value}])
    before = {"do": "cast", "column": "x", "source": "string", "type": kind}
    with pytest.raises(ValueError, match=f"record 0: 'x' takes a {kind}, not "):
        runner._before(before, "x", ["perhaps"])


def test_what_stands_in_a_text_ends_no_record() -> None:
    lines = '{"a": "x\u2028y"}\r\n\n{"a": "z"}\n'
    assert runner._records(lines, ".jsonl") == [{"a": "x\u2028y"}, {"a": "z"}]
    assert runner._records('a,b\r\n"one\r\ntwo",\r\n', ".csv") == [{"a": "one\r\ntwo", "b": None}]


def test_a_changed_transform_is_not_answered_from(edge: Path, tmp_path: Path) -> None:
    changed = tmp_path / "changed"
    changed.mkdir()
    for file in edge.iterdir():
        (changed / file.name).write_bytes(file.read_bytes())
    (changed / "transform.json").write_text("{}")
    with pytest.raises(OrchestratorError, match=r"not intact: transform\.json"):
        form.load(changed)
