"""The publish component from its command line to MLflow's registry; a no changes nothing at all (AS-02)."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from components.publish import __main__ as publish
from orchestrator import digest, program, registry
from orchestrator.model import folder, manifest
from orchestrator.model.signature import Signature

COMPONENT = Path(publish.__file__).parent
RULES = ["f1 > 0.85", "f1 >= baseline.f1"]


@dataclass(frozen=True)
class Done:
    code: int
    stdout: str
    stderr: str
    published: bool | None
    version: str | None
    decision: dict[str, Any] | None
    metadata: dict[str, Any]


@pytest.fixture(scope="session")
def database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A registry with nothing in it: made once, because that takes a second."""
    state = tmp_path_factory.mktemp("database")
    model = tmp_path_factory.mktemp("model")
    (model / "model.json").write_text("{}")
    registry.open(f"sqlite:///{state}/mlflow.db").create(
        "other", model=model, digest="d", metrics={}, parameters={}, tags={}, approval="pending", reason="r", run="r"
    )
    return state


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    state = tmp_path / ".orc"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{state}/mlflow.db")
    monkeypatch.setenv("ORC_STATE", str(state))
    monkeypatch.setenv("ORC_RUN", "penguins-1")
    monkeypatch.setenv("ORC_PIPELINE", "penguins-pipeline")
    return state


@pytest.fixture
def models(database: Path, state: Path) -> registry.Registry:
    shutil.copytree(database, state)
    return registry.open(f"sqlite:///{state}/mlflow.db")


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "model"
    path.mkdir()
    training = manifest.Training(rows=240, digest="sha256:data", seed=7, hyperparameters={"max_iter": 100})
    made = manifest.Manifest(
        "sklearn", "logistic_regression", "classification", Signature((), ()), "species", training=training
    )
    (path / "model.json").write_text(manifest.dump(made))
    (path / "estimator.joblib").write_bytes(b"weights")
    return path


@pytest.fixture
def run(tmp_path: Path, model: Path, state: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., Done]:
    def run(f1: Any = 0.9712, *, rules: Any = RULES, baseline: float | None = None, **given: Any) -> Done:
        outputs = tmp_path / "outputs"
        shutil.rmtree(outputs, ignore_errors=True)
        measured = {
            "version": 1,
            "problem": "classification",
            "rows": 103,
            "metrics": {"accuracy": 0.98, "log_loss": "Infinity", **({} if f1 is None else {"f1": f1})},
            "baseline": baseline and {"name": "penguins", "version": "1", "metrics": {"f1": baseline}},
            "slices": [{"slice": {"island": "Biscoe", "year": 2007.0, "wet": True}, "rows": 9, "metrics": {"f1": 0.7}}],
        }
        metrics = tmp_path / "metrics.json"
        metrics.write_text(json.dumps(measured))
        arguments = {"model": model, "metrics": metrics, "name": "penguins", "rules": json.dumps(rules), **given}
        interface = program.Interface.read(COMPONENT / "component.yaml")
        executor = {"outputs": {"outputFile": str(outputs / "executor_output.json"), "artifacts": {}}}
        flags = ["--executor_input", json.dumps(executor)]
        for name, value in arguments.items():
            flags += [f"--{name}", str(value)]
        for name in interface.outputs:
            flags += [f"--{name}", str(outputs / name)]
        code = program.execute(interface, flags, publish.main)
        said = capsys.readouterr()
        written = {path.name: path.read_text() for path in outputs.glob("*")}
        metadata = json.loads(written.get("executor_output.json", '{"artifacts": {}}'))["artifacts"]
        return Done(
            code,
            said.out,
            said.err,
            json.loads(written["published"]) if "published" in written else None,
            written.get("version"),
            json.loads(written["decision"]) if "decision" in written else None,
            metadata["decision"]["artifacts"][0]["metadata"] if metadata else {},
        )

    return run


