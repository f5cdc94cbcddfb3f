"""The report: a verdict, the anomalies, statistics with small histograms, and the Data Docs, in one HTML file.

It loads nothing and runs nothing: style and pictures are inline, and its Content-Security-Policy forbids the rest.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from importlib.resources import files
from typing import Any

from components.validate_schema.anomalies import Anomaly
from components.validate_schema.schema import Schema

_WIDTH, _HEIGHT = 140, 32
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
_HEADINGS = ("Column", "Type", "Distribution", "Missing", "Distinct", "Min", "Median", "Mean", "Max", "Std")


def html(schema: Schema, statistics: Mapping[str, Any], anomalies: Sequence[Anomaly], data_docs: str) -> str:
    """The whole page; `data_docs` is a fragment that is already clean."""
    title = f"Schema check: {schema.metadata.name}"
    style = files(__package__).joinpath("page.css").read_text(encoding="utf-8")
    description = f"<p>{escape(schema.metadata.description)}</p>" if schema.metadata.description else ""
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="{_POLICY}">
<title>{escape(title)}</title>
<style>
{style}</style>
</head>
<body>
<main>
<h1>{escape(title)}</h1>
{description}
{_verdict(statistics, anomalies)}
{_anomalies(anomalies)}
<h2>Statistics</h2>
{_statistics(statistics, anomalies)}
<h2>Every check, as Great Expectations saw it</h2>
<div class="docs">
{data_docs}
</div>
</main>
</body>
</html>
"""


def _verdict(statistics: Mapping[str, Any], anomalies: Sequence[Anomaly]) -> str:
    errors = sum(anomaly.severity == "error" for anomaly in anomalies)
    warnings = len(anomalies) - errors
    size = f"{statistics['rows']:,} rows, {len(statistics['columns'])} columns"
    if errors:
        said, word = "error", f"Does not fit: {_count(errors, 'error')}, {_count(warnings, 'warning')}"
    elif warnings:
        said, word = "warning", f"Fits, with {_count(warnings, 'warning')}"
    else:
        said, word = "fine", "Fits: nothing was found"
    return f'<p class="verdict {said}"><strong>{word}</strong><span>{size}</span></p>'


def _count(number: int, word: str) -> str:
    return f"{number} {word}" if number == 1 else f"{number} {word}s"


def _anomalies(anomalies: Sequence[Anomaly]) -> str:
    if not anomalies:
        return ""
    rows = "".join(
        f'<tr><td><span class="tag {anomaly.severity}">{anomaly.severity}</span></td>'
        f"<th scope=row>{escape(anomaly.column) or '(table)'}</th>"
        f"<td><strong>{escape(anomaly.short)}</strong><br>{escape(anomaly.message)}<br><code>{anomaly.type}</code></td></tr>"
        for anomaly in anomalies
    )
    return f"<h2>Anomalies</h2>\n<table class=anomalies><tbody>{rows}</tbody></table>"


def _statistics(statistics: Mapping[str, Any], anomalies: Sequence[Anomaly]) -> str:
    severities: dict[str, str] = {}
    for anomaly in sorted(anomalies, key=lambda anomaly: anomaly.severity, reverse=True):
        severities[anomaly.column] = anomaly.severity  # Errors come last and win.
    head = "".join(f"<th scope=col>{heading}</th>" for heading in _HEADINGS)
    body = "\n".join(
        _row(column, statistics["rows"], severities.get(column["name"], "")) for column in statistics["columns"]
    )
    return (
        f"<div class=wide><table class=statistics><thead><tr>{head}</tr></thead>\n<tbody>{body}</tbody></table></div>"
    )


def _row(column: Mapping[str, Any], rows: int, severity: str) -> str:
    missing = f"{column['missing']:,}"
    if column["missing"]:
        missing += f" <small>{column['missing'] / rows:.1%}</small>"
    numbers = "".join(
        f"<td>{_number(_day(column, column[key]))}</td>" for key in ("min", "median", "mean", "max", "std")
    )
    mark = f' class="{severity}"' if severity else ""
    return (
        f"<tr><th scope=row{mark}>{escape(column['name'])}</th><td>{column['type']}</td><td>{_picture(column)}</td>"
        f"<td>{missing}</td><td>{column['distinct']:,}</td>{numbers}</tr>"
    )


def _number(value: Any) -> str:
    match value:
        case None:
            return ""
        case int():
            return f"{value:,}" if abs(value) >= 100_000 else str(value)
        case float():
            return f"{value:.4g}" if abs(value) < 10_000 else f"{value:,.0f}" if abs(value) < 1e15 else f"{value:.3e}"
        case _:
            text = str(value)
            return escape(text if len(text) <= 20 else text[:19] + "…")


def _day(column: Mapping[str, Any], value: Any) -> Any:
    """The day is enough of a timestamp for a narrow cell."""
    return value[:10] if value and column["type"] == "timestamp" else value


def _picture(column: Mapping[str, Any]) -> str:
    histogram = column["histogram"]
    if histogram:
        edges = histogram["edges"]
        labels = [f"{edges[number]} to {edges[number + 1]}" for number in range(len(histogram["counts"]))]
        return _bars(histogram["counts"], labels)
    top = column["top"]
    if not top or top[0]["count"] == 1:
        return "<small>all different</small>" if top else ""
    return _bars([entry["count"] for entry in top], [str(entry["value"]) for entry in top])


def _bars(counts: Sequence[int], labels: Sequence[str]) -> str:
    """A bar for each count; its label and count show when pointed at, and are read aloud."""
    highest = max(counts) or 1
    step = _WIDTH / max(len(counts), 4)
    bars = []
    for number, (count, label) in enumerate(zip(counts, labels, strict=True)):
        height = count / highest * (_HEIGHT - 1)
        height = max(height, 1) if count else 0
        place = f'x="{number * step:.1f}" y="{_HEIGHT - height:.1f}" width="{step - 1:.1f}" height="{height:.1f}"'
        bars.append(f"<rect {place}><title>{escape(label)}: {count:,}</title></rect>")
    described = escape("; ".join(f"{label}: {count}" for label, count in zip(labels, counts, strict=True)))
    return (
        f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" width="{_WIDTH}" height="{_HEIGHT}" role="img" '
        f'aria-label="{described}">{"".join(bars)}</svg>'
    )
