"""Artifacts by URI: written once under their digest, moved into place whole, verified when read."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import stat
import tempfile
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from orchestrator import digest
from orchestrator.errors import BackendError, NotFoundError

DECISION = "orchestrator.Decision"
"""The artifact type by which a gate says what it decided, in its metadata."""
ENDPOINT = "orchestrator.Endpoint"
"""The artifact type of a deployed endpoint."""

_SUFFIX = {"system.HTML": ".html", "system.Markdown": ".md"}


@dataclass(frozen=True, slots=True)
class Artifact:
    """A file or folder that a task made or was given."""

    name: str
    type: str
    """The schema title, e.g. `system.Model`."""
    uri: str
    digest: str = ""
    size: int = 0
    """Bytes."""
    stamp: str = ""
    """Size, time and inode of every file when the digest was taken; equal stamps spare reading the content again."""
    metadata: Mapping[str, Any] = field(default_factory=dict)
    source: str = ""
    """Where the content was fetched from; "" when it was made or lies here."""
    shared: bool = False
    """Whether tasks are given a copy of it, in the workspace of their run."""

    @property
    def path(self) -> Path:
        """The local path of a `file:` artifact."""
        return local_path(self.uri)

    @property
    def place(self) -> str:
        """Where a program finds it: a path, or the URI of what lies elsewhere."""
        return self.uri if is_remote(self.uri) else str(self.path)


@dataclass(frozen=True, slots=True)
class Values:
    """Parameters and artifacts by name: what a task, a DAG or a run takes or gives."""

    parameters: Mapping[str, Any] = field(default_factory=dict)
    artifacts: Mapping[str, tuple[Artifact, ...]] = field(default_factory=dict)


NOTHING = Values()


def local_path(uri: str) -> Path:
    """The path behind a `file:` URI or a plain path."""
    parts = urlsplit(uri)
    return Path(unquote(parts.path)) if parts.scheme == "file" else Path(uri)


def is_remote(uri: str) -> bool:
    """Whether a URI names something that is not a file of this machine."""
    scheme = urlsplit(uri).scheme
    return len(scheme) > 1 and scheme != "file"  # One letter is a drive of Windows.


class ArtifactStore:
    """The content-addressed store in `<state>/artifacts`."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def keep(
        self, path: Path, *, name: str, type: str, metadata: Mapping[str, Any] | None = None, file: str = ""
    ) -> Artifact:
        """Move a finished output into the store. It appears whole or not at all; equal content is kept once.

        The file is named after the artifact, unless `file` gives it a name of its own: some formats go by their suffix.
        """
        try:
            _own(path)
            content, bytes_ = digest.of(path), digest.size(path)
        except OSError as error:
            raise BackendError("artifact store", f"cannot read {name!r}: {error.strerror or error}") from error
        suffix = _SUFFIX.get(type, "")
        # Half of the digest is name enough, and makes a path that fits a line; what is verified is the whole.
        called = file or (name if name.endswith(suffix) else name + suffix)
        target = self.root / content[:2] / content[:32] / called
        _freeze(path)
        try:
            touched = _settle(path, target, content)
        except OSError as error:
            raise BackendError("artifact store", f"cannot keep {name!r}: {error.strerror or error}") from error
        return Artifact(name, type, target.as_uri(), content, bytes_, touched, dict(metadata or {}))

    def copy(self, path: Path, *, name: str, type: str, metadata: Mapping[str, Any] | None = None) -> Artifact:
        """Keep a copy of what stays where it is, under its own file name."""
        try:
            _refuse_streams(path)
            self.root.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(prefix="copy-", dir=self.root) as folder:
                place = Path(folder, path.name)
                shutil.copytree(path, place) if path.is_dir() else shutil.copy2(path, place)
                return self.keep(place, name=name, type=type, metadata=metadata, file=path.name)
        except FileNotFoundError as error:
            raise NotFoundError("file", str(path)) from error
        except OSError as error:
            raise BackendError("artifact store", f"cannot keep {name!r}: {error.strerror or error}") from error

    def adopt(self, uri: str, *, type: str, metadata: Mapping[str, Any] | None = None) -> Artifact:
        """An artifact for what lies at a URI: a local file stays where it is, a remote one is fetched once."""
        path = self._fetched(uri) if is_remote(uri) else local_path(uri)
        name = Path(unquote(urlsplit(uri).path)).name or "artifact"
        shown = uri if is_remote(uri) else path.resolve().as_uri()
        kept = dict(metadata or {})
        if is_remote(uri):
            try:
                return replace(self.keep(path, name=name, type=type, metadata=kept), source=shown)
            finally:
                shutil.rmtree(path.parent, ignore_errors=True)
        try:
            _refuse_streams(path)
            return Artifact(name, type, shown, digest.of(path), digest.size(path), stamp(path), kept)
        except FileNotFoundError as error:
            raise NotFoundError("file", str(error.filename or path)) from error
        except OSError as error:
            raise BackendError("artifact store", f"cannot read {path}: {error.strerror or error}") from error

    def intact(self, artifact: Artifact) -> bool:
        """Whether the artifact is still there with the content it had."""
        path = artifact.path
        if path.parent.parent.parent == self.root:
            # Whoever removes what nothing refers to sees by it that somebody is about to.
            with contextlib.suppress(OSError):
                os.utime(path.parent)
        try:
            if not path.exists():
                return not artifact.size and not artifact.stamp
            return stamp(path) == artifact.stamp or digest.of(path) == artifact.digest
        except OSError:
            return False  # What cannot be read is as good as gone.

    def all_intact(self, listed: Iterable[Artifact]) -> bool:
        """Whether all of some artifacts are."""
        return all(self.intact(artifact) for artifact in listed)

    def _fetched(self, uri: str) -> Path:
        try:
            import fsspec
        except ImportError as error:
            hint = "pip install 'orchestrator[data,remote]'"
            raise BackendError("artifact store", f"{urlsplit(uri).scheme}: needs fsspec", hint=hint) from error
        self.root.mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(prefix="fetch-", dir=self.root))
        target = folder / (Path(urlsplit(uri).path).name or "artifact")
        try:
            system, remote = fsspec.core.url_to_fs(uri)
            system.get(remote, str(target), recursive=system.isdir(remote))
        except FileNotFoundError as error:
            shutil.rmtree(folder, ignore_errors=True)
            raise NotFoundError("object", uri) from error
        except ImportError as error:
            shutil.rmtree(folder, ignore_errors=True)
            raise BackendError("artifact store", str(error), hint="pip install 'orchestrator[remote]'") from error
        except Exception as error:  # Every file system of fsspec has errors of its own.
            shutil.rmtree(folder, ignore_errors=True)
            raise BackendError("artifact store", f"cannot read {uri}: {error}") from error
        return target


