"""Predictions for whole files, by processes with real models in them."""

from __future__ import annotations

import gzip
import importlib
import json
import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import fsspec
import numpy as np
import pandas as pd
import pytest

from orchestrator.errors import BackendError, NotFoundError, OrchestratorError
from orchestrator.model import folder, transform
from orchestrator.model.manifest import Manifest
from orchestrator.model.signature import Column, InputError, Signature
from orchestrator.serving.batch import answering, batch, jsonpath, layout, plan, records, writing
from orchestrator.serving.batch.batch import Done
from orchestrator.serving.batch.plan import Plan
from orchestrator.serving.batch.pool import Named
from orchestrator.serving.batch.records import Chunk, Line, Source
from orchestrator.serving.batch.task import Record, Task
from orchestrator.serving.batch.values import Cell
from orchestrator.serving.batch.worker import Ready

from .conftest import NUMBERS, Folder

AWKWARD = """
import os, signal, time

import numpy


class Awkward:
    def predict(self, rows):
        print("what a model prints is no output")
        for value in rows[:, 0]:
            if value == -1:
                raise ValueError("minus one is no number")
            if value == -2:
                raise RuntimeError("the model has a bug")
            if value == -3:
                os.kill(os.getpid(), signal.SIGKILL)
            if value == -4:
                time.sleep(60)
        return rows[:, 0] * 2


class Kinds:
    def predict_proba(self, rows):
        high = 1 / (1 + numpy.exp(-rows[:, 0]))
        return numpy.stack([1 - high, high], axis=1)
"""


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The module above, which the processes of a batch find by PYTHONPATH."""
    code = tmp_path / "code"
    code.mkdir()
    (code / "awkward_model.py").write_text(AWKWARD)
    monkeypatch.syspath_prepend(code)
    monkeypatch.setenv("PYTHONPATH", str(code))
    sys.modules.pop("awkward_model", None)
    return importlib.import_module("awkward_model")


@pytest.fixture
def awkward(tmp_path: Path, made: Any) -> Named:
    """Twice its input; what it does with negative numbers stands above."""
    inputs = (Column("x", "number"),)
    manifest = Manifest(
        "sklearn", "awkward", "regression", Signature(inputs, (Column("y", "number"),)), example=({"x": 1.0},)
    )
    path = tmp_path / "awkward"
    folder.save(path, manifest, transform.Transform(inputs, (), ("x",)), made.Awkward())
    return Named(path, folder.digest(path), "awkward")


@pytest.fixture
def kinds(tmp_path: Path, made: Any) -> Named:
    """High above zero and low below it; it takes a text as well, which it makes nothing of."""
    inputs = (Column("x", "number"), Column("zip", "string", nullable=True))
    manifest = Manifest(
        *("sklearn", "kinds", "classification"),
        signature=Signature(inputs, (Column("kind", "string"),)),
        classes=("low", "high"),
        example=({"x": 1.0, "zip": "a"},),
    )
    path = tmp_path / "kinds"
    folder.save(path, manifest, transform.Transform(inputs, (), ("x",)), made.Kinds())
    return Named(path, folder.digest(path), "kinds")


def named(model: Folder) -> Named:
    return Named(model.path, model.digest, "the model")


def jsonl(path: Path) -> list[Any]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def left(folder: Path) -> list[str]:
    """What lies there that nobody asked for."""
    return sorted(each.name for each in folder.iterdir() if each.name.startswith("."))


def run(model: Named, source: Path, target: Path, quarantine: str = "", **options: Any) -> Done:
    return batch.run(model, Plan(**options), source=str(source), target=str(target), quarantine=quarantine)


def test_every_record_of_json_lines_has_its_prediction_beside_it_in_order_and_bad_ones_are_put_aside(
    penguins: Folder, table: pd.DataFrame, tmp_path: Path
) -> None:
    """AS-39, by two processes and chunks so small that they overtake each other."""
    inputs = ["island", *NUMBERS, "sex"]
    given = [
        {"id": number, "features": {name: None if pd.isna(row[name]) else row[name] for name in inputs}}
        for number, (_, row) in enumerate(table.iterrows())
    ]
    lines = [json.dumps(each) for each in given]
    bad = {7: "{", 100: '{"id": 100}', 200: '{"id": 200, "features": {"island": 3}}', 201: '{"features": [1, 2]}'}
    for number, text in bad.items():
        lines[number] = text
    source = tmp_path / "new.jsonl"
    source.write_text("\n".join(lines) + "\n")
    asked: list[Done] = []
    target = tmp_path / "out.jsonl"
    done = batch.run(
        named(penguins),
        Plan(
            join="input",
            input_filter=jsonpath.parse("$.features"),
            output_filter=jsonpath.parse("$['id','prediction']"),
            threshold=plan.threshold("2%"),
            size=10,
            workers=2,
        ),
        source=str(source),
        target=str(target),
        said=asked.append,
    )
    assert (done.records, done.bad, done.outputs) == (len(lines), 4, (str(target),))
    assert [each.records for each in asked] == [*range(10, len(lines), 10), len(lines)]
    found = jsonl(target)
    judge = folder.load(penguins.path).predict_records([each["features"] for each in given])
    assert judge.probabilities is not None
    for number, (expected, one) in enumerate(zip(judge.values, found, strict=True)):
        if number in bad:
            assert "error" in one["prediction"]
            continue
        assert one["id"] == number
        assert one["prediction"]["species"] == expected
        np.testing.assert_allclose(list(one["prediction"]["probabilities"].values()), judge.probabilities[number])
    apart = jsonl(Path(done.quarantine))
    assert [(each["record"], each["line"], each["input"]) for each in apart] == [
        (number + 1, number + 1, text) for number, text in bad.items()
    ]
    assert apart[0]["reason"].startswith("not valid JSON: ")
    assert apart[1]["reason"] == "the filter $.features finds nothing in it"
    assert apart[2]["reason"].startswith("column 'island' takes a string, this record has 3")
    assert apart[3]["reason"].startswith("this row has 2 values, the model takes 6")


def test_tables_are_joined_column_by_column_whatever_they_are_written_in(kinds: Named, tmp_path: Path) -> None:
    raw = pd.DataFrame(
        {
            "seen": pd.to_datetime(["2024-02-29"] * 4),
            "zip": ["007", "x, y", "008", "009"],
            "x": [1.5, -2.0, float("inf"), 3.0],
            "note": ['say "a"', "b\nc", "d", ""],
        }
    )
    raw.to_csv(tmp_path / "new.csv", index=False)
    raw.to_parquet(tmp_path / "new.parquet", index=False)
    high = 1 / (1 + np.exp(-raw["x"]))
    for source, target in [
        ("new.csv", "a.csv.gz"),
        ("new.csv", "b.parquet"),
        ("new.parquet", "c.parquet"),
        ("new.parquet", "d.jsonl"),
    ]:
        done = run(kinds, tmp_path / source, tmp_path / target, join="input", threshold=plan.Threshold(1))
        assert (done.records, done.bad) == (4, 1)
        assert done.unread == {"seen", "note"}
        assert "column 'x' takes a number" in done.first

    plain = pd.read_csv(tmp_path / "a.csv.gz", dtype={"zip": str}, keep_default_na=False)
    wide = pd.read_parquet(tmp_path / "b.parquet")
    kept = pd.read_parquet(tmp_path / "c.parquet")
    pd.testing.assert_frame_equal(kept[list(raw.columns)], raw)
    for each in (plain, wide, kept):
        added = ["prediction.kind", "prediction.probabilities.low", "prediction.probabilities.high"]
        assert list(each.columns) == [*raw.columns, *added]
        assert each["zip"].tolist() == raw["zip"].tolist()
        assert each["note"].tolist() == raw["note"].tolist()
        good = each.drop(index=2)
        assert good["prediction.kind"].tolist() == ["high", "low", "high"]
        np.testing.assert_allclose(good[added[2]].astype(float), high.drop(index=2))
        assert each[added].iloc[2].tolist() in ([""] * 3, [None] * 3) or each[added].iloc[2].isna().all()
    assert wide["x"].tolist()[:2] == [1.5, -2.0]
    spoken = jsonl(tmp_path / "d.jsonl")
    assert spoken[0] == {
        "seen": "2024-02-29T00:00:00",
        "zip": "007",
        "x": 1.5,
        "note": 'say "a"',
        "prediction": {"kind": "high", "probabilities": {"low": 1 - high[0], "high": high[0]}},
    }
    assert list(spoken[2]["prediction"]) == ["error"]


def test_columns_are_filtered_before_and_after_and_need_no_names(kinds: Named, tmp_path: Path) -> None:
    """SageMaker's own example: the id is not for the model, and stands beside the answer."""
    (tmp_path / "bare.csv").write_text("17;39.1;a\n18;-1;b\n")
    run(
        *(kinds, tmp_path / "bare.csv", tmp_path / "out.csv"),
        header=False,
        join="input",
        input_filter=jsonpath.parse("$[1:]"),
        output_filter=jsonpath.parse("$[0,3]"),
    )
    assert (tmp_path / "out.csv").read_text() == "17;high\n18;low\n"


