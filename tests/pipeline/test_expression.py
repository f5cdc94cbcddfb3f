"""Expressions: what is read, what is refused, and the CEL they become."""

from __future__ import annotations

import pytest

from orchestrator.pipeline import cel, expression, quantity, reference
from orchestrator.pipeline.kinds import Type
from orchestrator.pipeline.reference import ExpressionError, Item, OneOf, Output, Parameter, Run, Text

TYPES = {"n": "NUMBER_INTEGER", "x": "NUMBER_DOUBLE", "s": "STRING", "b": "BOOLEAN", "l": "LIST", "d": "STRUCT"}


def written(text: str) -> str:
    def resolve(each: object) -> tuple[Type | None, str]:
        if isinstance(each, Parameter):
            return Type(TYPES[each.name]), each.name
        return None, str(each)

    found = cel.condition(expression.condition(text), resolve)
    return found.replace("inputs.parameter_values", "v")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("plain", "plain"),
        ("", ""),
        ("${parameters.a}", Parameter("a")),
        ("${ tasks.a-b.outputs.c_d }", Output("a-b", "c_d")),
        ("${run.id}", Run("id")),
        ("${item}", Item()),
        ("${item.rate}", Item("rate")),
        ("a ${item} b", Text(("a ", Item(), " b"))),
        ("${item}${item}", Text((Item(), Item()))),
        ("$${item}", "${item}"),
        ("a $${x} ${item}", Text(("a ${x} ", Item()))),
        ("costs $5 {ok}", "costs $5 {ok}"),
        ("${one_of(tasks.a.outputs.x, tasks.b.outputs.y)}", OneOf((Output("a", "x"), Output("b", "y")))),
    ],
)
def test_reads_references(text: str, value: object) -> None:
    assert reference.value(text) == value


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("${parameters.x} > 0.85", "v['x'] > 0.85"),
        ("${parameters.n} > 3", "int(v['n']) > 3"),
        ("${parameters.n} > 0.5", "double(int(v['n'])) > 0.5"),
        ("${parameters.x} >= 1", "v['x'] >= double(1)"),
        ("${parameters.n} < ${parameters.x}", "double(int(v['n'])) < v['x']"),
        ("-1 != parameters.n", "-1 != int(v['n'])"),
        ("parameters.s == 'it\\'s'", "v['s'] == 'it\\'s'"),
        ('parameters.s == "a\\\\b"', "v['s'] == 'a\\\\b'"),
        ("parameters.s == 'and or ) ${x}'", "v['s'] == 'and or ) ${x}'"),
        ("${parameters.b}", "v['b'] == true"),
        ("not ${parameters.b}", "!(v['b'] == true)"),
        ("${parameters.b} == false", "v['b'] == false"),
        ("not parameters.b and parameters.n == 1", "!(v['b'] == true) && int(v['n']) == 1"),
        ("parameters.b or parameters.b and parameters.b", "v['b'] == true || v['b'] == true && v['b'] == true"),
        ("(parameters.b or parameters.b) and parameters.b", "(v['b'] == true || v['b'] == true) && v['b'] == true"),
        ("${ parameters.n > 1 and not (parameters.b) }", "int(v['n']) > 1 && !(v['b'] == true)"),
        ("parameters.s in ['a', 'b']", "v['s'] in ['a', 'b']"),
        ("parameters.s not in []", "!(v['s'] in [])"),
        ("parameters.n in [1, 2]", "int(v['n']) in [1, 2]"),
        ("parameters.n in [1, 2.5]", "double(int(v['n'])) in [double(1), 2.5]"),
        ("parameters.n in parameters.l", "double(int(v['n'])) in v['l']"),
        ("item > 3", "v['item'] > double(3)"),
        ("item == 'a'", "v['item'] == 'a'"),
        ("true", "true"),
        ("1e3 > parameters.x", "1000.0 > v['x']"),
    ],
)
def test_conditions_become_cel(text: str, expected: str) -> None:
    assert written(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        "and",
        "parameters.b and",
        "(parameters.b",
        "parameters.b)",
        "parameters.s > 3",
        "parameters.b > true",
        "parameters.n",
        "'text'",
        "parameters.l == 3",
        "parameters.d == 'a'",
        "parameters.s in 'abc'",
        "parameters.s in [parameters.s]",
        "[1] == parameters.l",
        "parameters.n == true",
        "parameters.n = 3",
        "parameters.n === 3",
        "parameters.b && parameters.b",
        "!parameters.b",
        "parameters.s == dev",
        "__import__('os')",
        "parameters.n.__class__ == 3",
        "1 < parameters.n < 3",
        "(" * 80 + "parameters.b" + ")" * 80,
        "parameters.x > 1e999",
        "parameters.s == 'open",
    ],
)
def test_refuses_what_it_cannot_mean(text: str) -> None:
    with pytest.raises(ExpressionError) as caught:
        written(text)
    assert caught.value.message


@pytest.mark.parametrize(
    "text", ["${}", "${ }", "${a b}", "${parameters}", "${tasks.a}", "${item.a.b}", "${run.x}", "${one_of()}", "${x"]
)
def test_refuses_references_to_nothing(text: str) -> None:
    with pytest.raises(ExpressionError):
        reference.value(text)


@pytest.mark.parametrize(
    ("text", "seconds"), [(90, 90), ("90", 90), ("10s", 10), ("30m", 1800), ("1h30m", 5400), ("7d", 604800), (0, 0)]
)
def test_durations(text: int | str, seconds: int) -> None:
    assert quantity.seconds(text) == seconds


@pytest.mark.parametrize("text", ["soon", "10 s", "1y", "-3s", -3, "", "1.5h", "m"])
def test_refuses_other_durations(text: int | str) -> None:
    with pytest.raises(ValueError, match="duration"):
        quantity.seconds(text)


def test_quantities() -> None:
    assert (quantity.cpu(2), quantity.cpu(0.5), quantity.cpu("500m")) == ("2", "0.5", "500m")
    assert (quantity.cores("500m"), quantity.cores("2")) == (0.5, 2.0)
    assert [quantity.gigabytes(text) for text in ("2Gi", "512M", "1000")] == [2.147483648, 0.512, 1e-06]
    for wrong in ("2GB", "two", "-1", "1.5Gi"):
        with pytest.raises(ValueError, match="memory"):
            quantity.memory(wrong)
