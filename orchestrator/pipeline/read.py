"""From files to definitions: a pipeline, its components and the pipelines it uses, read once each."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Iterator, Sequence
from pathlib import Path
from typing import Any

from orchestrator import ir, source
from orchestrator.errors import Location, PipelineError, Problem
from orchestrator.pipeline import check, component, expression, find, foreign, kinds, reference, spec
from orchestrator.pipeline.check import types
from orchestrator.pipeline.component import Component, Input, Output
from orchestrator.pipeline.definition import Definition, Use, type_of
from orchestrator.pipeline.reference import ExpressionError, Reference
from orchestrator.source import Source

_FUNCTION = re.compile(r"(.+\.py):([A-Za-z_]\w*)")


class Reader:
    """Reads files, each once; `folders` lists the component folders to look in first.

    Of the parameters in `given` the default does not matter: the run brings a value of its own.
    """

    def __init__(self, folders: Sequence[Path] = (), given: Collection[str] = ()) -> None:
        self.folders = folders
        self.given = given
        self.code: dict[Path, None] = {}
        self._known: dict[tuple[Path, str], Component] = {}
        self._open: list[Path] = []

    def pipeline(self, path: Path, *, name: str = "") -> Definition:
        """A pipeline file, checked. Raises PipelineError."""
        read = source.read(path, name=name)
        parsed = source.model(spec.Pipeline, read)
        self._open.append(path.resolve())
        try:
            definition = self._definition(parsed, read, path.parent)
        finally:
            self._open.pop()
        check.definition(definition, given=() if self._open else self.given)
        return definition

    def component(self, path: Path) -> Component:
        """A component file: ours, KFP's, compiled IR, or a pipeline that is used as one. Raises PipelineError."""
        return self._file(path)

    def _definition(self, parsed: spec.Pipeline, read: Source, folder: Path) -> Definition:
        problems: list[Problem] = []
        inputs = {}
        for name, parameter in parsed.parameters.items():
            problems.extend(_parameter_problems(name, parameter, read))
            inputs[name] = _input(parameter)
        components = self._components(parsed, read, folder, problems)
        uses: dict[str, Use] = {}
        for section, tasks in (("tasks", parsed.tasks), ("finally", parsed.finally_)):
            for name, task in tasks.items():
                found = components.get(task.component)
                use = _use(name, section, task, found, _Notes(read, problems, (section, name)))
                uses.setdefault(name, use)
        outputs: dict[str, Reference] = {}
        for name, text in parsed.outputs.items():
            value = _Notes(read, problems, ("outputs",)).read(reference.value, text, name)
            if isinstance(value, Reference):
                outputs[name] = value
            elif value is not None:
                message = f"the output {name!r} is not a reference"
                problems.append(Problem(read.at("outputs", name), message, "write ${tasks.TASK.outputs.NAME}"))
        definition = Definition(read, folder, parsed, inputs, uses, outputs)
        if problems:
            # Names are checked along, so that one run shows both.
            raise PipelineError([*problems, *check.names.problems(definition)])
        return definition

    def _components(
        self, parsed: spec.Pipeline, read: Source, folder: Path, problems: list[Problem]
    ) -> dict[str, Component]:
        found: dict[str, Component] = {}
        for section, tasks in (("tasks", parsed.tasks), ("finally", parsed.finally_)):
            for name, task in tasks.items():
                if task.component in found:
                    continue
                place = read.at(section, name, "component")
                try:
                    found[task.component] = self._component(task.component, folder, place)
                except PipelineError as error:
                    problems.extend(error.problems)
                except ValueError as error:
                    problems.append(_problem(place, error))
        return found

    def _component(self, name: str, folder: Path, place: Location) -> Component:
        if match := _FUNCTION.fullmatch(name):
            path = folder / match[1]
            if not path.is_file():
                raise ValueError(
                    f"the file {match[1]!r} does not exist", "a relative path begins at this file's folder"
                )
            key = (path.resolve(), match[2])
            if key not in self._known:
                self._known[key] = foreign.function(path, match[2])
            return self._known[key]
        path = find.file(name, folder, self.folders)
        key = (path.resolve(), "")
        if key[0] in self._open:
            chain = " -> ".join(each.name for each in (*self._open[self._open.index(key[0]) :], key[0]))
            raise PipelineError([Problem(place, f"a pipeline cannot use itself: {chain}")])
        if key not in self._known:
            self._known[key] = self._file(path)
            self.code.setdefault(find.code(path))
        return self._known[key]

    def _file(self, path: Path) -> Component:
        if ir.recognises(path):
            return foreign.compiled(*ir.read(path))
        read = source.read(path)
        kind = read.data.get("kind") if isinstance(read.data, dict) else None
        if kind == "Pipeline":
            return _nested(self.pipeline(path))
        if isinstance(read.data, dict) and kind is None and "implementation" in read.data:
            return foreign.old(read, path.parent)
        parsed = source.model(component.ComponentSpec, read)
        problems = list(_component_problems(parsed, read))
        if problems:
            raise PipelineError(problems)
        try:
            return component.build(parsed, path.parent)
        except ValueError as error:
            raise PipelineError([_problem(read.at("container", "args"), error)]) from error


