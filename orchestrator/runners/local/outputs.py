"""What a finished program left: its output parameters typed, its artifacts kept; and why a failed one failed."""

from __future__ import annotations

import json
import signal
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from orchestrator.errors import RunError
from orchestrator.ir.spec import Component
from orchestrator.runners.arguments import WORDS, cast, fits
from orchestrator.runners.local import memory, produced
from orchestrator.runners.local.places import Places
from orchestrator.runners.local.produced import Told
from orchestrator.stores.artifacts import ArtifactStore, Values

_NOTHING = b"{}"  # What stands for an artifact of metadata alone that has none.
_PART = 1024 * 1024  # Bytes at the beginning and at the end of a log that are looked through for errors.
_KILLED = (-signal.SIGKILL, 128 + signal.SIGKILL)  # By itself, or as a shell tells of what it had started.


def collect(component: Component, places: Places, store: ArtifactStore) -> Values:
    """The outputs of a program that exited with 0. Raises RunError naming what is missing or of the wrong type."""
    said = _said(places)
    definitions = component.output_definitions
    missing = [
        name for name in definitions.parameters if name not in said.parameters and not places.parameter(name).is_file()
    ]
    missing += [
        name for name in definitions.artifacts if not places.artifact(name).exists() and name not in said.artifacts
    ]
    if missing:
        raise RunError(f"it wrote no output {', '.join(map(repr, missing))}")
    parameters = {
        name: _parameter(name, declared.parameter_type, said, places)
        for name, declared in definitions.parameters.items()
    }
    artifacts = {
        name: produced.collect(name, declared, said.artifacts.get(name, ()), places, store)
        for name, declared in definitions.artifacts.items()
    }
    return Values(parameters, artifacts)


def hollow(values: Values) -> tuple[str, ...]:
    """A warning for each artifact that has neither content nor metadata: its program forgot it, as KFP lets it."""
    listed = ((name, each) for name, row in values.artifacts.items() for each in row if not each.metadata)
    return tuple(
        f"its output {name!r} holds nothing: the program wrote nothing to its path"
        for name, each in listed
        if each.size == len(_NOTHING) and "Metrics" not in each.type and each.path.read_bytes() == _NOTHING
    )


def salvaged(component: Component, places: Places, store: ArtifactStore) -> Values:
    """The artifacts a failed program had already written, kept for whoever asks why."""
    try:
        said = _said(places)
    except RunError:
        said = _Said({}, {})
    definitions = component.output_definitions.artifacts
    return Values(
        artifacts={
            name: produced.salvaged(name, declared, said.artifacts.get(name, ()), places, store)
            for name, declared in definitions.items()
            if places.artifact(name).exists()
        }
    )


def reason(code: int, log: Path, *, starved: bool = False) -> str:
    """Why a program that exited with `code` failed, in one or two lines.

    It is `starved` when the kernel ended some process for lack of memory while it ran.
    """
    told = [line.removeprefix("error: ") for line in _lines(log) if line.startswith("error: ")]
    if told:
        more = f" (and {len(told) - 1} more)" if len(told) > 1 else ""
        return told[0] + more
    ending = f"killed by {_signal(-code)}" if code < 0 else f"exit code {code}"
    last = next((line for line in reversed(tail(log, 50)) if line.strip() and not line.startswith("::")), "")
    if starved and code in _KILLED:
        ending += ", it seems for lack of memory"
    elif memory.is_told(last):
        ending += ", for lack of memory"
    return f"{ending}: {last.strip()[:300]}" if last else ending


def _signal(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"  # A real-time signal has no name.


def warnings(log: Path) -> tuple[str, ...]:
    """The lines of a log in which the program warns."""
    return tuple(line.removeprefix("warning: ") for line in _lines(log) if line.startswith("warning: "))[:20]


def tail(log: Path, count: int) -> list[str]:
    """The last lines of a log."""
    try:
        with log.open("rb") as stream:
            stream.seek(0, 2)
            stream.seek(max(0, stream.tell() - 64 * 1024))
            return stream.read().decode("utf-8", "replace").splitlines()[-count:]
    except OSError:
        return []


def _lines(log: Path) -> list[str]:
    """The lines of a log; of a very long one, those at its beginning and at its end."""
    try:
        with log.open("rb") as stream:
            raw = stream.read(_PART)
            rest = stream.seek(0, 2) - len(raw)
            if rest > 0:
                stream.seek(-min(rest, _PART), 2)
                raw += (b"\n" if rest > _PART else b"") + stream.read()
    except OSError:
        return []
    return raw.decode("utf-8", "replace").splitlines()


@dataclass(frozen=True, slots=True)
class _Said:
    """What a program says in executor_output.json: values of parameters, and of artifacts where and what they are."""

    parameters: Mapping[str, Any]
    artifacts: Mapping[str, tuple[Told, ...]]


def _said(places: Places) -> _Said:
    try:
        said = json.loads(places.executor_output.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return _Said({}, {})
    except (OSError, ValueError, RecursionError) as error:
        raise RunError(f"its executor_output.json cannot be read: {error}") from error
    match said:
        case dict():
            parameters, artifacts = said.get("parameterValues") or {}, said.get("artifacts") or {}
        case _:
            raise RunError("its executor_output.json is not a mapping")
    if not isinstance(parameters, dict) or not isinstance(artifacts, dict):
        raise RunError("parameterValues and artifacts in its executor_output.json are not mappings")
    return _Said(parameters, {name: produced.told(name, listed) for name, listed in artifacts.items()})


def _parameter(name: str, kind: str, said: _Said, places: Places) -> Any:
    if name in said.parameters:
        value = said.parameters[name]
    else:
        text = places.parameter(name).read_text(encoding="utf-8", errors="replace")
        value = text if kind == "STRING" else _parsed(name, kind, text)
    value = cast(value, kind)
    if kind == "STRING" and not isinstance(value, str):
        value = json.dumps(value)
    if not fits(value, kind):
        raise RunError(f"its output {name!r} is {value!r:.80}, which is not {WORDS.get(kind, kind)}")
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except ValueError as error:  # Half a surrogate pair can be written as JSON, and nowhere else.
        raise RunError(f"its output {name!r} holds what is not text: {error}") from error
    return value


def _parsed(name: str, kind: str, text: str) -> Any:
    stripped = text.strip()
    if kind == "BOOLEAN" and stripped.lower() in ("true", "false"):
        return stripped.lower() == "true"
    try:
        return json.loads(stripped)
    except (ValueError, RecursionError) as error:
        raise RunError(f"its output {name!r} is {stripped[:80]!r}, which is not {WORDS.get(kind, kind)}") from error
