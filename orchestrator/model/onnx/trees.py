"""Trees of scikit-learn as ONNX's operator for them: thresholds and leaves in double precision, missing values too.

A forest compares single-precision features with double-precision thresholds, gradient boosting double with double; so
does this, which is why no row falls to the other side of a split. skl2onnx 1.20 does not know where a forest sends
missing values, and does not end on a split between "missing" and "there".
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from orchestrator.errors import OrchestratorError
from orchestrator.model.onnx.graph import ML, TYPES, Graph

FORESTS = (
    "DecisionTreeClassifier",
    "DecisionTreeRegressor",
    "ExtraTreesClassifier",
    "ExtraTreesRegressor",
    "RandomForestClassifier",
    "RandomForestRegressor",
)
BOOSTINGS = ("HistGradientBoostingClassifier", "HistGradientBoostingRegressor")


@dataclass(frozen=True, slots=True)
class Tree:
    """One tree, a row per branching or leaf; `values` has a column per target, `target` says which when it is one."""

    feature: NDArray[Any]
    threshold: NDArray[np.float64]
    left: NDArray[Any]
    right: NDArray[Any]
    missing_left: NDArray[Any]
    leaf: NDArray[np.bool_]
    values: NDArray[np.float64]
    target: int = 0


def knows(estimator: Any) -> bool:
    """Whether it is made of trees that are written here; subclasses of somebody else's may predict otherwise."""
    kind = type(estimator)
    return kind.__module__.startswith("sklearn.") and kind.__name__ in (*FORESTS, *BOOSTINGS)


def add(graph: Graph, matrix: str, estimator: Any, precision: str) -> str:
    """Probabilities `[rows, classes]`, or values `[rows, 1]`, in double precision."""
    if type(estimator).__name__ in BOOSTINGS:
        return _boosting(graph, matrix, estimator, precision)
    if getattr(estimator, "n_outputs_", 1) != 1:
        raise OrchestratorError("a forest of several targets cannot be written as ONNX")
    trees = [_of_forest(each.tree_) for each in getattr(estimator, "estimators_", [estimator])]
    single = graph.cast(matrix, "float32")
    fed = single if precision == "float32" else graph.cast(single, "float64")
    return _ensemble(graph, fed, trees, trees[0].values.shape[1], precision, mean=True)


def _boosting(graph: Graph, matrix: str, estimator: Any, precision: str) -> str:
    if getattr(estimator, "is_categorical_", None) is not None:
        raise OrchestratorError(
            "gradient boosting with `categorical_features` cannot be written as ONNX",
            hint="encode them in the transform instead",
        )
    trees = [_of_boosting(each.nodes, target) for round_ in estimator._predictors for target, each in enumerate(round_)]
    base = np.asarray(estimator._baseline_prediction, dtype=np.float64).reshape(-1)
    fed = graph.cast(matrix, "float32") if precision == "float32" else matrix
    raw = _ensemble(graph, fed, trees, len(base), precision, base=base)
    link = type(estimator._loss.link).__name__
    if hasattr(estimator, "classes_"):
        if len(base) > 1:
            return graph.add("Softmax", raw, axis=1)
        second = graph.add("Sigmoid", raw)
        return graph.add("Concat", graph.add("Sub", graph.constant(1.0, "float64"), second), second, axis=1)
    if link == "IdentityLink":
        return raw
    if link == "LogLink":
        return graph.add("Exp", raw)
    raise OrchestratorError(f"gradient boosting with the loss {estimator.loss!r} cannot be written as ONNX")


def _of_forest(tree: Any) -> Tree:
    leaf = tree.children_left < 0
    missing = getattr(tree, "missing_go_to_left", np.zeros(tree.node_count))
    return Tree(
        np.where(leaf, 0, tree.feature),
        np.where(leaf, 0.0, tree.threshold),
        tree.children_left,
        tree.children_right,
        missing,
        leaf,
        tree.value[:, 0, :],
    )


def _of_boosting(nodes: Any, target: int) -> Tree:
    leaf = nodes["is_leaf"].astype(bool)
    return Tree(
        nodes["feature_idx"],
        np.where(leaf, 0.0, nodes["num_threshold"]),
        nodes["left"],
        nodes["right"],
        nodes["missing_go_to_left"],
        leaf,
        nodes["value"][:, None],
        target,
    )


