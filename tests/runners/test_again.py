"""Resumed and embedded: what is done before is not mixed with what is done now, and threads run pipelines too."""

from __future__ import annotations

import threading

from orchestrator.runners.events import RunFinished


def test_what_changed_upstream_is_not_mixed_with_what_was_done_before(project):
    """A finished task whose input comes out differently this time runs again."""
    project.component("now", "put('out', str(time.time()))", {}, {"out": "Dataset"})
    project.component("once", "trace('x'); sys.exit(len(open(os.environ['TRACE']).readlines()) < 2)")
    project.pipeline("""
tasks:
  now: {component: now}
  copy: {component: read, arguments: {data: "${tasks.now.outputs.out}"}}
  once: {component: once, after: [copy]}
outputs: {copy: "${tasks.copy.outputs.out}"}
""")
    first = project.run()
    kept = first.tasks["now"].outputs.artifacts["out"][0].path
    kept.unlink()
    again = project.resume()
    assert again.started == ["now", "copy", "once"]
    assert again.outputs["copy"] == again.file("now") != first.value("copy")


def test_in_a_thread_too(project):
    """A server runs pipelines in threads, where signals do not reach."""
    project.component("leaves", "import subprocess; subprocess.Popen(['sleep', '60'], start_new_session=True)")
    project.pipeline("tasks: {a: {component: leaves}, b: {component: echo, arguments: {text: x}}}\n")
    ended: list[object] = []
    thread = threading.Thread(target=lambda: ended.append(project.run().end))
    thread.start()
    thread.join(20)
    assert isinstance(ended[0], RunFinished)
    assert ended[0].status == "SUCCEEDED"
    assert project.left_behind() == []
