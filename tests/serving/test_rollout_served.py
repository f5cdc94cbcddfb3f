"""New versions that take over from old ones while a real server answers real requests."""

from __future__ import annotations

import importlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from components.deploy import deploy
from orchestrator.errors import OrchestratorError, RunError
from orchestrator.model import folder, transform
from orchestrator.model.manifest import Manifest
from orchestrator.model.signature import Column, Signature
from orchestrator.serving import declarations, local
from orchestrator.serving.declarations import Declaration

MODELS = """
class Good:
    def predict(self, rows):
        return rows[:, 0]


class Bad:
    def predict(self, rows):
        if rows[0, 0] > 1:
            raise RuntimeError("a bug that the example does not show")
        return rows[:, 0]
"""
Ask = Callable[..., Any]


@pytest.fixture
def versions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, tuple[Path, str]]:
    """Version 1, its equal 2, and 3, which answers its own example and fails what people send."""
    code = tmp_path / "code"
    code.mkdir()
    (code / "rolled_model.py").write_text(MODELS)
    monkeypatch.syspath_prepend(code)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(code), str(Path.cwd())]))
    sys.modules.pop("rolled_model", None)
    module = importlib.import_module("rolled_model")
    inputs = (Column("x", "number"),)
    made: dict[str, tuple[Path, str]] = {}
    for version, estimator in (("1", module.Good()), ("2", module.Good()), ("3", module.Bad())):
        signature = Signature(inputs, (Column("y", "number"),))
        manifest = Manifest("sklearn", f"v{version}", "regression", signature, example=({"x": 0.5},))
        path = tmp_path / f"model-{version}"
        folder.save(path, manifest, transform.Transform(inputs, (), ("x",)), estimator)
        made[version] = path, folder.digest(path)
    return made


Declared = Callable[..., Declaration]


@pytest.fixture
def declared(versions: dict[str, tuple[Path, str]]) -> Declared:
    """The declaration of an endpoint at a version, with a rollout."""

    def make(version: str, **rollout: Any) -> Declaration:
        path, digest = versions[version]
        spec = {
            "apiVersion": "orchestrator/v1",
            "kind": "Endpoint",
            "metadata": {"name": "rolled"},
            "variants": [{"name": "main", "model": "m"}],
            "rollout": rollout,
        }
        variant = {"name": "main", "model": "m", "version": version, "path": str(path), "digest": digest}
        plain = {"name": "rolled", "variants": [variant], "spec": spec, "example": {"inputs": [{"x": 0.5}]}}
        return declarations.load(json.dumps(plain))

    return make


@contextmanager
def traffic(state: Path, ask: Ask) -> Iterator[Counter[tuple[str, int]]]:
    """One client that asks without a pause; what it was answered, by variant and status."""
    found: Counter[tuple[str, int]] = Counter()
    over = threading.Event()
    url = local.ensure(state).url

    def run() -> None:
        while not over.is_set():
            reply = ask(url, "/v1/models/rolled:predict", {"instances": [{"x": 5.0}]})
            found[reply.headers.get("x-variant", ""), reply.status] += 1

    client = threading.Thread(target=run)
    client.start()
    try:
        yield found
    finally:
        over.set()
        client.join()


def served(state: Path) -> list[tuple[str, str, float]]:
    found = declarations.read(state, "rolled")
    return [(each.name, each.version, each.weight) for each in found.variants] if found else []


