"""Small files by URI, wherever they lie, for those who only look."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlsplit

from orchestrator.errors import BackendError

_MOST = 1_048_576


def texts(pattern: str) -> Iterator[str]:
    """The texts of the files a URI names, which may have `*` and `**` in it. Raises BackendError."""
    try:
        import fsspec

        system, path = fsspec.core.url_to_fs(pattern)
        for found in sorted(system.glob(path)):
            if not system.isdir(found):
                with system.open(found, "rb") as file:
                    yield file.read(_MOST).decode("utf-8")
    except ImportError as error:
        raise BackendError("artifact store", str(error), hint="pip install 'orchestrator[data,remote]'") from error
    except Exception as error:  # Every file system of fsspec has errors of its own.
        raise BackendError("artifact store", f"cannot read {urlsplit(pattern).scheme}: {error}") from error