def test_nothing_is_written_when_too_many_are_bad(awkward: Named, tmp_path: Path) -> None:
    (tmp_path / "in.csv").write_text("x\n1\nfoo\n2\nbar\n")
    target = tmp_path / "there" / "out.csv"
    with pytest.raises(OrchestratorError) as refused:
        run(awkward, tmp_path / "in.csv", target, threshold=plan.threshold("49%"))
    told = "2 of 4 records are bad, more than 49%; the first: in.csv:3: column 'x' takes a number, not 'foo'"
    assert refused.value.message == told
    assert f"{target}.quarantine.jsonl" in refused.value.hint
    assert [each["input"] for each in jsonl(Path(f"{target}.quarantine.jsonl"))] == ["foo", "bar"]
    assert not target.exists()
    done = run(awkward, tmp_path / "in.csv", target, threshold=plan.threshold("50%"))
    assert target.read_text() == 'y\n2.0\n""\n4.0\n""\n'
    # A batch without bad records does not leave those of an earlier one behind.
    (tmp_path / "in.csv").write_text("x\n1\n")
    done = run(awkward, tmp_path / "in.csv", target)
    assert (done.bad, done.quarantine) == (0, "")
    assert Path(f"{target}.quarantine.jsonl").read_text() == ""
    assert left(target.parent) == []


