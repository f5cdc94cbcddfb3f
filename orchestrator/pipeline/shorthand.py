"""Mappings that may also be written as one value: `retry: 3` for `retry: {attempts: 3}`."""

from __future__ import annotations

from typing import Any, ClassVar

from pydantic import GetJsonSchemaHandler, model_validator
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from orchestrator.source import Document


class Shorthand(Document):
    """A mapping that may also be written as one value, which then is the key named by SHORT."""

    SHORT: ClassVar[str]

    @model_validator(mode="before")
    @classmethod
    def _long(cls, value: Any) -> Any:
        return value if isinstance(value, (dict, cls)) else {cls.SHORT: value}

    @classmethod
    def __get_pydantic_json_schema__(cls, core: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        full = handler.resolve_ref_schema(handler(core))
        short = {key: value for key, value in full["properties"][cls.SHORT].items() if key != "default"}
        kinds = [kind for kind in short.pop("anyOf", [short]) if kind.get("type") != "null"]
        # A field that may hold anything is meant by everything but the mapping that is the long form.
        kinds = [kind if "type" in kind else {"type": ["string", "number", "boolean", "array"]} for kind in kinds]
        if cls.model_fields[cls.SHORT].exclude:
            full["properties"].pop(cls.SHORT)
        return {"anyOf": [*kinds, full]}
