"""The deploy component as a runner starts it: a process, a real registry, a real model server."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from components.deploy import deploy, plan
from components.train.train import Request, train
from orchestrator import digest, program, registry, source
from orchestrator.errors import OrchestratorError, RunError
from orchestrator.model import folder
from orchestrator.registry import ModelVersion
from orchestrator.serving import declarations, endpoint, local, place

ROOT = Path(__file__).parent.parent.parent
COMPONENT = ROOT / "components" / "deploy"
ENDPOINT = ROOT / "pipelines" / "penguins" / "endpoint.yaml"
VARIANTS = "variants:\n  - {name: main, model: penguins, weight: 1}"


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two versions of a classifier that differ, and tell penguins apart."""
    table = pd.read_csv(ROOT / "pipelines" / "penguins" / "data" / "penguins.csv").drop(columns=["id", "year"])
    made: list[Path] = []
    for strength in (1.0, 0.1):
        request = Request("logistic_regression", target="species", hyperparameters={"C": strength})
        trained = train(table, request)
        made.append(tmp_path_factory.mktemp("models") / "model")
        folder.save(made[-1], trained.manifest, trained.transform, trained.estimator)
    return made


@pytest.fixture(scope="module")
def registered(tmp_path_factory: pytest.TempPathFactory, models: list[Path]) -> Path:
    """A state folder whose registry has versions 1 and 2 approved, 3 pending; made once, copied by each test."""
    state = tmp_path_factory.mktemp("registered")
    versions = registry.open(f"sqlite:///{state / 'mlflow.db'}", state=state)
    for number, (model, approval) in enumerate(
        [(models[0], "approved"), (models[1], "approved"), (models[0], "pending")]
    ):
        versions.create(
            "penguins",
            model=model,
            digest=folder.digest(model),
            metrics={"f1": 0.9},
            parameters={},
            tags={},
            approval=approval,
            reason="f1 > 0.85",
            run=f"run-{number}",
            alias="champion" if approval == "approved" else None,
        )
    with sqlite3.connect(state / "mlflow.db") as database:
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    database.close()
    return state


@dataclass(frozen=True, slots=True)
class Workplace:
    """A state folder with a registry, and the deploy component run over it."""

    state: Path
    folder: Path
    environment: Mapping[str, str] = field(default_factory=dict)

    def deploy(self, version: str, file: Path = ENDPOINT, **environment: str) -> program.Result:
        outputs = self.folder / f"outputs-{time.monotonic_ns()}"
        said = {"ORC_STATE": str(self.state), "MLFLOW_TRACKING_URI": self.uri, "ORC_RUN": "run-7", **environment}
        return program.invoke(COMPONENT, {"version": version, "endpoint": file}, outputs, environment=said)

    def plan(self, version: str, text: str) -> declarations.Declaration:
        """The same decision as the component's, without a process."""
        spec = endpoint.parse(source.parse(text, "endpoint.yaml"))
        find = registry.open(self.uri, state=self.state).version
        return plan.plan(version, spec, find, run="", at=datetime(2026, 1, 1, tzinfo=UTC))

    def file(self, text: str) -> Path:
        path = self.folder / "endpoint.yaml"
        path.write_text(text)
        return path

    def version(self, ref: str) -> ModelVersion:
        return registry.open(self.uri, state=self.state).version(ref)

    @property
    def uri(self) -> str:
        return f"sqlite:///{self.state / 'mlflow.db'}"

    @property
    def served(self) -> list[tuple[str, str, bool]]:
        return [(each.name, each.version, each.ready) for each in local.endpoints(self.state)]


@pytest.fixture
def work(tmp_path: Path, registered: Path) -> Iterator[Workplace]:
    state = tmp_path / "state"
    shutil.copytree(registered, state)
    yield Workplace(state, tmp_path)
    for name in declarations.names(state):
        declarations.remove(state, name)
    server = local.find(state)
    if server is not None:
        os.kill(server.pid, signal.SIGKILL)


def post(url: str, body: Any) -> Any:
    with urllib.request.urlopen(urllib.request.Request(url, json.dumps(body).encode())) as response:
        return json.load(response)


