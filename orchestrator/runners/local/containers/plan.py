"""A launch as the arguments of `docker run` or `podman run`: a value, decided without asking anybody."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from orchestrator.errors import RunError
from orchestrator.ir.platform import EmptyDirMount
from orchestrator.runners.local import traces
from orchestrator.runners.local.containers import engine
from orchestrator.runners.local.containers.engine import DOCKER, PODMAN, Engine
from orchestrator.runners.local.containers.limits import quantity
from orchestrator.runners.local.launch import SILENT, Launch

_PULL = {"Always": "always", "IfNotPresent": "missing", "Never": "never"}
_SHARED_MEMORY = "/dev/shm"  # noqa: S108 - a mount point, not a file of ours.
SECRETS = ".secrets"
"""The folder of a run in which the secrets lie that its tasks find mounted."""
_NOT_PASSED_ON = ("PATH", "HOME", "TMPDIR", "LD_", "DOCKER_", "CONTAINER", "PODMAN_", "XDG_", "GODEBUG", "SSH_")
"""How the names of variables begin that the engine's own program reads."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Who started the run."""

    uid: int
    gid: int


@dataclass(frozen=True, slots=True)
class Plan:
    """A container as it is asked for."""

    arguments: tuple[str, ...]
    variables: Mapping[str, str]
    """Values that the engine's program takes from its own environment, where `ps` does not show them."""
    user: str
    """`UID:GID` inside the container."""


def environment(state: Path, names: Mapping[str, str]) -> dict[str, str]:
    """The variables that containers share: none of the user's, who is not in the image."""
    return {
        **SILENT,
        "PYTHONUNBUFFERED": "1",
        traces.STATE: str(state),
        "ORC_PIPELINE": names["pipeline_name"],
        traces.RUN: names["pipeline_job_name"],
    }


def plan(launch: Launch, using: Engine, caller: Caller, *, name: str, runner: str) -> Plan:
    """How a launch is asked of an engine. Raises RunError for what no engine can give."""
    if not launch.image or launch.image.startswith("-"):
        raise RunError(f"{launch.image!r} cannot be the name of an image")
    user = _user(launch, using, caller)
    declared = dict(launch.declared)
    # A user whom the image does not know has no folder of its own, and programs want one.
    home = {} if user.startswith("0:") or "HOME" in declared else {"HOME": "/tmp"}  # noqa: S108
    variables = {**launch.environment, **home, **declared}
    if "TMPDIR" not in declared:
        variables.pop("TMPDIR", None)  # That of a process; the image has its own.
    shown = {name: value for name, value in variables.items() if name.startswith(_NOT_PASSED_ON)}
    arguments = [
        "run",
        f"--name={name}",
        *(f"--label={key}={value}" for key, value in _labels(launch, runner).items()),
        "--log-driver=none",  # What it prints goes to the task's log, and need not be kept twice.
        "--sig-proxy=false",
        *(["--init"] if using.init else []),
        "--security-opt=label=disable",  # Files keep the labels they have, and can be read all the same.
        *(["--userns=keep-id"] if using.kind == PODMAN and using.rootless else []),
        f"--user={user}",
        *_limits(launch, using),
        *_pull(launch),
        *_mounts(launch, using),
        *(f"--env={key}={shown[key]}" if key in shown else f"--env={key}" for key in sorted(variables)),
    ]
    # The image's own command counts only where the component gives none, as on Kubernetes.
    arguments += [f"--entrypoint={launch.command[0]}"] if launch.command else []
    arguments += [launch.image, *launch.words[1 if launch.command else 0 :]]
    return Plan(tuple(arguments), {key: value for key, value in variables.items() if key not in shown}, user)


def _labels(launch: Launch, runner: str) -> dict[str, str]:
    pod = launch.kubernetes.pod_metadata
    return {
        **(pod.labels if pod else {}),
        engine.RUN: launch.environment[traces.RUN],
        engine.TASK: launch.environment[traces.TASK],
        engine.STATE: launch.environment[traces.STATE],
        engine.RUNNER: runner,
    }


