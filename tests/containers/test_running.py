"""Tasks in containers, for real: the same outcomes as of processes, and nothing left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from orchestrator.runners.events import Status
from orchestrator.stores.metadata import Metadata

from .conftest import IMAGE, Project, variant

pytestmark = pytest.mark.containers

TEXT = {"parameters": {"out": {"parameterType": "STRING"}}}
DATASET = {"artifactType": {"schemaTitle": "system.Dataset", "schemaVersion": "0.0.1"}}
OUT = "{{$.outputs.parameters['out'].output_file}}"


def eventually(true: Callable[[], bool], seconds: float = 15) -> None:
    until = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < until
        time.sleep(0.05)


def said(project: Project, script: str, *arguments: str, **more: object) -> str:
    """What a task writes to its output `out`, whose path is the last argument."""
    script = f'for last; do :; done; mkdir -p "$(dirname "$last")"; ({script}) > "$last"'
    ran = project.run(project.sh(script, "sh", *arguments, OUT, outputDefinitions=TEXT, **more))
    assert ran.end.status is Status.SUCCEEDED, ran.end.reason
    return str(ran.tasks["task"].outputs.parameters["out"])


def test_data_goes_from_a_file_of_the_user_through_tasks(project: Project) -> None:
    given = project.folder / "given, by somebody"
    given.mkdir()
    (given / "rows.csv").write_text("1\n")
    importer = {"artifactUri": {"constant": str(given)}, "typeSchema": {"schemaTitle": "system.Dataset"}}
    copy = {
        "name": "copy",
        "container": {
            "command": [
                "sh",
                "-c",
                'cat "$0/rows.csv" > "$1"; echo 2 >> "$1"; ! touch "$0/mine" && ! rm "$0/rows.csv"',
            ],
            "args": ["{{$.inputs.artifacts['data'].path}}", "{{$.outputs.artifacts['out'].path}}"],
        },
        "inputs": {"artifacts": {"data": {"taskOutputArtifact": {"producerTask": "import", "outputArtifactKey": "a"}}}},
        "inputDefinitions": {"artifacts": {"data": DATASET}},
        "outputDefinitions": {"artifacts": {"out": DATASET}},
    }
    add = {
        "name": "add",
        "container": {
            "command": ["sh", "-c", '! echo 3 >> "$0" && tr "\\n" "+" < "$0" > "$1"'],
            "args": ["{{$.inputs.artifacts['data'].path}}", OUT],
        },
        "inputs": {"artifacts": {"data": {"taskOutputArtifact": {"producerTask": "copy", "outputArtifactKey": "out"}}}},
        "inputDefinitions": {"artifacts": {"data": DATASET}},
        "outputDefinitions": TEXT,
    }
    file = project.ir(copy, add)
    document = yaml.safe_load(file.read_text())
    document["components"]["comp-import"] = {
        "executorLabel": "exec-import",
        "outputDefinitions": {"artifacts": {"a": DATASET}},
    }
    document["deploymentSpec"]["executors"]["exec-import"] = {"importer": importer}
    document["root"]["dag"]["tasks"]["import"] = {
        "taskInfo": {"name": "import"},
        "componentRef": {"name": "comp-import"},
    }
    file.write_text(yaml.safe_dump(document))
    ran = project.run(file)
    assert ran.end.status is Status.SUCCEEDED, ran.end.reason
    assert ran.tasks["add"].outputs.parameters["out"] == "1+2+"
    assert sorted(path.name for path in given.iterdir()) == ["rows.csv"]


def test_the_image_decides_what_the_component_does_not(project: Project) -> None:
    image = variant("says")

    def log(**container: object) -> str:
        ran = project.run(project.ir({"container": {"image": image, **container}}))
        assert ran.end.status is Status.SUCCEEDED, ran.end.reason
        return ran.log()

    assert log() == "entry default /srv image\n"
    assert log(args=["one", "two words"]) == "entry one two words /srv image\n"
    assert log(command=["sh", "-c", "echo $0 in $(pwd)"], args=["mine"]) == "mine in /srv\n"
    assert log(command=["pwd"]) == "/srv\n"


def test_words_run_exactly_as_written(project: Project) -> None:
    words = ["a b", "$HOME", "`id`", "", "--", "-x", "'", '"', "ümläut\nline", "{{not ours}}"]
    assert said(project, 'shift 0; for word; do echo "<$word>"; done | head -n 11', *words) == "".join(
        f"<{word}>\n" for word in words
    )


def test_variables_are_those_of_the_component_and_ours(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MINE_ALONE", "x")
    env = [
        {"name": "TWO_LINES", "value": "a\nb = 'c'"},
        {"name": "EMPTY", "value": ""},
        {"name": "PATH", "value": "/nowhere:/usr/bin:/bin"},
        {"name": "WITHIN", "value": "$(TWO_LINES)/$(ORC_RUN)/$(UNKNOWN)"},
        {"name": "DOCKER_HOST", "value": "tcp://not-for-the-client:1"},
    ]
    told = said(project, "env -0 | sort -z | tr '\\0' '|'", container={"env": env})
    found = dict(each.split("=", 1) for each in told.split("|") if each)
    run = found.pop("ORC_RUN")
    assert found.pop("ORC_STATE") == str(project.folder / "state")
    assert found["WITHIN"] == f"a\nb = 'c'/{run}/$(UNKNOWN)"
    assert (found["TWO_LINES"], found["EMPTY"]) == ("a\nb = 'c'", "")
    assert found["PATH"] == "/nowhere:/usr/bin:/bin"
    assert found["DOCKER_HOST"] == "tcp://not-for-the-client:1"
    ours = {name for name in found if name.startswith("ORC_")}
    assert ours == {"ORC_TASK", "ORC_PIPELINE", "ORC_PROCESS"}
    assert not {"MINE_ALONE", "TMPDIR", "PYTHONPATH", "VIRTUAL_ENV"} & set(found)
    assert found["DO_NOT_TRACK"] == "true"


def test_files_belong_to_the_caller(project: Project) -> None:
    told = said(project, "id -u; id -g; cd && touch x && echo home")
    assert told.split() == [str(os.getuid()), str(os.getgid()), "home"]


def test_a_security_context_names_another_user(project: Project) -> None:
    if os.getuid():
        pytest.skip("only root can take over what another user wrote")
    platform = {"securityContext": {"runAsUser": 1234, "runAsGroup": 567}}
    script = "id -u; id -g; echo $HOME; touch $HOME/x; echo secret > /dev/null"
    assert said(project, script, platform=platform).split() == ["1234", "567", "/tmp"]


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        ("exit 3", "exit code 3"),
        ("echo 'error: it is broken'; exit 1", "it is broken"),
        ("exit 125", "exit code 125"),
        ("kill -9 $$", "killed by SIGKILL"),
        ("kill -15 $$", "killed by SIGTERM"),
    ],
)
def test_a_fast_failure_is_never_a_success(project: Project, script: str, reason: str) -> None:
    for _ in range(3):
        ran = project.run(project.sh(script))
        assert (ran.end.status, ran.tasks["task"].status) == (Status.FAILED, Status.FAILED)
        assert ran.tasks["task"].reason == reason


@pytest.mark.parametrize(
    ("container", "reason"),
    [
        (
            {"command": ["no-such-program", "x"]},
            "the program 'no-such-program' of the image '{image}' cannot be started",
        ),
        ({"command": ["/etc/passwd"]}, "the program '/etc/passwd' of the image '{image}' cannot be started: "),
        (
            {"image": "localhost:1/nobody/none:1", "command": ["true"]},
            "the image 'localhost:1/nobody/none:1' is not on this machine and could not be pulled: ",
        ),
        ({"image": "Not An Image", "command": ["true"]}, "could not be pulled: invalid reference format"),
        ({}, "neither the component nor the image '{image}' gives a command"),
    ],
)
def test_what_cannot_start_says_why(project: Project, container: dict[str, object], reason: str) -> None:
    ran = project.run(project.ir({"container": container}))
    assert ran.tasks["task"].status is Status.FAILED
    assert reason.format(image=IMAGE) in ran.tasks["task"].reason


def test_out_of_memory_is_told_with_the_limit(project: Project) -> None:
    program = "print('error: an earlier one', flush=True); x = b'1' * 300_000_000"
    resources = {"resourceMemoryLimit": "64Mi", "resourceCpuLimit": "500m"}
    container = {"command": ["python3", "-c", program], "resources": resources}
    ran = project.run(project.ir({"container": container}))
    assert ran.tasks["task"].status is Status.FAILED
    told = ran.tasks["task"].reason
    assert "memory limit of 64Mi" in told or told == "out of memory (limit 64Mi)"


def test_more_cpus_than_there_are_is_all_there_are(project: Project) -> None:
    assert said(project, "echo well", container={"resources": {"resourceCpuLimit": "1000"}}) == "well\n"


def test_a_retry_is_a_new_container(project: Project) -> None:
    script = 'cd "$ORC_STATE/runs/$ORC_RUN"; test -e seen && exit 0; touch seen; exit 1'
    ran = project.run(project.sh(script, retryPolicy={"maxRetryCount": 1, "backoffDuration": "0s"}))
    assert ran.end.status is Status.SUCCEEDED


def test_a_timeout_ends_it_gracefully(project: Project) -> None:
    script = "trap 'echo asked; exit 0' TERM; echo begun; while :; do sleep 0.05; done"
    ran = project.run(project.sh(script, platform={"activeDeadlineSeconds": 1}))
    assert ran.tasks["task"].reason == "it took longer than its timeout of 1 s"
    assert ran.log() == "begun\nasked\n"


def test_a_long_log_is_whole(project: Project) -> None:
    ran = project.run(project.sh("echo first >&2; yes 0123456789abcde | head -c 16000000; echo end"))
    assert ran.end.status is Status.SUCCEEDED
    log = ran.log()
    assert len(log) == len("first\n") + 16000000 + len("end\n")
    assert log.endswith("\nend\n")
    assert "first\n" in log  # Engines carry the two streams apart, and do not keep their order.


def test_volumes_and_secrets_are_where_they_were_asked_for(project: Project) -> None:
    platform = {
        "emptyDirMounts": [
            {"volumeName": "shm", "mountPath": "/dev/shm", "medium": "Memory", "sizeLimit": "128Mi"},
            {"volumeName": "fast", "mountPath": "/fast", "medium": "Memory"},
            {"volumeName": "big", "mountPath": "/big"},
        ],
        "podMetadata": {"labels": {"team": "research"}},
    }
    script = "for at in /dev/shm /fast /big; do touch $at/x && echo $at; done; df -m /dev/shm | tail -n 1 | tr -s ' '"
    told = said(project, script, platform=platform)
    assert told.startswith("/dev/shm\n/fast\n/big\n")
    assert " 128 " in told


def test_a_secret_is_mounted_and_those_of_others_are_not_to_be_seen(project: Project) -> None:
    state = project.folder / "state"
    state.mkdir()
    (state / "secrets.yaml").write_text(
        "apiVersion: v1\nkind: Secret\nmetadata: {name: login}\nstringData: {token: hush, user: ana}\n"
    )
    (state / "secrets.yaml").chmod(0o600)
    platform = {
        "secretAsVolume": [{"secretName": "login", "mountPath": "/etc/login"}],
        "secretAsEnv": [{"secretName": "login", "keyToEnv": [{"secretKey": "user", "envVar": "LOGIN"}]}],
    }
    script = 'test "$(cat /etc/login/token)" = hush && ! touch /etc/login/x && test "$LOGIN" = ana && echo well'
    hidden = '; ls "$ORC_STATE/runs/$ORC_RUN/.secrets"'
    assert said(project, script + hidden, platform=platform) == "well\n"
    assert not list(state.glob("runs/*/.secrets/*"))


def test_the_cache_knows_containers_from_processes_and_images_by_digest(project: Project) -> None:
    file = project.sh("echo same")
    assert project.run(file, cache=True).tasks["task"].status is Status.SUCCEEDED
    assert project.run(file, cache=True).tasks["task"].status is Status.SKIPPED
    assert project.run(file, cache=True, containers=False).tasks["task"].status is Status.SUCCEEDED
    moved = "localhost/orchestrator-test-moved:latest"
    try:
        project.engine.call("tag", IMAGE, moved)
        file = project.ir({"container": {"image": moved, "command": ["true"]}})
        assert project.run(file, cache=True).tasks["task"].status is Status.SUCCEEDED
        assert project.run(file, cache=True).tasks["task"].status is Status.SKIPPED
        project.engine.call("tag", variant("says"), moved)
        assert project.run(file, cache=True).tasks["task"].status is Status.SUCCEEDED
    finally:
        project.engine.call("rmi", moved)


def started(project: Project, file: Path, marker: str = "begun") -> subprocess.Popen[bytes]:
    """`orc run` in a process of its own, when its task has begun."""
    made = project.orc("run", str(file), "--containers", "--format", "plain")
    eventually(lambda: any(marker in log.read_text() for log in project.folder.glob("state/runs/*/*/log*.txt")))
    return made


STUBBORN = "trap '' TERM INT; echo begun; while :; do sleep 0.05; done"


def test_two_interrupts_end_what_ignores_them(project: Project) -> None:
    runner = started(project, project.sh(STUBBORN))
    runner.send_signal(signal.SIGINT)
    time.sleep(0.3)
    assert runner.poll() is None
    runner.send_signal(signal.SIGINT)
    assert runner.wait(15) == 130
    assert project.containers() == []


def test_a_killed_runner_leaves_no_container_and_its_run_goes_on(project: Project) -> None:
    script = 'cd "$ORC_STATE/runs/$ORC_RUN"; test -e seen && exit 0; touch seen; ' + STUBBORN
    first = {"name": "first", "container": {"command": ["sh", "-c", "echo once >> $ORC_STATE/runs/$ORC_RUN/once"]}}
    file = project.ir(first, {"name": "second", "container": {"command": ["sh", "-c", script]}})
    runner = started(project, file)
    assert len(project.containers()) == 1
    os.kill(runner.pid, signal.SIGKILL)
    runner.wait()
    eventually(lambda: project.containers() == [])
    record = Metadata(project.settings.state / "state.db").run("last")
    ran = project.resume(record.id)
    assert ran.end.status is Status.SUCCEEDED
    assert (project.folder / "state" / "runs" / record.id / "once").read_text() == "once\n"


def test_orc_cancel_asks_it_to_end(project: Project) -> None:
    runner = started(project, project.sh("trap 'echo asked; exit 1' TERM; echo begun; while :; do sleep 0.05; done"))
    assert project.orc("cancel").wait(15) == 0
    assert runner.wait(15) == 130
    assert any("asked" in log.read_text() for log in project.folder.glob("state/runs/*/*/log.txt"))
