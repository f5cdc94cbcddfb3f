"""How the run ended, in one word and one sentence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from components.report import loose, words
from components.report.facts import Bar, Endpoint, Gate, Kind, Outcome

_WORDS = {
    Kind.DEPLOYED: "Published and deployed",
    Kind.PUBLISHED: "Published",
    Kind.SUCCEEDED: "Succeeded",
    Kind.REJECTED: "Rejected",
    Kind.UNDECIDED: "Undecided",
    Kind.FAILED: "Failed",
    Kind.CANCELLED: "Cancelled",
    Kind.UNKNOWN: "Not known",
}
_NOT_RUN = frozenset({"UNSCHEDULABLE", "PENDING"})
_BY_SERVER = {"COMPLETE": "SUCCEEDED", "CACHED": "SKIPPED", "CANCELED": "CANCELLED"}
"""What KFP's server on a cluster says where its documentation, and our runner, have another word."""


def of(state: str, message: str, bars: Sequence[Bar], gates: Sequence[Gate], endpoints: Sequence[Endpoint]) -> Outcome:
    """The outcome of a run that came to `state`, because of `message`."""
    if state == "FAILED":
        return _outcome(Kind.FAILED, _failure(message, bars), _went_live(gates, endpoints))
    if state == "CANCELLED":
        return _outcome(Kind.CANCELLED, _cancelled(message, bars), _went_live(gates, endpoints))
    for kind in (Kind.REJECTED, Kind.UNDECIDED):
        if any(gate.decision == kind for gate in gates):
            return _outcome(kind, _refusal(kind, gates), _went_live(gates, endpoints))
    if published := [gate for gate in gates if gate.decision == "published"]:
        kind = Kind.DEPLOYED if endpoints else Kind.PUBLISHED
        return _outcome(kind, *[_publication(gate) for gate in published], *[_service(each) for each in endpoints])
    if endpoints:
        return Outcome(Kind.DEPLOYED, "Deployed", _sentences(*[_service(each) for each in endpoints]))
    if state in ("SUCCEEDED", "SKIPPED"):
        return _outcome(Kind.SUCCEEDED, f"All that was to do is done{_tally(bars)}")
    kind = Kind(state.lower()) if state.lower() in (Kind.REJECTED, Kind.UNDECIDED) else Kind.UNKNOWN
    return _outcome(kind, message or (f"The run is {state}" if state else "It was not told how the run ended"))


def told(status: Mapping[str, Any]) -> tuple[str, str]:
    """The state and the message of a final status, as KFP and our runner write it."""
    state = loose.text(status, "state").upper()
    return _BY_SERVER.get(state, state), loose.text(status, "error", "message")


def _outcome(kind: Kind, *said: str) -> Outcome:
    return Outcome(kind, _WORDS[kind], _sentences(*said))


def _sentences(*said: str) -> str:
    stripped = (each.strip() for each in said)
    return " ".join(each if each.endswith((".", "!", "?", "…")) else f"{each}." for each in stripped if each)


def _failure(message: str, bars: Sequence[Bar]) -> str:
    failed = [bar for bar in bars if bar.status == "FAILED"]
    if not failed:
        return message or "The run failed, and no task says why"
    first = min(failed, key=lambda bar: (bar.start or 0) + (bar.seconds or 0))
    said = f"The task {first.name} failed: {first.reason or message or 'it gave no reason'}"
    also = [bar.name for bar in failed if bar is not first]
    left = [bar.name for bar in bars if bar.status in _NOT_RUN]
    return _sentences(
        said,
        f"So did {words.join(also)}" if also else "",
        f"Because of that {words.join(left)} did not run" if left else "",
    )


def _cancelled(message: str, bars: Sequence[Bar]) -> str:
    done = sum(bar.status in ("SUCCEEDED", "SKIPPED") for bar in bars)
    return _sentences(
        f"The run was cancelled{f': {message}' if message else ''}",
        f"{words.count(done, 'task')} of {len(bars):,} had finished" if bars else "",
    )


def _refusal(kind: Kind, gates: Sequence[Gate]) -> str:
    refused = [gate for gate in gates if gate.decision == kind]
    first, more = refused[0], len(refused) - 1
    what = {
        Kind.REJECTED: "was rejected by the gate",
        Kind.UNDECIDED: "was not published, because the gate could not decide",
    }[kind]
    return _sentences(
        f"{first.model or 'The model'} {what}: {first.reason or 'it gave no reason'}",
        f"So {'was' if more == 1 else 'were'} {words.count(more, 'other model')}" if more else "",
    )


def _went_live(gates: Sequence[Gate], endpoints: Sequence[Endpoint]) -> str:
    """What a run that did not end well changed all the same."""
    live = [f"{gate.model} version {gate.version} was published" for gate in gates if gate.decision == "published"]
    live += [f"the endpoint {each.name} was deployed" for each in endpoints]
    if live:
        return f"All the same, {words.join(live)}"
    return "No version was published and no endpoint changed" if gates else ""


def _publication(gate: Gate) -> str:
    why = f" because {gate.reason}" if gate.reason else ""
    wait = "; it waits for approval" if gate.pending else ""
    by = f" by the run {gate.taken_from}, whose outputs this one took from the cache," if gate.taken_from else ""
    return f"{gate.model} version {gate.version} was published{by}{why}{wait}"


def _service(endpoint: Endpoint) -> str:
    served = [f"{each.model} version {each.version}" for each in endpoint.variants if each.model]
    return f"The endpoint {endpoint.name} serves {words.join(served) or 'it'} at {endpoint.url}"


def _tally(bars: Sequence[Bar]) -> str:
    good = sum(bar.status in ("SUCCEEDED", "SKIPPED") for bar in bars)
    cached = sum(bar.status == "SKIPPED" for bar in bars)
    return f": {words.count(good, 'task')}" + (f", {cached:,} from the cache" if cached else "") if good else ""
