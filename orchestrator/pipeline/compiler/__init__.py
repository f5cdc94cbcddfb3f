"""Lowering: a checked pipeline becomes KFP IR and a platform document. Pure: no file is read, no clock asked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from orchestrator import ir
from orchestrator.pipeline.compiler import kubernetes
from orchestrator.pipeline.compiler.library import Library
from orchestrator.pipeline.compiler.lowering import Lowering
from orchestrator.pipeline.definition import Definition

# Not the package's version: the IR of a pipeline changes only when the language does.
SDK_VERSION = "orchestrator-v1"


@dataclass(frozen=True, slots=True)
class Lowered:
    """IR, platform document, and what the file calls each task of the IR, by its path."""

    spec: ir.spec.PipelineSpec
    platform: ir.platform.PlatformSpec
    names: Mapping[str, str]


def lower(definition: Definition) -> Lowered:
    """The IR of a definition that has passed every check."""
    library = Library(definition.name)
    lowering = Lowering(definition, library, definition.folder, kubernetes.marks(definition.spec.metadata))
    root = lowering.component()
    metadata = definition.spec.metadata
    data: dict[str, Any] = {
        "pipelineInfo": {
            "name": metadata.name,
            **({"description": metadata.description} if metadata.description else {}),
        },
        "schemaVersion": "2.1.0",
        "sdkVersion": SDK_VERSION,
        "components": library.components,
        "deploymentSpec": library.deployment(),
        "root": root,
    }
    spec = ir.spec.PipelineSpec.model_validate(data)
    asked = library.platform(kubernetes.config(definition.spec))
    platform = ir.platform.PlatformSpec.model_validate(asked) if asked else ir.NO_PLATFORM
    return Lowered(spec, platform, lowering.names)
