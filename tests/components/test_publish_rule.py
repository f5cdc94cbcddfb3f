"""The language of rules: what is read, and where what is wrong is wrong."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.publish import rule
from components.publish.rule import Binary, Metric, Number, RuleError


@pytest.mark.parametrize(
    ("text", "left", "operator", "right"),
    [
        ("f1 > 0.85", Metric("f1"), ">", Number(0.85, "0.85")),
        ("f1>=.85", Metric("f1"), ">=", Number(0.85, ".85")),
        ("rmse < 3", Metric("rmse"), "<", Number(3, "3")),
        ("mae <= 1e-3", Metric("mae"), "<=", Number(0.001, "1e-3")),
        ("rows == 100", Metric("rows"), "==", Number(100, "100")),
        ("rows != 0", Metric("rows"), "!=", Number(0, "0")),
        ("0.85 < f1", Number(0.85, "0.85"), "<", Metric("f1")),
        ("f1 >= baseline.f1", Metric("f1"), ">=", Metric("f1", baseline=True)),
        ("f1 >= baseline . f1", Metric("f1"), ">=", Metric("f1", baseline=True)),
        (
            "f1 >= baseline.f1 + 0.01",
            Metric("f1"),
            ">=",
            Binary("+", Metric("f1", baseline=True), Number(0.01, "0.01")),
        ),
        ("slice(island=Biscoe).f1 > 0.8", Metric("f1", slice=(("island", "Biscoe"),)), ">", Number(0.8, "0.8")),
        (
            "slice(sex = 'a, b', island=New York City).f1 > 0.8",
            Metric("f1", slice=(("island", "New York City"), ("sex", "a, b"))),
            ">",
            Number(0.8, "0.8"),
        ),
        (
            "slice(year=2007, `the key`=-1.5).f1 > 0",
            Metric("f1", slice=(("the key", "-1.5"), ("year", "2007"))),
            ">",
            Number(0, "0"),
        ),
        ("`f1 score` > 0", Metric("f1 score"), ">", Number(0, "0")),
        ("slice > 0", Metric("slice"), ">", Number(0, "0")),
        ("baseline > 0", Metric("baseline"), ">", Number(0, "0")),
        (
            "a - b - c > 0",
            Binary("-", Binary("-", Metric("a"), Metric("b")), Metric("c")),
            ">",
            Number(0, "0"),
        ),
        ("a + b * c > 0", Binary("+", Metric("a"), Binary("*", Metric("b"), Metric("c"))), ">", Number(0, "0")),
        ("(a + b) / c > 0", Binary("/", Binary("+", Metric("a"), Metric("b")), Metric("c")), ">", Number(0, "0")),
        ("-a > -1", Binary("-", Number(0, ""), Metric("a")), ">", Binary("-", Number(0, ""), Number(1, "1"))),
    ],
)
def test_reads(text: str, left: rule.Term, operator: str, right: rule.Term) -> None:
    read = rule.parse(text)
    assert (read.left.term, read.operator, read.right.term) == (left, operator, right)
    assert rule.parse(f"  {text}  ").text == text


@pytest.mark.parametrize(
    ("text", "column", "message", "hint"),
    [
        ("", 1, "expected a metric or a number, and the rule ends", ""),
        ("f1", 3, "expected a comparison: one of > >= < <= == !=, and the rule ends", ""),
        ("f1 = 0.85", 4, "not '='", "equality is written =="),
        ("f1 => 0.85", 4, "not '=>'", "at least is written >="),
        ("f1 =< 0.85", 4, "not '=<'", "at most is written <="),
        ("f1 >", 5, "expected a metric or a number, and the rule ends", ""),
        ("f1 > > 0.85", 6, "expected a metric or a number, not '>'", ""),
        ("f1 > 85%", 6, "expected a metric or a number, not '85%'", "write 0.85 for 85 %"),
        ("f1 > 0.8.5", 6, "not '0.8.5'", ""),
        ("f1 > 0,85", 7, "expected the end of the rule, not ','", ""),
        ("f1 > 3x", 6, "not '3x'", ""),
        ("0.8 < f1 < 0.9", 10, "a second comparison, not '<'", "a rule is one comparison; write two rules"),
        ("f1 > 0.8 and rmse < 3", 10, "not 'and'", "write two rules: all must hold"),
        ("f1 > 0.8 or rmse < 3", 10, "not 'or'", "all rules must hold; there is no or"),
        ("f1 0.85", 4, "expected a comparison", ""),
        ("(f1 > 0.8)", 5, "expected ')', not '>'", ""),
        ("f1 > (0.8", 10, "expected ')', and the rule ends", ""),
        ("champion.f1 > 0.8", 9, "not '.'", "only baseline and slice(...) have metrics, 'champion' has not"),
        ("f1 > baseline.", 15, "expected the name of a metric, and the rule ends", ""),
        ("slice(island).f1 > 0.8", 7, "expected column=value in slice(...)", "such as slice(island=Biscoe).f1"),
        ("slice().f1 > 0.8", 7, "expected column=value", "such as slice(island=Biscoe).f1"),
        ("slice(island=Biscoe) > 0.8", 22, "expected '.', not '>'", ""),
        ("slice(island=Biscoe.f1 > 0.8", 7, "expected column=value", "such as slice(island=Biscoe).f1"),
        ("0.9 > 0.85", 1, "the rule mentions no metric", "compare a metric that evaluate measures, such as f1 > 0.85"),
        ("f1.__class__ > 0", 3, "not '.'", "only baseline and slice(...) have metrics, 'f1' has not"),
        ("exec('x') > 0", 5, "not '('", ""),
        ("f1 ** 2 > 0", 5, "expected a metric or a number, not '*'", ""),
        ("f1 > 0.85 # good", 11, "not '#'", ""),
        ("`f1 > 0.85", 1, "expected a metric or a number, not '`'", ""),
        ("(" * 60 + "f1", 51, "nested too deeply", ""),
        ("f1 > 0" + "+0" * 400, 501, "more than 500", ""),
    ],
)
def test_says_where_it_stops_making_sense(text: str, column: int, message: str, hint: str) -> None:
    with pytest.raises(RuleError) as error:
        rule.parse(text)
    assert message in error.value.message
    assert (error.value.column, error.value.hint) == (column, hint)


@given(st.text(max_size=60) | st.text("f1 .><=!()+-*/0eslicban`'\",", max_size=60))
def test_any_text_is_read_or_refused_at_a_place_in_it(text: str) -> None:
    try:
        read = rule.parse(text)
    except RuleError as refusal:
        error: RuleError | None = refusal
    else:
        error = None
        assert read.metrics
    assert error is None or (1 <= error.column <= len(text) + 1 and error.message)
