"""Parts of the data by the values of columns, each measured on its own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from orchestrator.errors import Location, PipelineError, Problem, did_you_mean

# A column with more values than this is a quantity or an identifier: its parts say nothing each.
MAX_PARTS = 50


@dataclass(frozen=True, slots=True)
class Part:
    """The numbers of the rows where the columns have these values."""

    where: Mapping[str, Any]
    rows: NDArray[np.int64]


def check(table: pd.DataFrame, declared: Sequence[Any]) -> list[list[str]]:
    """The columns of each slicing; every problem of all of them at once."""
    groups, problems = [], []
    for index, entry in enumerate(declared):
        at = Location(f"slices[{index}]")
        names = [entry] if isinstance(entry, str) else entry
        if not isinstance(names, list) or not names or not all(isinstance(name, str) for name in names):
            problems.append(Problem(at, f"{entry!r} is neither the name of a column nor a list of them"))
            continue
        unknown = [name for name in names if name not in table.columns]
        for name in unknown:
            hint = did_you_mean(name, [str(column) for column in table.columns])
            problems.append(Problem(at, f"the data has no column {name!r}", hint))
        if not unknown and (count := table.groupby(names, dropna=False, observed=True).ngroups) > MAX_PARTS:
            hint = f"slice by a column with up to {MAX_PARTS} values"
            problems.append(Problem(at, f"{' and '.join(names)} would make {count:,} slices", hint))
        groups.append(names)
    if problems:
        raise PipelineError(problems)
    return groups


def split(table: pd.DataFrame, groups: Sequence[Sequence[str]]) -> Iterator[Part]:
    """The parts of the table, in the order of their values."""
    for names in groups:
        number = table.groupby(list(names), dropna=False, observed=True).ngroup().to_numpy()
        for each in np.unique(number):
            rows = np.flatnonzero(number == each)
            yield Part({name: _plain(table[name].iloc[rows[0]]) for name in names}, rows)


def _plain(value: Any) -> Any:
    """A value of a table as JSON has it."""
    if value is None or pd.isna(value):
        return None
    if isinstance(value, date):
        return value.isoformat()
    value = value.item() if isinstance(value, np.generic) else value
    return int(value) if isinstance(value, float) and value.is_integer() else value
