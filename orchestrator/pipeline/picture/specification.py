"""What a picture shows of a compiled specification: tasks by their names, and a compiler's groups as what they mean."""

from __future__ import annotations

import json
import re

from orchestrator.ir import groups
from orchestrator.ir.spec import COMPLETED, Component, Dag, PipelineSpec, Task, TaskInputArtifact, TaskInputParameter
from orchestrator.pipeline.picture.boxes import Box

Needs = dict[tuple[str, str], bool]
_INPUT = re.compile(r"inputs\.(?:parameter_values|parameters|artifacts)\[(['\"])(.+?)\1\]")
_LITERAL = re.compile(r"'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\"")
_READING = (
    *[(re.compile(r"\b(?:int|double)\(([^()]*)\)"), r"\1")] * 2,  # One in the other, at most.
    (re.compile(r"!\s*\(([^()]*)\)"), r"not \1"),
    (re.compile(r"&&"), "and"),
    (re.compile(r"\|\|"), "or"),
    (re.compile(r"\s+"), " "),
)
"""How a condition is read aloud: types, which only the server asks for, are left out."""
_CHANNEL = "pipelinechannel--"


def of(pipeline: PipelineSpec) -> Box:
    """The whole pipeline as a frame. What it refers to is known to be there."""
    info = pipeline.pipeline_info
    inside, needs = _contents(pipeline, pipeline.root.dag or Dag(tasks={}))
    return Box(info.name, "pipeline", info.name, info.description, inside=inside, needs=needs)


def _contents(pipeline: PipelineSpec, dag: Dag) -> tuple[tuple[Box, ...], Needs]:
    """The boxes of a DAG and the edges between them; what follows an exit handler comes last, in a frame."""
    boxes = {key: _box(pipeline, dag, key) for key in dag.tasks}
    needs: Needs = {}
    for key, task in dag.tasks.items():
        data = _producers(task)
        for producer in {*data, *task.dependent_tasks}:
            needs[producer, key] = producer in data
    guarded = _guarded(pipeline, dag)
    if not guarded:
        return tuple(boxes.values()), needs
    last = tuple(box for key, box in boxes.items() if key != guarded)
    between = {edge: data for edge, data in needs.items() if guarded not in edge}
    frame = Box("finally", "finally", "finally, whatever happened", inside=last, needs=between)
    whole = boxes[guarded]
    return (*whole.inside, *([frame] if last else [])), dict(whole.needs)


def _guarded(pipeline: PipelineSpec, dag: Dag) -> str:
    """The exit handler that a DAG consists of, but for what ends it; "" when there is more."""
    found = [key for key, task in dag.tasks.items() if groups.kind(key, _component(pipeline, task)) == groups.EXIT]
    others = [task for key, task in dag.tasks.items() if key not in found]
    if len(found) != 1 or not all(_ends(pipeline, task) for task in others):
        return ""
    return found[0]


def _ends(pipeline: PipelineSpec, task: Task) -> bool:
    executor = pipeline.deployment_spec.executors.get(_component(pipeline, task).executor_label)
    always = task.trigger_policy is not None and task.trigger_policy.strategy == COMPLETED
    return always or (executor is not None and executor.importer is not None)


def _box(pipeline: PipelineSpec, dag: Dag, key: str) -> Box:
    task = dag.tasks[key]
    component = _component(pipeline, task)
    name = task.task_info.name or key
    called = _called(pipeline, task.component_ref.name)
    frames = _frames(dag, task)
    if component.dag is None:
        box = Box(key, "task", name, "" if called == name else called)
    else:
        inside, needs = _contents(pipeline, component.dag)
        match groups.kind(key, component):
            case groups.BRANCHES:
                box = Box(key, "one_of", "one of", inside=inside, needs=needs)
            case groups.CONDITION | groups.LOOP if frames:
                kind, title = frames.pop()
                box = Box(key, kind, title, inside=inside, needs=needs)
            case groups.EXIT:
                box = Box(key, "pipeline", name, "an exit handler", inside=inside, needs=needs)
            case _:
                box = Box(key, "pipeline", name, f"pipeline {called}", inside=inside, needs=needs)
    for kind, title in reversed(frames):
        box = Box(key, kind, title, inside=(box,))
    return box


def _called(pipeline: PipelineSpec, component: str) -> str:
    """A component's name without the number a compiler gave it beside others of that name."""
    first = re.sub(r"-\d+$", "", component)
    return (first if first in pipeline.components else component).removeprefix("comp-")


def _frames(dag: Dag, task: Task) -> list[tuple[str, str]]:
    """What a task is asked before it runs, and what it runs for each of; the outermost first."""
    frames = []
    if task.trigger_policy and task.trigger_policy.condition:
        condition = _INPUT.sub(lambda match: _said(dag, task, match[2]), task.trigger_policy.condition)
        frames.append(("when", f"when {_aloud(condition)}"))
    if task.parameter_iterator:
        items = task.parameter_iterator.items
        many = _counted(items.raw) if items.raw else _said(dag, task, items.input_parameter)
        frames.append(("foreach", f"for each {many}"))
    elif task.artifact_iterator:
        frames.append(("foreach", f"for each {_said(dag, task, task.artifact_iterator.items.input_artifact)}"))
    return frames


def _aloud(condition: str) -> str:
    literals = _LITERAL.findall(condition)
    text = _LITERAL.sub("\0", condition)
    for pattern, words in _READING:
        text = pattern.sub(words, text)
    parts = text.strip().split("\0")
    return "".join(f"{part}{literal}" for part, literal in zip(parts, [*literals, ""], strict=True))


def _counted(raw: str) -> str:
    try:
        items = json.loads(raw)
    except (ValueError, RecursionError):
        return raw  # What is wrong with it is told when it is run.
    return f"of {len(items)}" if isinstance(items, list) else raw


def _said(dag: Dag, task: Task, name: str) -> str:
    """An input of a task as its author may have written it: `TASK.OUTPUT`, or the parameter's name."""
    source = task.inputs.parameters.get(name) or task.inputs.artifacts.get(name)
    producer, output = _made(source)
    if producer:
        shown = dag.tasks[producer].task_info.name if producer in dag.tasks else ""
        if output.startswith(_CHANNEL):
            return _plain(output)
        return (shown or producer) if output == "Output" else f"{shown or producer}.{output}"
    return _plain(name)


def _plain(name: str) -> str:
    return groups.item(name) or name.removeprefix(_CHANNEL).removesuffix("-Output")


def _made(source: TaskInputParameter | TaskInputArtifact | None) -> tuple[str, str]:
    """The task and output an input is taken from; empty where it comes from outside."""
    match source:
        case TaskInputParameter(task_output_parameter=made) if made:
            return made.producer_task, made.output_parameter_key
        case TaskInputArtifact(task_output_artifact=artifact) if artifact:
            return artifact.producer_task, artifact.output_artifact_key
    return "", ""


def _producers(task: Task) -> set[str]:
    found = {_made(source)[0] for source in task.inputs.parameters.values()}
    found |= {_made(source)[0] for source in task.inputs.artifacts.values()}
    told = {each.task_final_status.producer_task for each in task.inputs.parameters.values() if each.task_final_status}
    return (found | told) - {""}


def _component(pipeline: PipelineSpec, task: Task) -> Component:
    return pipeline.components[task.component_ref.name]
