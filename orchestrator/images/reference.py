"""The name of an image, taken apart: registry, repository, tag, digest."""

from __future__ import annotations

import re
from dataclasses import dataclass

from orchestrator.errors import OrchestratorError

HUB = "docker.io"
_PART = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_HOST = r"(?:[A-Za-z0-9][A-Za-z0-9.-]*|\[[0-9a-fA-F:]+\])(?::[0-9]+)?"
_WHOLE = re.compile(
    rf"(?:(?P<registry>{_HOST})/)??(?P<repository>{_PART}(?:/{_PART})*)"
    r"(?::(?P<tag>\w[\w.-]{0,127}))?(?:@(?P<digest>sha256:[0-9a-f]{64}))?"
)
_REGISTRY = re.compile(rf"(?P<host>{_HOST})(?:/(?P<path>{_PART}(?:/{_PART})*))?/?")
# Docker Hub and Quay have names of two parts only.
_FLAT = (HUB, "index.docker.io", "quay.io")


@dataclass(frozen=True, slots=True)
class Reference:
    """An image by its name; "" for each part that is not said."""

    registry: str
    repository: str
    tag: str = ""
    digest: str = ""

    def __str__(self) -> str:
        """As engines and clusters read it."""
        return f"{self.name}{f':{self.tag}' if self.tag else ''}{f'@{self.digest}' if self.digest else ''}"

    @property
    def name(self) -> str:
        """Without tag and digest."""
        return f"{self.registry}/{self.repository}" if self.registry else self.repository


def parse(text: str) -> Reference | None:
    """The parts of a name; None for what cannot be one."""
    found = _WHOLE.fullmatch(text)
    if found is None:
        return None
    registry, repository = found["registry"] or "", found["repository"]
    first, slash, rest = repository.partition("/")
    # As engines tell a registry from the first part of a repository: by a dot, a port, or the word localhost.
    if not registry and slash and ("." in first or first == "localhost"):
        registry, repository = first, rest
    if registry and not ({".", ":"} & set(registry) or registry == "localhost"):
        return None
    return Reference(registry, repository, found["tag"] or "", found["digest"] or "")


def is_name(text: str) -> bool:
    """Whether it is the name of an image yet to be built: nobody has said which registry, tag or digest it has."""
    found = parse(text)
    return found is not None and not (found.registry or found.tag or found.digest)


def placed(name: str, registry: str, tag: str) -> str:
    """An image of ours in a registry; on this machine alone when that is empty. Raises OrchestratorError."""
    if not registry:
        return f"{name}:{tag}"
    found = _REGISTRY.fullmatch(registry)
    if found is None:
        hint = "HOST[:PORT][/PATH], as in localhost:5001 or ghcr.io/acme, without https:// and without a tag"
        raise OrchestratorError(f"{registry!r} cannot be a registry", hint=hint)
    flat = found["host"] in _FLAT
    return f"{registry.rstrip('/')}/{name.replace('/', '-') if flat else name}:{tag}"


def is_loopback(registry: str) -> bool:
    """Whether a registry is on this machine, where engines speak HTTP without being told."""
    host = registry.partition("/")[0]
    return host.startswith(("localhost", "127.", "[::1]"))
