"""What a task of this run is given in place of a pod: variables, volumes, and what of them is in its cache key."""

from __future__ import annotations

import getpass
import json
import os
import re
import shutil
import socket
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from orchestrator import digest
from orchestrator.errors import RunError
from orchestrator.ir.platform import KubernetesExecutor, PlatformSpec, PodMetadata
from orchestrator.ir.spec import Component, ComponentRef, Container, Task, TaskInputParameter, TaskInputs
from orchestrator.runners.cel import text as as_text
from orchestrator.runners.local import asked, claims, inputs, launch, task_config, volumes
from orchestrator.runners.local.asked import Asked, Variable
from orchestrator.runners.local.launch import Launch, Spot
from orchestrator.runners.local.volumes import Volumes
from orchestrator.runners.local.work import Work
from orchestrator.stores import secrets
from orchestrator.stores.artifacts import Values
from orchestrator.stores.secrets import Secrets

if TYPE_CHECKING:
    from orchestrator.runners.local.runner import Request

_EMPTY = Volumes()
_FIELD = re.compile(r"metadata\.(?P<kind>labels|annotations)\['(?P<key>[^']+)'\]")


@dataclass(frozen=True, slots=True)
class Pod:
    """What an attempt is given beside its program."""

    environment: Mapping[str, str] = field(default_factory=dict, repr=False)
    private: frozenset[str] = frozenset()
    """The variables that hold secrets."""
    volumes: Volumes = _EMPTY


