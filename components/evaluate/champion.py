"""The baseline an evaluation names: looked up in the registry, loaded, or not there yet."""

from __future__ import annotations

from pathlib import Path

from components.evaluate.evaluate import Champion
from orchestrator import registry
from orchestrator.errors import Location, NotFoundError, PipelineError, Problem
from orchestrator.model import folder

# What may be missing before the first publication. A version that is named by number must be there.
_NOT_YET = ("registered model", "model alias")


def reference(baseline: str, name: str) -> str:
    """The model version a baseline means: an alias alone is an alias of `name`."""
    if "@" in baseline or "/" in baseline:
        return baseline
    if not name:
        hint = f"write name@{baseline}, or give the input `name`"
        raise PipelineError([Problem(Location("baseline"), f"{baseline!r} is an alias, but of which model?", hint)])
    return f"{name}@{baseline}"


def find(wanted: str, candidate: str, *, tracking_uri: str, state: Path) -> tuple[Champion | None, str]:
    """The model version, or why there is none to compare with: its name or alias is not there yet, or it names the
    candidate (a digest) itself."""
    try:
        version = registry.open(tracking_uri, state=state).version(wanted)
    except NotFoundError as error:
        if "@" in wanted and error.kind in _NOT_YET:
            return None, f"there is no {wanted} yet, so there is no baseline to compare with"
        raise
    if version.digest == candidate:
        return None, f"{wanted} is this very model (version {version.version}), so there is nothing to compare it with"
    return Champion(version.name, version.version, folder.load(version.path, version.digest)), ""
