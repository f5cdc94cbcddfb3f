"""A loaded model as one graph: columns of a request in, predictions and probabilities out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from orchestrator.errors import OrchestratorError
from orchestrator.model.onnx import estimator, features, placing
from orchestrator.model.onnx.form import Tensor, Wiring
from orchestrator.model.onnx.graph import Graph

if TYPE_CHECKING:
    from orchestrator.model.folder import Model

REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Converted:
    """The graph as bytes, and what goes in and comes out of it."""

    content: bytes
    wiring: Wiring


def convert(model: Model, *, precision: str = "float64") -> Converted:
    """The model as ONNX. Raises OrchestratorError when it has something that ONNX cannot express."""
    if precision not in estimator.PRECISIONS:
        raise OrchestratorError(f"there is no precision {precision!r}", hint=" or ".join(estimator.PRECISIONS))
    manifest = model.manifest
    if manifest.flavor not in ("sklearn", "keras"):
        raise OrchestratorError(f"a model of flavor {manifest.flavor!r} cannot be written as ONNX")
    split = placing.split(model.transform)
    graph = Graph()
    made = features.build(graph, split, model.transform.features)
    is_class = manifest.classes is not None
    result = estimator.add(
        graph,
        made.matrix,
        model.estimator,
        flavor=manifest.flavor,
        precision=precision,
        width=len(model.transform.features),
        classes=is_class,
    )
    names = _Names({name for name, _ in split.tensors})
    outputs = [column.name for column in manifest.signature.outputs]
    prediction = names.free(outputs[0] if outputs else "prediction")
    probabilities = names.free(outputs[1] if len(outputs) > 1 else "probabilities") if is_class else ""
    if manifest.classes is not None:
        _classes(graph, result, list(manifest.classes), prediction, probabilities)
    else:
        graph.output(result, prediction, "int64" if manifest.problem == "clustering" else "float64")
    refused = _refusals(graph, made, takes_missing=estimator.takes_missing(model.estimator, manifest.flavor))
    if refused:
        graph.output(refused, names.free(REFUSED), "bool", None)
    wiring = Wiring(
        tensors=tuple(Tensor(name, kind) for name, kind in split.tensors),
        before=split.before,
        prediction=prediction,
        probabilities=probabilities,
        refused=names.last if refused else "",
        precision="float32" if manifest.flavor == "keras" else precision,
        domains=graph.domains,
    )
    content: bytes = graph.model(producer="orchestrator").SerializeToString(deterministic=True)
    return Converted(content, wiring)


def _classes(graph: Graph, result: str, classes: list[str | bool | int], prediction: str, probabilities: str) -> None:
    kind = {str: "string", bool: "bool", int: "int64"}[type(classes[0])]
    first = graph.add("ArgMax", result, axis=1, keepdims=0)
    graph.output(graph.add("Gather", graph.constant(classes, kind), first), prediction, kind)
    graph.output(result, probabilities, "float64", len(classes))


def _refusals(graph: Graph, made: features.Features, *, takes_missing: bool) -> str:
    """Per row whether the model must not answer: a value it does not know, or none where it needs one; "" if never."""
    flags = list(made.unknown)
    if not takes_missing:
        gaps = graph.cast(graph.add("IsNaN", made.matrix), "float32")
        most = graph.add("ReduceMax", gaps, graph.constant([1], "int64"), keepdims=1)
        flags.append(graph.cast(most, "bool"))
    if not flags:
        return ""
    joined = flags[0]
    for flag in flags[1:]:
        joined = graph.add("Or", joined, flag)
    return graph.add("Reshape", joined, graph.constant([-1], "int64"))


class _Names:
    """Names of outputs that no input has."""

    def __init__(self, taken: set[str]) -> None:
        self._taken = taken
        self.last = ""

    def free(self, wanted: str) -> str:
        while wanted in self._taken:
            wanted += "_"
        self._taken.add(wanted)
        self.last = wanted
        return wanted
