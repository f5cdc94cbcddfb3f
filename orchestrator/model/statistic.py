"""The statistics of one column that a step needs, as the operations it becomes."""

from __future__ import annotations

from collections import Counter

import numpy as np

from orchestrator.errors import OrchestratorError
from orchestrator.model import operation, signature, steps
from orchestrator.model.operation import Operation, Value
from orchestrator.model.signature import Array

# More columns than this for one column of text is a mistake (an identifier), not an encoding.
MAX_ONE_HOT = 1000


class UnfitError(OrchestratorError):
    """A step that this column cannot have."""


def fitted(step: steps.Step, name: str, kind: str, values: Array) -> list[Operation]:
    """The operations for one column of one step; `UnfitError` where the step does not go with the column."""
    match step:
        case steps.Impute():
            return [_impute(step, name, kind, values)]
        case steps.Indicator():
            return [operation.Indicator(name)]
        case steps.Encode():
            return [_encode(step, name, kind, values)]
        case steps.Scale():
            return [_scale(step, name, _numbers("scale", name, kind, values))]
        case steps.Clip():
            return [_clip(step, name, _numbers("clip", name, kind, values))]
        case steps.Drop():
            return [operation.Drop(name)]
        case steps.Cast():
            return _cast(step.type, name, kind)
        case steps.Datetime():
            if kind not in ("timestamp", "string"):
                raise UnfitError(f"column {name!r} is {kind}, not a timestamp", hint="cast it to timestamp first")
            cast: list[Operation] = [operation.Cast(name, kind, "timestamp")] if kind == "string" else []
            return [*cast, operation.Datetime(name, tuple(step.parts), step.keep)]
    raise AssertionError(step)


def _impute(step: steps.Impute, name: str, kind: str, values: Array) -> Operation:
    if kind == "timestamp":
        raise UnfitError(
            f"column {name!r} is a timestamp", hint="take its parts with `datetime` first, then impute them"
        )
    if step.strategy == "constant":
        return operation.Impute(name, _constant(step.value, name, kind))
    present = values[~signature.missing(values)]
    if not len(present):
        hint = "drop the column, or impute a constant"
        raise UnfitError(f"column {name!r} has no value at all in the training data", hint=hint)
    if step.strategy == "most_frequent":
        counts = Counter(present.tolist())
        most = max(counts.values())
        return operation.Impute(name, min(value for value, count in counts.items() if count == most))
    numbers = _numbers(f"impute the {step.strategy}", name, kind, present)
    return operation.Impute(name, float(np.mean(numbers) if step.strategy == "mean" else np.median(numbers)))


def _constant(value: object, name: str, kind: str) -> str | float:
    fits = isinstance(value, str) if kind == "string" else isinstance(value, int | float)
    if kind == "boolean":
        fits = isinstance(value, bool)
    if not fits:
        raise UnfitError(f"column {name!r} is {kind}, and the constant {value!r} is not")
    return value if isinstance(value, str) else float(value)  # type: ignore[arg-type]


def _encode(step: steps.Encode, name: str, kind: str, values: Array) -> Operation:
    if kind == "timestamp":
        raise UnfitError(f"column {name!r} is a timestamp", hint="take its parts with `datetime` first")
    counts = Counter(operation.keys(values))
    # Sorted, because the order of the features must not depend on the order of the rows.
    known: list[Value] = sorted((v for v in counts if v is not None), key=lambda v: (str(type(v)), v))
    strict = step.unknown == "error"
    if step.method == "frequency":
        total = sum(counts[value] for value in known)
        shares = tuple(counts[value] / total for value in known)
        return operation.Frequency(name, tuple(known), shares, strict)
    if step.method == "ordinal":
        return operation.Ordinal(name, tuple(known), step.unknown == "keep", strict)
    categories = _frequent(step, [*known, None] if None in counts else known, counts)
    other = step.unknown == "keep" or len(categories) < len(counts)
    if len(categories) > MAX_ONE_HOT:
        hint = "bound it with `max_categories` or `min_frequency`, use `method: frequency`, or drop the column"
        raise UnfitError(f"column {name!r} has {len(categories)} categories, too many for one_hot", hint=hint)
    rare = tuple(value for value in [*known, None] if value in counts and value not in categories) if strict else ()
    return operation.OneHot(name, tuple(categories), other, strict, rare, step.drop_last)


def _frequent(step: steps.Encode, known: list[Value], counts: Counter[Value]) -> list[Value]:
    """The categories that get a column of their own; the rare ones share one."""
    least = step.min_frequency or 0
    if isinstance(least, float):
        least = least * sum(counts.values())
    kept = [value for value in known if counts[value] >= least]
    if step.max_categories is not None and len(kept) + (len(kept) < len(known)) > step.max_categories:
        ranked = sorted(kept, key=lambda value: (-counts[value], operation.label(value)))
        chosen = set(ranked[: step.max_categories - 1])
        kept = [value for value in kept if value in chosen]
    return kept


def _scale(step: steps.Scale, name: str, values: Array) -> Operation:
    present = values[~np.isnan(values)]
    if not len(present):
        raise UnfitError(f"column {name!r} has no value at all in the training data", hint="drop the column")
    match step.method:
        case "standard":
            center, scale = float(np.mean(present)), float(np.std(present))
        case "robust":
            low, middle, high = (float(q) for q in np.quantile(present, [0.25, 0.5, 0.75]))
            center, scale = middle, high - low
        case "min_max":
            center, scale = float(np.min(present)), float(np.max(present) - np.min(present))
        case _:
            center, scale = 0.0, float(np.max(np.abs(present)))
    # A constant column has no scale; rounding leaves a trace of one, which would blow noise up.
    flat = scale <= 10 * np.finfo(float).eps * max(abs(center), 1e-300)
    return operation.Scale(name, center, 1.0 if flat or not np.isfinite(1 / scale) else scale)


def _clip(step: steps.Clip, name: str, values: Array) -> Operation:
    if step.quantiles is None:
        return operation.Clip(name, step.min, step.max)
    present = values[~np.isnan(values)]
    if not len(present):
        raise UnfitError(f"column {name!r} has no value at all in the training data", hint="drop the column")
    low, high = (float(q) for q in np.quantile(present, step.quantiles))
    return operation.Clip(name, low, high)


def _cast(type_: str, name: str, kind: str) -> list[Operation]:
    if kind == type_:
        return []
    if kind == "timestamp" and type_ not in ("string", "number"):
        raise UnfitError(f"column {name!r} is a timestamp and cannot be cast to {type_}")
    if type_ == "timestamp" and kind == "boolean":
        raise UnfitError(f"column {name!r} is boolean and cannot be cast to timestamp")
    return [operation.Cast(name, kind if kind in signature.TYPES else "number", type_)]


def _numbers(step: str, name: str, kind: str, values: Array) -> Array:
    if kind in ("string", "timestamp"):
        raise UnfitError(f"column {name!r} is {kind}, so there is nothing to {step}", hint="cast or encode it first")
    return values
