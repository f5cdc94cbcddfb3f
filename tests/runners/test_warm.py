"""The warm start: a forked task is what it would have been from scratch, and forks happen only where they are safe."""

from __future__ import annotations

import json
import os
import re
import signal
import time
from pathlib import Path

import pytest
import yaml

from orchestrator import runs
from orchestrator.runners.events import Status, TaskFinished
from orchestrator.runners.local.warm import imports

WORLD = """
import atexit, gc, json, os, resource, signal, sys, tempfile, threading, __main__
def world():
    files = [n for n in os.listdir("/proc/self/fd") if os.path.exists(f"/proc/self/fd/{n}")]
    known = [each for each in signal.valid_signals() if isinstance(each, signal.Signals)]
    spec = __main__.__spec__
    return {
        "argv": sys.argv, "orig": [os.path.basename(sys.orig_argv[0]), *sys.orig_argv[1:]],
        "path": sys.path, "cwd": os.getcwd(), "env": dict(os.environ),
        "executable": sys.executable, "prefix": sys.prefix,
        "main": [__name__, spec and spec.name, __main__.__package__, getattr(__main__, "__file__", None)],
        "is main": __main__ is sys.modules["__main__"] and __main__.world is world,
        "signals": {each.name: str(signal.getsignal(each)).split(" at ")[0] for each in known},
        "mask": sorted(map(int, signal.pthread_sigmask(signal.SIG_BLOCK, []))), "wakeup": signal.set_wakeup_fd(-1),
        "leader": os.getsid(0) == os.getpid() == os.getpgrp(), "threads": threading.active_count(),
        "umask": os.umask(0o22),
        "files": sorted((n, os.path.basename(os.readlink(f"/proc/self/fd/{n}"))) for n in files),
        "tempdir": tempfile.gettempdir(), "limits": resource.getrlimit(resource.RLIMIT_NOFILE), "flags": str(sys.flags),
        "buffered": [sys.stdout.line_buffering, sys.stdout.write_through, sys.stdout.encoding, sys.stdin.read()],
        "gc": [gc.get_freeze_count(), gc.isenabled()], "hook": sys.excepthook is sys.__excepthook__,
    }
"""


def component(project, name, text, kind="-m"):
    """A component run as a module of the project."""
    folder = project.folder / "components" / name
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "__main__.py").write_text(text)
    command = {"-m": ["python", "-m", f"components.{name}"], "-c": ["python", "-c", text]}.get(
        kind, ["python", str(folder / "__main__.py")]
    )
    document = {
        "apiVersion": "orchestrator/v1",
        "kind": "Component",
        "metadata": {"name": name},
        "outputs": {"out": {"type": "string"}},
        "container": {"image": "x", "command": command, "args": ["{{$.outputs.parameters['out'].output_file}}", "b c"]},
    }
    (folder / "component.yaml").write_text(yaml.safe_dump(document, sort_keys=False))


def both(project, text, kind="-m"):
    """What comes of a component that is started cold, and warm."""
    component(project, "it", text, kind)
    file = project.folder / "pipeline.yaml"
    file.write_text("apiVersion: orchestrator/v1\nkind: Pipeline\nmetadata: {name: p}\ntasks: {it: {component: it}}\n")
    found = []
    for cold in (True, False):
        options = runs.Options(run="cold" if cold else "warm", cache=False, cold=cold)
        events = list(runs.start(file, {}, project.settings, options))
        task = next(each for each in events if isinstance(each, TaskFinished))
        log = Path(task.log).read_text(errors="replace")
        value = task.outputs.parameters.get("out")
        told = json.loads(json.dumps([value, log]).replace("/runs/warm/", "/runs/cold/"))
        found.append((task.status, task.reason, *(each and re.sub(r"0x[0-9a-f]{6,}", "", each) for each in told)))
    return found


@pytest.mark.parametrize("kind", ["-m", "-c", "file"])
def test_a_forked_task_finds_the_world_of_one_from_scratch(project, kind):
    text = WORLD + "import subprocess\nopen(sys.argv[1], 'w').write(json.dumps(world()))\nprint('done')\n"
    cold, warm = both(project, text, kind)
    assert cold[0] is Status.SUCCEEDED, cold
    before, after = json.loads(cold[2]), json.loads(warm[2])
    for each in (before, after):
        for name in ("ORC_RUN", "ORC_PROCESS"):
            assert each["env"].pop(name)
        assert each["env"].pop("TMPDIR") == each.pop("tempdir")
    assert after == before
    assert warm[3] == cold[3] == "done\n"


