"""What pydantic finds, in a person's words: one problem for one place."""

from __future__ import annotations

from typing import Annotated, Literal

import pytest
from pydantic import AfterValidator, Field

from orchestrator import source
from orchestrator.errors import PipelineError


def _short(text: str) -> str:
    if len(text) > 3:
        raise ValueError("too long", "three letters at most")
    return text


class Rules(source.Document):
    range_: Literal["error", "warning"] = Field("error", alias="range")
    type_check: str


class Doc(source.Document):
    severity: Literal["error", "warning", "never"] | Rules = "error"
    amount: int | str | None = None
    rate: float = 0.5
    flag: bool = False
    code: Annotated[str, AfterValidator(_short)] = ""
    some_code: int | Annotated[str, AfterValidator(_short)] = ""
    rules: list[Rules] = Field(default_factory=list)
    by_name: dict[str, Rules | int] = Field(default_factory=dict)
    small: Annotated[int, Field(ge=1)] = 1


EROR = "\n  hint: did you mean 'error'?"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("severity: fatal", ["f:1:11: expected 'error', 'warning' or 'never' or a mapping, not the text 'fatal'"]),
        (
            "severity: eror",
            ["f:1:11: expected 'error', 'warning' or 'never' or a mapping, not the text 'eror'" + EROR],
        ),
        ("severity: {rang: error, typeCheck: x}", ["f:1:12: unknown key 'rang'\n  hint: did you mean 'range'?"]),
        ("severity: {range: eror, typeCheck: x}",
         ["f:1:19: expected 'error' or 'warning', not the text 'eror'\n  hint: did you mean 'error'?"]),
        ("severity: {}", ["f:1:1: missing key 'typeCheck'"]),
        ("amount: [1]", ["f:1:9: expected a whole number or text, not a list"]),
        ("amount: 1.5", ["f:1:9: expected a whole number or text, not the number 1.5"]),
        ("flag: yes", ["f:1:7: expected true or false, not the text 'yes'"]),
        ("flag: 1", ["f:1:7: expected true or false, not the number 1"]),
        ("rate: '1'", ["f:1:7: expected a number, not the text '1'"]),
        ("rate:", ["f:1:6: expected a number, not nothing"]),
        ("code: long", ["f:1:7: too long\n  hint: three letters at most"]),
        ("someCode: long", ["f:1:11: too long\n  hint: three letters at most"]),
        ("small: 0", ["f:1:8: input should be greater than or equal to 1, not the number 0"]),
        ("rules: {a: 1}", ["f:1:8: expected a list, not a mapping"]),
        ("rules: [3]", ["f:1:9: expected a mapping, not the number 3"]),
        ("byName: {a: {typeCheck: 1}}", ["f:1:25: expected text, not the number 1"]),
        ("byName: {a: x}", ["f:1:13: expected a mapping or a whole number, not the text 'x'"]),
        (
            "raet: 1\nflag: x\nsmall: true",
            [
                "f:1:1: unknown key 'raet'\n  hint: did you mean 'rate'?",
                "f:2:7: expected true or false, not the text 'x'",
                "f:3:8: expected a whole number, not true",
            ],
        ),
        ("some_codes: 1", ["f:1:1: unknown key 'some_codes'\n  hint: did you mean 'someCode'?"]),
        ("[1]", ["f:1:1: expected a mapping of keys to values, not a list"]),
        ("text", ["f:1:1: expected a mapping of keys to values, not the text 'text'"]),
    ],
)  # fmt: skip
def test_one_problem_for_one_place(text, expected):
    with pytest.raises(PipelineError) as caught:
        source.model(Doc, source.parse(text, "f"))
    assert [str(problem) for problem in caught.value.problems] == expected


def test_what_is_right_is_read_by_its_names_in_camel_case_too():
    read = source.model(Doc, source.parse("byName: {a: 3}\nsomeCode: abc\nseverity: {typeCheck: x}\nrate: 1", "f"))
    assert read.by_name == {"a": 3}
    assert isinstance(read.severity, Rules)
    assert read.rate == 1.0
