"""Running again: what a new run takes over from an earlier one, and runs of only some tasks."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from contextlib import AbstractContextManager

import pytest

from orchestrator import runs
from orchestrator.errors import NotFoundError, OrchestratorError, PipelineError, RunError
from orchestrator.runners.local import selection
from orchestrator.runs import Options, Wish
from orchestrator.stores.metadata import Metadata
from tests.runners.conftest import Project, Ran

CHAIN = """
parameters: {text: a, loud: false}
tasks:
  first: {component: say, arguments: {text: "${parameters.text}"}, cache: false}
  second: {component: say, arguments: {text: "${tasks.first.outputs.out}2"}}
  third: {component: say, arguments: {text: "${tasks.second.outputs.out}3"}}
  fourth: {component: say, arguments: {text: "${tasks.third.outputs.out}4"}}
  aside: {component: say, arguments: {text: aside}}
outputs: {all: "${tasks.fourth.outputs.out}"}
"""


def say(project: Project, then: str = "") -> None:
    """A component that says its text, leaves a line in the trace, and may do something else first."""
    project.component("say", f"{then}\ntrace(a['text']); put('out', a['text'])", {"text": "string"}, {"out": "string"})


def run(project: Project, *, cache: bool = False, given: dict[str, str] | None = None, **wish: object) -> Ran:
    options = Options(cache=cache, wish=Wish(**wish))  # type: ignore[arg-type]
    return Ran(list(runs.start(project.folder / "pipeline.yaml", given or {}, project.settings, options)))


def again(project: Project, **more: object) -> Ran:
    return run(project, resume="last", **more)  # type: ignore[arg-type]


# -- taking over from a failed run


def test_after_the_code_was_mended_only_the_rest_runs(project: Project) -> None:
    say(project)
    project.component("odd", "sys.exit('error: broken')", {"text": "string"}, {"out": "string"})
    project.pipeline(CHAIN.replace("third: {component: say", "third: {component: odd"))
    failed = run(project)
    assert failed.statuses["third"] == "FAILED"
    project.component("odd", "put('out', a['text'])", {"text": "string"}, {"out": "string"})
    mended = again(project)
    assert mended.started == ["third", "fourth"]
    assert mended.statuses == {
        "first": "SKIPPED", "second": "SKIPPED", "aside": "SKIPPED", "third": "SUCCEEDED", "fourth": "SUCCEEDED",
    }  # fmt: skip
    assert mended.tasks["first"].cached_from == f"{failed.end.run}/first"
    assert mended.outputs == {"all": "a234"}
    assert mended.end.run != failed.end.run
    with _open(project) as metadata:
        assert metadata.run(failed.end.run).status == "FAILED"
        assert {task.status for task in metadata.tasks(mended.end.run)} == {"SKIPPED", "SUCCEEDED"}


def test_what_the_edit_changed_runs_and_what_comes_after_it_only_if_its_input_changed(project: Project) -> None:
    say(project)
    project.component("same", "trace('same'); put('out', 'x')", {"text": "string"}, {"out": "string"})
    project.pipeline(CHAIN.replace("second: {component: say", "second: {component: same"))
    run(project)
    project.component("same", "trace('edited'); put('out', 'x')", {"text": "string"}, {"out": "string"})
    assert again(project).started == ["second"]
    project.component("same", "put('out', 'y')", {"text": "string"}, {"out": "string"})
    assert again(project).started == ["second", "third", "fourth"]


def test_the_pipeline_file_may_change_its_shape(project: Project) -> None:
    say(project)
    project.pipeline(CHAIN)
    run(project)
    changed = CHAIN.replace("outputs:", "finally:\n  last: {component: say, arguments: {text: bye}}\noutputs:")
    project.pipeline(changed.replace("  aside:", "  new: {component: say, arguments: {text: new}}\n  aside:"))
    after = again(project)
    # `first` is not to be cached, and is another task now: it moved into the group that `finally` watches.
    assert sorted(after.started) == ["first", "last", "new"]
    assert after.statuses["aside"] == "SKIPPED"


def test_arguments_are_those_of_the_earlier_run_unless_given(project: Project) -> None:
    say(project)
    project.pipeline(CHAIN)
    run(project, given={"text": "b"})
    assert again(project).outputs == {"all": "b234"}
    assert again(project, given={"text": "c"}).outputs == {"all": "c234"}
    # What was left at its default follows the file.
    run(project)
    project.pipeline(CHAIN.replace("text: a,", "text: z,"))
    assert again(project).outputs == {"all": "z234"}


def test_two_tasks_that_are_alike_and_not_to_be_cached_stay_two(project: Project) -> None:
    project.component("sample", "put('out', str(time.time_ns()))", {}, {"out": "string"})
    project.component("broken", "sys.exit(1)")
    two = "tasks:\n  one: {component: sample, cache: false}\n  bad: {component: broken}\n"
    project.pipeline(two)
    first = run(project)
    project.pipeline(two + "  two: {component: sample, cache: false}\n")
    second = again(project)
    assert second.value("one") == first.value("one") != second.value("two")


def test_iterations_that_finished_are_taken_over(project: Project) -> None:
    say(project)
    picky = "if a['text'] == 'b': sys.exit('error: no b')"
    project.component("pick", f"{picky}\nput('out', a['text'])", {"text": "string"}, {"out": "string"})
    project.pipeline("""