ENDS = {
    "zero": "sys.exit()",
    "number": "sys.exit(7)",
    "large number": "sys.exit(300)",
    "text": "sys.exit('so it ends')",
    "error": "def f(): raise ValueError('so it ends')\nf()",
    "chained": "try:\n    1 / 0\nexcept ZeroDivisionError as e:\n    raise RuntimeError('again') from e",
    "syntax": "exec('a b')",
    "interrupted": "raise KeyboardInterrupt",
    "signalled": "os.kill(os.getpid(), signal.SIGTERM)",
    "segmentation": "os.kill(os.getpid(), signal.SIGSEGV)",
    "at exit": "atexit.register(print, 'last words'); print('first words')",
    "at exit wrong": "atexit.register(lambda: 1 / 0)",
    "threads": "import time\nthreading.Thread(target=lambda: (time.sleep(0.2), print('thread done'))).start()",
    "daemon": "import time\nthreading.Thread(target=lambda: time.sleep(60), daemon=True).start()",
    "hard": "print('no newline', end=''); sys.stdout.flush(); os._exit(5)",
    "unflushed": "sys.stdout = open(1, 'w', closefd=False); sys.stdout.write('in a buffer')",
    "closed": "sys.stdout.close(); sys.stderr.close()",
    "pool": "import concurrent.futures as c\nprint(sum(c.ThreadPoolExecutor(2).map(int, '123')))",
    "bytes": "os.write(1, bytes(range(256)))\nsys.exit(1)",
}


@pytest.mark.parametrize("end", ENDS)
def test_a_forked_task_ends_as_one_from_scratch(project, end):
    cold, warm = both(project, WORLD + "open(sys.argv[1], 'w').write('x')\n" + ENDS[end] + "\n")
    assert warm == cold


def test_processes_a_forked_task_starts_in_all_ways(project):
    text = (
        "import multiprocessing as m, os, subprocess, sys\n"
        "def pooled(way):\n"
        "    with m.get_context(way).Pool(2) as pool: return pool.map(abs, [-2, 4])\n"
        "if __name__ == '__main__':\n"
        "    found = [pooled(way) for way in ('fork', 'spawn', 'forkserver')]\n"
        "    found.append(subprocess.check_output([sys.executable, '-c', 'print(3)'], text=True))\n"
        "    open(sys.argv[1], 'w').write(repr(found))\n"
    )
    cold, warm = both(project, text)
    assert warm == cold
    assert cold[0] is Status.SUCCEEDED, cold
    assert cold[2] == "[[2, 4], [2, 4], [2, 4], '3\\n']"


def test_random_numbers_of_two_forks_differ(project):
    component(project, "draw", "import sys, random, uuid, numpy, numpy.random\n"
              "open(sys.argv[1], 'w').write(f'{random.random()} {numpy.random.rand()} {uuid.uuid4()}')\n")  # fmt: skip
    project.pipeline("tasks: {a: {component: draw}, b: {component: draw}}")
    ran = project.run()
    one, other = ran.value("a").split(), ran.value("b").split()
    assert all(x != y for x, y in zip(one, other, strict=True))


def test_what_imports_print_is_in_the_log_of_each_task(project):
    (project.folder / "loud.py").write_text("import sys, os\nprint('out', flush=True)\nos.write(2, b'err\\n')\n")
    cold, warm = both(project, "import loud, sys\nopen(sys.argv[1], 'w').write('x')\nprint('own')\n")
    assert warm == cold
    assert cold[3] == "out\nerr\nown\n"


UNSAFE = {
    "a thread": "import threading, time\nthreading.Thread(target=time.sleep, args=(60,), daemon=True).start()",
    "an error": "raise RuntimeError('not today')",
    "an exit": "import sys\nsys.exit(4)",
    "a death": "import os, signal\nos.kill(os.getpid(), signal.SIGKILL)",
}


@pytest.mark.parametrize("unsafe", UNSAFE)
def test_imports_that_make_forks_unsafe_are_left_to_the_task(project, unsafe):
    """The task is started from scratch, and does whatever it does then."""
    (project.folder / "peculiar.py").write_text(UNSAFE[unsafe] + "\n")
    cold, warm = both(project, "import peculiar, sys, os\nopen(sys.argv[1], 'w').write(str(os.getppid() > 1))\n")
    assert warm == cold


def test_a_task_whose_imports_hang_is_stopped_in_time(project):
    (project.folder / "slow.py").write_text("import time\ntime.sleep(60)\n")
    component(project, "it", "import slow\n")
    project.pipeline("tasks: {it: {component: it, timeout: 1s}}")
    began = time.monotonic()
    ran = project.run()
    assert ran.statuses == {"it": "FAILED"}
    assert "timeout of 1 s" in ran.tasks["it"].reason
    assert time.monotonic() - began < 30
    assert project.left_behind() == []


def test_what_the_next_task_imports_is_loaded_while_one_works(project):
    (project.folder / "early.py").write_text(f"open({str(project.folder / 'loaded')!r}, 'w').close()\n")
    text = "import os, sys, time\nuntil = time.monotonic() + 20\n"
    text += (
        f"while not os.path.exists({str(project.folder / 'loaded')!r}) and time.monotonic() < until: time.sleep(0.01)\n"
    )
    component(project, "one", text + "open(sys.argv[1], 'w').write(str(time.monotonic() < until))\n")
    component(project, "two", "import early, sys\nopen(sys.argv[1], 'w').write('x')\n")
    project.pipeline("tasks: {a: {component: one}, b: {component: two, after: [a]}}")
    assert project.run().value("a") == "True"


