"""What in an endpoint file does not go with what is asked of it, or with a platform it may have to run on."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from orchestrator.serving import quantity
from orchestrator.serving.advisor import modes, words
from orchestrator.serving.advisor.needs import Needs
from orchestrator.serving.endpoint import Endpoint, Mode

Profile = Literal["orchestrator", "sagemaker"]
Severity = Literal["fails", "advice"]
_STEADY = 0.99
_INLINE = 128_000
_MIB = 1 << 20
_SERVERLESS_MEMORY = tuple(number * 1024 * _MIB for number in range(1, 7))


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing to mend or to think of: where it is written, what it is, what to do."""

    severity: Severity
    path: tuple[str, ...]
    message: str
    do: str


def findings(spec: Endpoint, needs: Needs, profile: Profile = "orchestrator") -> tuple[Finding, ...]:
    """Everything that speaks against the file as it is written."""
    found = modes.fits(spec, needs)
    mode = modes.best(found, spec, needs)
    is_possible = any(each.mode == spec.mode and each.fits for each in found)
    return (
        *_of_mode(spec, found, mode),
        *_written(spec),
        *(_queued(spec, needs) if spec.mode == "async" else _answered(spec, needs)),
        *(_traffic(spec, needs, mode) if is_possible else ()),
        *(_on_sagemaker(spec, needs) if profile == "sagemaker" else ()),
    )


def _of_mode(spec: Endpoint, found: tuple[modes.Fit, ...], mode: Mode | None) -> Iterator[Finding]:
    own = next(each for each in found if each.mode == spec.mode)
    do = f"write mode: {mode}" if mode and mode != spec.mode else "ask less of it: no mode fits"
    for reason in own.against:
        yield Finding("fails", ("mode",), f"mode {spec.mode} does not fit: {reason}", do)


def _written(spec: Endpoint) -> Iterator[Finding]:
    """What the file allows beyond the bounds of its mode."""
    limits = modes.LIMITS[spec.mode]
    mode = f"mode {spec.mode}"
    if spec.mode in ("realtime", "serverless"):
        body, seconds = spec.limits.body_bytes, spec.limits.timeout_seconds
        if "body" in spec.limits.model_fields_set and limits.payload is not None and body > limits.payload:
            message = f"{mode} takes bodies up to {words.size(limits.payload)}, and {spec.limits.body} are allowed"
            yield Finding("fails", ("limits", "body"), message, "send what is larger by mode async, as a URI")
        if limits.seconds is not None and seconds > limits.seconds:
            message = f"{mode} answers within {words.time(limits.seconds)}, and {spec.limits.timeout} are allowed"
            yield Finding("fails", ("limits", "timeout"), message, "what takes longer goes by mode async")
    if spec.asynchronous is not None:
        if spec.asynchronous.body_bytes > (limits.payload or 0):
            message = f"{mode} takes requests up to {words.size(limits.payload or 0)}"
            yield Finding("fails", ("async", "body"), message, "split what is larger, or predict by mode batch")
        if spec.asynchronous.timeout_seconds > (limits.seconds or 0):
            message = f"{mode} gives a request at most {words.time(limits.seconds or 0)}"
            yield Finding("fails", ("async", "timeout"), message, "what takes longer goes by mode batch")
    if not limits.idles and spec.scaling.min == 0:
        message = f"{mode} never has no replica: nothing would hold the requests meanwhile"
        yield Finding("fails", ("scaling", "min"), message, "write min: 1, or mode: serverless")


def _answered(spec: Endpoint, needs: Needs) -> Iterator[Finding]:
    """What the limits of the file would refuse, of requests that somebody waits for."""
    if spec.mode == "batch":
        return
    limits, bounds = spec.limits, modes.LIMITS[spec.mode]
    if needs.payload is not None and limits.body_bytes < needs.payload <= (bounds.payload or 0):
        message = f"requests of {words.size(needs.payload)} would be refused (413): bodies have up to {limits.body}"
        yield Finding("fails", ("limits", "body"), message, f"write body: {math.ceil(needs.payload / 1024)}Ki")
    if needs.duration is not None and limits.timeout_seconds <= needs.duration < (bounds.seconds or 0):
        message = f"requests of {words.time(needs.duration)} would be given up (504) after {limits.timeout}"
        yield Finding("fails", ("limits", "timeout"), message, "allow more than the longest request takes")
    most = limits.concurrency * spec.scaling.max
    if needs.concurrency is not None and needs.concurrency > most:
        message = f"of {needs.concurrency} requests at once all but {most} would be refused (503)"
        yield Finding("fails", ("limits", "concurrency"), message, "raise it, or scaling.max")


