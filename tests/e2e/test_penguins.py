"""The main job: from 344 penguins to an endpoint that answers, and what a gate that says no leaves alone."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
from typing import Any

import pytest

from .conftest import BIRD, Ended, Project, eventually, processes


def test_the_run_ends_with_an_answer_and_the_line_that_repeats_it(first: tuple[Project, Ended]) -> None:
    _, ended = first
    assert ended.err == ""
    last = ended.out[ended.out.index("\nendpoint penguins") :]
    assert re.search(r'answer +\{"predictions": \["(Adelie|Chinstrap|Gentoo)"\]\}', last), last
    assert "orc endpoints stop penguins" in last
    (answer,), (curl,) = re.findall(r"answer +(.+)", last), re.findall(r"(curl .+)", last)
    repeated = subprocess.run(curl, shell=True, capture_output=True, text=True, timeout=30, check=True)
    assert json.loads(repeated.stdout) == json.loads(answer)


def test_the_version_is_in_mlflows_registry(penguins: Project) -> None:
    client = penguins.judge()
    version = client.get_model_version_by_alias("penguins", "champion")
    assert (int(version.version), version.status) == (1, "READY")
    assert penguins.show(penguins.runs()[-1]["run"])["outputs"]["parameters"]["f1"] > 0.85


def test_the_endpoint_speaks_v1_and_v2(penguins: Project) -> None:
    penguins.run()
    assert penguins.predict("penguins", BIRD) == ["Gentoo"]
    numbers = (int, float)
    tensors = [
        {
            "name": name,
            "shape": [1],
            "datatype": "FP64" if isinstance(value, numbers) else "BYTES",
            "data": [value],
        }
        for name, value in BIRD.items()
    ]
    answer = penguins.ask("/v2/models/penguins/infer", {"inputs": tensors})
    assert answer["outputs"][0]["data"] == ["Gentoo"]


def test_nothing_is_written_beside_the_pipeline_or_at_home(first: tuple[Project, Ended]) -> None:
    project, _ = first
    assert not list(project.home.iterdir())
    assert not (project.folder / ".orc").exists()


def test_the_second_run_is_all_cache_hits(penguins: Project) -> None:
    before = penguins.published()
    ended = penguins.run()
    assert set(penguins.statuses().values()) == {"SKIPPED"}
    assert '"predictions"' in ended.out
    assert penguins.published() == before


@pytest.mark.parametrize("how", ["stopped", "killed"])
def test_a_cached_deployment_is_served_again(penguins: Project, how: str) -> None:
    penguins.run()
    pid = penguins.server()["pid"]
    if how == "killed":
        os.kill(pid, signal.SIGKILL)
    else:
        assert penguins.orc("endpoints", "stop", "--all").code == 0
    eventually(lambda: not _is_running(pid), "the server ends")
    ended = penguins.run()
    assert '"predictions"' in ended.out
    assert penguins.server()["pid"] != pid
    assert penguins.predict("penguins", BIRD) == ["Gentoo"]


def test_a_gate_that_says_no_changes_nothing(penguins: Project) -> None:
    before, served = penguins.published(), penguins.ask("/v2/models/penguins")
    ended = penguins.run("--arg", "min_f1=1.0")
    assert re.search(r"rejected: f1 = (1|0\.\d+) is not > 1\b", ended.out), ended.out
    run = penguins.show()
    assert run["status"] == "REJECTED"
    assert re.fullmatch(r"f1 = (1|0\.\d+) is not > 1(\.0)?", run["reason"])
    statuses = penguins.statuses()
    assert (statuses["publish"], statuses["deploy"]) == ("SUCCEEDED", "NOT_TRIGGERED")
    decision = json.loads(penguins.artifact("publish", "decision").read_text())
    assert (decision["decision"], decision["reason"]) == ("rejected", run["reason"])
    assert decision["metrics"]["f1"] == run["outputs"]["parameters"]["f1"]
    assert penguins.published() == before
    assert penguins.ask("/v2/models/penguins") == served


def test_a_bound_is_strict_or_inclusive_as_written(penguins: Project) -> None:
    f1 = penguins.show(penguins.runs()[-1]["run"])["outputs"]["parameters"]["f1"]

    def ruled(rule: str, name: str) -> str:
        def change(data: dict[str, Any]) -> None:
            data["tasks"]["publish"]["arguments"] |= {"rules": [rule], "name": name}
            del data["tasks"]["deploy"]

        return penguins.write(f"{name}.yaml", change)

    penguins.run(file=ruled(f"f1 > {f1!r}", "strict"))
    assert penguins.show()["status"] == "REJECTED"
    penguins.run(file=ruled(f"f1 >= {f1!r}", "inclusive"))
    assert penguins.show()["status"] == "SUCCEEDED"
    models = penguins.published()["models"]
    assert "strict" not in models
    assert models["inclusive"] == ([1], {"champion": 1})


def test_a_worse_challenger_is_rejected_by_the_champions_number(penguins: Project) -> None:
    def contest(name: str, hyperparameters: dict[str, Any], algorithm: str) -> str:
        def change(data: dict[str, Any]) -> None:
            data["tasks"]["train"]["arguments"] |= {"algorithm": algorithm, "hyperparameters": hyperparameters}
            data["tasks"]["evaluate"]["arguments"]["baseline"] = "contest@champion"
            rules = ["f1 > 0.1", "f1 >= baseline.f1"]
            data["tasks"]["publish"]["arguments"] |= {"rules": rules, "name": "contest"}
            del data["tasks"]["deploy"]

        return penguins.write(name, change)

    penguins.run(file=contest("champion.yaml", {}, "logistic_regression"))
    assert penguins.show()["status"] == "SUCCEEDED"
    rules = json.loads(penguins.artifact("publish", "decision").read_text())["rules"]
    assert rules[1]["passed"] is not False
    assert "baseline" in rules[1]["note"], "that there was no champion yet is said"

    before = penguins.published()
    ended = penguins.run(file=contest("challenger.yaml", {"n_estimators": 1, "max_depth": 1}, "random_forest"))
    run = penguins.show()
    assert run["status"] == "REJECTED"
    decision = json.loads(penguins.artifact("publish", "decision").read_text())
    champion, challenger = decision["baseline"]["metrics"]["f1"], decision["metrics"]["f1"]
    assert challenger < champion
    for number in (champion, challenger):
        assert f"{number:.4g}" in run["reason"]
        assert f"{number:.4g}" in ended.out
    assert penguins.published() == before


def test_a_version_nobody_approved_is_not_deployed(penguins: Project) -> None:
    def change(data: dict[str, Any]) -> None:
        waiting = {"rules": ["f1 > 0.5"], "name": "waiting", "approval": "pending"}
        data["tasks"]["publish"]["arguments"] |= waiting
        data["tasks"]["deploy"]["arguments"]["endpoint"] = penguins.write(
            "waiting.endpoint.yaml", serve, "endpoint.yaml"
        )

    def serve(data: dict[str, Any]) -> None:
        data["metadata"]["name"] = "waiting"
        data["variants"] = [{"name": "main", "model": "waiting"}]

    before = penguins.published()
    ended = penguins.run(file=penguins.write("waiting.yaml", change), code=3)
    assert "deploy failed: models:/waiting/1 is pending" in ended.out
    after = penguins.published()
    assert after["endpoints"] == before["endpoints"]
    assert after["models"]["waiting"][0] == [1]


def test_no_process_of_a_finished_run_is_left(penguins: Project) -> None:
    penguins.run()
    assert processes(penguins.state) == []


def _is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
