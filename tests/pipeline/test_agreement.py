"""The front end and the local runner mean the same by a condition: what one writes in CEL, the other reads."""

from __future__ import annotations

import operator
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from orchestrator.pipeline import cel, expression
from orchestrator.pipeline.expression import Compare, Condition, Every, Literal, Not, Some
from orchestrator.pipeline.kinds import Type
from orchestrator.pipeline.reference import Parameter
from orchestrator.runners import cel as evaluator

TYPES = {"n": "NUMBER_INTEGER", "x": "NUMBER_DOUBLE", "s": "STRING", "b": "BOOLEAN"}
MEANING = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


def listed(items: list[Literal]) -> expression.Listed:
    return expression.Listed(tuple(items))


# Values meet literals now and then only if both are drawn from few.
texts = st.sampled_from(["", "a", "it's", 'say "x"', "back\\slash", "a\nb", "${x}", "' or 'a'=='a"])
numbers = st.integers(-3, 3) | st.sampled_from([-1.5, 0.0, 0.5, 2.0, 1e-9, 1e20])
given_values = st.fixed_dictionaries(
    {"n": st.integers(-3, 3), "x": st.sampled_from([-1.5, 0.0, 0.5, 2.0, 3.0]), "s": texts, "b": st.booleans()}
)
order = st.sampled_from(sorted(MEANING))
same = st.sampled_from(["==", "!="])
numeric = st.sampled_from([Parameter("n"), Parameter("x")]) | numbers.map(Literal)
compares = st.one_of(
    st.builds(Compare, order, numeric, numeric),
    st.builds(Compare, order, st.just(Parameter("s")), texts.map(Literal)),
    st.builds(Compare, same, st.just(Parameter("b")), st.booleans().map(Literal)),
    st.just(Parameter("b")),
    st.builds(Compare, st.just("in"), st.just(Parameter("s")), st.lists(texts.map(Literal), max_size=3).map(listed)),
    st.builds(Compare, st.just("in"), numeric, st.lists(numbers.map(Literal), max_size=3).map(listed)),
)
conditions = st.recursive(
    compares,
    lambda inner: st.one_of(
        st.builds(Not, inner),
        st.lists(inner, min_size=2, max_size=3).map(lambda terms: Every(tuple(terms))),
        st.lists(inner, min_size=2, max_size=3).map(lambda terms: Some(tuple(terms))),
    ),
    max_leaves=8,
)


def meant(tree: Condition, values: dict[str, Any]) -> Any:
    match tree:
        case Parameter(name):
            return values[name]
        case Literal(value):
            return value
        case expression.Listed(items):
            return [item.value for item in items]
        case Not(term):
            return not meant(term, values)
        case Every(terms):
            return all(meant(term, values) for term in terms)
        case Some(terms):
            return any(meant(term, values) for term in terms)
        case Compare("in", left, right):
            return meant(left, values) in meant(right, values)
        case Compare(sign, left, right):
            return MEANING[sign](meant(left, values), meant(right, values))
    raise AssertionError(tree)


def resolve(each: Any) -> tuple[Type, str]:
    return Type(TYPES[each.name]), each.name


@given(tree=conditions, values=given_values)
def test_a_condition_means_the_same_to_both(tree: Condition, values: dict[str, Any]) -> None:
    # Numbers reach a condition as doubles: JSON and protobuf know no others.
    received = {**values, "n": float(values["n"])}
    text = cel.condition(tree, resolve)
    assert evaluator.condition(text, {"inputs": {"parameter_values": received}}) is meant(tree, values)