tasks:
  each: {component: pick, foreach: [a, b, c], arguments: {text: "${item}"}, cache: false}
  all: {component: gather, arguments: {items: "${tasks.each.outputs.out}"}}
outputs: {all: "${tasks.all.outputs.out}"}
""")
    assert run(project).status == "FAILED"
    same = again(project)
    assert same.started == ["each[1]"]
    assert same.status == "FAILED"
    project.component("pick", "put('out', a['text'])", {"text": "string"}, {"out": "string"})
    # The code of all three is another now.
    mended = again(project)
    assert mended.started == ["each[0]", "each[1]", "each[2]", "all"]
    assert mended.outputs == {"all": ["a", "b", "c"]}


def test_a_chain_of_takeovers_loses_nothing(project: Project) -> None:
    """The second run fails before it came to a task that the first had finished."""
    say(project)
    project.component("odd", "sys.exit(1)", {"text": "string"}, {"out": "string"})
    project.pipeline(CHAIN.replace("fourth: {component: say", "fourth: {component: odd"))
    run(project)
    project.component("say", "sys.exit(1)", {"text": "string"}, {"out": "string"})
    assert again(project).status == "FAILED"
    say(project)
    project.component("odd", "put('out', a['text'])", {"text": "string"}, {"out": "string"})
    assert again(project).started == ["fourth"]


def test_a_run_that_takes_over_is_killed_and_goes_on(project: Project) -> None:
    say(project)
    project.component("slow", "time.sleep(60)", {"text": "string"}, {"out": "string"})
    project.pipeline(CHAIN.replace("fourth: {component: say", "fourth: {component: slow"))
    _killed(project, "first-run", "fourth")
    _killed(project, "second-run", "fourth", resume="first-run")
    with _open(project) as metadata:
        assert metadata.run("second-run").options["earlier"] == "first-run"
        assert {task.name for task in metadata.tasks("second-run") if task.status == "SKIPPED"} == {
            "first", "second", "third", "aside",
        }  # fmt: skip
    project.component("slow", "put('out', a['text'])", {"text": "string"}, {"out": "string"})
    done = again(project)
    assert done.started == ["fourth"]
    assert project.trace.count("a") == 1


def test_two_at_once_take_over_from_one(project: Project) -> None:
    say(project)
    project.component("odd", "sys.exit(1)", {"text": "string"}, {"out": "string"})
    project.pipeline(CHAIN.replace("fourth: {component: say", "fourth: {component: odd"))
    run(project)
    project.component("odd", "time.sleep(0.5); put('out', a['text'])", {"text": "string"}, {"out": "string"})
    code = (
        "import sys, pathlib\nfrom orchestrator import runs, settings\n"
        "folder = pathlib.Path(sys.argv[1])\n"
        "found = settings.read({'ORC_STATE': str(folder / 'state')}, folder)\n"
        "wish = runs.Wish(resume=sys.argv[2])\n"
        "print(*[e.outputs.parameters['all'] for e in runs.start(folder / 'pipeline.yaml', {}, found,"
        " runs.Options(cache=False, wish=wish)) if type(e).__name__ == 'RunFinished'])"
    )
    with _open(project) as metadata:
        last = metadata.run("last").id
    both = [
        subprocess.Popen([sys.executable, "-c", code, str(project.folder), last], stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    assert [each.communicate(timeout=60)[0] for each in both] == ["a234\n", "a234\n"]
    assert project.trace.count("a") == 1


def test_there_must_be_a_run_to_take_over_from(project: Project) -> None:
    say(project)
    project.pipeline(CHAIN)
    with pytest.raises(RunError, match="the pipeline 'demo' has not run yet"):
        again(project)
    run(project)
    project.pipeline(CHAIN, name="other")
    with pytest.raises(RunError, match="is one of the pipeline 'demo', not of 'other'"):
        run(project, resume="demo")
    with pytest.raises(NotFoundError):
        run(project, resume="nothing")


# -- only some tasks


def test_only_runs_exactly_these_and_takes_their_inputs_from_before(project: Project) -> None:
    say(project)
    project.pipeline(CHAIN)
    whole = run(project)
    before = len(project.trace)
    some = run(project, cache=True, only=("third",))
    assert some.started == ["third"]
    assert some.statuses == {
        "first": "NOT_TRIGGERED", "second": "SKIPPED", "third": "SUCCEEDED", "fourth": "NOT_TRIGGERED",
        "aside": "NOT_TRIGGERED",
    }  # fmt: skip
    assert some.tasks["second"].cached_from == f"{whole.end.run}/second"
    assert some.tasks["aside"].reason == "not selected"
    assert project.trace[before:] == ["a23"]
    assert some.status == "SUCCEEDED"


def test_from_runs_all_that_comes_after(project: Project) -> None:
    say(project)
    project.pipeline(CHAIN)
    run(project)
    some = run(project, cache=True, since=("third",))
    assert some.started == ["third", "fourth"]
    assert some.outputs == {"all": "a234"}
    assert some.statuses["aside"] == "NOT_TRIGGERED"


def test_inputs_come_from_the_last_run_that_has_them(project: Project) -> None:
    say(project)
    project.pipeline(CHAIN)
    good = run(project, given={"text": "good"})
    say(project, "sys.exit(1)")
    assert run(project).status == "FAILED"
    say(project)
    some = run(project, only=("fourth",))
    # The arguments are those of the run the inputs come from.
    assert some.outputs == {"all": "good234"}
    assert some.tasks["third"].cached_from == f"{good.end.run}/third"
    newer = run(project, given={"text": "new"})
    assert run(project, only=("fourth",)).outputs == {"all": "new234"}
    assert run(project, only=("fourth",), of=good.end.run).outputs == {"all": "good234"}
    assert newer.status == "SUCCEEDED"


def test_what_cannot_be_had_is_told_before_anything_starts(project: Project) -> None:
    say(project)
    project.pipeline(CHAIN)
    with pytest.raises(RunError) as told:
        run(project, only=("third",))
    assert "the task 'third' needs the output 'out' of 'second' as its input 'text'" in told.value.message
    assert "has not run yet" in told.value.message
    say(project, "if a['text'] != 'aside': sys.exit(1)")
    failed = run(project)
    with pytest.raises(RunError, match=f"which the run {failed.end.run} lacks"):
        run(project, only=("third",))
    with _open(project) as metadata:
        assert len(metadata.runs()) == 1
    # What needs nothing runs at once.
    assert run(project, only=("aside",)).statuses["aside"] == "SUCCEEDED"


def test_an_artifact_that_is_gone_cannot_be_had(project: Project) -> None:
    project.pipeline("""
