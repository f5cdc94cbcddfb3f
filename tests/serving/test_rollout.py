"""What a rollout decides: shares, declarations in between, what the metrics say, and when an alarm fires."""

from __future__ import annotations

import json
import math
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest

from orchestrator.errors import BackendError, OrchestratorError
from orchestrator.serving import declarations
from orchestrator.serving.declarations import Declaration, Variant
from orchestrator.serving.guard import Alarm, Rollout
from orchestrator.serving.rollout import control, judgement, mixture, reading, undo
from orchestrator.serving.rollout.plan import Plan, Share
from orchestrator.serving.rollout.reading import Reading, Window

ERRORS = Alarm(metric="error_rate", above=0.01)
REFUSED = Alarm(metric="refused_rate", above=0.05)
SLOW = Alarm(metric="p99", above=0.5)


def variant(name: str, version: str, weight: float = 1.0, **more: Any) -> Variant:
    return Variant(
        name=name, model="m", version=version, path=f"/m/{version}", digest=f"sha256:{version}", weight=weight, **more
    )


def declared(*variants: Variant) -> Declaration:
    spec = {
        "apiVersion": "orchestrator/v1",
        "kind": "Endpoint",
        "metadata": {"name": "e"},
        "variants": [{"name": each.name, "model": "m"} for each in variants],
    }
    told = {"name": "e", "variants": [each.model_dump(mode="json") for each in variants], "spec": spec}
    return declarations.load(json.dumps(told))


def shares(declaration: Declaration) -> dict[tuple[str, str], float]:
    whole = sum(each.weight for each in declaration.variants)
    return {(each.name, each.version): round(each.weight / whole, 6) for each in declaration.variants}


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ({}, [(100, 0)]),
        ({"alarms": (ERRORS,), "bake": "30s"}, [(100, 30)]),
        # Without an alarm nothing is watched, so that nobody waits.
        ({"bake": "30s"}, [(100, 0)]),
        ({"strategy": "canary", "alarms": (ERRORS,), "bake": "5m"}, [(10, 300), (100, 300)]),
        ({"strategy": "linear", "size": 30, "alarms": (ERRORS,), "bake": "1m"}, [(p, 60) for p in (30, 60, 90, 100)]),
        ({"strategy": "linear", "size": 50, "alarms": (ERRORS,), "bake": "1m"}, [(50, 60), (100, 60)]),
    ],
)
def test_a_plan_is_a_list_of_shares(written: dict[str, Any], expected: list[tuple[int, float]]) -> None:
    plan = Plan.of(Rollout.model_validate(written))
    assert plan.shares() == tuple(Share(*each) for each in expected)


@given(st.sampled_from(["canary", "linear"]), st.integers(1, 50))
def test_shares_grow_to_all_of_the_traffic(strategy: Any, size: int) -> None:
    percents = [share.percent for share in Plan(strategy, size, 1.0, (ERRORS,)).shares()]
    assert percents == sorted(set(percents))
    assert percents[0] == size
    assert percents[-1] == 100


def test_a_new_version_stands_beside_the_old_one_under_a_name_of_its_own() -> None:
    before, after = declared(variant("main", "1")), declared(variant("main", "2"))
    mixed = mixture.mix(before, after, 10)
    assert shares(mixed.declaration) == {("main", "1"): 0.9, ("main-next", "2"): 0.1}
    assert mixed.new == ("main-next",)
    assert mixture.mix(before, after, 100) == mixture.Mixture(after, ("main",))
    dark = mixture.mix(before, after, 0)
    assert shares(dark.declaration) == {("main", "1"): 1, ("main-next", "2"): 0}
    assert dark.new == ("main-next",)


def test_what_answers_already_goes_on_as_it_is() -> None:
    before = declared(variant("main", "1", 9), variant("fast", "7", 1), variant("gone", "5", 10))
    after = declared(variant("main", "2", 3), variant("fast", "7", 1))
    mixed = mixture.mix(before, after, 50)
    expected = {("main", "1"): 0.225, ("fast", "7"): 0.15, ("gone", "5"): 0.25, ("main-next", "2"): 0.375}
    assert shares(mixed.declaration) == expected
    assert mixed.new == ("main-next",)
    assert [each.name for each in mixture.new_variants(before, after)] == ["main"]
    assert mixture.new_variants(after, after) == ()
    assert mixture.new_variants(None, after) == after.variants


