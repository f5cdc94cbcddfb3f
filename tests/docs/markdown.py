"""A Markdown file as what tests ask of it: fenced blocks with their marks, headings, links."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_FENCE = re.compile(r"(?P<fence>`{3,})(?P<info>[^`]*)")
_FILE = re.compile(r"<!-- file: (?P<path>\S+) -->")
_LINK = re.compile(r"!?\[(?:[^\]\\]|\\.)*\]\((?P<target>[^)\s]+)\)")


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block: ```` ```yaml fragment ```` has the language yaml and the mark fragment.

    `file` is the path that a comment `<!-- file: PATH -->` on the line before gives it; a reader writes it there.
    """

    language: str
    marks: tuple[str, ...]
    text: str
    line: int
    file: str = ""


@dataclass(frozen=True, slots=True)
class Command:
    """A line to type, and what the page shows of its output."""

    text: str
    shown: tuple[str, ...] = ()


def blocks(page: Path) -> list[Block]:
    """The fenced blocks of a page, in order."""
    found: list[Block] = []
    opened: tuple[str, list[str], int, str] | None = None
    inside: list[str] = []
    before = ""
    for number, line in enumerate(page.read_text(encoding="utf-8").splitlines(), start=1):
        fence = _FENCE.match(line)
        if opened is None and fence:
            named = _FILE.fullmatch(before.strip())
            opened, inside = (fence["fence"], fence["info"].split(), number, named["path"] if named else ""), []
        elif opened and line.strip() == opened[0]:
            words = opened[1]
            text = "".join(f"{each}\n" for each in inside)
            found.append(Block(words[0] if words else "", tuple(words[1:]), text, opened[2], opened[3]))
            opened = None
        else:
            inside.append(line)
        before = line
    assert opened is None, f"{page.name}:{opened[2] if opened else 0}: the block does not end"
    return found


def commands(block: Block) -> list[Command]:
    """The commands of a console block: lines after `$ `, going on while they end in a backslash."""
    found: list[Command] = []
    lines = iter(block.text.splitlines())
    for line in lines:
        if not line.startswith("$ "):
            assert found, f"line {block.line}: a console block begins with a command"
            found[-1] = Command(found[-1].text, (*found[-1].shown, line))
            continue
        text = line.removeprefix("$ ")
        while text.endswith("\\"):
            text += f"\n{next(lines)}"
        found.append(Command(text))
    return found


def prose(page: Path) -> str:
    """The page without its fenced blocks."""
    return re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)


def links(page: Path) -> Iterator[str]:
    """The targets of links and pictures that are part of this repository."""
    for match in _LINK.finditer(prose(page)):
        if not re.match(r"[a-z]+:", match["target"]):
            yield match["target"]


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", prose(page), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
