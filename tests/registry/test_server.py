"""The same registry behind HTTP: a real `mlflow server`, its artifacts included."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from orchestrator import digest, registry
from orchestrator.errors import BackendError, NotFoundError


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


@pytest.fixture(scope="module")
def server(fresh: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    home = tmp_path_factory.mktemp("server")
    shutil.copy(fresh, home / "server.db")
    port = free_port()
    command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    command += [
        "--backend-store-uri",
        f"sqlite:///{home}/server.db",
        "--artifacts-destination",
        str(home / "artifacts"),
    ]
    environment = {**os.environ, "MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "true"}
    environment["MLFLOW_SERVER_ENABLE_JOB_EXECUTION"] = "false"
    with (home / "log").open("w") as log:
        process = subprocess.Popen(command, cwd=home, env=environment, stdout=log, stderr=log, start_new_session=True)
    try:
        yield wait(f"http://127.0.0.1:{port}", process, home / "log")
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def wait(address: str, process: subprocess.Popen[bytes], log: Path) -> str:
    for _ in range(300):
        assert process.poll() is None, log.read_text()
        try:
            with urllib.request.urlopen(f"{address}/health", timeout=1):
                return address
        except OSError:
            time.sleep(0.1)
    raise AssertionError(log.read_text())


def publish(models: registry.Registry, model: Path, run: str = "r") -> registry.ModelVersion:
    return models.create(
        "penguins",
        model=model,
        digest=f"sha256:{model.name}",
        metrics={"f1": 0.97},
        parameters={"seed": 0},
        tags={},
        approval="approved",
        reason="f1 = 0.97 > 0.85",
        run=run,
        alias="champion",
    )


def test_a_server_holds_versions_and_their_bytes(server: str, folder: Callable[[str], Path], tmp_path: Path) -> None:
    models = registry.open(server, state=tmp_path / "state")
    assert models.names() == []
    with pytest.raises(NotFoundError, match="no registered model 'penguins'"):
        models.version("penguins@champion")
    first, second = publish(models, folder("a")), publish(models, folder("b"))
    assert publish(models, folder("b"), run="again").version == second.version == "2"
    assert (models.version("penguins@previous").version, first.version) == ("1", "1")
    assert digest.of(models.version("penguins@champion").path) == digest.of(folder("b"))
    assert models.version("penguins@champion").path == tmp_path / "state" / "models" / "penguins" / "sha256-b"
    models.reject("penguins@champion", by="ana", reason="no")
    assert models.version("penguins@champion").version == "1"
    assert [event.action for event in models.audit("penguins")][-2:] == ["alias", "unalias"]
    assert [version.approval.value for version in models.versions()] == ["approved", "rejected"]


def test_a_server_that_is_not_there_is_one_clear_error_without_its_password(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    port = free_port()
    models = registry.open(f"http://ana:secret@127.0.0.1:{port}")
    with pytest.raises(BackendError) as error:
        models.names()
    assert str(error.value) == (
        f"model registry: http://ana:***@127.0.0.1:{port}: the server does not answer\n"
        "  hint: is it running, and is MLFLOW_TRACKING_URI its address?"
    )
    assert "secret" not in repr(models)
    assert capfd.readouterr() == ("", "")


def test_a_server_holds_the_onnx_form_of_a_version(server: str, folder: Callable[[str], Path], tmp_path: Path) -> None:
    made = publish(registry.open(server, state=tmp_path / "state"), folder("formed"), run="formed")
    form = folder("the form")
    here = registry.open(server, state=tmp_path / "state")
    here.add_onnx(made.uri, form, digest.of(form), {"rows": 7}, by="ana")
    elsewhere = registry.open(server, state=tmp_path / "another machine").version(made.uri)
    assert elsewhere.onnx is not None
    assert digest.of(elsewhere.onnx.path) == elsewhere.onnx.digest == digest.of(form)
    assert digest.of(elsewhere.path) == digest.of(folder("formed"))