def test_names_that_are_taken_are_not_taken_again() -> None:
    long = "a" * 63
    before = declared(variant("main", "1"), variant("main-next", "2"), variant(long, "1"))
    after = declared(variant("main", "3"), variant(long, "3"))
    mixed = mixture.mix(before, after, 20)
    names = [each.name for each in mixed.declaration.variants]
    assert names == ["main", "main-next", long, "main-next-2", "a" * 55 + "-next"]
    assert len(set(names)) == len(names)
    declarations.load(declarations.dump(mixed.declaration))


def test_another_form_of_a_version_is_new_and_a_shadow_takes_no_traffic() -> None:
    before = declared(variant("main", "1"), variant("try", "2", 0, shadow=10))
    after = declared(variant("main", "1", format="onnx"), variant("try", "3", 0, shadow=50))
    mixed = mixture.mix(before, after, 25)
    assert shares(mixed.declaration) == {("main", "1"): 0.75, ("main-next", "1"): 0.25, ("try", "3"): 0}
    assert mixed.new == ("main-next",)
    promoted = mixture.mix(before, declared(variant("main", "2")), 25)
    assert shares(promoted.declaration) == {("main", "1"): 0.75, ("main-next", "2"): 0.25}
    # A shadow that is to answer now is new in that, although its model is there.
    answering = mixture.mix(before, declared(variant("main", "1"), variant("try", "2")), 50)
    assert shares(answering.declaration) == {("main", "1"): 0.75, ("try", "2"): 0.25}
    assert answering.new == ("try",)


@given(
    st.lists(st.integers(1, 9), min_size=1, max_size=4),
    st.lists(st.integers(1, 9), min_size=1, max_size=4),
    st.integers(0, 99),
)
def test_the_new_declaration_has_exactly_its_share(old: list[int], new: list[int], percent: int) -> None:
    before = declared(*(variant(f"v{n}", "1", float(weight)) for n, weight in enumerate(old)))
    after = declared(*(variant(f"v{n}", "2", float(weight)) for n, weight in enumerate(new)))
    mixed = mixture.mix(before, after, percent)
    weights = {each.name: each.weight for each in mixed.declaration.variants}
    assert math.isclose(sum(weights[name] for name in mixed.new), percent / 100, abs_tol=1e-6)
    assert math.isclose(sum(weights.values()), 1, abs_tol=1e-6)


def exposed(requests: dict[tuple[str, str], int], seconds: dict[str, list[float]] | None = None) -> str:
    """What a server with these requests, by variant and status, shows."""
    held = CollectorRegistry()
    names = ["model_name", "variant", "version", "protocol", "code"]
    counter = Counter("requests", "requests", names, registry=held)
    timed = Histogram("request_seconds", "s", ["model_name", "variant"], registry=held, buckets=(0.01, 0.1, 1))
    for (name, code), count in requests.items():
        counter.labels("e", name, "1", "v1", code).inc(count)
        counter.labels("other", name, "1", "v1", "500").inc(9)
    for name, values in (seconds or {}).items():
        for value in values:
            timed.labels("e", name).observe(value)
    return generate_latest(held).decode()


def test_what_variants_did_is_read_from_metrics() -> None:
    text = exposed({("a", "200"): 90, ("a", "500"): 6, ("a", "422"): 4, ("b", "503"): 50}, {"a": [0.05] * 98 + [3, 4]})
    seen = reading.window(reading.read(text, "e"), ["a"])
    assert (seen.requests, seen.errors, seen.refused) == (100, 6, 4)
    assert seen.quantile(0.5) == pytest.approx(0.01 + 0.09 * 50 / 98)
    assert seen.quantile(0.99) == 1, "longer than the last bound is all that is known"
    assert [seen.slower(0.1), seen.slower(1), seen.slower(0.055)] == pytest.approx([2, 2, 51])


def test_counts_of_a_server_that_was_started_anew_go_on() -> None:
    first, second = (reading.read(exposed({("a", "200"): count}), "e") for count in (100, 130))
    restarted = reading.read(exposed({("a", "200"): 7}), "e")
    added = second.since(first).plus(restarted.since(second))
    assert reading.window(added, ["a"]).requests == 37


def test_two_servers_are_counted_apart() -> None:
    one, two = (reading.read(exposed({("a", "200"): 5}), "e", source) for source in ("p1", "p2"))
    assert reading.window(one.plus(two), ["a"]).requests == 10


