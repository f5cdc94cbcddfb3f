"""What a pipeline asks for that this machine does without: named in one warning per run, never silently dropped."""

from __future__ import annotations

from collections.abc import Mapping

from orchestrator.ir.platform import PlatformSpec
from orchestrator.ir.spec import PipelineSpec
from orchestrator.runners.local.launch import platform_of


def phrases(pipeline: PipelineSpec, platform: PlatformSpec, outer: Mapping[str, str]) -> list[str]:
    """What a pipeline asks for that processes on this machine do without, one phrase each."""
    found: dict[str, set[str]] = {}
    names = _tasks(pipeline)
    for label, executor in pipeline.deployment_spec.executors.items():
        kubernetes, own = platform_of(platform, label)
        resources = executor.container.resources if executor.container else None
        asked = {
            "accelerators": bool(resources and resources.accelerator),
            "CPU and memory limits": bool(
                resources and (resources.resource_cpu_limit or resources.resource_memory_limit)
            ),
            "node selectors, tolerations and affinity": bool(
                kubernetes.node_selector or kubernetes.tolerations or kubernetes.node_affinity
            ),
            "spot placement": own.spot,
            "volumes": bool(
                kubernetes.pvc_mount
                or kubernetes.empty_dir_mounts
                or kubernetes.secret_as_volume
                or kubernetes.config_map_as_volume
                or kubernetes.generic_ephemeral_volume
            ),
        }
        wanted = [key.env_var for secret in kubernetes.secret_as_env for key in secret.key_to_env]
        wanted += [key.env_var for each in kubernetes.config_map_as_env for key in each.key_to_env]
        for name in wanted:
            asked[f"the environment variable {name} (set it to stand for the secret)"] = name not in outer
        for what, is_asked in asked.items():
            if is_asked:
                found.setdefault(what, set()).update(names.get(label) or {label.removeprefix("exec-")})
    return [f"{what} ({', '.join(sorted(labels))})" for what, labels in found.items()]


def _tasks(pipeline: PipelineSpec) -> dict[str, set[str]]:
    """Executor label -> the names of the tasks that use it: equal executors are kept once."""
    names: dict[str, set[str]] = {}
    for holder in (pipeline.root, *pipeline.components.values()):
        for key, task in (holder.dag.tasks if holder.dag else {}).items():
            component = pipeline.components.get(task.component_ref.name)
            if component and component.executor_label:
                names.setdefault(component.executor_label, set()).add(task.task_info.name or key)
    return names
