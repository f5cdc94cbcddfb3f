"""Model versions, their approval, their aliases and the audit of both, on MLflow's registry.

`registry.open(uri)` reads and writes any MLflow tracking server or database; nothing else here imports mlflow.

How a version comes to be. The bytes come first, then an MLflow run, then the version in one request with all its tags
(digest, approval, the audit event of its publication), then the alias. So a version is never seen half made, an alias
never names one that is not whole, and after a crash the same `create` finds what is there and does the rest.

Where the audit lives. Every event is a tag of its own, `audit.<time>.<digest>`, on the version it is about: written
once under a name nobody else uses, so that it can neither overwrite nor be overwritten, and the event of a publication
appears in the same transaction as its version. Not a table of our own, which a remote server does not have; not an
artifact, because appending to a file over HTTP is reading, changing and replacing it; not tags of the registered model,
which would outlive a deleted version but cannot be written together with it.

Where the order of two writes matters, a crash between them must err on the safe side: an approval is first recorded and
then takes effect, a rejection takes effect and is then recorded; saying the same again completes either.

A SQLite registry has one writer at a time, by a lock beside its file. A server has no lock to offer: two runs that
publish the very same decision there at the same instant may make two versions of it.
"""

from __future__ import annotations

from pathlib import Path

from orchestrator.registry.audit import AuditEvent
from orchestrator.registry.registry import Registry
from orchestrator.registry.version import (
    Approval,
    ModelVersion,
    OnnxForm,
    Reference,
    RejectedError,
    check_alias,
    check_name,
)

__all__ = [
    "open",
    "Registry",
    "ModelVersion",
    "OnnxForm",
    "Reference",
    "Approval",
    "AuditEvent",
    "RejectedError",
    "check_name",
    "check_alias",
]


def open(tracking_uri: str, *, state: Path = Path(".orc")) -> Registry:
    """The registry at `tracking_uri`; nothing is created, imported or contacted before the first question.

    Models of a SQLite registry lie beside its file; `state` is where those of a remote one are downloaded to.
    """
    return Registry.at(tracking_uri, state=state)
