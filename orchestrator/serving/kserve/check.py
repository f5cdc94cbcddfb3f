"""What an endpoint file asks for that a cluster cannot give, told with its place before anything is applied."""

from __future__ import annotations

import re
from collections.abc import Iterator

from orchestrator.errors import PipelineError, Problem
from orchestrator.serving.endpoint import Endpoint
from orchestrator.serving.kserve.objects import OURS
from orchestrator.source import Source

# KServe labels pods `app: isvc.NAME-predictor`, and a label's value has at most 63 characters.
LONGEST_NAME = 63 - len("isvc.") - len("-predictor")
_LABEL = re.compile(r"([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?")
_KEY = re.compile(r"([a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?")
_OF_KSERVE = ("app", "component")


def check(document: Source, spec: Endpoint) -> None:
    """Raises PipelineError with every problem that KServe or the API server would tell one at a time, or never."""
    if problems := [*_problems(document, spec)]:
        raise PipelineError(problems)


def _problems(document: Source, spec: Endpoint) -> Iterator[Problem]:
    name = spec.metadata.name
    if len(name) > LONGEST_NAME:
        at = document.at("metadata", "name")
        message = f"the name {name!r} has {len(name)} characters; an endpoint on a cluster has at most {LONGEST_NAME}"
        yield Problem(at, message, "KServe adds 'isvc.' and '-predictor', and 63 is the most that Kubernetes takes")
    if spec.scaling.min == 0:
        message = "no replica at all: KServe keeps at least one in its mode Standard, and nothing would hold requests"
        yield Problem(document.at("scaling", "min"), message, "write min: 1")
    yield from _labels(document, spec)
    for key, value in spec.placement.node_selector.items():
        if not _KEY.fullmatch(key) or not _LABEL.fullmatch(value):
            at = document.at("placement", "nodeSelector", key, key=True)
            yield Problem(at, f"no node can have the label {key}: {value}", _hint())


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
