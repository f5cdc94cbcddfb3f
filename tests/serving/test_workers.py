"""Several processes behind one socket: one server to whoever asks, also while one of them dies."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from prometheus_client.parser import text_string_to_metric_families

from orchestrator.serving import declarations, fleet, local, place
from orchestrator.serving.supervisor import pause

Ask = Callable[..., Any]
Declare = Callable[..., declarations.Declaration]


def eventually(true: Callable[[], Any], seconds: float = 60) -> Any:
    deadline = time.monotonic() + seconds
    while not (found := true()):
        assert time.monotonic() < deadline, "it never became true"
        time.sleep(0.05)
    return found


@contextlib.contextmanager
def running(state: Path, *options: str) -> Iterator[subprocess.Popen[bytes]]:
    command = [sys.executable, "-m", "orchestrator.serving", "--state", str(state), *options]
    with (state / "said.log").open("w") as said, subprocess.Popen(command, stderr=said) as process:
        try:
            eventually(lambda: process.poll() is not None or local.find(state))
            yield process
        finally:
            process.kill()


def workers(process: subprocess.Popen[bytes]) -> set[int]:
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text()
    return {int(each) for each in children.split()}


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def total(text: str, name: str, **labels: str) -> float:
    """What Prometheus reads: the sum of the samples with these labels."""
    samples = [sample for family in text_string_to_metric_families(text) for sample in family.samples]
    return sum(each.value for each in samples if each.name == name and labels.items() <= each.labels.items())


def test_one_server_to_whoever_asks(state: Path, penguins: Any, declaration: Declare, ask: Ask) -> None:
    declared = declaration("penguins", penguins)
    local.declare(state, declared)
    body = {"instances": penguins.examples}
    with running(state, "--workers", "3") as process:
        url = eventually(lambda: local.find(state)).url
        local.wait_ready(url, declared)

        def predict(_: int) -> int:
            reply = ask(url, "/v1/models/penguins:predict", body)
            assert reply.json == {"predictions": penguins.predictions}
            return int(reply.status)

        def metrics() -> str:
            return str(ask(url, "/metrics").text)

        with ThreadPoolExecutor(8) as pool:
            assert set(pool.map(predict, range(120))) == {200}
        # Whichever of them is asked says the same.
        for _ in range(6):
            assert total(metrics(), "requests_total", model_name="penguins", code="200") == 120
        assert total(metrics(), "request_predict_seconds_count", model_name="penguins") == 120
        assert total(metrics(), "request_seconds_bucket", variant="v1", le="+Inf") == 120
        assert total(metrics(), "model_ready", model_name="penguins") == 1
        assert len(re.findall(r"(?m)^model_info\{", metrics())) == 1
        (about,) = ask(url, "/endpoints").json["endpoints"]
        assert about["requests"] == 120

        # A new declaration is ready when every one of them has it.
        latest = declaration("penguins", penguins, penguins, weights=(0, 1))
        local.declare(state, latest)
        local.wait_ready(url, latest)
        with ThreadPoolExecutor(8) as pool:
            replies = pool.map(lambda _: ask(url, "/v1/models/penguins:predict", body), range(60))
            assert {reply.headers["x-variant"] for reply in replies} == {"v2"}
        (state / "endpoints" / "torn.json").write_text("{")
        eventually(lambda: ask(url, "/v2/health/ready").status == 503)
        assert {ask(url, "/v2/health/ready").status for _ in range(12)} == {503}
        (state / "endpoints" / "torn.json").unlink()
        eventually(lambda: {ask(url, "/v2/health/ready").status for _ in range(12)} == {200})

        # One that dies is replaced, fails nobody's request that it has not got, and what it counted stays counted.
        counted = total(metrics(), "requests_total", model_name="penguins", code="200")
        assert counted == 180
        before = workers(process)
        assert len(before) == 3
        os.kill(min(before), signal.SIGKILL)
        eventually(lambda: len(workers(process) - {min(before)}) == 3)
        assert total(metrics(), "requests_total", model_name="penguins", code="200") >= counted
        eventually(lambda: "[worker" in (state / "said.log").read_text())
        with ThreadPoolExecutor(8) as pool:
            assert set(pool.map(predict, range(60))) == {200}
        # The new one may not answer yet; then it has counted nothing either.
        eventually(lambda: total(metrics(), "requests_total", model_name="penguins", code="200") == counted + 60)
        assert ask(url, "/v2/health/ready").status == 200

        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
        assert not any(map(is_alive, before))
    said = (state / "said.log").read_text()
    assert "ended with signal 9; another one starts now" in said
    assert "Traceback" not in said
    assert not (state / "workers").exists()
    assert not (state / "server.json").exists()


def test_requests_under_way_are_answered_before_all_end(state: Path, slow: Any, declaration: Declare, ask: Ask) -> None:
    declared = declaration("slow", slow)
    local.declare(state, declared)
    with running(state, "--workers", "2") as process:
        url = eventually(lambda: local.find(state)).url
        local.wait_ready(url, declared)
        with ThreadPoolExecutor(4) as pool:
            asked = [pool.submit(ask, url, "/v1/models/slow:predict", {"instances": [[1.5]]}) for _ in range(4)]
            eventually(lambda: total(ask(url, "/metrics").text, "requests_in_flight") == 4)
            process.send_signal(signal.SIGTERM)
            assert {future.result().status for future in asked} == {200}
        assert process.wait(30) == 0
    assert "Traceback" not in (state / "said.log").read_text()


def test_workers_do_not_outlive_their_first_process(state: Path, penguins: Any, declaration: Declare) -> None:
    declared = declaration("penguins", penguins)
    local.declare(state, declared)
    with running(state, "--workers", "2") as process:
        url = eventually(lambda: local.find(state)).url
        local.wait_ready(url, declared)
        left = workers(process)
        assert len(left) == 2
        process.kill()
        process.wait()
        eventually(lambda: not any(map(is_alive, left)))
        assert place.wait_until_free(state, 5)
        # What the killed one left is no obstacle to the next.
        with running(state, "--workers", "2"):
            assert eventually(lambda: local.find(state)).url == url
            local.wait_ready(url, declared)


def test_a_fixed_server_of_several_processes_ends_with_the_reason(
    state: Path, penguins: Any, declaration: Declare
) -> None:
    local.declare(state, declaration("penguins", type(penguins)(state / "nowhere", "sha256:0", penguins.examples, [])))
    with running(state, "--workers", "2", "--fixed") as process:
        assert process.wait(60) == 1
    assert "error: endpoint 'penguins' could not be loaded: " in (state / "said.log").read_text()


def test_a_port_of_grpc_that_another_has_ends_the_server(state: Path, penguins: Any, declaration: Declare) -> None:
    local.declare(state, declaration("penguins", penguins))
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        with running(state, "--workers", "2", "--grpc-port", port) as process:
            assert process.wait(60) == 1
    said = (state / "said.log").read_text()
    assert said.count("error: model server: cannot listen on 127.0.0.1:" + port) == 1
    assert "give another --grpc-port" in said
    assert "Traceback" not in said


def test_grpc_says_a_server_is_ready_when_every_worker_is(
    tmp_path: Path, core: Callable[..., Any], penguins: Any, declaration: Declare
) -> None:
    from orchestrator.serving.rpc.messages import kind
    from orchestrator.serving.rpc.service import Service

    made = core()
    declared = declaration("penguins", penguins)
    made.declare(declared)
    fleet.prepare(tmp_path / "workers")
    service = Service(made.host, made.answering, fleet.Fleet(tmp_path / "workers", 0, 2), "1")

    def ready() -> bool:
        content, _ = asyncio.run(service.methods()["ServerReady"](b"", {}))
        return bool(kind("ServerReadyResponse").FromString(content).ready)

    own = fleet.report(made.host)
    assert not ready(), "the other one has said nothing yet"
    fleet.write(tmp_path / "workers", 1, own)
    assert ready()
    broken = {"penguins": fleet.Standing("", "its digest is another", ready=True)}
    fleet.write(tmp_path / "workers", 1, fleet.Report(complete=True, endpoints=broken))
    assert not ready()


def test_a_worker_that_keeps_dying_is_not_started_ever_faster() -> None:
    assert [pause(deaths) for deaths in (1, 2, 3, 4, 5, 9, 900)] == [0, 1, 3, 7, 15, 30, 30]