tasks:
  make: {component: write, arguments: {text: hello}}
  use: {component: read, arguments: {data: "${tasks.make.outputs.out}"}}
""")
    first = run(project)
    assert run(project, only=("use",)).value("use") == "hello"
    first.tasks["make"].outputs.artifacts["out"][0].path.unlink()
    with pytest.raises(RunError, match="needs the output 'out' of 'make'"):
        run(project, only=("use",))


def test_an_unknown_name_is_not_guessed(project: Project) -> None:
    say(project)
    project.pipeline(CHAIN)
    with pytest.raises(NotFoundError) as told:
        run(project, only=("thirt",))
    assert "there is no task 'thirt'" in told.value.message
    assert told.value.hint == "did you mean 'third'?"


LOOP = """
parameters: {names: [a, b]}
tasks:
  each: {component: say, foreach: "${parameters.names}", arguments: {text: "${item}"}}
  all: {component: gather, arguments: {items: "${tasks.each.outputs.out}"}}
  other: {component: say, arguments: {text: other}}
"""


def test_a_loop_is_taken_over_and_run_as_a_whole(project: Project) -> None:
    say(project)
    project.pipeline(LOOP)
    run(project)
    some = run(project, only=("all",))
    assert some.statuses == {
        "each[0]": "SKIPPED", "each[1]": "SKIPPED", "all": "SUCCEEDED", "other": "NOT_TRIGGERED",
    }  # fmt: skip
    assert some.value("all") == ["a", "b"]
    whole = run(project, only=("each",))
    assert whole.started == ["each[0]", "each[1]"]
    assert whole.statuses["all"] == "NOT_TRIGGERED"
    assert run(project, since=("each",)).started == ["each[0]", "each[1]", "all"]
    with pytest.raises(NotFoundError) as told:
        run(project, only=("each[1]",))
    assert told.value.hint == "a loop runs as a whole: each"


def test_a_loop_with_no_iteration_gives_an_empty_list(project: Project) -> None:
    say(project)
    project.pipeline(LOOP)
    run(project, given={"names": "[]"})
    assert run(project, only=("all",)).value("all") == []


def test_a_loop_of_which_an_iteration_failed_cannot_be_had(project: Project) -> None:
    say(project, "if a['text'] == 'b': sys.exit(1)")
    project.pipeline(LOOP)
    run(project)
    with pytest.raises(RunError, match="needs the output 'out' of 'each'"):
        run(project, only=("all",))


def test_rounds_that_left_no_trace_are_counted(project: Project) -> None:
    """A loop over rows, in each a loop over its words; the last row is empty."""
    say(project)
    project.pipeline(
        """
