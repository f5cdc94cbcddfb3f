"""Where text goes: a terminal with its width and colours, or a pipe that takes it as it is."""

from __future__ import annotations

import os
import sys
import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from rich.console import Console, RenderableType


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a listing."""

    name: str
    right: bool = False
    grows: bool = False
    """Whether it takes the room that is left, and wraps in it."""


def steady() -> None:
    """A terminal that knows few letters gets `?` for the others; it never gets a traceback instead."""
    if sys.stdout is None or sys.stderr is None:  # Closed by whoever started us, as in `orc runs >&-`.
        nothing = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115  It is open as long as we are.
        sys.stdout, sys.stderr = sys.stdout or nothing, sys.stderr or nothing
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")


def is_terminal() -> bool:
    """Whether a person looks at standard output, and the cursor can be moved there."""
    return sys.stdout.isatty() and os.environ.get("TERM", "dumb") not in ("dumb", "")


def is_coloured(stream: TextIO) -> bool:
    """Whether colours may be written to a stream."""
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM", "dumb") not in ("dumb", "")


def is_unicode() -> bool:
    """Whether standard output knows the symbols we use."""
    return (sys.stdout.encoding or "").lower().replace("-", "").startswith("utf")


def console() -> Console:
    """Standard output: what we print is data, so nothing in it is markup."""
    from rich.console import Console

    return Console(highlight=False, markup=False, emoji=False)


def tell(lines: Iterable[RenderableType]) -> None:
    """Print lines: what is prose wraps between words in a terminal, all else is left whole to be copied."""
    target = console()
    wraps = sys.stdout.isatty()
    for line in lines:
        target.print(line, soft_wrap=not wraps or getattr(line, "no_wrap", False) is None)


def hung(label: str, text: str) -> list[str]:
    """A label and a sentence after it: in a terminal wrapped below where it began, in a pipe one line."""
    if not sys.stdout.isatty():
        return [label + text]
    width = max(40, console().width)
    return textwrap.wrap(
        text,
        width,
        initial_indent=label,
        subsequent_indent=" " * len(label),
        break_on_hyphens=False,
        break_long_words=False,
    )


def table(
    columns: Sequence[Column], rows: Sequence[Sequence[str]], *, styles: Sequence[str] = (), styled: int = 0
) -> None:
    """Print a listing: fitted to the terminal, or, in a pipe, aligned and whole. `styles` colours column `styled`."""
    if not sys.stdout.isatty():
        sys.stdout.write(aligned(columns, rows))
        return
    from rich import box
    from rich.table import Table
    from rich.text import Text

    drawn = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, header_style="bold")
    for column in columns:
        drawn.add_column(
            column.name,
            justify="right" if column.right else "left",
            no_wrap=not column.grows,
            overflow="fold" if column.grows else "ellipsis",
        )
    for index, row in enumerate(rows):
        cells = [Text(cell) for cell in row]
        if index < len(styles):
            cells[styled].stylize(styles[index])
        drawn.add_row(*cells)
    console().print(drawn)


def aligned(columns: Sequence[Column], rows: Sequence[Sequence[str]], *, heading: bool = True) -> str:
    """A listing as plain text: one row a line, nothing cut off."""
    lines = [[column.name for column in columns], *rows] if heading else rows
    widths = [max((len(line[index]) for line in lines), default=0) for index in range(len(columns))]
    text = ""
    for line in lines:
        cells = [
            cell.rjust(width) if column.right else cell.ljust(width)
            for cell, width, column in zip(line, widths, columns, strict=True)
        ]
        text += "  ".join(cells).rstrip() + "\n"
    return text