def eventually(true: Callable[[], bool], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "it never became true"
        time.sleep(0.02)


ALARMS = [
    {"metric": "error_rate", "above": "1%"},
    {"metric": "p99", "above": "20s"},
    {"metric": "requests", "below": 1},
]
CANARY = {"strategy": "canary", "size": 50, "bake": "3s", "alarms": ALARMS}


def test_a_good_version_takes_over_by_shares_and_nobody_notices(state: Path, declared: Declared, ask: Ask) -> None:
    said: list[str] = []
    deploy.deploy(declared("1", **CANARY), state, say=said.append)
    assert "no canary: nothing was served before" in said
    with traffic(state, ask) as found:
        done = deploy.deploy(declared("2", **CANARY), state, say=said.append)
    assert {status for _, status in found} == {200}
    assert {name for name, _ in found} == {"main", "main-next"}
    assert [(stage.percent, stage.seconds) for stage in done.stages] == [(50, 3.0), (100, 3.0)]
    first, last = done.stages
    assert first.requests >= 1
    assert first.alarms["error_rate"] == last.alarms["error_rate"] == 0
    assert last.requests >= 1
    assert served(state) == [("main", "2", 1.0)]
    assert [line.partition(":")[0] for line in said[-4:]] == [
        "50 % of the traffic, watched for 3 s",
        "50 % kept its bounds",
        "100 % of the traffic, watched for 3 s",
        "100 % kept its bounds",
    ]
    again: list[str] = []
    assert deploy.deploy(declared("2", **CANARY), state, say=again.append).stages[-1].seconds == 0
    assert "no canary: the same versions are served already" in again


def test_a_bad_version_is_put_back_by_its_alarm(state: Path, declared: Declared, ask: Ask) -> None:
    deploy.deploy(declared("1"), state)
    slow = CANARY | {"bake": "10m"}
    with traffic(state, ask) as found:
        with pytest.raises(RunError) as caught:
            deploy.deploy(declared("3", **slow), state)
        seen = found.total()
        eventually(lambda: found.total() >= seen + 20)
    assert "not deployed to endpoint 'rolled': the alarm 'error_rate' fired at 50 % of the traffic" in str(caught.value)
    assert "m version 1 is served as before" in str(caught.value)
    assert found["", 500] + found["main-next", 500] > 0
    assert {status for (name, status) in found if name == "main"} == {200}
    assert served(state) == [("main", "1", 1.0)]


def test_without_traffic_nothing_can_be_said_of_a_version(state: Path, declared: Declared) -> None:
    deploy.deploy(declared("1"), state)
    with pytest.raises(RunError, match="no request reached the new version") as caught:
        deploy.deploy(declared("2", **CANARY), state)
    assert "is there traffic" in caught.value.hint
    assert served(state) == [("main", "1", 1.0)]


def test_all_at_once_is_watched_too(state: Path, declared: Declared, ask: Ask) -> None:
    deploy.deploy(declared("1"), state)
    rollout = {"bake": "10m", "alarms": [{"metric": "error_rate", "above": 0.2}]}
    with traffic(state, ask), pytest.raises(RunError, match="fired at 100 % of the traffic"):
        deploy.deploy(declared("3", **rollout), state)
    assert served(state) == [("main", "1", 1.0)]


def test_what_somebody_else_did_meanwhile_is_left_alone(state: Path, declared: Declared, ask: Ask) -> None:
    deploy.deploy(declared("1"), state)

    def stop(line: str) -> None:
        if line.startswith("50 %"):
            local.remove(state, "rolled")

    with (
        traffic(state, ask),
        pytest.raises(OrchestratorError, match="somebody else changed or stopped it meanwhile; it"),
    ):
        deploy.deploy(declared("2", **CANARY), state, say=stop)
    assert served(state) == []


DEPLOY = """
import signal, sys
from pathlib import Path
from components.deploy import deploy
from orchestrator.serving import declarations

signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
deploy.deploy(declarations.load(Path(sys.argv[1]).read_text()), Path(sys.argv[2]))
"""


@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGKILL])
def test_a_rollout_that_is_ended_is_put_back_though_nobody_deploys_again(
    state: Path, declared: Declared, ask: Ask, end: signal.Signals
) -> None:
    deploy.deploy(declared("1"), state)
    text = state / "asked.json"
    text.write_text(declarations.dump(declared("2", **CANARY | {"bake": "10m"})))
    with traffic(state, ask) as found:
        with subprocess.Popen([sys.executable, "-c", DEPLOY, str(text), str(state)]) as process:
            eventually(lambda: bool(found["main-next", 200] or process.poll()))
            assert process.poll() is None
            process.send_signal(end)
        eventually(lambda: served(state) == [("main", "1", 1.0)])
        eventually(lambda: [(each.version, each.ready) for each in local.endpoints(state)] == [("1", True)])
    assert {status for _, status in found} == {200}
    assert [path.name for path in declarations.folder(state).glob(".*.before")] == []
