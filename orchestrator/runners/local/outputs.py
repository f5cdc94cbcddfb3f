"""What a finished program left: its output parameters typed, its artifacts kept; and why a failed one failed."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from orchestrator.errors import RunError
from orchestrator.ir.spec import Component
from orchestrator.runners.arguments import cast, fits
from orchestrator.stores.artifacts import Artifact, ArtifactStore, Values

_HEAD = 20_000  # Lines of a log that are looked through for its errors.


@dataclass(frozen=True, slots=True)
class Places:
    """Where a program writes its outputs, all below one folder of its attempt."""

    folder: Path

    @property
    def executor_output(self) -> Path:
        """KFP's executor_output.json."""
        return self.folder / "executor_output.json"

    def parameter(self, name: str) -> Path:
        """The file of an output parameter."""
        return self.folder / "parameters" / name

    def artifact(self, name: str) -> Path:
        """The file or folder of an output artifact."""
        return self.folder / "artifacts" / name


def collect(component: Component, places: Places, store: ArtifactStore) -> Values:
    """The outputs of a program that exited with 0. Raises RunError naming what is missing or of the wrong type."""
    said = _said(places)
    definitions = component.output_definitions
    missing = [
        name
        for name in definitions.parameters
        if name not in said.get("parameterValues", {}) and not places.parameter(name).is_file()
    ]
    missing += [
        name
        for name in definitions.artifacts
        if not places.artifact(name).exists() and name not in said.get("artifacts", {})
    ]
    if missing:
        raise RunError(f"it wrote no output {', '.join(map(repr, missing))}")
    parameters = {
        name: _parameter(name, declared.parameter_type, said, places)
        for name, declared in definitions.parameters.items()
    }
    artifacts = {
        name: (_artifact(name, declared.artifact_type.schema_title, said, places, store),)
        for name, declared in definitions.artifacts.items()
    }
    return Values(parameters, artifacts)


def salvaged(component: Component, places: Places, store: ArtifactStore) -> Values:
    """The artifacts a failed program had already written, kept for whoever asks why."""
    try:
        said = _said(places)
    except RunError:
        said = {}
    definitions = component.output_definitions.artifacts
    return Values(
        artifacts={
            name: (_artifact(name, declared.artifact_type.schema_title, said, places, store),)
            for name, declared in definitions.items()
            if places.artifact(name).exists()
        }
    )


def reason(code: int, log: Path) -> str:
    """Why a program that exited with `code` failed, in one or two lines."""
    told = [line.removeprefix("error: ") for line in _lines(log) if line.startswith("error: ")]
    if told:
        more = f" (and {len(told) - 1} more)" if len(told) > 1 else ""
        return told[0] + more
    ending = f"killed by {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
    last = next((line for line in reversed(tail(log, 50)) if line.strip() and not line.startswith("::")), "")
    return f"{ending}: {last.strip()[:300]}" if last else ending


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


def _lines(log: Path) -> Iterator[str]:
    try:
        with log.open(encoding="utf-8", errors="replace") as stream:
            for line in islice(stream, _HEAD):
                yield line.rstrip("\n")
    except OSError:
        return


def _said(places: Places) -> Mapping[str, Any]:
    try:
        said = json.loads(places.executor_output.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise RunError(f"its executor_output.json cannot be read: {error}") from error
    if not isinstance(said, dict):
        raise RunError("its executor_output.json is not a mapping")
    return said


def _parameter(name: str, kind: str, said: Mapping[str, Any], places: Places) -> Any:
    values = said.get("parameterValues", {})
    if name in values:
        value = values[name]
    else:
        text = places.parameter(name).read_text(encoding="utf-8", errors="replace")
        value = text if kind == "STRING" else _parsed(name, kind, text)
    value = cast(value, kind)
    if kind == "STRING" and not isinstance(value, str):
        value = json.dumps(value)
    if not fits(value, kind):
        raise RunError(f"its output {name!r} is {value!r:.80}, which is not {kind}")
    return value


def _parsed(name: str, kind: str, text: str) -> Any:
    stripped = text.strip()
    if kind == "BOOLEAN" and stripped.lower() in ("true", "false"):
        return stripped.lower() == "true"
    try:
        return json.loads(stripped)
    except ValueError as error:
        raise RunError(f"its output {name!r} is {stripped[:80]!r}, which is not {kind}") from error


def _artifact(name: str, title: str, said: Mapping[str, Any], places: Places, store: ArtifactStore) -> Artifact:
    listed = said.get("artifacts", {}).get(name, {}).get("artifacts", [])
    metadata = listed[0].get("metadata") or {} if listed else {}
    path = places.artifact(name)
    if not path.exists():
        # An artifact of metadata alone, as KFP's Metrics are when nothing is written to their path.
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(metadata, sort_keys=True), encoding="utf-8")
    return store.keep(path, name=name, type=title, metadata=metadata)
