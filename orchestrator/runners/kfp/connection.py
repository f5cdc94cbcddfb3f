"""Where a server of Kubeflow Pipelines is, and by what right it is asked."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from orchestrator.errors import BackendError

SYSTEM = "Kubeflow Pipelines"
"""What errors call the server."""


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
    """The certificates the server's is checked against; None for the well-known authorities."""
    timeout: float = 30
    """Seconds one answer may take."""

    @property
    def host(self) -> str:
        """The URL without what is not its own. Raises BackendError for one that cannot be used."""
        parts = urlsplit(self.url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            hint = "e.g. ORC_KFP_URL=http://localhost:8888"
            raise BackendError(SYSTEM, f"{_bare(self.url)!r} is not the URL of a server", hint=hint)
        if parts.username or parts.password:
            hint = "give a token with ORC_KFP_TOKEN, or a file of it with ORC_KFP_TOKEN_FILE"
            raise BackendError(SYSTEM, "the URL has a name or a password in it, which would be shown", hint=hint)
        return f"{parts.scheme}://{parts.netloc}{parts.path}".rstrip("/").removesuffix("/#")

    def bearer(self) -> str:
        """The token as it is now; "" for none. Raises BackendError when its file cannot be read."""
        if self.token or self.token_file is None:
            return self.token.strip()
        try:
            return self.token_file.read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            said = error.strerror if isinstance(error, OSError) else "it is not text"
            raise BackendError(SYSTEM, f"the token in {self.token_file} cannot be read: {said}") from error

    def silenced(self, text: str, *more: str) -> str:
        """A text without the secrets that came with the request, whoever put them there."""
        values = (each.partition("=")[2].strip() for each in self.cookies.split(";"))
        for secret in (self.token.strip(), self.cookies.strip(), *values, *more):
            if len(secret) > 3:
                text = text.replace(secret, "***")
        return text


def _bare(url: str) -> str:
    """A URL without name and password."""
    scheme, separator, rest = url.rpartition("://")
    before, at, after = rest.partition("@")
    return f"{scheme}{separator}{after}" if at and "/" not in before else url
