"""When tasks were at work: attempts, idle times, the path the run waited for, and the pictures of it."""

from __future__ import annotations

import contextlib
import re
import xml.etree.ElementTree as ET

import pytest

from orchestrator.cli import chart
from orchestrator.history import timeline
from orchestrator.history.timeline import Bar, Scale, Span, Timeline


@pytest.fixture
def drawn(project):
    """A run with a loop, a chain and a task that fails twice."""
    project.component("twice", "sys.exit(os.path.exists('/nowhere') or 3)", {"text": "string"})
    project.pipeline("""
tasks:
  first: {component: nap, arguments: {text: a, seconds: 1.5}}
  short: {component: nap, arguments: {text: b, seconds: 0.05}}
  each: {component: nap, foreach: [1, 2], after: [short], arguments: {text: "x", seconds: 0.05}}
  last: {component: nap, after: [first, each], arguments: {text: c, seconds: 0.1}}
  bad: {component: twice, after: [last], retry: {attempts: 2}, arguments: {text: d}}
  never: {component: mark, after: [bad], arguments: {text: e}}
""")
    project.run(run="one")
    return of(project, "one")


def of(project, run):
    with contextlib.closing(project.metadata()) as metadata:
        record = metadata.run(run)
        tasks, attempts = metadata.tasks(run), metadata.attempts(run)
    return timeline.of(record, tasks, attempts, status=record.status, now=0.0)


def test_bars_attempts_and_what_the_run_waited_for(drawn):
    bars = {bar.name: bar for bar in drawn.bars}
    assert [bar.name for bar in drawn.bars if bar.critical] == ["first", "last", "bad"]
    assert [span.status for span in bars["bad"].spans] == ["FAILED", "FAILED"]
    assert bars["bad"].spans[0].finished <= bars["bad"].spans[1].started
    assert bars["never"].spans == ()
    assert {"each[0]", "each[1]"} <= set(bars)
    assert 2 <= drawn.most <= 3
    assert drawn.scale.cuts == ()


def test_a_chain_through_a_loop(project):
    project.pipeline("""
tasks:
  start: {component: nap, arguments: {text: a}}
  each: {component: nap, foreach: [1, 2], after: [start], arguments: {text: b, seconds: 0.2}}
  quick: {component: nap, arguments: {text: c}}
  end: {component: nap, after: [each, quick], arguments: {text: d}}
""")
    project.run(run="one")
    chain = [bar.name for bar in of(project, "one").bars if bar.critical]
    assert chain[0] == "start"
    assert chain[1] in ("each[0]", "each[1]")
    assert chain[2:] == ["end"]


def test_a_run_that_went_on_the_next_day_keeps_its_bars_readable():
    spans = [Span(0, 10, "FAILED"), Span(86_400, 86_430, "SUCCEEDED")]
    scale = timeline.scale(spans, 0, 86_430)
    assert len(scale.cuts) == 1
    assert scale.share(10) == pytest.approx(10 / 40.8)
    assert scale.share(86_430) - scale.share(86_400) == pytest.approx(30 / 40.8)
    assert [scale.share(each) for each in (-5, 0, 86_430, 99_999)] == [0, 0, pytest.approx(1), 1]
    # A short pause is shown as long as it was.
    assert timeline.scale([Span(0, 1, ""), Span(30, 31, "")], 0, 31).share(15.5) == pytest.approx(0.5)


def test_how_many_at_once():
    assert timeline.most([]) == 0
    assert timeline.most([Span(0, 2, ""), Span(1, 3, ""), Span(2, 4, "")]) == 2


def made(names=("a", "b"), status="SUCCEEDED"):
    bars = tuple(Bar(name, status, (Span(10.0 + i, 12.0 + i, status),), i == 0) for i, name in enumerate(names))
    last = 12.0 + len(names) - 1
    return Timeline("r", "p", "FAILED", 10.0, last, bars, Scale(((10.0, 0.0), (last, 1.0))), 2)


def test_the_text_says_everything_without_colour():
    bars = (
        Bar("one", "SUCCEEDED", (Span(0, 4, "SUCCEEDED"),), True),
        Bar("two", "FAILED", (Span(4, 5, "FAILED"), Span(7, 8, "FAILED")), True),
        Bar("three", "SKIPPED", (Span(0, 0, "SKIPPED"),)),
        Bar("a task with a very long name indeed", "CANCELLED", (Span(4, 8, "CANCELLED"),)),
        Bar("never", "UNSCHEDULABLE", ()),
    )
    whole = Timeline("r-1", "demo", "FAILED", 0, 8, bars, Scale(((0, 0), (8, 1))), 2)
    assert (
        chart.text(whole, width=70, unicode=False)
        == """\
x demo  run r-1: failed in 8.0 s, at most 2 tasks at once

+ one               * ==================                        4.0 s
x two               *                  xxxxx        xxxxx       4.0 s
= three               c                                        cached
# a task with a ve~                    ##################       4.0 s
- never                                                   not started
                      '                     '
                      0 s                   5 s

= succeeded  x failed  c cached  # cancelled
* the run waited for: one > two (8.0 s)
"""
    )


@pytest.mark.parametrize("width", [40, 80, 120])
def test_the_text_fits_and_counts_what_it_leaves_out(width):
    text = chart.text(made([f"task-{number}" for number in range(500)]), width=width)
    lines = text.splitlines()
    assert "and 440 shorter tasks" in lines
    bars = [line for line in lines if line.startswith("✓")]
    assert len(bars) == 60
    assert max(map(len, bars)) <= width


def test_svg_and_html_are_whole_and_harmless():
    whole = made(["<script>alert(1)</script>", "b&c"], "FAILED")
    root = ET.fromstring(chart.svg(whole))
    texts = [each.text for each in root.iter() if each.tag.endswith("text")]
    assert "b&c" in texts
    assert any("failed" in (text or "") for text in texts)
    assert len([each for each in root.iter() if each.get("class") == "ring"]) == 2  # The bar, and the legend.
    page = chart.html(whole)
    assert "<script" not in page
    assert not re.search(r"(href|src)=", page)
    for status in ("RUNNING", "SKIPPED", "NOT_TRIGGERED", "PENDING", "CANCELLED"):
        ET.fromstring(chart.svg(made(status=status)))
    ET.fromstring(chart.svg(Timeline("r", "p", "RUNNING", 0, 0, (), Scale(((0, 0),)), 0)))


def test_a_real_run_is_drawn(drawn):
    assert "bad" in chart.text(drawn)
    ET.fromstring(chart.svg(drawn))
