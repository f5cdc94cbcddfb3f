"""The state database: what is asked for by name, and what happens when it cannot be used."""

from __future__ import annotations

import contextlib
import os
import resource
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import pytest

from orchestrator.errors import BackendError, NotFoundError, RunError
from orchestrator.stores import schema
from orchestrator.stores.artifacts import Artifact, Values
from orchestrator.stores.metadata import Attempt, Metadata, RunRecord, TaskRecord

ROOT = Path(__file__).resolve().parents[2]
RUN = RunRecord(
    id="", pipeline="p", status="RUNNING", reason="", started=1.0, finished=None, arguments={"a": 1.0, "ä": [1]},
    outputs=Values(), ir="ir", source="p.yaml", base="/b", code_paths=("/c",), options={"cache": True}, pid=1,
    pid_started="7",
)  # fmt: skip
TASK = TaskRecord(
    run="r", path="a", name="a", component="c", status="SUCCEEDED", reason="", attempt=1, started=1.0, finished=2.0,
    inputs=Values({"x": 1}), outputs=Values({"y": "ü\x00"}, {"d": (Artifact("d", "t", "file:///x", "00", 3),)}),
    cache_key="k", cached_from="", log="/log", warnings=("w",), key_parts={"image": "i"}, missed="why",
)  # fmt: skip


@pytest.fixture
def metadata(tmp_path: Path):
    made = Metadata(tmp_path / "state" / "state.db")
    yield made
    made.close()


def test_what_is_recorded_comes_back(metadata):
    metadata.start_run(replace(RUN, id="r"), [("a", "a"), ("b", "b")])
    metadata.start_task("r", "a", name="a", inputs=TASK.inputs, log="/log", attempt=1, at=1.0)
    assert metadata.tasks("r")[0].status == "RUNNING"
    metadata.finish_task(TASK, remember=True)
    assert metadata.run("r") == replace(RUN, id="r")
    first, second = metadata.tasks("r")
    assert first == TASK
    assert (second.path, second.status) == ("b", "PENDING")
    assert metadata.cached("k").outputs == TASK.outputs
    metadata.forget("k")
    assert metadata.cached("k") is None


def test_a_run_that_ends_ends_its_tasks(metadata):
    metadata.start_run(replace(RUN, id="r"), [("a", "a"), ("b", "b")])
    metadata.finish_task(TASK)
    metadata.finish_run("r", status="FAILED", reason="x", outputs=Values(), at=3.0)
    assert [task.status for task in metadata.tasks("r")] == ["SUCCEEDED", "CANCELLED"]


def test_runs_are_found_by_id_beginning_or_last(metadata):
    for at, name in enumerate(("penguins-aa1", "penguins-aa2", "flights-b", "flights")):
        metadata.start_run(replace(RUN, id=name, started=at), [])
    assert metadata.run("penguins-aa1").id == "penguins-aa1"
    assert metadata.run("flights-").id == "flights-b"
    assert metadata.run("flights").id == "flights"
    assert metadata.run("last").id == "flights"
    with pytest.raises(NotFoundError, match="several runs begin so"):
        metadata.run("penguins")
    with pytest.raises(NotFoundError, match="did you mean 'penguins-aa1'"):
        metadata.run("pinguins-aa1")
    with pytest.raises(NotFoundError):
        metadata.run("")
    with pytest.raises(NotFoundError):
        metadata.run("%")


def test_a_name_is_taken_once(metadata):
    metadata.start_run(replace(RUN, id="r"), [])
    with pytest.raises(RunError, match="already a run 'r'"):
        metadata.start_run(replace(RUN, id="r"), [])


def test_only_one_may_take_over_a_run(metadata):
    metadata.start_run(replace(RUN, id="r"), [])
    record = metadata.run("r")
    assert metadata.restart_run(record, pid=2, pid_started="8")
    assert not metadata.restart_run(record, pid=3, pid_started="9")
    assert metadata.run("r").pid == 2


def test_an_empty_database_has_no_last_run(metadata):
    with pytest.raises(NotFoundError, match="no run 'last'"):
        metadata.run("last")


