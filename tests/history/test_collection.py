"""What `orc gc` removes and what it never does: beside runs that go on, and after it was killed."""

from __future__ import annotations

import contextlib
import os
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest

from orchestrator import runs
from orchestrator.history import collection
from orchestrator.history.retention import Rules, expired, outlived
from orchestrator.stores.artifacts import ArtifactStore
from orchestrator.stores.clearing import Row

ROOT = Path(__file__).resolve().parents[2]
DAY = 86400.0
ALL = Rules(keep_runs=0)


@pytest.fixture
def data(project):
    """Two tasks with an artifact each; the second's depends on the first's."""
    project.component("copy", "put('out', open(a['data']).read() + '!')", {"data": "Dataset"}, {"out": "Dataset"})
    project.pipeline("""
parameters: {word: hello}
tasks:
  make: {component: write, arguments: {text: "${parameters.word}"}}
  copy: {component: copy, arguments: {data: "${tasks.make.outputs.out}"}}
""")
    return project


def gc(project, rules=None, *, trial=False, alive=runs.is_alive, beside=(), now=None):
    with contextlib.closing(project.metadata()) as metadata:
        state, at = project.settings.state, now or time.time()
        return collection.collect(metadata, state, rules or Rules(), alive=alive, beside=beside, now=at, trial=trial)


def kept(project):
    """The contents in the store."""
    return sorted(file.read_text() for file in (project.settings.state / "artifacts").glob("??/*/*") if file.is_file())


def is_whole(project):
    """Whether all that is recorded is there."""
    store = ArtifactStore(project.settings.state / "artifacts")
    with contextlib.closing(project.metadata()) as metadata:
        tasks = [task for run in metadata.runs(1000) for task in metadata.tasks(run.id)]
        values = [task.outputs for task in tasks] + [entry.outputs for entry in metadata.entries()]
    return all(store.intact(each) for value in values for row in value.artifacts.values() for each in row)


def test_nothing_goes_that_a_run_or_the_cache_refers_to(data):
    data.run(run="one")
    data.run(run="two", word="bye")
    assert gc(data) == collection.Freed()
    assert kept(data) == ["bye", "bye!", "hello", "hello!"]


def test_an_old_run_goes_with_its_artifacts_and_its_entries(data):
    data.run(run="one")
    data.run(run="two", word="bye")
    would = gc(data, Rules(keep_runs=1), trial=True)
    assert kept(data) == ["bye", "bye!", "hello", "hello!"]
    freed = gc(data, Rules(keep_runs=1))
    assert freed == would
    assert (freed.runs, freed.entries, freed.artifacts) == (("one",), 2, 2)
    assert freed.size >= len("hello" + "hello!")
    assert kept(data) == ["bye", "bye!"]
    assert not (data.settings.state / "runs" / "one").exists()
    assert data.run(run="three", word="bye").statuses == {"make": "SKIPPED", "copy": "SKIPPED"}
    assert data.run(run="four").statuses == {"make": "SUCCEEDED", "copy": "SUCCEEDED"}


def test_what_a_kept_run_took_from_the_cache_stays_whoever_made_it(data):
    data.run(run="one")
    data.run(run="two")
    freed = gc(data, Rules(keep_runs=1))
    assert (freed.runs, freed.entries, freed.artifacts) == (("one",), 0, 0)
    assert data.run().statuses == {"make": "SKIPPED", "copy": "SKIPPED"}


