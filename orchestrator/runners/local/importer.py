"""What an importer makes of a URI: an artifact, with metadata in which placeholders stand for the task's inputs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from orchestrator.errors import RunError
from orchestrator.ir.spec import Component, Importer, RuntimeValue
from orchestrator.runners.arguments import cast
from orchestrator.runners.local import placeholders
from orchestrator.runners.local.workspace import Workspace
from orchestrator.stores.artifacts import Artifact, ArtifactStore, Values, is_remote, local_path

_CHANNEL = "{{channel:"  # The SDK leaves this in the URI when it is an f-string, and passes the text beside it.


@dataclass(frozen=True, slots=True)
class Import:
    """An artifact to be made."""

    uri: str
    """A URI, or the whole path of a file or folder of this machine."""
    type: str
    metadata: Mapping[str, Any]
    shared: bool = False
    """Whether tasks find it in the workspace."""

    passing: bool = False
    """Whether it lies in the workspace, which goes when the run has succeeded."""

    @property
    def is_local(self) -> bool:
        """Whether it lies on this machine."""
        return not is_remote(self.uri)

    @property
    def about(self) -> Mapping[str, Any]:
        """What beside URI and type decides what it is."""
        return {**self.metadata, "{{$.workspace_path}}": True} if self.shared else self.metadata

    def make(self, store: ArtifactStore) -> Artifact:
        """The artifact. Raises OrchestratorError when there is nothing at the URI."""
        if self.passing:
            path = Path(self.uri)
            return store.copy(path, name=path.name, type=self.type, metadata=self.metadata)
        return replace(store.adopt(self.uri, type=self.type, metadata=self.metadata), shared=self.shared)


def plan(
    importer: Importer,
    component: Component,
    given: Values,
    *,
    names: Mapping[str, str],
    base: Path,
    workspace: Workspace,
) -> Import:
    """What an importer is to make of what its task was given. Raises RunError. Relative paths begin at `base`."""
    if importer.download_to_workspace and workspace.folder is None:
        raise RunError(f"it downloads to the workspace, and {placeholders.NO_WORKSPACE}")
    uri = _located(_uri(importer.artifact_uri, given.parameters, names), base)
    passing = workspace.folder is not None and Path(uri).is_relative_to(workspace.folder)
    declared = next((each.artifact_type for each in component.output_definitions.artifacts.values()), None)
    kind = importer.type_schema
    if declared and not kind.schema_title and not kind.instance_schema:
        kind = declared
    return Import(uri, kind.title, _metadata(importer, given, names), importer.download_to_workspace, passing)


def _uri(source: RuntimeValue, parameters: Mapping[str, Any], names: Mapping[str, str]) -> str:
    uri = source.constant
    if source.runtime_parameter:
        uri = parameters.get(source.runtime_parameter)
    elif source.constant_value is not None:
        uri = next(iter(source.constant_value.values()), "")
    elif isinstance(uri, str):
        uri = parameters.get("uri") if _CHANNEL in uri else placeholders.fill(uri, parameters, names)
    if not isinstance(uri, str) or not uri:
        raise RunError("it was given no URI")
    if "\0" in uri:
        raise RunError(f"{uri!r} is no URI: it has a zero byte in it")
    return uri


def _located(uri: str, base: Path) -> str:
    if is_remote(uri):
        return uri
    try:
        return str(base / local_path(uri).expanduser())
    except RuntimeError as error:
        raise RunError(f"{uri!r} is no usable path: {error}") from error


def _metadata(importer: Importer, given: Values, names: Mapping[str, str]) -> dict[str, Any]:
    older = {
        name: _value(value, given.parameters)
        for name, value in {**importer.properties, **importer.custom_properties}.items()
    }
    # On the way through a compiled file whole numbers gain a point, in metadata as in lists and mappings.
    written = cast({**older, **importer.metadata}, "STRUCT")
    filled: dict[str, Any] = _filled(written, given.parameters, names)
    return filled


def _value(value: Any, parameters: Mapping[str, Any]) -> Any:
    """A property as files before `metadata` have it: a constant, or the name of a parameter."""
    match value:
        case {"runtimeParameter": str() as name}:
            return parameters.get(name)
        case {"constantValue": dict() as constant}:
            return next(iter(constant.values()), None)
        case {"constant": constant}:
            return constant
    return value


def _filled(value: Any, parameters: Mapping[str, Any], names: Mapping[str, str]) -> Any:
    """Placeholders filled in wherever there is text: here the names have them too."""
    if isinstance(value, Mapping):
        return {
            placeholders.fill(name, parameters, names): _filled(each, parameters, names) for name, each in value.items()
        }
    if isinstance(value, list):
        return [_filled(each, parameters, names) for each in value]
    return placeholders.fill(value, parameters, names)
