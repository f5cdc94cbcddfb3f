"""Runners killed at random moments over the corpus, and resumed: nobody could tell from what they leave.

The moments are drawn from a seed that a failure prints; ORC_TEST_SEED=N gives it, ORC_TEST_KILLS=N how many there are.
"""

from __future__ import annotations

import difflib
import itertools
import json
import os
import random
import re
import shutil
import sqlite3
import time
from collections import Counter
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from orchestrator import digest
from orchestrator.runners.events import Status
from orchestrator.runners.local import traces
from orchestrator.stores.artifacts import ArtifactStore
from orchestrator.stores.metadata import Metadata
from tests.runners import test_kfp_corpus as corpus
from tests.runners.nursery import Nursery, Trial, nursery

SEED = int(os.environ.get("ORC_TEST_SEED", "20261121"))
KILLS = int(os.environ.get("ORC_TEST_KILLS", "200"))
PARTS = 4
AT_EVENT = 0.25
"""How many are killed the instant they have told of an event, where what was told and what is recorded may differ."""
AGAIN = 0.4
"""How likely it is that a runner that goes on is killed, too."""
CASES = [case for case in corpus.CASES if "error" not in corpus.documents(case)[0]]
LARGE = corpus.CORPUS / "artifact-large"
"""What it writes takes so long that it is killed while it writes: every fifth run is one of it."""

compiled = corpus.compiled


@dataclass(frozen=True)
class Calm:
    """What a run came to that nobody touched."""

    outcome: list[str]
    seconds: float
    events: int


