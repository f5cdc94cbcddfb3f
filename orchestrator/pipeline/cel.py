"""A condition in CEL, typed: what the KFP backend evaluates, in the shapes the KFP SDK writes."""

from __future__ import annotations

import math
from collections.abc import Callable

from orchestrator.pipeline.expression import Compare, Condition, Every, Listed, Literal, Not, Operand, Some
from orchestrator.pipeline.kinds import Type
from orchestrator.pipeline.reference import ExpressionError, Item, OneOf, Output, Parameter, Run

Resolve = Callable[[Parameter | Output | OneOf | Item | Run], tuple[Type | None, str]]

_INT, _DOUBLE, _TEXT, _BOOL, _ANY = "NUMBER_INTEGER", "NUMBER_DOUBLE", "STRING", "BOOLEAN", ""
_NUMBERS = (_INT, _DOUBLE)
_WORDS = {_INT: "a whole number", _DOUBLE: "a number", _TEXT: "text", _BOOL: "true or false", "LIST": "a list"}


def condition(tree: Condition, resolve: Resolve) -> str:
    """The CEL of a condition. `resolve` gives type and input name of a reference. Raises ExpressionError."""
    match tree:
        case Some(terms):
            return " || ".join(condition(term, resolve) for term in terms)
        case Every(terms):
            return " && ".join(_bracketed(term, resolve) for term in terms)
        case Not(term):
            return f"!({condition(term, resolve)})"
        case Compare("in", left, right):
            return _member(left, right, resolve)
        case Compare(operator, left, right):
            return _compare(operator, left, right, resolve)
        case Literal(bool() as value):
            return str(value).lower()
    return _truth(tree, resolve)


def _bracketed(term: Condition, resolve: Resolve) -> str:
    text = condition(term, resolve)
    return f"({text})" if isinstance(term, Some) else text


def _truth(tree: Operand, resolve: Resolve) -> str:
    kind, text = _operand(tree, resolve)
    if kind not in (_BOOL, _ANY):
        raise ExpressionError(f"{_shown(tree)} is {_word(kind)}, not a condition", "compare it: == != < <= > >= or in")
    # The SDK writes a bare output of type boolean as this comparison, too.
    return f"{text} == true"


def _compare(operator: str, left: Operand, right: Operand, resolve: Resolve) -> str:
    left_kind, left_text = _operand(left, resolve)
    right_kind, right_text = _operand(right, resolve)
    for side, kind in ((left, left_kind), (right, right_kind)):
        if kind in ("LIST", "STRUCT") or kind.startswith("system."):
            raise ExpressionError(f"{_shown(side)} is {_word(kind)}, which cannot be compared", "use 'in' with a list")
    kinds = {left_kind, right_kind} - {_ANY}
    if len(kinds) == 2 and not kinds <= set(_NUMBERS):
        message = f"{_shown(left)} is {_word(left_kind)}, but {_shown(right)} is {_word(right_kind)}"
        raise ExpressionError(message, _mixed(left, right))
    if operator not in ("==", "!=") and _BOOL in kinds:
        raise ExpressionError(f"true and false have no order: {operator!r} does not apply", "use == or !=")
    if len(kinds) == 2 or (_ANY in (left_kind, right_kind) and kinds & {_INT}):
        # An item whose type nobody knows travels as a double.
        left_text, right_text = _double(left_kind, left_text), _double(right_kind, right_text)
    return f"{left_text} {operator} {right_text}"


def _member(left: Operand, right: Operand, resolve: Resolve) -> str:
    left_kind, left_text = _operand(left, resolve)
    if isinstance(right, Listed):
        kinds = {_operand(item, resolve)[0] for item in right.items}
        numbers = kinds <= set(_NUMBERS) and left_kind in (*_NUMBERS, _ANY)
        if kinds and not numbers and kinds - {left_kind} and left_kind != _ANY:
            odd = next(item for item in right.items if _operand(item, resolve)[0] != left_kind)
            raise ExpressionError(f"{_shown(left)} is {_word(left_kind)}, but the list holds {_shown(odd)}")
        mixed = numbers and (_DOUBLE in kinds | {left_kind} or left_kind == _ANY)
        texts = [_double(*_operand(item, resolve)) if mixed else _operand(item, resolve)[1] for item in right.items]
        return f"{_double(left_kind, left_text) if mixed else left_text} in [{', '.join(texts)}]"
    right_kind, right_text = _operand(right, resolve)
    if right_kind not in ("LIST", _ANY):
        raise ExpressionError(f"'in' wants a list to its right; {_shown(right)} is {_word(right_kind)}")
    # The numbers of a list travel as doubles.
    return f"{_double(left_kind, left_text)} in {right_text}"


def _operand(tree: Operand, resolve: Resolve) -> tuple[str, str]:
    """An operand's type and its CEL."""
    match tree:
        case Literal(value):
            return _literal(value)
        case Listed():
            raise ExpressionError("a list stands only to the right of 'in'")
        case Parameter() | Output() | OneOf() | Item() | Run():
            kind, name = resolve(tree)
            if kind is None:
                return _ANY, f"inputs.parameter_values[{_quoted(name)}]"
            if kind.artifact:
                raise ExpressionError(
                    f"{_shown(tree)} is an artifact ({kind}), not a value", "compare an output parameter"
                )
            text = f"inputs.parameter_values[{_quoted(name)}]"
            return kind.name, f"int({text})" if kind.name == _INT else text
    raise ExpressionError("a condition cannot stand inside a comparison")


def _literal(value: str | int | float | bool) -> tuple[str, str]:
    match value:
        case bool():
            return _BOOL, str(value).lower()
        case int():
            return _INT, str(value)
        case float():
            if not math.isfinite(value):
                raise ExpressionError(f"{value} is not a number CEL knows")
            return _DOUBLE, repr(value)
        case str():
            return _TEXT, _quoted(value)


def _double(kind: str, text: str) -> str:
    return f"double({text})" if kind == _INT else text


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return "'" + escaped.replace("\n", "\\n").replace("\r", "\\r").replace("\t", "\\t") + "'"


def _shown(tree: Operand) -> str:
    match tree:
        case Literal(bool() as value):
            return str(value).lower()
        case Literal(value):
            return repr(value)
        case Listed():
            return "the list"
    return f"'{tree}'"


def _word(kind: str) -> str:
    return _WORDS.get(kind, "a struct" if kind == "STRUCT" else "an artifact" if "." in kind else kind)


def _mixed(left: Operand, right: Operand) -> str:
    for side in (left, right):
        if isinstance(side, Literal) and isinstance(side.value, str):
            return f"write {side.value} without quotes" if _is_number(side.value) else ""
    return ""


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return text in ("true", "false")
    return True
