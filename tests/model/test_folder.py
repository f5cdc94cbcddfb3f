"""A model folder: what is saved is what is loaded, and what was changed is refused before it can run."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression

from orchestrator.errors import NotFoundError, OrchestratorError
from orchestrator.model import fit, folder, frame, manifest, transform
from orchestrator.model.manifest import Manifest, Training
from orchestrator.model.signature import Column, InputError, Signature

TABLE = pd.DataFrame({"x": [0.0, 1.0, 2.0, 3.0], "w": ["a", "b", "a", "b"], "late": [False, False, True, True]})


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    inputs, columns = frame.columns(TABLE)
    made = fit.fit(None, columns, inputs, target="late")
    estimator = LogisticRegression().fit(transform.apply(made, columns)[1], [0, 0, 1, 1])
    described = Manifest(
        flavor="sklearn",
        algorithm="logistic_regression",
        problem="classification",
        signature=Signature(made.inputs, (Column("late", "boolean"),), ("late",)),
        target="late",
        classes=(False, True),
        example=({"x": 1.0, "w": "a"},),
        training=Training(rows=4, features=made.features, digest="abc", hyperparameters={"C": 1.0}),
    )
    folder.save(tmp_path / "model", described, made, estimator)
    return tmp_path / "model"


def test_a_model_comes_back(saved: Path) -> None:
    model = folder.load(saved, folder.digest(saved))
    assert model.manifest.classes == (False, True)
    assert set(model.manifest.files) == {"transform.json", "estimator.joblib"}
    assert {"python", "numpy", "scikit-learn", "joblib"} <= set(model.manifest.versions)
    assert model.notes == ()
    prediction = model.predict_records([{"x": 0.0, "w": "a"}, {"x": 3, "w": None}])
    assert prediction.values.tolist() == [False, True]
    assert prediction.probabilities is not None
    np.testing.assert_allclose(prediction.probabilities.sum(axis=1), 1)
    judge = joblib.load(saved / "estimator.joblib")
    _, columns = frame.columns(TABLE)
    expected = judge.predict_proba(transform.apply(model.transform, columns)[1])
    np.testing.assert_array_equal(model.predict(columns).probabilities, expected)


def test_no_row_gives_no_prediction(saved: Path) -> None:
    prediction = folder.load(saved).predict_records([])
    assert len(prediction.values) == 0
    assert prediction.probabilities is not None
    assert prediction.probabilities.shape == (0, 2)


def test_a_manifest_survives_its_text(saved: Path) -> None:
    text = (saved / "model.json").read_text()
    assert manifest.dump(manifest.load(text)) == text


def test_a_bad_request_names_the_column(saved: Path) -> None:
    with pytest.raises(InputError, match="column 'x' takes a number"):
        folder.load(saved).predict_records([{"x": "much", "w": "a"}])


class Harm:
    """A pickle that would leave a trace if it were loaded."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        return Path.touch, (self.trace,)


def test_a_changed_estimator_is_never_loaded(saved: Path, tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    joblib.dump(Harm(trace), saved / "estimator.joblib")
    with pytest.raises(OrchestratorError, match=r"is not intact: estimator\.joblib does not have its digest"):
        folder.load(saved)
    assert not trace.exists()


def test_a_folder_that_was_forged_whole_is_caught_by_the_registry_s_digest(saved: Path, tmp_path: Path) -> None:
    known, trace = folder.digest(saved), tmp_path / "trace"
    joblib.dump(Harm(trace), saved / "estimator.joblib")
    document = json.loads((saved / "model.json").read_text())
    from orchestrator import digest

    document["files"]["estimator.joblib"] = digest.of_file(saved / "estimator.joblib")
    (saved / "model.json").write_text(json.dumps(document))
    with pytest.raises(OrchestratorError, match=r"has digest .*, expected"):
        folder.load(saved, known)
    assert not trace.exists()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"version": 2}, "format version 2, this program reads 1"),
        ({"flavor": "pmml"}, "a model that this program does not know"),
        ({"files": {}}, r"names files \[\], expected"),
        ({"files": {"../../etc/passwd": "0"}}, "names files"),
        ({"signature": None}, "is not the manifest of a model"),
    ],
)
def test_a_manifest_that_does_not_fit_is_refused(saved: Path, change: dict[str, object], message: str) -> None:
    document = json.loads((saved / "model.json").read_text())
    (saved / "model.json").write_text(json.dumps({**document, **change}))
    with pytest.raises(OrchestratorError, match=message):
        folder.load(saved)


def test_what_is_no_model(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="there is no model"):
        folder.load(tmp_path)
    (tmp_path / "model.json").write_bytes(b"\x80garbage")
    with pytest.raises(OrchestratorError, match="cannot be read"):
        folder.load(tmp_path)
    (tmp_path / "model.json").write_text("[]")
    with pytest.raises(OrchestratorError, match="is not the manifest of a model"):
        folder.load(tmp_path)


def test_a_missing_file(saved: Path) -> None:
    (saved / "transform.json").unlink()
    with pytest.raises(OrchestratorError, match=r"has no file transform\.json"):
        folder.load(saved)


def test_another_version_is_noted(saved: Path) -> None:
    document = json.loads((saved / "model.json").read_text())
    document["versions"]["scikit-learn"] = "1.4.0"
    (saved / "model.json").write_text(json.dumps(document))
    assert [note.split(",")[0] for note in folder.load(saved).notes] == ["trained with scikit-learn 1.4.0"]


def test_the_server_s_half_imports_nothing_heavy() -> None:
    code = (
        "import sys; from orchestrator.model import folder, manifest, signature, transform; "
        "heavy = ('pandas', 'sklearn', 'joblib', 'pydantic', 'keras', 'pyarrow'); "
        "print([name for name in heavy if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
