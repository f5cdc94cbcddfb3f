"""The tasks of a DAG as the runner sees them: who waits for whom, who may start, how a task is called."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from orchestrator.errors import BackendError
from orchestrator.ir import groups
from orchestrator.ir.spec import COMPLETED, Component, Dag, PipelineSpec, Task
from orchestrator.runners.events import Status, TaskId


@dataclass(frozen=True, slots=True)
class Segment:
    """One part of a task's path: the key in its DAG, or an iteration's number."""

    key: str
    shown: str
    """What a person sees of it; empty for a group a compiler added, `[3]` for an iteration."""


Segments = tuple[Segment, ...]


def segment(key: str, task: Task, component: Component) -> Segment:
    """The path segment of a task."""
    return Segment(key, "" if groups.kind(key, component) else task.task_info.name or key)


def iteration(number: int) -> Segment:
    """The path segment of a loop's iteration."""
    return Segment(str(number), f"[{number}]")


def identity(segments: Segments) -> TaskId:
    """`exit-handler-1/for-loop-2/3/score` is called `score[3]`."""
    parts: list[str] = []
    indices = ""
    after_loop = False
    for each in segments:
        if each.shown.startswith("[") and each.shown.endswith("]"):
            if parts and not after_loop:
                parts[-1] += each.shown
            else:
                indices += each.shown
        elif each.shown:
            parts.append(each.shown + indices)
            indices = ""
            after_loop = False
        else:
            after_loop = True
    return TaskId("/".join(each.key for each in segments), "/".join(parts) + indices)


def upstream(task: Task) -> frozenset[str]:
    """The tasks of the same DAG this one waits for, whether it says so or takes their outputs."""
    names = set(task.dependent_tasks)
    for parameter in task.inputs.parameters.values():
        if parameter.task_output_parameter:
            names.add(parameter.task_output_parameter.producer_task)
        if parameter.task_final_status:
            names.add(parameter.task_final_status.producer_task)
    for artifact in task.inputs.artifacts.values():
        if artifact.task_output_artifact:
            names.add(artifact.task_output_artifact.producer_task)
    return frozenset(names)


def decide(task: Task, statuses: Mapping[str, Status]) -> tuple[Status, str]:
    """What a task whose upstream tasks, by name, have all ended does: PENDING (it may start) or its final status, and
    why."""
    if task.trigger_policy and task.trigger_policy.strategy == COMPLETED:
        return Status.PENDING, ""
    bad = sorted(name for name, status in statuses.items() if not status.good)
    failed = [name for name in bad if statuses[name] is Status.FAILED]
    if failed:
        return Status.UNSCHEDULABLE, f"{_listed(failed)} failed"
    if any(statuses[name] is Status.UNSCHEDULABLE for name in bad):
        return Status.UNSCHEDULABLE, f"{_listed(bad)} did not run"
    cancelled = [name for name in bad if statuses[name] is Status.CANCELLED]
    if cancelled:
        return Status.CANCELLED, ""
    if bad:
        return Status.NOT_TRIGGERED, f"{_listed(bad)} did not run"
    return Status.PENDING, ""


def order(dag: Dag) -> list[str]:
    """The task names of a DAG, producers first, else in the order of the file. Raises BackendError on a cycle."""
    waiting = {name: set(upstream(task)) for name, task in dag.tasks.items()}
    for name, names in waiting.items():
        unknown = sorted(names - set(waiting))
        if unknown:
            raise BackendError("IR", f"task {name!r} depends on {unknown[0]!r}, which is not in its DAG")
    ordered: list[str] = []
    dependents: dict[str, list[str]] = {name: [] for name in waiting}
    for name, names in waiting.items():
        for producer in names:
            dependents[producer].append(name)
    ready = [name for name, names in waiting.items() if not names]
    while ready:
        following: list[str] = []
        for name in ready:
            ordered.append(name)
            for dependent in dependents[name]:
                waiting[dependent].discard(name)
                if not waiting[dependent]:
                    following.append(dependent)
        ready = following
    if len(ordered) < len(waiting):
        stuck = sorted(set(waiting) - set(ordered))
        raise BackendError("IR", f"the tasks {_listed(stuck)} wait for each other")
    return ordered


