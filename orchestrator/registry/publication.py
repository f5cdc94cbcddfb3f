"""From a model's folder to a version with an alias, in steps that can each be done again after a crash."""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from orchestrator.errors import OrchestratorError
from orchestrator.registry import audit, backend, version
from orchestrator.registry.audit import AuditEvent
from orchestrator.registry.shelf import Kept, Shelf
from orchestrator.registry.version import Approval, RejectedError

DIGEST, APPROVAL, RUN = "digest", "approval", "orchestrator.run"
PUBLICATION, WANTED_ALIAS = "orchestrator.publication", "orchestrator.alias"

_DIGEST = re.compile(r"[A-Za-z0-9_-]+(:[A-Za-z0-9_-]+)?")
_FORBIDDEN = re.compile(r"[^\w.\- /]")  # in the names of MLflow's metrics and parameters
_BATCH = 100
_LONGEST_VALUE, _LONGEST_KEY = 6000, 250


@dataclass(frozen=True, slots=True)
class Publication:
    """A model and the decision that it becomes a version."""

    name: str
    model: Path
    digest: str
    metrics: Mapping[str, float]
    parameters: Mapping[str, Any]
    tags: Mapping[str, str]
    approval: Approval
    reason: str
    by: str
    run: str
    alias: str
    experiment: str
    description: str

    def check(self) -> None:
        """Refuse what no registry could hold, before anything is written."""
        version.check_name(self.name)
        if self.alias:
            version.check_alias(self.alias)
        if _DIGEST.fullmatch(self.digest) is None:
            raise OrchestratorError(f"{self.digest!r} is not the digest of a model")
        if self.approval is Approval.REJECTED:
            raise OrchestratorError("a rejected model is not published", hint="approval is approved or pending")

    @property
    def identity(self) -> str:
        """The same model under the same name by the same decision is the same publication, whichever run says it."""
        numbers = {name: repr(float(value)) for name, value in self.metrics.items()}
        said = [self.name, self.digest, self.approval.value, self.alias, numbers]
        return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()


def publish(
    client: Any, shelf: Shelf, wanted: Publication, *, clock: Callable[[], datetime], local: Path | None
) -> str:
    """Make the version of this publication, or finish it, and return its number."""
    made = None
    for each in versions(client, wanted.name):
        if each.tags.get(DIGEST) == wanted.digest and each.tags.get(APPROVAL) == Approval.REJECTED:
            raise RejectedError(
                f"version {each.version} of {wanted.name}, the same model, was rejected by "
                f"{each.tags.get('approval.by', '?')}: {each.tags.get('approval.reason', '')}",
                hint="approve that version if the rejection no longer holds, or train another model",
            )
        if each.tags.get(PUBLICATION) == wanted.identity:
            made = each
    if made is None:
        made = _create(client, shelf, wanted, clock(), local)
    else:
        shelf.put(wanted.model, Kept(wanted.name, wanted.digest, made.run_id))  # it may have been damaged since
        if not any(event.run == wanted.run for event in _events(made) if event.action == "publish"):
            record(client, _event(wanted, "publish", made.version, clock()))
    client.set_terminated(made.run_id, status="FINISHED")
    if wanted.alias and made.tags.get(APPROVAL) == Approval.APPROVED and not _left_behind(client, wanted, made):
        give_alias(client, _event(wanted, "alias", made.version, clock()), wanted.alias)
    return str(made.version)


def give_alias(client: Any, event: AuditEvent, alias: str) -> None:
    """Point the alias at the event's version; the version that was champion stays at hand as `previous`."""
    current = aliases(client, event.name).get(alias, "")
    if current == event.version:
        return
    known = {str(each.version): each for each in versions(client, event.name)}
    recorded = _events(known[event.version])
    done = AuditEvent(**{**_fields(event), "action": "alias", "alias": alias, "previous": current})
    # The last event says this very thing when a crash came between the record and the alias.
    if not recorded or _what(recorded[-1]) != _what(done):
        record(client, done)
    # `previous` first: a crash in between leaves the old champion in place, named twice, and the next try ends well.
    if alias == version.CHAMPION and current and known[current].tags.get(APPROVAL) == Approval.APPROVED:
        client.set_registered_model_alias(event.name, version.PREVIOUS, current)
    client.set_registered_model_alias(event.name, alias, event.version)


def versions(client: Any, name: str) -> list[Any]:
    """Every version of the model, the oldest first."""
    found = _pages(lambda token: client.search_model_versions(f"name='{name}'", max_results=1000, page_token=token))
    return sorted(found, key=lambda each: int(each.version))


