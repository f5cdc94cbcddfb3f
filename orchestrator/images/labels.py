"""The labels of an image: what it is, of which version, from which code, on which base. By the OCI's names."""

from __future__ import annotations

import re
from dataclasses import dataclass

from orchestrator.images.recipe import Recipe
from orchestrator.images.wanted import COMPONENT, MLFLOW, SERVER

KEY = "orc.key"
_OCI = "org.opencontainers.image"
_LOGIN = re.compile(r"^([a-z+]+://)[^/@]*@")
_SCP = re.compile(r"^[\w.-]+@([\w.-]+):(?!//)")
_SAID = {
    SERVER: "The model server of orc: serves registered models by the V1 and V2 protocols.",
    MLFLOW: "MLflow's tracking server and registry, with PostgreSQL and S3.",
}


@dataclass(frozen=True, slots=True)
class Origin:
    """Where code came from, as far as git knows."""

    revision: str = ""
    """The commit; with `-dirty` when files differ from it."""
    source: str = ""
    """The address of the repository, as git has it."""


def of(
    recipe: Recipe, *, version: str, description: str = "", origin: Origin | None = None, base_digest: str = ""
) -> dict[str, str]:
    """The labels of an image. None of them counts in its key, so that a commit alone makes no new image."""
    came = origin or Origin()
    ours = recipe.wanted.kind != COMPONENT or all(each.is_ours for each in recipe.wanted.programs)
    name, _, digest = recipe.choices.base.partition("@")
    found = {
        f"{_OCI}.title": recipe.name,
        f"{_OCI}.description": description or _SAID.get(recipe.wanted.kind, ""),
        f"{_OCI}.version": version,
        f"{_OCI}.revision": came.revision,
        f"{_OCI}.source": address(came.source),
        # Of a user's own code we do not know.
        f"{_OCI}.licenses": "Apache-2.0" if ours else "",
        f"{_OCI}.base.name": name,
        f"{_OCI}.base.digest": digest or base_digest,
        KEY: recipe.key,
    }
    return {label: " ".join(value.split()) for label, value in found.items() if value}


def address(remote: str) -> str:
    """The address of a repository for others: over HTTPS where it can be, and without anybody's login."""
    if remote.startswith(("/", ".", "file:")):
        return ""
    plain = _SCP.sub(r"https://\1/", _LOGIN.sub(r"\1", remote))
    return plain.removeprefix("git+").replace("ssh://", "https://", 1).removesuffix(".git")
