"""Loops: one iteration per item, in order, never more at once than allowed."""

from __future__ import annotations

import pytest

from orchestrator.runners.events import Status


def most_at_once(trace: list[str]) -> int:
    spans = [line.rsplit(" ", 2)[1:] for line in trace]
    moments = sorted([(float(begin), 1) for begin, _ in spans] + [(float(end), -1) for _, end in spans])
    at_once = most = 0
    for _, step in moments:
        at_once += step
        most = max(most, at_once)
    return most


def test_outputs_are_lists_in_the_order_of_the_items(project):
    project.component(
        "slow", "time.sleep(0.12 - 0.03 * int(a['n'])); put('out', a['n'])", {"n": "integer"}, {"out": "integer"}
    )
    project.pipeline("""
parameters: {items: [0, 1, 2, 3]}
tasks:
  each: {component: slow, foreach: "${parameters.items}", arguments: {n: "${item}"}}
  all: {component: gather, arguments: {items: "${tasks.each.outputs.out}"}}
outputs: {all: "${tasks.all.outputs.out}"}
""")
    ran = project.run()
    assert ran.outputs == {"all": [0, 1, 2, 3]}
    assert all(type(each) is int for each in ran.outputs["all"])
    assert set(ran.statuses) == {"each[0]", "each[1]", "each[2]", "each[3]", "all"}


@pytest.mark.parametrize("limit", [1, 3])
def test_a_limit_is_never_exceeded_and_is_reached(project, limit):
    project.pipeline(f"""
tasks:
  each:
    component: nap
    foreach: [a, b, c, d, e, f]
    parallelism: {limit}
    arguments: {{text: "${{item}}", seconds: {0.3 if limit == 3 else 0.03}}}
""")
    assert project.run().status is Status.SUCCEEDED
    assert len(project.trace) == 6
    assert most_at_once(project.trace) == limit


def test_no_items_give_empty_lists(project):
    project.pipeline("""
parameters: {items: {type: list, default: []}}
tasks:
  each: {component: echo, foreach: "${parameters.items}", arguments: {text: "${item}"}}
  all: {component: gather, arguments: {items: "${tasks.each.outputs.out}"}}
outputs: {all: "${tasks.all.outputs.out}"}
""")
    ran = project.run()
    assert ran.status is Status.SUCCEEDED
    assert ran.outputs == {"all": []}
    assert project.run(items=["a", "b"]).outputs == {"all": ["a", "b"]}


def test_a_loop_in_a_loop_gives_lists_of_lists(project):
    project.pipeline(
        """
parameters: {row: {type: list}}
tasks:
  cell: {component: count, foreach: "${parameters.row}", arguments: {value: "${item}"}}
outputs: {cells: "${tasks.cell.outputs.out}"}
""",
        "row.yaml",
        "row",
    )
    project.pipeline("""
tasks:
  rows: {component: row.yaml, foreach: [[1, 2], [], [3]], arguments: {row: "${item}"}}
  all: {component: gather, arguments: {items: "${tasks.rows.outputs.cells}"}}
outputs: {all: "${tasks.all.outputs.out}"}
""")
    ran = project.run()
    assert ran.outputs == {"all": [[1, 2], [], [3]]}
    assert "rows[0]/cell[1]" in ran.statuses


def test_items_may_be_mappings_and_their_fields_keep_their_types(project):
    project.pipeline("""
tasks:
  each:
    component: echo
    foreach: [{name: a, size: 1}, {name: "it's", size: 2}]
    arguments: {text: "${item.name}/${item.size}"}
  all: {component: gather, arguments: {items: "${tasks.each.outputs.out}"}}
outputs: {all: "${tasks.all.outputs.out}"}
""")
    assert project.run().outputs == {"all": ["a/1", "it's/2"]}


def test_only_the_iterations_that_ran_are_collected(project):
    project.pipeline("""
tasks:
  each: {component: count, foreach: [1, 2, 3, 4], when: "${item} > 2", arguments: {value: "${item}"}}
  all: {component: gather, arguments: {items: "${tasks.each.outputs.out}"}}
outputs: {all: "${tasks.all.outputs.out}"}
""")
    ran = project.run()
    assert ran.outputs == {"all": [3, 4]}
    assert sorted(ran.statuses.values()).count("NOT_TRIGGERED") == 2


def test_one_iteration_fails_the_others_go_on(project):
    project.component("odd", "trace(a['n']); sys.exit(int(a['n']) == 1)", {"n": "integer"})
    project.pipeline("""
tasks:
  each: {component: odd, foreach: [0, 1, 2], arguments: {n: "${item}"}}
  next: {component: mark, after: [each], arguments: {text: next}}
""")
    ran = project.run()
    assert ran.status is Status.FAILED
    assert ran.statuses == {
        "each[0]": "SUCCEEDED",
        "each[1]": "FAILED",
        "each[2]": "SUCCEEDED",
        "next": "UNSCHEDULABLE",
    }
    assert ran.end.reason.startswith("each[1]: exit code 1")


def test_artifacts_of_a_loop_are_one_row(project):
    project.component("size", "put('out', str(len(a['all'])))", {"all": "list"}, {"out": "integer"})
    project.pipeline("""
tasks:
  each: {component: write, foreach: [a, b], arguments: {text: "${item}"}}
  back: {component: read, foreach: [0, 1], arguments: {data: "${tasks.one.outputs.out}"}}
  one: {component: write, arguments: {text: same}}
""")
    ran = project.run()
    assert [ran.file(f"each[{i}]") for i in range(2)] == ["a", "b"]
    assert [ran.value(f"back[{i}]") for i in range(2)] == ["same", "same"]


def test_what_is_no_list_fails_the_loop_in_words(project):
    project.component("text", "put('out', '{\"a\": 1}')", {}, {"out": "list"})
    project.pipeline("""
tasks:
  make: {component: text}
  each: {component: echo, foreach: "${tasks.make.outputs.out}", arguments: {text: "${item}"}}
""")
    ran = project.run()
    assert ran.status is Status.FAILED
    assert "is not LIST" in ran.tasks["make"].reason.replace("which is not a list", "is not LIST")


def test_many_iterations(project):
    project.component("quick", "put('out', a['n'])", {"n": "integer"}, {"out": "integer"})
    project.pipeline(f"""
tasks:
  each: {{component: quick, foreach: {list(range(60))}, arguments: {{n: "${{item}}"}}}}
  all: {{component: gather, arguments: {{items: "${{tasks.each.outputs.out}}"}}}}
outputs: {{all: "${{tasks.all.outputs.out}}"}}
""")
    assert project.run().outputs == {"all": list(range(60))}
