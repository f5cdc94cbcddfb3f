"""What a container task becomes on this machine: a command line, an environment and folders. Pure but for `make`."""

from __future__ import annotations

import errno
import os
import re
import shutil
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from orchestrator.digest import of_text
from orchestrator.errors import RunError
from orchestrator.ir.platform import KubernetesExecutor, OrchestratorExecutor, PlatformSpec
from orchestrator.ir.spec import Component, Container, Executor, PipelineSpec
from orchestrator.runners.local import placeholders, scratch, task_config, traces
from orchestrator.runners.local.containers import limits
from orchestrator.runners.local.containers.limits import Limits
from orchestrator.runners.local.places import Places
from orchestrator.settings import NO_PLUGINS, Settings
from orchestrator.stores.artifacts import Artifact, Values, is_remote

SILENT = {
    "DO_NOT_TRACK": "true",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "GX_ANALYTICS_ENABLED": "false",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "TF_CPP_MIN_LOG_LEVEL": "2",
}
"""No library in a task reports usage."""

_VARIABLE = re.compile(r"\$\$|\$\(([^()]+)\)")
_NO_KUBERNETES = KubernetesExecutor.model_construct()
_NO_OWN = OrchestratorExecutor.model_construct()
_UNLIMITED = Limits()


@dataclass(frozen=True, slots=True)
class Mount:
    """A folder of this machine, and the path at which a container finds it."""

    source: Path
    target: str
    read_only: bool = False
    is_empty: bool = False
    """Whether it stands for an optional secret or config map that is not there."""


@dataclass(frozen=True, slots=True)
class Launch:
    """Everything a program needs to start, whether as a process or in a container."""

    image: str
    words: tuple[str, ...]
    """The command line, placeholders filled in."""
    declared: Mapping[str, str]
    """The variables the component declares."""
    environment: Mapping[str, str]
    """All variables a process gets: the user's, ours, those declared."""
    folder: Path
    """The working directory."""
    places: Places
    log: Path
    command: tuple[str, ...] = ()
    """Those of the words that take the place of the image's entry point; the others are arguments."""
    inputs: tuple[str, ...] = ()
    """The files and folders of this machine that it is given."""
    limits: Limits = _UNLIMITED
    kubernetes: KubernetesExecutor = _NO_KUBERNETES
    """What the platform document says of it."""
    mounts: tuple[Mount, ...] = ()
    """What a container finds where; a process is told by its words."""


@dataclass(frozen=True, slots=True)
class Spot:
    """Where an attempt of a task lives below the run's folder."""

    root: Path
    attempt: int
    scratch: Path
    """Its folder for temporary files."""

    @property
    def suffix(self) -> str:
        """Later attempts leave the earlier ones' logs alone."""
        return f"-{self.attempt}" if self.attempt > 1 else ""

    @property
    def log(self) -> Path:
        """What the attempt printed."""
        return self.root / f"log{self.suffix}.txt"

    @property
    def work(self) -> Path:
        """The attempt's working directory."""
        return self.root / f"work{self.suffix}"

    @property
    def places(self) -> Places:
        """Where the attempt writes its outputs."""
        return Places(self.root / f"out{self.suffix}", self.work, self.scratch)

    def make(self, component: Component) -> None:
        """Make the folders, empty: what a killed attempt of the same number left is not an output."""
        for folder in (self.work, self.places.folder):
            if folder.exists():
                shutil.rmtree(folder)
        self.log.unlink(missing_ok=True)
        self.work.mkdir(parents=True)
        scratch.make(self.scratch)
        for kind, names in (
            ("parameters", component.output_definitions.parameters),
            ("artifacts", component.output_definitions.artifacts),
        ):
            if names:
                (self.places.folder / kind).mkdir(parents=True, exist_ok=True)

    def clean(self) -> None:
        """Remove what a successful attempt has no more use for."""
        shutil.rmtree(self.work, ignore_errors=True)
        shutil.rmtree(self.places.folder, ignore_errors=True)


def spot(state: Path, run: str, path: str, attempt: int) -> Spot:
    """The place of an attempt; a path too long for a file name is shortened by its digest."""
    name = path.replace("/", ".")
    if "." in path or len(name.encode()) > 120:
        # A point may be part of a key, in somebody else's IR: `a.b` is not the task `b` of the group `a`.
        name = f"{name[:60].replace('..', '.')}.{of_text(path)[:12]}"
    return Spot(state / "runs" / run / name, attempt, scratch.folder(state, run, path, attempt))


def executor_of(pipeline: PipelineSpec, component: Component) -> Executor:
    """What runs a component."""
    return pipeline.deployment_spec.executors.get(component.executor_label, Executor())


def platform_of(platform: PlatformSpec, label: str) -> tuple[KubernetesExecutor, OrchestratorExecutor]:
    """What the platform document says of an executor."""
    kubernetes, own = platform.platforms.kubernetes, platform.platforms.orchestrator
    return (
        kubernetes.deployment_spec.executors.get(label, _NO_KUBERNETES) if kubernetes else _NO_KUBERNETES,
        own.deployment_spec.executors.get(label, _NO_OWN) if own else _NO_OWN,
    )


