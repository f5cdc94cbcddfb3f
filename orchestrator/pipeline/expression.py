"""Expressions: the condition of a `when`, read into a tree."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeAlias

from orchestrator.pipeline.reference import (
    WORD,
    ExpressionError,
    Item,
    OneOf,
    Output,
    Parameter,
    Reference,
    Run,
    reference,
)


@dataclass(frozen=True, slots=True)
class Literal:
    """A constant in a condition: text, number, true, false."""

    value: str | int | float | bool


@dataclass(frozen=True, slots=True)
class Listed:
    """`[1, 2, 3]`, to the right of `in`."""

    items: tuple[Literal, ...]


@dataclass(frozen=True, slots=True)
class Compare:
    """Two operands and one of `== != < <= > >= in`."""

    operator: str
    left: Operand
    right: Operand


@dataclass(frozen=True, slots=True)
class Not:
    """`not CONDITION`"""

    term: Condition


@dataclass(frozen=True, slots=True)
class Every:
    """`A and B and C`"""

    terms: tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class Some:
    """`A or B or C`"""

    terms: tuple[Condition, ...]


Operand: TypeAlias = Reference | Literal | Listed
Condition: TypeAlias = Compare | Not | Every | Some | Operand

_TOKEN = re.compile(
    rf"""\s*(?:
      (?P<number>-?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?(?![A-Za-z0-9_.]))
    | (?P<text>'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")
    | (?P<one_of>one_of\s*\([^()]*\))
    | (?P<word>{WORD}(?:\.{WORD})*)
    | (?P<sign>==|!=|<=|>=|<|>|\$\{{|[()\[\]}},])
    )""",
    re.VERBOSE,
)
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r"}


def references(tree: Condition) -> Iterator[Reference]:
    """Every reference in a condition, in reading order; OneOf as a whole."""
    match tree:
        case Parameter() | Output() | Run() | Item() | OneOf():
            yield tree
        case Compare(_, left, right):
            yield from references(left)
            yield from references(right)
        case Not(term):
            yield from references(term)
        case Every(terms) | Some(terms):
            for term in terms:
                yield from references(term)


@lru_cache(maxsize=4096)
def condition(text: str) -> Condition:
    """The condition a `when` spells. References stand bare or in `${...}`, which may also hold a whole condition."""
    return _Parser(_tokens(text), text).parse()


def _tokens(text: str) -> list[tuple[str, str]]:
    tokens: list[tuple[str, str]] = []
    position = 0
    while position < len(text.rstrip()):
        match = _TOKEN.match(text, position)
        if match is None or match.lastgroup is None:
            rest = text[position:].strip()
            raise ExpressionError(f"cannot read the condition at {rest[:20]!r}", _condition_hint(rest))
        tokens.append((match.lastgroup, match[match.lastgroup]))
        position = match.end()
    return tokens


def _condition_hint(rest: str) -> str:
    for wrong, right in (("&&", "and"), ("||", "or"), ("!", "not"), ("=", "==")):
        if rest.startswith(wrong):
            return f"write {right!r}"
    return "comparisons (== != < <= > >=), and, or, not, in, parentheses, and texts in quotes"


class _Parser:
    """Recursive descent over the tokens of one condition; `or` binds weakest, comparisons strongest."""

    def __init__(self, tokens: list[tuple[str, str]], text: str) -> None:
        self.tokens = tokens
        self.text = text
        self.position = 0
        self.depth = 0

    def parse(self) -> Condition:
        found = self._some()
        if self.position < len(self.tokens):
            raise self._unexpected()
        return found

    def _some(self) -> Condition:
        terms = [self._every()]
        while self._take("or"):
            terms.append(self._every())
        return Some(tuple(terms)) if len(terms) > 1 else terms[0]

    def _every(self) -> Condition:
        terms = [self._not()]
        while self._take("and"):
            terms.append(self._not())
        return Every(tuple(terms)) if len(terms) > 1 else terms[0]

    def _not(self) -> Condition:
        return Not(self._deeper(self._not)) if self._take("not") else self._comparison()

    def _comparison(self) -> Condition:
        left = self._operand()
        negated = self._peek() == "not"
        if negated:
            self.position += 1
        operator = self._peek()
        if operator not in ("==", "!=", "<", "<=", ">", ">=", "in") or (negated and operator != "in"):
            if negated:
                raise self._unexpected()
            return left
        self.position += 1
        right = self._operand()
        for side in (left, right):
            if isinstance(side, Compare | Not | Every | Some):
                raise ExpressionError(
                    f"a comparison inside a comparison in {self.text!r}", "join them with 'and' or 'or'"
                )
        compare = Compare(operator, left, right)  # type: ignore[arg-type]
        return Not(compare) if negated else compare

    def _operand(self) -> Condition:
        if self.position >= len(self.tokens):
            raise ExpressionError(f"the condition {self.text!r} ends too early")
        kind, word = self.tokens[self.position]
        if word in ("(", "${"):
            self.position += 1
            inner = self._deeper(self._some)
            self._expect(")" if word == "(" else "}")
            return inner
        if word == "[":
            return self._listed()
        self.position += 1
        match kind:
            case "number" | "text":
                return Literal(_literal(kind, word))
            case "one_of":
                return reference(word)
            case "word" if word in ("true", "false"):
                return Literal(word == "true")
            case "word" if word not in ("and", "or", "not", "in"):
                return self._reference(word)
        self.position -= 1
        raise self._unexpected()

    def _reference(self, word: str) -> Reference:
        if "." not in word and word != "item":
            raise ExpressionError(
                f"{word!r} is neither a reference nor a value", f"a text is written '{word}', in quotes"
            )
        return reference(word)

    def _listed(self) -> Listed:
        self._expect("[")
        items: list[Literal] = []
        while not self._take("]"):
            if items:
                self._expect(",")
            item = self._operand()
            if not isinstance(item, Literal):
                raise ExpressionError("a list in a condition holds texts, numbers, true and false only")
            items.append(item)
        return Listed(tuple(items))

    def _deeper(self, parse: Callable[[], Condition]) -> Condition:
        self.depth += 1
        if self.depth > 50:
            raise ExpressionError("the condition is nested deeper than 50 levels")
        found: Condition = parse()
        self.depth -= 1
        return found

    def _peek(self) -> str:
        return self.tokens[self.position][1] if self.position < len(self.tokens) else ""

    def _take(self, word: str) -> bool:
        if self._peek() != word:
            return False
        self.position += 1
        return True

    def _expect(self, word: str) -> None:
        if not self._take(word):
            raise self._unexpected(f"; {word!r} is missing")

    def _unexpected(self, what: str = "") -> ExpressionError:
        found = self._peek()
        place = f"before {found!r}" if found else "at its end"
        return ExpressionError(f"cannot read the condition {self.text!r} {place}{what}", _condition_hint(found))


def _literal(kind: str, word: str) -> str | int | float:
    if kind == "text":
        return re.sub(r"\\(.)", lambda match: _ESCAPES.get(match[1], match[1]), word[1:-1], flags=re.DOTALL)
    return float(word) if set(word) & set(".eE") else int(word)
