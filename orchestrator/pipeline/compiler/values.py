"""Where each argument of a task comes from, in the IR's terms."""

from __future__ import annotations

import os
import posixpath
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from orchestrator.pipeline import reference
from orchestrator.pipeline.arguments import value_placeholder
from orchestrator.pipeline.check.types import is_uri
from orchestrator.pipeline.compiler import dag as dags
from orchestrator.pipeline.compiler import executor, naming
from orchestrator.pipeline.compiler.dag import Channel, Dag, Data
from orchestrator.pipeline.compiler.library import Library
from orchestrator.pipeline.component import Component, Input, Output
from orchestrator.pipeline.definition import Definition, Use, declared_field_type, is_path, paths, type_of
from orchestrator.pipeline.kinds import Type
from orchestrator.pipeline.reference import RUN_FIELDS, Item, OneOf, Parameter, Reference, Run, Text

_TEXT = Type("STRING")


class Values:
    """The values of one pipeline: where each is at home, and how a task gets at it."""

    def __init__(
        self, definition: Definition, base: Path, library: Library, called: Mapping[str, str], taken: set[str]
    ) -> None:
        self.definition = definition
        self.library = library
        self.called = called
        self.taken = taken
        self.paths = paths(definition)
        self.root = self.body = Dag("")
        self.homes: dict[str, Dag] = {}
        self.items: dict[str, tuple[Dag, str, Type]] = {}
        self._prefix = posixpath.normpath(Path(os.path.relpath(definition.folder, base)).as_posix())
        self._names = dags.Names()
        self._channels: dict[Reference, Channel] = {}
        self._imported: dict[tuple[object, ...], Channel] = {}

    def begin(self, root: Dag, body: Dag) -> None:
        """The DAG of the whole pipeline, and the one its ordinary tasks are in."""
        self.root, self.body = root, body

    def channel(self, each: Reference, use: Use | None = None) -> Channel:
        """The channel of what a reference names."""
        if isinstance(each, Item):
            if use is None:
                raise TypeError("an item outside of a loop: it has not passed the checks")
            return self._item(each, use)
        if each not in self._channels:
            self._channels[each] = self._channel(each)
        return self._channels[each]

    def _channel(self, each: Reference) -> Channel:
        kind = type_of(each, self.definition, None) or _TEXT
        match each:
            case Parameter(name):
                given = "componentInputArtifact" if kind.artifact else "componentInputParameter"
                return Channel(self._names.of(each, name), kind, root=self.root, source=((given, name),))
            case OneOf(outputs):
                inner = [self.channel(output) for output in outputs]
                group = next(dag for dag in self.homes[outputs[0].task].line() if dag.parent is self.body)
                name = self._names.of(each, group.name, "oneof", str(1 + len(group.outputs)))
                made = [found for found in (dags.made(group, channel) for channel in inner) if found]
                group.outputs[name] = (kind, made)
                return Channel(name, kind, home=self.body, key=(group.name, name))
            case Run():
                source = ("taskFinalStatus", {"producerTask": self.body.name})
                return Channel(self._names.of(each, "status"), kind, root=self.root, source=(source,))
            case reference.Output(task, name):
                key = (self.called[task], name)
                used = self.definition.uses[task].component
                own = used.outputs[name].type if used else kind
                return Channel(self._names.of(each, *key), kind, own, home=self.homes[task], key=key)
        raise TypeError(f"{each} is no channel")

    def name_of_item(self, listed: str) -> str:
        """What an item of the list handed in as `listed` is called; the same for every loop over that list."""
        return self._names.of(("item", listed), listed.removeprefix("pipelinechannel--"), "loop-item")

    def _item(self, each: Item, use: Use) -> Channel:
        group, name, kind = self.items[use.name]
        given = "componentInputArtifact" if kind.artifact else "componentInputParameter"
        if not each.field:
            return Channel(name, kind, root=group, source=((given, name),))
        selector = ("parameterExpressionSelector", f'parseJson(string_value)["{each.field}"]')
        own = declared_field_type(self.definition, use, each)
        return Channel(f"{name}-subvar-{each.field}", own, root=group, source=((given, name), selector))

    def arguments(self, dag: Dag, task: str, use: Use, used: Component) -> dict[str, Data]:
        """The inputs of a task in `dag`, by name.

        A default is said, too: the driver of KFP 2.17 fills in the words of a program before it knows the defaults.
        """
        given: dict[str, Data] = {}
        for name, value in sorted(use.arguments.items()):
            if value is None:
                continue
            wanted = used.inputs[name]
            channel = self.channel(value, use) if _whole(value) else None
            if wanted.type.artifact and (channel is None or not channel.type.artifact):
                given[name] = dags.take(dag, task, self._import((name, wanted.type), value, use))
            elif channel is not None:
                given[name] = dags.take(dag, task, channel)
            else:
                is_file = isinstance(value, str) and is_path(wanted, use, name)
                held = self.path(value) if is_file else self._constant(dag, task, value, use, given)
                given[name] = {"runtimeValue": {"constant": held}}
        for name, each in used.inputs.items():
            if name not in given and each.default is not None:
                given[name] = {"runtimeValue": {"constant": each.default}}
        return dict(sorted(given.items()))

    def _constant(self, dag: Dag, task: str, value: Any, use: Use, given: dict[str, Data]) -> Any:
        """A constant with a placeholder for each reference in it, which becomes an input beside the declared ones."""
        match value:
            case Text(parts):
                return "".join(str(self._constant(dag, task, part, use, given)) for part in parts)
            case Run(field):
                return RUN_FIELDS[field]
            case Parameter() | reference.Output() | OneOf() | Item():
                channel = self.channel(value, use)
                given[channel.name] = dags.take(dag, task, channel)
                return value_placeholder(channel.name)
            case list():
                return [self._constant(dag, task, each, use, given) for each in value]
            case dict():
                return {key: self._constant(dag, task, each, use, given) for key, each in value.items()}
        return value

    def _import(self, target: tuple[str, Type], value: Any, use: Use) -> Channel:
        """An importer for a path or URI, where its text can be known; one for all who want the same."""
        level = self.root if use.final else self.body
        if any(isinstance(each, Item) for each in reference.references(value)):
            level = self.items[use.name][0]
        wanted, kind = target
        key = (id(level), kind, value)
        if key in self._imported:
            return self._imported[key]
        name = naming.unique(f"import-{naming.sanitised(wanted)}", self.taken)
        self.taken.add(name)
        uri: Data = {"runtimeParameter": "uri"}
        given: dict[str, Data] = {}
        if isinstance(value, str):
            uri = {"constant": self.path(value)}
            given["uri"] = {"runtimeValue": {"constant": uri["constant"]}}
        elif _whole(value):
            given["uri"] = dags.take(level, name, self.channel(value, use))
        else:
            text = self._constant(level, name, _prefixed(value, self.path("")), use, given)
            given["uri"] = {"runtimeValue": {"constant": text}}
        interface = executor.interface({"uri": Input(_TEXT)}, {"artifact": Output(kind)})
        schema = executor.typed(kind)["artifactType"]
        runs = {"importer": {"artifactUri": uri, "typeSchema": schema}}
        level.tasks[name] = {
            "taskInfo": {"name": name},
            "componentRef": {"name": self.library.executor("importer", interface, runs, {}, {})},
            "cachingOptions": {"enableCache": True},
            **dags.inputs(given),
        }
        channel = Channel(self._names.of(key, name, "artifact"), kind, home=level, key=(name, "artifact"))
        self._imported[key] = channel
        return channel

    def path(self, text: str) -> str:
        """A path as the IR holds it: relative ones begin at the folder of the outermost pipeline file."""
        if self._prefix == "." or is_uri(text) or posixpath.isabs(text):
            return text
        return posixpath.normpath(posixpath.join(self._prefix, text))


def _whole(value: Any) -> bool:
    """Whether a value is one reference to something that is handed on (rather than a placeholder of KFP's)."""
    return isinstance(value, Parameter | reference.Output | OneOf | Item) or value == Run("status")


def _prefixed(value: Any, prefix: str) -> Any:
    if not isinstance(value, Text) or prefix in ("", ".") or not isinstance(value.parts[0], str):
        return value
    first = value.parts[0]
    if is_uri(first) or posixpath.isabs(first):
        return value
    return Text((posixpath.join(prefix, first), *value.parts[1:]))