@pytest.mark.parametrize(
    ("alarm", "seen", "final", "outcome", "told"),
    [
        (REFUSED, Window(50, 50, refused=50), False, "breached", "refused_rate was 100 % (50 of 50 requests)"),
        (REFUSED, Window(50, 50), True, "holds", "refused_rate was 0 % (0 of 50 requests)"),
        (SLOW, Window(50, refused=50), True, "missing", "none of its 50 requests was answered"),
        (ERRORS, Window(), False, "missing", "no request reached the new version"),
        (ERRORS, Window(1000, 10), True, "holds", "error_rate was 1 % (10 of 1,000 requests)"),
        (ERRORS, Window(1000, 11), True, "breached", "1.1 % (11 of 1,000 requests), at most 1 % is allowed"),
        # One error among few may be chance, and is not worth a rollback before the time is over; all failing is none.
        (ERRORS, Window(20, 1), False, "holds", ""),
        (ERRORS, Window(20, 1), True, "breached", ""),
        (ERRORS, Window(3, 3), False, "breached", "error_rate was 100 % (3 of 3 requests)"),
        (ERRORS, Window(1_000_000, 20_000), False, "breached", ""),
        (Alarm(metric="error_rate", above=0), Window(9, 1), False, "breached", "at most 0 % is allowed"),
        (SLOW, Window(100, 0, ((0.1, 99), (1.0, 100))), True, "holds", "p99 was 100 ms (100 requests)"),
        (SLOW, Window(100, 0, ((0.1, 90), (1.0, 100))), True, "breached", "p99 was 910 ms"),
        (SLOW, Window(3, 0, ((0.1, 2), (1.0, 3))), False, "holds", ""),
        (SLOW, Window(100, 0, ((0.1, 10), (1.0, 10), (math.inf, 100))), False, "breached", "p99 was 1 s"),
        (Alarm(metric="requests", below=50), Window(10), False, "holds", ""),
        (
            Alarm(metric="requests", below=50),
            Window(10),
            True,
            "breached",
            "there were 10 requests, at least 50 is asked for",
        ),
        (Alarm(metric="requests", below=50), Window(), True, "breached", ""),
    ],
)
def test_an_alarm_is_judged(alarm: Alarm, seen: Window, final: bool, outcome: str, told: str) -> None:
    found = judgement.judge(alarm, seen, None, final=final)
    assert found.outcome == outcome
    assert told in found.text


@pytest.mark.parametrize(
    ("alarm", "value", "outcome"),
    [
        ({"above": 3}, 3.0, "holds"),
        ({"above": 3}, 3.5, "breached"),
        ({"below": 3}, 3.5, "holds"),
        ({"below": 3}, 2.0, "breached"),
        ({"above": 3}, None, "missing"),
    ],
)
def test_a_query_counts_at_every_look(alarm: dict[str, float], value: float | None, outcome: str) -> None:
    found = judgement.judge(Alarm.model_validate({"query": "up", **alarm}), Window(), value, final=False)
    assert found.outcome == outcome


@given(st.integers(1, 3000), st.floats(0.001, 0.5))
def test_a_version_that_keeps_its_bound_is_never_stopped_early(requests: int, allowed: float) -> None:
    errors = math.floor(requests * allowed)
    alarm = Alarm(metric="error_rate", above=allowed)
    assert judgement.judge(alarm, Window(requests, errors), None, final=False).outcome == "holds"


def test_what_a_killed_deployment_left_is_put_back(tmp_path: Path) -> None:
    old, new = declared(variant("main", "1")), declared(variant("main", "2"))
    declarations.write(tmp_path, new)
    assert undo.mend(tmp_path) == [], "nobody was killed"
    undo.keep(tmp_path, "e", old)
    with undo.deploying(tmp_path, "e", lambda: pytest.fail("nobody else deploys")):
        assert undo.mend(tmp_path) == [], "it is under way"
        assert undo.previous(tmp_path, "e") == old
    assert undo.mend(tmp_path) == ["e"]
    assert declarations.read(tmp_path, "e") == old
    assert undo.mend(tmp_path) == []
    # Another version of this program may have written what this one cannot read: the endpoint goes on as it is.
    declarations.file(tmp_path, "e").with_name(".e.before").write_text('{"version": 9}')
    assert undo.mend(tmp_path) == ["e"]
    assert declarations.read(tmp_path, "e") == old
    undo.keep(tmp_path, "e", None)
    assert undo.mend(tmp_path) == ["e"]
    assert declarations.names(tmp_path) == [], "a first version that nothing has proved"


def test_who_deploys_second_waits_and_says_so(tmp_path: Path) -> None:
    said: list[str] = []
    held, over = threading.Event(), threading.Event()

    def first() -> None:
        with undo.deploying(tmp_path, "e", lambda: None):
            held.set()
            over.wait(30)

    thread = threading.Thread(target=first)
    thread.start()
    held.wait(30)

    def waiting() -> None:
        said.append("waiting")
        over.set()

    with undo.deploying(tmp_path, "e", waiting):
        thread.join(30)
    assert said == ["waiting"]