def test_what_a_model_cannot_do_is_bad_and_costs_no_other_record(awkward: Named, tmp_path: Path) -> None:
    """It refuses one, fails with one, dies with one and hangs with one."""
    (tmp_path / "in.csv").write_text("x\n" + "".join(f"{value}\n" for value in [1, -1, 2, -2, 3, -3, -4]))
    done = run(
        *(awkward, tmp_path / "in.csv", tmp_path / "out.jsonl"),
        threshold=plan.Threshold(4),
        retries=0,
        size=2,
        seconds=5.0,
        workers=1,
    )
    assert (done.records, done.bad) == (7, 4)
    found = jsonl(tmp_path / "out.jsonl")
    assert [each.get("y") for each in found] == [2, None, 4, None, 6, None, None]
    assert {each["record"]: each["reason"] for each in jsonl(Path(done.quarantine))} == {
        2: "the model cannot take this data: minus one is no number",
        4: "the model failed: RuntimeError: the model has a bug",
        6: "the model failed: its process was ended by signal 9 (out of memory?)",
        7: "the model failed: no answer within 5 s",
    }


def test_a_model_that_always_dies_ends_the_batch(
    awkward: Named, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("orchestrator.serving.batch.pool.DEATHS", 0)
    (tmp_path / "in.csv").write_text("x\n" + "-3\n" * 40)
    with pytest.raises(BackendError, match=r"awkward was lost 2 times with nothing answered in between: its process"):
        run(awkward, tmp_path / "in.csv", tmp_path / "out.csv", threshold=plan.threshold("100%"), workers=1)
    assert not (tmp_path / "out.csv").exists()
    assert left(tmp_path) == []


def test_a_folder_of_files_and_a_place_elsewhere(awkward: Named, tmp_path: Path) -> None:
    for name, text in {"b/two.jsonl": '{"x": 2}\n', "one.csv": "x\n1\n", ".hidden": "?", "z.csv.gz": ""}.items():
        (tmp_path / "in" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "in" / name).write_text(text)
    (tmp_path / "in" / "z.csv.gz").write_bytes(gzip.compress(b"x\n3\n4\n"))
    done = run(awkward, tmp_path / "in", tmp_path / "out")
    assert (done.files, done.records) == (3, 4)
    assert (tmp_path / "out" / "b" / "two.jsonl.out").read_text() == '{"y": 4.0}\n'
    assert (tmp_path / "out" / "one.csv.out").read_text() == "y\n2.0\n"
    assert (tmp_path / "out" / "z.csv.gz.out").read_text() == "y\n6.0\n8.0\n"
    memory = fsspec.filesystem("memory")
    memory.pipe("/batch/in/a.csv", b"x\n1\nfoo\n")
    batch.run(
        awkward,
        Plan(threshold=plan.Threshold(1), input_format="csv"),
        source="memory://batch/in/*.csv",
        target="memory://batch/out",
    )
    assert memory.cat("/batch/out/a.csv.out") == b'y\n2.0\n""\n'
    assert json.loads(memory.cat("/batch/out.quarantine.jsonl"))["record"] == 2


def test_a_file_may_be_one_request(kinds: Named, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.json").write_text(json.dumps({"instances": [[39.1, "a"], [-3, None]]}))
    (tmp_path / "in" / "b.json").write_text("[[39.1, 18.7, 181]]")
    done = run(kinds, tmp_path / "in", tmp_path / "out", split="none", threshold=plan.Threshold(1))
    assert (done.records, done.bad, done.outputs) == (2, 1, (str(tmp_path / "out" / "a.json.out"),))
    predictions = json.loads((tmp_path / "out" / "a.json.out").read_text())["predictions"]
    assert [each["kind"] for each in predictions] == ["high", "low"]
    assert "the model takes 2" in jsonl(tmp_path / "out.quarantine.jsonl")[0]["reason"]


def test_what_cannot_be_read_or_loaded_is_said_and_leaves_nothing(awkward: Named, tmp_path: Path) -> None:
    source = tmp_path / "in.csv"
    source.write_text("X,z\n1,2\n")
    (tmp_path / "cut.csv.gz").write_bytes(gzip.compress(os.urandom(100_000))[:-50])
    with pytest.raises(NotFoundError):
        run(awkward, tmp_path / "nothing.csv", tmp_path / "out")
    with pytest.raises(OrchestratorError, match="is what is read from"):
        run(awkward, source, source)
    with pytest.raises(OrchestratorError, match=r"cut.csv.gz: cannot be read: "):
        run(awkward, tmp_path / "cut.csv.gz", tmp_path / "out.jsonl", input_format="jsonl")
    damaged = Named(awkward.path, "0" * 64, "damaged")
    with pytest.raises(OrchestratorError, match=r"damaged: .* expected 0000"):
        run(damaged, source, tmp_path / "out.csv")
    assert [each.name for each in tmp_path.iterdir() if each.name.startswith("out")] == []
    assert left(tmp_path) == []


def test_what_is_read_or_written_elsewhere_is_not_written_over(awkward: Named, tmp_path: Path) -> None:
    source = tmp_path / "in.csv"
    source.write_text("x\n1\nfoo\n")
    (tmp_path / "link.csv").symlink_to(source)
    os.link(source, tmp_path / "twin.csv")
    for target, quarantine, said in [
        ("out.csv", "in.csv", "in.csv is what is read from"),
        ("out.csv", "link.csv", "link.csv is what is read from"),
        ("twin.csv", "bad.jsonl", "twin.csv is what is read from"),
        ("out.csv", "out.csv", "is to be both an output and the quarantine"),
    ]:
        with pytest.raises(OrchestratorError, match=said):
            run(awkward, source, tmp_path / target, str(tmp_path / quarantine))
    memory = fsspec.filesystem("memory")
    memory.pipe("/over/in.csv", b"x\n1\n")
    with pytest.raises(OrchestratorError, match="is what is read from"):
        batch.run(awkward, Plan(), source="memory://over/in.csv", target="memory://over/in.csv")
    assert (source.read_text(), memory.cat("/over/in.csv")) == ("x\n1\nfoo\n", b"x\n1\n")
    assert sorted(each.name for each in tmp_path.glob("*.*")) == ["in.csv", "link.csv", "twin.csv"]


def test_an_output_is_not_also_the_input_of_another_file(awkward: Named, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    for name in ("a.csv", "a.csv.out"):
        (tmp_path / "in" / name).write_text("x\n1\n")
    with pytest.raises(OrchestratorError, match=r"a\.csv\.out is what is read from"):
        run(awkward, tmp_path / "in", tmp_path / "in")


def test_a_record_that_utf_8_cannot_hold_costs_only_itself(awkward: Named, tmp_path: Path) -> None:
    source = tmp_path / "in.jsonl"
    source.write_text('{"x": 1, "note": "\\ud83d"}\n{"x": "\\ud83d"}\n{"x": 2}\n')
    out, bad = tmp_path / "out.jsonl", tmp_path / "bad.jsonl"
    done = run(awkward, source, out, str(bad), join="input", threshold=plan.Threshold(1))
    assert (done.records, done.bad) == (3, 1)
    first, second, third = jsonl(out)
    assert first == {"x": 1, "note": "\ud83d", "prediction": {"y": 2.0}}
    assert (second["x"], third["prediction"]) == ("\ud83d", {"y": 4.0})
    assert [each["record"] for each in jsonl(bad)] == [2]


@pytest.mark.parametrize("kind", ["jsonl", "csv", "parquet"])
def test_what_a_model_answers_and_utf_8_cannot_hold_is_escaped(kind: str) -> None:
    task = Task(Source("in", "jsonl"), Plan(), kind, {}, ("y",), {"y": Cell("y", "y", "string")}, {"y": "string"})
    body = writing.write(task, Chunk(1), [Record(None, {}, 1, "")], [{"y": "\ud83d"}])
    text = records.rows(body)["y"][0].as_py() if kind == "parquet" else body.decode()
    assert {"jsonl": '{"y": "\\ud83d"}\n', "csv": "\\ud83d\n", "parquet": "\\ud83d"}[kind] == text


def test_bad_records_are_told_without_what_is_secret_in_a_uri(awkward: Named, tmp_path: Path) -> None:
    fsspec.filesystem("memory").pipe("/user:pass@secret/in.csv", b"x\nfoo\n")
    bad = tmp_path / "bad.jsonl"
    options: dict[str, Any] = {"target": str(tmp_path / "out"), "quarantine": str(bad)}
    asked = Plan(threshold=plan.Threshold(1))
    batch.run(awkward, asked, source="memory://user:pass@secret/in.csv", **options)
    assert jsonl(bad)[0]["file"] == "memory://secret/in.csv"


READY = Ready((("x", "number"), ("zip", "string")), ("note",), (Cell("kind", "kind", "string"),))
TABLE = Source("in.csv", "csv", ("zip", "x", "note", "other"))


def test_the_columns_of_a_table_are_settled_before_a_record_is_read() -> None:
    task = layout.task(TABLE, Plan(join="input"), READY, "out")
    assert (task.output, task.feeds) == ("csv", {"x": "x", "zip": "zip"})
    assert task.columns == ("zip", "x", "note", "other", "prediction.kind")
    assert layout.unread(task, READY) == {"other"}
    assert layout.task(TABLE, Plan(), READY, "out.parquet").columns == ("kind",)


@pytest.mark.parametrize(
    ("source", "options", "ready", "said"),
    [
        (Source("in.csv", "csv", ("X", "zip")), {}, READY, "in.csv: there is no column 'x', which the model takes"),
        (Source("in.csv", "csv", ("0",), header=False), {}, READY, "the model takes 2 columns, the file gives it 1"),
        (Source("in.jsonl", "jsonl"), {"join": "input"}, READY, "have no columns in common"),
        (TABLE, {"join": "input", "name": "other"}, replace(READY, cells=(Cell("y", "y", "number"),)), ""),
        (TABLE, {}, replace(READY, problem="the model has no example"), "do not fit into a table"),
        (TABLE, {"output_filter": jsonpath.parse("$.y")}, READY, "names a column 'y': the output has none"),
        (TABLE, {"input_filter": jsonpath.parse("$[0]")}, READY, "there is no column 'x'"),
    ],
)
def test_what_does_not_fit_is_said(source: Source, options: dict[str, Any], ready: Ready, said: str) -> None:
    if not said:
        assert layout.task(source, Plan(**options), ready, "out.csv").columns[-1] == "other.y"
        return
    with pytest.raises(OrchestratorError, match=said):
        layout.task(source, Plan(**options), ready, "out.csv")


class Bodies:
    """A model that takes bodies of its own: each record is one."""

    signature = Signature(())
    platform = "python"
    example = ()

    def respond(self, body: bytes, content_type: str, accept: str) -> tuple[bytes, str]:
        if b"no" in body:
            raise InputError("not that")
        return (b"just text" if b"text" in body else json.dumps([content_type, body.decode()]).encode()), accept

    def outputs(self, columns: Any) -> dict[str, Any]:
        raise AssertionError("it takes no columns")


def test_a_model_of_bodies_is_given_each_record_as_one() -> None:
    source = Source("in.jsonl", "jsonl")
    lines = tuple(Line(at, text) for at, text in enumerate([b'{"a": 1}', b'"no"', b'["text"]'], start=1))
    answered = answering.answer(Bodies(), Task(source, Plan(retries=0), "jsonl"), Chunk(1, lines))
    assert [json.loads(line) for line in answered.bodies[0].splitlines()] == [
        ["application/json", '{"a": 1}'],
        {"error": "not that"},
        "just text",
    ]
    assert [each.record for each in answered.rejected] == [2]
    table = Source("in.csv", "csv", ("a", "b"))
    task = Task(table, Plan(retries=0), "jsonl", feeds={"a": "a", "b": "b"})
    answered = answering.answer(Bodies(), task, Chunk(1, (Line(2, b'1.5,"x, y"'),)))
    assert json.loads(answered.bodies[0]) == ["text/csv", '1.5,"x, y"\n']
