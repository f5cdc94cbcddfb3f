"""The checks carried out by Great Expectations, and its Data Docs of them as a fragment of HTML."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from components.validate_schema import fragment
from components.validate_schema.checks import Check


@dataclass(frozen=True)
class Validation:
    """What came of each check, in the order of the checks, as Great Expectations' JSON; and its Data Docs."""

    results: list[dict[str, Any]]
    data_docs: str


def validate(table: pa.Table, checks: Sequence[Check], *, name: str) -> Validation:
    """Run the checks on the table. Nothing is written and nothing leaves the process."""
    with warnings.catch_warnings():
        # Its imports use modules that Python has deprecated; that is not ours to report.
        warnings.simplefilter("ignore")
        return _validate(table, checks, name)


def _validate(table: pa.Table, checks: Sequence[Check], name: str) -> Validation:
    import great_expectations as gx
    from great_expectations.data_context.types.base import ProgressBarsConfig

    logging.getLogger("great_expectations").setLevel(logging.ERROR)
    # Names of data sources are unique in a context, so every validation has a context of its own.
    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = ProgressBarsConfig(globally=False, metric_calculations=False)
    expectations = [
        getattr(gx.expectations, check.expectation)(
            **check.arguments, meta={"check": number}, severity="warning" if check.severity == "warning" else "critical"
        )
        for number, check in enumerate(checks)
    ]
    asset = context.data_sources.add_pandas("pandas").add_dataframe_asset(name)
    batch = asset.add_batch_definition_whole_dataframe("table").get_batch({"dataframe": frame(table)})
    suite = gx.ExpectationSuite(name=name, expectations=expectations)
    result = batch.validate(suite, result_format={"result_format": "SUMMARY", "partial_unexpected_count": 20})
    for each in result.results:
        each.result = _drawable(each)
    found = {each.expectation_config.meta["check"]: each.to_json_dict() for each in result.results}
    return Validation([found[number] for number in range(len(checks))], _data_docs(result))


def frame(table: pa.Table) -> Any:
    """The table for pandas: a missing value does not turn an integer into a float, nor text into anything else."""
    import pandas as pd

    columns = {name: _wide(table[name]) for name in table.column_names}
    # Great Expectations checks NumPy's types as vectors and pandas' nullable ones value by value: use these sparingly.
    nullable = {pa.int64(): pd.Int64Dtype(), pa.uint64(): pd.UInt64Dtype(), pa.bool_(): pd.BooleanDtype()}
    made = {
        name: column.to_pandas(types_mapper=nullable.get if column.null_count else None)
        for name, column in columns.items()
    }
    texts = {name: pd.StringDtype() for name, column in columns.items() if pa.types.is_string(column.type)}
    return pd.DataFrame(made).astype(texts)


def _drawable(result: Any) -> Any:
    found = _native(result.result)
    if result.expectation_config.type == "expect_column_values_to_not_be_null":
        # That what is missing is "nan", twenty times over, tells nobody anything.
        found |= {"partial_unexpected_list": [], "partial_unexpected_counts": []}
    return found


def _native(value: Any) -> Any:
    """The value with None for pandas' NA, which Data Docs cannot draw."""
    import pandas as pd

    match value:
        case dict():
            return {key: _native(inner) for key, inner in value.items()}
        case list():
            return [_native(inner) for inner in value]
        case _:
            return None if value is pd.NA else value


def _wide(column: Any) -> Any:
    kind = column.type
    if pa.types.is_timestamp(kind):
        return column.cast(pa.timestamp("us", tz=kind.tz), safe=False).cast(pa.int64()).cast(pa.timestamp("us"))
    if pa.types.is_floating(kind):
        return column.cast(pa.float64())
    if pa.types.is_integer(kind) and not pa.types.is_uint64(kind):
        return column.cast(pa.int64())
    return column


def _data_docs(result: Any) -> str:
    from great_expectations.render.renderer import ValidationResultsPageRenderer
    from great_expectations.render.view import DefaultJinjaPageView

    document = ValidationResultsPageRenderer(run_info_at_end=True).render(result)
    view = DefaultJinjaPageView(custom_views_directory=str(Path(__file__).parent))
    return fragment.clean(view.render(document, template="data_docs.j2"))
