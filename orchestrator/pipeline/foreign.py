"""Components in other formats: KFP's component files, its compiled IR, and functions written with `kfp.dsl`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from orchestrator import ir
from orchestrator.errors import PipelineError, Problem
from orchestrator.ir.platform import PlatformSpec
from orchestrator.ir.spec import PipelineSpec
from orchestrator.pipeline import arguments, python
from orchestrator.pipeline.component import Compiled, Component, Container, Input, Output, types_of
from orchestrator.pipeline.kinds import ARTIFACTS, Type
from orchestrator.source import Source

_OLD_TYPES = {
    **dict.fromkeys(("string", "str", "text"), "STRING"),
    **dict.fromkeys(("integer", "int"), "NUMBER_INTEGER"),
    **dict.fromkeys(("float", "double", "number"), "NUMBER_DOUBLE"),
    **dict.fromkeys(("bool", "boolean"), "BOOLEAN"),
    **dict.fromkeys(("list", "jsonarray"), "LIST"),
    **dict.fromkeys(("dict", "jsonobject", "struct"), "STRUCT"),
}


def old(source: Source, folder: Path) -> Component:
    """A component file of KFP's older format: `inputs`, `outputs`, `implementation.container`. Raises PipelineError."""
    data = source.data
    name = str(data.get("name") or folder.name or "component")
    container = data.get("implementation", {}).get("container")
    if not isinstance(container, dict) or not container.get("image"):
        place = source.at("implementation")
        raise PipelineError([Problem(place, "only 'implementation: container:' with an image can run")])
    try:
        inputs = {_identifier(each["name"]): _old_input(each) for each in data.get("inputs") or []}
        outputs = {
            _identifier(each["name"]): Output(_old_type(each.get("type")), each.get("description") or "")
            for each in data.get("outputs") or []
        }
        types = types_of(inputs, outputs)
        command = arguments.explicit(_renamed(container.get("command") or []), types)
        args = arguments.explicit(_renamed(container.get("args") or []), types)
    except ValueError as error:
        hint = str(error.args[1]) if len(error.args) > 1 else ""
        raise PipelineError([Problem(source.at("implementation", "container"), str(error.args[0]), hint)]) from error
    except (KeyError, TypeError, AttributeError) as error:
        raise PipelineError([Problem(source.at(), f"not a component of KFP's format: {error!r}")]) from error
    env = {key: str(value) for key, value in (container.get("env") or {}).items()}
    body = Container(container["image"], command, args, env)
    return Component(name, inputs, outputs, body, folder, data.get("description") or "")


def _identifier(name: str) -> str:
    return re.sub("[^_0-9a-z]+", "_", name.lower()).strip("_")


def _renamed(value: Any) -> Any:
    """Placeholders speak of inputs by their written name; the IR by an identifier."""
    match value:
        case list():
            return [_renamed(each) for each in value]
        case dict():
            named = ("inputValue", "inputPath", "inputUri", "outputPath", "outputUri", "isPresent")
            return {key: _identifier(each) if key in named else _renamed(each) for key, each in value.items()}
    return value


def _old_type(written: Any) -> Type:
    name = str(next(iter(written)) if isinstance(written, dict) and written else written or "Artifact")
    if name.lower() in _OLD_TYPES:
        return Type(_OLD_TYPES[name.lower()])
    if re.fullmatch(r"[A-Za-z]\w*\.[A-Za-z]\w*(@.*)?", name):
        title, _, version = name.partition("@")
        return Type(title, True, version=version or "0.0.1")
    return Type(f"system.{name if name in ARTIFACTS else 'Artifact'}", True)


def _old_input(data: Mapping[str, Any]) -> Input:
    kind = _old_type(data.get("type"))
    default = data.get("default")
    if isinstance(default, str) and kind.name != "STRING" and not kind.artifact:
        import yaml

        default = yaml.safe_load(default.lower() if kind.name == "BOOLEAN" else default)
    return Input(kind, bool(data.get("optional")) or default is not None, default, data.get("description") or "")


def compiled(spec: PipelineSpec, platform: PlatformSpec) -> Component:
    """A component or pipeline in compiled form; a single wrapped component is taken out of its wrapping."""
    data = ir.to_data(spec)
    inputs, outputs = interface(data["root"])
    body = _single(data, ir.to_data(platform)) or Compiled(data, ir.to_data(platform))
    return Component(spec.pipeline_info.name, inputs, outputs, body, None, spec.pipeline_info.description)


def interface(root: Mapping[str, Any]) -> tuple[dict[str, Input], dict[str, Output]]:
    """The inputs and outputs of a component in IR."""
    taken = root.get("inputDefinitions", {})
    inputs = {
        name: Input(
            Type(each["parameterType"]),
            bool(each.get("isOptional")) or each.get("defaultValue") is not None,
            each.get("defaultValue"),
            each.get("description", ""),
            tuple(each.get("literals", ())),
        )
        for name, each in taken.get("parameters", {}).items()
    }
    for name, each in taken.get("artifacts", {}).items():
        inputs[name] = Input(_artifact(each), bool(each.get("isOptional")), None, each.get("description", ""))
    given = root.get("outputDefinitions", {})
    outputs = {name: Output(Type(each["parameterType"])) for name, each in given.get("parameters", {}).items()}
    outputs.update({name: Output(_artifact(each)) for name, each in given.get("artifacts", {}).items()})
    return inputs, outputs


def _artifact(data: Mapping[str, Any]) -> Type:
    kind = data["artifactType"]
    title = kind.get("schemaTitle") or "system.Artifact"
    return Type(title, True, bool(data.get("isArtifactList")), kind.get("schemaVersion", ""))


def _single(data: Mapping[str, Any], platform: Mapping[str, Any]) -> Container | None:
    """The container of a pipeline that does nothing but call one component with its own inputs."""
    tasks = data["root"].get("dag", {}).get("tasks", {})
    if len(tasks) != 1:
        return None
    (task,) = tasks.values()
    label = data.get("components", {}).get(task["componentRef"]["name"], {}).get("executorLabel", "")
    container = data.get("deploymentSpec", {}).get("executors", {}).get(label, {}).get("container")
    if container is None or {"triggerPolicy", "parameterIterator", "artifactIterator", "retryPolicy"} & task.keys():
        return None
    given = task.get("inputs", {})
    passed = {
        **{name: each.get("componentInputParameter") for name, each in given.get("parameters", {}).items()},
        **{name: each.get("componentInputArtifact") for name, each in given.get("artifacts", {}).items()},
    }
    taken = data["root"].get("inputDefinitions", {})
    if passed != {name: name for kind in ("parameters", "artifacts") for name in taken.get(kind, {})}:
        return None
    kubernetes = platform.get("platforms", {}).get("kubernetes", {})
    own = kubernetes.get("deploymentSpec", {}).get("executors", {}).get(label, {})
    env = {each["name"]: each.get("value", "") for each in container.get("env", ())}
    rest = {key: value for key, value in container.items() if key not in ("image", "command", "args", "env")}
    command, args = tuple(container.get("command", ())), tuple(container.get("args", ()))
    return Container(container["image"], command, args, env, own, rest)


def function(path: Path, name: str) -> Component:
    """A component or pipeline of `kfp.dsl`, compiled by the installed SDK. Raises PipelineError."""
    return compiled(*python.compile(path, name, kind="component"))