@pytest.mark.parametrize("content", [b"garbage " * 1000, b"\0" * 5000, b"SQLite format 3\0" + b"\xff" * 5000])
def test_a_damaged_database_is_told_and_left_as_it_is(tmp_path, content):
    file = tmp_path / "state.db"
    file.write_bytes(content)
    with pytest.raises(BackendError, match="state") as caught:
        Metadata(file)
    assert str(file) in str(caught.value)
    assert "hint: move the file away" in str(caught.value)
    assert file.read_bytes() == content


@pytest.mark.parametrize(("version", "words"), [(99, "newer version"), (-1, "older version")])
def test_a_database_of_another_version_is_refused(tmp_path, version, words):
    file = tmp_path / "state.db"
    with sqlite3.connect(file) as db:
        db.execute(f"PRAGMA user_version={version}")
    db.close()
    with pytest.raises(BackendError, match=words):
        Metadata(file)


OLD = Path(__file__).with_name("state-version-1.db")


def test_a_database_of_version_1_is_brought_to_this_one(tmp_path):
    """The file was written by the version before: three runs, the second from the cache, the third failed."""
    file = tmp_path / "state.db"
    shutil.copyfile(OLD, file)
    with contextlib.closing(Metadata(file)) as metadata:
        failed, again, first = metadata.runs()
        assert [run.status for run in (first, again, failed)] == ["SUCCEEDED", "SUCCEEDED", "FAILED"]
        tasks = metadata.tasks(first.id)
        assert [(task.name, task.status, dict(task.outputs.parameters)) for task in tasks] == [
            ("one", "SUCCEEDED", {"sum": 3.0}),
            ("two", "SUCCEEDED", {"sum": 4.0}),
        ]
        assert [dict(task.key_parts) for task in tasks] == [{}, {}]
        assert [task.cached_from for task in metadata.tasks(again.id)] == [f"{first.id}/one", f"{first.id}/two"]
        assert metadata.tasks(failed.id)[0].reason == "-1.0 is negative"
        assert len(metadata.entries()) == 2
        # A run that failed before can be gone on with.
        metadata.start_task(failed.id, "one", name="one", inputs=TASK.inputs, log="/log", attempt=2, at=9.0)
        metadata.finish_task(replace(TASK, run=failed.id, path="one", name="one", key_parts={"image": "a"}))
        assert metadata.tasks(failed.id)[0].key_parts == {"image": "a"}
    assert columns(file) == columns(new(tmp_path))
    with contextlib.closing(Metadata(file)) as metadata:
        assert len(metadata.runs()) == 3


def test_a_migration_that_is_stopped_leaves_version_1(tmp_path, monkeypatch):
    file = tmp_path / "state.db"
    shutil.copyfile(OLD, file)
    before = columns(file)
    monkeypatch.setitem(schema._STEPS, 1, schema._STEPS[1] + "; INSERT INTO nowhere VALUES (1)")
    with pytest.raises(BackendError, match="nowhere"):
        Metadata(file)
    assert columns(file) == before
    monkeypatch.undo()
    with contextlib.closing(Metadata(file)) as metadata:
        assert len(metadata.runs()) == 3


def new(folder):
    file = folder / "new" / "state.db"
    Metadata(file).close()
    return file


def columns(file):
    with contextlib.closing(sqlite3.connect(file)) as db:
        version = db.execute("PRAGMA user_version").fetchone()
        names = [row[0] for row in db.execute("SELECT name FROM sqlite_master WHERE type='table' ORDER BY name")]
        return version, {name: sorted(row[1:] for row in db.execute(f"PRAGMA table_info({name})")) for name in names}


def test_every_attempt_is_remembered_where_there_were_several(metadata):
    metadata.start_run(replace(RUN, id="r"), [("a", "a"), ("b", "b")])
    for attempt in (1, 2, 3):
        metadata.start_task("r", "a", name="a", inputs=Values(), log=f"/{attempt}", attempt=attempt, at=attempt * 10.0)
        if attempt < 3:
            metadata.retry_task("r", "a", attempt=attempt, reason=f"no {attempt}", at=attempt * 10.0 + 5)
    metadata.retry_task("r", "group", attempt=1, reason="a nested pipeline is no task", at=1.0)
    assert metadata.attempts("r") == {
        "a": (
            Attempt(1, 10.0, 15.0, "no 1", "/1"),
            Attempt(2, 20.0, 25.0, "no 2", "/2"),
            Attempt(3, 30.0, None, "", "/3"),
        )
    }
    metadata.finish_run("r", status="FAILED", reason="", outputs=Values(), at=40.0)
    assert metadata.restart_run(metadata.run("r"), pid=2, pid_started="8")
    assert metadata.attempts("r") == {}