@dataclass(slots=True)
class Scene:
    """An endpoint in which every second of a made-up clock adds what `adds` says."""

    adds: Callable[[int, float], Reading] = lambda percent, seconds: Reading()
    now: float = 0.0
    percent: int = -1
    shifted: list[tuple[float, int]] = field(default_factory=list)
    said: list[str] = field(default_factory=list)
    progressed: list[tuple[float, float]] = field(default_factory=list)
    counted: Reading = field(default_factory=Reading)
    deaf: bool = False
    values: Sequence[float | None] = ()
    asked: list[str] = field(default_factory=list)
    changed_at: float = math.inf

    def shift(self, percent: int) -> tuple[str, ...]:
        self.percent = percent
        self.shifted.append((round(self.now, 3), percent))
        return ("main" if percent == 100 else "main-next",)

    def read(self) -> Reading:
        if self.deaf:
            raise BackendError("model server", "it ended meanwhile")
        return self.counted

    def check(self) -> None:
        if self.now >= self.changed_at:
            raise OrchestratorError("somebody else changed or stopped it meanwhile")

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        self.counted = self.counted.plus(self.adds(self.percent, seconds))

    def ask(self, url: str, query: str, largest: bool) -> float | None:
        self.asked.append(query)
        value = self.values[min(len(self.asked), len(self.values)) - 1]
        if value is None:
            raise BackendError("Prometheus", f"{url} does not answer: connection refused")
        return value

    def run(self, plan: Plan) -> tuple[control.Stage, ...]:
        def progress(done: float, total: float, _: str) -> None:
            self.progressed.append((done, total))

        made = control.Control(plan, self, "e", self.said.append, progress, self.ask, lambda: self.now, self.sleep)
        made.quiet()
        return made.run()


def steady(errors: float = 0.0, seconds: float = 0.05) -> Callable[[int, float], Reading]:
    """Ten requests a second, of which the new version gets its share and fails `errors` of it."""

    def added(percent: int, passed: float) -> Reading:
        name = "main" if percent == 100 else "main-next"
        count = passed * percent / 10
        bounds = {("", "request_seconds_bucket", name, bound): count for bound in ("0.1", "1", "+Inf")}
        if seconds > 0.1:
            bounds["", "request_seconds_bucket", name, "0.1"] = 0.0
        codes = {"200": count * (1 - errors), "500": count * errors}
        told = {("", "requests_total", name, code): value for code, value in codes.items()}
        others = {("", "requests_total", "main-old", "500"): passed * 10}
        return Reading({**told, **bounds, **others})

    return added


CANARY = Plan("canary", 10, 60.0, (ERRORS, SLOW))


@dataclass(slots=True)
class Forgetful(Scene):
    """One of its two replicas is not there at every second look; it fails all it did long before the rollout."""

    looks: int = 0

    def read(self) -> Reading:
        self.looks += 1
        old = {("two", "requests_total", "main-next", "500"): 1000.0} if self.looks % 2 else {}
        return Reading({**self.counted.counts, **old})


def test_a_replica_that_is_silent_for_a_moment_is_not_counted_anew() -> None:
    scene = Forgetful(steady())
    first, _ = scene.run(CANARY)
    assert (first.requests, first.alarms["error_rate"]) == (60, 0.0)


def test_a_query_may_name_the_version() -> None:
    scene = Scene(steady(), values=[0.0] * 500)
    plan = Plan(
        "canary", 10, 60.0, (Alarm(query='up{v=~"$version",n=~"$variant",e="$endpoint"}', above=1),), "http://p"
    )
    scene.run(plan)
    assert scene.asked[1] == 'up{v=~".*",n=~"main-next",e="e"}'


@given(st.integers(1, 300), st.integers(0, 300), st.sampled_from([0.01, 0.05, 0.2]))
def test_what_is_stopped_early_is_improbable(requests: int, errors: int, allowed: float) -> None:
    errors = min(errors, requests)
    alarm = Alarm(metric="error_rate", above=allowed)
    seen = Window(requests, errors)
    if judgement.judge(alarm, seen, None, final=False).outcome == "breached":
        by_chance = (
            math.comb(requests, count) * allowed**count * (1 - allowed) ** (requests - count)
            for count in range(errors, requests + 1)
        )
        assert sum(by_chance) <= 0.01


