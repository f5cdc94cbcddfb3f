"""A model is started and asked in a process of its own before anything is deployed: `python -m` this module FOLDER.

Whatever its program does to that process (it may crash, exit or hang) happens there, and is told here.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import orchestrator
from orchestrator import digest as digests
from orchestrator.errors import OrchestratorError

# As long as a serverless endpoint may take to be there.
SECONDS = 180.0
_SHOWN = 2000
_LINES = 12


@dataclass(frozen=True, slots=True)
class Checked:
    """What a model answered to its own example, and how long it took to be there."""

    answer: str
    content_type: str
    takes_tensors: bool
    reason: str
    seconds: float


def run(folder: Path, *, python: str = sys.executable, seconds: float = SECONDS) -> Checked:
    """Start the model in `folder` as a server would. Raises OrchestratorError with what it said when it does not."""
    ours = str(Path(orchestrator.__file__).parent.parent)
    path = os.pathsep.join(each for each in (os.environ.get("PYTHONPATH", ""), ours) if each)
    with tempfile.TemporaryDirectory() as place:
        told = Path(place) / "told.json"
        said = Path(place) / "said.txt"
        with said.open("wb") as out:
            process = subprocess.Popen(
                [python, "-m", __name__, str(folder.absolute()), str(told)],
                cwd=place,
                env={**os.environ, "PYTHONPATH": path},
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                start_new_session=True,
            )
            try:
                code = process.wait(seconds)
            except subprocess.TimeoutExpired:
                raise OrchestratorError(f"the model was not ready within {seconds:g} s", hint=_words(said)) from None
            finally:
                # Also when this process is told to end: nothing it started stays.
                _end(process)
        if not told.is_file():
            how = f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
            raise OrchestratorError(f"the process that started the model {how}", hint=_words(said))
        document = json.loads(told.read_text(encoding="utf-8"))
        if "error" in document:
            raise OrchestratorError(document["error"], hint=document["hint"])
        return Checked(**document)


def main(arguments: list[str]) -> int:
    """Start the model in a folder, and write to a file what came of it."""
    folder, told = map(Path, arguments)
    began = time.perf_counter()
    try:
        found = _checked(folder, began)
    except OrchestratorError as error:
        told.write_text(json.dumps({"error": error.message, "hint": error.hint}), encoding="utf-8")
        return 1
    told.write_text(json.dumps(asdict(found)), encoding="utf-8")
    sys.stdout.flush()
    # A thread that the program left running is no reason to stay.
    os._exit(0)


def _checked(folder: Path, began: float) -> Checked:
    from orchestrator.model import package
    from orchestrator.serving.backends import packaged, program

    before = digests.of(folder)
    _, about = package.verified(folder)
    model = packaged.load(folder, before)
    body, content_type = model.respond((folder / package.EXAMPLE).read_bytes(), about.content_type, program.ANY)
    if digests.of(folder) != before:
        raise OrchestratorError("the program wrote into its own folder", hint="let it write to a temporary folder")
    return Checked(_shown(body), content_type, not model.reason, model.reason, time.perf_counter() - began)


def _shown(body: bytes) -> str:
    try:
        text = body.decode()
    except UnicodeDecodeError:
        return f"{len(body):,} bytes"
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."


def _words(said: Path) -> str:
    """The last lines of what the process printed."""
    lines = said.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    return "it said: " + "\n".join(lines[-_LINES:]) if lines else ""


def _end(process: subprocess.Popen[bytes]) -> None:
    """End the process and all that it started."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
