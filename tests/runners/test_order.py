"""Who runs when: order, data, side by side, conditions and what follows from them."""

from __future__ import annotations

import pytest

from orchestrator.runners.events import Status


def spans(trace: list[str]) -> list[tuple[str, float, float]]:
    return [(name, float(begin), float(end)) for name, begin, end in (line.rsplit(" ", 2) for line in trace)]


def most_at_once(trace: list[str]) -> int:
    moments = sorted([(begin, 1) for _, begin, _ in spans(trace)] + [(end, -1) for _, _, end in spans(trace)])
    at_once = most = 0
    for _, step in moments:
        at_once += step
        most = max(most, at_once)
    return most


def test_data_flows_from_task_to_task_whatever_their_order_in_the_file(project):
    project.pipeline("""
parameters: {word: hello}
tasks:
  third: {component: echo, arguments: {text: "<${tasks.second.outputs.out}>"}}
  second: {component: read, arguments: {data: "${tasks.first.outputs.out}"}}
  first: {component: write, arguments: {text: "${parameters.word} wörld"}}
outputs: {said: "${tasks.third.outputs.out}"}
""")
    ran = project.run()
    assert ran.status is Status.SUCCEEDED
    assert ran.outputs == {"said": "<hello wörld>"}
    assert ran.started == ["first", "second", "third"]
    assert project.run(word="adiós").outputs == {"said": "<adiós wörld>"}


def test_after_orders_without_data(project):
    project.pipeline("""
tasks:
  b: {component: mark, arguments: {text: b}, after: [a]}
  a: {component: nap, arguments: {text: a}}
""")
    assert project.run().status is Status.SUCCEEDED
    assert [line[0] for line in project.trace] == ["a", "b"]


def test_independent_tasks_run_side_by_side_up_to_the_limit_of_workers(project):
    tasks = "".join(f"  t{i}: {{component: nap, arguments: {{text: t{i}, seconds: 0.4}}}}\n" for i in range(4))
    project.pipeline(f"tasks:\n{tasks}")
    assert project.run(cache=False).status is Status.SUCCEEDED
    assert most_at_once(project.trace) == 4
    (project.folder / "trace").unlink()
    project.workers = 2
    project.run(cache=False)
    assert most_at_once(project.trace) == 2


@pytest.mark.parametrize(
    ("when", "status"),
    [
        ("${tasks.a.outputs.out} > 0.85", "SUCCEEDED"),
        ("${tasks.a.outputs.out} > 0.93", "NOT_TRIGGERED"),
        ("${tasks.a.outputs.out} >= 0.93 and ${parameters.word} == 'x'", "SUCCEEDED"),
        ("not (${tasks.a.outputs.out} < 1) or ${parameters.flag}", "NOT_TRIGGERED"),
        ("${parameters.whole} < ${tasks.a.outputs.out}", "NOT_TRIGGERED"),
        ("${parameters.word} in ['a', 'x']", "SUCCEEDED"),
    ],
)
def test_conditions_decide_on_outputs_and_parameters(project, when, status):
    project.pipeline(f"""
parameters: {{word: x, flag: false, whole: 1}}
tasks:
  a: {{component: number, arguments: {{value: 0.93}}}}
  b: {{component: mark, arguments: {{text: b}}, when: "{when}"}}
  c: {{component: mark, arguments: {{text: c}}, after: [b]}}
  d: {{component: mark, arguments: {{text: d}}}}
""")
    ran = project.run()
    assert ran.status is Status.SUCCEEDED
    assert ran.statuses == {"a": "SUCCEEDED", "b": status, "c": status, "d": "SUCCEEDED"}
    assert sorted(project.trace) == (["b", "c", "d"] if status == "SUCCEEDED" else ["d"])


def test_a_condition_that_has_no_truth_fails_its_task_with_text_and_values(project):
    project.component("odd", "put('out', 'NaN')", {}, {"out": "number"})
    project.pipeline("""
tasks:
  a: {component: odd}
  b: {component: mark, arguments: {text: b}, when: "${tasks.a.outputs.out} > 0.85"}
  c: {component: mark, arguments: {text: c}, after: [b]}
""")
    ran = project.run()
    assert ran.status is Status.FAILED
    assert ran.statuses == {"a": "SUCCEEDED", "b": "FAILED", "c": "UNSCHEDULABLE"}
    assert "> 0.85" in ran.tasks["b"].reason
    assert "NaN" in ran.tasks["b"].reason
    assert project.trace == []


def test_a_failure_stops_what_needs_it_and_nothing_else(project):
    project.pipeline("""
tasks:
  bad: {component: fail}
  child: {component: mark, arguments: {text: child}, after: [bad]}
  grandchild: {component: mark, arguments: {text: grandchild}, after: [child]}
  other: {component: nap, arguments: {text: other}}
  after-other: {component: mark, arguments: {text: after-other}, after: [other]}
""")
    ran = project.run()
    assert ran.status is Status.FAILED
    assert ran.end.reason == "bad: it is broken"
    assert ran.statuses == {
        "bad": "FAILED",
        "child": "UNSCHEDULABLE",
        "grandchild": "UNSCHEDULABLE",
        "other": "SUCCEEDED",
        "after-other": "SUCCEEDED",
    }
    assert "'bad' failed" in ran.tasks["child"].reason