def aliases(client: Any, name: str) -> dict[str, str]:
    """The aliases of the model and the version each one names."""
    return {alias: str(number) for alias, number in client.get_registered_model(name).aliases.items()}


def names(client: Any) -> list[str]:
    """The names of all registered models."""
    found = _pages(lambda token: client.search_registered_models(max_results=1000, page_token=token))
    return sorted(each.name for each in found)


def _create(client: Any, shelf: Shelf, wanted: Publication, at: datetime, local: Path | None) -> Any:
    run = _run(client, wanted, at, local)
    source = shelf.put(wanted.model, Kept(wanted.name, wanted.digest, run.info.run_id))
    try:
        client.get_registered_model(wanted.name)
    except Exception as error:  # MLflow has a class of its own for each store.
        if not backend.missing(error):
            raise
        client.create_registered_model(wanted.name)
    key, event = audit.tag(_event(wanted, "publish", "", at))
    tags = {
        **_tags(wanted),
        APPROVAL: wanted.approval.value,
        "approval.by": wanted.by,
        "approval.at": at.isoformat(timespec="seconds"),
        "approval.reason": wanted.reason[: audit.LONGEST_REASON],
        key: event,
    }
    return client.create_model_version(
        wanted.name, source, run_id=run.info.run_id, tags=tags, description=wanted.description or wanted.reason
    )


def _run(client: Any, wanted: Publication, at: datetime, local: Path | None) -> Any:
    """The MLflow run of this publication: the one that a killed process left, or a new one."""
    experiment = client.get_experiment_by_name(wanted.experiment)
    if experiment is None:
        place = (backend.artifacts(local) / wanted.experiment).as_uri() if local else None
        number = client.create_experiment(wanted.experiment, artifact_location=place)
    else:
        number = experiment.experiment_id
    found = client.search_runs([number], f"tags.`{PUBLICATION}` = '{wanted.identity}'", max_results=1)
    start = round(at.timestamp() * 1000)
    run = (
        found[0]
        if found
        else client.create_run(number, start_time=start, tags=_tags(wanted), run_name=wanted.run or None)
    )
    _measure(client, run, wanted)
    return run


def _measure(client: Any, run: Any, wanted: Publication) -> None:
    """Metrics and parameters, within MLflow's limits; logging the same again changes nothing."""
    from mlflow.entities import Metric, Param

    at = run.info.start_time
    metrics = [Metric(_key(n), float(v), at, 0) for n, v in wanted.metrics.items() if math.isfinite(v)]
    parameters = [Param(_key(n), _text(v)) for n, v in wanted.parameters.items() if v is not None]
    for first in range(0, max(len(metrics), len(parameters)), _BATCH):
        batch = slice(first, first + _BATCH)
        client.log_batch(run.info.run_id, metrics=metrics[batch], params=parameters[batch])


def _left_behind(client: Any, wanted: Publication, made: Any) -> bool:
    """Whether this run gave the alias already and another version has taken it since: a resumed run is not news."""
    if not wanted.run:
        return False
    given = [e for e in _events(made) if e.action == "alias" and e.run == wanted.run and e.alias == wanted.alias]
    return bool(given) and aliases(client, wanted.name).get(wanted.alias, "") not in (
        given[-1].previous,
        str(made.version),
    )


def _tags(wanted: Publication) -> dict[str, str]:
    ours = {DIGEST: wanted.digest, RUN: wanted.run, PUBLICATION: wanted.identity, WANTED_ALIAS: wanted.alias}
    return {**{_key(name): _text(value) for name, value in wanted.tags.items()}, **ours}


def _event(wanted: Publication, action: str, number: str, at: datetime) -> AuditEvent:
    return AuditEvent(at, action, wanted.name, str(number), wanted.by, wanted.reason, wanted.run)


def record(client: Any, event: AuditEvent) -> None:
    """Add the event to its version."""
    client.set_model_version_tag(event.name, event.version, *audit.tag(event))


def _events(made: Any) -> list[AuditEvent]:
    return audit.events(made.name, str(made.version), made.tags)


def _fields(event: AuditEvent) -> dict[str, Any]:
    return {name: getattr(event, name) for name in AuditEvent.__slots__}


def _what(event: AuditEvent) -> tuple[str, ...]:
    return (event.action, event.alias, event.previous, event.run)


def _pages(ask: Callable[[str | None], Any]) -> Iterator[Any]:
    token: str | None = None
    while True:
        page = ask(token)
        yield from page
        token = page.token
        if not token:
            return


def _key(name: str) -> str:
    return _FORBIDDEN.sub("_", str(name))[:_LONGEST_KEY]


def _text(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, default=str)
    return text[:_LONGEST_VALUE]