def test_an_approved_version_is_served_and_proved(work: Workplace) -> None:
    done = work.deploy("models:/penguins/1")
    assert (done.code, done.stderr) == (0, "")
    url = done.parameters["url"]
    assert done.metadata["deployed"] == {"name": "penguins", "url": url, "model": "penguins", "version": "1"}
    declared = json.loads(done.artifacts["deployed"].read_text())
    assert list(declared) == ["version", "name", "url", "variants", "spec", "example", "run", "declared_at"]
    assert (declared["url"], declared["run"], declared["spec"]["kind"]) == (url, "run-7", "Endpoint")
    (variant,) = declared["variants"]
    assert (variant["name"], variant["model"], variant["version"], variant["weight"]) == ("main", "penguins", "1", 1.0)
    assert variant["digest"] == work.version("penguins/1").digest
    answer = post(f"{url}:predict", {"instances": declared["example"]["inputs"]})
    assert len(answer["predictions"]) == 3
    assert 'answered: {"predictions": ["Adelie"]}' in done.stdout
    assert f"curl -s {url}:predict -d " in done.stdout
    assert work.served == [("penguins", "1", True)]


def test_variants_share_the_traffic(work: Workplace) -> None:
    both = "variants:\n  - {name: old, model: penguins/1, weight: 3}\n  - {name: new, model: penguins, weight: 1}"
    declared = work.plan("penguins@champion", ENDPOINT.read_text().replace(_variants(), both))
    assert [(each.name, each.version, each.weight) for each in declared.variants] == [
        ("old", "1", 3.0),
        ("new", "2", 1.0),
    ]
    deployed = deploy.deploy(declared, work.state)
    assert deployed.answer.response == {"predictions": ["Adelie"]}
    assert work.served == [("penguins", "1", True)]


def _variants() -> str:
    text = ENDPOINT.read_text()
    begin = text.index("variants:")
    return text[begin : text.index("\nscaling:")]


REFUSED = [
    ("", None, 1, "the model was not published", "when: ${tasks.publish.outputs.published}"),
    ("models:/penguins/9", None, 4, "there is no model version 'models:/penguins/9'", ""),
    ("models:/pengins/1", None, 4, "there is no registered model 'pengins'", "did you mean 'penguins'"),
    ("penguins", None, 1, "does not name a model version", ""),
    (
        "models:/penguins/3",
        None,
        1,
        "models:/penguins/3 is pending, and only an approved version",
        "`orc models approve penguins/3`",
    ),
    ("models:/penguins/1", "variants:\n  - {model: whales}", 1, "wants a version of 'whales'", "whales@champion"),
    ("models:/penguins/1", "variants:\n  - {model: penguins/2}", 1, "no variant of endpoint 'penguins' takes", ""),
    ("models:/penguins/1", "variants:\n  - {model: penguins}\nmode: async", 2, "endpoint.yaml:", "add async: {output"),
    ("models:/penguins/1", "variants:\n  - {modell: penguins}", 2, "unknown key 'modell'", "did you mean 'model'"),
]


@pytest.mark.parametrize(("version", "variants", "code", "told", "hint"), REFUSED, ids=range(len(REFUSED)))
def test_what_must_not_be_deployed_is_refused(
    work: Workplace, version: str, variants: str | None, code: int, told: str, hint: str
) -> None:
    text = ENDPOINT.read_text().replace("mode: realtime\n", "").replace(_variants(), variants or VARIANTS)
    with pytest.raises(OrchestratorError) as caught:
        work.plan(version, text)
    assert caught.value.exit_code == code
    assert told in str(caught.value)
    assert hint in str(caught.value)


def test_a_refusal_starts_nothing(work: Workplace) -> None:
    done = work.deploy("models:/penguins/3")
    assert done.code == 1
    assert done.stderr == (
        "error: models:/penguins/3 is pending, and only an approved version is deployed\n"
        "  hint: `orc models approve penguins/3`, then `orc resume`\n"
    )
    assert declarations.names(work.state) == []
    assert local.find(work.state) is None


