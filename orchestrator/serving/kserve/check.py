"""What an endpoint file asks for that a cluster cannot give, told with its place before anything is applied."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from orchestrator.errors import OrchestratorError, PipelineError, Problem
from orchestrator.ir import placement
from orchestrator.model import folder, manifest, transform
from orchestrator.model.onnx import form
from orchestrator.serving.declarations import Declaration
from orchestrator.serving.endpoint import Endpoint
from orchestrator.serving.kserve import canary, scaling, servers
from orchestrator.serving.kserve.manifests import Split
from orchestrator.serving.kserve.objects import OURS, Place
from orchestrator.source import Source

# KServe labels pods `app: isvc.NAME-predictor`, and a label's value has at most 63 characters.
LONGEST_NAME = 63 - len("isvc.") - len("-predictor")
_LABEL = re.compile(r"([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?")
_KEY = re.compile(r"([a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?")
_OF_KSERVE = ("app", "component")


def check(document: Source, spec: Endpoint, place: Place | None = None, *, by: Split = "server") -> None:
    """Raises PipelineError with every problem that KServe or the API server would tell one at a time, or never."""
    place = place or Place("")
    problems = [*_names(document, spec, by), *_modes(document, spec), *scaling.problems(document, spec)]
    problems += [*_devices(document, spec), *_labels(document, spec), *_shared(document, spec, place, by)]
    if problems:
        raise PipelineError(problems)


def check_models(declaration: Declaration, place: Place) -> None:
    """Raises OrchestratorError where a server that is not ours could not serve these very versions as ours would."""
    if place.server.is_ours:
        return
    for variant in declaration.variants:
        path = Path(variant.path)
        done = _operations(path / folder.TRANSFORM)
        found = servers.problems(place.server, variant, manifest.read(path), done=done)
        for message, hint in (*found, *_before(place, path)):
            raise OrchestratorError(message, hint=hint)


def _before(place: Place, path: Path) -> Iterator[tuple[str, str]]:
    """An ONNX form may leave the first operations on columns to whoever calls it: our server does them."""
    if place.server.format[0] != "onnx" or not (path / form.NAME).is_file():
        return
    wiring = form.read(path).wiring
    if place.server.name == "openvino" and "ai.onnx.ml" in wiring.domains:
        message = f"the ONNX form in {path} has trees, categories or linear models of ai.onnx.ml, which OpenVINO lacks"
        yield message, "take --server triton, or leave --server out"
    if done := [each.column for each in wiring.before]:
        message = (
            f"the ONNX form in {path} wants {', '.join(done)} made ready first, which {place.server.name} does not"
        )
        yield message, "leave --server out: our server does it"


def _operations(file: Path) -> tuple[str, ...]:
    """What a transform does to columns before the model sees them, by name; nothing where there is none."""
    if not file.is_file():
        return ()
    found = transform.read(file)
    is_same = found.features == tuple(column.name for column in found.inputs)
    names = dict.fromkeys(type(each).__name__.lower() for each in found.operations)
    return tuple(names) if names or is_same else ("select",)


def _names(document: Source, spec: Endpoint, by: Split) -> Iterator[Problem]:
    name, longest = spec.metadata.name, LONGEST_NAME
    at, added = document.at("metadata", "name"), "'isvc.' and '-predictor'"
    if by != "server" and len(spec.variants) > 1:
        longest -= 1 + max(len(variant.name) for variant in spec.variants)
        added = f"{added}, and each of its own replicas the variant's name"
    elif spec.rollout.strategy != "all_at_once":
        longest -= 1 + len(canary.NAME)
        added = f"{added}, and '-{canary.NAME}' while a new version takes over"
    if len(name) > longest:
        message = f"the name {name!r} has {len(name)} characters; an endpoint on a cluster has at most {longest}"
        yield Problem(at, message, f"KServe adds {added}, and 63 is the most that Kubernetes takes")


def _modes(document: Source, spec: Endpoint) -> Iterator[Problem]:
    if spec.mode == "batch":
        message = "mode batch has no server that a cluster could run"
        yield Problem(
            document.at("mode"), message, "`orc batch` and the component batch_predict predict for whole files"
        )
    kept = [("capture", "to", spec.capture.to)] if spec.capture else []
    if spec.asynchronous:
        kept += [("async", key, getattr(spec.asynchronous, key)) for key in ("output", "failure")]
    for section, key, uri in kept:
        if (uri and "://" not in uri) or uri.startswith("file:"):
            message = f"{uri!r} is a folder inside a pod, and is gone with it"
            yield Problem(document.at(section, key), message, "write a URI, such as s3://bucket/folder")
    if spec.asynchronous and spec.asynchronous.notify.secret:
        message = "the secret that signs notifications is a file, and no pod has it"
        yield Problem(document.at("async", "notify", "secret"), message, "leave it out on a cluster")
    if scaling.is_knative(spec) and spec.rollout.strategy != "all_at_once":
        message = "KServe has no canaries on Knative"
        yield Problem(document.at("rollout", "strategy"), message, "write strategy: all_at_once, or by: hpa")


def _devices(document: Source, spec: Endpoint) -> Iterator[Problem]:
    device = spec.resources.accelerator
    if device is not None and device.product and not placement.product_label(device.type):
        at = document.at("resources", "accelerator", "product")
        message = f"how nodes tell the product of {device.type} is not known"
        yield Problem(at, message, "leave product out, and name the label under placement.nodeSelector")
    for key, value in spec.placement.node_selector.items():
        if not _KEY.fullmatch(key) or not _LABEL.fullmatch(value):
            at = document.at("placement", "nodeSelector", key, key=True)
            yield Problem(at, f"no node can have the label {key}: {value}", _hint())


def check_watched(spec: Endpoint, place: Place) -> None:
    """Raises OrchestratorError where a ServiceMonitor would find nothing."""
    if not place.server.is_ours or scaling.is_knative(spec):
        hint = "leave --monitor out; KServe's own annotation is serving.kserve.io/enable-prometheus-scraping"
        message = "a ServiceMonitor finds our server alone, and not on Knative, whose Services are others"
        raise OrchestratorError(message, hint=hint)


def _shared(document: Source, spec: Endpoint, place: Place, by: Split) -> Iterator[Problem]:
    """What only our server does with requests, when somebody else is asked to share them out or to answer them."""
    several = len(spec.variants) > 1
    who = "" if by == "server" or not several else "a gateway" if by == "canary" else "KServe's router"
    if who and spec.mode == "async":
        message = "its queue is on one disk, for replicas that have every variant"
        yield Problem(document.at("mode"), message, "leave --split out")
    if not place.server.is_ours:
        who = f"the server {place.server.name}"
        yield from _served_by(who, document, spec, place, by)
    if not who:
        return
    for section, value in (("routing", spec.routing), ("capture", spec.capture), ("batching", spec.batching)):
        if value is not None and (section == "routing" or not place.server.is_ours):
            message = f"{who} does nothing of what {section!r} asks for"
            yield Problem(document.at(section, key=True), message, "leave it out, or let our server do it")
    for number, variant in enumerate(spec.variants):
        if variant.shadow is not None:
            message = f"{who} sends each request to one variant, and none to a shadow"
            yield Problem(document.at("variants", number, "shadow"), message, "leave it out, or let our server do it")
    if by != "server" and several and scaling.is_knative(spec):
        router = "KServe's router may not reach Knative's gateway here"
        message = "KServe has no canaries on Knative" if by == "canary" else router
        yield Problem(document.at("variants"), message, "leave --split out")


def _served_by(who: str, document: Source, spec: Endpoint, place: Place, by: Split) -> Iterator[Problem]:
    """What another server than ours cannot be asked for."""
    if len(spec.variants) > 1 and by == "server":
        message = f"{who} has one model, and the endpoint {len(spec.variants)} variants"
        yield Problem(document.at("variants"), message, "add --split canary")
    if len(spec.variants) > 1 and by == "graph":
        message = f"KServe's router asks by V1 and the endpoint's name, and {who} does not answer to both"
        yield Problem(document.at("variants"), message, "take --split canary")
    if scaling.scaler(spec) == "keda" and scaling.metric(spec) in ("concurrency", "rps"):
        yield Problem(document.at("scaling"), f"{who} does not count requests as ours does", "write metric: cpu")
    if spec.mode == "async":
        yield Problem(document.at("mode"), f"{who} has no queue", "leave --server out")
    if not place.storage:
        yield Problem(document.at("variants"), f"where {who} finds its models is not said", "add --storage URI")


def _labels(document: Source, spec: Endpoint) -> Iterator[Problem]:
    for key, value in spec.metadata.labels.items():
        if not _KEY.fullmatch(key):
            yield Problem(document.at("metadata", "labels", key, key=True), f"{key!r} cannot be a label", _hint())
        elif key in OURS or key in _OF_KSERVE or "kserve.io/" in key:
            message = f"the label {key!r} is not for files to give: it tells whose an object is"
            yield Problem(document.at("metadata", "labels", key, key=True), message, "give it another name")
        if not _LABEL.fullmatch(value):
            at = document.at("metadata", "labels", key)
            yield Problem(at, f"{value!r} cannot be the value of a label on a cluster", _hint())


def _hint() -> str:
    return "letters, digits, '-', '_' and '.', at most 63, beginning and ending with a letter or a digit"
