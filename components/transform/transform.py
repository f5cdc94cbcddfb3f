"""Fit declared steps on a table, and show the table as the model will see it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd

from orchestrator.errors import Location, PipelineError, Problem, did_you_mean
from orchestrator.model import fit, frame
from orchestrator.model import transform as transforms
from orchestrator.model.transform import Transform


def transform(table: pd.DataFrame, steps: Sequence[Any], target: str | None = None) -> tuple[Transform, pd.DataFrame]:
    """The transform fitted on the table, and the table of its features (with the target as it was)."""
    if target and target not in table.columns:
        hint = did_you_mean(target, [str(name) for name in table.columns])
        raise PipelineError([Problem(Location("target"), f"the data has no column {target!r}", hint)])
    if table.empty:
        raise PipelineError([Problem(Location("data"), "there is no row to fit the transform on")])
    inputs, columns = frame.columns(table)
    fitted = fit.fit(list(steps) or None, columns, inputs, target=target or None)
    names, matrix = transforms.apply(fitted, columns)
    made = pd.DataFrame(matrix, columns=list(names))
    if target:
        made[target] = table[target].to_numpy()
    return fitted, made
