"""Checks of names: every task, parameter, output and input that is spoken of is there, and may be spoken of here."""

from __future__ import annotations

from collections.abc import Iterator

from orchestrator.errors import Problem, did_you_mean
from orchestrator.pipeline import graph
from orchestrator.pipeline.component import Component, Container
from orchestrator.pipeline.definition import Definition, PathOf, Use, tasks_of
from orchestrator.pipeline.reference import Item, OneOf, Output, Parameter, Reference, Run
from orchestrator.pipeline.spec import Task

_CONTAINER_ONLY = (
    "resources", "placement", "timeout", "env", "volumes", "checkpoints", "security_context", "image_pull_policy",
    "image_pull_secrets", "labels", "annotations", "cache",
)  # fmt: skip


def problems(definition: Definition) -> list[Problem]:
    """Everything wrong with names in one pipeline."""
    found: list[Problem] = []
    for use in definition.uses.values():
        found.extend(_task(definition, use))
        for path, each in use.references():
            found.extend(_reference(definition, use, (use.section, use.name, *path), each))
    for name, each in definition.outputs.items():
        found.extend(_reference(definition, None, ("outputs", name), each))
    return found


def _task(definition: Definition, use: Use) -> Iterator[Problem]:
    at = definition.source.at
    if use.final and use.name in definition.spec.tasks:
        yield Problem(at("finally", use.name, key=True), f"{use.name!r} is also the name of a task in 'tasks'")
    for index, name in enumerate(use.spec.after):
        place = at(use.section, use.name, "after", index)
        known = [other for other, each in definition.uses.items() if each.final == use.final]
        if name in known:
            continue
        if name in definition.uses:
            what = "runs after every task" if use.final else "runs last"
            yield Problem(place, f"{name!r}: 'finally' {what}", "drop it from 'after'")
            continue
        yield Problem(place, f"no task is named {name!r}", did_you_mean(name, known))
    if use.spec.parallelism is not None and not use.looped:
        yield Problem(at(use.section, use.name, "parallelism", key=True), "'parallelism' without 'foreach'")
    if use.component is not None:
        yield from _arguments(definition, use, use.component)
        if not isinstance(use.component.body, Container):
            for setting in _CONTAINER_ONLY:
                if setting in use.spec.model_fields_set:
                    key = Task.model_fields[setting].alias or setting
                    place = at(use.section, use.name, key, key=True)
                    hint = "give it to the tasks of that pipeline"
                    yield Problem(place, f"{use.name!r} is a pipeline: {key!r} is for single programs", hint)


def _arguments(definition: Definition, use: Use, component: Component) -> Iterator[Problem]:
    at = definition.source.at
    inputs = component.inputs
    for name in use.arguments:
        if name not in inputs:
            place = at(use.section, use.name, "arguments", name, key=True)
            yield Problem(place, f"component {component.name!r} has no input {name!r}", did_you_mean(name, inputs))
    for name, each in inputs.items():
        if not each.optional and use.spec.arguments.get(name) is None:
            inside = "arguments" if use.spec.arguments else ""
            place = at(use.section, use.name, *([inside] if inside else []), key=True)
            hint = f"component {component.name!r} needs it ({each.type})"
            yield Problem(place, f"task {use.name!r} lacks the argument {name!r}", hint)


def _reference(definition: Definition, use: Use | None, path: PathOf, each: Reference) -> Iterator[Problem]:
    place = definition.source.at(*path)
    match each:
        case Parameter(name) if name not in definition.inputs:
            yield Problem(place, f"no parameter is named {name!r}", did_you_mean(name, definition.inputs))
        case Output():
            yield from _output(definition, use, path, each)
        case OneOf(outputs):
            for output in outputs:
                yield from _output(definition, use, path, output)
            yield from _one_of(definition, path, each)
        case Item() if use is None or not use.looped:
            yield Problem(place, "'${item}' outside of a loop", "give the task 'foreach:'")
        case Item() if path[2:3] == ("foreach",):
            yield Problem(place, "'foreach' cannot go over its own item")
        case Run("status"):
            yield from _status(definition, use, path)
        case Run() if use is None or path[2:3] != ("arguments",):
            yield Problem(place, f"'${{{each}}}' can only be an argument of a task")


