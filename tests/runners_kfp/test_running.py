"""Runs on a server: submitted once, watched, found again, ended, tried again; and what their gates decided."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from orchestrator.errors import NotFoundError, RunError
from orchestrator.runners import kfp
from orchestrator.runners.events import Event, RunFinished, RunStarted, Status, TaskFinished, TaskRetried, Warned
from orchestrator.runners.kfp import Pods
from tests.runners_kfp.conftest import connected
from tests.runners_kfp.server import Server
from tests.runners_kfp.specimens import gate, pipeline, task

Soon = Callable[[float], None]


def request(server: Server, *tasks: dict[str, Any], run: str = "run-1", **how: Any) -> kfp.Request:
    return kfp.Request(connected(server), run, *pipeline(*tasks), arguments=how.pop("arguments", {}), **how)


def outcome(events: list[Event]) -> tuple[str, str]:
    end = events[-1]
    assert isinstance(end, RunFinished)
    return str(end.status), end.reason


def statuses(events: list[Event]) -> dict[str, str]:
    return {event.task.name: str(event.status) for event in events if isinstance(event, TaskFinished)}


def warnings(events: list[Event]) -> list[str]:
    return [event.message for event in events if isinstance(event, Warned)]


def test_a_failure_stops_what_depends_and_says_why(server: Server, soon: Soon) -> None:
    asked = request(
        server, task("bad", "print('error: broken'); sys.exit(3)"), task("next", after=["bad"]), task("beside")
    )
    told: list[str] = []
    pods = Pods(logs=lambda pod: told.append(pod) or ["starting", "error: broken", ""])
    events = list(kfp.run(replace(asked, pods=pods), sleep=soon))
    assert isinstance(events[0], RunStarted)
    assert [each.name for each in events[0].tasks] == ["bad", "beside", "next"]
    assert statuses(events) == {"bad": "FAILED", "next": "UNSCHEDULABLE", "beside": "SUCCEEDED"}
    assert outcome(events) == ("FAILED", "bad: broken")
    assert server.state.stock.native or told  # A server with ML Metadata never says why.


@pytest.mark.parametrize(
    ("said", "status", "reason"),
    [("published", "SUCCEEDED", ""), ("rejected", "REJECTED", "f1 = 0.8"), ("undecided", "UNDECIDED", "f1 = 0.8")],
)
def test_the_gates_word_is_the_runs(said: str, status: str, reason: str, server: Server, soon: Soon) -> None:
    pods = Pods(logs=lambda _: ["reading", f"{said}: f1 = 0.8"])
    assert outcome(list(kfp.run(request(server, gate("g", said), pods=pods), sleep=soon))) == (status, reason)


def test_the_gates_word_is_read_from_its_file(server: Server, soon: Soon, tmp_path: Any) -> None:
    asked = request(server, gate("g", "rejected"), pipeline_root=f"file://{tmp_path}/root")

    def started(identity: str) -> None:  # Where KFP's launcher would put it.
        place = tmp_path / "root" / "specimen" / identity / "g" / "0f3c" / "decision"
        place.parent.mkdir(parents=True)
        place.write_text('{"decision": "rejected", "reason": "by file"}')

    status, reason = outcome(list(kfp.run(replace(asked, started=started), sleep=soon)))
    assert (status, reason) == ("REJECTED", "f1 = 0.8" if server.state.stock.native else "by file")


def test_a_gate_nobody_can_hear_is_warned_of(server: Server, soon: Soon) -> None:
    events = list(kfp.run(request(server, gate("g", "rejected")), sleep=soon))
    if server.state.stock.native:
        assert outcome(events) == ("REJECTED", "f1 = 0.8")
    else:
        assert outcome(events) == ("SUCCEEDED", "")
        assert any("what the gate decided is not known" in each for each in warnings(events))


def test_a_second_run_takes_from_the_cache_unless_told_not_to(server: Server, soon: Soon) -> None:
    cached = task("slow", cache=True)
    for run, use_cache, wanted in (("a", True, "SUCCEEDED"), ("b", True, "SKIPPED"), ("c", False, "SUCCEEDED")):
        events = list(kfp.run(request(server, cached, run=run, use_cache=use_cache), sleep=soon))
        assert statuses(events) == {"slow": wanted}, run
    assert len(server.state.stock.pipelines) == 1
    assert (
        len(server.state.stock.versions) == 2
    )  # An unchanged pipeline makes no new version; without a cache it differs.


def test_attempts_are_told(server: Server, soon: Soon, tmp_path: Any) -> None:
    code = f"p = '{tmp_path}/once'; x = os.path.exists(p); open(p, 'w'); sys.exit(0 if x else 7)"
    events = list(kfp.run(request(server, task("flaky", code, retry=2)), sleep=soon))
    assert statuses(events) == {"flaky": "SUCCEEDED"}
    assert [event.attempt for event in events if isinstance(event, TaskRetried)] == [1]


def test_a_run_is_found_again_after_we_died(server: Server, soon: Soon) -> None:
    asked = request(server, task("nap", "time.sleep(0.5)"))

    def die(_: str) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        list(kfp.run(replace(asked, started=die), sleep=soon))
    found = kfp.find(asked.connection, "run-1")
    events = list(kfp.run(asked, sleep=soon))
    assert outcome(events) == ("SUCCEEDED", "")
    assert list(server.state.stock.runs) == [found]
    # By KFP's id too, when it has long ended.
    again = list(kfp.run(replace(asked, existing=found), sleep=soon))
    assert statuses(again) == {"nap": "SUCCEEDED"}
    assert kfp.find(asked.connection, "run-2") == ""


def test_a_name_is_not_taken_for_another_run(native: Server, soon: Soon) -> None:
    list(kfp.run(request(native, task("a")), sleep=soon))
    with pytest.raises(RunError, match="of another pipeline or with other arguments"):
        list(kfp.run(request(native, task("a"), arguments={"word": "other"}), sleep=soon))


@pytest.mark.parametrize("called", ["CANCELED", "FAILED"])
def test_a_run_is_ended(called: str, server: Server, soon: Soon) -> None:
    server.state.stock.terminated_are = called
    asked = request(server, task("long", "time.sleep(60)"), task("after", after=["long"]), task("short"))
    known: list[str] = []
    events: list[Event] = []
    ended: list[bool] = []
    for event in kfp.run(replace(asked, started=known.append, cancelled=lambda: bool(ended)), sleep=soon):
        events.append(event)
        if isinstance(event, TaskFinished) and event.task.name == "short":
            kfp.cancel(asked.connection, known[0])
            ended.append(True)
    assert outcome(events)[0] == "CANCELLED"
    assert statuses(events) == {"long": "CANCELLED", "after": "CANCELLED", "short": "SUCCEEDED"}
    kfp.cancel(asked.connection, known[0])  # What has ended stays as it is.
    with pytest.raises(NotFoundError):
        kfp.cancel(asked.connection, "nobody")


def test_a_failed_run_goes_on_where_it_failed(server: Server, soon: Soon, tmp_path: Any) -> None:
    trace, mend = tmp_path / "trace", tmp_path / "mended"
    asked = request(
        server,
        task("once", f"open('{trace}', 'a').write('x')"),
        task("broken", f"sys.exit(not os.path.exists('{mend}'))", after=["once"]),
    )
    assert outcome(list(kfp.run(asked, sleep=soon)))[0] == "FAILED"
    mend.touch()
    identity = kfp.find(asked.connection, "run-1")
    kfp.retry(asked.connection, identity)
    events = list(kfp.run(replace(asked, existing=identity), sleep=soon))
    assert outcome(events) == ("SUCCEEDED", "")
    assert trace.read_text() == "x"
    with pytest.raises(RunError, match="went well"):
        kfp.retry(asked.connection, identity)


def test_a_pod_that_does_not_get_on_is_spoken_of(server: Server, soon: Soon) -> None:
    asked = request(server, task("train", "time.sleep(1.5)"))
    pods = Pods(troubles=lambda run: {f"{run}-pod-1": "ImagePullBackOff: no such image example/specimen"})
    events = list(kfp.run(replace(asked, pods=pods, stuck=0), sleep=soon))
    told = [each for each in warnings(events) if "ImagePullBackOff" in each]
    assert len(told) == 1
    assert outcome(events)[0] == Status.SUCCEEDED


def test_pods_are_told_by_task(server: Server, soon: Soon) -> None:
    asked = request(server, task("a"), task("b", after=["a"]))
    list(kfp.run(asked, sleep=soon))
    found = kfp.pods(asked.connection, kfp.find(asked.connection, "run-1"), asked.pipeline, asked.platform)
    assert {each.task.name: len(each.pods) for each in found} == {"a": 1, "b": 1}
    assert len({pod for each in found for pod in each.pods}) == 2


def test_a_server_that_is_gone_for_a_while_does_not_end_the_watching(native: Server, soon: Soon) -> None:
    native.fail("503", "/runs/[^/]+$", times=7, skip=1)
    begun = time.monotonic()
    events = list(kfp.run(request(native, task("a", "time.sleep(1.5)")), sleep=lambda _: soon(0.01)))
    assert outcome(events) == ("SUCCEEDED", "")
    assert any("the run goes on, and is looked for again" in each for each in warnings(events))
    assert time.monotonic() - begun < 30