def stamp(path: Path) -> str:
    """What changes when a file is touched: cheap to take, and enough to notice that content may have changed."""
    listed = sorted(digest.files(path)) if path.is_dir() else [path]
    parts = []
    for file in listed:
        status = file.stat()
        parts.append(f"{file.relative_to(path).as_posix()}:{status.st_size}:{status.st_mtime_ns}:{status.st_ino}")
    text = "\n".join(parts)
    return text if len(listed) == 1 else digest.of_text(text)


def _refuse_streams(path: Path) -> None:
    """Raises OSError for what is neither a file nor a folder: reading a pipe would wait for ever, as a device might."""
    for each in [path, *path.rglob("*")] if path.is_dir() else [path]:
        mode = each.stat().st_mode
        if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
            raise OSError(errno.EINVAL, f"{each.name} is neither a file nor a folder")


def _own(path: Path) -> None:
    """Make content that is shared with other places our own, so that neither they nor we can change the other's.

    A link would keep a name instead of content, and what is frozen under a link is somebody else's file.
    """
    _refuse_streams(path)
    shared = path.is_symlink()
    for each in [path, *path.rglob("*")] if path.is_dir() else [path]:
        status = each.stat()
        shared = shared or each.is_symlink() or (stat.S_ISREG(status.st_mode) and status.st_nlink > 1)
    if not shared:
        return
    copy = path.with_name(path.name + ".copy")
    shutil.copytree(path, copy) if path.is_dir() else shutil.copy2(path, copy)
    shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
    copy.rename(path)


def _freeze(path: Path) -> None:
    """Content under a digest never changes: take away the right to write, so that a slip is an error."""
    for file in digest.files(path) if path.is_dir() else [path]:
        with contextlib.suppress(OSError):
            file.chmod(file.stat().st_mode & ~0o222)


def _settle(path: Path, target: Path, content: str) -> str:
    """Move content into its folder of the store, touched so that nobody removes it before it is recorded; its stamp.

    The folder may have been there with nothing referring to it, and be on its way out: then it comes back, or is gone.
    """
    for patience in range(5, -1, -1):
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            os.utime(target.parent)
            if path.exists():
                _move(path, target, content)
            return stamp(target)
        except FileNotFoundError:
            if not patience:
                raise
            time.sleep(0.01)
    raise AssertionError


def _move(path: Path, target: Path, content: str) -> None:
    if target.exists():
        if digest.of(target) == content:
            shutil.rmtree(path) if path.is_dir() else path.unlink()
            return
        # Somebody changed what was kept; here is the true content again.
        shutil.rmtree(target) if target.is_dir() else target.unlink()
    try:
        path.rename(target)
    except OSError as error:
        if error.errno in (errno.ENOTEMPTY, errno.EEXIST):
            return  # Another run kept the same content first.
        if error.errno != errno.EXDEV:
            raise
        # The task wrote to another file system: copy beside the target, then rename.
        partial = Path(tempfile.mkdtemp(prefix="copy-", dir=target.parent)) / target.name
        shutil.copytree(path, partial) if path.is_dir() else shutil.copy2(path, partial)
        partial.rename(target)
        partial.parent.rmdir()
