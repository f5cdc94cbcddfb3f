"""The Common Expression Language, as far as KFP's conditions and selectors use it: parsed, typed, never `eval`ed.

Literals, names, `.field`, `[index]`, `! -`, `* / % + -`, comparisons, `in`, `&& ||`, `? :`, lists, and the functions
int, double, string, bool, size, parseJson, matches, startsWith, endsWith, contains. What cannot be evaluated raises.
"""

from __future__ import annotations

import functools
import json
import math
import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

_TOKEN = re.compile(
    r"""\s*(?:(?P<number>\d+\.\d*(?:[eE][-+]?\d+)?|\.\d+(?:[eE][-+]?\d+)?|\d+[eE][-+]?\d+|0[xX][0-9a-fA-F]+|\d+)u?
    |(?P<string>'(?:[^'\\\n]|\\.)*'|"(?:[^"\\\n]|\\.)*")
    |(?P<name>[A-Za-z_]\w*)
    |(?P<operator>&&|\|\||==|!=|<=|>=|[-+*/%<>!?:.,()\[\]{}]))""",
    re.VERBOSE,
)
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "a": "\a", "b": "\b", "f": "\f", "v": "\v"}
_BINARY = ({"||"}, {"&&"}, {"==", "!=", "<", "<=", ">", ">=", "in"}, {"+", "-"}, {"*", "/", "%"})
_MAX_DEPTH = 200


class CelError(Exception):
    """An expression that cannot be parsed, or whose value cannot be told."""


@dataclass(frozen=True, slots=True)
class Node:
    """One operation of a parsed expression and its operands."""

    kind: str
    value: Any = None
    operands: tuple[Node, ...] = ()


def condition(expression: str, variables: Mapping[str, Any]) -> bool:
    """The truth of a condition. Raises CelError when it has none."""
    value = evaluate(expression, variables)
    if not isinstance(value, bool):
        raise CelError(f"is {_told(value)}, not true or false")
    return value


def evaluate(expression: str, variables: Mapping[str, Any]) -> Any:
    """The value of an expression over named values. Raises CelError."""
    return _value(parse(expression), variables)


@functools.lru_cache(maxsize=4096)
def parse(expression: str) -> Node:
    """The syntax tree of an expression. Raises CelError with the place."""
    return _Parser(expression).whole()


class _Parser:
    def __init__(self, text: str) -> None:
        self.tokens = _tokens(text)
        self.position = 0
        self.depth = 0

    def whole(self) -> Node:
        node = self.choice()
        if self.peek()[0] != "end":
            raise self.unexpected()
        return node

    def choice(self) -> Node:
        self.depth += 1
        if self.depth > _MAX_DEPTH:
            raise CelError("is nested too deeply")
        node = self.binary(0)
        if self.take("?"):
            first = self.choice()
            self.expect(":")
            node = Node("?", operands=(node, first, self.choice()))
        self.depth -= 1
        return node

    def binary(self, level: int) -> Node:
        if level == len(_BINARY):
            return self.unary()
        node = self.binary(level + 1)
        while self.peek()[1] in _BINARY[level] and self.peek()[0] in ("operator", "name"):
            symbol = self.next()[1]
            node = Node("binary", symbol, (node, self.binary(level + 1)))
        return node

    def unary(self) -> Node:
        symbols = []
        while self.peek()[0] == "operator" and self.peek()[1] in ("!", "-"):
            symbols.append(self.next()[1])
        node = self.member()
        for symbol in reversed(symbols):
            node = Node("unary", symbol, (node,))
        return node

    def member(self) -> Node:
        node = self.primary()
        while True:
            if self.take("."):
                name = self.next()
                if name[0] != "name":
                    raise self.unexpected(name)
                if self.take("("):
                    node = Node("call", name[1], (node, *self.arguments(")")))
                else:
                    node = Node("field", name[1], (node,))
            elif self.take("["):
                node = Node("index", operands=(node, self.choice()))
                self.expect("]")
            else:
                return node

    def primary(self) -> Node:
        kind, text, _ = token = self.next()
        if kind in ("number", "string"):
            return Node("literal", text)
        if kind == "name":
            if text in ("true", "false", "null"):
                return Node("literal", {"true": True, "false": False}.get(text))
            if self.take("("):
                return Node("call", text, self.arguments(")"))
            return Node("name", text)
        if text == "(":
            node = self.choice()
            self.expect(")")
            return node
        if text == "[":
            return Node("list", operands=self.arguments("]"))
        raise self.unexpected(token)

    def arguments(self, end: str) -> tuple[Node, ...]:
        nodes: list[Node] = []
        while not self.take(end):
            if nodes:
                self.expect(",")
            nodes.append(self.choice())
        return tuple(nodes)

    def peek(self) -> tuple[str, Any, int]:
        return self.tokens[self.position]

    def next(self) -> tuple[str, Any, int]:
        token = self.tokens[self.position]
        if token[0] != "end":
            self.position += 1
        return token

    def take(self, symbol: str) -> bool:
        found = self.peek()[0] == "operator" and self.peek()[1] == symbol
        self.position += found
        return found

    def expect(self, symbol: str) -> None:
        if not self.take(symbol):
            raise self.unexpected()

    def unexpected(self, token: tuple[str, Any, int] | None = None) -> CelError:
        kind, text, place = token or self.peek()
        return CelError("ends too early" if kind == "end" else f"has an unexpected {text!r} at column {place + 1}")


