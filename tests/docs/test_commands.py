"""Every command a page shows, run for real, in the order of the page, in a copy of the repository."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.docs import markdown
from tests.docs.conftest import PAGES, ROOT, Shell, server_of
from tests.docs.markdown import Block, Command

pytestmark = pytest.mark.docs

# What is not run as it stands, and what is run in its place. Nothing else is changed, and nothing is left out.
INSTEAD = {
    # The copy is the clone, and the shell stands in it.
    "git clone https://github.com/orchestrator/orchestrator && cd orchestrator": "true",
    # The environment of the tests is used: making a new one takes minutes, and `.ci/run` has made this one by make.
    "make demo": "orc run pipelines/penguins/pipeline.yaml",
    "source .venv/bin/activate": "command -v orc",
    # These run this very test.
    "make test": "make --dry-run test",
    "make check": "make --dry-run check",
}
# What a reader types and the port that was free here: the server takes the next one when 8800 is taken.
ADDRESS = "127.0.0.1:8800"

FOLLOWED = [page for page in PAGES if any(block.language == "console" for block in markdown.blocks(page))]


@pytest.mark.parametrize("page", FOLLOWED, ids=lambda page: page.name)
def test_a_page_can_be_followed(page: Path, shell: Shell) -> None:
    for block in markdown.blocks(page):
        if block.file:
            _write(shell, block)
        if block.language == "console":
            for command in markdown.commands(block):
                _follow(shell, command, f"{page.name}:{block.line}")


def test_make_demo_ends_in_the_command_that_stands_for_it() -> None:
    recipe = subprocess.run(
        ["make", "--dry-run", "--no-print-directory", "demo"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    assert recipe.splitlines()[-1] == f".venv/bin/{INSTEAD['make demo']}"


@pytest.mark.parametrize("target", ["test", "check"])
def test_make_runs_the_tests(target: str) -> None:
    recipe = subprocess.run(
        ["make", "--dry-run", "--no-print-directory", target], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    assert ".venv/bin/python -m pytest --numprocesses auto --dist loadfile" in recipe.splitlines()


def _write(shell: Shell, block: Block) -> None:
    target = shell.project / block.file
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(block.text, encoding="utf-8")


def _follow(shell: Shell, command: Command, place: str) -> None:
    line = INSTEAD.get(command.text, command.text)
    if re.match(r"curl\b", line):
        if shutil.which("curl") is None:
            pytest.skip(f"{place}: curl is not installed, and the page asks for it from here on")
        line = line.replace(ADDRESS, server_of(shell.project))
    ran = shell.run(line)
    assert ran.code == 0, f"{place}: `{line}` ended with {ran.code}:\n{ran.output}"
    printed = {_plain(each) for each in ran.output.splitlines()}
    missing = [shown for shown in command.shown if _stable(shown) and _plain(shown) not in printed]
    assert not missing, f"{place}: `{line}` does not print {missing}, but:\n{ran.output}"


def _stable(shown: str) -> bool:
    """Whether a line of output is the same every time: no number, nothing left out."""
    return bool(shown.strip()) and not re.search(r"\d|…|\.\.\.", shown)


def _plain(line: str) -> str:
    return " ".join(line.split())
