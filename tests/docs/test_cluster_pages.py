"""The commands that want a cluster, on the pages about clusters: each program, word and option of them exists.

They are not run here. `tests/cluster/test_docs.py` follows what can be followed on the API server of the tests.
"""

from __future__ import annotations

import functools
import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml

from orchestrator.cli import commands
from tests.docs import markdown
from tests.docs.conftest import DOCS, ROOT
from tests.helm.conftest import program

NAMES = ("kubernetes", "existing-cluster", "gpu", "troubleshooting", "running", "components")
PAGES = [ROOT / "README.md", *(DOCS / f"{name}.md" for name in NAMES)]
# What needs no proof here: programs of others that these pages use once or twice, and the shell's own words.
OTHERS = {"kind", "docker", "curl", "pip", "source", "export"}
SCRIPT = "manifests/cluster-up.sh"


@dataclass(frozen=True, slots=True)
class Line:
    """One program with its words, as a page has it."""

    place: str
    words: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.place} {' '.join(self.words[:3])}"


def _lines(page: Path) -> Iterator[Line]:
    for block in markdown.blocks(page):
        if block.language != "sh":
            continue
        text = re.sub(r" +# .*", "", block.text.replace("\\\n", " "))
        # Quotes may go over several lines.
        lexer = shlex.shlex(text, posix=True, punctuation_chars="();<>|&\n")
        lexer.whitespace = " \t"
        lexer.whitespace_split = True
        lexer.commenters = ""
        words: list[str] = []
        for word in [*lexer, "\n"]:
            if set(word) <= set("();<>|&\n"):
                while words and re.match(r"[A-Z_]+=", words[0]):
                    words.pop(0)
                if words:
                    yield Line(f"{page.name}:{block.line}", tuple(words))
                words = []
            else:
                words.append(word)


LINES = [line for page in PAGES for line in _lines(page)]


def _of(*programs: str) -> list[Line]:
    return [line for line in LINES if line.words[0] in programs]


def test_every_program_is_one_that_is_looked_at() -> None:
    known = {"orc", "make", "kubectl", "helm", SCRIPT, *OTHERS}
    assert [str(line) for line in LINES if line.words[0] not in known] == []


@pytest.mark.parametrize("line", _of("orc"), ids=str)
def test_orc_takes_the_command(line: Line) -> None:
    """Parsed as it would be, and not run: unknown commands, options and values raise."""
    words = list(line.words[1:])
    command = typer.main.get_command(commands.app(words))
    while words and (below := vars(command).get("commands")):
        name = words.pop(0)
        assert name in below
        command = below[name]
    command.make_context("orc", words)


@pytest.mark.parametrize(
    ("words", "page"),
    [
        (["plan"], "existing-cluster"),
        (["apply"], "existing-cluster"),
        (["delete"], "existing-cluster"),
        (["build"], "existing-cluster"),
        (["schedules", "create"], "running"),
        (["compile"], "running"),
    ],
    ids=" ".join,
)
def test_every_option_is_written_down(words: list[str], page: str) -> None:
    prose = set(re.findall(r"`(--?[a-z-]+)", markdown.prose(DOCS / f"{page}.md")))
    command = typer.main.get_command(commands.app(words))
    for name in words:
        command = vars(command)["commands"][name]
    options = {name for each in command.params if each.param_type_name == "option" for name in each.opts}
    assert options - prose == set()


@pytest.mark.parametrize("line", _of("make"), ids=str)
def test_make_has_the_target(line: Line) -> None:
    done = subprocess.run(["make", "--dry-run", *line.words[1:]], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("line", _of(SCRIPT), ids=str)
def test_the_script_has_the_part(line: Line) -> None:
    functions = re.findall(r"^(\w+)\(\) {$", (ROOT / SCRIPT).read_text(encoding="utf-8"), flags=re.MULTILINE)
    assert set(line.words[1:]) <= set(functions)


@pytest.mark.parametrize("line", _of("kubectl", "helm"), ids=str)
def test_the_program_has_the_options(line: Line) -> None:
    name, *words = line.words
    found = program(name) or shutil.which(name)
    if found is None:
        pytest.skip(f"needs {name}: `make cluster` brings one")
    verbs = words[: next((at for at, word in enumerate(words) if word.startswith("-") or "/" in word), len(words))]
    known = _options(found, tuple(verbs[:3] if verbs[:2] == ["create", "secret"] else verbs[:1]))
    assert {word.partition("=")[0] for word in words if re.match(r"--[a-z]", word)} <= known


@pytest.mark.parametrize("line", LINES, ids=str)
def test_every_file_of_ours_exists(line: Line) -> None:
    tops = ("pipelines/", "manifests/", "helm/", "kind-config.yaml", "components/")
    assert [word for word in line.words if word.startswith(tops) and not (ROOT / word).exists()] == []


def test_every_value_of_the_chart_that_is_named_exists() -> None:
    values = yaml.safe_load((ROOT / "helm/orchestrator/values.yaml").read_text(encoding="utf-8"))
    named = {
        span
        for page in (DOCS / f"{name}.md" for name in ("existing-cluster", "gpu", "troubleshooting"))
        for span in re.findall(r"`(\w+(?:\.\w+)+)(?:: [^`]*|=[^`]*)?`", markdown.prose(page))
        if span.partition(".")[0] in values
    }
    assert len(named) > 10
    assert sorted(each for each in named if not _has(values, each.split("."))) == []


def _has(values: Any, path: list[str]) -> bool:
    return not path or (isinstance(values, dict) and path[0] in values and _has(values[path[0]], path[1:]))


@functools.cache
def _options(found: str, verbs: Sequence[str]) -> frozenset[str]:
    common = ["options"] if Path(found).name == "kubectl" else ["--help"]
    texts = [
        subprocess.run([found, *words], capture_output=True, text=True, check=False).stdout
        for words in ([*verbs, "--help"], common)
    ]
    return frozenset(re.findall(r"--[a-z][a-z0-9-]*", "".join(texts)))
