"""The syntax of the Common Expression Language: text to a tree, nothing computed yet."""

from __future__ import annotations

import functools
import re
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
            if whole and len(raw) > 20:
                raise CelError(f"has a number of {len(raw)} digits")
            value = bounded(int(raw, 16 if raw[1:2] in "xX" and raw[1:2] else 10)) if whole else float(raw)
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
            point = int(code[1:], 16)
            if point > 0x10FFFF or 0xD800 <= point < 0xE000:
                raise CelError(f"has the escape \\{code}, which is no character")
            return chr(point)
        return _ESCAPES.get(code, code)

    return re.sub(r"\\(u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|x[0-9a-fA-F]{2}|.)", replaced, text)


def bounded(value: int) -> int:
    """A whole number, unless it is too large to be one."""
    if not -(2**63) <= value < 2**63:
        raise CelError("overflows: whole numbers have 64 bits")
    return value