def test_the_next_version_takes_its_place_unless_it_was_tampered_with(work: Workplace) -> None:
    first = work.deploy("models:/penguins/1")
    again = work.deploy("penguins@champion")
    assert (again.code, again.parameters["url"]) == (0, first.parameters["url"])
    assert work.served == [("penguins", "2", True)]
    changed = work.version("penguins/1").path / "transform.json"
    changed.chmod(0o644)
    changed.write_text(changed.read_text() + "\n")
    with pytest.raises(OrchestratorError, match="models:/penguins/1 was changed after it was published"):
        work.plan("models:/penguins/1", ENDPOINT.read_text())


def test_who_rejects_a_version_is_told_what_serves_it(work: Workplace) -> None:
    declarations.write(work.state, work.plan("penguins/2", ENDPOINT.read_text()))
    told: list[str] = []
    for version in ("penguins/1", "penguins/2"):
        command = [sys.executable, "-m", "orchestrator", "models", "reject", version]
        environment = {**os.environ, "ORC_STATE": str(work.state), "ORC_TRACKING_URI": work.uri}
        told += subprocess.check_output(command, text=True, env=environment).splitlines()
    assert told == [
        "penguins version 1 is rejected",
        "penguins version 2 is rejected",
        "endpoint penguins still serves it; to end that: orc endpoints stop penguins",
    ]


def test_without_a_state_folder_it_says_where_to_deploy(work: Workplace) -> None:
    done = work.deploy("models:/penguins/1", ORC_STATE="", KUBECONFIG="", KUBERNETES_SERVICE_HOST="")
    assert done.code == 1
    assert "ORC_STATE is not set" in done.stderr
    assert "cluster" in done.stderr


def _broken(work: Workplace, number: int) -> None:
    """The estimator of a version is replaced by one that cannot predict, digests and all: only a request finds out."""
    import joblib

    model = work.version(f"penguins/{number}")
    at = model.path
    for path in (at, *at.iterdir()):
        path.chmod(0o755)
    joblib.dump("not an estimator", at / "estimator.joblib")
    manifest = json.loads((at / "model.json").read_text())
    manifest["files"]["estimator.joblib"] = digest.of_file(at / "estimator.joblib")
    (at / "model.json").write_text(json.dumps(manifest))
    with sqlite3.connect(work.state / "mlflow.db") as database:
        database.execute(
            "UPDATE model_version_tags SET value = ? WHERE value = ? AND version = ?",
            (folder.digest(at), model.digest, number),
        )
    database.close()
    moved = at.with_name(folder.digest(at).replace(":", "-"))
    shutil.copytree(at, moved)


def test_a_version_that_cannot_answer_leaves_the_earlier_one_in_service(work: Workplace) -> None:
    deploy.deploy(work.plan("models:/penguins/1", ENDPOINT.read_text()), work.state)
    _broken(work, 2)
    done = work.deploy("models:/penguins/2")
    assert done.code == 3
    assert "error: not deployed to endpoint 'penguins'" in done.stderr
    assert "fails on its own example" in done.stderr
    assert "penguins version 1 is served as before" in done.stderr
    assert work.served == [("penguins", "1", True)]
    assert {each.reason for each in local.endpoints(work.state)} == {""}


def test_what_could_not_be_put_back_at_once_is_put_back_by_the_server(work: Workplace) -> None:
    deploy.deploy(work.plan("models:/penguins/1", ENDPOINT.read_text()), work.state)
    _broken(work, 2)
    # The model server is told of its new version; from then on this process cannot write the declaration any more.
    in_the_way = declarations.folder(work.state) / f".penguins.json.{os.getpid()}"
    told = r"could not be put back \(file: .*penguins.json cannot be written: Is a directory\); the model server"
    with pytest.raises(RunError, match=told):
        deploy.deploy(
            work.plan("models:/penguins/2", ENDPOINT.read_text()),
            work.state,
            say=lambda text: in_the_way.mkdir() if text.startswith("the model server is") else None,
        )

    def kept() -> list[Path]:
        return [*declarations.folder(work.state).glob(".*.before")]

    deadline = time.monotonic() + 60
    while work.served != [("penguins", "1", True)] or kept():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_first_version_that_cannot_answer_leaves_nothing(work: Workplace) -> None:
    _broken(work, 2)
    with pytest.raises(RunError, match="nothing is served under that name"):
        deploy.deploy(work.plan("models:/penguins/2", ENDPOINT.read_text()), work.state)
    assert declarations.names(work.state) == []
    assert place.wait_until_free(work.state, 10), "a server with nothing to serve ends"


