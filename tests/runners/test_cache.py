"""When outputs are used again, and when not."""

from __future__ import annotations

import time

import pytest

from orchestrator.runners.events import Status
from orchestrator.runners.local import cache
from orchestrator.stores.artifacts import Artifact, Values


@pytest.fixture
def chain(project):
    """Write, read, say: each leaves a line in the trace when it runs."""
    project.component("make", "trace('make'); put('out', a['text'])", {"text": "string"}, {"out": "Dataset"})
    project.component(
        "take",
        "trace('take'); put('out', open(a['data']).read().upper())",
        {"data": "Dataset", "n": {"type": "number", "default": 1}},
        {"out": "string"},
    )
    project.pipeline("""
parameters: {word: hello, n: 1.0}
tasks:
  make: {component: make, arguments: {text: "${parameters.word}"}}
  take: {component: take, arguments: {data: "${tasks.make.outputs.out}", n: "${parameters.n}"}}
outputs: {out: "${tasks.take.outputs.out}"}
""")
    return project


def test_a_second_run_does_no_work_and_says_where_its_outputs_are_from(chain):
    first, second = chain.run(run="one"), chain.run(run="two")
    assert first.statuses == {"make": "SUCCEEDED", "take": "SUCCEEDED"}
    assert second.statuses == {"make": "SKIPPED", "take": "SKIPPED"}
    assert second.status is Status.SUCCEEDED
    assert first.outputs == second.outputs == {"out": "HELLO"}
    assert second.tasks["take"].cached_from == "one/take"
    assert chain.trace == ["make", "take"]


def test_an_argument_that_changed_runs_what_it_reaches(chain):
    chain.run()
    assert chain.run(n=2).statuses == {"make": "SKIPPED", "take": "SUCCEEDED"}
    assert chain.run(word="bye").outputs == {"out": "BYE"}
    assert chain.run(n="1").statuses == {"make": "SKIPPED", "take": "SKIPPED"}


def test_equal_content_from_another_task_is_the_same_input(chain):
    chain.run()
    chain.component("make", "trace('other'); put('out', a['text'])", {"text": "string"}, {"out": "Dataset"})
    assert chain.run().statuses == {"make": "SUCCEEDED", "take": "SKIPPED"}


@pytest.mark.parametrize("harm", ["change", "remove"])
def test_an_artifact_that_was_touched_is_made_again(chain, harm):
    kept = chain.run().tasks["make"].outputs.artifacts["out"][0].path
    if harm == "change":
        kept.chmod(0o644)
        kept.write_text("spoilt")
    else:
        kept.unlink()
    ran = chain.run()
    assert ran.statuses == {"make": "SUCCEEDED", "take": "SKIPPED"}
    assert kept.read_text() == "hello"
    assert chain.run(n=2).outputs == {"out": "HELLO"}


def test_a_touched_time_alone_changes_nothing(chain):
    import os

    kept = chain.run().tasks["make"].outputs.artifacts["out"][0].path
    os.utime(kept, (1, 1))
    assert chain.run().statuses == {"make": "SKIPPED", "take": "SKIPPED"}


def test_off_for_a_run_and_off_for_a_task(chain):
    chain.run()
    assert chain.run(cache=False).statuses == {"make": "SUCCEEDED", "take": "SUCCEEDED"}
    chain.pipeline("""
tasks:
  make: {component: make, cache: false, arguments: {text: hello}}
  take: {component: take, arguments: {data: "${tasks.make.outputs.out}"}}
""")
    assert chain.run().statuses == {"make": "SUCCEEDED", "take": "SKIPPED"}
    assert chain.run().tasks["make"].cache_key == ""


def test_a_time_to_live_ends(chain):
    chain.pipeline("tasks: {make: {component: make, cache: {ttl: 1s}, arguments: {text: hello}}}\n")
    assert chain.run().statuses == {"make": "SUCCEEDED"}
    assert chain.run().statuses == {"make": "SKIPPED"}
    time.sleep(1.1)
    assert chain.run().statuses == {"make": "SUCCEEDED"}


def test_a_failure_is_not_remembered(project):
    project.component("once", "trace('x'); sys.exit(len(open(os.environ['TRACE']).readlines()) < 2)")
    project.pipeline("tasks: {a: {component: once}}\n")
    assert project.run().statuses == {"a": "FAILED"}
    assert project.run().statuses == {"a": "SUCCEEDED"}
    assert project.run().statuses == {"a": "SKIPPED"}