def prepare(
    container: Container,
    component: Component,
    given: Values,
    at: Spot,
    *,
    names: Mapping[str, str],
    env: Mapping[str, str],
    kubernetes: KubernetesExecutor = _NO_KUBERNETES,
) -> Launch:
    """The launch of a container task as a process. Raises RunError when it cannot be one."""
    container = task_config.applied(container, component)
    context = _context(component, given, at.places, names)
    command = tuple(placeholders.command(container.command, context))
    words = (*command, *placeholders.command(container.args, context))
    own = {each.name: placeholders.text(each.value, context) for each in container.env}
    path = names["pipeline_task_uuid"]
    mark = traces.mark(Path(env[traces.STATE]), env[traces.RUN], path)
    environment = {**env, "TMPDIR": str(at.scratch)}
    # Only what the component declares is KFP's to expand; `$(...)` in a variable of the user is the user's.
    for name, value in own.items():
        environment[name] = _expanded(value, environment)
    environment |= {traces.TASK: path, traces.MARK: mark}
    declared = {name: environment[name] for name in own}
    return Launch(
        placeholders.text(container.image, context),
        words,
        declared,
        environment,
        at.work,
        at.places,
        at.log,
        command,
        tuple(_files(given)),
        limits.of(container.resources, context),
        kubernetes,
    )


def environment(
    settings: Settings, code_paths: tuple[Path, ...], names: Mapping[str, str], outer: Mapping[str, str]
) -> dict[str, str]:
    """The environment tasks share: that of the user, without what would leak between tasks, plus our own."""
    kept = {
        name: value
        for name, value in outer.items()
        # Byte code is worth seconds per task; the rest is set anew below.
        if name not in ("PYTHONDONTWRITEBYTECODE", "PYTHONPATH", "PYTHONHOME") and not name.startswith("ORC_")
        if (name, value) != NO_PLUGINS
    }
    search = os.pathsep.join(str(path) for path in code_paths)
    return {
        **kept,
        **SILENT,
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), outer.get("PATH", os.defpath)]),
        "PYTHONPATH": search,
        "PYTHONUNBUFFERED": "1",
        # Tasks share few cores: threads that wait by spinning would take them from each other.
        "OMP_WAIT_POLICY": outer.get("OMP_WAIT_POLICY", "PASSIVE"),
        "MLFLOW_TRACKING_URI": settings.tracking_uri,
        traces.STATE: str(settings.state),
        "ORC_PIPELINE": names["pipeline_name"],
        traces.RUN: names["pipeline_job_name"],
    }


def refusal(error: Exception) -> str:
    """Why a process could not be started."""
    if isinstance(error, RunError):
        return error.message
    if isinstance(error, OSError) and error.errno == errno.E2BIG:
        return "its arguments are larger than the operating system takes: pass large values on as artifacts"
    return f"it cannot be started: {error}"


def _files(given: Values) -> Iterator[str]:
    """The artifacts that lie on this machine; others are names of something."""
    for each in (each for row in given.artifacts.values() for each in row):
        if not is_remote(each.uri) and each.path.is_absolute():
            yield str(each.path)


def _context(component: Component, given: Values, places: Places, names: Mapping[str, str]) -> placeholders.Context:
    paths = {f"inputs.{name}": listed[0].place for name, listed in given.artifacts.items() if listed}
    paths |= {f"outputs.{name}": str(places.artifact(name)) for name in component.output_definitions.artifacts}
    return placeholders.Context(_executor_input(component, given, places), paths, names)


def _executor_input(component: Component, given: Values, places: Places) -> dict[str, Any]:
    outputs = component.output_definitions
    return {
        "inputs": {
            "parameterValues": dict(given.parameters),
            "artifacts": {
                name: {"artifacts": [_runtime(each) for each in row]} for name, row in given.artifacts.items()
            },
        },
        "outputs": {
            "parameters": {name: {"outputFile": str(places.parameter(name))} for name in outputs.parameters},
            "artifacts": {
                name: {
                    "artifacts": [
                        {
                            "name": name,
                            "type": {"schemaTitle": declared.artifact_type.title},
                            "uri": str(places.artifact(name)),
                            "metadata": dict(declared.metadata),
                        }
                    ]
                }
                for name, declared in outputs.artifacts.items()
            },
            "outputFile": str(places.executor_output),
        },
    }


def _runtime(artifact: Artifact) -> dict[str, Any]:
    return {
        "name": artifact.name,
        "type": {"schemaTitle": artifact.type},
        "uri": artifact.place,
        "metadata": dict(artifact.metadata),
    }


def _expanded(value: str, before: Mapping[str, str]) -> str:
    """`$(NAME)` as Kubernetes has it: a variable declared before, or left as it is; `$$` stands for `$`."""
    if "$" not in value:
        return value
    return _VARIABLE.sub(lambda match: before.get(match[1], match[0]) if match[1] else "$", value)
