"""Several worker processes behind one socket: started, replaced when one dies, ended together."""

from __future__ import annotations

import logging
import os
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

import orchestrator
from orchestrator.serving import declarations, fleet, place
from orchestrator.serving.fleet import Report
from orchestrator.serving.options import Options

_LOOK_SECONDS = 0.1
# A worker that lived this long did not die of what kills every one of them.
_LONG_LIVED = 30.0
_LONGEST_PAUSE = 30.0
# Beyond the time that the last requests may take, for the interpreter to end.
_GRACE_SECONDS = 10.0
_PATIENCE_SECONDS = 15.0

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Slot:
    """The place of one worker, and whoever has it now."""

    number: int
    process: subprocess.Popen[bytes] | None = None
    started: float = 0.0
    deaths: int = 0  # In a row, each soon after its start.
    due: float = 0.0


@dataclass(slots=True)
class Supervisor:
    """The first process of a server: it answers nothing itself."""

    state: Path
    options: Options
    listener: socket.socket
    stopping: bool = False
    failure: str = ""
    _slots: list[_Slot] = field(default_factory=list)

    def run(self) -> None:
        """Keep all workers running until told to stop, then let them answer what they were asked."""
        folder = place.workers(self.state)
        fleet.prepare(folder)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._stop)
        # Workers end when nobody holds the other end any more, however this process ended.
        read_end, write_end = os.pipe()
        self._slots = [_Slot(number) for number in range(self.options.workers)]
        began = time.monotonic()
        try:
            while not self.stopping:
                for slot in self._slots:
                    self._look_after(slot, folder, read_end)
                if self.options.detached and time.monotonic() - began > _PATIENCE_SECONDS and place.left(self.state):
                    break
                time.sleep(_LOOK_SECONDS)
        finally:
            self.listener.close()
            self._end()
            os.close(write_end)
            os.close(read_end)
            fleet.forget(folder)

    def _stop(self, *_: object) -> None:
        self.stopping = True

    def _look_after(self, slot: _Slot, folder: Path, until: int) -> None:
        now = time.monotonic()
        if slot.process is not None:
            code = slot.process.poll()
            if code is None:
                return
            self._buried(slot, folder, code, now)
        if slot.process is None and now >= slot.due and not self.stopping:
            slot.process = self._started(slot, until)
            slot.started = now

    def _buried(self, slot: _Slot, folder: Path, code: int, now: float) -> None:
        pid = slot.process.pid if slot.process else 0
        slot.process = None
        if failure := fleet.read(folder, slot.number).failure:
            self.failure, self.stopping = failure, True
            return
        fleet.write(folder, slot.number, Report(gone=True))
        slot.deaths = 1 if now - slot.started > _LONG_LIVED else slot.deaths + 1
        seconds = pause(slot.deaths)
        slot.due = now + seconds
        how = f"signal {-code}" if code < 0 else f"exit code {code}"
        when = f"in {seconds:g} s" if seconds else "now"
        _log.error("worker %s (process %s) ended with %s; another one starts %s", slot.number + 1, pid, how, when)

    def _started(self, slot: _Slot, until: int) -> subprocess.Popen[bytes]:
        listener = self.listener.fileno()
        handed = [f"{slot.number}", f"{listener}", f"{until}", f"{int(slot.started > 0)}"]
        command = [sys.executable, "-P", "-m", "orchestrator.serving", "--state", str(self.state)]
        ours = str(Path(orchestrator.__file__).parent.parent)
        search = os.environ.get("PYTHONPATH", "").split(os.pathsep)
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, [*search, ours]))}
        return subprocess.Popen(
            [*command, "--worker", ":".join(handed), "--options", self.options.dump()],
            env=environment,
            stdin=subprocess.DEVNULL,
            pass_fds=(listener, until),
        )

    def _end(self) -> None:
        """Ask all workers to end, and wait for as long as an answer may take."""
        running = [slot.process for slot in self._slots if slot.process is not None]
        for process in running:
            process.terminate()
        deadline = time.monotonic() + declarations.longest_answer(declarations.readable(self.state)) + _GRACE_SECONDS
        for process in running:
            try:
                process.wait(max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                _log.error("process %s did not end, and was killed", process.pid)
                process.kill()
                process.wait()


def pause(deaths: int) -> float:
    """For how many seconds a worker is not started after so many deaths in a row, each soon after its start."""
    return float(min(2 ** min(deaths - 1, 10) - 1, _LONGEST_PAUSE))
