"""The worker processes of one server: what each says of itself, for whichever is asked to answer for all."""

from __future__ import annotations

import contextlib
import json
import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from orchestrator.serving.gauges import Value
from orchestrator.serving.host import Host
from orchestrator.serving.hosted import Status
from orchestrator.stores import whole


@dataclass(frozen=True, slots=True)
class Standing:
    """How an endpoint stands with one worker."""

    attempted: str
    reason: str
    ready: bool


@dataclass(frozen=True, slots=True)
class Report:
    """What one worker says of itself. One that has died says nothing, and is not waited for."""

    complete: bool = False  # It has looked at every declaration once.
    endpoints: Mapping[str, Standing] = field(default_factory=dict)
    gauges: Sequence[Value] = ()
    failure: str = ""
    gone: bool = False


class Alone:
    """A server of one process."""

    count = 1

    def publish(self, report: Report) -> None:
        """Nobody else asks."""

    def others(self) -> Sequence[Report]:
        return ()


class Fleet:
    """The place of one worker among the others, in a folder of files that each writes for all."""

    def __init__(self, folder: Path, slot: int, count: int) -> None:
        self.count = count
        self._folder = folder
        self._slot = slot
        self._said: Report | None = None

    def publish(self, report: Report) -> None:
        """Say how this worker stands."""
        if report != self._said:
            write(self._folder, self._slot, report)
            self._said = report

    def others(self) -> Sequence[Report]:
        """How the others stand; one that did not say it yet stands for an incomplete server."""
        slots = (slot for slot in range(self.count) if slot != self._slot)
        return [report for slot in slots if not (report := read(self._folder, slot)).gone]


def prepare(folder: Path) -> None:
    """Make the folder anew: what is in it is of another server."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)


def write(folder: Path, slot: int, report: Report) -> None:
    """Say how a worker stands; a reader sees all of it or what was said before."""
    plain = {
        "complete": report.complete,
        "endpoints": {name: [each.attempted, each.reason, each.ready] for name, each in report.endpoints.items()},
        "gauges": list(report.gauges),
        "failure": report.failure,
        "gone": report.gone,
    }
    whole.write(_file(folder, slot), json.dumps(plain))


def read(folder: Path, slot: int) -> Report:
    """How a worker stands."""
    try:
        plain: dict[str, Any] = json.loads(_file(folder, slot).read_bytes())
    except (FileNotFoundError, ValueError):
        return Report()
    return Report(
        plain["complete"],
        {name: Standing(*each) for name, each in plain["endpoints"].items()},
        [Value(name, tuple(labels), value) for name, labels, value in plain["gauges"]],
        plain["failure"],
        plain["gone"],
    )


def forget(folder: Path) -> None:
    """The server has ended."""
    with contextlib.suppress(OSError):
        shutil.rmtree(folder)


def report(host: Host) -> Report:
    """What a worker with these endpoints says of itself."""
    standings = {name: standing(status) for name, status in host.endpoints.items()}
    return Report(host.is_complete, standings, host.metrics.gauges.values())


def standing(status: Status) -> Standing:
    """How an endpoint stands with this process."""
    return Standing(status.attempted, status.reason, status.hosted is not None)


def together(found: Sequence[Standing]) -> Standing:
    """How an endpoint stands with a whole server: as with the worker that is furthest behind."""
    attempted = found[0].attempted if len({each.attempted for each in found}) == 1 else ""
    reason = next((each.reason for each in found if each.reason), "")
    return Standing(attempted, reason, all(each.ready for each in found))


def readiness(host: Host, others: Sequence[Report]) -> tuple[bool, list[str]]:
    """Whether every worker has everything that is declared, and what it lacks otherwise."""
    reports = [report(host), *others]
    found = standings(reports)
    complete = all(each.complete for each in reports)
    reasons = [f"{name}: {standing.reason}" for name, standing in found.items() if standing.reason]
    return complete and not reasons and all(each.ready for each in found.values()), reasons


def of(name: str, reports: Iterable[Report]) -> list[Standing]:
    """How an endpoint stands with each worker; with one that does not have it yet it is not ready."""
    return [report.endpoints.get(name, Standing("", "", ready=False)) for report in reports]


def standings(reports: Sequence[Report]) -> dict[str, Standing]:
    """How every endpoint that any worker has stands with the whole server."""
    names = sorted({name for report in reports for name in report.endpoints})
    return {name: together(of(name, reports)) for name in names}


def _file(folder: Path, slot: int) -> Path:
    return folder / f"{slot}.json"
