"""What there is to say about a run when it is over: as lines of styled text."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from rich.style import Style
from rich.text import Text

from orchestrator.cli import wording
from orchestrator.cli.state import REPORT, RunState, decisions
from orchestrator.runners.events import Status
from orchestrator.stores.records import LOCAL

if TYPE_CHECKING:
    from orchestrator.runs import Answer, Served

_TAIL = 8
_WHOLE = 4
"""Failed tasks that are told with the end of their log; of the others one line says why, as in a loop of a thousand."""
_MOST = 20
_NAME = 40
"""Letters of a name beyond which the names of a list are not aligned with it."""
_VERDICTS = {"published": "green", "rejected": "yellow", "undecided": "red"}


def lines(state: RunState, *, unicode: bool = True) -> Iterator[Text]:
    """The end of a run: how it went, what came of it, where to look, and what to type next."""
    yield from _headline(state, unicode=unicode)
    yield from findings(state)
    if state.status in (Status.FAILED, Status.CANCELLED):
        ways = [(f"orc resume {shlex.quote(state.run)}", "as it was")]
        if state.file:
            how = "--resume" if state.on == LOCAL else "--on kfp"
            ways.append((f"orc run {shlex.quote(state.file)} {how}", "after an edit"))
        yield from section("go on: what finished is not run again", ways)


def findings(state: RunState) -> Iterator[Text]:
    """What gates decided, what failed and why, what the run gives, and where its reports are."""
    yield from _gates(state)
    yield from _failures(state)
    yield from _outputs(state)
    yield from _reports(state)


def _headline(state: RunState, *, unicode: bool) -> Iterator[Text]:
    look = wording.look(state.status)
    mark = wording.mark(state.status, unicode=unicode)
    line = Text.assemble((f"{mark} {wording.one_line(state.pipeline)}: {look.words}", f"bold {look.colour}"))
    if state.started and state.finished:
        line.append(f" in {wording.duration(state.finished - state.started)}")
    told = [
        f"{len(state.with_status(status))} {wording.look(status).words}"
        for status in (Status.FAILED, *(each for each in wording.LOOKS if each is not Status.FAILED))
        if state.with_status(status)
    ]
    line.append(f"  {', '.join(told)}" if told else "", "dim")
    sentences = [sentence for task in state.tasks.values() for _, sentence in decisions(task.outputs)]
    gated = any(state.reason in sentence or sentence in state.reason for sentence in sentences)
    yield prose(line)
    if state.reason and not gated and not state.with_status(Status.FAILED):
        yield prose(Text(f"  {wording.one_line(state.reason)}"))


def _gates(state: RunState) -> Iterator[Text]:
    for task in state.tasks.values():
        for word, sentence in decisions(task.outputs):
            style = _VERDICTS.get(word, "bold")
            yield prose(Text.assemble("  ", (f"{task.id.name}: ", "bold"), (wording.one_line(sentence), style)))


def _failures(state: RunState) -> Iterator[Text]:
    failed = state.with_status(Status.FAILED)
    for number, task in enumerate(failed[:_MOST]):
        tried = f" after {task.attempt} attempts" if task.attempt > 1 else ""
        reason = wording.one_line(task.note) or "it gave no reason"
        if number <= _WHOLE:
            yield Text()
        yield prose(Text.assemble((f"{task.id.name} failed{tried}: ", "bold red"), (reason, "red")))
        if number >= _WHOLE:
            continue
        yield from (Text(f"  | {line}", "dim") for line in tail(task.log, without=reason))
        if task.log:
            yield Text.assemble(("  log   ", "dim"), place(task.log))
        if task.log or state.on != LOCAL:
            yield Text.assemble(("  read  ", "dim"), f"orc logs {state.run} {shlex.quote(task.id.name)}")
    if len(failed) > _MOST:
        yield Text(f"and {len(failed) - _MOST} more failed", "bold red")


def _outputs(state: RunState) -> Iterator[Text]:
    rows = [(name, wording.short(given)) for name, given in state.outputs.parameters.items()]
    for name, listed in state.outputs.artifacts.items():
        rows += [(name, place(artifact.uri)) for artifact in listed]
    yield from section("outputs", rows)


def _reports(state: RunState) -> Iterator[Text]:
    found = [(task.id.name, each) for task in state.tasks.values() for each in task.artifacts(REPORT)]
    lines = section("reports", [(name, place(report.uri)) for name, report in found])
    for index, line in enumerate(lines):
        # A terminal that knows links opens the page on a click; the first lines are the space and the title.
        if index > 1:
            line.stylize(Style(link=found[index - 2][1].uri), line.plain.index(place(found[index - 2][1].uri)))
        yield line


def prose(text: Text) -> Text:
    """Text that is wrapped between words; other lines are left whole, so that they can be copied."""
    text.no_wrap = False
    return text


def section(title: str, rows: list[tuple[str, str]]) -> Iterator[Text]:
    """A titled list of names and values; nothing when it is empty."""
    if not rows:
        return
    width = min(_NAME, max(len(name) for name, _ in rows))
    yield Text()
    yield Text(title, "bold")
    for name, value in rows:
        yield Text.assemble(f"  {wording.printable(name).ljust(width)}  ", (wording.printable(value), "cyan"))


def answer(given: Answer) -> Iterator[Text]:
    """A request that an endpoint answered, and how to send it again."""
    rows = [
        ("model", f"{given.model} version {given.version}"),
        ("url", given.url),
        ("sent", wording.value(given.request)),
        ("answer", wording.value(given.response)),
        ("again", given.curl),
        ("stop", given.stop),
    ]
    yield from section(f"endpoint {given.endpoint}", rows)


def served(given: Served) -> Iterator[Text]:
    """An endpoint that is on a cluster now, and how to look at it."""
    model = f"{given.model} version {given.version}" if given.model else ""
    rows = [("model", model), ("url", given.url), ("look", given.look)]
    yield from section(f"endpoint {given.endpoint}", [(name, text) for name, text in rows if text])


def tail(log: str, *, without: str = "", count: int = _TAIL) -> list[str]:
    """The last lines of a log, without the progress it reports and without what was said already."""
    if not log:
        return []
    try:
        with Path(log).open("rb") as file:
            file.seek(max(0, file.seek(0, 2) - 16_384))
            text = file.read().decode("utf-8", "replace")
    except OSError:
        return []
    said = [wording.printable(line) for line in text.splitlines() if line.strip() and not line.startswith("::progress")]
    kept = [line for line in said if not (without and without in wording.one_line(line))]
    return kept[-count:]


def place(uri: str) -> str:
    """A `file:` URI or a path as a path that can be copied, any other URI as it is."""
    from orchestrator.stores import artifacts

    if artifacts.is_remote(uri):
        return uri
    path = artifacts.local_path(uri)
    # Shorter to read and as good to copy, from where one is.
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)
