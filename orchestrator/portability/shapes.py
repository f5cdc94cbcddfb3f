"""Loops, conditions, importers and executors: how tasks are put together."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator

from orchestrator import ir
from orchestrator.ir.spec import Component
from orchestrator.portability.subject import Found, Subject, Use

Find = Callable[[Subject], Iterator[Found]]
_LITERAL = re.compile(r"'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\"")
_INDEXED = re.compile(r"inputs\.artifacts\[[^\]]*\]\s*\[")
# An Argo workflow of a pipeline is so much larger than its IR: the median of KFP's own examples.
RATIO = 3.6
LIMIT = 1.5 * 2**20
PAYLOAD = 10_000
NAME, LABEL = 128, 63
_REPORT = "components.report"


def artifact_iterator(subject: Subject) -> Iterator[Found]:
    """A loop over a list of artifacts."""
    for use in subject.uses:
        if use.task.artifact_iterator:
            yield Found(use.at("artifactIterator"), use, "foreach")


def importer_condition(subject: Subject) -> Iterator[Found]:
    """An importer with a condition of its own."""
    for use in subject.uses:
        policy = use.task.trigger_policy
        if use.executor and use.executor.importer and policy and policy.condition:
            yield Found(use.at("triggerPolicy", "condition"), use, "when")


def root_artifacts(subject: Subject) -> Iterator[Found]:
    """An artifact that the pipeline itself takes."""
    for name in subject.pipeline.root.input_definitions.artifacts:
        yield Found(("root", "inputDefinitions", "artifacts", name), detail=name)


def executor(name: str) -> Find:
    """Finds executors of a kind that only Vertex AI has."""

    def find(subject: Subject) -> Iterator[Found]:
        for use in subject.uses:
            if use.executor and getattr(use.executor, name) is not None:
                yield Found(use.inside(), use, "component")

    return find


def nested_collected(subject: Subject) -> Iterator[Found]:
    """A loop that gives what a loop inside it gives."""
    for use in subject.uses:
        if not use.task.parameter_iterator or use.component.dag is None or use.component.dag.outputs is None:
            continue
        for parameter in use.component.dag.outputs.parameters.values():
            one = parameter.value_from_parameter
            if one and _comes_from_loop(subject, use.component, one.producer_subtask, one.output_parameter_key):
                yield Found(use.at("parameterIterator"), use, "foreach")
                break


def broken_condition(subject: Subject) -> Iterator[Found]:
    """A condition whose quotes do not pair, as text with an apostrophe in it leaves it."""
    for use, condition in _conditions(subject):
        bare = _LITERAL.sub("\0", condition)
        if "'" in bare or '"' in bare or re.search(r"\0\w|\0\0|\w\0", bare):
            yield Found(use.at("triggerPolicy", "condition"), use, "when", condition)


def indexed_condition(subject: Subject) -> Iterator[Found]:
    """A condition that picks an artifact by its number."""
    for use, condition in _conditions(subject):
        if _INDEXED.search(condition):
            yield Found(use.at("triggerPolicy", "condition"), use, "when", condition)


def final_status(subject: Subject) -> Iterator[Found]:
    """An input that is told how something ended; our own report knows both words, and does without the error."""
    for use in subject.uses:
        if _REPORT in use.words:
            continue
        for name, parameter in use.task.inputs.parameters.items():
            if parameter.task_final_status and use.component.dag is None:
                yield Found(use.at("inputs", "parameters", name), use, "arguments", name)


def cache_key(subject: Subject) -> Iterator[Found]:
    """A cache key chosen by the author."""
    for use in subject.uses:
        if use.task.caching_options and use.task.caching_options.cache_key:
            yield Found(use.at("cachingOptions", "cacheKey"), use, "cache")


def literals(subject: Subject) -> Iterator[Found]:
    """A parameter of the pipeline with a list of values it may have."""
    for name, declared in subject.pipeline.root.input_definitions.parameters.items():
        if declared.literals:
            yield Found(("root", "inputDefinitions", "parameters", name, "literals"), detail=name)


def payload(subject: Subject) -> Iterator[Found]:
    """Defaults so large that a server refuses to be given as much."""
    declared = subject.pipeline.root.input_definitions.parameters
    defaults = {name: each.default_value for name, each in declared.items() if each.default_value is not None}
    size = len(json.dumps(defaults).encode())
    if size > PAYLOAD:
        yield Found(("root", "inputDefinitions", "parameters"), detail=f"{size:,}")


def large(subject: Subject) -> Iterator[Found]:
    """A pipeline whose workflow does not fit where Kubernetes keeps it."""
    size = len(ir.dump(subject.pipeline, subject.platform).encode()) * RATIO
    if size > LIMIT:
        yield Found(("root",), detail=f"{size / 2**20:.1f}")


def long_names(subject: Subject) -> Iterator[Found]:
    """Names longer than the server or Argo takes."""
    name = subject.pipeline.pipeline_info.name
    if len(name) > NAME:
        yield Found(("pipelineInfo", "name"), detail=f"the pipeline's name has {len(name)} letters")
    for use in subject.uses:
        for each in {use.pointer[-1], use.task.component_ref.name}:
            if len(str(each)) > NAME:
                yield Found(use.at(), use, detail=f"{str(each)[:40]}... has {len(str(each))} letters")


def long_labels(subject: Subject) -> Iterator[Found]:
    """Labels longer than Kubernetes takes."""
    for use in subject.uses:
        labels = use.kubernetes.pod_metadata.labels if use.kubernetes.pod_metadata else {}
        for name, value in labels.items():
            if len(value) > LABEL or len(name.rpartition("/")[2]) > LABEL:
                yield Found(use.beside("podMetadata", "labels", name), use, "labels", name)


def _conditions(subject: Subject) -> Iterator[tuple[Use, str]]:
    for use in subject.uses:
        if use.task.trigger_policy and use.task.trigger_policy.condition:
            yield use, use.task.trigger_policy.condition


def _comes_from_loop(subject: Subject, component: Component, key: str, output: str) -> bool:
    """Whether an output of a DAG is made by a loop inside, however many groups are around that."""
    task = component.dag.tasks.get(key) if component.dag else None
    inner = subject.pipeline.components.get(task.component_ref.name) if task else None
    if task is None or inner is None:
        return False
    if task.parameter_iterator or task.artifact_iterator:
        return True
    if inner.dag is None or inner.dag.outputs is None or output not in inner.dag.outputs.parameters:
        return False
    one = inner.dag.outputs.parameters[output].value_from_parameter
    return one is not None and _comes_from_loop(subject, inner, one.producer_subtask, one.output_parameter_key)
