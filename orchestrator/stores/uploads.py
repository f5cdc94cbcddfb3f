"""Files of this machine put where others find them: under the digest of their content, once, and verified."""

from __future__ import annotations

import contextlib
import hashlib
import re
import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from orchestrator import digest
from orchestrator.errors import BackendError

READ_BACK = 256 * 1024 * 1024
"""Bytes up to which what was uploaded is read again; of more the sizes are compared, as reading it takes as long."""
_SYSTEM = "file storage"
# An object appears there whole or not at all; elsewhere a file that is being written has a name of its own.
WHOLE = ("s3", "s3a", "gs", "gcs", "az", "abfs", "memory")
_ODD = re.compile(r"[^A-Za-z0-9._-]+")
_SECRETS = "credentials come from the environment: AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or those of your cloud"

Said = Callable[[int], None]
"""Told how many bytes more have been sent."""


@dataclass(frozen=True, slots=True)
class Content:
    """A file or a folder of this machine, and what is in it."""

    path: Path
    digest: str
    size: int

    def below(self, root: str) -> str:
        """Its URI below a root: equal content of equal name has one place.

        Of the name only what everybody writes alike in a URI is kept: some decode the rest, and some do not.
        """
        name = _ODD.sub("-", self.path.name)
        return f"{root.rstrip('/')}/{self.digest[:2]}/{self.digest[:32]}/{name}"


def content(path: Path) -> Content:
    """What is in a file or a folder. Raises BackendError."""
    try:
        if path.is_dir() and not digest.files(path):
            raise BackendError("file", f"the folder {path} is empty")
        for each in digest.files(path) if path.is_dir() else [path]:
            if not each.is_file():  # Reading a pipe would wait for ever.
                raise BackendError("file", f"{each} is no file")
        return Content(path, digest.of(path), digest.size(path))
    except OSError as error:
        raise BackendError("file", f"cannot read {path}: {error.strerror or error}") from error


def put(given: Content, uri: str, said: Said = lambda _: None) -> bool:
    """Upload content to a URI unless it is there already; whether it was not. Raises BackendError."""
    with telling(uri):
        system, place = system_of(uri)
        if _holds(system, place, given):
            return False
        for file, target in _files(given, place):
            _send(system, file, target, said)
        _verify(system, place, given, uri)
    return True


def system_of(uri: str) -> tuple[Any, str]:
    """The file system of a URI and the place in it, as they are now."""
    import fsspec

    found: tuple[Any, str] = fsspec.core.url_to_fs(uri)
    found[0].invalidate_cache()
    return found


def _files(given: Content, place: str) -> Iterator[tuple[Path, str]]:
    """Each file and where it goes."""
    if not given.path.is_dir():
        yield given.path, place
        return
    for file in sorted(digest.files(given.path)):
        yield file, f"{place}/{file.relative_to(given.path).as_posix()}"


def _holds(system: Any, place: str, given: Content) -> bool:
    """Whether all of it is there; what was cut off is not."""
    try:
        return all(system.info(target)["size"] == file.stat().st_size for file, target in _files(given, place))
    except FileNotFoundError:
        return False


def _send(system: Any, file: Path, target: str, said: Said) -> None:
    from fsspec.callbacks import Callback

    class Progress(Callback):  # type: ignore[misc]
        def relative_update(self, inc: int = 1) -> None:
            said(inc)

    protocol = system.protocol if isinstance(system.protocol, str) else system.protocol[0]
    if protocol in WHOLE:
        system.put_file(str(file), target, callback=Progress())
        return
    system.makedirs(target.rpartition("/")[0], exist_ok=True)
    partial = f"{target}.{secrets.token_hex(4)}"
    try:
        system.put_file(str(file), partial, callback=Progress())
        system.mv(partial, target)
    except BaseException:
        with contextlib.suppress(Exception):
            system.rm(partial)
        raise


def _verify(system: Any, place: str, given: Content, uri: str) -> None:
    system.invalidate_cache()
    if not _holds(system, place, given):
        raise BackendError(_SYSTEM, f"{uri} is not as large as what was sent")
    # What lies there under a digest it does not have would be taken for it from now on.
    if (_there(system, place, given) if given.size <= READ_BACK else digest.of(given.path)) != given.digest:
        system.rm(place, recursive=given.path.is_dir())
        told = f"{uri} is not what was to be sent, and was removed: was {given.path} changed meanwhile?"
        raise BackendError(_SYSTEM, told, hint="try again")


def _there(system: Any, place: str, given: Content) -> str:
    """The digest of what lies there."""
    parts = {}
    for _, target in _files(given, place):
        total = hashlib.sha256()
        with system.open(target, "rb") as stream:
            while piece := stream.read(1024 * 1024):
                total.update(piece)
        parts[target.removeprefix(f"{place}/")] = total.hexdigest()
    return digest.of_folder(parts) if given.path.is_dir() else parts[place]


@contextlib.contextmanager
def telling(uri: str, doing: str = "write") -> Iterator[None]:
    """The errors of file systems, each of which has its own, as ours."""
    try:
        yield
    except BackendError:
        raise
    except ImportError as error:
        hint = "pip install 'orchestrator[data,remote]'"
        raise BackendError(_SYSTEM, f"{urlsplit(uri).scheme}: {error}", hint=hint) from error
    except Exception as error:
        told = str(error) or type(error).__name__
        raise BackendError(_SYSTEM, f"cannot {doing} {uri}: {told}", hint=_hint(error)) from error


def _hint(error: Exception) -> str:
    text = f"{type(error).__name__} {error}".lower()
    if any(word in text for word in ("credential", "forbidden", "denied", "accesskey", "signature", "permission")):
        return _SECRETS
    if any(word in text for word in ("connect", "endpoint", "timeout", "timed out")):
        return "AWS_ENDPOINT_URL names an object store other than Amazon's, such as http://localhost:9000"
    return ""