def test_a_model_that_is_good_enough_becomes_the_champion(
    run: Callable[..., Done], models: registry.Registry, model: Path, state: Path
) -> None:
    done = run()
    assert (done.code, done.stderr, done.published, done.version) == (0, "", True, "models:/penguins/1")
    assert done.stdout.splitlines() == [
        "f1 >= baseline.f1 was skipped: there is no baseline to compare with",
        "published: penguins version 1, f1 = 0.9712 > 0.85",
    ]
    assert done.metadata == {"decision": "published", "reason": "f1 = 0.9712 > 0.85"}
    found = models.version("penguins@champion")
    assert (found.digest, found.metrics, found.run) == (
        folder.digest(model),
        {"accuracy": 0.98, "f1": 0.9712},
        "penguins-1",
    )
    assert found.path.is_relative_to(state / "models")
    assert digest.of(found.path) == digest.of(model)
    from mlflow import MlflowClient

    judge = MlflowClient(tracking_uri=models.uri, registry_uri=models.uri)
    logged = judge.get_run(judge.get_model_version_by_alias("penguins", "champion").run_id)
    assert logged.data.params == {"algorithm": "logistic_regression", "seed": "7", "max_iter": "100"}
    assert judge.get_experiment(logged.info.experiment_id).name == "penguins-pipeline"


def test_the_decision_holds_every_number_it_was_made_on(
    run: Callable[..., Done], models: registry.Registry, model: Path
) -> None:
    decision = run(baseline=0.95).decision or {}
    assert decision.pop("at").endswith("+00:00")
    assert decision == {
        "version": 1,
        "decision": "published",
        "reason": "f1 = 0.9712 > 0.85; f1 = 0.9712 >= baseline.f1 = 0.95",
        "rules": [
            {"rule": "f1 > 0.85", "left": 0.9712, "operator": ">", "right": 0.85, "passed": True, "note": ""},
            {"rule": "f1 >= baseline.f1", "left": 0.9712, "operator": ">=", "right": 0.95, "passed": True, "note": ""},
        ],
        "model": {"name": "penguins", "version": "1", "digest": folder.digest(model)},
        "metrics": {"accuracy": 0.98, "log_loss": "Infinity", "f1": 0.9712},
        "baseline": {"name": "penguins", "version": "1", "metrics": {"f1": 0.95}},
    }


@pytest.mark.parametrize(
    ("f1", "given", "outcome", "reason"),
    [
        (0.8312, {}, "rejected", "f1 = 0.8312 is not > 0.85"),
        (0.85, {}, "rejected", "f1 = 0.85 is not > 0.85"),
        (0.9, {"baseline": 0.91}, "rejected", "f1 = 0.9 is not >= baseline.f1 = 0.91"),
        ("NaN", {}, "undecided", "f1 > 0.85 cannot be decided: f1 is NaN"),
        (math.nan, {}, "undecided", "f1 > 0.85 cannot be decided: f1 is NaN"),
        (None, {}, "undecided", "f1 > 0.85 cannot be decided: no metric 'f1' was measured; known: accuracy, log_loss"),
        (True, {}, "undecided", "f1 > 0.85 cannot be decided: no metric 'f1' was measured; known: accuracy, log_loss"),
        (0.9, {"rules": []}, "rejected", "no rule, no publication: give rules, or set unsafe_without_gate: true"),
        (0.9, {"rules": ["slice(island=Biscoe,year=2007,wet=true).f1 > 0.8"]}, "rejected", None),
        (0.5, {"unsafe_without_gate": "true"}, "rejected", "f1 = 0.5 is not > 0.85"),
    ],
)
def test_a_no_is_no_failure_and_touches_nothing(
    run: Callable[..., Done], state: Path, f1: Any, given: dict[str, Any], outcome: str, reason: str | None
) -> None:
    done = run(f1, **given)
    assert (done.code, done.stderr, done.published, done.version) == (0, "", False, "")
    assert done.decision is not None
    assert done.decision["decision"] == done.metadata["decision"] == outcome
    assert done.decision["model"]["version"] == ""
    assert reason is None or done.decision["reason"] == reason
    assert done.stdout.splitlines()[-1] == f"{outcome}: {done.decision['reason']}"
    assert not state.exists()


def test_a_no_leaves_the_champion_and_the_registry_as_they_were(
    run: Callable[..., Done], models: registry.Registry, state: Path
) -> None:
    run()
    before = digest.of(state)
    assert (run(0.5).published, digest.of(state)) == (False, before)


def test_a_resumed_task_publishes_once(run: Callable[..., Done], models: registry.Registry) -> None:
    assert [run().version, run().version] == ["models:/penguins/1", "models:/penguins/1"]
    assert len(models.versions("penguins")) == 1


def test_without_a_gate_only_by_name(run: Callable[..., Done], models: registry.Registry) -> None:
    done = run(0.5, rules=[], unsafe_without_gate="true")
    assert done.published is True
    assert done.stdout.endswith("1, without a gate, as unsafe_without_gate allows: no rule, no publication\n")


