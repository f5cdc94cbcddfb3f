"""Laws of running, over pipelines, expressions and texts nobody thought of."""

from __future__ import annotations

import json
import operator
import tempfile
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from orchestrator.errors import RunError
from orchestrator.ir.platform import PlatformSpec
from orchestrator.ir.spec import (
    CachingOptions,
    Component,
    ComponentRef,
    Container,
    Dag,
    Deployment,
    Executor,
    PipelineInfo,
    PipelineSpec,
    Task,
    TaskInfo,
)
from orchestrator.runners import cel, local
from orchestrator.runners.events import RunFinished, Status, TaskFinished, TaskStarted
from orchestrator.runners.local import placeholders
from orchestrator.runners.local.placeholders import Context
from orchestrator.runners.syntax import CelError
from orchestrator.settings import Settings

SLOW = settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@st.composite
def dags(draw) -> tuple[dict[int, list[int]], set[int]]:
    """Tasks by number, each with those before it that it needs; and those that fail."""
    count = draw(st.integers(1, 7))
    needs = {n: draw(st.lists(st.integers(0, n - 1), unique=True, max_size=3)) if n else [] for n in range(count)}
    return needs, draw(st.sets(st.integers(0, count - 1), max_size=2))


def pipeline(needs: dict[int, list[int]], failing: set[int]) -> PipelineSpec:
    containers = {"good": ("sh", "-c", "exit 0"), "bad": ("sh", "-c", "exit 1")}
    tasks = {
        f"t{n}": Task(
            task_info=TaskInfo(name=f"t{n}"),
            component_ref=ComponentRef(name=f"comp-{n}"),
            dependent_tasks=tuple(f"t{each}" for each in before),
            caching_options=CachingOptions(enable_cache=True),
        )
        for n, before in needs.items()
    }
    return PipelineSpec(
        pipeline_info=PipelineInfo(name="law"),
        root=Component(dag=Dag(tasks=dict(sorted(tasks.items(), reverse=True)))),
        components={f"comp-{n}": Component(executor_label=f"exec-{n}") for n in needs},
        deployment_spec=Deployment(
            executors={
                f"exec-{n}": Executor(
                    container=Container(
                        image="x", command=containers["bad" if n in failing else "good"], args=(str(n),)
                    )
                )
                for n in needs
            }
        ),
    )


def run(spec: PipelineSpec, folder: Path, cached=lambda key: None) -> list[object]:
    found = Settings(folder / "state", 4, "sqlite://")
    return list(local.run(local.Request("r", spec, PlatformSpec(), {}, found, folder), cached))


def descendants(needs: dict[int, list[int]], failing: set[int]) -> set[int]:
    reached: set[int] = set()
    for n in sorted(needs):
        if any(each in failing or each in reached for each in needs[n]):
            reached.add(n)
    return reached


@SLOW
@given(dags())
def test_nothing_starts_before_what_it_needs_and_a_failure_reaches_exactly_its_descendants(case):
    needs, failing = case
    with tempfile.TemporaryDirectory() as folder:
        events = run(pipeline(needs, failing), Path(folder))
    ended: dict[str, Status] = {}
    started = []
    for event in events:
        if isinstance(event, TaskStarted):
            assert all(ended[f"t{each}"] is Status.SUCCEEDED for each in needs[int(event.task.name[1:])])
            started.append(event.task.name)
        if isinstance(event, TaskFinished):
            assert event.task.name not in ended
            ended[event.task.name] = event.status
    unreached = descendants(needs, failing)
    assert {name for name, status in ended.items() if status is Status.UNSCHEDULABLE} == {f"t{n}" for n in unreached}
    assert sorted(started) == sorted(f"t{n}" for n in needs if n not in unreached)
    assert len(ended) == len(needs)
    last = events[-1]
    assert isinstance(last, RunFinished)
    assert last.status is (Status.FAILED if failing else Status.SUCCEEDED)


NUMBERS = st.integers(-50, 50) | st.floats(-50, 50, allow_nan=False).map(lambda value: round(value, 3))
ORDERS = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