def test_one_of_takes_the_branch_that_ran(project):
    project.pipeline("""
parameters: {deep: true}
tasks:
  net: {component: echo, when: "${parameters.deep}", arguments: {text: net}}
  tree: {component: echo, when: "not ${parameters.deep}", arguments: {text: tree}}
  show: {component: echo, arguments: {text: "${one_of(tasks.net.outputs.out, tasks.tree.outputs.out)}"}}
outputs: {chosen: "${one_of(tasks.net.outputs.out, tasks.tree.outputs.out)}"}
""")
    assert project.run().outputs == {"chosen": "net"}
    ran = project.run(deep=False)
    assert ran.outputs == {"chosen": "tree"}
    assert ran.value("show") == "tree"
    assert ran.statuses["net"] == "NOT_TRIGGERED"


@pytest.mark.parametrize(("outcome", "state"), [("mark", "SUCCEEDED"), ("fail", "FAILED")])
def test_finally_runs_whatever_happened_and_is_told_what(project, outcome, state):
    project.component("tell", "put('out', a['status'])", {"status": "TaskFinalStatus"}, {"out": "struct"})
    project.pipeline(f"""
tasks:
  work: {{component: {outcome}, arguments: {{text: x}}}}
  next: {{component: echo, arguments: {{text: y}}, after: [work]}}
finally:
  tell: {{component: tell, arguments: {{status: "${{run.status}}"}}}}
  last: {{component: mark, after: [tell], arguments: {{text: last}}}}
""")
    ran = project.run()
    assert ran.status == state
    told = ran.value("tell")
    assert told["state"] == state
    assert told["error"]["message"] == ("work: it is broken" if state == "FAILED" else "")
    assert project.trace[-1] == "last"


def test_a_finally_that_fails_fails_the_run(project):
    project.pipeline("tasks: {work: {component: mark, arguments: {text: x}}}\nfinally: {clean: {component: fail}}\n")
    ran = project.run()
    assert ran.status is Status.FAILED
    assert ran.end.reason == "clean: it is broken"


def test_a_pipeline_is_a_component_with_a_scope_of_its_own(project):
    project.pipeline(
        """
parameters: {word: {type: string}, times: 2}
tasks:
  say: {component: echo, arguments: {text: "${parameters.word}x${parameters.times}"}}
  again: {component: echo, arguments: {text: "${tasks.say.outputs.out}!"}}
outputs: {out: "${tasks.again.outputs.out}"}
""",
        "inner.yaml",
        "inner",
    )
    project.pipeline("""
tasks:
  say: {component: echo, arguments: {text: outer}}
  one: {component: inner.yaml, arguments: {word: "${tasks.say.outputs.out}"}}
  two: {component: inner.yaml, arguments: {word: b, times: 3}}
outputs: {one: "${tasks.one.outputs.out}", two: "${tasks.two.outputs.out}"}
""")
    ran = project.run()
    assert ran.outputs == {"one": "outerx2!", "two": "bx3!"}
    assert set(ran.statuses) == {"say", "one/say", "one/again", "two/say", "two/again"}


def test_a_failure_inside_a_nested_pipeline_is_told_by_its_own_name(project):
    project.pipeline("tasks: {bad: {component: fail}}\n", "inner.yaml", "inner")
    project.pipeline("tasks:\n  part: {component: inner.yaml}\n  b: {component: fail, after: [part]}\n")
    ran = project.run()
    assert ran.end.reason == "part/bad: it is broken"
    assert ran.statuses == {"part/bad": "FAILED", "b": "UNSCHEDULABLE"}


def test_a_reason_names_the_task_and_not_the_group_around_it(project):
    project.component("bad", "sys.exit('error: no')", outputs={"out": {"type": "integer"}})
    project.component("take", "put('out', a['x'])", {"x": {"type": "integer"}}, {"out": {"type": "integer"}})
    project.pipeline("""
parameters: {go: true}
tasks:
  bad: {component: bad, when: "${parameters.go}"}
  off: {component: bad, when: "not ${parameters.go}"}
  child: {component: take, arguments: {x: "${tasks.bad.outputs.out}"}}
  grandchild: {component: take, arguments: {x: "${tasks.child.outputs.out}"}}
  other: {component: take, arguments: {x: "${tasks.off.outputs.out}"}}
""")
    ran = project.run()
    reasons = {name: ran.tasks[name].reason for name in ("child", "grandchild", "other")}
    assert reasons == {"child": "'bad' failed", "grandchild": "'child' did not run", "other": "'off' did not run"}