def _queued(spec: Endpoint, needs: Needs) -> Iterator[Finding]:
    asked = spec.asynchronous
    if asked is None:
        return
    bounds = modes.LIMITS["async"]
    if needs.payload is not None and asked.body_bytes < needs.payload <= (bounds.payload or 0):
        message = f"requests of {words.size(needs.payload)} would be refused (413): they have up to {asked.body}"
        yield Finding("fails", ("async", "body"), message, f"write body: {math.ceil(needs.payload / 1024)}Ki")
    if needs.payload is not None and needs.payload > _INLINE and not asked.inputs:
        message = f"requests of {words.size(needs.payload)} are sent as bodies, and again when a connection breaks"
        do = "let them name a file instead: inputs: [PREFIX OF THEIR URIS]"
        yield Finding("advice", ("async",), message, do)
    if needs.duration is not None and asked.timeout_seconds <= needs.duration < (bounds.seconds or 0):
        message = f"requests of {words.time(needs.duration)} would be given up: each has {asked.timeout}"
        longest = min(needs.duration * 2, bounds.seconds or 0)
        yield Finding("fails", ("async", "timeout"), message, f"write timeout: {words.time(longest)}")
    workers = asked.workers * spec.scaling.max
    if needs.workers is not None and needs.workers > workers:
        message = (
            f"{needs.workers} requests are in progress at once, on {words.count(workers, 'worker')}: the queue grows"
        )
        yield Finding("fails", ("async", "workers"), message, f"write workers: {needs.workers}, or raise scaling.max")


def _traffic(spec: Endpoint, needs: Needs, mode: Mode | None) -> Iterator[Finding]:
    """Whether replicas are there when they are asked, and not when they are not."""
    share = needs.loaded_share(spec.scaling.idle_seconds)
    if share is None:
        return
    if spec.mode == "realtime" and mode == "serverless":
        message = f"with so few requests a model that unloads would be loaded {words.percent(share)} of the time"
        yield Finding("advice", ("mode",), message, "write mode: serverless, if the first request may wait for it")
    if spec.mode == "serverless" and share > _STEADY:
        message = f"there is hardly ever a pause of {spec.scaling.idle}: the model would not be unloaded"
        yield Finding("advice", ("mode",), message, "write mode: realtime, which never lets a request wait for it")
    if spec.mode == "realtime" and share > _STEADY:
        if spec.scaling.min < 2:
            message = "requests come all the time, and when the only replica is moved or ends nobody answers them"
            yield Finding("advice", ("scaling", "min"), message, "write min: 2")
        if spec.scaling.max <= spec.scaling.min:
            message = f"there are never more than {words.count(spec.scaling.max, 'replica')}, however much is asked"
            yield Finding("advice", ("scaling", "max"), message, "write a max above min, and a target")
        if needs.workers is not None and needs.workers > spec.scaling.max:
            most = words.count(spec.scaling.max, "replica")
            message = f"{needs.workers} requests are in progress at once, on at most {most}"
            do = f"write max: {needs.workers}, unless a replica answers several at once"
            yield Finding("advice", ("scaling", "max"), message, do)


def _on_sagemaker(spec: Endpoint, needs: Needs) -> Iterator[Finding]:
    """What SageMaker would refuse."""
    if spec.mode == "serverless":
        yield from _serverless_on_sagemaker(spec, needs)
    if spec.asynchronous is not None:
        yield from _async_on_sagemaker(spec, needs)
    if spec.rollout.strategy == "linear" and spec.rollout.size < 10:
        message = f"a linear rollout goes by 10 to 50 %, not {spec.rollout.size}"
        yield Finding("fails", ("rollout", "size"), message, "write size: 10")
    if spec.rollout.bake_seconds > 3600:
        yield Finding("fails", ("rollout", "bake"), "a bake takes at most an hour", "write bake: 1h")


def _serverless_on_sagemaker(spec: Endpoint, needs: Needs) -> Iterator[Finding]:
    memory = spec.resources.memory
    sizes = ", ".join(str(each // _MIB) for each in _SERVERLESS_MEMORY)
    if memory is None or quantity.size(memory) not in _SERVERLESS_MEMORY:
        said = f"{memory} is none of them" if memory else "none is written"
        message = f"serverless memory is one of {sizes} MiB, and {said}"
        yield Finding("fails", ("resources", "memory"), message, f"write memory: {_rounded(memory)}")
    if (most := max(spec.limits.concurrency, needs.concurrency or 0)) > 200:
        message = f"a serverless endpoint answers at most 200 requests at once, not {most}"
        yield Finding("fails", ("limits", "concurrency"), message, "write 200 or less, or mode: realtime")
    for section in ("capture", "routing"):
        if getattr(spec, section) is not None:
            message = f"a serverless endpoint has no {section}"
            yield Finding("fails", (section,), message, "leave it out, or write mode: realtime")


def _async_on_sagemaker(spec: Endpoint, needs: Needs) -> Iterator[Finding]:
    asked = spec.asynchronous
    if asked is None:
        return
    if not 60 <= asked.ttl_seconds <= 21_600:
        yield Finding("fails", ("async", "ttl"), "a request waits between 60s and 6h", "write ttl: 6h")
    if needs.payload is not None and needs.payload > _INLINE and not asked.inputs:
        message = f"a body has at most {_INLINE:,} bytes, and what is larger is a URI"
        yield Finding("fails", ("async",), message, "add inputs: [PREFIX OF THE URIS]")


def _rounded(memory: str | None) -> str:
    """The smallest size that holds as much, or the largest there is."""
    wanted = quantity.size(memory) if memory else 0
    return f"{next((each for each in _SERVERLESS_MEMORY if each >= wanted), _SERVERLESS_MEMORY[-1]) // _MIB}Mi"
