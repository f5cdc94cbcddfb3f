"""`orc artifacts`: what a run made and where it lies; who made an artifact, and who used it."""

from __future__ import annotations

import dataclasses
import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from orchestrator.cli import options, screen
from orchestrator.errors import BackendError, NotFoundError

if TYPE_CHECKING:
    from rich.text import Text

    from orchestrator.history.lineage import Lineage, Made

_DIGEST = re.compile(r"[0-9a-f]{6,64}")
_STORED = re.compile(r"([0-9a-f]{2})/(\1[0-9a-f]{30})/[^/]+$")
_MOST = 20


def artifacts(
    run: options.Run = "last",
    type: Annotated[
        str, typer.Option("--type", metavar="TYPE", help="Only of this type: Model, Dataset.", show_default=False)
    ] = "",
    of: Annotated[
        str,
        typer.Option(
            "--of",
            metavar="PATH|DIGEST",
            help="Who made this artifact, in any run, and who used it.",
            show_default=False,
        ),
    ] = "",
    format: options.Listing = options.Format.TEXT,
) -> None:
    """List what a run made: type, size, digest and path of each artifact."""
    from orchestrator.cli import history, machine
    from orchestrator.history import lineage

    state = options.read().state
    if of:
        with history.needed(state, run) as metadata:
            digest = _digest(of)
            found = lineage.of(digest, metadata.holding(digest))
        if not found:
            raise NotFoundError(
                "artifact", of, hint="no run that is recorded made or used it; `orc artifacts` lists some"
            )
        if format is options.Format.JSON:
            typer.echo(machine.text([_lineage(each) for each in found]))
            return
        screen.tell(line for index, each in enumerate(found) for line in _told(each, first=not index))
        return
    with history.needed(state, run) as metadata:
        record = metadata.run(run)
        listed = lineage.made(metadata.tasks(record.id), type)
    if format is options.Format.JSON:
        typer.echo(machine.text([_data(each) for each in listed]))
    elif listed:
        screen.tell(lines(listed))
    else:
        typer.echo(f"run {record.id} made no artifacts" + (f" of type {type}" if type else ""))


def lines(listed: Sequence[Made]) -> Iterator[Text]:
    """A line for each artifact, with its path: below it in a terminal, at the end of it in a pipe."""
    from rich.text import Text

    from orchestrator.cli import summary, wording

    columns = [screen.Column(""), screen.Column(""), screen.Column("", right=True), screen.Column("")]
    rows = [
        [
            wording.printable(each.called),
            wording.kind(each.artifact.type),
            wording.size(each.artifact.size)
            if each.artifact.digest
            else "",  # Else it lies where nobody here has looked.
            each.artifact.digest[:12],
        ]
        for each in listed
    ]
    told = screen.aligned(columns, rows, heading=False).splitlines()
    for each, line in zip(listed, told, strict=True):
        place = wording.printable(summary.place(each.artifact.uri))
        if sys.stdout.isatty():
            yield Text(f"  {line}")
            yield Text(f"    {place}", "cyan")
        else:
            yield Text(f"  {line}  {place}")


def _digest(text: str) -> str:
    """The digest, or its beginning, that is written, or that of what lies at a path."""
    path = Path(text)
    if not path.exists():
        if _DIGEST.fullmatch(text):
            return text
        raise NotFoundError("file or digest", text, hint="give a path, or at least 6 letters of a digest")
    stored = _STORED.search(str(path.absolute()))
    if stored:
        return stored[2]
    from orchestrator import digest

    try:
        return digest.of(path)
    except OSError as error:
        raise BackendError("file", f"{path}: {error.strerror}") from error


def _told(found: Lineage, *, first: bool) -> Iterator[Text]:
    from rich.text import Text

    from orchestrator.cli import summary, wording

    if not first:
        yield Text()
    artifact = found.artifact
    about = f"{wording.kind(artifact.type)}, {wording.size(artifact.size)}, {artifact.digest[:12]}"
    yield Text.assemble((artifact.name, "bold"), (f"  {about}", "dim"))
    yield Text.assemble(("  path     ", "dim"), wording.printable(summary.place(artifact.uri)))
    for title, listed in (("made by", found.made), ("used by", found.used)):
        for number, each in enumerate(listed[:_MOST]):
            cached = " (from the cache)" if each.task.status == "SKIPPED" else ""
            text = f"{each.called} of run {each.task.run}{cached}" if title == "made by" else _used(each)
            yield Text.assemble((f"  {title if not number else '':<9}", "dim"), text)
        if len(listed) > _MOST:
            yield Text(f"           and {len(listed) - _MOST} more", "dim")
    if not found.made:
        yield Text("  made by  nobody here: it came from outside", "dim")


def _used(each: Made) -> str:
    return f"{each.task.name} as {each.name!r} in run {each.task.run}"


def _data(each: Made) -> dict[str, Any]:
    return {"run": each.task.run, "task": each.task.name, "output": each.name, **dataclasses.asdict(each.artifact)}


def _lineage(found: Lineage) -> dict[str, Any]:
    def who(listed: Sequence[Made], word: str) -> list[dict[str, str]]:
        return [
            {"run": each.task.run, "task": each.task.name, word: each.name, "status": each.task.status}
            for each in listed
        ]

    artifact = dataclasses.asdict(found.artifact)
    return {"artifact": artifact, "made_by": who(found.made, "output"), "used_by": who(found.used, "input")}
