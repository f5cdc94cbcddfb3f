"""How a Dataset file is to be read, where its bytes leave a choice."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

import pyarrow as pa

MISSING = ("", "NA", "N/A", "#N/A", "NaN", "nan", "null", "NULL")
TYPES: Mapping[str, pa.DataType] = MappingProxyType(
    {
        "integer": pa.int64(),
        "number": pa.float64(),
        "string": pa.string(),
        "boolean": pa.bool_(),
        "timestamp": pa.timestamp("us"),
    }
)


@dataclass(frozen=True)
class Reading:
    """Format and delimiter ("" to detect them), words that stand for a missing value in CSV, types by column."""

    format: str = ""
    delimiter: str = ""
    missing: tuple[str, ...] = MISSING
    types: Mapping[str, str] = field(default_factory=dict)
