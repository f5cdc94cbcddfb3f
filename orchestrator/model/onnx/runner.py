"""Predict with the ONNX model in this folder. It needs numpy and onnxruntime, and nothing else.

    python predict.py rows.json          rows as a JSON list of records, JSON Lines or CSV (by the file's ending)
    python predict.py < rows.json        the same from stdin

One line of JSON is printed per row. In a program:  Model(folder).predict([{"column": value, ...}, ...])
"""

import csv
import io
import json
import sys
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

# How a missing value is sent to the graph; a missing number is NaN.
MISSING_TEXT = "\ue000"
MISSING_MOMENT = -(2**63)

BOOLEANS = {"true": 1.0, "yes": 1.0, "1": 1.0, "false": 0.0, "no": 0.0, "0": 0.0}
SENT: dict[str, Callable[[Any], Any]] = {
    "number": lambda values: np.asarray(values, dtype=np.float64).reshape(-1, 1),
    "moment": lambda values: np.asarray(values).astype("datetime64[us]").astype(np.int64).reshape(-1, 1),
    "text": lambda values: np.array([MISSING_TEXT if v is None else v for v in values], dtype=object).reshape(-1, 1),
}


class Model:
    """The model in a folder: `model.json` says what it takes, `form.json` how the graph wants it."""

    def __init__(self, folder: Any) -> None:
        import onnxruntime  # type: ignore[import-untyped]

        self.about = json.loads((Path(folder) / "model.json").read_text("utf-8"))
        self.form = json.loads((Path(folder) / "form.json").read_text("utf-8"))
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(
            str(Path(folder) / "model.onnx"), options, providers=["CPUExecutionProvider"]
        )

    def predict(self, records: Any) -> list[dict[str, Any]]:
        """One answer per record. Raises ValueError that names the record and the column."""
        if not records:
            return []
        for row, record in enumerate(records):
            if not isinstance(record, Mapping):
                raise ValueError(f"record {row} is no object")  # noqa: TRY004  As any other record that is wrong.
        columns = {column["name"]: _column(column, records) for column in self.about["signature"]["inputs"]}
        for operation in self.form["before"]:
            columns[operation["column"]] = _before(operation, operation["column"], columns[operation["column"]])
        tensors = {each["column"]: SENT[each["kind"]](columns[each["column"]]) for each in self.form["tensors"]}
        names = [name for name in self.form["outputs"].values() if name]
        found = dict(zip(names, self.session.run(names, tensors), strict=True))
        refused = self.form["outputs"]["refused"]
        if refused and found[refused].any():
            row = int(np.argmax(found[refused]))
            raise ValueError(f"record {row} has a value the model does not know, or none where it needs one")
        answers = [{"prediction": value} for value in found[self.form["outputs"]["prediction"]].tolist()]
        if self.about["classes"] is not None:
            for answer, chances in zip(answers, found[self.form["outputs"]["probabilities"]].tolist(), strict=True):
                answer["probabilities"] = dict(zip(map(str, self.about["classes"]), chances, strict=True))
        return answers


def _column(column: Any, records: Any) -> Any:
    name, kind = column["name"], column["type"]
    values = [record.get(name) for record in records]
    for row, value in enumerate(values):
        if value is None and not column["nullable"]:
            raise ValueError(f"record {row} has no value for {name!r}, and the model needs one")
    return _each(name, kind, values, lambda value: _value(kind, value))


def _each(name: str, kind: str, values: Any, make: Callable[[Any], Any]) -> list[Any]:
    made = []
    for row, value in enumerate(values):
        try:
            made.append(make(value))
        except (AttributeError, KeyError, OverflowError, TypeError, ValueError):
            raise ValueError(f"record {row}: {name!r} takes a {kind}, not {value!r:.100}") from None
    return made


def _value(kind: str, value: Any) -> Any:
    """A value of JSON or CSV as the graph's own kind: text, datetime64, or float."""
    if kind == "string":
        return None if value is None else str(value)
    if kind == "timestamp":
        if value is None:
            return np.datetime64("NaT", "us")
        moment = datetime.fromisoformat(value.strip())
        return np.datetime64(moment.astimezone(UTC).replace(tzinfo=None) if moment.tzinfo else moment, "us")
    if value is None:
        return np.nan
    number = BOOLEANS[value.strip().lower()] if kind == "boolean" and isinstance(value, str) else float(value)
    if not np.isfinite(number):
        raise ValueError(value)
    return number


def _before(operation: Any, name: str, values: Any) -> Any:
    """What is done before the graph: casts from and to text, and imputing ahead of them."""
    if operation["do"] == "impute":
        return [operation["value"] if _gone(value) else value for value in values]
    source, kind = operation["source"], operation["type"]
    return _each(name, kind, values, lambda value: _cast(source, kind, value))


def _cast(source: str, kind: str, value: Any) -> Any:
    if _gone(value):
        return _value(kind, None)
    if kind == "string":
        if source == "boolean":
            return "true" if value else "false"
        return f"{value:g}" if isinstance(value, float) and value.is_integer() else str(value)
    if kind == "timestamp" and source != "string":
        return np.datetime64(round(value * 1e6), "us")
    made = _value(kind, value)
    return float(np.trunc(made)) if kind == "integer" else made


def _gone(value: Any) -> bool:
    if isinstance(value, np.datetime64):
        return bool(np.isnat(value))
    return value is None or (isinstance(value, float) and bool(np.isnan(value)))


def _records(text: str, suffix: str) -> Any:
    if suffix == ".csv":
        rows = csv.DictReader(io.StringIO(text, newline=""))
        return [{name: value or None for name, value in row.items()} for row in rows]
    if text.lstrip().startswith("["):
        return json.loads(text)
    # What str.splitlines takes for the end of a line, such as U+2028, may stand in a text of JSON.
    return [json.loads(line) for line in text.split("\n") if line.strip()]


if __name__ == "__main__":
    given = Path(sys.argv[1]) if len(sys.argv) > 1 else None
    if given and not given.is_file():
        sys.exit("predict.py [FILE]: rows as CSV, a list in JSON, or JSON Lines, of FILE or standard input")
    try:
        text = (given.read_bytes() if given else sys.stdin.buffer.read()).decode("utf-8-sig")
        rows = _records(text, given.suffix.lower() if given else "")
        for answer in Model(Path(__file__).parent).predict(rows):
            print(json.dumps(answer, ensure_ascii=False))
    except (ValueError, csv.Error) as error:
        sys.exit(f"error: {error}")
    except RecursionError:
        sys.exit("error: the JSON is nested too deeply")