class Pods:
    """The pods that tasks of one run would have."""

    def __init__(self, request: Request, names: Mapping[str, str], outer: Mapping[str, str] | None = None) -> None:
        self.request = request
        self.names = names
        self.outer = os.environ if outer is None else outer
        self.state = request.settings.state
        self.private = self.state / "runs" / request.run / ".secrets"
        self.secrets = secrets.read(request.settings) if needs_secrets(request.platform) else Secrets(Path())
        self._given: set[bytes] = set()
        self.close()  # What a killed run left.

    def close(self) -> None:
        """Remove every file that holds a secret."""
        shutil.rmtree(self.private, ignore_errors=True)

    def forget(self, at: Spot) -> None:
        """Remove the files that hold the secrets of an attempt."""
        shutil.rmtree(self._private(at), ignore_errors=True)

    def masked(self, text: str) -> str:
        """What a task said, without the secrets of this run."""
        return secrets.masked(text, [*self._given, *self.secrets.values()])

    def identity(self, work: Work) -> dict[str, str]:
        """The parts of a task's cache key: digests of the values, and which claims. Raises RunError."""
        wanted = self._asked(work)
        if not (wanted.variables or wanted.volumes):
            return {}
        salt = secrets.salt(self.state)
        parts: dict[str, str] = {}
        for variable in wanted.variables:
            value = self._value(variable)
            parts |= {} if value is None else {f"variable {variable.name}": f"sha256:{secrets.sealed(value, salt)}"}
        for volume in wanted.volumes:
            if volume.is_made:
                continue  # How far an attempt came has no part in what it comes to.
            if volume.kind == asked.CLAIM:
                told = [volume.name, volume.sub_path, claims.identity(self.state, volume.name)]
                parts[f"volume {volume.path}"] = f"sha256:{digest.of_text(json.dumps(told))}"
            elif volume.kind != asked.SCRATCH:
                held = volumes.keys(volume, self.secrets)
                if volume.optional and not held:
                    continue
                content = {key: secrets.sealed(value, salt) for key, value in sorted(held.items())}
                parts[f"volume {volume.path}"] = f"sha256:{digest.of_text(json.dumps(content))}"
        return parts

    def pod(self, work: Work, at: Spot) -> Pod:
        """What an attempt is given. Raises RunError for what is missing."""
        wanted = self._asked(work)
        if wanted == asked.NOTHING:
            return Pod()
        environment = {name: self._field(work, path) for name, path in wanted.fields}
        private: set[str] = set()
        for variable in wanted.variables:
            value = self._value(variable)
            if value is None:
                continue
            environment[variable.name] = value.decode("utf-8", "surrogateescape")
            private |= {variable.name} if variable.kind == asked.SECRET else set()
        made = volumes.of(wanted.volumes, self.secrets, self.state, at, self._private(at))
        return Pod(environment, frozenset(private), made)

    def fitted(self, prepared: Launch, pod: Pod) -> Launch:
        """A launch with what the pod gives: for a container as mounts, for a process in its words."""
        if not pod.environment and not pod.volumes.mounts:
            return prepared
        declared = {**pod.environment, **prepared.declared}
        prepared = replace(prepared, declared=declared, environment={**prepared.environment, **declared})
        if self.request.containers:
            return volumes.as_mounts(prepared, pod.volumes.mounts)
        own = [self.state, *map(Path, prepared.inputs)]
        return volumes.in_words(prepared, pod.volumes.mounts, own, pod.private)

    def is_claim(self, container: Container) -> bool:
        """Whether a task makes or deletes a claim, and runs no program."""
        return container.image in (claims.CREATE, claims.DELETE)

    def claim(self, work: Work, container: Container) -> tuple[str, str]:
        """Make or delete a claim: its name, and what is odd about it. Raises RunError."""
        return claims.perform(container, work.given.parameters, self.state, self.request.run, work.id.path)

    def told(self, work: Work, container: Container) -> Values:
        """What a task is given, with its own configuration where its component asks for it. Raises RunError."""
        return task_config.told(
            container,
            work.component,
            self._executor(work),
            work.given,
            names=work.names(self.names),
            filled=lambda source: self._value_of(work, source),
        )

    def _asked(self, work: Work) -> Asked:
        executor = self._executor(work)
        if executor == _NO_EXECUTOR:
            return asked.NOTHING
        found = asked.read(executor, lambda source: self._filled(work, source))
        own = launch.platform_of(self.request.platform, work.component.executor_label)[1]
        if own.checkpoints:
            made = (replace(each, is_made=each.path == own.checkpoints) for each in found.volumes)
            found = replace(found, volumes=tuple(made))
        return task_config.applied_pod(found, work.component)

    def _executor(self, work: Work) -> KubernetesExecutor:
        return launch.platform_of(self.request.platform, work.component.executor_label)[0]

    def _filled(self, work: Work, source: TaskInputParameter) -> str:
        """The text of a parameter; "" when nothing gave it one."""
        value = self._value_of(work, source)
        return "" if value is None else as_text(value)

    def _value_of(self, work: Work, source: TaskInputParameter) -> Any:
        """The value of a parameter, as the task's own inputs get theirs: from its place in the DAG."""
        at = work.parent if work.is_iteration and work.parent else work
        task = Task(component_ref=ComponentRef(name=""), inputs=TaskInputs(parameters={"name": source}))
        found = inputs.resolve(task, Component(), at.around(self.names, self.request.run, "")).parameters
        return found.get("name")

    def _value(self, variable: Variable) -> bytes | None:
        """The value of a variable: from the file, or from the caller's own; None when it may be left out."""
        held = self.secrets.find(variable.kind, variable.holder) or {}
        if variable.key in held:
            return held[variable.key]
        if variable.optional:
            return None  # A process has the caller's own all the same, and what may be missing is no part of a key.
        if variable.name in self.outer:
            value = os.fsencode(self.outer[variable.name])
            self._given |= {value} if variable.kind == asked.SECRET else set()
            return value
        what = f"the key {variable.key!r} of the {secrets.spoken(variable.kind)} {variable.holder!r}"
        raise RunError(
            f"it needs {what}: give it in {self.secrets.file} as a manifest, or set the variable {variable.name}"
        )

    def _private(self, at: Spot) -> Path:
        return self.private / f"{at.root.name}{at.suffix}"

    def _field(self, work: Work, path: str) -> str:
        """A field of the pod as this machine has it. Raises RunError for one that it does not have."""
        name = f"{self.request.run}-{digest.of_text(work.id.path)[:8]}-{work.attempt}"
        simple = {
            "metadata.name": re.sub(r"[^a-z0-9.]+", "-", name.lower()).strip("-."),
            "metadata.namespace": "default",
            "metadata.uid": str(uuid.uuid5(uuid.NAMESPACE_URL, name)),
            "spec.nodeName": socket.gethostname(),
            "spec.serviceAccountName": _user(),
            **dict.fromkeys(("status.hostIP", "status.podIP", "status.hostIPs", "status.podIPs"), "127.0.0.1"),
        }
        if path in simple:
            return simple[path]
        match = _FIELD.fullmatch(path)
        if match is None:
            raise RunError(f"the field {path!r} of a pod has no counterpart on this machine")
        metadata = self._executor(work).pod_metadata or PodMetadata()
        ours = {"pipeline/runid": self.request.run, "pipelines.kubeflow.org/v2_component": "true"}
        held = {**ours, **metadata.labels} if match["kind"] == "labels" else metadata.annotations
        return held.get(match["key"], "")


_NO_EXECUTOR = KubernetesExecutor.model_construct()


def needs_secrets(platform: PlatformSpec) -> bool:
    """Whether any executor asks for a secret or a config map."""
    executors = platform.platforms.kubernetes.deployment_spec.executors if platform.platforms.kubernetes else {}
    return any(
        each.secret_as_env or each.secret_as_volume or each.config_map_as_env or each.config_map_as_volume
        for each in executors.values()
    )


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # A user id without a name.
        return str(os.getuid())