def test_a_good_version_gets_everything_in_the_end() -> None:
    scene = Scene(steady(errors=0.001))
    first, last = scene.run(CANARY)
    assert scene.shifted == [(0.0, 10), (60.0, 100)]
    assert (first.percent, first.seconds, first.requests) == (10, 60.0, 60)
    assert (last.percent, last.requests) == (100, 600)
    assert first.alarms["error_rate"] == pytest.approx(0.001)
    assert first.alarms["p99"] < 0.1
    kept = "{} kept its bounds: error_rate was 0.1 % ({} of {} requests), at most 1 % is allowed; "
    kept += "p99 was 99 ms ({} requests), at most 500 ms is allowed"
    assert scene.said == [
        "10 % of the traffic, watched for 1 m",
        kept.format("10 %", "0", "60", "60"),
        "100 % of the traffic, watched for 1 m",
        kept.format("100 %", "1", "600", "600"),
    ]
    assert 3 <= scene.progressed[0][0] < 5
    assert scene.progressed[-1] == (120.0, 120.0)
    assert len(scene.progressed) <= 45


def test_a_bad_version_is_stopped_long_before_its_time_is_over() -> None:
    scene = Scene(steady(errors=0.5))
    with pytest.raises(control.AlarmError, match=r"'error_rate' fired at 10 % of the traffic: error_rate was 50 %"):
        scene.run(CANARY)
    assert scene.shifted == [(0.0, 10)]
    assert scene.now < 15


def test_a_slow_version_is_stopped() -> None:
    with pytest.raises(control.AlarmError, match=r"the alarm 'p99' fired at 10 % .*: p99 was 991 ms"):
        Scene(steady(seconds=0.9)).run(CANARY)


def test_a_version_that_is_a_little_worse_is_stopped_at_the_end_of_a_stage() -> None:
    scene = Scene(steady(errors=0.012))
    with pytest.raises(control.AlarmError, match="at most 1 % is allowed"):
        scene.run(CANARY)
    assert scene.now == pytest.approx(60)


def test_what_nobody_asks_cannot_be_judged() -> None:
    scene = Scene()
    with pytest.raises(control.AlarmError, match="no request reached the new version") as caught:
        scene.run(CANARY)
    assert scene.now == pytest.approx(60), "requests may come late"
    assert "counts as a breach" in caught.value.hint


def test_metrics_that_fail_for_a_while_are_asked_again_and_said_once() -> None:
    scene = Scene(steady(), deaf=True)
    with pytest.raises(control.AlarmError, match="no request reached"):
        scene.run(CANARY)
    assert [line for line in scene.said if line.startswith("metrics:")] == ["metrics: model server: it ended meanwhile"]


def test_requests_of_before_the_stage_do_not_count() -> None:
    scene = Scene(counted=reading.read(exposed({("main-next", "500"): 100}), "e"))
    with pytest.raises(control.AlarmError, match="no request reached"):
        scene.run(CANARY)


QUERY = Alarm(query='rate(x{e="$endpoint",v=~"$variant"}[1m])', above=3, name="queue")


def test_a_query_names_the_endpoint_and_the_new_variants() -> None:
    scene = Scene(values=[1, 2])
    (stage,) = scene.run(Plan("all_at_once", 10, 10.0, (QUERY,), "http://p"))
    assert scene.asked[0] == 'rate(x{e="e",v=~".*"}[1m])', "asked before anything is changed"
    assert scene.asked[1] == 'rate(x{e="e",v=~"main"}[1m])'
    assert stage.alarms == {"queue": 2}


def test_a_query_that_fires_already_lets_nothing_begin() -> None:
    scene = Scene(values=[7])
    with pytest.raises(control.AlarmError, match="'queue' fires already: 7, at most 3 is allowed"):
        scene.run(Plan("canary", 10, 10.0, (QUERY,), "http://p"))
    assert scene.shifted == []


def test_a_query_that_has_no_answer_in_the_end_is_a_breach() -> None:
    scene = Scene(values=[None])
    with pytest.raises(control.AlarmError, match="its query gave nothing"):
        scene.run(Plan("canary", 10, 10.0, (QUERY,), "http://p"))
    assert [line for line in scene.said if line.startswith("queue:")] == [
        "queue: Prometheus: http://p does not answer: connection refused"
    ]
    recovering = Scene(values=[None, None, 1])
    recovering.run(Plan("canary", 10, 10.0, (QUERY,), "http://p"))
    assert [percent for _, percent in recovering.shifted] == [10, 100]


def test_a_change_by_somebody_else_ends_the_rollout() -> None:
    scene = Scene(steady(), changed_at=30)
    with pytest.raises(OrchestratorError, match="somebody else changed"):
        scene.run(CANARY)
    assert scene.now < 40
