"""The server as a process: started, declared to, overloaded, killed, drained."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from orchestrator.errors import BackendError, NotFoundError, OrchestratorError
from orchestrator.serving import declarations, local, place, server
from orchestrator.serving.options import Options

Ask = Callable[..., Any]
Declare = Callable[..., declarations.Declaration]


def start(state: Path, *declared: declarations.Declaration) -> str:
    for each in declared:
        local.declare(state, each)
    url = local.ensure(state).url
    for each in declared:
        local.wait_ready(url, each)
    return url


def eventually(true: Callable[[], bool], seconds: float = 10) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "it never became true"
        time.sleep(0.02)


def test_declared_served_listed_removed(state: Path, penguins: Any, mass: Any, declaration: Declare) -> None:
    one, two = declaration("penguins", penguins), declaration("mass", mass)
    url = start(state, one, two)
    listed = {each.name: each for each in local.endpoints(state)}
    assert listed["penguins"] == local.EndpointStatus(
        "penguins", f"{url}/v1/models/penguins", True, "penguins", "1", ""
    )
    answer = local.send_example(one, url)
    assert answer.response == {"predictions": penguins.predictions[:1]}
    repeated = subprocess.run(["/bin/sh", "-c", answer.curl], capture_output=True, check=True)
    assert json.loads(repeated.stdout) == answer.response
    with pytest.raises(NotFoundError, match="there is no endpoint 'pengins'\n  hint: did you mean 'penguins'"):
        local.remove(state, "pengins")
    local.remove(state, "mass")
    eventually(lambda: len(local.endpoints(state)) == 1)
    # With the last endpoint goes the server that was started for it, and its word of where it is.
    local.remove(state, "penguins")
    eventually(lambda: local.find(state) is None and place.wait_until_free(state, 0))
    assert not (state / "server.json").exists()
    assert local.endpoints(state) == []


def test_a_server_without_endpoints_is_still_told_of(state: Path, penguins: Any, declaration: Declare) -> None:
    local.declare(state, declaration("penguins", penguins))
    (found,) = local.endpoints(state)
    assert (found.ready, found.model, found.version, found.reason) == (
        False, "penguins", "1", "the server is not running"
    )  # fmt: skip
    assert local.stop(state) is False


def test_no_request_fails_while_declarations_change(
    state: Path, penguins: Any, tmp_path: Path, declaration: Declare, ask: Ask
) -> None:
    twin = tmp_path / "twin"
    shutil.copytree(penguins.path, twin)
    other = type(penguins)(twin, penguins.digest, penguins.examples, penguins.predictions)
    url = start(state, declaration("penguins", penguins))
    done = threading.Event()
    wrong: list[Any] = []
    versions: set[str] = set()
    rows = [list(row.values()) for row in penguins.examples]
    inputs = [
        {"name": name, "shape": [3], "datatype": "BYTES" if isinstance(value, str) else "FP64", "data": list(data)}
        for (name, value), data in zip(penguins.examples[0].items(), zip(*rows, strict=True), strict=True)
    ]

    def call(_: int) -> int:
        count = 0
        while not done.is_set():
            reply = ask(url, "/v2/models/penguins/infer", {"inputs": inputs})
            if reply.status != 200 or reply.json["outputs"][0]["data"] != penguins.predictions:
                wrong.append(reply)
            else:
                versions.add(reply.json["model_version"])
            count += 1
        return count

    with ThreadPoolExecutor(4) as pool:
        calls = [pool.submit(call, number) for number in range(4)]
        for turn in range(12):
            models = (penguins, other) if turn % 2 else (other,)
            latest = declaration("penguins", *models, weights=(turn + 1, 5)[: len(models)])
            local.declare(state, latest)
            time.sleep(0.25)
        local.wait_ready(url, latest)
        done.set()
    assert not wrong
    assert sum(each.result() for each in calls) > 200
    assert versions == {"1", "2"}


def test_what_cannot_be_loaded_takes_nothing_down(
    state: Path, penguins: Any, mass: Any, declaration: Declare, ask: Ask
) -> None:
    good = declaration("penguins", penguins)
    url = start(state, good)
    gone = declaration("mass", type(mass)(state / "nowhere", mass.digest, mass.examples, []))
    local.declare(state, gone)
    with pytest.raises(BackendError, match="'mass' could not be loaded: mass version 1: there is no model"):
        local.wait_ready(url, gone)
    assert ask(url, "/v1/models/mass:predict", b"{}").status == 503
    assert ask(url, "/v2/models/mass/ready").status == 503
    ready = ask(url, "/v2/health/ready")
    assert (ready.status, ready.json["ready"]) == (503, False)
    page = ask(url, "/", headers={"accept": "text/html"}).text
    assert "not ready" in page
    changed = declaration("penguins", type(penguins)(penguins.path, "sha256:0", penguins.examples, []))
    local.declare(state, changed)
    with pytest.raises(BackendError, match="expected sha256:0"):
        local.wait_ready(url, changed)
    # What was served before goes on.
    assert ask(url, "/v1/models/penguins:predict", {"instances": penguins.examples}).status == 200
    (state / "endpoints" / "torn.json").write_text('{"name": ')
    eventually(lambda: "torn" in {each.name for each in local.endpoints(state) if "not an endpoint" in each.reason})
    local.declare(state, good)
    local.wait_ready(url, good)
    assert [each.reason for each in local.endpoints(state) if each.name == "penguins"] == [""]


def test_a_queue_that_cannot_be_opened_takes_no_other_endpoint_down(
    state: Path, penguins: Any, mass: Any, declaration: Declare, told: Declare, ask: Ask
) -> None:
    (state / "queue").write_text("in the way")
    good, bad = declaration("penguins", penguins), declaration("mass", mass)
    queued = told(bad, mode="async", **{"async": {"output": "answers"}})
    local.declare(state, queued)
    url = start(state, good)
    assert ask(url, "/v1/models/penguins:predict", {"instances": penguins.examples}).status == 200
    eventually(lambda: any("queue" in each.reason for each in local.endpoints(state)))
    reply = ask(url, "/v1/models/mass:predict", {"instances": mass.examples})
    assert (reply.status, "not ready" in reply.text, "queue" in reply.text) == (503, True, True)
    local.declare(state, bad)
    local.wait_ready(url, bad)
    # What was served before goes on.
    local.declare(state, queued)
    eventually(lambda: any("queue" in each.reason for each in local.endpoints(state)))
    assert ask(url, "/v1/models/mass:predict", {"instances": mass.examples}).status == 200


def test_killed_and_started_again(state: Path, penguins: Any, declaration: Declare, ask: Ask) -> None:
    url = start(state, declaration("penguins", penguins))
    first = local.ensure(state)
    os.kill(first.pid, signal.SIGKILL)
    assert place.wait_until_free(state, 5)
    assert (state / "server.json").exists(), "it had no time to tidy up"
    assert local.find(state) is None
    second = local.ensure(state)
    assert second.pid != first.pid
    assert second.url == url, "the same port: what was pasted somewhere goes on working"
    eventually(lambda: ask(second.url, "/v2/health/ready").status == 200)


def test_two_at_once_start_one_server(state: Path, penguins: Any, declaration: Declare) -> None:
    local.declare(state, declaration("penguins", penguins))
    with ThreadPoolExecutor(4) as pool:
        servers = list(pool.map(lambda _: local.ensure(state), range(4)))
    assert len({each.pid for each in servers}) == 1


def test_a_second_server_for_the_same_state_is_refused(state: Path, penguins: Any, declaration: Declare) -> None:
    url = start(state, declaration("penguins", penguins))
    with pytest.raises(OrchestratorError, match=f"runs already at {url}"):
        server.serve(state)
    assert local.find(state) is not None


def test_a_port_that_is_taken_is_an_error_only_when_asked_for(state: Path, served: str, tmp_path: Path) -> None:
    port = int(served.rpartition(":")[2])
    with pytest.raises(BackendError, match=f"cannot listen on 127.0.0.1 port {port}"):
        server.serve(tmp_path / "other", Options(port=port))


def test_it_listens_on_loopback_and_forgets_who_started_it(
    state: Path, penguins: Any, declaration: Declare, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("ORC_RUN", "ORC_TASK", "ORC_TASK_ATTEMPT", "ORC_PROCESS", "ORC_PIPELINE"):
        monkeypatch.setenv(name, "mark")
    start(state, declaration("penguins", penguins))
    found = local.find(state)
    assert found is not None
    process = Path("/proc") / str(found.pid)
    assert b"ORC_" not in (process / "environ").read_bytes()
    assert (process / "cwd").readlink() == Path("/")
    assert os.getsid(found.pid) == found.pid
    sockets = {link.readlink().name for link in (process / "fd").iterdir() if "socket" in str(link.readlink())}
    listening = [
        fields[1]
        for table in ("tcp", "tcp6")
        for fields in (line.split() for line in Path("/proc/net", table).read_text().splitlines()[1:])
        if fields[3] == "0A" and f"socket:[{fields[9]}]" in sockets
    ]
    assert [address.split(":")[0] for address in listening] == ["0100007F"]


def test_slow_models_crowds_and_bugs(state: Path, slow: Any, declaration: Declare, ask: Ask) -> None:
    url = start(state, declaration("slow", slow, timeout="3s", concurrency=2))

    def predict(seconds: float) -> Any:
        return ask(url, "/v1/models/slow:predict", {"instances": [[seconds]]})

    with ThreadPoolExecutor(4) as pool:
        late = pool.submit(predict, 4)
        fine = pool.submit(predict, 2)
        eventually(lambda: 'requests_in_flight{model_name="slow"} 2.0' in ask(url, "/metrics").text)
        assert ask(url, "/v2/health/live").status == 200
        assert not fine.done(), "a model at work keeps nobody waiting"
        crowded = predict(0)
        assert (crowded.status, crowded.headers["retry-after"]) == (503, "1")
        assert fine.result().json == {"predictions": [2.0]}
        assert late.result().status == 504
        assert "within 3s" in late.result().json["error"]
    assert predict(-1).json == {"error": "the model cannot take this data: minus one is no time"}
    broken = predict(-2)
    assert broken.status == 500
    assert "RuntimeError" in broken.json["error"]
    assert "the model has a bug" in (state / "server.log").read_text()
    # The work that was too late holds its place until it has ended, and then gives it back.
    eventually(lambda: 'requests_in_flight{model_name="slow"} 0.0' in ask(url, "/metrics").text)
    assert predict(0.01).status == 200


def test_a_body_that_does_not_come_is_not_waited_for(state: Path, slow: Any, declaration: Declare) -> None:
    import socket

    url = start(state, declaration("slow", slow, timeout="300ms"))
    host, port = url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=5) as connection:
        connection.sendall(b"POST /v1/models/slow:predict HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{")
        assert connection.recv(65536).startswith(b"HTTP/1.1 408")


def test_what_was_asked_is_answered_before_it_ends(state: Path, slow: Any, declaration: Declare, ask: Ask) -> None:
    url = start(state, declaration("slow", slow))
    with ThreadPoolExecutor(2) as pool:
        asked = pool.submit(ask, url, "/v1/models/slow:predict", {"instances": [[1.0]]})
        time.sleep(0.3)
        assert local.stop(state) is True
        assert asked.result().json == {"predictions": [1.0]}
    assert local.find(state) is None
    assert not (state / "server.json").exists()
    assert "Traceback" not in (state / "server.log").read_text()


def test_in_the_foreground_until_interrupted(state: Path, penguins: Any, declaration: Declare, ask: Ask) -> None:
    """As `orc serve` runs it: without endpoints it stays, and Ctrl-C ends it in peace."""
    command = [sys.executable, "-m", "orchestrator.serving", "--state", str(state)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        eventually(lambda: local.find(state) is not None)
        running = local.find(state)
        assert running is not None
        assert running.pid == process.pid
        eventually(lambda: ask(running.url, "/v2/health/ready").status == 200)
        assert ask(running.url, "/v1/models").json == {"models": []}
        assert "Nothing is served yet" in ask(running.url, "/", headers={"accept": "text/html"}).text
        latest = declaration("penguins", penguins)
        assert start(state, latest) == running.url
        process.send_signal(signal.SIGINT)
        assert process.wait(10) == 0
        assert process.stderr is not None
        said = process.stderr.read()
    assert f"serving {running.url}" in said
    assert "Traceback" not in said


def test_nothing_heavy_is_imported_before_a_model_needs_it() -> None:
    code = (
        "import sys; from orchestrator.serving import local, server, backends;"
        "print(sorted({'pandas', 'sklearn', 'scipy', 'mlflow', 'tensorflow', 'httpx', 'joblib'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_outside_needs_no_server_libraries() -> None:
    code = (
        "import sys; from orchestrator.serving import local, endpoint;"
        "print(sorted({'starlette', 'uvicorn', 'msgspec', 'numpy', 'prometheus_client'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_an_unwritable_state_folder_is_told(tmp_path: Path, penguins: Any, declaration: Declare) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(BackendError, match="cannot be written"):
        local.declare(tmp_path / "file" / "state", declaration("penguins", penguins))
    with pytest.raises(BackendError, match="cannot be written"):
        local.ensure(tmp_path / "file" / "state")
