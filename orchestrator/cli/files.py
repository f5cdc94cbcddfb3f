"""`orc validate`, `compile`, `graph`, `schema`, `init`, `version`: everything about files, nothing that runs."""

from __future__ import annotations

import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from orchestrator.errors import BackendError, OrchestratorError, PipelineError, Problem

if TYPE_CHECKING:
    from orchestrator.ir.platform import PlatformSpec
    from orchestrator.ir.spec import PipelineSpec

_File = Annotated[Path, typer.Argument(metavar="FILE", help="A pipeline file.")]
_Output = Annotated[
    Path | None,
    typer.Option("--output", "-o", metavar="OUT", help="Write here instead of printing.", show_default=False),
]


class Picture(StrEnum):
    """The kinds of picture of a pipeline."""

    TEXT = "text"
    SVG = "svg"
    HTML = "html"


class Kind(StrEnum):
    """The kinds of file that have a JSON Schema."""

    PIPELINE = "pipeline"
    COMPONENT = "component"
    ENDPOINT = "endpoint"
    SCHEMA = "schema"


class Form(StrEnum):
    """What a pipeline is compiled to."""

    IR = "ir"
    MANIFEST = "manifest"


def compile(
    file: _File,
    output: _Output = None,
    format: Annotated[
        Form, typer.Option("--format", help="`manifest`: resources of Kubernetes for `kubectl apply`.")
    ] = Form.IR,
    upload: Annotated[bool, typer.Option("--upload", help="For a manifest: upload the files it names.")] = False,
    unpinned: Annotated[
        bool, typer.Option("--unpinned", help="For a manifest: take images by their names where no digest is known.")
    ] = False,
) -> None:
    """Compile a pipeline file to the IR of Kubeflow Pipelines."""
    if format is Form.MANIFEST:
        give(_manifest(file, upload=upload, unpinned=unpinned), output)
        return
    if upload or unpinned:
        raise OrchestratorError("--upload and --unpinned are for --format manifest")
    from orchestrator import ir
    from orchestrator.pipeline import load, python

    if written := python.split(file):
        give(ir.dump(*_pinned(file, *python.compile(*written))), output)
        return
    compiled = load.pipeline(file)
    give(ir.dump(*_pinned(file, compiled.spec, compiled.platform)), output)


def _pinned(file: Path, pipeline: PipelineSpec, platform: PlatformSpec) -> tuple[PipelineSpec, PlatformSpec]:
    """A pipeline with the images that the lock beside its file has in a registry; what is not well with it is said."""
    if not list(file.parent.glob("*.lock.yaml")):  # Most have none, and need not load what reads it.
        return pipeline, platform
    from orchestrator import runs
    from orchestrator.runs import pinning

    found = pinning.compiled(runs.load(file), file)
    for warning in found.warnings:
        typer.echo(f"warning: {warning}", err=True)
    return found.loaded.pipeline, platform


def _manifest(file: Path, *, upload: bool, unpinned: bool) -> str:
    from orchestrator.cli import cluster_running, options
    from orchestrator.runs import packed

    found = packed.pack(file, options.read(), unpinned=unpinned, upload=upload, said=cluster_running.Told())
    for warning in found.warnings:
        typer.echo(f"warning: {warning}", err=True)
    return found.text


def validate(
    files: Annotated[list[Path], typer.Argument(help="Files of any kind.", metavar="FILE...")],
) -> None:
    """Check files (pipelines, components, endpoints, schemas) with all they name, and report every problem."""
    from orchestrator.cli import kinds

    problems: list[Problem] = []
    for file in files:
        try:
            said = kinds.check(file)
        except PipelineError as error:
            problems += error.problems
        else:
            typer.echo(f"{file}: {said}")
    if problems:
        raise PipelineError(problems)


def graph(
    file: _File,
    format: Annotated[
        Picture | None,
        typer.Option("--format", help="Default: by the ending of OUT, else text.", show_default=False),
    ] = None,
    output: _Output = None,
) -> None:
    """Draw the tasks of a pipeline and what flows between them."""
    from orchestrator import ir
    from orchestrator.pipeline import load, picture, python
    from orchestrator.runners.local import graph as tasks

    if (written := python.split(file)) or ir.recognises(file):
        pipeline, _ = python.compile(*written) if written else ir.read(file)
        tasks.check(pipeline)
        whole = picture.specification.of(pipeline)
    else:
        whole = picture.of(load.pipeline(file).definition)
    chosen = format or by_ending(output)
    draw = {Picture.TEXT: picture.text, Picture.SVG: picture.svg, Picture.HTML: picture.html}[chosen]
    give(draw(whole), output)


def schema(
    kind: Annotated[Kind, typer.Argument(help="Which file.", metavar="KIND", show_default=False)],
) -> None:
    """Print the JSON Schema of a kind of file, for editors: pipeline, component, endpoint or schema."""
    from orchestrator.cli import kinds

    give(kinds.json_schema(kind), None)


def init(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="The folder; made if it is not there.")] = Path(),
) -> None:
    """Start a new project: a pipeline and a component of your own that run at once."""
    from orchestrator.cli import project

    for file in project.write(folder):
        typer.echo(f"wrote {file}")
    go = "" if folder.resolve() == Path.cwd() else f"cd {folder} && "
    typer.echo(f"\nnow: {go}orc run pipeline.yaml")


def version() -> None:
    """Show the version."""
    import platform
    from importlib import metadata

    try:
        ours = metadata.version("orchestrator")
    except metadata.PackageNotFoundError as error:
        raise OrchestratorError("orchestrator is not installed as a package", hint="pip install -e .") from error
    typer.echo(f"orc {ours} (Python {platform.python_version()}, {sys.platform})")


def by_ending(output: Path | None) -> Picture:
    """The kind of picture that the ending of a file's name asks for."""
    endings = {".svg": Picture.SVG, ".html": Picture.HTML, ".htm": Picture.HTML}
    return endings.get(output.suffix.lower(), Picture.TEXT) if output else Picture.TEXT


def give(text: str, output: Path | None) -> None:
    """Print a text, or write it to a file. Raises BackendError."""
    text = text if text.endswith("\n") else text + "\n"
    if output is None:
        sys.stdout.write(text)
        return
    try:
        output.write_text(text, encoding="utf-8")
    except OSError as error:
        raise BackendError("file", f"{output}: {error.strerror}") from error
