"""One rule, such as `f1 >= baseline.f1 + 0.01`: arithmetic on both sides of one comparison, read by a small parser.

    rule    = sum ("<" | "<=" | "==" | "!=" | ">" | ">=") sum
    sum     = product {("+" | "-") product}
    product = factor {("*" | "/") factor}
    factor  = "-" factor | "(" sum ")" | number | [scope "."] metric
    scope   = "baseline" | "slice" "(" column "=" value {"," column "=" value} ")"

A metric whose name is more than letters, digits and "_" is written in backquotes; a value with "," or ")" in quotes.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import NoReturn

OPERATORS: Mapping[str, Callable[[float, float], bool]] = {
    ">": operator.gt,
    ">=": operator.ge,
    "<": operator.lt,
    "<=": operator.le,
    "==": operator.eq,
    "!=": operator.ne,
}
DEEPEST = 50
LONGEST = 500

_TOKEN = re.compile(
    r"""\s*(?:
    (?P<number>(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?(?![\w.%]))
  | (?P<name>[A-Za-z_]\w*|`[^`]+`)
  | (?P<compare>[<>]=|[=!]=|[<>](?!=))
  | (?P<sign>[-+*/().])
  )""",
    re.VERBOSE,
)
_PAIR = re.compile(
    r"""\s*(?P<column>`[^`]+`|[^\s=,()"'`][^=,()"'`]*?)\s*=\s*(?P<value>"[^"]*"|'[^']*'|[^,()"'=]*?)\s*(?P<end>[,)])"""
)
_HINTS = {
    "=": "equality is written ==",
    "=>": "at least is written >=",
    "=<": "at most is written <=",
    "and": "write two rules: all must hold",
    "&": "write two rules: all must hold",
    "or": "all rules must hold; there is no or",
    "%": "write 0.85 for 85 %",
}


class RuleError(ValueError):
    """The rule cannot be read, from this column (counted from 1) on."""

    def __init__(self, message: str, column: int, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.column = column
        self.hint = hint


@dataclass(frozen=True, slots=True)
class Number:
    """A number as it was written."""

    value: float
    text: str


@dataclass(frozen=True, slots=True)
class Metric:
    """A metric of the candidate, of the baseline, or of the candidate on one slice of the data."""

    name: str
    baseline: bool = False
    slice: tuple[tuple[str, str], ...] = ()

    def __str__(self) -> str:
        where = ", ".join(f"{column}={value}" for column, value in self.slice)
        scope = "baseline." if self.baseline else f"slice({where})." if where else ""
        return f"{scope}{self.name}"


@dataclass(frozen=True, slots=True)
class Binary:
    """Two terms and one of + - * /; a sign is a subtraction from nothing."""

    sign: str
    left: Term
    right: Term


Term = Number | Metric | Binary


@dataclass(frozen=True, slots=True)
class Side:
    """One side of the comparison, and how it was written."""

    term: Term
    text: str


@dataclass(frozen=True, slots=True)
class Rule:
    """A comparison that must hold."""

    text: str
    left: Side
    operator: str
    right: Side

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """Every metric the rule mentions, from left to right."""
        return (*_metrics(self.left.term), *_metrics(self.right.term))

    @property
    def needs_baseline(self) -> bool:
        """Whether the rule compares with the baseline."""
        return any(metric.baseline for metric in self.metrics)


def parse(text: str) -> Rule:
    """The rule that the text says, or a RuleError with the column where it stops making sense."""
    if len(text) > LONGEST:
        raise RuleError(f"the rule has {len(text)} characters, more than {LONGEST}", LONGEST + 1)
    reader = _Reader(text)
    left = reader.side()
    if reader.kind != "compare":
        reader.refuse("expected a comparison: one of " + " ".join(OPERATORS))
    comparison = reader.take()
    right = reader.side()
    if reader.kind == "compare":
        reader.refuse("a second comparison", hint="a rule is one comparison; write two rules")
    if reader.kind != "end":
        reader.refuse("expected the end of the rule")
    rule = Rule(text.strip(), left, comparison, right)
    if not rule.metrics:
        raise RuleError("the rule mentions no metric", 1, "compare a metric that evaluate measures, such as f1 > 0.85")
    return rule


def _metrics(term: Term) -> Iterator[Metric]:
    match term:
        case Metric():
            yield term
        case Binary(_, left, right):
            yield from _metrics(left)
            yield from _metrics(right)


class _Reader:
    """A place in the text, and the token that begins there."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.depth = 0
        self.after = 0
        self.advance()

    def advance(self) -> None:
        """Read the next token; what is none is refused where it stands."""
        rest = self.text[self.after :]
        self.start = self.after + len(rest) - len(rest.lstrip())
        match = _TOKEN.match(self.text, self.after)
        if match is None:
            self.kind, self.word = ("unknown", self.text[self.start :]) if rest.strip() else ("end", "")
            return
        self.kind, self.word, self.after = str(match.lastgroup), match[str(match.lastgroup)], match.end()

    def take(self) -> str:
        token = self.word
        self.advance()
        return token

    def refuse(self, message: str, *, hint: str = "") -> NoReturn:
        """Stop here, with what stands here."""
        found = re.match(r"=[<>]?|[\d.]+(?P<percent>%)|\w[\w.]*|\S", self.word)
        stands = found[0] if found else ""
        shown = f", not {stands!r}" if stands else ", and the rule ends"
        known = _HINTS.get("%" if found and found["percent"] else stands, "")
        raise RuleError(f"{message}{shown}", self.start + 1, hint or known)

    def side(self) -> Side:
        start = self.start
        term = self.sum()
        return Side(term, self.text[start : self.start].strip())

    def sum(self) -> Term:
        term = self.product()
        while self.word in ("+", "-") and self.kind == "sign":
            term = Binary(self.take(), term, self.product())
        return term

    def product(self) -> Term:
        term = self.factor()
        while self.word in ("*", "/") and self.kind == "sign":
            term = Binary(self.take(), term, self.factor())
        return term

    def factor(self) -> Term:
        self.depth += 1
        if self.depth > DEEPEST:
            self.refuse("the rule is nested too deeply")
        try:
            match (self.kind, self.word):
                case ("sign", "-"):
                    self.advance()
                    return Binary("-", Number(0.0, ""), self.factor())
                case ("sign", "("):
                    self.advance()
                    term = self.sum()
                    self.expect(")")
                    return term
                case ("number", text):
                    self.advance()
                    return Number(float(text), text)
                case ("name", _):
                    return self.metric()
                case _:
                    self.refuse("expected a metric or a number")
        finally:
            self.depth -= 1

    def metric(self) -> Metric:
        scope = self.word
        if scope == "slice" and self.text[self.after :].lstrip().startswith("("):
            pairs = self.pairs()
            self.expect(".")
            return Metric(self.name(), slice=pairs)
        name = self.name()
        if self.word != ".":
            return Metric(name)
        if scope != "baseline":
            self.refuse(
                "expected an operator after a metric",
                hint=f"only baseline and slice(...) have metrics, {name!r} has not",
            )
        self.advance()
        return Metric(self.name(), baseline=True)

    def name(self) -> str:
        if self.kind != "name":
            self.refuse("expected the name of a metric")
        return self.take().strip("`")

    def pairs(self) -> tuple[tuple[str, str], ...]:
        """`(column=value, ...)`, read as text: values are words of the data, not of this language."""
        at = self.text.index("(", self.after) + 1
        found: dict[str, str] = {}
        while True:
            match = _PAIR.match(self.text, at)
            if match is None:
                raise RuleError("expected column=value in slice(...)", at + 1, "such as slice(island=Biscoe).f1")
            value = match["value"]
            quoted = len(value) > 1 and value[0] in "\"'"
            found[match["column"].strip("`")] = value[1:-1] if quoted else value
            at = match.end()
            if match["end"] == ")":
                break
        self.after = at
        self.advance()
        return tuple(sorted(found.items()))

    def expect(self, sign: str) -> None:
        if self.kind != "sign" or self.word != sign:
            self.refuse(f"expected {sign!r}")
        self.advance()