def _tokens(text: str) -> list[tuple[str, Any, int]]:
    tokens: list[tuple[str, Any, int]] = []
    position, end = 0, len(text.rstrip())
    while position < end:
        match = _TOKEN.match(text, position)
        if match is None:
            rest = text[position:].lstrip()
            raise CelError(f"has an unexpected {rest[:1]!r} at column {end - len(rest.rstrip()) + 1}")
        kind = str(match.lastgroup)
        raw = match[kind]
        value: Any = raw
        if kind == "number":
            whole = raw.isdigit() or raw[:2] in ("0x", "0X")
            value = int(raw, 16 if raw[1:2] in "xX" and raw[1:2] else 10) if whole else float(raw)
        elif kind == "string":
            value = _unescaped(raw[1:-1])
        tokens.append((kind, value, match.start(kind)))
        position = match.end()
    tokens.append(("end", "", end))
    return tokens


def _unescaped(text: str) -> str:
    def replaced(match: re.Match[str]) -> str:
        code = match[1]
        if code[0] in "uUx" and len(code) > 1:
            return chr(int(code[1:], 16))
        return _ESCAPES.get(code, code)

    return re.sub(r"\\(u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|x[0-9a-fA-F]{2}|.)", replaced, text)


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


def _compute(symbol: str, a: Any, b: Any) -> Any:
    if symbol in ("==", "!="):
        same = _kind(a) == _kind(b) and a == b
        return same if symbol == "==" else not same
    if symbol == "in":
        if isinstance(b, list):
            return any(_compute("==", a, each) for each in b)
        if isinstance(b, Mapping):
            return a in b
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
    if symbol == "/" and isinstance(a, int) and isinstance(b, int):
        return int(a / b)
    return _ARITHMETIC[symbol](a, b)


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
    "%": lambda a, b: type(a)(math.fmod(a, b)),
}


def _call(name: str, arguments: list[Any]) -> Any:
    functions: dict[str, Callable[..., Any]] = {
        "int": lambda value: int(_numeric(value)),
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
    elif isinstance(holder, Mapping) and key in holder:
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


def _numeric(value: Any) -> Any:
    return float(value) if isinstance(value, str) else _number(value)


def _told(value: Any) -> str:
    shown = json.dumps(value, default=str, ensure_ascii=False)
    return f"{_kind(value)} {shown[:60]}"