@settings(max_examples=200, deadline=None)
@given(NUMBERS, st.sampled_from(sorted(ORDERS)), NUMBERS, st.booleans(), st.sampled_from(["&&", "||"]))
def test_comparisons_agree_with_python(left, symbol, right, truth, joint):
    told = {"inputs": {"parameter_values": {"a": left, "b": right, "t": truth}}}
    text = f"inputs.parameter_values['a'] {symbol} inputs.parameter_values['b']"
    expected = ORDERS[symbol](left, right)
    assert cel.condition(text, told) is expected
    assert cel.condition(f"!({text}) {joint} inputs.parameter_values['t']", told) is (
        (not expected and truth) if joint == "&&" else (not expected or truth)
    )
    if left >= 0:
        assert cel.condition(f"{left!r} {symbol} double(inputs.parameter_values['b'])", told) is expected


TEXTS = st.text(max_size=12)


@settings(max_examples=150, deadline=None)
@given(TEXTS, TEXTS)
def test_text_is_compared_as_text_whatever_is_in_it(left, right):
    told = {"a": left, "b": right}
    assert cel.condition("a == b", told) is (left == right)
    assert cel.condition("a < b", told) is (left < right)
    quoted = "'" + left.replace("\\", "\\\\").replace("'", "\\'").replace("\n", "\\n") + "'"
    if quoted.isprintable():
        assert cel.condition(f"a == {quoted}", told)


WHOLE = st.integers(-(10**6), 10**6)


@settings(max_examples=100, deadline=None)
@given(WHOLE, WHOLE, WHOLE.filter(bool))
def test_arithmetic_is_that_of_whole_numbers(a, b, c):
    told = {"a": a, "b": b, "c": c}
    assert cel.evaluate("a + b * c - a", told) == b * c
    quotient, rest = cel.evaluate("a / c", told), cel.evaluate("a % c", told)
    assert quotient * c + rest == a
    assert abs(rest) < abs(c)
    assert type(quotient) is type(rest) is int


WORDS = (
    "( ) [ ] ! - + * / % < > == != <= && || ? : , . in a b 1 2.5 1e999 0x1f 9223372036854775807 'x' \"y\" true null "
    "int double string bool size parseJson matches ( ) ( ) '\\ud800' '\\U00110000' '[[' a.b a[0] [1,a]"
)
SYNTAX = st.lists(st.sampled_from(WORDS.split(" ")), max_size=14).map(" ".join)


@settings(max_examples=300, deadline=None)
@given(st.text(max_size=30) | SYNTAX)
def test_any_text_has_a_value_or_is_told(text):
    try:
        cel.evaluate(text, {"a": {"b": [1, True, None, "x"]}, "b": [1.5, {"c": 2}]})
    except CelError as error:
        assert str(error)  # noqa: PT017


@settings(max_examples=150, deadline=None)
@given(st.dictionaries(st.sampled_from("abc"), TEXTS | NUMBERS | st.lists(NUMBERS, max_size=3), min_size=3), TEXTS)
def test_placeholders_put_values_in_and_never_look_inside_them(parameters, plain):
    if "{{$" in plain:
        return
    context = Context({"inputs": {"parameterValues": parameters}, "outputs": {"outputFile": "/o"}}, {})
    template = plain.join(f"{{{{$.inputs.parameters['{name}']}}}}" for name in "abc")
    assert placeholders.text(template, context) == plain.join(cel.text(parameters[name]) for name in "abc")
    assert placeholders.fill(template, parameters, {}) == placeholders.text(template, context)
    assert json.loads(placeholders.text("{{$}}", context)) == json.loads(json.dumps(context.executor_input))


@settings(max_examples=150, deadline=None)
@given(st.text(max_size=20), st.sampled_from(["", ".inputs", ".outputs.parameters['x']", ".inputs.artifacts['a'].uri"]))
def test_a_placeholder_that_stands_for_nothing_is_told(text, inside):
    context = Context({"inputs": {}, "outputs": {"outputFile": "/o"}}, {})
    try:
        placeholders.command([f"{{{{${inside}{text}}}}}", '{"IfPresent": {"InputName": "x", "Then": ["y"]}}'], context)
    except RunError as error:
        assert "placeholder" in str(error)  # noqa: PT017
