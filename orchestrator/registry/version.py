"""What a registry holds: a model version, how it is named, and whether it is approved."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Any

from orchestrator.errors import OrchestratorError

CHAMPION = "champion"
PREVIOUS = "previous"

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}")
_ALIAS = re.compile(r"(?!latest$)(?![vV]\d+$)(?!\d+$)[A-Za-z0-9_][A-Za-z0-9_-]{0,254}")
_REFERENCE = re.compile(r"(?:models:/)?(?P<name>[^/@:]+)(?:/(?P<version>[1-9]\d*)|@(?P<alias>[^/@:]+))")


class Approval(StrEnum):
    """What was decided about a version; only an approved one is deployed."""

    PENDING = "pending"
    APPROVED = "approved"
    REJECTED = "rejected"


class RejectedError(OrchestratorError):
    """A version was rejected, and what was asked would bring it back."""


@dataclass(frozen=True, slots=True)
class OnnxForm:
    """The ONNX form of a version, as it was compared with it; `digest` is "" when it did not pass and is not kept."""

    digest: str
    gate: Mapping[str, Any]
    locate: Callable[[], Path] = field(default=Path, repr=False, compare=False)

    @property
    def passed(self) -> bool:
        return bool(self.digest)

    @property
    def path(self) -> Path:
        """The form's folder on this machine."""
        return self.locate()


@dataclass(frozen=True, slots=True)
class ModelVersion:
    """One version of a registered model; `path` is its folder on this machine."""

    name: str
    version: str
    digest: str
    approval: Approval
    aliases: tuple[str, ...]
    metrics: Mapping[str, float]
    run: str
    created_at: datetime
    description: str
    tags: Mapping[str, str] = field(default_factory=dict, repr=False)
    locate: Callable[[], Path] = field(default=Path, repr=False, compare=False)
    onnx: OnnxForm | None = None

    @property
    def path(self) -> Path:
        """The model's folder; one that lies on a server is downloaded first, once."""
        return self.locate()

    @property
    def uri(self) -> str:
        """The version as MLflow and `deploy` name it, such as models:/penguins/3."""
        return f"models:/{self.name}/{self.version}"


@dataclass(frozen=True, slots=True)
class Reference:
    """A model version as a user names it: by number or by alias, one of the two."""

    name: str
    version: str = ""
    alias: str = ""

    @classmethod
    def parse(cls, text: str) -> Reference:
        match = _REFERENCE.fullmatch(text.strip())
        if match is None:
            raise OrchestratorError(
                f"{text!r} does not name a model version",
                hint="write models:/NAME/3 or models:/NAME@champion; models:/ may be left out",
            )
        return cls(match["name"], match["version"] or "", match["alias"] or "")

    def __str__(self) -> str:
        return f"models:/{self.name}@{self.alias}" if self.alias else f"models:/{self.name}/{self.version}"


def check_name(name: str) -> None:
    """Refuse a name that is no name in MLflow, in a URI or as a folder."""
    if _NAME.fullmatch(name) is None:
        raise OrchestratorError(
            f"{name!r} cannot name a registered model",
            hint="letters, digits, '.', '_' and '-', beginning with a letter, a digit or '_', at most 128",
        )


def check_alias(alias: str) -> None:
    """Refuse an alias that MLflow keeps for itself or could take for a version."""
    if _ALIAS.fullmatch(alias) is None:
        raise OrchestratorError(
            f"{alias!r} cannot be an alias",
            hint="letters, digits, '_' and '-'; neither a number, nor 'latest', nor 'v' and a number",
        )
