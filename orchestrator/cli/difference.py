"""`orc diff`: two runs side by side."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from orchestrator.cli import options, screen

if TYPE_CHECKING:
    from orchestrator.history.difference import Difference, Row

_Was = Annotated[
    str, typer.Argument(metavar="RUN", help="A run, to compare with.", autocompletion=options.complete_run)
]
_Now = Annotated[
    str, typer.Argument(metavar="RUN", help="Another, usually later.", autocompletion=options.complete_run)
]
_MOST = 40
_WIDE = 24


def diff(
    was: _Was,
    now: _Now = "last",
    everything: Annotated[bool, typer.Option("--all", help="What is the same, too.")] = False,
    format: options.Listing = options.Format.TEXT,
) -> None:
    """Compare two runs: arguments, pipeline, tasks, numbers, artifacts."""
    from orchestrator.cli import history, machine
    from orchestrator.history import difference

    with history.needed(options.read().state, was) as metadata:
        runs = metadata.run(was), metadata.run(now)
        found = difference.between(*runs, metadata.tasks(runs[0].id), metadata.tasks(runs[1].id))
    if format is options.Format.JSON:
        typer.echo(machine.text(_data(found)))
        return
    _tell(found, everything=everything)


def _tell(found: Difference, *, everything: bool) -> None:
    from orchestrator.cli import wording

    names = (found.was.id, found.now.id)
    took = [wording.between(run.started, run.finished, run.started) for run in (found.was, found.now)]
    states = [wording.look(run.status).words for run in (found.was, found.now)]
    rows = [["pipeline", found.was.pipeline, found.now.pipeline], ["status", *states], ["took", *took]]
    rows.append(["started", *(wording.moment(run.started) for run in (found.was, found.now))])
    screen.table([screen.Column(each) for each in ("run", *names)], rows)
    _section("arguments", found.arguments, names, wording.value, everything=everything)
    print()
    print("pipeline" if found.pipeline else "pipeline: the same")
    for sentence in found.pipeline:
        print("\n".join(screen.hung("  ", wording.printable(sentence))))
    _section("tasks", found.tasks, names, _ended, everything=everything, same=_alike)
    _section("outputs and metrics", found.values, names, wording.value, everything=everything, delta=True)
    _section("artifacts", found.artifacts, names, lambda digest: str(digest)[:12], everything=everything)


def _section(
    title: str,
    rows: Sequence[Row],
    names: tuple[str, str],
    told: Callable[[Any], str],
    *,
    everything: bool,
    delta: bool = False,
    same: Callable[[Row], bool] = lambda row: row.same,
) -> None:
    """A table of what differs, and a line that counts what does not."""
    if not rows:
        return
    differ = [row for row in rows if everything or not same(row)]
    alike = len(rows) - sum(not same(row) for row in rows)
    print()
    if not differ:
        print(f"{title}: the same ({len(rows)})")
        return
    shown = differ if everything else differ[:_MOST]
    cells = [[row.name, *(_cell(each, told) for each in (row.was, row.now)), _delta(row)] for row in shown]
    columns = [screen.Column(each) for each in (title, *names)] + [screen.Column("change", right=True)]
    if not delta:
        cells, columns = [each[:-1] for each in cells], columns[:-1]
    screen.table(columns, cells)
    if len(shown) < len(differ):
        print(f"  and {len(differ) - len(shown)} more that differ: --all shows them")
    if alike and not everything:
        print(f"  and {alike} the same")


def _cell(value: Any, told: Callable[[Any], str]) -> str:
    text = "-" if value is None else told(value)
    return text if len(text) <= _WIDE or not sys.stdout.isatty() else text[: _WIDE - 3] + "..."


def _ended(ended: Any) -> str:
    from orchestrator.cli import wording

    took = wording.duration(ended.seconds) if ended.status in ("SUCCEEDED", "FAILED", "CANCELLED") else ""
    return f"{wording.look(ended.status).words} {took}".strip()


def _alike(row: Row) -> bool:
    """Tasks that ended alike; a fifth of a second, or of the time, is no difference."""
    if row.was is None or row.now is None or row.was.status != row.now.status:
        return False
    took = row.was.seconds or 0.0, row.now.seconds or 0.0
    return bool(abs(took[0] - took[1]) <= max(0.2, 0.2 * max(took)))


def _delta(row: Row) -> str:
    from orchestrator.cli import wording

    numbers = [each for each in (row.was, row.now) if isinstance(each, int | float) and not isinstance(each, bool)]
    if len(numbers) < 2 or row.same:
        return ""
    change = numbers[1] - numbers[0]
    return f"{'+' if change > 0 else ''}{wording.number(change)}"


def _data(found: Difference) -> dict[str, Any]:
    from orchestrator.cli import history, machine

    def rows(listed: Sequence[Row]) -> list[dict[str, Any]]:
        return [{"name": row.name, "was": row.was, "now": row.now, "same": row.same} for row in listed]

    def ended(value: Any) -> dict[str, Any] | None:
        return {"status": value.status, "seconds": value.seconds} if value else None

    tasks = [
        {"name": row.name, "was": ended(row.was), "now": ended(row.now), "same": _alike(row)} for row in found.tasks
    ]
    return {
        "was": machine.run(found.was, history.state_of(found.was)),
        "now": machine.run(found.now, history.state_of(found.now)),
        "arguments": rows(found.arguments),
        "pipeline": found.pipeline,
        "tasks": tasks,
        "values": rows(found.values),
        "artifacts": rows(found.artifacts),
    }
