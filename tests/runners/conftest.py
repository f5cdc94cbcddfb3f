"""A project in a folder of its own whose components are a line of Python each, run for real."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

from orchestrator import runs, settings
from orchestrator.runners.events import Event, RunFinished, Status, TaskFinished, TaskRetried, TaskStarted
from orchestrator.settings import Settings
from orchestrator.stores.metadata import Metadata

PRELUDE = (
    "import sys, os, time; a = dict(zip([x[2:] for x in sys.argv[1::2]], sys.argv[2::2]));"
    " put = lambda n, t: open(a[n], 'w').write(t)\n"
    "trace = lambda t: open(os.environ['TRACE'], 'a').write(t + chr(10))\n"
)


NO_WISH = runs.Wish()


@dataclass
class Ran:
    """What came of a run."""

    events: list[Event] = field(default_factory=list)

    @property
    def tasks(self) -> dict[str, TaskFinished]:
        return {each.task.name: each for each in self.events if isinstance(each, TaskFinished)}

    @property
    def statuses(self) -> dict[str, str]:
        return {name: str(each.status) for name, each in self.tasks.items()}

    @property
    def started(self) -> list[str]:
        return [each.task.name for each in self.events if isinstance(each, TaskStarted)]

    @property
    def retried(self) -> list[TaskRetried]:
        return [each for each in self.events if isinstance(each, TaskRetried)]

    @property
    def end(self) -> RunFinished:
        last = self.events[-1]
        assert isinstance(last, RunFinished)
        return last

    @property
    def status(self) -> Status:
        return self.end.status

    @property
    def outputs(self) -> Mapping[str, Any]:
        return self.end.outputs.parameters

    def value(self, task: str, name: str = "out") -> Any:
        return self.tasks[task].outputs.parameters[name]

    def file(self, task: str, name: str = "out") -> str:
        return self.tasks[task].outputs.artifacts[name][0].path.read_text()


@dataclass
class Project:
    """A folder with components, a pipeline and a state folder."""

    folder: Path
    workers: int = 8

    @property
    def settings(self) -> Settings:
        environment = {"ORC_STATE": str(self.folder / "state"), "ORC_WORKERS": str(self.workers)}
        return settings.read(environment, self.folder)

    @property
    def trace(self) -> list[str]:
        """What the tasks wrote to the file all of them know."""
        file = self.folder / "trace"
        return file.read_text().splitlines() if file.exists() else []

    def component(
        self,
        name: str,
        code: str,
        inputs: Mapping[str, Any] | None = None,
        outputs: Mapping[str, Any] | None = None,
        **container: Any,
    ) -> None:
        """A component whose program is `code`, after a line that parses the flags into `a`."""
        document = {
            "apiVersion": "orchestrator/v1",
            "kind": "Component",
            "metadata": {"name": name.replace("_", "-")},
            "inputs": dict(inputs or {}),
            "outputs": dict(outputs or {}),
            "container": {"image": "x", "command": ["python", "-c", PRELUDE + code], **container},
        }
        folder = self.folder / "components" / name
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "component.yaml").write_text(yaml.safe_dump(document, sort_keys=False))

    def pipeline(self, text: str, file: str = "pipeline.yaml", name: str = "demo") -> Path:
        """Write a pipeline; `text` begins after its metadata."""
        path = self.folder / file
        path.write_text(f"apiVersion: orchestrator/v1\nkind: Pipeline\nmetadata: {{name: {name}}}\n{text}")
        return path

    def run(
        self,
        file: str = "pipeline.yaml",
        *,
        cache: bool = True,
        run: str = "",
        cold: bool = False,
        wish: runs.Wish = NO_WISH,
        **given: Any,
    ) -> Ran:
        arguments = {name: value if isinstance(value, str) else json.dumps(value) for name, value in given.items()}
        options = runs.Options(cache=cache, run=run, cold=cold, wish=wish)
        return Ran(list(runs.start(self.folder / file, arguments, self.settings, options)))

    def resume(self, run: str = "last") -> Ran:
        return Ran(list(runs.resume(run, self.settings)))

    def metadata(self) -> Metadata:
        return Metadata(self.settings.state / "state.db")

    def left_behind(self) -> list[int]:
        """Processes of this project's tasks that are still there."""
        mark = f"TRACE={self.folder / 'trace'}".encode()
        return [pid for pid, environment in _environments() if mark in environment and b"ORC_PROCESS=" in environment]


def _environments() -> Iterator[tuple[int, bytes]]:
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            yield int(entry.name), (entry / "environ").read_bytes()
        except OSError:
            continue


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Project]:
    """A project with the components most pipelines need; afterwards nothing of it may still run."""
    monkeypatch.setenv("TRACE", str(tmp_path / "trace"))
    made = Project(tmp_path)
    made.component("echo", "put('out', a['text'])", {"text": "string"}, {"out": "string"})
    made.component("number", "put('out', a['value'])", {"value": "number"}, {"out": "number"})
    made.component("count", "put('out', a['value'])", {"value": "integer"}, {"out": "integer"})
    made.component("write", "put('out', a['text'])", {"text": "string"}, {"out": "Dataset"})
    made.component("read", "put('out', open(a['data']).read())", {"data": "Dataset"}, {"out": "string"})
    made.component("fail", "print('error: it is broken'); sys.exit(3)", {"text": {"type": "string", "default": ""}})
    made.component("mark", "trace(a['text'])", {"text": "string"})
    made.component("gather", "put('out', a['items'])", {"items": "list"}, {"out": "list"})
    made.component(
        "nap",
        "b = time.time(); time.sleep(float(a['seconds'])); trace(f\"{a['text']} {b} {time.time()}\")",
        {"text": "string", "seconds": {"type": "number", "default": 0.1}},
    )
    yield made
    assert made.left_behind() == []


@pytest.fixture
def python() -> str:
    return sys.executable
