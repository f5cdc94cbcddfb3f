"""Where a server of Kubeflow Pipelines is, and by what right it is asked."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Connection:
    """How a server is reached. What is secret in it is never shown."""

    url: str
    """Where the API begins, e.g. `http://localhost:8888` or `https://kubeflow.example.com/pipeline`."""
    namespace: str = ""
    """Whose pipelines, experiments and runs are meant; "" where the server knows only one namespace."""
    token: str = field(default="", repr=False)
    """A bearer token."""
    token_file: Path | None = None
    """A file with a bearer token, read again for every request: a token that is projected into a pod is replaced."""
    cookies: str = field(default="", repr=False)
    """Cookies as a browser sends them, `name=value; name=value`: how Dex and IAP know who is asking."""
    ca: Path | None = None
    """The certificates the server's is checked against; None for those of the machine."""
    timeout: float = 30
    """Seconds one answer may take."""