parameters: {words: {type: list}}
tasks:
  each: {component: say, foreach: "${parameters.words}", arguments: {text: "${item}"}}
outputs: {all: "${tasks.each.outputs.out}"}
""",
        file="row.yaml",
        name="row",
    )
    project.pipeline("""
parameters: {rows: [[a, b], [], [c], []]}
tasks:
  row: {component: row.yaml, foreach: "${parameters.rows}", arguments: {words: "${item}"}}
  all: {component: gather, arguments: {items: "${tasks.row.outputs.all}"}}
""")
    whole = run(project)
    assert whole.value("all") == [["a", "b"], [], ["c"], []]
    some = run(project, only=("all",))
    assert some.started == ["all"]
    assert some.value("all") == [["a", "b"], [], ["c"], []]


GATED = """
parameters: {go: true}
tasks:
  decide: {component: say, arguments: {text: "yes"}}
  act: {component: say, when: "${tasks.decide.outputs.out} == 'yes' and ${parameters.go}", arguments: {text: act}}
  else: {component: say, when: "${tasks.decide.outputs.out} != 'yes'", arguments: {text: else}}
  either: {component: say, arguments: {text: "${one_of(tasks.act.outputs.out, tasks.else.outputs.out)}"}}
finally:
  tell: {component: tell, arguments: {status: "${run.status}", said: "${tasks.decide.outputs.out}"}}
"""


def test_conditions_are_asked_and_finally_runs_if_it_is_chosen_or_comes_after(project: Project) -> None:
    say(project)
    told = {"status": "TaskFinalStatus", "said": {"type": "string", "optional": True}}
    project.component("tell", "import json; put('out', json.loads(a['status'])['state'] + a.get('said', ''))", told,
                      {"out": "string"})  # fmt: skip
    project.pipeline(GATED)
    run(project)
    only = run(project, only=("act",))
    assert only.started == ["act"]
    assert only.statuses == {
        "decide": "SKIPPED", "act": "SUCCEEDED", "else": "NOT_TRIGGERED", "either": "NOT_TRIGGERED",
        "tell": "NOT_TRIGGERED",
    }  # fmt: skip
    closed = run(project, only=("act",), given={"go": "false"})
    assert closed.started == []
    assert closed.tasks["act"].reason == "its condition is false"
    since = run(project, since=("act",), given={"go": "true"})
    assert since.started == ["act", "either", "tell"]
    last = run(project, only=("tell",))
    assert last.started == ["tell"]
    assert last.tasks["decide"].status == "SKIPPED"
    assert last.value("tell") == "SUCCEEDEDyes"
    other = run(project, only=("either",))
    assert (other.started, other.statuses["act"], other.statuses["else"]) == (["either"], "SKIPPED", "NOT_TRIGGERED")
    assert other.value("either") == "act"


def test_a_task_inside_a_nested_pipeline(project: Project) -> None:
    say(project)
    project.pipeline(
        """
parameters: {text: {type: string}, unused: {type: string}}
tasks:
  one: {component: say, arguments: {text: "${parameters.text}1"}}
  two: {component: say, arguments: {text: "${tasks.one.outputs.out}2"}}
  lone: {component: say, arguments: {text: "${parameters.unused}"}}
outputs: {out: "${tasks.two.outputs.out}"}
""",
        file="inner.yaml",
        name="inner",
    )
    project.pipeline("""
tasks:
  begin: {component: say, arguments: {text: b}}
  aside: {component: say, arguments: {text: s}}
  inner: {component: inner.yaml, arguments: {text: "${tasks.begin.outputs.out}", unused: "${tasks.aside.outputs.out}"}}
  end: {component: say, arguments: {text: "${tasks.inner.outputs.out}e"}}
