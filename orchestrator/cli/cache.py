"""`orc cache`: why a task ran again, what may be used again, and how it is forgotten."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from orchestrator.cli import manual, options, screen

if TYPE_CHECKING:
    from rich.text import Text

    from orchestrator.history.explain import Explanation
    from orchestrator.stores.metadata import CacheEntry, Metadata

app = typer.Typer(help="Explain, list and clear the cache.", rich_markup_mode=None, cls=manual.Group)

_Task = Annotated[
    str,
    typer.Argument(
        metavar="TASK", help="Its name, as `orc show` has it.", autocompletion=options.complete_task, show_default=False
    ),
]


@app.command(cls=manual.Command)
def explain(task: _Task, run: options.Run = "last", format: options.Listing = options.Format.TEXT) -> None:
    """Tell why a task ran in a run, or did not have to, and which input changed."""
    from orchestrator.cli import details, history, machine
    from orchestrator.history import explain as explaining

    with history.needed(options.read().state, run) as metadata:
        tasks = metadata.tasks(metadata.run(run).id)
        chosen = details.named(tasks, task)
        found = [explaining.explain(each, tasks, metadata.alike) for each in chosen]
    if format is options.Format.JSON:
        typer.echo(machine.text([_data(each) for each in found]))
        return
    screen.tell(line for index, each in enumerate(found) for line in _lines(each, first=not index))


@app.command("list", cls=manual.Command)
def listing(format: options.Listing = options.Format.TEXT) -> None:
    """List what may be used again: each task's outputs, the run that made them, and their size."""
    from orchestrator.cli import history, machine, wording

    settings = options.read()
    with history.recorded(settings.state) as metadata:
        entries = metadata.entries() if metadata else []
    if format is options.Format.JSON:
        typer.echo(
            machine.text([{**dataclasses.asdict(each), "created": wording.iso(each.created)} for each in entries])
        )
        return
    if not entries:
        typer.echo(f"the cache of {settings.state} is empty")
        return
    now = time.time()
    columns = [
        screen.Column("task"),
        screen.Column("run"),
        screen.Column("age", right=True),
        screen.Column("size", right=True),
    ]
    rows = [
        [
            each.name or each.path,
            each.run,
            wording.duration(now - each.created),
            wording.size(_size(each)) if _size(each) else "",
        ]
        for each in entries
    ]
    screen.table(columns, rows)


@app.command(cls=manual.Command)
def clear(
    task: Annotated[
        str,
        typer.Argument(metavar="TASK", help="One task's entries only.", autocompletion=options.complete_task),
    ] = "",
) -> None:
    """Forget what may be used again, so that the next run makes it anew. Artifacts stay; `orc gc` removes them."""
    from orchestrator.cli import history, wording
    from orchestrator.errors import NotFoundError

    settings = options.read()
    with history.recorded(settings.state) as metadata:
        names = _names(metadata) if metadata else {}
        if task and task not in names:
            raise NotFoundError("cache entry of task", task, known=names)
        chosen = names[task] if task else [key for keys in names.values() for key in keys]
        chosen = list(dict.fromkeys(chosen))
        if metadata and chosen:
            metadata.forget(*chosen)
    typer.echo(f"forgot {len(chosen)} {'entry' if len(chosen) == 1 else 'entries'}" + (f" of {task}" if task else ""))
    if chosen and not task:
        typer.echo(wording.one_line("the next run of each pipeline does all its work again"))


def _names(metadata: Metadata) -> dict[str, list[str]]:
    """The keys of the entries by the task's name, with the number of its iteration and without."""
    names: dict[str, list[str]] = {}
    for entry in metadata.entries():
        for name in {entry.path.rpartition("/")[2], *([entry.name] if entry.name else [])}:
            names.setdefault(name, []).append(entry.key)
    return names


def _size(entry: CacheEntry) -> int:
    return sum(artifact.size for listed in entry.outputs.artifacts.values() for artifact in listed)


def _lines(found: Explanation, *, first: bool) -> Iterator[Text]:
    from rich.text import Text

    from orchestrator.cli import wording

    colours = {"hit": "blue", "missed": "yellow"}
    if not first:
        yield Text()
    yield Text.assemble((found.task.name, "bold"), (f"  run {found.task.run}", "dim"))
    for number, reason in enumerate(found.reasons):
        label = f"  {found.verdict}: " if not number else " " * (len(found.verdict) + 4)
        for line in screen.hung(label, wording.printable(reason)):
            yield Text(line, colours.get(found.verdict, "") if line.startswith(label) and not number else "")
    if found.compared is not None:
        before = found.compared
        which = "" if before.path == found.task.path else f", task {before.name}"
        verb = "made by" if found.verdict == "hit" else "compared with"
        yield Text(f"  {verb} run {before.run}{which}, {wording.moment(before.finished)}", "dim")


def _data(found: Explanation) -> dict[str, object]:
    before = found.compared
    return {
        "run": found.task.run,
        "task": found.task.name,
        "path": found.task.path,
        "verdict": found.verdict,
        "reasons": found.reasons,
        "changes": [dataclasses.asdict(each) for each in found.changes],
        "compared_with": {"run": before.run, "path": before.path} if before else None,
        "cached_from": found.task.cached_from,
        "cache_key": found.task.cache_key,
        "key_parts": found.task.key_parts,
    }