def _user(launch: Launch, using: Engine, caller: Caller) -> str:
    """The caller, so that files on both sides belong to the same person, unless a security context says otherwise."""
    # To Docker without root, the caller is the container's root.
    uid, gid = (0, 0) if using.kind == DOCKER and using.rootless else (caller.uid, caller.gid)
    context = launch.kubernetes.security_context
    if context is None:
        return f"{uid}:{gid}"
    asked = context.run_as_user
    if context.run_as_non_root and asked is not None and int(asked) == 0:
        raise RunError("its security context asks for root and forbids it: give runAsUser another user")
    return f"{uid if asked is None else asked}:{gid if context.run_as_group is None else context.run_as_group}"


def _limits(launch: Launch, using: Engine) -> Iterator[str]:
    limits = launch.limits
    # An engine refuses more CPUs than it has; all it has is the most a task can get.
    if limits.cores and not (using.cpus and limits.cores >= using.cpus):
        yield f"--cpus={limits.cores:g}"
    if limits.bytes:
        yield from (f"--memory={limits.bytes}", f"--memory-swap={limits.bytes}")
    if limits.reserved_bytes and not (limits.bytes and limits.reserved_bytes >= limits.bytes):
        yield f"--memory-reservation={limits.reserved_bytes}"
    if limits.gpus and using.kind == DOCKER:
        yield f"--gpus={limits.gpus}"
    elif limits.gpus:
        yield from (f"--device=nvidia.com/gpu={number}" for number in range(limits.gpus))


def _pull(launch: Launch) -> list[str]:
    asked = launch.kubernetes.image_pull_policy
    if not asked:
        return []
    if asked not in _PULL:
        raise RunError(f"its image pull policy is {asked!r}: Always, IfNotPresent or Never")
    return [f"--pull={_PULL[asked]}"]


def _mounts(launch: Launch, using: Engine) -> Iterator[str]:
    """Folders of this machine at the very paths they have here, so that a path means the same on both sides."""
    state = Path(launch.environment[traces.STATE])
    artifacts, run = state / "artifacts", state / "runs" / launch.environment[traces.RUN]
    yield _bind(artifacts, readonly=True)
    yield _bind(run)
    inputs = {Path(each) for each in launch.inputs}
    # A folder that is given shows what lies in it.
    outer = {each for each in inputs if not inputs & set(each.parents)}
    for each in sorted(outer):
        if not each.is_relative_to(artifacts) and not each.is_relative_to(run):
            yield _bind(each, readonly=True)
    # The secrets of the other tasks are not this one's; Podman would copy them into what hides them.
    hidden = ["notmpcopyup"] if using.kind == PODMAN else []
    yield _mount("type=tmpfs", f"destination={run / SECRETS}", *hidden)
    memory = {each.mount_path.rstrip("/"): each for each in launch.kubernetes.empty_dir_mounts if _in_memory(each)}
    for mount in launch.mounts:
        if mount.target not in memory:
            yield _bind(mount.source, target=mount.target, readonly=mount.read_only)
    for target, asked in memory.items():
        size = round(quantity(asked.size_limit) or 0) or launch.limits.bytes or using.memory // 2
        if target == _SHARED_MEMORY:
            yield f"--shm-size={size}"
        else:
            yield _mount("type=tmpfs", f"destination={target}", *([f"tmpfs-size={size}"] if size else []))


def _in_memory(mount: EmptyDirMount) -> bool:
    return mount.medium == "Memory" or mount.mount_path.rstrip("/") == _SHARED_MEMORY


def _bind(source: Path, *, target: str = "", readonly: bool = False) -> str:
    fields = ["type=bind", f"source={source}", f"target={target or source}"]
    return _mount(*fields, *(["readonly"] if readonly else []))


def _mount(*fields: str) -> str:
    """A mount as the engines read it: comma-separated values, quoted where a path holds a comma or a quote."""
    line = io.StringIO()
    csv.writer(line, lineterminator="").writerow(fields)
    return f"--mount={line.getvalue()}"