def test_a_file_from_outside_counts_by_content(project):
    data = project.folder / "data.csv"
    data.write_text("one")
    project.pipeline("tasks: {read: {component: read, arguments: {data: data.csv}}}\n")
    assert project.run().value("read") == "one"
    data.write_text("two")
    ran = project.run()
    assert ran.value("read") == "two"
    assert ran.statuses["read"] == "SUCCEEDED"
    data.write_text("one")
    assert project.run().statuses["read"] == "SKIPPED"
    (project.folder / "same.csv").write_text("one")
    project.pipeline("tasks: {read: {component: read, arguments: {data: same.csv}}}\n")
    assert project.run().statuses["read"] == "SKIPPED"


def test_the_code_behind_python_m_counts_with_what_it_imports(project):
    folder = project.folder / "components" / "greet"
    project.component("greet", "", {}, {"out": "string"}, command=["python", "-m", "components.greet"])
    (folder / "__main__.py").write_text(
        "import sys\nfrom components.shared.words import WORD\nopen(sys.argv[2], 'w').write(WORD)\n"
    )
    shared = project.folder / "components" / "shared"
    shared.mkdir()
    (shared / "words.py").write_text("WORD = 'hi'\n")
    project.pipeline("tasks: {greet: {component: greet}}\n")
    assert project.run().value("greet") == "hi"
    assert project.run().statuses == {"greet": "SKIPPED"}
    (shared / "words.py").write_text("WORD = 'hello'\n")
    assert project.run().value("greet") == "hello"
    (folder / "notes.txt").write_text("a file the program may read")
    assert project.run().statuses == {"greet": "SUCCEEDED"}
    assert project.run().statuses == {"greet": "SKIPPED"}


def test_a_task_told_the_runs_name_is_its_own_every_time(project):
    project.pipeline('tasks: {a: {component: echo, arguments: {text: "${run.id}"}}}\n')
    assert project.run().statuses == project.run().statuses == {"a": "SUCCEEDED"}


class TestFinally:
    """A report over a run is the same when everything before it was."""

    PIPELINE = """
parameters: {{word: hello}}
tasks:
  make: {{component: make, arguments: {{text: "${{parameters.word}}"}}}}
  maybe: {{component: make, when: "${{parameters.word}} == 'x'", arguments: {{text: y}}}}
  {more}
finally:
  report: {{component: report, arguments: {{status: "${{run.status}}"}}}}
"""

    @pytest.fixture
    def reported(self, project):
        project.component("make", "put('out', a['text'])", {"text": "string"}, {"out": "Dataset"})
        project.component("report", "trace('report')", {"status": "TaskFinalStatus"})
        return project

    def test_it_is_skipped_when_everything_was_the_same(self, reported):
        reported.pipeline(self.PIPELINE.format(more=""))
        assert reported.run().statuses["report"] == "SUCCEEDED"
        assert reported.run().statuses["report"] == "SKIPPED"
        assert reported.trace == ["report"]

    def test_it_is_made_again_when_something_before_it_changed(self, reported):
        reported.pipeline(self.PIPELINE.format(more=""))
        reported.run()
        assert reported.run(word="x").statuses["report"] == "SUCCEEDED"
        assert reported.run(word="x").statuses["report"] == "SKIPPED"
        reported.pipeline(self.PIPELINE.format(more="other: {component: mark, arguments: {text: m}}"))
        assert reported.run().statuses["report"] == "SUCCEEDED"
        reported.pipeline(self.PIPELINE.format(more="other: {component: fail}"))
        assert reported.run().statuses["report"] == "SUCCEEDED"


class TestAnAlias:
    """`model@alias` counts as what it points to now."""

    OWN = Artifact("model", "system.Model", "file:///m", "d1")
    GIVEN = Values({"baseline": "penguins@champion", "target": "species", "n": 3}, {"model": (OWN,)})

    @pytest.mark.parametrize(
        ("digest", "counts"),
        [("", {}), ("d2", {"baseline": ["penguins@champion", "d2"]}), ("d1", {})],
        ids=["nothing", "another model", "the input itself"],
    )
    def test_in_the_key(self, digest, counts):
        asked = []

        def pointer(reference):
            asked.append(reference)
            return digest if "@" in reference else ""

        assert cache.pointed(self.GIVEN, pointer) == counts
        assert asked == ["penguins@champion", "species"], "only text can be a reference"
