"""Tasks that end badly: each with the right status, a reason in words, and nothing left running."""

from __future__ import annotations

import os
import signal
import threading
import time
from pathlib import Path

import pytest

from orchestrator.runners.events import Status, TaskProgress

STARVED = ", it seems for lack of memory"
"""Said of any program that is killed while the kernel ends one for that, and some test here makes it do so."""
BAD_ALLOC = "exit code 1, for lack of memory: terminate called after throwing an instance of std::bad_alloc"
BOTH = pytest.mark.parametrize("cold", [False, True], ids=["warm", "cold"])


def only(project, code: str, outputs=None, settings: str = "", *, cold: bool = False, **container):
    """A run of one task."""
    project.component("odd", code, {}, outputs or {}, **container)
    project.pipeline(f"tasks:\n  odd: {{component: odd{settings}}}\n")
    return project.run(cache=False, cold=cold)


@BOTH
@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("sys.exit(3)", "exit code 3"),
        ("print('half'); print(); sys.exit(3)", "exit code 3: half"),
        ("print('error: first'); print('error: second'); sys.exit(1)", "first (and 1 more)"),
        ("os.kill(os.getpid(), 9)", "killed by SIGKILL"),
        ("os.kill(os.getpid(), 11)", "killed by SIGSEGV"),
        ("os.kill(os.getpid(), 40)", "killed by signal 40"),
        ("raise ValueError('oh no')", "exit code 1: ValueError: oh no"),
        ("sys.stdout.buffer.write(b'\\xff\\xfe broken \\n'); sys.exit(1)", "exit code 1: \ufffd\ufffd broken"),
        ("print('x' * 3_000_000, end=''); print(); print('error: late'); sys.exit(1)", "late"),
        ("raise MemoryError", "exit code 1, for lack of memory: MemoryError"),
        ("sys.exit('terminate called after throwing an instance of std::bad_alloc')", BAD_ALLOC),
    ],
)
def test_how_a_program_ended_is_told(project, code, reason, cold):
    ran = only(project, code, cold=cold)
    assert ran.statuses == {"odd": "FAILED"}
    assert ran.tasks["odd"].reason.replace(STARVED, "") == reason
    assert ran.end.reason == f"odd: {ran.tasks['odd'].reason}"


@pytest.mark.parametrize(
    ("kind", "text", "reason"),
    [
        ("integer", "x", "'x', which is not a whole number"),
        ("integer", "1.5", "1.5, which is not a whole number"),
        ("integer", "", "'', which is not a whole number"),
        ("integer", "true", "True, which is not a whole number"),
        ("number", '"1"', "'1', which is not a number"),
        ("boolean", "1", "1, which is not true or false"),
        ("list", "{}", "{}, which is not a list"),
        ("struct", "[" * 100_000, "which is not a mapping"),
        ("struct", '{"a": "\\ud800"}', "not text"),
        ("integer", "9" * 5000, "which is not a whole number"),
    ],
)
def test_an_output_of_the_wrong_type_fails_in_words(project, kind, text, reason):
    (project.folder / "text").write_text(text)
    ran = only(project, f"put('out', open({str(project.folder / 'text')!r}).read())", {"out": kind})
    assert ran.statuses == {"odd": "FAILED"}
    assert reason in ran.end.reason
    assert len(ran.end.reason) < 300


def test_outputs_that_were_not_written_are_named(project):
    ran = only(project, "put('half', '1')", {"half": "integer", "out": "string", "data": "Dataset"})
    assert ran.end.reason == "odd: it wrote no output 'out', 'data'"
    assert ran.statuses == {"odd": "FAILED"}


@pytest.mark.parametrize(
    "code",
    [
        "os.mkfifo(a['out'])",
        "os.mkdir(a['out']); os.mkfifo(a['out'] + '/pipe')",
        "os.symlink('/nowhere/at/all', a['out'])",
        "os.mkdir(a['out']); os.symlink(a['out'], a['out'] + '/itself/')"
        if False
        else "os.symlink(a['out'], a['out'])",
    ],
)
def test_an_output_that_is_neither_file_nor_folder_fails_in_words(project, code):
    ran = only(project, code, {"out": "Dataset"})
    assert ran.statuses == {"odd": "FAILED"}
    assert "'out'" in ran.end.reason


@pytest.mark.parametrize("how", ["symlink", "link"])
def test_a_link_as_output_is_content_and_the_linked_file_stays_as_it_is(project, how):
    given = project.folder / "data.csv"
    given.write_text("mine")
    given.chmod(0o644)
    project.component("pass_on", f"os.{how}(a['data'], a['out'])", {"data": "Dataset"}, {"out": "Dataset"})
    project.pipeline("""
tasks:
  a: {component: pass_on, arguments: {data: data.csv}}
  b: {component: read, arguments: {data: "${tasks.a.outputs.out}"}}
""")
    ran = project.run()
    kept = ran.tasks["a"].outputs.artifacts["out"][0].path
    assert ran.value("b") == "mine"
    assert not kept.is_symlink()
    assert given.stat().st_mode & 0o777 == 0o644
    given.write_text("other")
    assert kept.read_text() == "mine"


