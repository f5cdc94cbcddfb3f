"""What may be set: the schema knows each key of the values and no other, and what is wrong is told in words."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.helm.conftest import CHART, KUBERNETES, Helm

HERE = Path(__file__).parent
WRONG = sorted((HERE / "wrong").glob("*.yaml"))
# Objects of Kubernetes that are handed on as they are.
_HANDED_ON = {"$.mlflow.affinity", "$.mlflow.tolerations[]", "$.global"}
_SCHEMA: Mapping[str, Any] = json.loads((CHART / "values.schema.json").read_text(encoding="utf-8"))
_VALUES: Mapping[str, Any] = yaml.safe_load((CHART / "values.yaml").read_text(encoding="utf-8"))


@pytest.mark.parametrize("path", WRONG, ids=lambda path: path.stem)
def test_wrong_values_are_refused_in_words(path: Path, helm: Helm) -> None:
    expected = [
        line.removeprefix("# error: ")
        for line in path.read_text(encoding="utf-8").splitlines()
        if line[:9] == "# error: "
    ]
    done = helm("template", "orchestrator", CHART, "--values", path, "--kube-version", KUBERNETES)
    assert done.returncode != 0
    assert expected
    for line in expected:
        assert line in done.stderr, done.stderr


def test_the_schema_leaves_no_object_open() -> None:
    open_ones = {path for path, each in _objects(_SCHEMA, "$") if "properties" not in each and not _closed(each)}
    assert open_ones == _HANDED_ON | {
        f"$.networkPolicies.extra.{name}[]" for name in _VALUES["networkPolicies"]["extra"]
    }
    for path, each in _objects(_SCHEMA, "$"):
        assert "properties" not in each or each["additionalProperties"] is False, path


def _closed(schema: Mapping[str, Any]) -> bool:
    return isinstance(schema.get("additionalProperties"), Mapping)


def _objects(schema: Mapping[str, Any], path: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    if reference := schema.get("$ref"):
        schema = _SCHEMA["$defs"][reference.rsplit("/", 1)[-1]]
    if schema.get("type") == "object":
        yield path, schema
        for name, each in schema.get("properties", {}).items():
            yield from _objects(each, f"{path}.{name}")
    elif schema.get("type") == "array":
        yield from _objects(schema["items"], f"{path}[]")


def test_values_and_schema_have_the_same_keys() -> None:
    """Every key that may be set stands in values.yaml, with what holds when it is not set."""
    for path, schema in _objects(_SCHEMA, "$"):
        if "properties" not in schema or "[]" in path:
            continue
        value: Any = _VALUES
        for name in path.split(".")[1:]:
            value = value[name]
        assert set(value) == set(schema["properties"]) - {"global"}, path


def test_values_are_explained() -> None:
    """A comment stands above, or in, every part."""
    lines = (CHART / "values.yaml").read_text(encoding="utf-8").splitlines()
    for name in _VALUES:
        at = next(number for number, line in enumerate(lines) if line.startswith(f"{name}:"))
        assert lines[at - 1].startswith("# "), f"{name} has no comment"


def test_the_readme_names_what_exists() -> None:
    """Every setting and every values file that README speaks of."""
    text = (CHART / "README.md").read_text(encoding="utf-8")
    for name in _VALUES:
        assert f"`{name}" in text, f"README says nothing of {name}"
    for setting in re.findall(r"`([a-z][A-Za-z]+(?:\.[A-Za-z]+)+)(?:=[^`]*)?`", text):
        if setting.split(".")[0] not in _VALUES:
            continue
        value: Any = _VALUES
        for part in setting.split("."):
            assert part in value, f"README names {setting}, which cannot be set"
            value = value[part]
    for case in re.findall(r"ci/([a-z0-9-]+-values\.yaml)", text):
        assert (CHART / "ci" / case).exists()
