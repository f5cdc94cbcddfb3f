"""`orc check`: what a pipeline asks for that the place it is to run does not have."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from orchestrator.cli import options, screen

if TYPE_CHECKING:
    from collections.abc import Iterator

    from orchestrator.runs.checked import Placed

WRONG = 2
_COLOURS = {"fails": "red", "differs": "yellow", "ignored": "cyan"}


class Where(StrEnum):
    """The targets, as they are typed."""

    LOCAL = "local"
    KFP_2_15 = "kfp-2.15"
    KFP_2_16 = "kfp-2.16"
    KFP_2_17 = "kfp-2.17"


def check(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A pipeline file, or one compiled to IR.")],
    *,
    target: Annotated[
        list[Where] | None,
        typer.Option(
            "--target", help="Where it is to run; may be given again. Default: local and kfp-2.17.", show_default=False
        ),
    ] = None,
    strict: Annotated[bool, typer.Option("--strict", help="End with exit code 2 when something fails there.")] = False,
    format: options.Listing = options.Format.TEXT,
) -> None:
    """Say what in a pipeline a target does not have or treats differently, where that is, and what to do."""
    from orchestrator import portability
    from orchestrator.cli import machine
    from orchestrator.runs import checked

    names = list(dict.fromkeys(str(each) for each in target or portability.DEFAULT))
    placed = checked.check(file, [portability.TARGETS[name] for name in names])
    if format is options.Format.JSON:
        typer.echo(machine.text([_data(each) for each in placed]))
    else:
        for name in names:
            _tell(name, [each for each in placed if each.remark.target.name == name])
    if strict and any(each.remark.rule.severity is portability.Severity.FAILS for each in placed):
        raise typer.Exit(WRONG)


def _tell(target: str, placed: list[Placed]) -> None:
    from rich.text import Text

    severities = [str(each.remark.rule.severity) for each in placed]
    counts = [f"{severities.count(each)} {_verb(each, severities)}" for each in _COLOURS if each in severities]
    screen.tell([Text(f"{target}: {', '.join(counts) or 'nothing to remark'}", "bold")])
    for each in placed:
        screen.tell(_lines(each))


def _verb(severity: str, severities: list[str]) -> str:
    return severity if severities.count(severity) == 1 else severity.removesuffix("s")


def _lines(placed: Placed) -> Iterator[Any]:
    from rich.text import Text

    remark = placed.remark
    severity = str(remark.rule.severity)
    tasks = f"{', '.join(remark.tasks)}" if remark.tasks else "the pipeline"
    yield Text.assemble(f"  {placed.at}: ", (severity, _COLOURS[severity]), f": {tasks}")
    for line in screen.hung("    ", remark.what):
        yield Text(line)
    if remark.do != "nothing":
        for line in screen.hung("    do: ", remark.do):
            yield Text(line, "dim")


def _data(placed: Placed) -> dict[str, Any]:
    remark = placed.remark
    return {
        "target": remark.target.name,
        "rule": remark.rule.name,
        "severity": str(remark.rule.severity),
        "file": placed.at.file,
        "line": placed.at.line,
        "column": placed.at.column,
        "tasks": list(remark.tasks),
        "message": remark.what,
        "do": remark.do,
    }