def test_a_pending_version_is_published_without_the_alias(run: Callable[..., Done], models: registry.Registry) -> None:
    done = run(approval="pending", baseline=0.9)
    assert done.stdout.startswith("published: penguins version 1 (pending), ")
    assert models.version("penguins/1").aliases == ()


def test_what_a_person_rejected_stays_rejected(run: Callable[..., Done], models: registry.Registry) -> None:
    run()
    models.reject("penguins/1", by="ana", reason="leaks the target")
    done = run()
    assert (done.code, done.published, done.version) == (0, False, "")
    assert done.metadata == {
        "decision": "rejected",
        "reason": "version 1 of penguins, the same model, was rejected by ana: leaks the target",
    }


@pytest.mark.parametrize(
    ("given", "code", "said"),
    [
        ({"rules": ["f1 > 0.85", "f1 => 0.9"]}, 2, "error: rules:2:4: expected a comparison"),
        ({"rules": [0.85]}, 2, "error: rules:1:1: a rule is text, not 0.85"),
        (
            {"approval": "aproved"},
            1,
            "error: approval: expected approved or pending, not 'aproved'\n  hint: did you mean 'approved'?",
        ),
        ({"alias": "v3"}, 1, "error: 'v3' cannot be an alias"),
        ({"name": "a/b"}, 1, "error: 'a/b' cannot name a registered model"),
        ({"metrics": "/nowhere.json"}, 1, "error: the metrics /nowhere.json cannot be read"),
        ({"model": "/nowhere"}, 4, "error: there is no model '/nowhere'"),
    ],
)
def test_what_cannot_be_asked_is_one_clear_error(
    run: Callable[..., Done], state: Path, given: dict[str, Any], code: int, said: str
) -> None:
    done = run(**given)
    assert (done.code, done.published, done.decision) == (code, None, None)
    assert done.stderr.startswith(said)
    assert not state.exists()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        "null",
        "\x00\x01",
        "[" * 100_000,
        '{"metrics": 3}',
        '{"metrics": {}, "slices": [3]}',
        '{"metrics": {}, "baseline": {}}',
    ],
)
def test_metrics_that_are_none_are_one_clear_error(run: Callable[..., Done], tmp_path: Path, text: str) -> None:
    broken = tmp_path / "broken.json"
    broken.write_text(text)
    done = run(metrics=broken)
    assert (done.code, done.published) == (1, None)
    assert done.stderr.startswith(f"error: the metrics {broken} cannot be read: ")


def test_a_registry_that_cannot_be_written_is_an_error_and_no_decision(
    run: Callable[..., Done], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "sqlite:////proc/none/mlflow.db")
    done = run()
    assert (done.code, done.published, done.version) == (5, None, None)
    assert done.stderr.startswith("error: model registry: cannot write /proc/none/mlflow.db")


def test_as_a_process_a_no_loads_no_registry(model: Path, tmp_path: Path, state: Path) -> None:
    (tmp_path / "metrics.json").write_text('{"metrics": {"f1": 0.8312}}')
    arguments = {"model": model, "metrics": tmp_path / "metrics.json", "name": "penguins", "rules": ["f1 > 0.85"]}
    done = program.invoke(COMPONENT, arguments, tmp_path / "out", environment={"PYTHONPROFILEIMPORTTIME": "1"})
    assert (done.code, done.parameters) == (0, {"published": False, "version": ""})
    assert done.stdout == "rejected: f1 = 0.8312 is not > 0.85\n"
    assert done.metadata["decision"]["decision"] == "rejected"
    loaded = {line.rpartition("|")[2].strip().partition(".")[0] for line in done.stderr.splitlines()}
    assert "orchestrator" in loaded
    assert loaded.isdisjoint({"mlflow", "sqlalchemy", "alembic", "pandas", "sklearn"})


def test_as_a_process_a_yes_says_one_line(model: Path, tmp_path: Path, state: Path) -> None:
    (tmp_path / "metrics.json").write_text('{"metrics": {"f1": 0.9712}}')
    arguments = {"model": model, "metrics": tmp_path / "metrics.json", "name": "penguins", "rules": ["f1 > 0.85"]}
    done = program.invoke(COMPONENT, arguments, tmp_path / "outputs")
    assert (done.code, done.stderr, done.stdout) == (0, "", "published: penguins version 1, f1 = 0.9712 > 0.85\n")
    assert done.parameters == {"published": True, "version": "models:/penguins/1"}
    assert not (tmp_path / "outputs" / "mlruns").exists()
