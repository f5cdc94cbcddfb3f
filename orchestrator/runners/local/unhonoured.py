"""What a pipeline asks for that this machine does without: named in one warning per run, never silently dropped."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from orchestrator import ir
from orchestrator.ir import placement, texts
from orchestrator.ir.platform import ConfigMapAsVolume, KubernetesExecutor, OrchestratorExecutor, SecretAsVolume
from orchestrator.ir.spec import Executor, PipelineSpec, Task
from orchestrator.runners.local import pods, volumes, workspace
from orchestrator.runners.local.asked import CONFIG_MAP, SECRET
from orchestrator.runners.local.launch import platform_of
from orchestrator.stores import secrets
from orchestrator.stores.secrets import Secrets

if TYPE_CHECKING:
    from orchestrator.runners.local.runner import Request


def warnings(request: Request) -> list[str]:
    """What a person is told before anything starts. Raises PipelineError when the file of secrets cannot be used."""
    found = secrets.read(request.settings) if pods.needs_secrets(request.platform) else None
    missing = phrases(request, found)
    told = ["on this machine the run does without " + "; ".join(missing)] if missing else []
    short = workspace.shortage(request.platform, request.settings.state)
    told += [short] if short else []
    if found and found.is_open:
        told.append(f"others can read {found.file}, which holds secrets: `chmod 600 {found.file}`")
    return told


def phrases(request: Request, given: Secrets | None = None) -> list[str]:
    """What a pipeline asks for that tasks on this machine do without, one phrase each, with the tasks' names."""
    found: dict[str, set[str]] = {}
    tasks = _tasks(request.pipeline)
    for label, executor in request.pipeline.deployment_spec.executors.items():
        kubernetes, own = platform_of(request.platform, label)
        asked = [*_placement(executor, kubernetes, own), *(["spot placement"] if own.spot else [])]
        if request.containers:
            asked += _foreign(executor, kubernetes)
        else:
            mounted = _present(kubernetes, given)
            asked += [*_isolation(executor, kubernetes), *_unnamed(request, executor, mounted, tasks.get(label, []))]
        for what in asked:
            found.setdefault(what, set()).update(name for name, _ in tasks.get(label, []))
            if label not in tasks:
                found[what].add(label.removeprefix("exec-"))
    return [f"{what} ({', '.join(sorted(names))})" for what, names in found.items()]


def _placement(executor: Executor, kubernetes: KubernetesExecutor, own: OrchestratorExecutor) -> Iterator[str]:
    """What only a cluster has: a choice of machines, and pods."""
    if placement.is_chosen(kubernetes, _device(executor), spot=own.spot):
        yield "node selectors, tolerations and affinity"
    if kubernetes.pod_metadata and placement.PRIORITY in kubernetes.pod_metadata.labels:
        yield "priority classes"
    if kubernetes.pod_resource_claims:
        yield "claims of devices"
    if any(each.restart_policy == "Always" for each in kubernetes.init_containers):
        yield "containers beside the task's own"
    if any(each.restart_policy != "Always" for each in kubernetes.init_containers):
        yield "init containers"


def _device(executor: Executor) -> str:
    """The kind of device a container asks for; "" for none."""
    asked = executor.container.resources.accelerator if executor.container and executor.container.resources else None
    return (asked.resource_type or asked.type) if asked else ""


def _isolation(executor: Executor, kubernetes: KubernetesExecutor) -> Iterator[str]:
    """What a container has and a process does not."""
    resources = executor.container.resources if executor.container else None
    if resources and resources.accelerator:
        yield "accelerators"
    if resources and (resources.resource_cpu_limit or resources.resource_memory_limit):
        yield "CPU and memory limits"
    context = kubernetes.security_context
    # That an image has a user of its own is not asked of a process, which runs as whoever runs the pipeline.
    if context and (context.run_as_user is not None or context.run_as_group is not None):
        yield "security contexts"
    if any(each.size_limit and each.mount_path != volumes.SHARED for each in kubernetes.empty_dir_mounts):
        yield "size limits of volumes"


def _foreign(executor: Executor, kubernetes: KubernetesExecutor) -> Iterator[str]:
    """What a container of this machine does not have either."""
    context = kubernetes.security_context
    if context and context.run_as_non_root and context.run_as_user is None and os.getuid() == 0:
        yield "security contexts that forbid root, as whom this runs"
    kind = _device(executor).lower()
    if kind and "nvidia" not in kind and "{{" not in kind:
        yield f"accelerators of the kind {kind}"
    if kubernetes.image_pull_secret:
        yield "secrets to pull images with, for which the engine's own login stands"
    if any(each.size_limit and each.medium != "Memory" for each in kubernetes.empty_dir_mounts):
        yield "size limits of volumes on disk"


def _unnamed(
    request: Request, executor: Executor, kubernetes: KubernetesExecutor, tasks: list[tuple[str, Task]]
) -> Iterator[str]:
    """Mounts of which no word speaks: a program that knows its path by heart does not find the folder."""
    known: list[Any] = [request.arguments, *(ir.to_data(task.inputs) for _, task in tasks)]
    known += [ir.to_data(executor.container)] if executor.container else []
    text = "\n".join(texts.inside(known))
    hidden = [path for path in _paths(kubernetes) if not volumes.is_named(path, text)]
    if hidden:
        shown = ", ".join(f"{path} (${volumes.variable(path)})" for path in hidden)
        yield f"mounts where no word of theirs names the path, only the variable does: {shown}"


def _present(kubernetes: KubernetesExecutor, given: Secrets | None) -> KubernetesExecutor:
    """Without the optional secrets and config maps that are not there: no program misses what may be missing."""

    def is_there(kind: str, each: SecretAsVolume | ConfigMapAsVolume) -> bool:
        name = each.secret_name if isinstance(each, SecretAsVolume) else each.config_map_name
        return not (each.optional and name) or bool(given and given.find(kind, name) is not None)

    secret_files = tuple(each for each in kubernetes.secret_as_volume if is_there(SECRET, each))
    config_files = tuple(each for each in kubernetes.config_map_as_volume if is_there(CONFIG_MAP, each))
    return kubernetes.model_copy(update={"secret_as_volume": secret_files, "config_map_as_volume": config_files})


def _paths(kubernetes: KubernetesExecutor) -> Iterator[str]:
    paths = [
        *(each.mount_path for each in kubernetes.pvc_mount),
        *(each.mount_path for each in kubernetes.secret_as_volume),
        *(each.mount_path for each in kubernetes.config_map_as_volume),
        *(each.mount_path for each in kubernetes.empty_dir_mounts),
        *(each.mount_path for each in kubernetes.generic_ephemeral_volume),
    ]
    for path in dict.fromkeys(each.rstrip("/") for each in paths):
        if path and path != volumes.SHARED:
            yield path


def _tasks(pipeline: PipelineSpec) -> dict[str, list[tuple[str, Task]]]:
    """Executor label -> the tasks that use it, with their names: equal executors are kept once."""
    found: dict[str, list[tuple[str, Task]]] = {}
    for holder in (pipeline.root, *pipeline.components.values()):
        for key, task in (holder.dag.tasks if holder.dag else {}).items():
            component = pipeline.components.get(task.component_ref.name)
            if component and component.executor_label:
                found.setdefault(component.executor_label, []).append((task.task_info.name or key, task))
    return found