""")
    whole = run(project)
    two = run(project, only=("inner/two",))
    assert two.started == ["inner/two"]
    assert {name for name, status in two.statuses.items() if status == "SKIPPED"} == {"inner/one"}
    one = run(project, only=("inner/one",))
    # What only `lone` would have used is not asked for.
    assert {name for name, status in one.statuses.items() if status == "SKIPPED"} == {"begin"}
    assert run(project, since=("inner/two",)).started == ["inner/two", "end"]
    assert run(project, only=("inner",)).started == ["inner/lone", "inner/one", "inner/two"]
    end = run(project, only=("end",))
    assert end.value("end") == whole.value("end") == "b12e"
    assert {name for name, status in end.statuses.items() if status == "SKIPPED"} == {"inner/two"}


def test_order_alone_needs_nothing_of_before(project: Project) -> None:
    say(project)
    project.pipeline("""
tasks:
  one: {component: say, arguments: {text: one}}
  two: {component: say, arguments: {text: two}, after: [one]}
""")
    assert run(project, only=("two",)).started == ["two"]
    assert run(project, only=("two", "one")).started == ["one", "two"]


def test_a_selected_task_that_fails_stops_what_waits_for_it(project: Project) -> None:
    say(project)
    project.pipeline(CHAIN)
    run(project)
    say(project, "if a['text'].endswith('3'): sys.exit('error: three')")
    some = run(project, since=("third",))
    assert (some.status, some.statuses["third"], some.statuses["fourth"]) == ("FAILED", "FAILED", "UNSCHEDULABLE")


def test_a_run_of_some_tasks_that_failed_goes_on_as_it_was_begun(project: Project) -> None:
    say(project)
    project.pipeline(CHAIN)
    run(project)
    project.component("say", "put('out', a['text']) if os.path.exists('/nonexistent') else sys.exit(1)",
                      {"text": "string"}, {"out": "string"})  # fmt: skip
    broken = run(project, since=("third",))
    assert broken.status == "FAILED"
    resumed = project.resume(broken.end.run)
    assert resumed.started == ["third"]
    assert resumed.statuses["second"] == "SKIPPED"
    assert resumed.statuses["aside"] == "NOT_TRIGGERED"


def test_wrong_arguments_are_told_before_anything_starts(project: Project) -> None:
    say(project)
    project.pipeline(CHAIN)
    run(project)
    with pytest.raises(PipelineError, match="has no parameter 'txt'"):
        again(project, given={"txt": "x"})
    with pytest.raises(OrchestratorError, match="expected true or false"):
        again(project, given={"loud": "3"})


def _open(project: Project) -> AbstractContextManager[Metadata]:
    return contextlib.closing(project.metadata())


def _killed(project: Project, name: str, until: str, *, resume: str = "") -> None:
    """Start a run in a process of its own and kill it once a task has started."""
    code = (
        "import sys, pathlib\nfrom orchestrator import runs, settings\n"
        "folder = pathlib.Path(sys.argv[1])\n"
        "found = settings.read({'ORC_STATE': str(folder / 'state')}, folder)\n"
        "options = runs.Options(cache=False, run=sys.argv[2], wish=runs.Wish(resume=sys.argv[3]))\n"
        "for event in runs.start(folder / 'pipeline.yaml', {}, found, options):\n"
        "    print(type(event).__name__, getattr(event, 'task', ''), flush=True)\n"
    )
    words = [sys.executable, "-c", code, str(project.folder), name, resume]
    process = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    for line in process.stdout:
        if line.split() == ["TaskStarted", until]:
            break
    time.sleep(0.1)
    os.kill(process.pid, signal.SIGKILL)
    process.wait(10)
    process.stdout.close()
    for pid in project.left_behind():
        os.kill(pid, signal.SIGKILL)
    deadline = time.monotonic() + 10
    while project.left_behind() and time.monotonic() < deadline:
        time.sleep(0.05)


def test_the_chosen_are_the_outermost() -> None:
    assert selection.outermost({"a", "a/b", "ab", "c/d"}) == {"a", "ab", "c/d"}
    chosen = selection.Selection(frozenset({"a", "c/d"}), used={"c": frozenset()})
    assert [chosen.runs(path) for path in ("a", "a/x/1", "ab", "c", "c/d/0")] == [True, True, False, False, True]
    assert [chosen.concerns(path) for path in ("c", "c/e", "b")] == [True, False, False]
