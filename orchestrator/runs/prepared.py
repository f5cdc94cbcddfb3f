"""A pipeline whose files of this machine are uploaded, and named by URIs: a cluster needs nothing of this machine."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from orchestrator.errors import NotFoundError, OrchestratorError
from orchestrator.ir.spec import PipelineSpec
from orchestrator.runs import files
from orchestrator.runs.loaded import Loaded
from orchestrator.settings import Settings
from orchestrator.stores import uploads
from orchestrator.stores.artifacts import is_remote, local_path
from orchestrator.stores.uploads import Content

_PASSWORD = re.compile(r"://[^/]*@")


@dataclass(frozen=True, slots=True)
class Sending:
    """How far a file is on its way to where tasks find it."""

    path: Path
    uri: str
    size: int
    sent: int


Said = Callable[[Sending], None]


@dataclass(frozen=True, slots=True)
class Uploaded:
    """A file or folder of this machine, and where tasks find it."""

    written: str
    """As the pipeline or an argument names it."""
    path: str
    digest: str
    size: int
    uri: str


@dataclass(frozen=True, slots=True)
class Prepared:
    """A pipeline that needs nothing of this machine."""

    pipeline: PipelineSpec
    arguments: Mapping[str, Any]
    files: tuple[Uploaded, ...] = ()


def unsaid(_: Sending) -> None:
    """Nobody wants to know."""


def prepare(
    loaded: Loaded, given: Mapping[str, Any], settings: Settings, *, upload: bool = True, said: Said = unsaid
) -> Prepared:
    """The pipeline with its local files put where tasks find them; without `upload` it only says where that is.

    Raises NotFoundError for a file that is not there, OrchestratorError where there is no place for it, BackendError.
    """
    written = files.named(loaded.pipeline, given)
    if not written:
        return Prepared(loaded.pipeline, given)
    contents = {each: _content(each, files.path(each, loaded.base), settings) for each in written}
    root, in_cluster = _roots(written, settings)
    if upload:
        for content in dict.fromkeys(contents.values()):
            _send(content, content.below(root), said)
    places = {each: content.below(in_cluster) for each, content in contents.items()}
    pipeline, arguments = files.renamed(loaded.pipeline, given, places.__getitem__)
    listed = tuple(
        Uploaded(each, str(content.path), content.digest, content.size, places[each])
        for each, content in contents.items()
    )
    return Prepared(pipeline, arguments, listed)


def _content(written: str, path: Path, settings: Settings) -> Content:
    path = path.resolve()
    if not path.exists():
        hint = "a path begins at the folder of the pipeline file" if not Path(written).is_absolute() else ""
        raise NotFoundError("file", str(path), hint=hint)
    secrets = (settings.secrets or settings.state / "secrets.yaml").resolve()
    if secrets == path or path in secrets.parents:
        hint = "a cluster has secrets of its own: kubectl create secret"
        raise OrchestratorError(f"{written} holds the secrets of this machine, and is never uploaded", hint=hint)
    return uploads.content(path)


def _roots(written: tuple[str, ...], settings: Settings) -> tuple[str, str]:
    """Where files are put, and how tasks name that place."""
    root = settings.kfp_files
    if not root:
        named = "\n".join(written[:10]) + (f"\nand {len(written) - 10} more" if len(written) > 10 else "")
        hint = (
            'say where to in orc.toml, e.g. kfp_files = "s3://mlpipeline/files"\n'
            "(or ORC_KFP_FILES), or give URIs instead of paths"
        )
        message = f"a cluster does not see files of this machine; these have to be uploaded:\n{named}"
        raise OrchestratorError(message, hint=hint)
    if _PASSWORD.search(root) or _PASSWORD.search(settings.kfp_files_in_cluster):
        hint = "credentials come from the environment, where no log and no record shows them"
        raise OrchestratorError("kfp_files holds a password", hint=hint)
    if is_remote(root):
        return root, settings.kfp_files_in_cluster or root
    path = local_path(root).expanduser().resolve()
    return str(path), settings.kfp_files_in_cluster or path.as_uri()


def _send(content: Content, uri: str, said: Said) -> None:
    sent = 0

    def more(count: int) -> None:
        nonlocal sent
        sent = min(content.size, sent + count)
        said(Sending(content.path, uri, content.size, sent))

    uploads.put(content, uri, more)
