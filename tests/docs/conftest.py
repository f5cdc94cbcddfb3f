"""A copy of the repository to follow the pages in, and the shell they are followed with."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", *sorted(DOCS.glob("*.md"))]
_SECONDS = 300


@dataclass(frozen=True, slots=True)
class Ran:
    """What a command came to."""

    code: int
    output: str


@dataclass(slots=True)
class Shell:
    """Runs one line after another, each where the one before left off; a reader's terminal."""

    home: Path
    project: Path
    folder: Path = field(init=False)

    def __post_init__(self) -> None:
        self.folder = self.project

    def run(self, line: str) -> Ran:
        place = self.home / "folder"
        script = f'set -e -o pipefail\n{line}\npwd > "$FOLDER_AFTERWARDS"'
        done = subprocess.run(
            ["bash", "-c", script],
            cwd=self.folder,
            env={**_environment(self.home), "FOLDER_AFTERWARDS": str(place)},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=_SECONDS,
            check=False,
        )
        if done.returncode == 0:
            self.folder = Path(place.read_text(encoding="utf-8").strip())
        return Ran(done.returncode, done.stdout)


def _environment(home: Path) -> dict[str, str]:
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("ORC_", "MLFLOW_", "PYTEST_", "COV_", "COVERAGE_")) and name != "PYTHONPATH"
    }
    path = os.pathsep.join([str(Path(sys.executable).parent), kept.get("PATH", os.defpath)])
    return {**kept, "PATH": path, "HOME": str(home), "COLUMNS": "120", "NO_COLOR": "1"}


@pytest.fixture(scope="session")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The repository's files, as a clone would have them; what was served from it is stopped in the end."""
    copy = tmp_path_factory.mktemp("docs") / "orchestrator"
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).is_file():
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, copy / name)
    yield copy
    for state in copy.rglob(".orc"):
        _stop(state)


@pytest.fixture
def shell(project: Path, tmp_path: Path) -> Shell:
    """A new terminal in the copy."""
    return Shell(tmp_path, project)


def server_of(project: Path) -> str:
    """Where the server of the copy listens, as HOST:PORT; the default place when it does not run."""
    try:
        url = str(json.loads((project / ".orc" / "server.json").read_text(encoding="utf-8"))["url"])
    except FileNotFoundError:
        return "127.0.0.1:8800"
    return url.removeprefix("http://")


def _stop(state: Path) -> None:
    """Ask nicely first; whatever still says where it serves is ended by its number."""
    subprocess.run(
        [sys.executable, "-m", "orchestrator", "endpoints", "stop", "--all"],
        env={**os.environ, "ORC_STATE": str(state)},
        capture_output=True,
        timeout=_SECONDS,
        check=False,
    )
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        pid = json.loads((state / "server.json").read_text(encoding="utf-8"))["pid"]
        os.kill(pid, signal.SIGKILL)
