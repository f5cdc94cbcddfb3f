"""Who did what to which version, when and why: events that are only ever added, each a tag of its version."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

PREFIX = "audit."
LONGEST_REASON = 2000  # MLflow takes 8000 characters in a tag, and JSON may double them.


@dataclass(frozen=True, slots=True)
class AuditEvent:
    """One thing that was done to a version: publish, approve, reject, alias (set), unalias (taken away), export."""

    at: datetime
    action: str
    name: str
    version: str
    by: str
    reason: str
    run: str = ""
    alias: str = ""
    previous: str = ""  # the version that had the alias before, "" when none had

    def __str__(self) -> str:
        what = f"{self.action} {self.alias}".strip()
        return f"{self.at:%Y-%m-%d %H:%M:%S} {self.name}/{self.version} {what} by {self.by}: {self.reason}"


def tag(event: AuditEvent) -> tuple[str, str]:
    """The event as a tag: its name sorts by time and is nobody else's, its value is JSON."""
    value = json.dumps(
        {
            "at": event.at.astimezone(UTC).isoformat(timespec="microseconds"),
            "action": event.action,
            "by": event.by,
            "reason": event.reason[:LONGEST_REASON],
            **({"run": event.run} if event.run else {}),
            **({"alias": event.alias, "previous": event.previous} if event.alias else {}),
        },
        ensure_ascii=False,
    )
    digest = hashlib.sha256(value.encode()).hexdigest()[:8]
    return f"{PREFIX}{event.at.astimezone(UTC):%Y%m%dT%H%M%S.%f}Z.{digest}", value


def events(name: str, version: str, tags: Mapping[str, str]) -> list[AuditEvent]:
    """The events that the tags of one version hold, oldest first; tags that are not ours to read are passed over."""
    found = []
    for key in sorted(key for key in tags if key.startswith(PREFIX)):
        try:
            read = json.loads(tags[key])
            at = datetime.fromisoformat(read["at"])
            texts = {
                field: str(read.get(field, "")) for field in ("action", "by", "reason", "run", "alias", "previous")
            }
        except (ValueError, KeyError, TypeError, AttributeError):
            continue
        found.append(AuditEvent(at=at, name=name, version=version, **texts))
    return found
