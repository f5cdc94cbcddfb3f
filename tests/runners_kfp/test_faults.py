"""What goes wrong between us and a server: nothing is made twice, and in the end there is one clear error."""

from __future__ import annotations

import shutil
import ssl
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from orchestrator.errors import BackendError
from orchestrator.runners import kfp
from orchestrator.runners.events import RunFinished
from tests.runners_kfp.conftest import connected
from tests.runners_kfp.server import Server
from tests.runners_kfp.specimens import pipeline, task

CREATES = ("/pipelines$", "/upload_version", "/experiments$", "/runs$")
PASSING = ("reset", "reset-after", "half", "slow", "500", "503", "503-after", "429")


def submitted(server: Server, soon: Callable[[float], None], **how: float) -> str:
    """What becomes of a run."""
    connection = connected(server, **how)
    events = list(kfp.run(kfp.Request(connection, "run-1", *pipeline(task("a")), arguments={}), sleep=soon))
    end = events[-1]
    assert isinstance(end, RunFinished)
    return str(end.status)


def made(server: Server) -> list[int]:
    stock = server.state.stock
    return [len(each) for each in (stock.pipelines, stock.versions, stock.experiments, stock.runs)]


@pytest.mark.parametrize("kind", PASSING)
def test_a_fault_at_every_creation_makes_nothing_twice(
    kind: str, native: Server, soon: Callable[[float], None]
) -> None:
    native.state.slow = 0.8
    for path in CREATES:
        native.fail(kind, path, method="POST")
    assert submitted(native, soon, timeout=0.4 if kind == "slow" else 5) == "SUCCEEDED"
    assert made(native) == [1, 1, 1, 1]
    assert not [each for each in native.state.faults if each.times], "a fault did not come"


@pytest.mark.parametrize("kind", ["reset", "half", "slow"])
def test_a_fault_at_every_look_is_looked_again(kind: str, native: Server, soon: Callable[[float], None]) -> None:
    native.state.slow = 0.6
    for path in (*CREATES, "/runs/[^/]+$", "/tasks$", "/versions$"):
        native.fail(kind, path, method="GET", times=2)
    assert submitted(native, soon, timeout=0.3 if kind == "slow" else 5) == "SUCCEEDED"
    assert made(native) == [1, 1, 1, 1]


def test_a_run_that_a_slow_server_made_after_all_is_undone(native: Server) -> None:
    native.state.slow = 1.2  # Before it is made: nothing is there when we look.
    native.fail("slow-before", "/runs$", method="POST")
    connection = connected(native, timeout=0.3)
    asked = kfp.Request(connection, "run-1", *pipeline(task("a", "time.sleep(2)")), arguments={})
    events = list(kfp.run(asked, sleep=lambda _: time.sleep(0.2)))
    assert isinstance(events[-1], RunFinished)
    assert len([each for each in native.state.asked if each == "POST /apis/v2beta1/runs"]) == 2
    assert len(native.state.stock.runs) == 1


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("503", "list pipelines: injected fault 503 (HTTP 503)"),
        ("reset", "list pipelines: the connection was closed"),
        ("401", "list pipelines: injected fault 401 (HTTP 401)"),
        ("302", "list pipelines: the server asks for a login (HTTP 302)"),
        ("html", "list pipelines: the answer is a web page and not the API's"),
        ("half", "list pipelines: the answer was cut off"),
    ],
)
def test_what_does_not_pass_is_one_error(kind: str, said: str, native: Server, soon: Callable[[float], None]) -> None:
    native.fail(kind, times=1000)
    with pytest.raises(BackendError) as refused:
        submitted(native, soon, timeout=5)
    assert refused.value.message == f"Kubeflow Pipelines: {said}"
    assert made(native) == [0, 0, 0, 0]


def test_a_server_that_is_not_there(soon: Callable[[float], None]) -> None:
    asked = kfp.Request(kfp.Connection("http://127.0.0.1:9"), "run-1", *pipeline(task("a")), arguments={})
    with pytest.raises(BackendError, match="nothing answers there") as refused:
        list(kfp.run(asked, sleep=soon))
    assert "curl http://127.0.0.1:9/apis/v2beta1/healthz" in refused.value.hint


def test_a_token_is_read_again_and_never_shown(tmp_path: Path, soon: Callable[[float], None]) -> None:
    secret, file = "s3cret-token-of-ana", tmp_path / "token"
    with Server(tmp_path / "kfp", token=secret) as server:
        file.write_text("expired-token-of-ana")
        connection = connected(server, token_file=file)
        with pytest.raises(BackendError, match="HTTP 401") as refused:
            kfp.find(connection, "run-1")
        assert "expired-token-of-ana" not in str(refused.value)
        file.write_text(f"{secret}\n")  # As Kubernetes replaces it.
        assert kfp.find(connection, "run-1") == ""
        shown = repr(connected(server, token=secret, cookies="session=hidden-cookie"))
        assert secret not in shown
        assert "hidden-cookie" not in shown
        file.unlink()
        with pytest.raises(BackendError, match="cannot be read: No such file"):
            kfp.find(connection, "run-1")


@pytest.mark.skipif(not shutil.which("openssl"), reason="makes a certificate with openssl")
def test_a_certificate_of_our_own(tmp_path: Path) -> None:
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    name = ["-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1"]
    files = ["-keyout", str(key), "-out", str(certificate)]
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", *name, *files],
        check=True,
        capture_output=True,
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    server = Server(tmp_path / "kfp")
    server.socket = context.wrap_socket(server.socket, server_side=True)
    with server:
        url = server.url.replace("http:", "https:")
        assert kfp.find(kfp.Connection(url, ca=certificate), "run-1") == ""
        with pytest.raises(BackendError, match="its certificate cannot be trusted"):
            kfp.find(kfp.Connection(url), "run-1")
        with pytest.raises(BackendError, match="there is no file of certificates"):
            kfp.find(kfp.Connection(url, ca=tmp_path / "missing.pem"), "run-1")


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("localhost:8888", "is not the URL of a server"),
        ("http://ana:pass-word@localhost:1", "has a name or a password in it"),
        ("", "is not the URL of a server"),
        ("https://localhost:1", "nothing answers there"),
    ],
)
def test_a_url_that_cannot_be_used(url: str, said: str, soon: Callable[[float], None]) -> None:
    with pytest.raises(BackendError, match=said) as refused:
        list(kfp.run(kfp.Request(kfp.Connection(url), "r", *pipeline(task("a")), arguments={}), sleep=soon))
    assert "pass-word" not in str(refused.value)
