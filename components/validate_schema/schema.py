"""The schema file: what a table has to be, rule by rule, and how bad it is when it is not."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from orchestrator import source
from orchestrator.source import Document, Versioned

Severity = Literal["error", "warning"]
Type = Literal["integer", "number", "string", "boolean", "timestamp"]
Fraction = Annotated[float, Field(ge=0, le=1)]
Value = bool | int | float | str


class ColumnSeverity(Document):
    """A severity for each kind of rule of a column."""

    presence: Severity = "error"
    type: Severity = "error"
    range: Severity = "error"
    domain: Severity = "error"
    unique: Severity = "error"


class TableSeverity(Document):
    """A severity for each kind of rule of the table as a whole."""

    rows: Severity = "error"
    columns: Severity = "error"


class Column(Document):
    """What one column has to be."""

    type: Type = Field(description="What its values are; whole floats pass as integers, integers pass as numbers.")
    description: str = ""
    required: bool = Field(default=True, description="Whether the table must have the column at all.")
    nullable: bool = Field(default=False, description="Whether a value may be missing.")
    min_fraction: Fraction | None = Field(
        default=None, description="The share of rows that must have a value; below 1 it makes the column nullable."
    )
    min: int | float | None = Field(default=None, description="The smallest value allowed (integer and number only).")
    max: int | float | None = Field(default=None, description="The largest value allowed (integer and number only).")
    domain: list[Value] | None = Field(
        default=None, description="The values allowed, at least one.", json_schema_extra={"minItems": 1}
    )
    min_domain_mass: Fraction = Field(
        default=1.0, description="The share of the present values that must be of the domain."
    )
    unique: bool = Field(default=False, description="Whether no two rows may have the same value.")
    severity: Severity | ColumnSeverity = Field(default="error", description="For all rules, or rule by rule.")

    @model_validator(mode="after")
    def _fits_together(self) -> Column:
        if self.type not in ("integer", "number") and (self.min is not None or self.max is not None):
            raise ValueError(f"'min' and 'max' are for integer and number, not for {self.type}")
        if self.min is not None and self.max is not None and self.min > self.max:
            raise ValueError(f"min {self.min} is above max {self.max}")
        if "nullable" in self.model_fields_set and self.min_fraction is not None and not self.nullable:
            raise ValueError("'nullable: false' asks for a value in every row", "leave out one of the two")
        if "min_domain_mass" in self.model_fields_set and self.domain is None:
            raise ValueError("'minDomainMass' needs a domain", "add domain: [...]")
        if self.domain == []:
            raise ValueError("the domain allows no value at all", "list the values, or leave 'domain' out")
        for value in self.domain or []:
            if not _of_type(value, self.type):
                raise ValueError(f"the domain value {value!r} is not of type {self.type}")
        return self

    @property
    def fraction(self) -> float:
        """The share of rows that must have a value."""
        if self.min_fraction is not None:
            return self.min_fraction
        return 0.0 if self.nullable else 1.0

    def severity_of(self, rule: str) -> Severity:
        return _severity(self.severity, rule)


class Metadata(Document):
    """What the schema is called."""

    name: str
    description: str = ""


class Schema(Versioned):
    """What a table has to be: its columns, and the table as a whole."""

    kind: Literal["Schema"]
    metadata: Metadata
    columns: dict[str, Column]
    min_rows: Annotated[int, Field(ge=0)] = Field(default=1, description="The fewest rows allowed.")
    max_rows: Annotated[int, Field(ge=0)] | None = Field(default=None, description="The most rows allowed.")
    allow_extra_columns: bool = Field(default=False, description="Whether the table may have other columns too.")
    severity: Severity | TableSeverity = Field(default="error", description="Of the rules of the table as a whole.")

    @model_validator(mode="after")
    def _fits_together(self) -> Schema:
        if not self.columns:
            raise ValueError("the schema has no columns")
        if self.max_rows is not None and self.max_rows < self.min_rows:
            raise ValueError(f"maxRows {self.max_rows} is below minRows {self.min_rows}")
        return self

    def severity_of(self, rule: str) -> Severity:
        return _severity(self.severity, rule)


def read(path: Path, name: str = "") -> Schema:
    """The schema in a file; raises PipelineError with every mistake and its place."""
    return source.model(Schema, source.read(path, name=name))


def _severity(given: Severity | ColumnSeverity | TableSeverity, rule: str) -> Severity:
    if isinstance(given, str):
        return given
    severity: Severity = getattr(given, rule)
    return severity


def _of_type(value: Any, kind: Type) -> bool:
    match kind:
        case "boolean":
            return isinstance(value, bool)
        case "integer":
            return isinstance(value, int) and not isinstance(value, bool)
        case "number":
            return isinstance(value, int | float) and not isinstance(value, bool)
        case _:
            return isinstance(value, str)
