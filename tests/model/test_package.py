"""Programs that come with a model: what answers, what they need, and the folder they become."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from orchestrator import digest
from orchestrator.errors import OrchestratorError
from orchestrator.model import entry, folder, manifest, package, requirements, rows
from orchestrator.model.package import Wanted
from orchestrator.model.signature import Column, Signature, columns_from_records

MODELS = Path(__file__).parent.parent / "serving" / "models"
CLASS = "class {}:\n    def predict(self, payload):\n        return 1\n"


def program(path: Path, **files: str) -> Path:
    for name, text in files.items():
        file = path / name.replace("__", "/").replace("_py", ".py")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return path


@pytest.mark.parametrize(
    ("files", "found"),
    [
        ({"code__inference_py": "def model_fn(d): ..."}, "code/inference.py"),
        ({"inference_py": "from mine import model_fn", "mine_py": "def model_fn(d): ..."}, "inference.py"),
        ({"model_py": CLASS.format("A"), "test_it_py": CLASS.format("B")}, "model.py:A"),
        ({"model_py": CLASS.format("Base") + "class Mine(Base):\n    pass\n"}, "model.py:Mine"),
        ({"serve_py": "import kserve\nclass M(kserve.Model):\n    async def predict(self, p): ...\n"}, "serve.py:M"),
        ({"inference_py": "try:\n    from fast import predict_fn\nexcept ImportError:\n    pass\n"}, "inference.py"),
    ],
)
def test_what_answers_is_found_by_reading(tmp_path: Path, files: dict[str, str], found: str) -> None:
    assert str(entry.find(program(tmp_path, **files))) == found


@pytest.mark.parametrize(
    ("files", "asked", "said"),
    [
        ({"features_py": "x = 1"}, "", "nothing in .* answers requests"),
        ({"a_py": CLASS.format("A"), "b_py": CLASS.format("B")}, "", "several programs could answer: a.py:A, b.py:B"),
        ({"a_py": CLASS.format("A")}, "a.py:B", "a.py has no class 'B'"),
        ({"a_py": CLASS.format("A")}, "b.py", "no file of code 'b.py'"),
        ({"a_py": CLASS.format("A")}, "../a.py", "no file of code"),
        ({"a_py": CLASS.format("A") + CLASS.format("B")}, "a.py", "several classes that could answer: A, B"),
        ({"a_py": "x = (\n"}, "", "a.py:1:5: '\\(' was never closed"),
    ],
)
def test_what_cannot_be_found_is_told(tmp_path: Path, files: dict[str, str], asked: str, said: str) -> None:
    with pytest.raises(OrchestratorError, match=said):
        entry.find(program(tmp_path, **files), asked)


def test_nothing_of_a_program_runs_while_it_is_packed(tmp_path: Path) -> None:
    source = program(tmp_path / "source", model_py=f"open({str(tmp_path / 'ran')!r}, 'w')\n" + CLASS.format("A"))
    (source / "example.json").write_text("[[1]]")
    (tmp_path / "out").mkdir()
    package.make(Wanted(source), tmp_path / "out")
    assert not (tmp_path / "ran").exists()


def test_requirements_are_read_as_pip_reads_them(tmp_path: Path) -> None:
    (tmp_path / "more.txt").write_text("pandas >= 2\n")
    (tmp_path / "requirements.txt").write_text(
        "# what it needs\n--extra-index-url https://example.org/simple\nnumpy>=2,<3 # fast\n-r more.txt\n"
        "scikit-learn==1.5 \\\n  --hash=sha256:abc\nuvicorn[standard]; python_version > '3'\n-c constraints.txt\n"
        "mine @ https://example.org/mine-1.0.tar.gz\n"
    )
    assert requirements.read(tmp_path / "requirements.txt") == (
        "numpy>=2,<3",
        "pandas >= 2",
        "scikit-learn==1.5",
        "uvicorn[standard]; python_version > '3'",
        "mine @ https://example.org/mine-1.0.tar.gz",
    )


@pytest.mark.parametrize("line", ["-r ../../etc/passwd", "-r requirements.txt", "-e .", "./wheel.whl", "a b"])
def test_a_requirement_that_cannot_be_looked_for_is_told(tmp_path: Path, line: str) -> None:
    (tmp_path / "requirements.txt").write_text(f"numpy\n{line}\n")
    with pytest.raises(OrchestratorError):
        requirements.read(tmp_path / "requirements.txt")


def test_what_is_not_met_is_told_by_name_and_version() -> None:
    there = {"numpy": "2.1.0", "kept": "1.0rc1"}
    said = requirements.unmet(
        ["numpy>=2", "numpy<2", "kept", "gone==1", "other; python_version < '3'"], installed=there.get
    )
    assert said == ["numpy<2 is wanted, and numpy 2.1.0 is installed", "gone==1 is not installed"]
    assert requirements.unmet(["numpy>=1", "pytest", "PyYAML"]) == []
    assert requirements.unmet(["no-such-package-anywhere"]) == ["no-such-package-anywhere is not installed"]


@pytest.mark.parametrize(
    ("body", "kind", "names"),
    [
        (b'{"instances": [{"a": 1.5, "b": "x"}, {"a": 2, "b": null}]}', rows.JSON, ("a", "b")),
        (b'{"inputs": [[1, true], [2.5, false]]}', rows.JSON, ("x0", "x1")),
        (b"[1, 2.5]", rows.JSON, ("value",)),
        (b"a,b\n1,x\n2.5,y\n", rows.CSV, ("a", "b")),
        (b"1,2\n3,4.5\n", rows.CSV, ("x0", "x1")),
        (b'"quoted, comma"\n', rows.CSV, ("x0",)),
    ],
)
def test_rows_are_written_as_the_example_has_them(body: bytes, kind: str, names: tuple[str, ...]) -> None:
    table = rows.read(body, kind)
    assert table is not None
    assert table.names == names
    columns = columns_from_records(Signature(table.columns), table.records)
    again = rows.read(rows.write(table.form, table.columns, columns), kind)
    assert again == table
    # 1 == True: what is true or false stays it.
    flags = [[type(value) is bool for value in row] for row in table.rows]
    assert [[type(value) is bool for value in row] for row in again.rows] == flags


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"\x89PNG", "image/png"),
        (b"\xff\xfe", rows.JSON),
        (b"[" * 100_000, rows.JSON),
        (b'{"instances": [[[1]]]}', rows.JSON),
        (b'{"instances": [[1], [2, 3]]}', rows.JSON),
        (b'{"instances": [1], "parameters": {}}', rows.JSON),
        (b'{"instances": [{"a": 1}, [2]]}', rows.JSON),
        (b'[[1, "x"], ["y", 2]]', rows.JSON),
        (b"a,b\n1\n", rows.CSV),
        (b"", rows.CSV),
        (b"1,2\r3,4", rows.CSV),
        (b"x" * 200_000 + b",1\n", rows.CSV),
    ],
)
def test_what_is_no_table_is_none(body: bytes, kind: str) -> None:
    assert rows.read(body, kind) is None


@pytest.mark.parametrize(
    ("body", "kind", "outputs"),
    [
        (b'{"predictions": ["a", "b"], "took": 3}', rows.JSON, {"prediction": ["a", "b"]}),
        (b"[0.5, null]", rows.JSON, {"prediction": [0.5, np.nan]}),
        (b'{"label": ["a", "b"], "score": [1, 2], "model": "m"}', rows.JSON, {"label": ["a", "b"], "score": [1, 2]}),
        (b"[[0.1, 0.9], [1, 0]]", rows.JSON, {"prediction": [[0.1, 0.9], [1, 0]]}),
        (b"1\n2\n", rows.CSV, {"prediction": [1, 2]}),
        (b'[{"box": 1}, "x"]', rows.JSON, {"prediction": ['{"box": 1}', "x"]}),
    ],
)
def test_an_answer_becomes_arrays(body: bytes, kind: str, outputs: dict[str, list[object]]) -> None:
    found = rows.predictions(body, kind, 2)
    assert list(found) == list(outputs)
    for name, values in outputs.items():
        np.testing.assert_array_equal(found[name], np.array(values, dtype=found[name].dtype))


@pytest.mark.parametrize("body", [b'{"predictions": [1]}', b"[1, 2, 3]", b'"text"', b"3", b"\x89PNG", b"{}"])
def test_an_answer_that_is_not_a_prediction_per_row_is_refused(body: bytes) -> None:
    with pytest.raises(OrchestratorError):
        rows.predictions(body, rows.JSON, 2)


@pytest.mark.parametrize("body", [b"1\r2", b"\xff\n1\n", b"1\n"])
def test_an_answer_that_is_no_csv_of_predictions_is_refused(body: bytes) -> None:
    with pytest.raises(OrchestratorError, match="the model"):
        rows.predictions(body, rows.CSV, 2)


def test_a_package_is_a_model_folder_with_digests(tmp_path: Path) -> None:
    made = package.make(Wanted(MODELS / "scorer"), tmp_path)
    read, about = package.verified(tmp_path, digest.of(tmp_path))
    assert read == made == manifest.read(tmp_path)
    assert (read.flavor, about.entry, about.requirements) == ("handlers", "code/inference.py", ("numpy>=2",))
    assert read.versions["numpy"] == np.__version__
    assert read.example == ({"mass": 3.5, "length": 1},)
    assert [(each.name, each.type) for each in read.signature.inputs] == [("mass", "number"), ("length", "number")]
    with pytest.raises(OrchestratorError, match="only a server runs it"):
        folder.load(tmp_path)


@pytest.mark.parametrize("change", ["edit", "add", "remove"])
def test_a_package_that_was_changed_is_refused(tmp_path: Path, change: str) -> None:
    package.make(Wanted(MODELS / "scorer"), tmp_path)
    code = tmp_path / "program" / "code"
    if change == "edit":
        (code / "features.py").write_text("evil = 1")
    elif change == "add":
        (code / "json.py").write_text("evil = 1")
    else:
        (code / "features.py").unlink()
    with pytest.raises(OrchestratorError, match="not intact"):
        package.verified(tmp_path)


def test_a_signature_names_the_values_of_rows(tmp_path: Path) -> None:
    told = tmp_path / "signature.json"
    told.write_text(json.dumps({"inputs": [{"name": "a", "type": "integer"}, {"name": "b", "type": "number"}]}))
    (tmp_path / "out").mkdir()
    made = package.make(Wanted(MODELS / "adder", signature=told), tmp_path / "out")
    assert made.signature.inputs == (Column("a", "integer"), Column("b", "number"))
    assert made.example == ({"a": 1, "b": 2},)
    assert made.package is not None
    assert made.package.declared


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        '{"inputs": []}',
        '{"inputs": [{"name": "a"}]}',
        '{"inputs": [{"name": "a", "type": "float"}]}',
        '{"inputs": [{"name": "a", "type": "number"}], "outputs": 5}',
        '{"inputs": [{"name": "a", "type": "number"}], "ignored": "note"}',
    ],
)
def test_what_is_no_signature_is_told(tmp_path: Path, text: str) -> None:
    (tmp_path / "signature.json").write_text(text)
    with pytest.raises(OrchestratorError, match=r"signature"):
        package.read_signature(tmp_path / "signature.json")


def test_what_is_hidden_stays_where_it_is(tmp_path: Path) -> None:
    shutil.copytree(MODELS / "adder", tmp_path / "source")
    for name in (".env", ".git/config", "__pycache__/model.pyc"):
        (tmp_path / "source" / name).parent.mkdir(exist_ok=True)
        (tmp_path / "source" / name).write_text("TOKEN=secret")
    (tmp_path / "out").mkdir()
    made = package.make(Wanted(tmp_path / "source"), tmp_path / "out")
    assert sorted(made.files) == [
        "example",
        "program/example.json",
        "program/features.py",
        "program/model.py",
        "program/more.txt",
    ]


def test_links_out_of_a_folder_are_refused(tmp_path: Path) -> None:
    shutil.copytree(MODELS / "adder", tmp_path / "source")
    (tmp_path / "secret").write_text("x")
    (tmp_path / "source" / "secret").symlink_to(tmp_path / "secret")
    with pytest.raises(OrchestratorError, match="leads outside"):
        package.make(Wanted(tmp_path / "source"), tmp_path / "out")


def test_a_program_without_a_request_to_try_it_with_is_refused(tmp_path: Path) -> None:
    source = program(tmp_path / "source", model_py=CLASS.format("A"))
    (tmp_path / "out").mkdir()
    with pytest.raises(OrchestratorError, match="no request to try") as raised:
        package.make(Wanted(source), tmp_path / "out")
    assert "--example" in raised.value.hint
