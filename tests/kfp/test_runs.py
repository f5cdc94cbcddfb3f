"""Runs on Kubeflow Pipelines as a user has them: started, left, found again, ended, and recorded like any other."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

import pytest

from tests.e2e.conftest import eventually
from tests.kfp.conftest import Kfp, Remote, serving, sums, until


def test_a_run_is_what_it_is_on_this_machine(remote: Remote) -> None:
    here = remote.project.orc("run", "pipeline.yaml")
    assert here.code == 0, here.text
    local = remote.show()
    ended = remote.run()
    there = remote.show()
    assert (there["status"], there["outputs"]["parameters"]) == (local["status"], {"total": 20})
    assert there["outputs"] == local["outputs"]
    told = {task["name"]: (task["status"], task["outputs"]["parameters"]) for task in local["tasks"]}
    assert {task["name"]: (task["status"], task["outputs"]["parameters"]) for task in there["tasks"]} == told
    assert "total  20" in ended.out
    assert f"on Kubeflow Pipelines: {there['kfp']['page']}" in ended.err


def test_what_a_reviewer_needs_is_recorded(remote: Remote) -> None:
    remote.run("--experiment", "nightly", env={"ORC_KFP_SERVICE_ACCOUNT": "somebody", "ORC_KFP_TOKEN": "hush-hush"})
    shown = remote.show()
    (run,) = remote.server.runs()
    kfp = shown["kfp"]
    assert (shown["on"], kfp["url"], kfp["run"]) == ("kfp", remote.server.url, run["run_id"])
    assert (kfp["experiment"], kfp["service_account"], run["service_account"]) == ("nightly", "somebody", "somebody")
    assert run["display_name"] == shown["run"]
    version = remote.server.ask(f"/apis/v2beta1/pipelines/{run['pipeline_version_reference']['pipeline_id']}/versions")
    assert kfp["version"] == version["pipeline_versions"][0]["display_name"]
    assert shown["images"] == ["python:3.11"]
    files = {each["written"]: each for each in shown["files"]}
    assert set(files) == {"numbers.csv", "folder"}
    assert Path(files["numbers.csv"]["uri"].removeprefix("file://")).read_text() == "1\n2\n"
    assert files["numbers.csv"]["digest"][:32] in files["numbers.csv"]["uri"]
    text = remote.orc("show", "last").out
    for word in (kfp["version"], kfp["page"], "somebody", "python:3.11", files["folder"]["digest"][:12]):
        assert word in text
    kept = b"".join(path.read_bytes() for path in remote.project.state.glob("state.db*"))
    assert b"hush-hush" not in kept
    assert "kfp" in remote.orc("runs").out
    assert remote.orc("timeline").code == 0


def test_a_client_that_is_killed_finds_its_run_again(remote: Remote) -> None:
    process = remote.start("run", "pipeline.yaml", "--on", "kfp", "-a", "seconds=4")
    until(process, "two: started")
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    listed = remote.orc("runs")
    assert "not watched" in listed.out
    assert json.loads(remote.orc("runs", "--format", "json").out)[0]["status"] == "DETACHED"
    resumed = remote.orc("resume", "last")
    assert "finished before: " in resumed.out
    shown = remote.show()
    assert (shown["status"], shown["outputs"]["parameters"]) == ("SUCCEEDED", {"total": 20})
    assert len(remote.server.runs()) == 1
    again = remote.orc("resume", "last", code=3)
    assert "is complete: succeeded" in again.err


def test_a_client_that_is_killed_before_it_heard_of_its_run_finds_it_by_name(remote: Remote) -> None:
    remote.server.fail("slow", "/runs$", method="POST")
    process = remote.start("run", "pipeline.yaml", "--on", "kfp")
    eventually(lambda: bool(remote.server.runs()), "the run begins")
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    assert not json.loads(remote.orc("runs", "--format", "json").out)[0]["kfp"]["run"]
    remote.orc("resume", "last")
    shown = remote.show()
    (run,) = remote.server.runs()
    assert (shown["status"], shown["kfp"]["run"]) == ("SUCCEEDED", run["run_id"])


def test_a_run_that_the_server_does_not_know(remote: Remote, tmp_path: Path) -> None:
    run = remote.run("--detach", "-a", "seconds=1").out.strip()
    with serving(tmp_path / "other") as other:
        elsewhere = {"ORC_KFP_URL": other.url}
        assert "there is no run" in remote.orc("resume", run, code=4, env=elsewhere).err
        assert "it is now recorded as cancelled" in remote.orc("cancel", run, env=elsewhere).out
    assert json.loads(remote.orc("runs", "--format", "json").out)[0]["status"] == "CANCELLED"


def test_ctrl_c_leaves_the_run_and_says_how_to_go_on(remote: Remote) -> None:
    process = remote.start("run", "pipeline.yaml", "--on", "kfp", "-a", "seconds=3")
    until(process, "two: started")
    os.killpg(process.pid, signal.SIGINT)
    _, err = process.communicate(timeout=30)
    assert process.returncode == 130
    run = json.loads(remote.orc("runs", "--format", "json").out)[0]["run"]
    for line in (f"the run {run} goes on there", f"orc resume {run}", f"orc cancel {run}"):
        assert line in err
    assert "Traceback" not in err
    eventually(lambda: remote.status() == "SUCCEEDED", "it goes on, and `orc show` says how it is")
    assert remote.tasks()["two"]["outputs"]["parameters"] == {"sum": 20}


def test_a_run_that_is_left_at_once_is_cancelled_and_goes_on_where_it_was(remote: Remote) -> None:
    started = remote.run("--detach", "-a", "seconds=30")
    run = started.out.strip()
    assert f"orc resume {run}" in started.err
    eventually(lambda: remote.tasks()["two"]["status"] == "RUNNING", "the second task begins")
    first = remote.tasks()["one"]
    assert "asked Kubeflow Pipelines to end" in remote.orc("cancel", run).out
    eventually(lambda: remote.status() == "CANCELLED", "it ends")
    assert "has already ended: cancelled" in remote.orc("cancel", run).out
    process = remote.start("resume", run)
    until(process, "two: started")
    remote.orc("cancel", run)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130, out + err
    assert remote.status() == "CANCELLED"
    assert remote.tasks()["one"]["finished"] == first["finished"]
    assert len(remote.server.runs()) == 1


def test_a_run_that_failed_is_retried(remote: Remote, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    failed = remote.run("-a", f"gate={gate}", code=3)
    assert "two failed" in failed.out
    assert "orc run pipeline.yaml --on kfp" in failed.out
    before = remote.tasks()
    assert before["two"]["status"] == "FAILED"
    gate.touch()
    remote.orc("resume", "last")
    after = remote.tasks()
    assert (remote.status(), after["two"]["status"]) == ("SUCCEEDED", "SUCCEEDED")
    assert after["one"]["finished"] == before["one"]["finished"]
    refused = remote.project.orc("run", "pipeline.yaml", "--resume", remote.show()["run"])
    assert refused.code == 3
    assert "ran on Kubeflow Pipelines" in refused.err


def test_a_watcher_is_not_joined_by_another(remote: Remote) -> None:
    process = remote.start("run", "pipeline.yaml", "--on", "kfp", "-a", "seconds=20")
    until(process, "two: started")
    refused = remote.orc("resume", "last", code=3)
    assert f"is being watched by process {process.pid}" in refused.err
    assert remote.status() == "RUNNING"
    remote.orc("cancel", "last")
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130, out + err


def test_logs_that_are_nowhere_are_told(remote: Remote) -> None:
    remote.run()
    ended = remote.orc("logs", "last", "two", code=5)
    assert "==> two" in ended.out
    assert "no log of" in ended.err
    assert "no cluster is known" in ended.err
    assert "KUBECONFIG" in ended.err


def test_a_token_is_wanted_and_given(tmp_path: Path) -> None:
    with serving(tmp_path / "kfp", "--token", "open-sesame") as server:
        remote = Remote(sums(tmp_path / "one"), server)
        refused = remote.run(code=5)
        assert "HTTP 401" in refused.err
        assert "ORC_KFP_TOKEN" in refused.err
        assert remote.orc("runs").out.startswith("no runs")
        wrong = remote.run(code=5, env={"ORC_KFP_TOKEN": "open-barley"})
        assert "open-barley" not in wrong.text
        (tmp_path / "token").write_text("open-sesame\n")
        remote.run(env={"ORC_KFP_TOKEN_FILE": str(tmp_path / "token")})


def test_a_server_that_is_away(remote: Remote) -> None:
    gone = {"ORC_KFP_URL": "http://127.0.0.1:9"}
    refused = remote.run(code=5, env=gone)
    assert "nothing answers there" in refused.err
    assert remote.orc("runs").out.startswith("no runs")
    run = remote.run("--detach", "-a", "seconds=1").out.strip()
    shown = remote.orc("show", run, env=gone)
    assert "not watched" in shown.out
    assert "nothing answers there" in shown.err
    eventually(lambda: remote.status() == "SUCCEEDED", "it is seen again")


def test_nothing_says_where_the_server_is(tmp_path: Path) -> None:
    project = sums(tmp_path / "one")
    ended = project.orc("run", "pipeline.yaml", "--on", "kfp")
    assert ended.code == 1
    assert "kfp_url" in ended.err
    assert max(map(len, ended.err.splitlines())) <= 80
    ended = project.orc("run", "pipeline.yaml", "--on", "kfp", env={"ORC_KFP_URL": "http://a:b@c"})
    assert (ended.code, "a:b" in ended.text) == (5, False)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--on", "kfp", "--only", "one"), "--only is for runs on this machine"),
        (("--on", "kfp", "--workers", "2"), "--workers is for runs on this machine"),
        (("--detach",), "--detach is for runs on Kubeflow Pipelines: --on kfp"),
    ],
)
def test_options_of_the_other_place_are_refused(tmp_path: Path, arguments: tuple[str, ...], told: str) -> None:
    ended = sums(tmp_path / "one").orc("run", "pipeline.yaml", *arguments)
    assert (ended.code, told in ended.err) == (1, True), ended.text


def test_what_fails_there_is_told_before_it_is_sent(remote: Remote) -> None:
    component = remote.project.folder / "add.yaml"
    component.write_text(component.read_text().replace("{inputValue: amount}", "{concat: [{inputValue: amount}]}"))
    refused = remote.run(code=2)
    assert "add.yaml:" in refused.err or "pipeline.yaml:" in refused.err
    assert "Concat is not put together" in refused.err
    assert "--anyway" in refused.err
    assert remote.server.runs() == []
    told = remote.run("--anyway", "--format", "json")
    assert '"Warned"' in told.out
    assert "Concat is not put together" in told.out


def test_images_come_from_the_lock(remote: Remote) -> None:
    folder = remote.project.folder
    (folder / "add.yaml").write_text(
        (folder / "add.yaml")
        .read_text()
        .replace("image: python:3.11\n  command: [python, -c]", "image: ours/add\n  command: [python, -c]")
    )
    digest = "sha256:" + "0123456789abcdef" * 4
    (folder / "pipeline.lock.yaml").write_text(
        "apiVersion: orchestrator/v1\nkind: Lock\nbase: ''\nimages:\n"
        f"  ours/add: {{reference: r.example/ours/add@{digest}}}\n"
    )
    ended = remote.run()
    assert remote.show()["images"] == [f"r.example/ours/add@{digest}"]
    assert "not named by a digest" not in ended.out


def test_images_that_no_cluster_can_pull(remote: Remote, tmp_path: Path) -> None:
    from tests.e2e.conftest import make

    penguins = Remote(make(tmp_path / "penguins", "penguins"), remote.server)
    refused = penguins.run(code=1)
    assert "orchestrator/train" in refused.err
    assert "orc build pipeline.yaml --push" in refused.err
    assert remote.server.runs() == []


def test_a_fault_while_the_run_goes_on_is_told_and_outlived(remote: Remote, kfp: Kfp) -> None:
    process = remote.start("run", "pipeline.yaml", "--on", "kfp", "-a", "seconds=2")
    until(process, "two: started")
    kfp.fail("503", "/runs/", times=3)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, out + err
