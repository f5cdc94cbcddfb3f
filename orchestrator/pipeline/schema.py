"""JSON Schemas of the pipeline and the component file, for editors; generated from the models that read them."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from pydantic import BaseModel

from orchestrator.pipeline.component import ComponentSpec
from orchestrator.pipeline.spec import Pipeline

Schema = dict[str, Any]
_DIALECT = "https://json-schema.org/draft/2020-12/schema"


def pipeline() -> Schema:
    """The schema of a pipeline file."""
    return _schema(Pipeline, "Pipeline")


def component() -> Schema:
    """The schema of a component file."""
    return _schema(ComponentSpec, "Component")


FILES: Mapping[str, Callable[[], Schema]] = {"pipeline": pipeline, "component": component}


def dump(schema: Schema) -> str:
    """A schema as the text of a file."""
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


def _schema(model: type[BaseModel], title: str) -> Schema:
    data = model.model_json_schema(by_alias=True)
    described = _walked(data)
    return {"$schema": _DIALECT, **described, "title": title}


def _walked(value: Any) -> Any:
    """Without titles made of field names, which editors show in place of the description, and defaults of nothing."""
    if isinstance(value, list):
        return [_walked(each) for each in value]
    if not isinstance(value, dict):
        return value
    dropped = {key for key, below in value.items() if (key == "title" and isinstance(below, str)) or below is None}
    return {key: _walked(below) for key, below in value.items() if key not in dropped}
