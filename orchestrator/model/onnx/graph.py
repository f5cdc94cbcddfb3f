"""A graph of ONNX under construction: operators are added in order, constants are shared."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from onnx import ModelProto, NodeProto, TensorProto, ValueInfoProto, helper, numpy_helper

from orchestrator.model.signature import Array

# What onnxruntime, Triton and OpenVINO of the last years read.
OPSETS = {"": 18, "ai.onnx.ml": 3}
IR = 9

ML = "ai.onnx.ml"
TYPES = {
    "float32": TensorProto.FLOAT,
    "float64": TensorProto.DOUBLE,
    "int64": TensorProto.INT64,
    "bool": TensorProto.BOOL,
    "string": TensorProto.STRING,
}


class Graph:
    """Inputs, operators and outputs. Tensors are known by name; ours begin with a slash, as no column should."""

    def __init__(self) -> None:
        self._nodes: list[NodeProto] = []
        self._constants: dict[tuple[str, tuple[int, ...], bytes], TensorProto] = {}
        self._taken: list[TensorProto] = []
        self._inputs: list[ValueInfoProto] = []
        self._outputs: list[ValueInfoProto] = []
        self._count = 0

    def input(self, name: str, kind: str) -> str:
        """A column of a request: `[rows, 1]`."""
        self._inputs.append(helper.make_tensor_value_info(name, TYPES[kind], ["rows", 1]))
        return name

    def output(self, tensor: str, name: str, kind: str, width: int | None = None) -> None:
        """Give a tensor to whoever runs the graph: `[rows]`, or `[rows, width]`."""
        self._nodes.append(helper.make_node("Identity", [tensor], [name]))
        shape: list[Any] = ["rows"] if width is None else ["rows", width]
        self._outputs.append(helper.make_tensor_value_info(name, TYPES[kind], shape))

    def add(self, operator: str, *inputs: str, domain: str = "", **attributes: Any) -> str:
        """An operator of one output; its name."""
        name = self._name()
        self._nodes.append(helper.make_node(operator, list(inputs), [name], domain=domain, **attributes))
        return name

    def cast(self, tensor: str, kind: str) -> str:
        """The tensor in another type."""
        return self.add("Cast", tensor, to=TYPES[kind])

    def constant(self, values: Any, kind: str) -> str:
        """A constant tensor; its name."""
        array = np.array(values, dtype=object if kind == "string" else kind)
        key = (kind, array.shape, repr(array.tolist()).encode() if kind == "string" else array.tobytes())
        if key not in self._constants:
            self._constants[key] = _tensor(self._name(), array, kind)
        return self._constants[key].name

    def include(self, model: ModelProto, matrix: str, wanted: int) -> str:
        """Take a model of one input over, fed with `matrix`; the name of the output `wanted`."""
        from onnx import compose

        prefix = f"{self._name()}/"
        graph = compose.add_prefix(model, prefix).graph
        known = {each.name for each in graph.initializer}
        (fed,) = [each.name for each in graph.input if each.name not in known]
        for node in graph.node:
            for place, name in enumerate(node.input):
                if name == fed:
                    node.input[place] = matrix
        result = str(graph.output[wanted].name)
        nodes = _leading_to(result, graph.node)
        self._nodes.extend(nodes)
        used = {name for node in nodes for name in node.input}
        self._taken.extend(each for each in graph.initializer if each.name in used)
        return result

    @property
    def domains(self) -> tuple[str, ...]:
        """Whose operators are used: ONNX's own, and those for trees and categories, which not every runtime has."""
        return tuple(sorted({each.domain or "ai.onnx" for each in self._nodes}))

    def model(self, *, producer: str) -> ModelProto:
        """The whole, checked."""
        from onnx import checker

        made = helper.make_graph(
            self._nodes, "model", self._inputs, self._outputs, [*self._constants.values(), *self._taken]
        )
        opsets = [helper.make_opsetid(domain, version) for domain, version in OPSETS.items()]
        model = helper.make_model(made, opset_imports=opsets, producer_name=producer, ir_version=IR)
        checker.check_model(model)
        return model

    def _name(self) -> str:
        self._count += 1
        return f"/{self._count}"


def _leading_to(result: str, nodes: Iterable[NodeProto]) -> list[NodeProto]:
    """The operators that a result needs: a converter also writes those of outputs that nobody asks for."""
    needed = {result}
    kept = []
    for node in reversed(list(nodes)):
        if needed.intersection(node.output):
            needed.update(node.input)
            kept.append(node)
    return kept[::-1]


def _tensor(name: str, array: Array, kind: str) -> TensorProto:
    if kind != "string":
        return numpy_helper.from_array(array, name)
    texts: Any = [text.encode() for text in array.reshape(-1).tolist()]
    return helper.make_tensor(name, TensorProto.STRING, array.shape, texts)
