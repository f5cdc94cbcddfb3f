"""What the cluster says of objects, in words: a case is a folder, its golden what a person reads."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from orchestrator.cluster import Change, Event, Ref, ready, ref
from orchestrator.cluster import change as changes
from orchestrator.cluster import reason as reasons
from orchestrator.cluster import refusal as refusals
from orchestrator.cluster.api import Answer
from tests.conftest import Golden

HERE = Path(__file__).parent
ABOUT = Ref("Deployment", "web", "dev", "apps")


def cases(kind: str) -> list[Any]:
    found = sorted(path for path in (HERE / kind).iterdir() if path.is_dir())
    assert found
    return [pytest.param(path, id=path.name) for path in found]


def loaded(path: Path) -> Any:
    return yaml.safe_load(path.read_text(encoding="utf-8")) if path.is_file() else None


def events(path: Path) -> list[Event]:
    return [
        Event(Ref("Pod", "train-1"), each["reason"], each["message"], each["type"] == "Warning")
        for each in loaded(path) or ()
    ]


def reason_text(found: reasons.Reason | None) -> str:
    if found is None:
        return "nothing is wrong\n"
    lines = [found.text]
    lines += [f"hint: {found.hint}"] if found.hint else []
    lines += [f"log of {found.log_of}{', before it was started again' * found.is_previous}"] if found.log_of else []
    lines += ["does not mend itself"] if found.is_stuck else []
    lines += ["that is as far as it gets alone"] if found.is_enough else []
    return "\n".join(lines) + "\n"


@pytest.mark.parametrize("case", cases("pods"))
def test_why_a_pod_does_not_run(case: Path, golden: Golden) -> None:
    found = reasons.of_pod(loaded(case / "pod.yaml"), events(case / "events.yaml"))
    golden(case / "reason.txt", reason_text(found))


@pytest.mark.parametrize("case", cases("makers"))
def test_why_no_pods_are_made(case: Path, golden: Golden) -> None:
    golden(case / "reason.txt", reason_text(reasons.of_events(events(case / "events.yaml"))))


@pytest.mark.parametrize("case", cases("refusals"))
def test_what_the_server_refuses(case: Path, golden: Golden) -> None:
    status = json.loads((case / "status.json").read_text(encoding="utf-8"))
    known = ("image", "replicas", "color", "size", "paused")
    error = refusals.refused(
        Answer(status["code"], status), verb="apply", who="context dev", about=ABOUT, fields=lambda _: known
    )
    lines = [str(error), f"({error.reason}, {error.field or 'no field'})"]
    golden(case / "refusal.txt", "\n".join(lines) + "\n")


@pytest.mark.parametrize("case", cases("readiness"))
def test_when_an_object_is_ready(case: Path, golden: Golden) -> None:
    found = ready(loaded(case / "object.yaml"))
    state = "ready" if found.done else "failed" if found.failed else "not ready"
    golden(case / "progress.txt", f"{state}: {found.text}\n" if found.text else f"{state}\n")


@pytest.mark.parametrize("case", cases("changes"))
def test_what_would_change(case: Path, golden: Golden) -> None:
    found = changes.between(loaded(case / "live.yaml"), loaded(case / "after.yaml"))
    lines = [f"{found.action} {found.ref}", *(f"{one.path}: {one.old!r} -> {one.new!r}" for one in found.fields)]
    golden(case / "change.txt", "\n".join(lines) + "\n")


def test_values_of_a_secret_are_nowhere_in_a_change() -> None:
    live = loaded(HERE / "changes" / "secret" / "live.yaml")
    after = loaded(HERE / "changes" / "secret" / "after.yaml")
    found: Change = changes.between(live, after)
    assert found.fields
    for value in (*live["data"].values(), *after["data"].values(), "hunter2"):
        assert value not in repr(found)


def test_a_deletion_names_what_is_deleted() -> None:
    live = loaded(HERE / "changes" / "image-and-replicas" / "live.yaml")
    assert changes.deletion(live).ref == ref(live)
