"""What an endpoint promises, and what is kept of its requests, in a few lines."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape

from orchestrator.serving import counts
from orchestrator.serving.capture.captures import Standing
from orchestrator.serving.counts import Endpoint
from orchestrator.serving.declarations import Declaration
from orchestrator.stores import objects

_MODES = {
    "serverless": "its models are unloaded when nobody asked for {idle}, and loaded by the next request",
    "async": "requests are queued, and their answers written to {output}",
    "batch": "whole files are predicted by orc batch",
}
_WRONG = {
    "access": "not let in",
    "body_timeout": "with a body that did not come",
    "input": "with bad input",
    "model": "failed in the model",
    "overloaded": "turned away in a crowd",
    "timeout": "too slow",
    "too_large": "too large",
    "unavailable": "while not ready",
    "unknown": "for what is not served",
}


def listed(declaration: Declaration, counted: Endpoint, capture: Standing | None) -> str:
    """What its declaration says, with what became of it."""
    rows = "".join(f"<dt>{name}</dt><dd>{text}</dd>" for name, text in _facts(declaration, counted, capture))
    return f"<section><h3>How it answers</h3><dl>{rows}</dl></section>"


def _facts(declaration: Declaration, counted: Endpoint, capture: Standing | None) -> Iterator[tuple[str, str]]:
    spec = declaration.spec
    if spec.mode in _MODES:
        output = objects.shown(spec.asynchronous.output) if spec.asynchronous else ""
        yield "Mode", escape(f"{spec.mode}: " + _MODES[spec.mode].format(idle=spec.scaling.idle, output=output))
    limits = spec.limits
    yield (
        "Limits",
        f"a body of {escape(limits.body)}, {escape(limits.timeout)} for an answer, {limits.concurrency:,} at once",
    )
    if counted.queued or spec.mode == "async":
        yield "Queue", f"{counted.queued:,} waiting"
    if spec.routing is not None:
        yield "Routing", f"requests with the same <code>{escape(spec.routing.key)}</code> go to the same variant"
    if spec.batching is not None:
        yield (
            "Batching",
            f"requests within {escape(spec.batching.delay)} are one call, of {spec.batching.rows:,} rows at most",
        )
    if spec.capture is not None:
        yield "Capture", _capture(spec.capture.sample, spec.capture.to, counted, capture)
    if spec.rollout.strategy != "all_at_once":
        alarms = ", ".join(escape(alarm.label) for alarm in spec.rollout.alarms)
        strategy = spec.rollout.strategy
        yield "Rollout", f"{strategy} by {spec.rollout.size} %, {escape(spec.rollout.bake)} each, watching {alarms}"
    if counted.errors:
        yield "Errors", counts.said({_WRONG.get(kind, kind): count for kind, count in counted.errors.items()})
    if declaration.run:
        yield "Deployed", f"by run {escape(declaration.run)}"


def _capture(sample: float, to: str, counted: Endpoint, standing: Standing | None) -> str:
    kept = f"{counted.captured:,} of {counted.requests:,} requests"
    dropped = counts.said(counted.capture_dropped)
    said = f"{sample:g} % to <code>{escape(objects.shown(to))}</code>; kept {kept}" + (
        f", dropped: {dropped}" if dropped else ""
    )
    if standing is not None and standing.stopped:
        said += f"<br><strong class='bad'>Stopped: {escape(standing.stopped)}</strong>"
    return said
