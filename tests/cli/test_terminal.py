"""The live view in a real terminal: it draws, it gives the cursor back, and Ctrl-C ends the run, not the shell."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import sys
import termios
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.cli.conftest import environment

if TYPE_CHECKING:
    from tests.cli.conftest import Orc

HIDE, SHOW = "\x1b[?25l", "\x1b[?25h"
COLOUR = re.compile(r"\x1b\[([\d;]*;)?3[0-7]m")


class Terminal:
    """`orc` with a terminal of a given size; `seen` is all it has drawn."""

    def __init__(self, *arguments: str, cwd: Path, rows: int = 24, columns: int = 80, **env: str) -> None:
        self.master, slave = pty.openpty()
        self.resize(rows, columns)
        self.process = subprocess.Popen(
            [sys.executable, "-m", "orchestrator", *arguments],
            cwd=cwd,
            env=environment(**{"TERM": "xterm-256color", **env}),
            stdin=slave,
            stdout=slave,
            stderr=slave,
            start_new_session=True,
            # The terminal has to be the controlling one, or Ctrl-C typed into it signals nobody.
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),  # noqa: PLW1509  There are no threads here.
        )
        os.close(slave)
        self.seen = ""

    def resize(self, rows: int, columns: int) -> None:
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def type(self, keys: str) -> None:
        os.write(self.master, keys.encode())

    def until(self, text: str, seconds: float = 60) -> None:
        """Read until the text was drawn; with "" until the process has ended."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if text and text in self.seen:
                return
            if not select.select([self.master], [], [], 0.1)[0]:
                if self.process.poll() is not None:
                    break
                continue
            try:
                part = os.read(self.master, 65536)
            except OSError:  # Linux says so when the other end is closed.
                break
            if not part:
                break
            self.seen += part.decode("utf-8", "replace")
        assert not text or text in self.seen, self.seen[-2000:]

    def end(self) -> int:
        """Wait for the end; the exit code."""
        self.until("")
        code = self.process.wait(30)
        os.close(self.master)
        return code


def test_the_live_view_draws_and_gives_the_terminal_back(project: Path) -> None:
    terminal = Terminal("run", "pipeline.yaml", "--arg", "seconds=1.5", cwd=project)
    terminal.until("/10 part")
    terminal.resize(12, 50)
    assert terminal.end() == 0
    seen = terminal.seen
    assert "running" in seen
    assert "━" in seen
    assert "sums: succeeded" in seen
    assert "total" in seen
    assert seen.count(HIDE) == seen.count(SHOW) == 1
    assert seen.rindex(SHOW) < seen.index("sums: succeeded")


def test_ctrl_c_cancels_the_run_and_gives_the_terminal_back(project: Path, orc: Orc) -> None:
    terminal = Terminal("run", "pipeline.yaml", "--arg", "seconds=30", cwd=project)
    terminal.until("/10 part")
    terminal.type("\x03")
    assert terminal.end() == 130
    assert "sums: cancelled" in terminal.seen
    assert "orc resume sums-" in terminal.seen
    assert terminal.seen.count(HIDE) == terminal.seen.count(SHOW) == 1
    assert "Traceback" not in terminal.seen
    assert "cancelled" in orc("runs").stdout


def test_a_file_that_is_wrong_is_told_on_an_untouched_terminal(project: Path) -> None:
    terminal = Terminal("run", "none.yaml", cwd=project)
    assert terminal.end() == 2
    assert HIDE not in terminal.seen
    assert "none.yaml\x1b[0m: the file does not exist" in terminal.seen


@pytest.mark.parametrize(
    ("env", "coloured", "live"), [({}, True, True), ({"NO_COLOR": "1"}, False, True), ({"TERM": "dumb"}, False, False)]
)
def test_no_color_and_dumb_terminals_are_honoured(
    env: dict[str, str], coloured: bool, live: bool, project: Path
) -> None:
    for arguments in (["run", "pipeline.yaml"], ["show"], ["runs"], ["--help"]):
        terminal = Terminal(*arguments, cwd=project, **env)
        assert terminal.end() == 0
        assert bool(COLOUR.search(terminal.seen)) == coloured, arguments
        if arguments[0] == "run":
            assert (HIDE in terminal.seen) == live


def test_tables_fit_a_narrow_terminal(project: Path, orc: Orc) -> None:
    orc("run", "pipeline.yaml")
    terminal = Terminal("runs", cwd=project, columns=40, NO_COLOR="1")
    terminal.end()
    lines = re.sub(r"\x1b\[[\d;]*m", "", terminal.seen).splitlines()
    assert len(lines) > 2
    assert all(len(line) <= 40 for line in lines)