def test_endpoints_and_the_registry_keep_what_they_refer_to(data, tmp_path):
    made = data.run(run="one").tasks["make"].outputs.artifacts["out"][0]
    (tmp_path / "endpoint.json").write_text(f'{{"path": "{made.path}"}}')
    large = b"\0" * (1024 * 1024 - len(str(made.path)) // 2)
    (tmp_path / "mlflow.db").write_bytes(large + str(made.path).encode())
    for file in ("endpoint.json", "mlflow.db"):
        gc(data, ALL, beside=[tmp_path / file, tmp_path / "none"])
        assert kept(data) == ["hello"]
    assert gc(data, ALL).artifacts == 1
    assert kept(data) == []


def test_a_run_that_goes_on_keeps_itself_and_what_was_touched_since_it_began(data):
    data.run(run="one")
    data.run(run="two", word="bye")
    with contextlib.closing(data.metadata()) as metadata:
        started = metadata.run("two").started
    old = started - 600
    for folder in (data.settings.state / "artifacts").glob("??/*"):
        if (folder / "out").read_text().startswith("hello"):
            os.utime(folder, (old, old))
    # Of the run that goes on nothing goes; of the other what it has not touched.
    loose = ArtifactStore(data.settings.state / "artifacts")
    (data.folder / "new").write_text("kept, and not recorded yet")
    loose.keep(data.folder / "new", name="new", type="t")
    freed = gc(data, ALL, alive=lambda row: row.id == "two")
    assert freed.runs == ("one",)
    assert kept(data) == ["bye", "bye!", "kept, and not recorded yet"]
    assert gc(data).artifacts == 1


def test_content_that_is_kept_again_while_it_is_removed_comes_back(data, monkeypatch):
    made = data.run(run="one").tasks["make"].outputs.artifacts["out"][0]
    store = ArtifactStore(data.settings.state / "artifacts")
    rename = Path.rename

    def renamed(self, target):
        if collection.ASIDE in str(target) and self.name == made.digest[:32]:
            assert store.intact(made)  # Somebody looks it up at the last moment.
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", renamed)
    gc(data, ALL)
    assert kept(data) == ["hello"]
    assert store.intact(made)


def test_working_folders_and_leftovers_go_and_logs_stay(data):
    data.component("fail", "open('half', 'w').write('x' * 1000); sys.exit(3)", {"text": "string"})
    data.pipeline(
        "tasks: {bad: {component: fail, arguments: {text: x}}, make: {component: write, arguments: {text: y}}}\n"
    )
    data.run(run="one")
    place = data.settings.state / "runs" / "one" / "bad"
    assert (place / "work" / "half").exists()
    artifacts = data.settings.state / "artifacts"
    (artifacts / "fetch-abc").mkdir()
    (artifacts / "fetch-abc" / "part").write_text("x")
    (artifacts / "copy-abc").mkdir()
    unit = next(artifacts.glob("??/*"))
    (unit / "copy-abc").mkdir()
    (data.settings.state / "runs" / "nobody").mkdir()
    for name in (".secrets", ".workspace/out"):
        (place.parent / name).mkdir(parents=True)
    freed = gc(data)
    assert (freed.leftovers, freed.runs) == (3, ())
    assert not (place / "work").exists()
    assert (place / "log.txt").exists()
    assert not (place.parent / ".secrets").exists()
    assert (place.parent / ".workspace" / "out").exists()
    assert not (data.settings.state / "runs" / "nobody").exists()
    assert kept(data) == ["y"]
    assert gc(data) == collection.Freed()


@pytest.mark.parametrize(
    ("rules", "gone"),
    [
        (Rules(), ""),
        (Rules(keep_runs=1), "bcy"),
        (Rules(older_than=3 * DAY), "cyz"),
        (Rules(keep_runs=1, older_than=3 * DAY), "cy"),
        (Rules(keep_runs=0), "abcxyz"),
    ],
)
def test_which_runs_go(rules, gone):
    rows = [row("a", 1), row("x", 1, "q"), row("b", 2), row("c", 5), row("y", 6, "q"), row("z", 9, "r")]
    assert expired(rows, rules, now=10 * DAY, alive=lambda _: False) == set(gone)
    assert expired(rows, rules, now=10 * DAY, alive=lambda each: each.id == "c") == set(gone) - {"c"}


def test_a_run_that_builds_on_another_keeps_it():
    rows = [row("new", 1, earlier="old"), row("other", 2), row("old", 3)]
    assert expired(rows, ALL, now=10 * DAY, alive=lambda each: each.id == "new") == {"other"}


def row(name, age, pipeline="p", *, status="SUCCEEDED", ir="", earlier=""):
    return Row(name, pipeline, status, 0.0, (10 - age) * DAY, ir, 0, "", earlier)


IR = """
pipelineInfo: {name: p}
root: {dag: {tasks: {}}}
sdkVersion: kfp-2.16.1
schemaVersion: 2.1.0
---
platforms: {kubernetes: {pipelineConfig: {%s}}}
"""


@pytest.mark.parametrize(
    ("config", "status", "over"),
    [
        ("resourceTtlOnCompletion: 3600", "FAILED", True),
        ("resourceTtlOnCompletion: 604800", "SUCCEEDED", False),
        ("resourceTtlOnSuccess: 3600", "SUCCEEDED", True),
        ("resourceTtlOnSuccess: 3600", "FAILED", False),
        ("resourceTtlOnFailure: 3600", "FAILED", True),
        ("resourceTtlOnFailure: 3600, resourceTtlOnCompletion: 604800", "FAILED", True),
        ("", "FAILED", False),
    ],
)
def test_a_time_to_live_in_the_pipeline(config, status, over):
    assert outlived(row("a", 1, status=status, ir=IR % config), 10 * DAY) is over


COLLECT = """
import sys, time, pathlib
from orchestrator import runs
from orchestrator.history import collection
from orchestrator.history.retention import Rules
from orchestrator.stores.metadata import Metadata
state = pathlib.Path(sys.argv[1])
rules = Rules(keep_runs=1)
for _ in range(int(sys.argv[2])):
    metadata = Metadata(state / "state.db")
    print("begins", flush=True)
    collection.collect(metadata, state, rules, alive=runs.is_alive, beside=[], now=time.time(), trial=False)
    metadata.close()
"""


def collector(project, times):
    command = [sys.executable, "-c", COLLECT, str(project.settings.state), str(times)]
    started = subprocess.Popen(command, env={**os.environ, "PYTHONPATH": str(ROOT)}, stdout=subprocess.PIPE, text=True)
    assert started.stdout.readline() == "begins\n"
    return started


def test_runs_go_on_while_it_collects_over_and_over(data):
    """Two runs' contents in turn, so that what one kept is what the next removes, or is about to use again."""
    data.run(word="hello")
    collecting = collector(data, 100_000)
    try:
        for number in range(16):
            ran = data.run(word=("hello", "bye", "hello", "why")[number % 4])
            assert ran.status == "SUCCEEDED", ran.end
    finally:
        collecting.kill()
        said = collecting.communicate()[0]
    assert said.count("begins") > 3
    assert is_whole(data)


def test_killed_at_any_moment_the_next_one_mends(data):
    chance = random.Random(7)
    for number in range(6):
        for word in range(2):
            data.run(word=f"{number} {word}", run=f"{number} {word}")
        collecting = collector(data, 1)
        time.sleep(chance.uniform(0, 0.03))
        collecting.kill()
        collecting.communicate()
        assert is_whole(data)
    gc(data, Rules(keep_runs=1))
    assert is_whole(data)
    assert kept(data) == ["5 1", "5 1!"]
    assert [path.name for path in (data.settings.state / "artifacts").iterdir() if len(path.name) != 2] == []


def test_what_was_put_aside_and_is_needed_comes_back(data):
    made = data.run(run="one").tasks["make"].outputs.artifacts["out"][0]
    aside = data.settings.state / "artifacts" / f"{collection.ASIDE}x"
    aside.mkdir()
    made.path.parent.rename(aside / made.path.parent.name)
    assert not is_whole(data)
    gc(data)
    assert is_whole(data)
    assert not aside.exists()