def test_a_canary_is_watched_and_the_result_says_what_happened(work: Workplace) -> None:
    rollout = "rollout: {strategy: canary, size: 40, bake: 3s, alarms: [{metric: error_rate, above: 1%}]}\n"
    file = work.file(ENDPOINT.read_text() + rollout)
    url = work.deploy("models:/penguins/1", file).parameters["url"]
    example = declarations.load(declarations.file(work.state, "penguins").read_bytes()).example["inputs"]
    over = threading.Event()

    def ask() -> None:
        while not over.wait(0.01):
            post(f"{url}:predict", {"instances": example})

    client = threading.Thread(target=ask)
    client.start()
    try:
        done = work.deploy("models:/penguins/2", file)
    finally:
        over.set()
        client.join()
    assert (done.code, done.stderr) == (0, "")
    told = done.metadata["deployed"]["rollout"]
    assert told["strategy"] == "canary"
    assert [(each["percent"], each["seconds"], each["alarms"]) for each in told["shares"]] == [
        (40, 3.0, {"error_rate": 0.0}),
        (100, 3.0, {"error_rate": 0.0}),
    ]
    assert "40 % of the traffic, watched for 3 s" in done.stdout
    assert "::progress 6/6 100 % of the traffic" in done.stdout
    assert work.served == [("penguins", "2", True)]


@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGKILL])
def test_a_deployment_that_is_ended_halfway_does_not_count(work: Workplace, end: signal.Signals) -> None:
    deploy.deploy(work.plan("models:/penguins/1", ENDPOINT.read_text()), work.state)
    _broken(work, 2)
    running = local.ensure(work.state)
    # A server that does not react keeps the deployment waiting for as long as the test wants.
    os.kill(running.pid, signal.SIGSTOP)
    command = [sys.executable, "-m", "components.deploy", "--version", "models:/penguins/2"]
    command += ["--endpoint", str(ENDPOINT), "--deployed", str(work.folder / "d"), "--url", str(work.folder / "u")]
    environment = {**os.environ, "ORC_STATE": str(work.state), "MLFLOW_TRACKING_URI": work.uri, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(command, env=environment, cwd=work.folder, stderr=subprocess.DEVNULL) as process:
        while (declared := declarations.read(work.state, "penguins")) is None or declared.main.version != "2":
            assert process.poll() is None
            time.sleep(0.02)
        process.send_signal(end)
        time.sleep(0.2)
        os.kill(running.pid, signal.SIGCONT)
        assert process.wait(30) == (128 + end if end == signal.SIGTERM else -end)
    if end == signal.SIGKILL:
        with pytest.raises(RunError, match="penguins version 1 is served as before"):
            deploy.deploy(work.plan("models:/penguins/2", ENDPOINT.read_text()), work.state)
    (found,) = local.endpoints(work.state)
    assert (found.version, found.ready, found.reason) == ("1", True, "")
    assert [path.name for path in declarations.folder(work.state).glob(".*.before")] == []


@pytest.mark.parametrize(
    ("response", "classes", "told"),
    [
        ({"predictions": ["Adelie"]}, ("Adelie",), None),
        ({"predictions": [True]}, (False, True), None),
        ({"predictions": [1.5]}, None, None),
        ({"predictions": [3]}, None, None),
        ({"predictions": ["Emu"]}, ("Adelie",), "none of the model's classes"),
        ({"predictions": [None]}, ("Adelie",), "none of the model's classes"),
        ({"predictions": [None]}, None, "not a finite number"),
        ({"predictions": ["1"]}, None, "not a finite number"),
        ({"predictions": [True]}, None, "not a finite number"),
        ({"predictions": [float("inf")]}, None, "not a finite number"),
        ({"predictions": []}, None, "not with one prediction"),
        ({"predictions": [1, 2]}, None, "not with one prediction"),
        ({}, None, "not with one prediction"),
        ([], None, "not with one prediction"),
    ],
)
def test_the_answer_to_the_example_is_judged(response: Any, classes: Any, told: str | None) -> None:
    if told is None:
        deploy.complain(response, classes)
        return
    with pytest.raises(OrchestratorError, match=told):
        deploy.complain(response, classes)
