"""`orc batch`: predictions for whole files."""

from __future__ import annotations

import sys
import time
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from orchestrator.cli import extras, options, screen, wording

if TYPE_CHECKING:
    from orchestrator.deployment.batches import Asked
    from orchestrator.serving.batch.batch import Done
    from orchestrator.serving.batch.plan import Plan


class Split(StrEnum):
    """What a record is."""

    LINE = "line"
    NONE = "none"


class Form(StrEnum):
    """How records are written in a file."""

    CSV = "csv"
    JSONL = "jsonl"
    PARQUET = "parquet"


def batch(
    model: Annotated[
        str,
        typer.Argument(metavar="MODEL", help="penguins, penguins/3, penguins@champion, an endpoint file, or a folder."),
    ],
    source: Annotated[
        str, typer.Option("--input", metavar="FILE", help="A file, a folder, a pattern or a URI.", show_default=False)
    ],
    target: Annotated[
        str, typer.Option("--output", metavar="FILE", help="Where to; a folder for several files.", show_default=False)
    ],
    *,
    variant: Annotated[
        str,
        typer.Option(
            "--variant", metavar="NAME", help="Of an endpoint file; default: the largest.", show_default=False
        ),
    ] = "",
    join: Annotated[bool, typer.Option("--join", help="Write each record with its prediction beside it.")] = False,
    name: Annotated[str, typer.Option("--name", help="What a joined prediction is called.")] = "prediction",
    input_filter: Annotated[
        str, typer.Option("--input-filter", metavar="PATH", help="What the model gets of a record, as JSONPath.")
    ] = "$",
    output_filter: Annotated[
        str, typer.Option("--output-filter", metavar="PATH", help="What is written, as JSONPath.")
    ] = "$",
    error_threshold: Annotated[
        str, typer.Option("--error-threshold", metavar="N", help="How many records may be bad: 10, or 1%.")
    ] = "0",
    quarantine: Annotated[
        str,
        typer.Option(
            "--quarantine", metavar="FILE", help="Where bad records go; default: beside the output.", show_default=False
        ),
    ] = "",
    split: Annotated[Split, typer.Option("--split", help="A record is a line, or the whole file.")] = Split.LINE,
    input_format: Annotated[
        Form | None, typer.Option("--input-format", help="Where name and content do not say it.", show_default=False)
    ] = None,
    output_format: Annotated[
        Form | None, typer.Option("--output-format", help="Default: by the name, or the input's.", show_default=False)
    ] = None,
    header: Annotated[
        bool, typer.Option("--header/--no-header", help="Whether the first line of a CSV file names its columns.")
    ] = True,
    delimiter: Annotated[
        str, typer.Option("--delimiter", metavar="C", help="Between cells of a CSV file.", show_default=False)
    ] = "",
    batch_size: Annotated[
        int, typer.Option("--batch-size", metavar="N", min=1, help="Records the model gets at once.")
    ] = 1000,
    max_payload: Annotated[
        str | None,
        typer.Option("--max-payload", metavar="SIZE", help="Of one record; default: 6Mi.", show_default=False),
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option(
            "--workers", metavar="N", min=1, help="Processes; default: one for each core.", show_default=False
        ),
    ] = None,
    retries: Annotated[
        int, typer.Option("--retries", metavar="N", min=0, help="When the model fails or its process dies.")
    ] = 3,
    timeout: Annotated[
        str | None,
        typer.Option("--timeout", metavar="TIME", help="For one call of the model; default: 10m.", show_default=False),
    ] = None,
    format: options.Listing = options.Format.TEXT,
) -> None:
    """Predict for every record of a file, in order, on every core; bad records are put aside."""
    settings = options.read()
    with extras.needed("data", "mlflow"):
        from orchestrator.deployment import batches
        from orchestrator.serving.batch import jsonpath, plan

        asked = batches.find(model, variant, tracking_uri=settings.tracking_uri, state=settings.state)
    wanted = plan.Plan(
        split=split,
        join="input" if join else "none",
        input_format=input_format or "",
        output_format=output_format or "",
        header=header,
        delimiter=delimiter,
        input_filter=jsonpath.parse(input_filter),
        output_filter=jsonpath.parse(output_filter),
        name=name,
        threshold=plan.threshold(error_threshold),
        size=batch_size,
        payload=plan.size(max_payload) if max_payload else asked.payload or plan.PAYLOAD,
        workers=workers,
        retries=retries,
        seconds=plan.seconds(timeout) if timeout else asked.seconds or plan.SECONDS,
    )
    _run(asked, wanted, source=source, target=target, quarantine=quarantine, format=format)


def _run(asked: Asked, wanted: Plan, *, source: str, target: str, quarantine: str, format: options.Format) -> None:
    from orchestrator.cli import machine
    from orchestrator.serving.batch import batch as act

    began = time.monotonic()
    shown = _Progress(is_shown=sys.stderr.isatty())
    try:
        with extras.needed("data"):
            done = act.run(asked.model, wanted, source=source, target=target, quarantine=quarantine, said=shown.tell)
    finally:
        shown.clear()
    seconds = time.monotonic() - began
    if format is options.Format.JSON:
        typer.echo(machine.text(_data(asked, done, seconds)))
        return
    bad = f", {done.bad:,} of them bad" if done.bad else ""
    records = "1 record" if done.records == 1 else f"{done.records:,} records"
    typer.echo(f"{asked.model.label}: {records} in {wording.duration(seconds)}{bad}")
    files = [
        *(("predictions", each) for each in done.outputs),
        *([("bad records", done.quarantine)] if done.bad else []),
    ]
    for what, where in files:
        typer.echo(f"  {what:<12} {where}")
    if done.unread:
        for line in screen.hung("  not read     ", ", ".join(sorted(done.unread))):
            typer.echo(line)


class _Progress:
    """One line of a terminal that is written again and again."""

    def __init__(self, *, is_shown: bool) -> None:
        self._is_shown, self._at = is_shown, 0.0

    def tell(self, done: Done) -> None:
        now = time.monotonic()
        if not self._is_shown or now - self._at < 0.2:
            return
        self._at = now
        share = f" {done.share:4.0%}" if done.share else ""
        sys.stderr.write(f"\r{share} {done.records:,} records, {done.bad:,} bad\033[K")
        sys.stderr.flush()

    def clear(self) -> None:
        if self._at:
            sys.stderr.write("\r\033[K")
            sys.stderr.flush()


def _data(asked: Asked, done: Done, seconds: float) -> dict[str, object]:
    return {
        "model": asked.model.label,
        "digest": asked.model.digest,
        "records": done.records,
        "bad": done.bad,
        "outputs": list(done.outputs),
        "quarantine": done.quarantine,
        "unread": sorted(done.unread),
        "seconds": round(seconds, 3),
    }
