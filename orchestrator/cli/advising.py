"""`orc endpoint lint`: whether an endpoint file goes with what will be asked of it, and which mode does."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from orchestrator.cli import options, screen

if TYPE_CHECKING:
    from orchestrator.serving.advisor.findings import Finding
    from orchestrator.serving.advisor.modes import Fit
    from orchestrator.serving.endpoint import Mode
    from orchestrator.source import Source

T = TypeVar("T")
WRONG = 2
_DOES = {
    "realtime": "it answers each request at once",
    "serverless": "it answers at once, and unloads its model while nobody asks",
    "async": "it queues requests and writes answers to files",
    "batch": "it predicts for whole files",
}
_COLOURS = {"fails": "red", "advice": "yellow"}


class Profile(StrEnum):
    """Whose limits count."""

    ORCHESTRATOR = "orchestrator"
    SAGEMAKER = "sagemaker"


def lint(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="An endpoint file.")],
    *,
    payload: Annotated[
        str, typer.Option("--payload", metavar="SIZE", help="The largest request, e.g. 20Mi.", show_default=False)
    ] = "",
    duration: Annotated[
        str,
        typer.Option("--duration", metavar="TIME", help="The longest a request takes, e.g. 15m.", show_default=False),
    ] = "",
    concurrency: Annotated[
        int | None,
        typer.Option("--concurrency", metavar="N", min=1, help="The most requests at once.", show_default=False),
    ] = None,
    rate: Annotated[
        str,
        typer.Option("--rate", metavar="RATE", help="How many there are: 20/s, 100000/h, 500/8h.", show_default=False),
    ] = "",
    budget: Annotated[
        float | None,
        typer.Option("--budget", metavar="MONEY", min=0, help="Money a month; needs --price.", show_default=False),
    ] = None,
    price: Annotated[
        float | None,
        typer.Option("--price", metavar="MONEY", min=0, help="Money for a replica in an hour.", show_default=False),
    ] = None,
    profile: Annotated[
        Profile, typer.Option("--profile", help="Whose limits count, beside those of the modes.")
    ] = Profile.ORCHESTRATOR,
    format: options.Listing = options.Format.TEXT,
) -> None:
    """Hold an endpoint file against what will be asked of it, and say which mode fits; exit code 2 when it does not."""
    from orchestrator import source
    from orchestrator.serving import endpoint, quantity
    from orchestrator.serving.advisor import findings, modes, needs

    if budget is not None and price is None:
        raise typer.BadParameter("what a replica costs in an hour is not said: add --price", param_hint="--budget")
    asked = needs.Needs(
        _parsed(quantity.size, payload, "--payload"),
        _parsed(quantity.seconds, duration, "--duration"),
        concurrency,
        _parsed(needs.rate, rate, "--rate"),
        budget,
        price,
    )
    document = source.read(file)
    spec = endpoint.parse(document)
    found = sorted(findings.findings(spec, asked, profile.value), key=lambda each: document.at(*each.path))
    fits = modes.fits(spec, asked)
    best = modes.best(fits, spec, asked)
    if format is options.Format.JSON:
        _json(document, found, fits, best)
    else:
        _tell(document, found, fits, best)
    if any(each.severity == "fails" for each in found):
        raise typer.Exit(WRONG)


def _parsed(parse: Callable[[str], T], text: str, option: str) -> T | None:
    if not text:
        return None
    try:
        return parse(text)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint=option) from None


def _tell(document: Source, found: Sequence[Finding], fits: Sequence[Fit], best: Mode | None) -> None:
    from rich.text import Text

    for each in found:
        screen.tell(_lines(document, each))
    if found:
        typer.echo()
    priced = any(each.cost is not None for each in fits)
    rows = [_row(each, priced=priced) for each in fits]
    columns = [screen.Column("mode"), screen.Column("fits"), screen.Column("busy", grows=True)]
    columns += [screen.Column("a month", right=True)] if priced else []
    columns.append(screen.Column("why not", grows=True))
    styles = ["green" if each.fits else "red" for each in fits]
    screen.table(columns, rows, styles=styles, styled=1)
    told = f"best: {best}, {_DOES[best]}" if best else "best: none; ask less of it, or of one request"
    screen.tell([Text(told, "bold")])


def _lines(document: Source, finding: Finding) -> Iterator[Any]:
    from rich.text import Text

    at = document.at(*finding.path)
    yield Text.assemble(f"{at}: ", (finding.severity, _COLOURS[finding.severity]))
    for line in screen.hung("    ", finding.message):
        yield Text(line)
    for line in screen.hung("    do: ", finding.do):
        yield Text(line, "dim")


def _row(fit: Fit, *, priced: bool) -> list[str]:
    from orchestrator.serving.advisor import words

    cost = [words.money(fit.cost) if fit.cost is not None else "-"] if priced else []
    return [fit.mode, "yes" if fit.fits else "no", fit.busy or "-", *cost, "; ".join(fit.against) or "-"]


def _json(document: Source, found: Sequence[Finding], fits: Sequence[Fit], best: Mode | None) -> None:
    from orchestrator.cli import machine

    told = []
    for each in found:
        at = document.at(*each.path)
        told.append(
            {"severity": each.severity, "file": at.file, "line": at.line, "column": at.column}
            | {"message": each.message, "do": each.do}
        )
    modes = [
        {"mode": each.mode, "fits": each.fits, "against": list(each.against), "busy": each.busy, "cost": each.cost}
        for each in fits
    ]
    typer.echo(machine.text({"best": best, "findings": told, "modes": modes}))