@dataclass(frozen=True)
class Run:
    """One run of a case, which may be killed again and again, in a state folder of its own."""

    nursery: Nursery
    case: Path
    compiled: Path
    state: Path
    cold: bool

    @property
    def trace(self) -> Path:
        """The file every program adds a line to as it begins."""
        return self.state.parent / "trace"

    def go(self, *, resume: bool = False, **moment: float) -> Trial:
        expected = corpus.documents(self.case)[0]
        given = {name: corpus.as_text(value) for name, value in expected.get("arguments", {}).items()}
        variables = {"environment": expected.get("environment", {}), "cache": expected.get("cache", False)}
        file = self.compiled / self.case.name / "traced.ir.yaml"
        if not file.exists():
            documents = yaml.safe_load_all(file.with_name("pipeline.ir.yaml").read_text())
            file.write_text(yaml.safe_dump_all([traced(each) for each in documents], sort_keys=False))
        told = {"arguments": given, "cold": self.cold, "resume": resume, **moment}
        return self.nursery.trial(file, self.state, **variables, **told)

    def status(self) -> str:
        """What the run is recorded as; "" when it is not recorded."""
        with closing(Metadata(self.state / "state.db")) as metadata:
            found = metadata.runs()
        return found[0].status if found else ""

    def finished(self) -> set[str]:
        """The tasks that are recorded as having ended well."""
        with closing(Metadata(self.state / "state.db")) as metadata:
            return {task.path for task in metadata.tasks("r") if Status(task.status).good}

    def begun(self) -> Mapping[str, int]:
        """How often each program has begun."""
        return Counter(self.trace.read_text().splitlines() if self.trace.exists() else [])

    def outcome(self) -> Any:
        """All that is recorded of the run and says what it came to."""
        with closing(Metadata(self.state / "state.db")) as metadata:
            record, tasks = metadata.run("r"), metadata.tasks("r")
        told = [record.status, record.reason, values(record.outputs)]
        told += sorted([task.path, task.name, task.status, task.reason, values(task.outputs)] for task in tasks)
        text = json.dumps(told, indent=1).replace(str(self.state), "STATE")
        return re.sub(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", "TIME", text).splitlines()

    def left_behind(self) -> list[str]:
        """The processes of the run that are there: of tasks, and those that fork them."""
        mark, found = f"{traces.STATE}={self.state}\0".encode(), []
        for entry in Path("/proc").glob("[0-9]*"):
            try:
                if mark in (entry / "environ").read_bytes():
                    found.append(f"{entry.name} {(entry / 'cmdline').read_bytes()!r}")
            except OSError:
                continue
        return found


def traced(document: Any) -> Any:
    """A specification whose programs say that they begin."""
    for executor in (document.get("deploymentSpec") or {}).get("executors", {}).values():
        container = executor.get("container")
        if container is None or container["image"].startswith("argostub/"):
            continue
        command = container["command"]
        if (at := next((at for at, each in enumerate(command) if "from kfp import dsl" in each), None)) is not None:
            command[at] = PYTHON + command[at]
        elif "-c" in command and "sh" in command:
            command[-1] = SHELL + command[-1]
        elif "-c" in command:
            command[-1] = PYTHON + command[-1]
        elif command != ["there-is-no-such-program"]:
            container["command"] = ["sh", "-c", SHELL + 'exec "$@"', "traced", *command]
    return document


SHELL = 'echo "$ORC_TASK" >> "$TRACE"; '
PYTHON = (
    "import os; os.write(os.open(os.environ['TRACE'], 0o2101, 0o644), (os.environ['ORC_TASK'] + chr(10)).encode())\n"
)


def values(given: Any) -> Any:
    artifacts = {
        name: [[each.type, each.digest, dict(each.metadata)] for each in listed]
        for name, listed in given.artifacts.items()
    }
    return [dict(given.parameters), artifacts]


@pytest.mark.parametrize("part", range(PARTS))
def test_a_killed_run_ends_as_the_undisturbed_one(part: int, compiled: Path, tmp_path: Path) -> None:
    cases = CASES[part::PARTS]
    generator = random.Random(f"{SEED} {part}")
    calm: dict[tuple[Path, bool], Calm] = {}
    kills = 0
    with nursery() as nurse:
        for number in itertools.count():
            case, cold = cases[number % len(cases)], bool((number + number // len(cases)) % 2)
            case = LARGE if number % 5 == 4 else case
            folder = tmp_path / str(number)
            folder.mkdir()
            if (case, cold) not in calm:
                calm[case, cold] = undisturbed(Run(nurse, case, compiled, folder / "calm" / "state", cold))
            run = Run(nurse, case, compiled, folder / "state", cold)
            try:
                kills += disturbed(run, generator, calm[case, cold])
            except AssertionError as error:
                raise AssertionError(f"{case.name}, {cold=}, ORC_TEST_SEED={SEED}: {error}") from error
            shutil.rmtree(folder)
            if kills >= KILLS // PARTS:
                return


def undisturbed(run: Run) -> Calm:
    run.state.parent.mkdir(parents=True)
    trial = run.go()
    assert trial.code == 0, trial.said
    check_left(run)
    return Calm(run.outcome(), trial.seconds, len(trial.said.splitlines()))


def disturbed(run: Run, generator: random.Random, calm: Calm) -> int:
    """Kill a run at random moments until chance lets it end; how often it was killed."""
    begun: dict[str, int] = {}
    kills, status = 0, ""
    while not status or not Status(status).final:
        moment: dict[str, float] = {}
        if not kills or generator.random() < AGAIN:
            timed = generator.random() >= AT_EVENT
            moment = {"kill": generator.uniform(0, calm.seconds)} if timed else {"at": generator.randrange(calm.events)}
        trial = run.go(resume=bool(status), **moment)
        assert trial.killed or not trial.code, trial.said
        kills += trial.killed
        status, finished, now = run.status(), run.finished(), run.begun()
        seen = set(re.findall(r"TaskFinished (?:SUCCEEDED|SKIPPED) (.*)", trial.said))
        if "TaskRetried" in trial.said:
            # A nested pipeline that is tried again takes back what its tasks came to.
            seen = {path for path in seen if "/" not in path}
        assert seen <= finished, "what was told was not recorded"
        check_whole(run)
        begun |= {path: now[path] for path in finished - set(begun)}
    assert not (different := "\n".join(difflib.unified_diff(calm.outcome, run.outcome(), lineterm="", n=1))), different
    now = run.begun()
    assert {path: now[path] for path in begun} == begun, "a task that had finished ran again"
    check_left(run)
    return kills


def check_left(run: Run) -> None:
    """No process, no half-written file, no artifact that is not there, no damaged record."""
    until = time.monotonic() + 5
    while (left := run.left_behind()) and time.monotonic() < until:
        time.sleep(0.005)
    assert not left
    check_whole(run)
    store = ArtifactStore(run.state / "artifacts")
    with closing(Metadata(run.state / "state.db")) as metadata:
        for task in metadata.tasks("r"):
            for artifact in (each for row in task.outputs.artifacts.values() for each in row):
                assert store.intact(artifact), artifact
    with closing(sqlite3.connect(run.state / "state.db")) as database:
        assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def check_whole(run: Run) -> None:
    """What is in the store has the digest it is called by."""
    for file in (run.state / "artifacts").glob("??/*/*"):
        assert digest.of(file).startswith(file.parent.name), f"{file} is half-written"