def test_a_task_with_variables_no_other_has_is_started_from_scratch(project):
    component(project, "it", "import os, sys\nopen(sys.argv[1], 'w').write(str(os.getppid()))\n")
    use = "{{component: it, env: {{WHICH: {which}}}, after: [{after}]}}"
    tasks = [("a", "one", ""), ("b", "one", "a"), ("c", "one", "b"), ("d", "two", "c")]
    listed = ", ".join(f"{name}: {use.format(which=which, after=after)}" for name, which, after in tasks)
    project.pipeline(f"tasks: {{{listed}}}")
    result = project.run(cache=False)
    runner = str(os.getpid())
    assert [result.value(name) == runner for name in "abcd"] == [True, False, False, True]


def test_a_task_leaves_nothing_running_however_it_started_it(project):
    text = (
        "import os, sys, time, subprocess\n"
        "subprocess.Popen([sys.executable, '-c', 'import os, time; os.setsid(); time.sleep(60)'])\n"
        "if os.fork() == 0:\n    os.setsid()\n    if os.fork() == 0:\n        os.setsid()\n    time.sleep(60)\n"
        "time.sleep(0.3)\nopen(sys.argv[1], 'w').write('x')\nos._exit(0)\n"
    )
    component(project, "it", text)
    project.pipeline("tasks: {it: {component: it}}")
    assert project.run().statuses == {"it": "SUCCEEDED"}
    assert project.left_behind() == []


def test_a_fork_server_that_is_killed_takes_its_tasks_along_and_others_go_on(project):
    text = "import json, os, signal, sys\nif not os.path.exists('../../../../again'):\n"
    text += (
        "    open('../../../../again', 'w').close()\n    os.kill(os.getppid(), signal.SIGKILL)\n    signal.pause()\n"
    )
    component(project, "it", text + "open(sys.argv[1], 'w').write('x')\n")
    project.pipeline("tasks: {it: {component: it, retry: {attempts: 2, backoff: 0s}}}")
    ran = project.run()
    assert ran.statuses == {"it": "SUCCEEDED"}
    assert [each.reason for each in ran.retried] == [
        "the warm process it was forked from was killed, and it died with it"
    ]
    assert project.left_behind() == []


def test_imports_are_those_a_program_begins_with(tmp_path):
    (tmp_path / "parts" / "fit").mkdir(parents=True)
    (tmp_path / "parts" / "fit" / "__main__.py").write_text(
        "from __future__ import annotations\nimport a.b\nfrom c import d as e, f\nfrom parts import shared\n"
        "from .near import x\n"
        "try:\n    import g\nexcept ImportError:\n    pass\nif True:\n    import h\ndef run():\n    import i\n"
    )
    (tmp_path / "parts" / "fit" / "near.py").write_text("import j\n")
    (tmp_path / "parts" / "shared.py").write_text("from parts.fit import near\nimport k, a.b\n")
    found = imports.of_module("parts.fit", [tmp_path])
    assert found == [("a.b", ""), ("c", "d"), ("c", "f"), ("k", ""), ("j", "")]


def test_a_functions_own_imports_count_for_it():
    text = "from kfp import dsl\ndef fit(x):\n    import pandas as pd\n    if x:\n        import torch\n"
    text += "def other():\n    import a\n"
    assert imports.of_function(text, "fit") == [("kfp", "dsl"), ("pandas", "")]
    assert imports.of_text("not python at all") == []


def test_programs_share_what_they_have_in_common():
    a, b, c, d = (("a", ""), ("b", ""), ("c", ""), ("d", ""))
    found = imports.groups({"one": [a, b, c], "two": [c, d, a], "three": [a]})
    assert found == {"one": ((a,), (c,), (b,)), "two": ((a,), (c,), (d,)), "three": ((a,),)}
    found = imports.groups({"one": [("json", ""), a], "two": [a, ("json", "")]})
    assert found == {"one": ((a,), (("json", ""),)), "two": ((a,), (("json", ""),))}


def test_a_server_survives_what_its_tasks_do_to_each_other(project):
    """A task that kills its own group, parent included if it can, and one that fills its log, side by side."""
    component(project, "noisy", "import sys\nprint('x' * 3_000_000)\nopen(sys.argv[1], 'w').write('n')\n")
    component(project, "angry", "import os, signal\nos.killpg(os.getpgrp(), signal.SIGKILL)\n")
    project.pipeline(
        "tasks: {a: {component: noisy}, b: {component: angry}, c: {component: noisy, after: [a], cache: false}}"
    )
    ran = project.run()
    assert ran.statuses == {"a": "SUCCEEDED", "b": "FAILED", "c": "SUCCEEDED"}
    assert ran.tasks["b"].reason.startswith(f"killed by {signal.Signals.SIGKILL.name}")
