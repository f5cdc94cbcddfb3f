"""An estimator as operators of ONNX: trees as we write them, networks by Keras's export, the rest by skl2onnx."""

from __future__ import annotations

import contextlib
import io
import logging
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from orchestrator.errors import OrchestratorError
from orchestrator.model.onnx import trees
from orchestrator.model.onnx.graph import OPSETS, Graph

PRECISIONS = ("float64", "float32")


def add(graph: Graph, matrix: str, estimator: Any, *, flavor: str, precision: str, width: int, classes: bool) -> str:
    """Probabilities `[rows, classes]` or values `[rows]`, in double precision, or whole numbers as they come."""
    if flavor == "keras":
        made = _network(graph, matrix, estimator, width)
    elif trees.knows(estimator):
        made = trees.add(graph, matrix, estimator, precision)
    else:
        made = _converted(graph, matrix, estimator, precision, width=width, classes=classes)
    if classes:
        return made
    return graph.add("Reshape", made, graph.constant([-1], "int64"))


def takes_missing(estimator: Any, flavor: str) -> bool:
    """Whether a missing feature is a value like any other; the rest refuses rows that have one."""
    return flavor == "sklearn" and trees.knows(estimator)


def _converted(graph: Graph, matrix: str, estimator: Any, precision: str, *, width: int, classes: bool) -> str:
    with _installed("skl2onnx", "orchestrator[onnx]"):
        from skl2onnx import to_onnx  # type: ignore[import-untyped]
        from skl2onnx.common.data_types import (  # type: ignore[import-untyped]
            DoubleTensorType,
            FloatTensorType,
        )

    kind = DoubleTensorType if precision == "float64" else FloatTensorType
    options = {id(estimator): {"zipmap": False}} if classes else None
    name = type(estimator).__name__
    try:
        with _silence():
            made = to_onnx(
                estimator, initial_types=[("matrix", kind([None, width]))], options=options, target_opset=dict(OPSETS)
            )
    except Exception as error:  # Whatever a converter does with an estimator that it does not know.
        said = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise OrchestratorError(f"skl2onnx cannot write {name} as ONNX: {said[:200]}") from error
    foreign = sorted({each.domain for each in made.opset_import} - {*OPSETS, "ai.onnx"})
    if foreign:
        raise OrchestratorError(f"{name} becomes operators of {', '.join(foreign)}, which onnxruntime does not have")
    fed = matrix if precision == "float64" else graph.cast(matrix, "float32")
    found = graph.include(made, fed, 1 if classes else 0)
    kinds = {each.name: each.type.tensor_type.elem_type for each in made.graph.output}
    is_whole = not classes and kinds[made.graph.output[0].name] == _INT64
    return found if is_whole else graph.cast(found, "float64")


_INT64 = 7  # onnx.TensorProto.INT64


def _network(graph: Graph, matrix: str, network: Any, width: int) -> str:
    import onnx

    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "network.onnx"
        with _installed("tf2onnx", "tf2onnx"), _silence():
            import tf2onnx  # type: ignore[import-untyped] # noqa: F401  Keras asks for it late, and in other words.

            network(np.zeros((1, width), dtype=np.float32))  # Keras exports only what was called once.
            network.export(file, format="onnx", opset_version=OPSETS[""], verbose=False)
        made = onnx.load(file)
    return graph.cast(graph.include(made, graph.cast(matrix, "float32"), 0), "float64")


@contextlib.contextmanager
def _installed(package: str, wanted: str) -> Iterator[None]:
    try:
        yield
    except ModuleNotFoundError as error:
        hint = f"pip install '{wanted}'"
        raise OrchestratorError(f"this needs {package}: {error.name!r} is not installed", hint=hint) from error


@contextlib.contextmanager
def _silence() -> Iterator[None]:
    """Converters tell what they do, on stdout and in warnings; what matters comes out of the comparison."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
