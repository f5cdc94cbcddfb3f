"""The Common Expression Language, as far as KFP's conditions and selectors use it: parsed, typed, never `eval`ed.

Literals, names, `.field`, `[index]`, `! -`, `* / % + -`, comparisons, `in`, `&& ||`, `? :`, lists, the functions
int, double, string, bool, size, parseJson, matches, startsWith, endsWith, contains, and the macros has, all, exists,
exists_one, filter, map. What cannot be evaluated raises.
"""

from __future__ import annotations

import json
import math
import operator
import re
from collections.abc import Callable, Mapping
from typing import Any

from orchestrator.runners.syntax import CelError, Node, bounded, parse


def condition(expression: str, variables: Mapping[str, Any]) -> bool:
    """The truth of a condition. Raises CelError when it has none."""
    value = evaluate(expression, variables)
    if not isinstance(value, bool):
        raise CelError(f"is {_told(value)}, not true or false")
    return value


def evaluate(expression: str, variables: Mapping[str, Any]) -> Any:
    """The value of an expression over named values. Raises CelError."""
    try:
        return _value(parse(expression), variables)
    except RecursionError:
        raise CelError("is nested too deeply") from None


def _value(node: Node, variables: Mapping[str, Any]) -> Any:
    match node.kind:
        case "literal":
            return node.value
        case "name":
            if node.value not in variables:
                raise CelError(f"uses the unknown name {node.value!r}")
            return variables[node.value]
        case "field":
            return _item(_value(node.operands[0], variables), node.value)
        case "index":
            return _item(_value(node.operands[0], variables), _value(node.operands[1], variables))
        case "list":
            return [_value(operand, variables) for operand in node.operands]
        case "?":
            chosen = node.operands[1 if _truth(_value(node.operands[0], variables)) else 2]
            return _value(chosen, variables)
        case "unary":
            operand = _value(node.operands[0], variables)
            return not _truth(operand) if node.value == "!" else -_number(operand)
        case "call" if node.value == "has" and [each.kind for each in node.operands] == ["field"]:
            holder = _value(node.operands[0].operands[0], variables)
            return isinstance(holder, Mapping) and node.operands[0].value in holder
        case "call" if node.value in _MACROS and len(node.operands) == 3 and node.operands[1].kind == "name":
            return _macro(node, variables)
        case "call":
            return _call(node.value, [_value(operand, variables) for operand in node.operands])
        case _:
            return _binary(node, variables)


def _binary(node: Node, variables: Mapping[str, Any]) -> Any:
    left = node.operands[0]
    if node.value in ("&&", "||"):
        # As CEL has it, an error on one side does not matter when the other side decides.
        decides = node.value == "||"
        try:
            if _truth(_value(left, variables)) is decides:
                return decides
        except CelError:
            if _truth(_value(node.operands[1], variables)) is decides:
                return decides
            raise
        return _truth(_value(node.operands[1], variables))
    return _compute(node.value, _value(left, variables), _value(node.operands[1], variables))


_MACROS = ("all", "exists", "exists_one", "filter", "map")


def _macro(node: Node, variables: Mapping[str, Any]) -> Any:
    """`list.exists(name, expression)` and its like; of a mapping, over its keys."""
    over, name, expression = node.operands
    value = _value(over, variables)
    if not isinstance(value, list | Mapping):
        raise CelError(f"looks through {_told(value)}, which is neither a list nor a mapping")
    listed = list(value)
    if node.value == "map":
        return [_value(expression, {**variables, name.value: each}) for each in listed]
    found = [each for each in listed if _truth(_value(expression, {**variables, name.value: each}))]
    if node.value == "filter":
        return found
    return {"all": len(found) == len(listed), "exists": bool(found), "exists_one": len(found) == 1}[node.value]