def test_a_place_that_cannot_be_written_is_told(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(BackendError, match="ORC_STATE"):
        Metadata(tmp_path / "file" / "state" / "state.db")
    (tmp_path / "folder" / "state.db").mkdir(parents=True)
    with pytest.raises(BackendError, match="ORC_STATE"):
        Metadata(tmp_path / "folder" / "state.db")


FULL = """
import pathlib, signal, sys
from orchestrator import runs, settings
from orchestrator.errors import OrchestratorError
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
found = settings.read({"ORC_STATE": sys.argv[2]}, pathlib.Path(sys.argv[1]))
try:
    for event in runs.start(pathlib.Path(sys.argv[1], "pipeline.yaml"), {}, found, runs.Options(run="r")):
        print(type(event).__name__, getattr(event, "status", ""), getattr(event, "reason", ""), flush=True)
except OrchestratorError as error:
    print("told:", error)
"""
PIPELINE = """
apiVersion: orchestrator/v1
kind: Pipeline
metadata: {name: demo}
tasks:
  wait: {component: wait}
  fill: {component: fill}
  next: {component: fill, after: [fill]}
"""
COMPONENT = """
apiVersion: orchestrator/v1
kind: Component
metadata: {name: fill}
outputs: {data: {type: Dataset}}
container: {image: x, command: [python, -S, -c, %s]}
"""
WRITE = "import sys; f = open(sys.argv[2], 'wb'); [f.write(b'x' * 65536) for _ in range(400)]; f.close()"


def project(folder: Path) -> None:
    (folder / "pipeline.yaml").write_text(PIPELINE)
    for name, code in (("fill", WRITE), ("wait", "import time; time.sleep(30)")):
        (folder / "components" / name).mkdir(parents=True)
        (folder / "components" / name / "component.yaml").write_text(COMPONENT % repr(code))


def left(state: Path) -> list[str]:
    mark = f"ORC_STATE={state}".encode()
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            found += [entry.name] * (mark in (entry / "environ").read_bytes())
        except OSError:
            continue
    return found


def run_in(folder: Path, state: Path, **more) -> str:
    done = subprocess.run(
        [sys.executable, "-c", FULL, str(folder), str(state)], env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True, text=True, timeout=60, check=False, **more,
    )  # fmt: skip
    assert "Traceback" not in done.stderr, done.stderr
    return done.stdout


def test_a_full_disk_is_told_by_the_task_or_by_the_runner(tmp_path):
    """A file system of 8 MiB of its own: the task fails in words, the run ends, nothing is left running."""
    project(tmp_path)
    (tmp_path / "components" / "wait" / "component.yaml").write_text(COMPONENT % '"pass"')
    with tempfile.TemporaryDirectory() as place:
        mounted = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", place], check=False, capture_output=True
        )
        if mounted.returncode:
            pytest.skip("no file system can be mounted here")
        try:
            said = run_in(tmp_path, Path(place) / "state")
        finally:
            subprocess.run(["umount", "-l", place], check=True)
    assert ("No space left on device" in said and "RunFinished FAILED" in said) or "database or disk is full" in said
    assert left(Path(place) / "state") == []


def test_a_database_that_cannot_grow_ends_the_run_and_its_tasks(tmp_path):
    """A limit on the size of files stops the database, as a full disk would: while a task of 30 s is running."""
    project(tmp_path)
    (tmp_path / "components" / "fill" / "component.yaml").write_text(
        COMPONENT % repr("import sys; open(sys.argv[2], 'w').write(sys.argv[2])")
    )
    said = run_in(
        tmp_path, tmp_path / "state", preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, 60_000))
    )
    assert "told: state" in said
    assert left(tmp_path / "state") == []