def _ensemble(
    graph: Graph,
    matrix: str,
    trees: Sequence[Tree],
    targets: int,
    precision: str,
    *,
    mean: bool = False,
    base: NDArray[np.float64] | None = None,
) -> str:
    """The sum or the mean of what the trees say, per target."""
    sizes = [len(tree.leaf) for tree in trees]
    ids = np.concatenate([np.arange(size) for size in sizes])
    numbers = np.repeat(np.arange(len(trees)), sizes)
    leaf = np.concatenate([tree.leaf for tree in trees])
    thresholds = np.concatenate([tree.threshold for tree in trees])
    attributes: dict[str, Any] = {
        "n_targets": targets if precision == "float32" else 2 * targets,
        "aggregate_function": "SUM",
        "post_transform": "NONE",
        "nodes_treeids": numbers.tolist(),
        "nodes_nodeids": ids.tolist(),
        "nodes_featureids": _all(trees, "feature"),
        "nodes_modes": np.where(leaf, "LEAF", "BRANCH_LEQ").tolist(),
        "nodes_truenodeids": np.where(leaf, 0, np.concatenate([tree.left for tree in trees])).tolist(),
        "nodes_falsenodeids": np.where(leaf, 0, np.concatenate([tree.right for tree in trees])).tolist(),
        "nodes_missing_value_tracks_true": np.where(
            leaf, 0, np.concatenate([tree.missing_left for tree in trees])
        ).tolist(),
        **_leaves(trees, targets, precision),
        **_floats("nodes_values", _rounded(thresholds, precision), precision),
    }
    made = graph.cast(graph.add("TreeEnsembleRegressor", matrix, domain=ML, **attributes), "float64")
    if precision == "float64":
        parts = graph.add("Reshape", made, graph.constant([-1, 2, targets], "int64"))
        made = graph.add("ReduceSum", parts, graph.constant([1], "int64"), keepdims=0)
    if mean and len(trees) > 1:
        made = graph.add("Div", made, graph.constant(float(len(trees)), "float64"))
    return made if base is None else graph.add("Add", made, graph.constant([base.tolist()], "float64"))


def _leaves(trees: Sequence[Tree], targets: int, precision: str) -> dict[str, Any]:
    """The values of the leaves: a class that a leaf never saw is left out, but none leaf altogether.

    The operator adds up in double precision, but gives its sums out in single. So in double precision there are two
    sums per target: a coarse one of numbers so round that single precision holds it, and one of what they lack.
    """
    places, weights = _weights(trees)
    if precision == "float64":
        grain = _grain(trees)
        coarse = np.round(weights / grain) * grain
        fine = weights - coarse
        there = fine != 0
        places = np.concatenate([places, places[:, there] + np.array([[0], [0], [targets]])], axis=1)
        weights = np.concatenate([coarse, fine[there]])
    treeids, nodeids, ids = places
    return {
        "target_treeids": treeids.tolist(),
        "target_nodeids": nodeids.tolist(),
        "target_ids": ids.tolist(),
        **_floats("target_weights", weights, precision),
    }


def _weights(trees: Sequence[Tree]) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Tree, leaf and target of each value, and the values."""
    places: list[NDArray[Any]] = []
    weights = []
    for number, tree in enumerate(trees):
        values = np.where(tree.leaf[:, None], tree.values, 0.0)
        rows, columns = np.nonzero(values)
        empty = np.flatnonzero(tree.leaf & ~values.any(axis=1))
        rows, columns = np.concatenate([rows, empty]), np.concatenate([columns, np.zeros_like(empty)])
        places.append(np.stack([np.full(len(rows), number), rows, columns + tree.target]))
        weights.append(values[rows, columns])
    return np.concatenate(places, axis=1), np.concatenate(weights)


def _grain(trees: Sequence[Tree]) -> float:
    """A power of two of which a single-precision number can hold any sum of leaves, one of each tree."""
    most = sum(float(np.max(np.abs(tree.values[tree.leaf]))) for tree in trees)
    return float(2.0 ** (np.ceil(np.log2(most)) - 23)) if most else 1.0


def _floats(name: str, values: NDArray[np.float64], precision: str) -> dict[str, Any]:
    from onnx import helper

    if precision == "float32":
        return {name: values.astype(np.float32).tolist()}
    return {f"{name}_as_tensor": helper.make_tensor(name, TYPES["float64"], [len(values)], values)}


def _rounded(thresholds: NDArray[np.float64], precision: str) -> NDArray[np.float64]:
    """In single precision the next number below: what is less or equal stays so."""
    if precision == "float64":
        return thresholds
    with np.errstate(over="ignore"):
        single = thresholds.astype(np.float32)
    above = single.astype(np.float64) > thresholds
    return np.where(above, np.nextafter(single, np.float32(-np.inf)), single).astype(np.float64)


def _all(trees: Sequence[Tree], name: str) -> list[Any]:
    made: list[Any] = np.concatenate([getattr(tree, name) for tree in trees]).tolist()
    return made
