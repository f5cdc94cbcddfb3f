"""Who may say what about a version, what follows for the aliases, and what the audit keeps of it (AS-36)."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest

from orchestrator import registry
from orchestrator.errors import OrchestratorError
from orchestrator.registry import Approval, ModelVersion, Registry

Create = Callable[..., ModelVersion]


def test_a_pending_version_waits_for_its_alias(
    create: Create, models: Registry, aliases: Callable[[], dict[str, str]]
) -> None:
    create("a")
    assert create("b", approval="pending").approval is Approval.PENDING
    assert aliases() == {"champion": "1"}
    approved = models.approve("penguins/2", by="ana", reason="looked at the slices")
    assert (approved.approval, approved.aliases) == (Approval.APPROVED, ("champion",))
    assert aliases() == {"champion": "2", "previous": "1"}


def test_a_late_approval_does_not_bring_an_older_version_back(create: Create, models: Registry) -> None:
    create("a", approval="pending")
    create("b")
    models.approve("penguins/1", by="ana", reason="late")
    assert models.version("penguins@champion").version == "2"


def test_a_rejected_champion_gives_way_to_the_previous_one(
    create: Create, models: Registry, aliases: Callable[[], dict[str, str]]
) -> None:
    for content in "abc":
        create(content)
    rejected = models.reject("penguins@champion", by="ana", reason="leaks the target")
    assert (rejected.version, rejected.approval, rejected.aliases) == ("3", Approval.REJECTED, ())
    assert aliases() == {"champion": "2"}
    models.reject("penguins/2", by="ana", reason="too")
    assert models.version("penguins@champion").version == "1"
    models.reject("penguins/1", by="ana", reason="all of them")
    assert aliases() == {}


def test_a_rejected_model_is_not_published_again_until_somebody_approves_it(create: Create, models: Registry) -> None:
    create("a")
    models.reject("penguins/1", by="ana", reason="leaks the target")
    for again in ({}, {"run": "another"}, {"metrics": {"f1": 0.99}}):
        with pytest.raises(registry.RejectedError, match="rejected by ana: leaks the target"):
            create("a", **again)
    with pytest.raises(registry.RejectedError):
        models.set_alias("penguins/1", "challenger", by="bob")
    models.approve("penguins/1", by="ana", reason="it does not, after all")
    assert create("a").aliases == ("champion",)


def test_only_an_approved_version_is_made_champion(create: Create, models: Registry) -> None:
    create("a", approval="pending", alias=None)
    with pytest.raises(OrchestratorError, match="pending and cannot be champion"):
        models.set_alias("penguins/1", "champion", by="bob")
    assert models.set_alias("penguins/1", "challenger", by="bob", reason="canary").aliases == ("challenger",)


def test_what_another_tool_registered_is_pending(create: Create, models: Registry, judge: Any) -> None:
    judge.create_registered_model("penguins")
    judge.create_model_version("penguins", "s3://somewhere/else")
    found = models.version("penguins/1")
    assert (found.approval, found.metrics, found.digest) == (Approval.PENDING, {}, "")
    assert models.audit("penguins") == []


def test_an_approval_and_the_alias_it_gives_are_told_in_order(create: Create, models: Registry) -> None:
    create("a", approval="pending")
    models.approve("penguins/1", by="ana", reason="good")
    assert [event.action for event in models.audit("penguins")] == ["publish", "approve", "alias"]


def test_the_audit_says_who_did_what_when_and_why(create: Create, models: Registry) -> None:
    create("a")
    create("b", reason="ä" * 9000)
    models.approve("penguins/2", by="ana", reason='said "yes"')
    models.reject("penguins/2", by="bob", reason="said no")
    events = models.audit("penguins")
    assert [(event.action, event.version, event.alias, event.previous, event.by) for event in events] == [
        ("publish", "1", "", "", "publish"),
        ("alias", "1", "champion", "", "publish"),
        ("publish", "2", "", "", "publish"),
        ("alias", "2", "champion", "1", "publish"),
        ("approve", "2", "", "", "ana"),
        ("reject", "2", "", "", "bob"),
        ("alias", "1", "champion", "2", "bob"),
        ("unalias", "1", "previous", "1", "bob"),
    ]
    assert events[4].reason == 'said "yes"'
    assert all(before.at <= after.at for before, after in pairwise(events))
