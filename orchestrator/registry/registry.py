"""The registry as its users see it: find versions, publish, approve, reject, move aliases, read the audit."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from orchestrator.errors import NotFoundError, OrchestratorError
from orchestrator.registry import audit, backend, forms, publication
from orchestrator.registry.audit import AuditEvent
from orchestrator.registry.publication import Publication
from orchestrator.registry.shelf import ArtifactShelf, FolderShelf, Kept, Shelf
from orchestrator.registry.version import (
    CHAMPION,
    PREVIOUS,
    Approval,
    ModelVersion,
    Reference,
    RejectedError,
    check_alias,
)


@dataclass(frozen=True, slots=True)
class Registry:
    """The registry at one tracking URI; MLflow is loaded at the first question that needs it."""

    uri: str = field(repr=False)  # it may hold a password
    file: Path | None
    shelf: Shelf = field(repr=False)
    clock: Callable[[], datetime] = field(default=lambda: datetime.now(UTC), repr=False)

    @classmethod
    def at(cls, uri: str, *, state: Path) -> Registry:
        """The registry at `uri`; `state` is where models of a remote one are downloaded to."""
        file = backend.sqlite_file(uri)
        shelf: Shelf = FolderShelf(file.parent / "models") if file else ArtifactShelf(uri, state.absolute() / "models")
        return cls(f"sqlite:///{file}" if file else uri, file, shelf)

    def names(self) -> list[str]:
        """The names of all registered models."""
        with self._reading() as client:
            return publication.names(client) if client else []

    def versions(self, name: str | None = None) -> list[ModelVersion]:
        """All versions of one model, or of every model, the oldest first."""
        with self._reading() as client:
            chosen = [name] if name is not None else publication.names(client) if client else []
            return [version for each in chosen for version in self._versions(client, each)]

    def version(self, ref: str) -> ModelVersion:
        """The version that "models:/name/3", "name/3", "models:/name@alias" or "name@alias" names."""
        reference = Reference.parse(ref)
        with self._reading() as client:
            return self._find(client, reference)

    def audit(self, name: str) -> list[AuditEvent]:
        """Everything that was done to the versions of a model, in order of time."""
        with self._reading() as client:
            self._aliases(client, name)
            found = publication.versions(client, name)
            events = [event for each in found for event in audit.events(name, str(each.version), each.tags)]
        return sorted(events, key=lambda event: event.at)

    def create(
        self,
        name: str,
        *,
        model: Path,
        digest: str,
        metrics: Mapping[str, float],
        parameters: Mapping[str, Any],
        tags: Mapping[str, str],
        approval: str,
        reason: str,
        run: str,
        alias: str | None = None,
        experiment: str = "",
        by: str = "publish",
        description: str = "",
    ) -> ModelVersion:
        """Publish the model's folder as a version and, when it is approved, give it the alias.

        The same model by the same decision is the same version: after a crash this finishes what was begun. The alias
        of a pending version is kept for its approval. A model that somebody rejected is refused (RejectedError).
        """
        wanted = Publication(
            name=name,
            model=model,
            digest=digest,
            metrics=metrics,
            parameters=parameters,
            tags=tags,
            approval=Approval(approval),
            reason=reason,
            by=by,
            run=run,
            alias=alias or "",
            experiment=experiment or name,
            description=description,
        )
        wanted.check()
        with self._writing() as client:
            number = publication.publish(client, self.shelf, wanted, clock=self.clock, local=self.file)
            return self._find(client, Reference(name, number))

    def approve(self, ref: str, by: str, reason: str) -> ModelVersion:
        """Approve a version; it gets the alias it was published for, unless a later version has it already."""
        reference = Reference.parse(ref)
        with self._writing() as client:
            found = self._find(client, reference)
            event = AuditEvent(self.clock(), "approve", found.name, found.version, by, reason)
            self._record_once(client, event, found)
            self._tag(client, event, Approval.APPROVED)
            alias = found.tags.get(publication.WANTED_ALIAS, "")
            current = self._aliases(client, found.name).get(alias, "0")
            if alias and int(current) < int(found.version):
                publication.give_alias(client, replace(event, at=self.clock()), alias)
            return self._find(client, reference)

    def reject(self, ref: str, by: str, reason: str) -> ModelVersion:
        """Reject a version and take its aliases; the champion's goes to `previous` or the latest approved version."""
        reference = Reference.parse(ref)
        with self._writing() as client:
            found = self._find(client, reference)
            event = AuditEvent(self.clock(), "reject", found.name, found.version, by, reason)
            self._tag(client, event, Approval.REJECTED)
            self._record_once(client, event, found)
            for alias in sorted(found.aliases):
                self._hand_over(client, event, alias)
            return self._find(client, Reference(found.name, found.version))

    def set_alias(self, ref: str, alias: str, *, by: str, reason: str = "") -> ModelVersion:
        """Point an alias at a version: at a rejected one never, `champion` and `previous` at an approved one only."""
        check_alias(alias)
        reference = Reference.parse(ref)
        with self._writing() as client:
            found = self._find(client, reference)
            if found.approval is Approval.REJECTED:
                raise RejectedError(f"{found.uri} was rejected and cannot be {alias}", hint="approve it first")
            if alias in (CHAMPION, PREVIOUS) and found.approval is not Approval.APPROVED:
                raise OrchestratorError(
                    f"{found.uri} is {found.approval} and cannot be {alias}", hint="approve it first"
                )
            event = AuditEvent(self.clock(), "alias", found.name, found.version, by, reason)
            publication.give_alias(client, event, alias)
            return self._find(client, Reference(found.name, found.version))

    def add_onnx(self, ref: str, folder: Path | None, digest: str, gate: Mapping[str, Any], *, by: str) -> ModelVersion:
        """Keep the ONNX form of a version with what its comparison found; without a folder, that it did not pass."""
        reference = Reference.parse(ref)
        with self._writing() as client:
            found = self._find(client, reference)
            run = client.get_model_version(found.name, found.version).run_id or ""
            if folder is not None:
                self.shelf.put(folder, forms.kept(found.name, digest, run))
            for key, value in forms.tags(digest if folder is not None else "", gate).items():
                client.set_model_version_tag(found.name, found.version, key, value)
            reason = "onnx: " + ("passed" if folder is not None else "did not pass")
            publication.record(client, AuditEvent(self.clock(), "export", found.name, found.version, by, reason))
            return self._find(client, Reference(found.name, found.version))

    def _hand_over(self, client: Any, event: AuditEvent, alias: str) -> None:
        """Take the alias of a rejected version; somebody must stay champion if anybody can."""
        event = replace(event, at=self.clock())
        others = [each for each in self._versions(client, event.name) if each.approval is Approval.APPROVED]
        heir = next((each for each in others if PREVIOUS in each.aliases), others[-1] if others else None)
        if alias == CHAMPION and heir is not None:
            publication.give_alias(client, replace(event, version=heir.version), alias)
            if PREVIOUS in heir.aliases:
                self._take_alias(client, replace(event, version=heir.version), PREVIOUS)
            return
        self._take_alias(client, event, alias)

    def _take_alias(self, client: Any, event: AuditEvent, alias: str) -> None:
        taken = replace(event, at=self.clock(), action="unalias", alias=alias, previous=event.version)
        publication.record(client, taken)
        client.delete_registered_model_alias(event.name, alias)

    def _tag(self, client: Any, event: AuditEvent, approval: Approval) -> None:
        said = {
            publication.APPROVAL: approval.value,
            "approval.by": event.by,
            "approval.at": event.at.isoformat(timespec="seconds"),
            "approval.reason": event.reason[: audit.LONGEST_REASON],
        }
        for key, value in said.items():
            client.set_model_version_tag(event.name, event.version, key, value)

    def _record_once(self, client: Any, event: AuditEvent, found: ModelVersion) -> None:
        """Record it unless the last such event says the same: a crash came after it."""
        decisions = ("publish", "approve", "reject")
        before = [e for e in audit.events(found.name, found.version, found.tags) if e.action in decisions]
        said = (event.action, event.by, event.reason)
        if not before or (before[-1].action, before[-1].by, before[-1].reason) != said:
            publication.record(client, event)

    def _find(self, client: Any, reference: Reference) -> ModelVersion:
        aliases = self._aliases(client, reference.name)
        number = reference.version or aliases.get(reference.alias, "")
        if not number:
            known = [f"{reference.name}@{alias}" for alias in aliases]
            raise NotFoundError("model alias", f"{reference.name}@{reference.alias}", known=known)
        try:
            found = client.get_model_version(reference.name, number)
        except Exception as error:  # MLflow has a class of its own for each store.
            if not backend.missing(error):
                raise
            known = [f"models:/{each.name}/{each.version}" for each in publication.versions(client, reference.name)]
            raise NotFoundError("model version", str(reference), known=known) from error
        return self._read(client, found, aliases)

    def _versions(self, client: Any, name: str) -> list[ModelVersion]:
        aliases = self._aliases(client, name)
        return [self._read(client, each, aliases) for each in publication.versions(client, name)]

    def _aliases(self, client: Any, name: str) -> Mapping[str, str]:
        if client is None:
            raise NotFoundError("registered model", name)
        try:
            return publication.aliases(client, name)
        except Exception as error:  # MLflow has a class of its own for each store.
            if not backend.missing(error):
                raise
            raise NotFoundError("registered model", name, known=publication.names(client)) from error

    def _read(self, client: Any, found: Any, aliases: Mapping[str, str]) -> ModelVersion:
        number, digest = str(found.version), found.tags.get(publication.DIGEST, "")
        metrics = client.get_run(found.run_id).data.metrics if found.run_id else {}
        return ModelVersion(
            name=found.name,
            version=number,
            digest=digest,
            # What another tool registered and nobody approved is not approved.
            approval=Approval(found.tags.get(publication.APPROVAL, Approval.PENDING)),
            aliases=tuple(sorted(alias for alias, named in aliases.items() if named == number)),
            metrics=metrics,
            run=found.tags.get(publication.RUN, ""),
            created_at=datetime.fromtimestamp(found.creation_timestamp / 1000, UTC),
            description=found.description or "",
            tags=dict(found.tags),
            locate=partial(self._locate, Kept(found.name, digest, found.run_id or "")),
            onnx=forms.read(found.tags, lambda of: self._locate(forms.kept(found.name, of, found.run_id or ""))),
        )

    def _locate(self, kept: Kept) -> Path:
        with backend.translated(self.uri):
            return self.shelf.path(kept)

    @contextmanager
    def _reading(self) -> Iterator[Any]:
        """A client, or None when the database is not there yet: a question must not make it."""
        if self.file is not None and not (self.file.exists() and self.file.stat().st_size):
            yield None
            return
        with backend.translated(self.uri):
            yield backend.client(self.uri)

    @contextmanager
    def _writing(self) -> Iterator[Any]:
        with backend.translated(self.uri), backend.locked(self.file) if self.file else nullcontext():
            if self.file is not None:
                backend.prepare(self.file)
            yield backend.client(self.uri)
