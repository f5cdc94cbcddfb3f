"""Two compiled pipelines compared: what was added, removed and changed, in words."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from orchestrator import ir
from orchestrator.ir.platform import PlatformSpec
from orchestrator.ir.spec import Component, Executor, PipelineSpec, Task, Value

_DEEPEST = 20  # Pipelines within pipelines; a component that holds itself ends here.


@dataclass(frozen=True, slots=True)
class Use:
    """A task with the component and the executor it uses."""

    task: Task
    component: Component
    executor: Executor | None


def sentences(was: tuple[PipelineSpec, PlatformSpec], now: tuple[PipelineSpec, PlatformSpec]) -> tuple[str, ...]:
    """What differs between two pipelines; nothing when they do the same."""
    return tuple(_sentences(was, now))


def uses(pipeline: PipelineSpec) -> dict[str, Use]:
    """Every task by its path, those inside groups and nested pipelines too."""
    return dict(_uses(pipeline, pipeline.root, "", 0))


def _uses(pipeline: PipelineSpec, component: Component, above: str, depth: int) -> Iterator[tuple[str, Use]]:
    if component.dag is None or depth > _DEEPEST:
        return
    for key, task in component.dag.tasks.items():
        used = pipeline.components.get(task.component_ref.name, Component())
        yield above + key, Use(task, used, pipeline.deployment_spec.executors.get(used.executor_label))
        yield from _uses(pipeline, used, f"{above}{key}/", depth + 1)


def _sentences(was: tuple[PipelineSpec, PlatformSpec], now: tuple[PipelineSpec, PlatformSpec]) -> Iterator[str]:
    if was[0].pipeline_info.name != now[0].pipeline_info.name:
        yield f"it is another pipeline: {was[0].pipeline_info.name} -> {now[0].pipeline_info.name}"
    before, after = uses(was[0]), uses(now[0])
    yield from (f"task {path} was added" for path in after if path not in before)
    yield from (f"task {path} was removed" for path in before if path not in after)
    for path in after:
        if path in before:
            yield from (f"task {path}: {each}" for each in _of_task(before[path], after[path]))
    root = was[0].root, now[0].root
    yield from (f"the pipeline's {each}" for each in _interface(*root))
    if _plain(root[0].dag.outputs if root[0].dag else None) != _plain(root[1].dag.outputs if root[1].dag else None):
        yield "what the pipeline gives comes from other tasks"
    both = [path for path in after if path in before]
    if _settings(was[1], [before[path] for path in both]) != _settings(now[1], [after[path] for path in both]):
        yield "the settings of the platform changed"


def _settings(platform: PlatformSpec, listed: list[Use]) -> list[Any]:
    """What a platform document says of the run as a whole, and of some of its tasks."""
    kubernetes, own = platform.platforms.kubernetes, platform.platforms.orchestrator
    parts = [each.deployment_spec.executors for each in (kubernetes, own) if each]
    of_tasks = [part.get(use.component.executor_label) for use in listed for part in parts]
    return [kubernetes.pipeline_config if kubernetes else None, *(each for each in of_tasks if each)]


def _of_task(was: Use, now: Use) -> Iterator[str]:
    if was.task.component_ref.name != now.task.component_ref.name:
        names = (each.task.component_ref.name.removeprefix("comp-") for each in (was, now))
        yield "its component changed: " + " -> ".join(names)
    yield from _inputs(was.task, now.task)
    for word, attribute in (
        ("its order after other tasks", "dependent_tasks"),
        ("its caching", "caching_options"),
        ("its retries", "retry_policy"),
        ("its limit of iterations at once", "iterator_policy"),
        ("what it is repeated for", "parameter_iterator"),
        ("what it is repeated for", "artifact_iterator"),
    ):
        if getattr(was.task, attribute) != getattr(now.task, attribute):
            yield f"{word} changed"
    if was.task.trigger_policy != now.task.trigger_policy:
        conditions = [each.task.trigger_policy.condition if each.task.trigger_policy else "" for each in (was, now)]
        yield f"its condition changed: {conditions[0] or 'none'} -> {conditions[1] or 'none'}"
    yield from (f"its {each}" for each in _interface(was.component, now.component))
    if was.executor and now.executor:
        yield from _executors(was.executor, now.executor)


def _inputs(was: Task, now: Task) -> Iterator[str]:
    before: dict[str, Value] = {**was.inputs.parameters, **was.inputs.artifacts}
    after: dict[str, Value] = {**now.inputs.parameters, **now.inputs.artifacts}
    for name in dict.fromkeys([*before, *after]):
        if name.startswith("pipelinechannel--") or before.get(name) == after.get(name):
            continue
        if name not in before or name not in after:
            yield f"argument {name!r} was {'added' if name in after else 'removed'}"
            continue
        constants = [_constant(each) for each in (before[name], after[name])]
        told = f" from {constants[0]} to {constants[1]}" if None not in constants else ""
        yield f"argument {name!r} changed{told}"


def _constant(given: Value) -> str | None:
    value = getattr(given, "runtime_value", None)
    return None if value is None or value.runtime_parameter else str(value.constant)


def _interface(was: Component, now: Component) -> Iterator[str]:
    for word, attribute in (("inputs", "input_definitions"), ("outputs", "output_definitions")):
        before, after = (_names(getattr(each, attribute)) for each in (was, now))
        if before == after:
            continue
        parts = [
            *(f"{name} added" for name in after if name not in before),
            *(f"{name} removed" for name in before if name not in after),
            *(f"{name} changed" for name in after if name in before and before[name] != after[name]),
        ]
        yield f"{word} changed: {', '.join(parts)}"


def _names(definitions: Any) -> dict[str, Any]:
    return {**definitions.parameters, **definitions.artifacts}


def _executors(was: Executor, now: Executor) -> Iterator[str]:
    if was.container and now.container:
        if was.container.image != now.container.image:
            yield f"its image changed: {was.container.image} -> {now.container.image}"
        if (was.container.command, was.container.args) != (now.container.command, now.container.args):
            yield "its command changed"
        before, after = ({each.name: each.value for each in side.env} for side in (was.container, now.container))
        changed = [name for name in dict.fromkeys([*before, *after]) if before.get(name) != after.get(name)]
        if changed:
            yield f"its variables changed: {', '.join(changed)}"
        if was.container.resources != now.container.resources:
            yield "its resources changed"
    elif was != now:
        yield "what it imports changed" if was.importer and now.importer else "it runs in another way"


def _plain(value: Value | None) -> Any:
    return None if value is None else ir.to_data(value)
