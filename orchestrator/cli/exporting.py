"""A model in another form: as ONNX, for a machine that has nothing of ours and for a server that answers sooner."""

from __future__ import annotations

import getpass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from orchestrator.cli import extras, options
from orchestrator.errors import OrchestratorError

if TYPE_CHECKING:
    from orchestrator.model.onnx.export import Exported

_Model = Annotated[
    str,
    typer.Argument(metavar="MODEL", help="A model's folder, or a version: penguins, penguins/3, penguins@champion."),
]
_Data = Annotated[
    Path, typer.Option("--data", help="Rows to compare with, as CSV, JSON Lines or Parquet; not those of the training.")
]
_To = Annotated[
    Path | None, typer.Option("--to", help="The new folder: graph, signature and a program.", show_default=False)
]


def export(
    model: _Model,
    *,
    data: _Data,
    to: _To = None,
    onnx: Annotated[bool, typer.Option("--onnx", help="As ONNX, the one form there is.")] = False,
    precision: Annotated[str, typer.Option("--precision", help="float64 or float32.")] = "float64",
    differing: Annotated[int, typer.Option("--differing", min=0, help="How many labels may differ.")] = 0,
    difference: Annotated[
        float,
        typer.Option(
            "--difference", min=0, help="How much a probability may differ; a number, in standard deviations."
        ),
    ] = 1e-4,
    rows: Annotated[
        int | None, typer.Option("--rows", min=1, help="Compare this many rows, not all.", show_default=False)
    ] = None,
) -> None:
    """Write a model as ONNX, once it answers as the model does for every row of --data.

    The outcome is written in the record of a registered version; with it, an endpoint may say `format: onnx`.
    """
    if not onnx:
        raise OrchestratorError("as what is it to be exported?", hint="say --onnx")
    settings = options.read()
    with extras.needed("data", "onnx", "mlflow"):
        from orchestrator.deployment import exported
        from orchestrator.model.onnx.export import Wanted

        wanted = Wanted(precision, differing, difference, rows)
        found, version = exported.onnx(model, data, to, wanted, settings, by=getpass.getuser())
    _tell(found, version, to)
    if not found.gate.passed:
        raise OrchestratorError(
            f"the ONNX form of {model} does not answer as the model does, and was not kept",
            hint="--differing and --difference say what you accept",
        )


def _tell(found: Exported, version: str, to: Path | None) -> None:
    gate = found.gate
    typer.echo(f"rows compared       {gate.rows:,}")
    if found.has_labels:
        typer.echo(f"labels that differ  {gate.differing:,} (at most {gate.max_differing:,})")
    unit = "" if found.has_labels else " standard deviations"
    typer.echo(f"largest difference  {gate.largest:.1e}{unit} (at most {gate.max_difference:.1e})")
    for each in found.outside:
        typer.echo(f"not in the graph    {each}; done before it")
    if not found.digest:
        return
    if to:
        typer.echo(f"written             {to}; it predicts with `python {to}/predict.py rows.json`")
    if version:
        typer.echo(f"kept with           {version}; a variant of it may say `format: onnx`")