class _Notes:
    """Where problems with the values below one place are written down."""

    def __init__(self, read: Source, problems: list[Problem], path: tuple[str, ...]) -> None:
        self.source = read
        self.problems = problems
        self.path = path

    def read(self, parse: Callable[[Any], Any], text: Any, *path: str) -> Any:
        """What `parse` makes of a text; None, and a problem, where it cannot."""
        try:
            return parse(text)
        except ExpressionError as error:
            self.problems.append(Problem(self.source.at(*self.path, *path), error.message, error.hint))
            return None


def _use(name: str, section: str, task: spec.Task, found: Component | None, notes: _Notes) -> Use:
    arguments: dict[str, Any] = {}
    for key, value in task.arguments.items():
        arguments[key] = notes.read(reference.tree, value, "arguments", key)
    when: expression.Condition | None = None
    if isinstance(task.when, bool):
        when = expression.Literal(task.when)
    elif task.when is not None:
        when = notes.read(expression.condition, task.when, "when")
    foreach: Any = task.foreach
    if isinstance(foreach, str):
        foreach = notes.read(reference.value, foreach, "foreach")
        if foreach is not None and not isinstance(foreach, Reference):
            place = notes.source.at(*notes.path, "foreach")
            message = f"'foreach' goes over a list, not the text {task.foreach!r}"
            notes.problems.append(Problem(place, message, "write a list, or ${parameters.NAME}"))
            foreach = None
    return Use(name, section, task, found, arguments, when, foreach)


def _input(parameter: spec.Parameter) -> Input:
    try:
        kind = kinds.type_of(parameter.type) if parameter.type else kinds.type_for(parameter.default)
    except ValueError:
        kind = None
    kind = kind or kinds.Type("STRING")
    default = parameter.default if parameter.has_default else None
    return Input(kind, parameter.has_default, default, parameter.description, tuple(parameter.enum or ()))


def _parameter_problems(name: str, parameter: spec.Parameter, read: Source) -> Iterator[Problem]:
    place = read.at("parameters", name, key=True)
    if parameter.type is None:
        if parameter.default is None:
            hint = f"write {{type: string}}, or give {name!r} a default"
            yield Problem(place, f"parameter {name!r} has neither type nor default", hint)
            return
    else:
        try:
            kinds.type_of(parameter.type)
        except ValueError as error:
            yield _problem(read.at("parameters", name, "type"), error)
            return
    wanted = _input(parameter)
    if wanted.type.name == "TASK_FINAL_STATUS":
        yield Problem(place, "a pipeline takes no parameter of type TaskFinalStatus", "use ${run.status} in 'finally'")
    elif parameter.has_default:
        place = read.at("parameters", name, "default")
        if wanted.type.artifact:
            yield Problem(place, "an artifact has no default", "declare {type: string} and give a path or URI")
        else:
            yield from types.constant(parameter.default, wanted, place, f"the default of {name!r}")
    for index, literal in enumerate(parameter.enum or ()):
        if not kinds.fits(literal, wanted.type.name):
            yield Problem(read.at("parameters", name, "enum", index), f"{literal!r} is not of type {wanted.type}")


def _component_problems(parsed: component.ComponentSpec, read: Source) -> Iterator[Problem]:
    for name, each in parsed.inputs.items():
        if "default" not in each.model_fields_set or each.default is None:
            continue
        place = read.at("inputs", name, "default")
        kind = kinds.type_of(each.type)
        if kind.artifact:
            yield Problem(place, "an artifact has no default", "write 'optional: true'")
        else:
            wanted = Input(kind, literals=tuple(each.enum or ()))
            yield from types.constant(each.default, wanted, place, f"the default of {name!r}")
    for name in parsed.inputs.keys() & parsed.outputs.keys():
        place = read.at("outputs", name, key=True)
        if parsed.container.args is None:
            yield Problem(place, f"{name!r} is an input as well as an output: --{name} would be both")
    for name, each in parsed.inputs.items():
        # KFP puts the path of the first artifact in the place of a list of them, and says nothing.
        if kinds.type_of(each.type).many and not _tells_all(parsed.container):
            message = f"{name!r} is a list of artifacts, and an argument holds the path of the first one only"
            hint = "write 'executorInput: true' below 'container': --executor_input tells them all"
            yield Problem(read.at("inputs", name, key=True), message, hint)


def _tells_all(container: component.ContainerSpec) -> bool:
    """Whether the program is given KFP's description of everything."""
    written = json.dumps(container.args or [])
    return container.executor_input or "executorInput" in written or "{{$}}" in written


def _nested(definition: Definition) -> Component:
    outputs = {}
    for name, each in definition.outputs.items():
        kind = type_of(each, definition, None)
        outputs[name] = Output(kind or kinds.Type("STRING"))
    return Component(definition.name, definition.inputs, outputs, definition, definition.folder)


def _problem(place: Location, error: ValueError) -> Problem:
    hint = str(error.args[1]) if len(error.args) > 1 else ""
    return Problem(place, str(error.args[0]), hint)
