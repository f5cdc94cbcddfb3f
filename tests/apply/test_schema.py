"""Fields that a kind does not have, all of them, and what may stand in their place."""

from __future__ import annotations

import pytest

from orchestrator.cluster import schema
from orchestrator.cluster.resources import Resource

WIDGET = Resource("example.com", "v1", "Widget", "widgets", is_namespaced=True, verbs=frozenset())
DOCUMENT = {
    "components": {
        "schemas": {
            "com.example.v1.Widget": {
                "x-kubernetes-group-version-kind": [{"group": "example.com", "version": "v1", "kind": "Widget"}],
                "type": "object",
                "properties": {
                    "apiVersion": {"type": "string"},
                    "kind": {"type": "string"},
                    "metadata": {"allOf": [{"$ref": "#/components/schemas/Meta"}]},
                    "spec": {
                        "properties": {
                            "parts": {"type": "array", "items": {"$ref": "#/components/schemas/Part"}},
                            "anything": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
                            "free": {"type": "object"},
                            "port": {"x-kubernetes-int-or-string": True},
                        }
                    },
                },
            },
            "Meta": {
                "properties": {
                    "name": {"type": "string"},
                    "labels": {"type": "object", "additionalProperties": {"type": "string"}},
                }
            },
            "Part": {"properties": {"name": {"type": "string"}, "image": {"type": "string"}}},
        }
    }
}


def test_every_unknown_field_is_found_in_order() -> None:
    found = schema.of(DOCUMENT, WIDGET)
    written = {
        "apiVersion": "example.com/v1",
        "kind": "Widget",
        "metadata": {"name": "w", "labels": {"team": "x"}, "label": {}},
        "spec": {
            "parts": [{"name": "a", "image": "i"}, {"name": "b", "imagee": "i"}],
            "anything": {"goes": [1]},
            "free": {"goes": 1},
            "port": "http",
            "colour": {"red": 1},
        },
        "speck": {},
    }
    assert [*found.unknown(written)] == ["metadata.label", "spec.parts[1].imagee", "spec.colour", "speck"]


@pytest.mark.parametrize(
    ("path", "known"),
    [
        ("spec.parts[1].imagee", ("name", "image")),
        ('spec.parts[name="a.b"].imagee', ("name", "image")),
        ("metadata.label", ("name", "labels")),
        ("spec.nothing.there", ()),
        ("speck", ("apiVersion", "kind", "metadata", "spec")),
    ],
)
def test_what_may_stand_beside_a_field(path: str, known: tuple[str, ...]) -> None:
    assert schema.of(DOCUMENT, WIDGET).beside(path) == known


def test_a_kind_that_the_server_does_not_describe() -> None:
    other = Resource("example.com", "v2", "Widget", "widgets", is_namespaced=True, verbs=frozenset())
    found = schema.of(DOCUMENT, other)
    assert [*found.unknown({"speck": 1})] == []
    assert found.beside("speck") == ()