def check(pipeline: PipelineSpec) -> None:
    """Refuse what could not be run: a name that stands for nothing, a circle. Raises BackendError."""
    sound: set[str] = set()

    def visit(name: str, component: Component, around: tuple[str, ...]) -> None:
        if component.dag is None:
            if name and component.executor_label not in pipeline.deployment_spec.executors:
                missing = f"there is no executor {component.executor_label!r}" if component.executor_label else "none"
                raise BackendError("IR", f"the component {name!r} has neither tasks nor an executor: {missing}")
            return
        order(component.dag)
        _check_outputs(name, component.dag)
        _check_inputs(pipeline, component.dag)
        for task in component.dag.tasks.values():
            used = task.component_ref.name
            if used in (*around, name):
                raise BackendError("IR", f"the component {used!r} contains itself")
            if used not in sound:
                visit(used, component_of(pipeline, task), (*around, name))
                sound.add(used)

    if not pipeline.root.dag or not pipeline.root.dag.tasks:
        raise BackendError("IR", "the pipeline has no tasks")
    visit("", pipeline.root, ())


def _check_inputs(pipeline: PipelineSpec, dag: Dag) -> None:
    for name, task in dag.tasks.items():
        taken = [
            (each.producer_task, each.output_parameter_key)
            for parameter in task.inputs.parameters.values()
            if (each := parameter.task_output_parameter)
        ]
        taken += [
            (one.producer_task, one.output_artifact_key)
            for artifact in task.inputs.artifacts.values()
            if (one := artifact.task_output_artifact)
        ]
        for producer, output in taken:
            declared = component_of(pipeline, dag.tasks[producer]).output_definitions
            if output not in declared.parameters and output not in declared.artifacts:
                message = f"task {name!r} takes the output {output!r} of task {producer!r}, which has none of that name"
                raise BackendError("IR", message)


def _check_outputs(name: str, dag: Dag) -> None:
    outputs = dag.outputs
    if outputs is None:
        return
    selected: dict[str, list[str]] = {}
    for output, parameter in outputs.parameters.items():
        several = parameter.value_from_oneof.parameter_selectors if parameter.value_from_oneof else ()
        one = parameter.value_from_parameter
        selected[output] = [each.producer_subtask for each in (*several, *([one] if one else []))]
    for output, artifact in outputs.artifacts.items():
        selected[output] = [each.producer_subtask for each in artifact.artifact_selectors]
    owner = f"component {name!r}" if name else "the pipeline"
    for output, producers in selected.items():
        for producer in producers:
            if producer not in dag.tasks:
                message = f"the output {output!r} of {owner} is taken from task {producer!r}, which it does not have"
                raise BackendError("IR", message)


def known(pipeline: PipelineSpec) -> tuple[TaskId, ...]:
    """The tasks that are known before the run: all but those inside loops. Raises BackendError for what cannot run."""
    check(pipeline)
    dag = pipeline.root.dag
    return tuple(identity(each) for each in leaves(pipeline, (), dag)) if dag else ()


def leaves(pipeline: PipelineSpec, prefix: Segments, dag: Dag) -> Iterator[Segments]:
    """The paths of the executors inside a DAG, loops left out."""
    for name in order(dag):
        task = dag.tasks[name]
        component = component_of(pipeline, task)
        path = (*prefix, segment(name, task, component))
        if task.parameter_iterator or task.artifact_iterator:
            continue
        if component.dag:
            yield from leaves(pipeline, path, component.dag)
        else:
            yield path


def component_of(pipeline: PipelineSpec, task: Task) -> Component:
    """The component a task uses. Raises BackendError when the IR has none of that name."""
    component = pipeline.components.get(task.component_ref.name)
    if component is None:
        raise BackendError("IR", f"there is no component {task.component_ref.name!r}")
    return component


def _listed(names: Iterable[str]) -> str:
    return ", ".join(repr(name) for name in names)