@pytest.mark.parametrize(
    "said",
    [
        "",
        "[]",
        "{",
        "[" * 100_000,
        '{"artifacts": [1]}',
        '{"artifacts": {"out": 3}}',
        '{"artifacts": {"out": {"artifacts": ["x"]}}}',
        '{"parameterValues": [1]}',
        '{"artifacts": {"out": {"artifacts": [{"metadata": 3}]}}}',
    ],
)
def test_an_executor_output_of_any_shape_fails_in_words(project, said):
    (project.folder / "said").write_text(said)
    code = "import json; e = json.loads(a['executor_input']); put('out', 'x');"
    code += f" open(e['outputs']['outputFile'], 'w').write(open({str(project.folder / 'said')!r}).read())"
    ran = only(project, code, {"out": "Dataset"}, executorInput=True)
    assert ran.statuses == {"odd": "FAILED"}
    assert "executor_output.json" in ran.end.reason


def test_what_a_failed_task_had_written_is_kept(project):
    ran = only(project, "put('out', 'so far'); sys.exit(1)", {"out": "Dataset", "more": "Dataset"})
    assert ran.file("odd") == "so far"
    assert ran.statuses == {"odd": "FAILED"}


def test_a_program_that_is_not_on_this_machine_is_named(project):
    project.component("odd", "", {}, command=["no-such-program", "x"])
    project.pipeline("tasks: {odd: {component: odd}}\n")
    assert "'no-such-program'" in project.run().end.reason


def test_arguments_no_process_can_take(project):
    project.component("make", "put('out', 'x' * 200_000)", {}, {"out": "string"})
    project.component("zero", "put('out', 'a' + chr(0) + 'b')", {}, {"out": "string"})
    project.pipeline("""
tasks:
  large: {component: make}
  zero: {component: zero}
  a: {component: echo, arguments: {text: "${tasks.large.outputs.out}"}}
  b: {component: echo, arguments: {text: "${tasks.zero.outputs.out}"}}
""")
    ran = project.run()
    assert ran.statuses == {"large": "SUCCEEDED", "zero": "SUCCEEDED", "a": "FAILED", "b": "FAILED"}
    assert "pass large values on as artifacts" in ran.tasks["a"].reason
    assert "null byte" in ran.tasks["b"].reason


@BOTH
def test_a_limit_of_memory_is_told(project, cold):
    """A limit on what a process may have: Python is refused memory, and says so."""
    code = "import resource; resource.setrlimit(resource.RLIMIT_AS, (200 << 20, 200 << 20)); x = bytearray(1 << 30)"
    assert only(project, code, cold=cold).tasks["odd"].reason == "exit code 1, for lack of memory: MemoryError"


@pytest.fixture
def narrow():
    """A control group whose processes share 40 MB, so that the kernel ends one that takes more."""
    group = Path("/sys/fs/cgroup/memory", f"orc-test-{os.getpid()}")
    try:
        group.mkdir()
        (group / "memory.limit_in_bytes").write_text("40000000")
    except OSError:
        pytest.skip("no control groups of memory can be made here")
    yield group
    until = time.monotonic() + 10
    while True:
        try:
            return group.rmdir()
        except OSError:  # The last process has ended, and is not gone.
            if time.monotonic() > until:
                raise
            time.sleep(0.01)


@BOTH
@pytest.mark.parametrize("how", ["itself", "its child"])
def test_the_kernel_ends_a_task_for_lack_of_memory(project, narrow, how, cold):
    take = f"import os; open('{narrow}/tasks', 'w').write(str(os.getpid())); x = b'x' * 400_000_000"
    child = f"import subprocess; sys.exit(subprocess.call([sys.executable, '-S', '-c', {take!r}]) and 137)"
    code = take if how == "itself" else child
    reason = only(project, code, cold=cold).tasks["odd"].reason
    assert reason.startswith({"itself": "killed by SIGKILL", "its child": "exit code 137"}[how])
    assert STARVED in reason


@BOTH
def test_a_task_that_somebody_kills_is_told_apart_from_that(project, cold):
    project.component("odd", "trace(str(os.getpid())); time.sleep(60)")
    project.pipeline("tasks: {odd: {component: odd}, other: {component: nap, arguments: {text: x}}}\n")
    killer = threading.Thread(target=kill_traced, args=(project,))
    killer.start()
    ran = project.run(cold=cold)
    killer.join()
    assert ran.tasks["odd"].reason.replace(STARVED, "") == "killed by SIGKILL"
    assert ran.statuses == {"odd": "FAILED", "other": "SUCCEEDED"}


def kill_traced(project) -> None:
    until = time.monotonic() + 30
    while time.monotonic() < until:
        if pids := [line for line in project.trace if line.isdigit()]:
            os.kill(int(pids[0]), signal.SIGKILL)
            return
        time.sleep(0.01)


