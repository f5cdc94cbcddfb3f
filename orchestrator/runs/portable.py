"""What a pipeline asks for that the server it is sent to does not do, told before it is sent."""

from __future__ import annotations

from pathlib import Path

from orchestrator.errors import PipelineError, Problem
from orchestrator.portability import TARGETS, Severity, Target
from orchestrator.runs import checked
from orchestrator.runs.checked import Placed

Version = tuple[int, int]


def warnings(file: Path, version: Version | None, *, anyway: bool = False) -> tuple[str, ...]:
    """What will be different there, a sentence each. Raises PipelineError for what fails there, unless `anyway`."""
    target = nearest(version)
    placed = checked.check(file, [target])
    failing = [each for each in placed if each.remark.rule.severity is Severity.FAILS]
    if failing and not anyway:
        raise PipelineError(Problem(each.at, _said(each), _hint(each)) for each in failing)
    return tuple(f"{each.at}: {_said(each)}" for each in placed)


def nearest(version: Version | None) -> Target:
    """The version we know rules of that a server is most like; the newest where it does not say what it is."""
    known = {each.version: each for each in TARGETS.values() if each.version}
    if version is None:
        return known[max(known)]
    return known[max((each for each in known if each <= version), default=min(known))]


def _said(placed: Placed) -> str:
    about = f"{', '.join(placed.remark.tasks)}: " if placed.remark.tasks else ""
    return f"{about}{placed.remark.what} (on {placed.remark.target.name})"


def _hint(placed: Placed) -> str:
    do = placed.remark.do
    return f"{do}; or start it all the same with --anyway" if do != "nothing" else "start it all the same with --anyway"
