"""The schema file: what it may say, and every mistake in it with its place."""

from __future__ import annotations

from pathlib import Path

import pytest

from components.validate_schema import schema
from components.validate_schema.schema import Schema
from orchestrator.errors import PipelineError

HEAD = "apiVersion: orchestrator/v1\nkind: Schema\nmetadata: {name: t}\n"


def read(tmp_path: Path, text: str) -> Schema:
    path = tmp_path / "schema.yaml"
    path.write_text(text)
    return schema.read(path, name="schema.yaml")


@pytest.mark.parametrize("name", ["penguins", "flights"])
def test_our_own_schemas_are_read(pipelines: Path, name: str) -> None:
    assert schema.read(pipelines / name / "schema.yaml").metadata.name == name


def test_severities_are_for_all_rules_or_rule_by_rule(tmp_path: Path) -> None:
    found = read(
        tmp_path,
        HEAD + "severity: {rows: warning}\ncolumns:\n"
        "  a: {type: integer, severity: warning}\n"
        "  b: {type: string, minFraction: 0.5, severity: {domain: warning}}\n",
    )
    assert (found.severity_of("rows"), found.severity_of("columns")) == ("warning", "error")
    assert found.columns["a"].severity_of("range") == "warning"
    assert (found.columns["b"].severity_of("domain"), found.columns["b"].severity_of("type")) == ("warning", "error")
    assert [column.fraction for column in found.columns.values()] == [1.0, 0.5]


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ("  a: {type: integr}", "schema.yaml:5:13: expected 'integer'"),
        ("  a: {typ: integer}", "schema.yaml:5:7: unknown key 'typ'\n  hint: did you mean 'type'?"),
        ("  a: {type: integer, min: x}", "schema.yaml:5:27: expected a whole number or a number, not the text 'x'"),
        ("  a: {type: integer, min: 3, max: 2}", "schema.yaml:5:6: min 3 is above max 2"),
        ("  a: {type: string, min: 3}", "'min' and 'max' are for integer and number, not for string"),
        ("  a: {type: integer, domain: [1, x]}", "the domain value 'x' is not of type integer"),
        ("  a: {type: boolean, domain: [1]}", "the domain value 1 is not of type boolean"),
        ("  a: {type: string, domain: []}", "schema.yaml:5:6: the domain allows no value at all"),
        ("  a: {type: string, minDomainMass: 0.9}", "'minDomainMass' needs a domain\n  hint: add domain: [...]"),
        (
            "  a: {type: string, minFraction: 1.5}",
            "schema.yaml:5:34: input should be less than or equal to 1, not the number 1.5",
        ),
        ("  a: {type: string, nullable: false, minFraction: 0.5}", "'nullable: false' asks for a value in every row"),
        (
            "  a: {type: string, severity: fatal}",
            "schema.yaml:5:31: expected 'error' or 'warning' or a mapping, not the text 'fatal'",
        ),
        ("  a: {type: string, severity: {rnage: error}}", "unknown key 'rnage'\n  hint: did you mean 'range'?"),
        ("  a: {type: string}\n  a: {type: string}", "schema.yaml:6:3: duplicate key 'a'"),
        ("  a: {type: string}\nmaxRows: 3\nminRows: 4", "maxRows 3 is below minRows 4"),
        ("  {}", "the schema has no columns"),
    ],
)
def test_a_mistake_is_told_with_its_place(tmp_path: Path, columns: str, message: str) -> None:
    with pytest.raises(PipelineError) as caught:
        read(tmp_path, f"{HEAD}columns:\n{columns}\n")
    assert message in str(caught.value)


def test_the_json_schema_describes_the_file() -> None:
    exported = Schema.model_json_schema()
    assert exported["properties"]["kind"]["const"] == "Schema"
    assert exported["additionalProperties"] is False
    assert {"type", "minFraction", "minDomainMass", "severity"} <= set(exported["$defs"]["Column"]["properties"])