@BOTH
def test_a_pipe_nobody_reads_and_children_that_write_on_hold_nothing_up(project, cold):
    """A child fills a pipe and stops there, another has the log open and goes on writing: the task has ended."""
    code = "import subprocess; p = subprocess.Popen(['yes'], stdout=subprocess.PIPE); time.sleep(0.2);"
    code += " q = subprocess.Popen(['sh', '-c', 'while :; do echo on; sleep 0.01; done']); put('out', 'y'); os._exit(0)"
    begin = time.monotonic()
    ran = only(project, code, {"out": "string"}, cold=cold)
    assert ran.value("odd") == "y"
    assert time.monotonic() - begin < 30
    assert project.left_behind() == []


@BOTH
def test_a_hundred_megabytes_of_log(project, cold):
    code = "[print('x' * 1_000_000) for _ in range(100)]; print('warning: that was much'); put('out', 'y')"
    ran = only(project, code, {"out": "string"}, cold=cold)
    assert ran.value("odd") == "y"
    assert ran.tasks["odd"].warnings == ("that was much",)
    assert ran.tasks["odd"].log


def test_progress_is_told_while_a_task_runs(project):
    ran = only(
        project, "print('::progress 3/10 epoch', flush=True); time.sleep(0.6); print('::progress 4/x', flush=True)"
    )
    told = [(each.done, each.total, each.text) for each in ran.events if isinstance(each, TaskProgress)]
    assert told == [(3, 10, "epoch")]


def test_attempts_are_repeated_with_longer_and_longer_pauses(project):
    project.component(
        "third",
        "trace('x'); n = len(open(os.environ['TRACE']).readlines())\n"
        "print('error: no', n) if n < 3 else put('out', 'y'); sys.exit(n < 3)",
        {},
        {"out": "string"},
    )
    project.pipeline("""
tasks:
  a: {component: third, retry: {attempts: 5, backoff: 1s, factor: 1.5, max: 1s}}
""")
    begin = time.monotonic()
    ran = project.run()
    assert ran.status is Status.SUCCEEDED
    assert ran.value("a") == "y"
    assert [each.delay for each in ran.retried] == [1, 1]
    assert [each.reason for each in ran.retried] == ["no 1", "no 2"]
    assert 2 <= time.monotonic() - begin < 20
    logs = sorted(path.name for path in (project.settings.state / "runs" / ran.end.run / "a").glob("log*"))
    assert logs == ["log-2.txt", "log-3.txt", "log.txt"]


def test_attempts_come_to_an_end(project):
    project.component("fails", "trace('x'); sys.exit(4)")
    project.pipeline("tasks: {a: {component: fails, retry: 3}}\n")
    ran = project.run()
    assert ran.tasks["a"].reason == "exit code 4"
    assert project.trace == ["x", "x", "x"]
    assert len(ran.retried) == 2


STUBBORN = """
import signal, subprocess
loop = "import signal, time\\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\\nwhile True: time.sleep(9)"
deep = "import subprocess, sys, time; run = [sys.executable, '-S', '-c', sys.argv[1]];"
deep += "subprocess.Popen(run, start_new_session=True); time.sleep(99)"
subprocess.Popen([sys.executable, '-S', '-c', deep, loop], start_new_session=True)
subprocess.Popen([sys.executable, '-S', '-c', loop], start_new_session=True)
subprocess.Popen([sys.executable, '-S', '-c', loop])
"""


@BOTH
def test_a_timeout_ends_the_whole_tree_of_processes(project, cold):
    """Children in sessions of their own that ignore SIGTERM; a parent that ignores it too is killed 10 s later."""
    project.component("obeys", STUBBORN + "trace('up'); time.sleep(99)")
    project.component(
        "stubborn", STUBBORN + "signal.signal(signal.SIGTERM, signal.SIG_IGN); trace('up')\nwhile True: time.sleep(9)"
    )
    project.component("leaves", STUBBORN + "time.sleep(0.3)")
    project.pipeline("""
tasks:
  obeys: {component: obeys, timeout: 1s}
  stubborn: {component: stubborn, timeout: 1s}
  leaves: {component: leaves}
""")
    begin = time.monotonic()
    ran = project.run(cold=cold)
    assert 10 < time.monotonic() - begin < 30
    assert ran.statuses == {"obeys": "FAILED", "stubborn": "FAILED", "leaves": "SUCCEEDED"}
    assert ran.tasks["obeys"].reason == ran.tasks["stubborn"].reason == "it took longer than its timeout of 1 s"
    assert ran.tasks["obeys"].at - ran.tasks["obeys"].started < 8
    assert project.left_behind() == []


def test_keys_with_points_and_slashes_of_others_do_not_share_a_folder(project):
    from orchestrator.runners.local import launch

    state = project.folder
    roots = {
        launch.spot(state, "r", path, 1).root for path in ("a.b", "a/b", "..", ".", "a/../b", "ä" * 200, "ä" * 201)
    }
    assert len(roots) == 7
    assert all(root.parent == state / "runs" / "r" and root.name not in (".", "..") for root in roots)