def _compute(symbol: str, a: Any, b: Any) -> Any:
    if symbol in ("==", "!="):
        return _same(a, b) is (symbol == "==")
    if symbol == "in":
        if isinstance(b, list):
            return any(_same(a, each) for each in b)
        if isinstance(b, Mapping):
            return isinstance(a, str) and a in b
        raise CelError(f"looks for something in {_told(b)}")
    if symbol in _ORDER:
        if _kind(a) != _kind(b) or _kind(a) not in ("number", "text"):
            raise CelError(f"compares {_told(a)} with {_told(b)}")
        if any(isinstance(each, float) and math.isnan(each) for each in (a, b)):
            raise CelError("compares NaN, which is neither smaller nor greater than anything")
        return _ORDER[symbol](a, b)
    if symbol == "+" and _kind(a) == _kind(b) and _kind(a) in ("text", "list"):
        return a + b
    a, b = _number(a), _number(b)
    if symbol in ("/", "%") and b == 0:
        raise CelError("divides by zero")
    if isinstance(a, int) and isinstance(b, int):
        return bounded(_WHOLE[symbol](a, b))
    if symbol == "%":
        raise CelError(f"takes the remainder of {_told(a)} by {_told(b)}, and only whole numbers have one")
    return _ARITHMETIC[symbol](float(a), float(b))


def _same(a: Any, b: Any) -> bool:
    """Equality that tells true from 1, inside lists and mappings too."""
    if _kind(a) != _kind(b):
        return False
    if isinstance(a, list):
        return len(a) == len(b) and all(map(_same, a, b))
    if isinstance(a, Mapping):
        return a.keys() == b.keys() and all(_same(each, b[key]) for key, each in a.items())
    return bool(a == b)


_ORDER: dict[str, Callable[[Any, Any], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_ARITHMETIC: dict[str, Callable[[Any, Any], Any]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
}
_WHOLE: dict[str, Callable[[int, int], int]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    # Towards zero, as CEL has it; Python rounds down.
    "/": lambda a, b: abs(a) // abs(b) * (1 if (a < 0) is (b < 0) else -1),
    "%": lambda a, b: abs(a) % abs(b) * (-1 if a < 0 else 1),
}


def _call(name: str, arguments: list[Any]) -> Any:
    functions: dict[str, Callable[..., Any]] = {
        "int": lambda value: bounded(_whole(value)),
        "double": lambda value: float(_numeric(value)),
        "string": lambda value: value if isinstance(value, str) else text(value),
        "bool": lambda value: {"true": True, "false": False}[value] if isinstance(value, str) else _truth(value),
        "size": len,
        "parseJson": json.loads,
        "matches": lambda value, pattern: re.search(pattern, value) is not None,
        "startsWith": str.startswith,
        "endsWith": str.endswith,
        "contains": lambda value, part: part in value,
    }
    if name not in functions:
        raise CelError(f"calls the unknown function {name!r}")
    try:
        return functions[name](*arguments)
    except (TypeError, ValueError, KeyError, OverflowError, re.error) as error:
        told = ", ".join(_told(argument) for argument in arguments)
        raise CelError(f"cannot take {name}() of {told}") from error


def text(value: Any) -> str:
    """A value as KFP writes it into text: strings as they are, whole numbers without a point, the rest as JSON."""
    if isinstance(value, str):
        return value
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        value = int(value)
    return json.dumps(value, ensure_ascii=False)


def _item(holder: Any, key: Any) -> Any:
    if isinstance(holder, list) and isinstance(key, (int, float)) and float(key).is_integer():
        if 0 <= key < len(holder):
            return holder[int(key)]
    elif isinstance(holder, Mapping) and isinstance(key, str | int) and not isinstance(key, bool) and key in holder:
        return holder[key]
    known = ", ".join(map(str, list(holder)[:8])) if isinstance(holder, Mapping) else _told(holder)
    raise CelError(f"asks for {key!r}, which is not there (there is: {known or 'nothing'})")


def _kind(value: Any) -> str:
    if isinstance(value, bool):
        return "truth"
    if isinstance(value, (int, float)):
        return "number"
    return {str: "text", list: "list", dict: "map", type(None): "null"}.get(type(value), "map")


def _truth(value: Any) -> bool:
    if not isinstance(value, bool):
        raise CelError(f"needs true or false where there is {_told(value)}")
    return value


def _number(value: Any) -> Any:
    if _kind(value) != "number":
        raise CelError(f"needs a number where there is {_told(value)}")
    return value


def _whole(value: Any) -> int:
    if isinstance(value, str) and re.fullmatch(r"[-+]?[0-9]{1,20}", value):
        return int(value)  # Not by way of a double, which would round a large one.
    return int(_numeric(value))


def _numeric(value: Any) -> Any:
    return float(value) if isinstance(value, str) else _number(value)


def _told(value: Any) -> str:
    shown = json.dumps(value, default=str, ensure_ascii=False)
    return f"{_kind(value)} {shown[:60]}"
