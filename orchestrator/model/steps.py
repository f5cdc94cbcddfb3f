"""The steps of a transform as they are declared: a list of `{name: options}`, checked all at once.

    - impute: {columns: numeric, strategy: median}
    - encode: {columns: [island, sex], method: one_hot, unknown: ignore}
    - scale: {columns: numeric, method: standard}

`columns` is a list of names, one name, or a word for the columns of a kind: all, numeric (numbers and integers),
categorical (strings and booleans), or a type (number, integer, string, boolean, timestamp).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from orchestrator.errors import Location, Problem, did_you_mean
from orchestrator.model.operation import PARTS

Names = list[str] | str
Share = Annotated[float, Field(ge=0, le=1)]


class Step(BaseModel):
    """One step: which columns it is for, and its options."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    columns: Names


class Impute(Step):
    """Fill missing values with a statistic of the training data or a constant."""

    strategy: Literal["mean", "median", "most_frequent", "constant"]
    value: str | bool | float | None = None

    @model_validator(mode="after")
    def _value_goes_with_constant(self) -> Impute:
        if (self.strategy == "constant") != (self.value is not None):
            raise ValueError("`value` is given exactly when strategy is constant")
        return self


class Indicator(Step):
    """Add a column of 0 and 1 that says where a value is missing; put it before `impute`."""


class Encode(Step):
    """Categories as numbers."""

    method: Literal["one_hot", "ordinal", "frequency"] = "one_hot"
    unknown: Literal["ignore", "keep", "error"] = "ignore"
    drop_last: bool = False
    min_frequency: Annotated[int, Field(ge=1)] | Annotated[float, Field(gt=0, lt=1)] | None = None
    max_categories: Annotated[int, Field(ge=2)] | None = None

    @model_validator(mode="after")
    def _options_go_with_one_hot(self) -> Encode:
        given = [name for name in ("drop_last", "min_frequency", "max_categories") if getattr(self, name)]
        if given and self.method != "one_hot":
            raise ValueError(f"`{given[0]}` goes with method one_hot")
        if self.unknown == "keep" and self.method == "frequency":
            raise ValueError("method frequency has no place to keep unknown values: use unknown: ignore or error")
        return self


class Scale(Step):
    """Bring numbers to a common scale."""

    method: Literal["standard", "robust", "min_max", "max_abs"] = "standard"


class Clip(Step):
    """Cut off what is below or above: at fixed bounds, or at quantiles of the training data."""

    min: float | None = None
    max: float | None = None
    quantiles: Annotated[list[Share], Field(min_length=2, max_length=2)] | None = None

    @model_validator(mode="after")
    def _bounds_or_quantiles(self) -> Clip:
        fixed = self.min is not None or self.max is not None
        if fixed == (self.quantiles is not None):
            raise ValueError("give `min` and/or `max`, or `quantiles`")
        low, high = self.quantiles or (self.min, self.max)
        if low is not None and high is not None and low > high:
            raise ValueError(f"the lower bound {low} is above the upper bound {high}")
        return self


class Drop(Step):
    """Leave columns out."""


class Cast(Step):
    """Take the values as another type."""

    type: Literal["number", "integer", "string", "boolean", "timestamp"]


class Datetime(Step):
    """Parts of a timestamp as numbers; a column of ISO 8601 texts is read as timestamps first."""

    parts: Annotated[list[Literal[PARTS]], Field(min_length=1)] = ["month", "day", "weekday", "hour"]  # type: ignore[valid-type]
    keep: bool = False


STEPS: Mapping[str, type[Step]] = {
    "impute": Impute,
    "indicator": Indicator,
    "encode": Encode,
    "scale": Scale,
    "clip": Clip,
    "drop": Drop,
    "cast": Cast,
    "datetime": Datetime,
}


def default(*, scaled: bool = False) -> list[dict[str, Any]]:
    """What is done when nothing is declared: medians for missing numbers, parts for timestamps, one column per category
    of a string (the 50 most frequent; a missing value is a category if the training data has one, else all zeros).

    `scaled` adds standard scaling, for the algorithms that care about it.
    """
    steps: list[dict[str, Any]] = [
        {"datetime": {"columns": "timestamp"}},
        {"impute": {"columns": "numeric", "strategy": "median"}},
        {"impute": {"columns": "boolean", "strategy": "most_frequent"}},
    ]
    if scaled:
        steps.append({"scale": {"columns": "numeric"}})
    return [*steps, {"encode": {"columns": "string", "max_categories": 50}}]


def read(declared: Sequence[Any]) -> tuple[list[tuple[int, Step]], list[Problem]]:
    """The steps that can be read, each with its index, and every problem of the others."""
    steps: list[tuple[int, Step]] = []
    problems: list[Problem] = []
    for index, entry in enumerate(declared):
        if not isinstance(entry, Mapping) or len(entry) != 1:
            hint = "a step is written as `- impute: {columns: numeric, strategy: median}`"
            problems.append(Problem(Location(f"steps[{index}]"), "a step has one name and its options", hint))
            continue
        ((name, options),) = entry.items()
        if name not in STEPS:
            hint = did_you_mean(str(name), STEPS)
            problems.append(Problem(Location(f"steps[{index}]"), f"there is no step {name!r}", hint))
            continue
        try:
            steps.append((index, STEPS[name].model_validate(options)))
        except ValidationError as error:
            problems.extend(_problems(f"steps[{index}].{name}", STEPS[name], error))
    return steps, problems


def _problems(at: str, kind: type[Step], error: ValidationError) -> Iterator[Problem]:
    for detail in error.errors(include_url=False):
        # The branches of a union (list or word) fail one by one; the option they belong to is what the user wrote.
        option = str(detail["loc"][0]) if detail["loc"] else ""
        place = Location(f"{at}.{option}" if option else at)
        given = detail["input"]
        if detail["type"] == "extra_forbidden":
            yield Problem(Location(at), f"there is no option {option!r}", did_you_mean(option, kind.model_fields))
        elif detail["type"] == "missing":
            yield Problem(Location(at), f"the option {option!r} is missing")
        elif detail["type"] == "literal_error":
            words = str(detail["ctx"]["expected"]).replace("'", "").replace(" or ", ", ")
            hint = did_you_mean(str(given), words.split(", "))
            # The message lists the words already; only a guess adds to it.
            yield Problem(place, f"{given!r} is none of: {words}", hint if hint.startswith("did you") else "")
        elif detail["type"] == "value_error":
            yield Problem(place, str(detail["ctx"]["error"]))
        elif option == "columns":
            yield Problem(place, f"{given!r} is neither a list of names nor a word")
        else:
            yield Problem(place, f"{given!r} does not fit: {detail['msg'].lower()}")