def _status(definition: Definition, use: Use | None, path: PathOf) -> Iterator[Problem]:
    place = definition.source.at(*path)
    if use is None or not use.final or path[2] != "arguments":
        yield Problem(place, "'${run.status}' is known only in 'finally'", "move the task to 'finally:'")
    elif use.arguments[str(path[3])] != Run("status"):
        yield Problem(place, "'${run.status}' is an argument as a whole, not a part of one")
    elif use.component is not None and str(path[3]) in use.component.inputs:
        wanted = use.component.inputs[str(path[3])].type
        if wanted.name != "TASK_FINAL_STATUS":
            message = f"'${{run.status}}' goes to an input of type TaskFinalStatus; {path[3]!r} is {wanted}"
            yield Problem(place, message)


def _output(definition: Definition, use: Use | None, path: PathOf, each: Output) -> Iterator[Problem]:
    place = definition.source.at(*path)
    producer = definition.uses.get(each.task)
    if producer is None:
        known = [name for name, other in definition.uses.items() if not other.final]
        yield Problem(place, f"no task is named {each.task!r}", did_you_mean(each.task, known))
        return
    if producer.component is not None and each.name not in producer.component.outputs:
        hint = did_you_mean(each.name, producer.component.outputs)
        yield Problem(place, f"task {each.task!r} has no output {each.name!r}", hint)
        return
    final = use is not None and use.final
    if producer.final and not final:
        yield Problem(place, f"task {each.task!r} is in 'finally', which runs last: nothing can wait for it")
    elif use is not None and final and not producer.final:
        yield from _late(definition, use, path, each)


def _late(definition: Definition, use: Use, path: PathOf, each: Reference) -> Iterator[Problem]:
    """A task of `finally` may run when its producer did not: only an optional input can take that."""
    place = definition.source.at(*path)
    if path[2] != "arguments":
        yield Problem(place, f"'{each}' may not be there when 'finally' runs: {path[2]!r} cannot depend on it")
        return
    name = str(path[3])
    whole = isinstance(use.arguments[name], Output | OneOf)
    optional = use.component is None or name not in use.component.inputs or use.component.inputs[name].optional
    if not whole or not optional:
        what = "an optional input" if whole else "an input as a whole"
        yield Problem(place, f"'{each}' may not be there when 'finally' runs: it can only go to {what}")


def _one_of(definition: Definition, path: PathOf, each: OneOf) -> Iterator[Problem]:
    place = definition.source.at(*path)
    if len(set(tasks_of(each))) < len(each.outputs):
        yield Problem(place, "'one_of' names the same task twice", "name one output of each branch")
    for task in tasks_of(each):
        producer = definition.uses.get(task)
        if producer is not None and producer.when is None:
            hint = f"give {task!r} a 'when:', or take its output alone"
            yield Problem(place, f"task {task!r} always runs: it is no branch", hint)


def branches(definition: Definition) -> list[tuple[str, ...]]:
    """The tasks that stand for each other in a `one_of`: each such set is a group of its own in the IR."""
    sets = [
        tasks_of(each) for use in definition.uses.values() for _, each in use.references() if isinstance(each, OneOf)
    ]
    sets.extend(tasks_of(each) for each in definition.outputs.values() if isinstance(each, OneOf))
    return graph.joined(sets)


def circles(definition: Definition) -> list[Problem]:
    """Tasks that wait for each other. The names are known to be right."""
    needs = {name: use.needs() for name, use in definition.uses.items()}
    found = [_circle(definition, cycle) for cycle in graph.cycles(needs)]
    if found:
        return found
    groups = branches(definition)
    for cycle in graph.cycles(graph.contracted(needs, groups)):
        group = next(each for each in groups if each[0] in cycle or set(each) & set(cycle))
        use = definition.uses[group[0]]
        shown = " and ".join(repr(name) for name in group)
        message = f"{shown} are branches of one 'one_of', and one waits for what comes after the other"
        found.append(Problem(definition.source.at(use.section, use.name, key=True), message))
    return found


def _circle(definition: Definition, cycle: tuple[str, ...]) -> Problem:
    use = definition.uses[cycle[0]]
    place = definition.source.at(use.section, use.name, key=True)
    if len(cycle) == 1:
        return Problem(place, f"task {cycle[0]!r} waits for itself")
    return Problem(place, f"tasks wait for each other: {' -> '.join((*cycle, cycle[0]))}", "'->' reads 'needs'")
