"""The folder that the tasks of one run share, where a pipeline asks for one: KFP's workspace."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from orchestrator.ir.platform import PlatformSpec
from orchestrator.runners.local.containers import limits
from orchestrator.runners.local.launch import Launch, Mount
from orchestrator.stores.artifacts import Artifact, Values

_FOLDER = ".workspace"  # No task's folder has this name: a point in a task's path gets a digest beside it.


@dataclass(frozen=True, slots=True)
class Workspace:
    """A folder below that of the run; a pipeline that asks for none has it nowhere."""

    folder: Path | None = None

    @property
    def path(self) -> str:
        """What `{{$.workspace_path}}` stands for."""
        return str(self.folder) if self.folder else ""

    def make(self) -> None:
        """Make the folder; what an interrupted run left in it stays."""
        if self.folder:
            self.folder.mkdir(parents=True, exist_ok=True)

    def remove(self) -> None:
        """Remove what the run's tasks wrote there; a link is removed, never what it leads to."""
        if self.folder:
            shutil.rmtree(self.folder, ignore_errors=True)

    def mounted(self, launch: Launch) -> Launch:
        """A launch that finds the folder in a container too, and may change everything in it."""
        if self.folder is None:
            return launch
        inputs = tuple(each for each in launch.inputs if not Path(each).is_relative_to(self.folder))
        return replace(launch, inputs=inputs, mounts=(*launch.mounts, Mount(self.folder, str(self.folder))))

    def seen(self, given: Values) -> Values:
        """What a task is given, with the artifacts that an importer downloads to the workspace found there."""
        if self.folder is None or not any(each.shared for listed in given.artifacts.values() for each in listed):
            return given
        found = {name: tuple(_copied(each, self.folder) for each in listed) for name, listed in given.artifacts.items()}
        return Values(given.parameters, found)


def of(platform: PlatformSpec, state: Path, run: str) -> Workspace:
    """The workspace of a run."""
    kubernetes = platform.platforms.kubernetes
    config = kubernetes.pipeline_config if kubernetes else None
    return Workspace(state / "runs" / run / _FOLDER if config and config.workspace else None)


def shortage(platform: PlatformSpec, state: Path) -> str:
    """What to say of a disk that has less room than a workspace asks for; "" when it has enough."""
    kubernetes = platform.platforms.kubernetes
    config = kubernetes.pipeline_config if kubernetes else None
    size = config.workspace.get("size") if config and isinstance(config.workspace, Mapping) else None
    wanted = limits.quantity(str(size)) if size else None
    place = next((each for each in (state, *state.parents) if each.is_dir()), None)
    if not wanted or place is None or (free := shutil.disk_usage(place).free) >= wanted:
        return ""
    return f"the workspace asks for {size}, and the disk of {place} has {free / 2**30:.1f}Gi left"


def _copied(artifact: Artifact, workspace: Path) -> Artifact:
    """The copy of an artifact, which tasks may change; it appears whole or not at all."""
    if not artifact.shared:
        return artifact
    source = artifact.path
    place = workspace / ".artifacts" / artifact.digest[:32] / source.name
    if not place.exists():
        place.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=workspace, prefix=".copy-") as folder:
            copy = Path(folder, source.name)
            shutil.copytree(source, copy) if source.is_dir() else shutil.copy2(source, copy)
            for each in [copy, *copy.rglob("*")]:
                each.chmod(each.stat().st_mode | 0o200)
            copy.rename(place)
    return replace(artifact, uri=place.as_uri())
