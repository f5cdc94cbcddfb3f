"""What is asked of an engine, as a value; and what an engine's words come to. No engine is needed."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from orchestrator.errors import BackendError, RunError
from orchestrator.ir.platform import EmptyDirMount, KubernetesExecutor, PodMetadata, SecurityContext
from orchestrator.runners.local.containers import engine, limits, plan, verdict
from orchestrator.runners.local.containers.engine import Engine
from orchestrator.runners.local.containers.limits import Limits
from orchestrator.runners.local.launch import Launch, Mount
from orchestrator.runners.local.places import Places

STATE = Path("/home/ana/project/.orc")
RUN = STATE / "runs" / "demo-1"
WORK = RUN / "train" / "work"
SHARED = {"ORC_STATE": str(STATE), "ORC_RUN": "demo-1", "ORC_TASK": "train", "DO_NOT_TRACK": "true"}
ANA = plan.Caller(1000, 1000)
DOCKER = Engine(engine.DOCKER, "/usr/bin/docker", cpus=4, memory=8 * 2**30)
PODMAN = Engine(engine.PODMAN, "/usr/bin/podman", rootless=True, cpus=4, memory=8 * 2**30)
LAUNCH = Launch(
    image="python:3.11",
    words=("python3", "train.py", "--text", "a b"),
    declared={},
    environment={**SHARED, "TMPDIR": str(STATE / "tmp" / "0-1")},
    folder=WORK,
    places=Places(RUN / "train" / "out", WORK, STATE / "tmp" / "0-1"),
    log=RUN / "train" / "log.txt",
    command=("python3",),
)
DECLARED = {"TOKEN": "s3cret\nof two lines", "PATH": "/opt/bin", "TMPDIR": "/scratch", "EMPTY": ""}
CASES: dict[str, tuple[Launch, Engine]] = {
    "plain": (LAUNCH, DOCKER),
    "podman-without-root": (LAUNCH, PODMAN),
    "docker-without-root": (LAUNCH, replace(DOCKER, rootless=True, init=False)),
    "arguments-alone": (replace(LAUNCH, words=("--epochs", "3"), command=()), DOCKER),
    "nothing-of-its-own": (replace(LAUNCH, words=(), command=()), DOCKER),
    "variables": (replace(LAUNCH, declared=DECLARED, environment={**LAUNCH.environment, **DECLARED}), DOCKER),
    "inputs": (
        replace(
            LAUNCH,
            inputs=(
                str(STATE / "artifacts" / "ab" / "model"),
                str(RUN / ".workspace" / "copy"),
                "/data/a, b",
                "/data/a, b/inner.csv",
                '/data/"quoted".csv',
            ),
        ),
        DOCKER,
    ),
    "limits": (replace(LAUNCH, limits=Limits("500m", "512Mi", "256Mi", "nvidia.com/gpu", "2")), DOCKER),
    "limits-podman": (replace(LAUNCH, limits=Limits("500m", "512Mi", "256Mi", "nvidia.com/gpu", "2")), PODMAN),
    "more-cpus-than-there-are": (replace(LAUNCH, limits=Limits("64", "", "", "google.com/tpu", "8")), DOCKER),
    "platform": (
        replace(
            LAUNCH,
            kubernetes=KubernetesExecutor(
                image_pull_policy="IfNotPresent",
                pod_metadata=PodMetadata(labels={"team": "research", "orc.run": "not mine"}),
                security_context=SecurityContext(run_as_user="1234"),
                empty_dir_mounts=(
                    EmptyDirMount(volume_name="shm", mount_path="/dev/shm", medium="Memory", size_limit="1Gi"),
                    EmptyDirMount(volume_name="fast", mount_path="/fast/", medium="Memory"),
                    EmptyDirMount(volume_name="big", mount_path="/big"),
                ),
            ),
            mounts=(
                Mount(Path("/dev/shm"), "/dev/shm"),
                Mount(WORK / "volumes" / "1", "/fast"),
                Mount(WORK / "volumes" / "2", "/big"),
                Mount(STATE / "volumes" / "claim", "/claim"),
                Mount(RUN / ".secrets" / "train" / "4", "/etc/secret", read_only=True),
            ),
        ),
        DOCKER,
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_asks_as_before(name: str, golden: Any) -> None:
    launch, using = CASES[name]
    planned = plan.plan(launch, using, ANA, name="orc-1", runner="feed")
    hidden = [f"{key} = {value!r}" for key, value in sorted(planned.variables.items())]
    golden(Path(__file__).parent / "plans" / f"{name}.txt", "\n".join([*planned.arguments, "", *hidden]) + "\n")


def test_a_value_is_on_no_command_line() -> None:
    launch, _ = CASES["variables"]
    for using in (DOCKER, PODMAN):
        assert "s3cret" not in " ".join(plan.plan(launch, using, ANA, name="n", runner="r").arguments)


@pytest.mark.parametrize("image", ["", "--privileged"])
def test_what_would_be_an_option_is_no_image(image: str) -> None:
    with pytest.raises(RunError, match="cannot be the name of an image"):
        plan.plan(replace(LAUNCH, image=image), DOCKER, ANA, name="n", runner="r")


@pytest.mark.parametrize("using", [DOCKER, PODMAN])
def test_root_is_refused_where_the_security_context_forbids_what_it_asks_for(using: Engine) -> None:
    both = KubernetesExecutor(security_context=SecurityContext(run_as_user=0, run_as_non_root=True))
    with pytest.raises(RunError, match="asks for root and forbids it"):
        plan.plan(replace(LAUNCH, kubernetes=both), using, ANA, name="n", runner="r")
    # The image is made for another user than root; here the caller stands for it, and the run warns where that is root.
    context = KubernetesExecutor(security_context=SecurityContext(run_as_non_root=True))
    assert plan.plan(replace(LAUNCH, kubernetes=context), using, plan.Caller(0, 0), name="n", runner="r").user == "0:0"
    assert plan.plan(replace(LAUNCH, kubernetes=context), using, ANA, name="n", runner="r").user == "1000:1000"


@pytest.mark.parametrize(
    ("text", "number"),
    [
        *[("1", 1), ("0.5", 0.5), (".5", 0.5), ("500m", 0.5), ("2e3", 2000), ("1k", 1000), ("64Mi", 64 * 2**20)],
        *[("1Gi", 2**30), ("1G", 10**9), ("1.5Gi", 1.5 * 2**30), ("1Ei", 2**60)],
        *[("", None), ("many", None), ("1 GB", None), ("-1", None), ("1GB", None)],
    ],
)
def test_quantities_are_those_of_kubernetes(text: str, number: float | None) -> None:
    assert limits.quantity(text) == number


@pytest.mark.parametrize("bad", [Limits(cpu="two"), Limits(memory="1 GB"), Limits(count="all"), Limits(reserved="x")])
def test_an_amount_that_is_none_says_so(bad: Limits) -> None:
    with pytest.raises(RunError, match="is no amount: write"):
        plan.plan(replace(LAUNCH, limits=bad), DOCKER, ANA, name="n", runner="r")


ASKED = verdict.Asked("docker", "a:1", "prog", Limits(memory="20Mi"))
ENDED = {"Status": "exited", "Running": False, "OOMKilled": False, "ExitCode": 0, "Error": ""}
NO_GPU = (
    'docker has no GPU to give it: could not select device driver "" with capabilities: [[gpu]]; '
    "the NVIDIA Container Toolkit makes one known"
)
VERDICTS = {
    "well": (ENDED, 0, [], 0, ""),
    "another code than the client's": ({**ENDED, "ExitCode": 3}, 0, [], 3, ""),
    "the program's own 125": ({**ENDED, "ExitCode": 125}, 125, ["docker: no"], 125, ""),
    "SIGTERM": ({**ENDED, "ExitCode": 143}, 143, [], -15, ""),
    "no signal": ({**ENDED, "ExitCode": 255}, 255, [], 255, ""),
    "memory": ({**ENDED, "ExitCode": 137, "OOMKilled": True}, 137, ["error: old"], -9, "out of memory (limit 20Mi)"),
    "a child out of memory, which did not matter": ({**ENDED, "OOMKilled": True}, 0, [], 0, ""),
    "perhaps memory": (
        *({**ENDED, "ExitCode": 137}, 137, []),
        *(-9, "killed by SIGKILL, perhaps for its memory limit of 20Mi"),
    ),
    "no image": (
        *(None, 125, ["Unable to find image 'a:1' locally", "docker: Error response from daemon: pull access denied."]),
        *(125, "the image 'a:1' is not on this machine and could not be pulled: pull access denied"),
    ),
    "no engine": (
        *(None, 125, ["docker: Cannot connect to the Docker daemon at unix:///x"]),
        125,
        "docker does not answer any more: Cannot connect to the Docker daemon at unix:///x",
    ),
    "no program": (
        *(
            {"Status": "created", "ExitCode": 127, "Error": 'runc: exec: "x": executable file not found'},
            127,
            [],
        ),
        *(127, "the program 'x' of the image 'a:1' cannot be started: executable file not found"),
    ),
    "no program, says tini": (
        *({**ENDED, "ExitCode": 127}, 127, ["[FATAL tini (7)] exec x y failed: No such file or directory"]),
        *(127, "the program 'x y' of the image 'a:1' cannot be started: No such file or directory"),
    ),
    "no program, says catatonit": (
        *({**ENDED, "ExitCode": 1}, 1, ["ERROR (catatonit:6): failed to exec pid1: No such file or directory"]),
        *(1, "the program 'prog' of the image 'a:1' cannot be started: No such file or directory"),
    ),
    "no command": (
        *(None, 125, ["docker: Error response from daemon: No command specified.", "See 'docker run --help'."]),
        *(125, "neither the component nor the image 'a:1' gives a command"),
    ),
    "no GPU": (
        *(None, 125, ['docker: could not select device driver "" with capabilities: [[gpu]].']),
        125,
        NO_GPU,
    ),
    "lost": ({**ENDED, "Running": True}, 1, ["unexpected EOF"], 125, "docker lost it while it ran: unexpected EOF"),
    "stopped before there was one": (None, -15, ["Pulling fs layer"], -15, ""),
}


@pytest.mark.parametrize("name", VERDICTS)
def test_an_end_has_a_code_and_a_reason(name: str) -> None:
    state, client, tail, code, reason = VERDICTS[name]
    asked = replace(ASKED, present=name != "no image", answers=name != "no engine")
    assert verdict.of(asked, state, client, tail) == verdict.Verdict(code, reason)


def test_an_engine_is_what_it_says_it_is() -> None:
    docker = {"NCPU": 2, "MemTotal": 5, "SecurityOptions": ["name=seccomp", "name=rootless"]}
    podman = {"host": {"cpus": 4, "memTotal": 7, "security": {"rootless": False}}}
    assert engine.read("d", docker) == Engine("docker", "d", rootless=True, cpus=2, memory=5)
    found = engine.read("docker", podman)  # As the package podman-docker installs it.
    assert found is not None
    assert (found.kind, found.rootless, found.cpus, found.memory) == ("podman", False, 4, 7)
    assert engine.read("d", {}) is None


def test_an_engine_that_does_not_answer_is_one_clear_error(tmp_path: Path) -> None:
    program = tmp_path / "docker"
    program.write_text("#!/bin/sh\necho 'ERROR: Cannot connect to the Docker daemon.' >&2; exit 1\n")
    program.chmod(0o755)
    with pytest.raises(BackendError, match="Cannot connect to the Docker daemon") as refused:
        engine.find(str(program))
    assert refused.value.exit_code == 5
    assert "without --containers" in refused.value.hint
    with pytest.raises(BackendError, match="not on this machine"):
        engine.find("no-such-engine")


def test_without_an_engine_nothing_starts(tmp_path: Path) -> None:
    pipeline = Path(__file__).parents[2] / "pipelines" / "penguins" / "pipeline.yaml"
    done = subprocess.run(
        [sys.executable, "-m", "orchestrator", "run", str(pipeline), "--containers"],
        cwd=tmp_path,
        env={**os.environ, "ORC_CONTAINERS_ENGINE": "no-such-engine", "ORC_STATE": str(tmp_path / "state")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (5, "")
    assert "no container engine answers: no-such-engine: not on this machine" in done.stderr
    assert not (tmp_path / "state").exists()
