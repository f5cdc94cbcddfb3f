"""The server's entry in a pod: what it is told is fetched and served, and what cannot be ends with the reason."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from orchestrator import registry
from orchestrator.deployment import served
from orchestrator.errors import OrchestratorError
from orchestrator.serving.kserve import payload

ROOT = Path(__file__).parents[2]


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


class Pod:
    """The program as a container runs it: told by variables, with one folder it may write."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        self.process: subprocess.Popen[str] | None = None

    def start(self, **variables: str) -> subprocess.Popen[str]:
        self.folder.mkdir(exist_ok=True)
        command = [sys.executable, "-m", "orchestrator.deployment.served", "--port", str(self.port)]
        given = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "TMPDIR": str(self.folder), **variables}
        # Nothing can be written where it starts.
        self.process = subprocess.Popen(command, cwd="/", env=given, stderr=subprocess.PIPE, text=True)
        return self.process

    def end(self, **variables: str) -> tuple[int, str]:
        """The exit code and the last line of one that ends by itself."""
        process = self.start(**variables)
        _, said = process.communicate(timeout=60)
        return process.returncode, said.strip().splitlines()[-1]

    def ready(self) -> int:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/v2/health/ready", timeout=2) as answer:
                return int(answer.status)
        except urllib.error.HTTPError as error:
            return error.code
        except OSError:
            return 0


@pytest.fixture
def pod(tmp_path: Path) -> Iterator[Pod]:
    made = Pod(tmp_path / "tmp")
    yield made
    if made.process is not None:
        made.process.kill()
        made.process.communicate()


@pytest.fixture(scope="session")
def published(tmp_path_factory: pytest.TempPathFactory, penguins: Any, measured: Any) -> str:
    """A registry with versions 1 and 2 of penguins approved, and 3 pending."""
    uri = f"sqlite:///{tmp_path_factory.mktemp('registry') / 'mlflow.db'}"
    versions = registry.open(uri)
    for number, (model, approval) in enumerate([(penguins, "approved"), (measured, "approved"), (penguins, "pending")]):
        versions.create(
            "penguins",
            model=model.path,
            digest=model.digest,
            metrics={},
            parameters={},
            tags={},
            approval=approval,
            reason="f1 > 0.85",
            run=f"run-{number}",
        )
    return uri


@pytest.fixture
def told(declaration: Callable[..., Any], penguins: Any, measured: Any) -> str:
    return payload.dump(declaration("penguins", penguins, measured, weights=(1, 0)))


def test_it_serves_what_it_is_told_and_drains_when_it_is_stopped(
    pod: Pod, told: str, published: str, ask: Callable[..., Any]
) -> None:
    process = pod.start(ORC_DECLARATION=told, MLFLOW_TRACKING_URI=published, MLFLOW_TRACKING_TOKEN="secret")
    end = time.monotonic() + 60
    seen = set()
    while (code := pod.ready()) != 200:
        seen.add(code)
        assert process.poll() is None, process.stderr and process.stderr.read()
        assert time.monotonic() < end
        time.sleep(0.05)
    assert seen <= {0, 503}
    row = payload.load(told).example["inputs"][0]
    answer = ask(f"http://127.0.0.1:{pod.port}", "/v1/models/penguins:predict", {"instances": [row]})
    assert (answer.status, answer.headers["x-variant"]) == (200, "v1")
    # One process, which the registry's client and its token are gone from.
    assert "orchestrator.serving" in Path(f"/proc/{process.pid}/cmdline").read_text()
    assert "MLFLOW" not in Path(f"/proc/{process.pid}/environ").read_text()
    assert {each.name for each in pod.folder.iterdir()} == {"orchestrator"}
    process.send_signal(signal.SIGTERM)
    _, said = process.communicate(timeout=20)
    assert process.returncode == 0
    assert said.strip().endswith("stopped")
    assert "secret" not in said


@pytest.fixture
def refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, published: str) -> Callable[..., str]:
    """Why the program does not serve what it is told."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "30")

    def refused(text: str, uri: str = published) -> str:
        with pytest.raises(OrchestratorError) as caught:
            served.prepare({"ORC_DECLARATION": text, "MLFLOW_TRACKING_URI": uri}, patience=0)
        return f"{caught.value.exit_code}: {caught.value.message}"

    return refused


def test_what_cannot_be_served_is_told(told: str, published: str, refused: Callable[..., str]) -> None:
    assert refused("") == "1: there is nothing to serve: ORC_DECLARATION is not set"
    assert refused(told, "") == "1: there is nothing to serve: MLFLOW_TRACKING_URI is not set"
    assert refused("{}") == "1: not an endpoint declaration: name: Field required"
    pending = "1: models:/penguins/3 is pending, and only an approved version is served"
    assert refused(told.replace('"version":"1"', '"version":"3"')) == pending
    assert refused(told.replace('"version":"1"', '"version":"9"')).startswith("4: there is no model version")
    first, second = (each.digest for each in payload.load(told).variants)
    other = f"1: models:/penguins/1 has digest {first} in the registry, and {second} was deployed"
    assert refused(told.replace(first, second, 1)) == other
    where = f"http://127.0.0.1:{free_port()}"
    assert refused(told, where) == f"5: model registry: {where}: the server does not answer"


def test_a_registry_that_is_late_is_waited_for_and_a_damaged_model_is_not_served(
    pod: Pod, told: str, published: str, tmp_path: Path
) -> None:
    process = pod.start(ORC_DECLARATION=told, MLFLOW_TRACKING_URI=f"http://127.0.0.1:{free_port()}")
    assert process.stderr
    assert process.stderr.readline() == "endpoint 'penguins': fetching penguins version 1, penguins version 2\n"
    assert "the server does not answer; asking again in 1 s" in process.stderr.readline()
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=20)
    assert process.returncode == 128 + signal.SIGTERM
    # The registry is right, the bytes are not: only who loads them finds out.
    damaged = registry.open(published).version("penguins/2").path / "transform.json"
    text = damaged.read_text()
    damaged.chmod(0o644)
    damaged.write_text(text + "\n")
    try:
        code, line = pod.end(ORC_DECLARATION=told, MLFLOW_TRACKING_URI=published)
    finally:
        damaged.write_text(text)
    assert code == 1
    assert line.startswith("error: endpoint 'penguins' could not be loaded: penguins version 2: the model ")
    assert "has digest" in line
