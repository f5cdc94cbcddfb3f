"""Pictures as inline SVG: drawn with the page's own colours, so that they follow light and dark."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

WIDTH, HEIGHT = 460, 340
LEFT, RIGHT, TOP, BOTTOM = 56, 16, 14, 44
# Cells smaller than this have no room for a number, and a matrix of more classes no room for cells.
MAX_NUMBERS, MAX_CLASSES = 14, 40
SERIES = 6


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a plot; `kind` is the class of its stroke: s0 to s5, or baseline."""

    name: str
    x: Floats
    y: Floats
    kind: str


def plot(lines: Sequence[Line], *, x: str, y: str, diagonal: bool = False) -> str:
    """Lines in the unit square, with a legend below."""
    parts = [_axes((0.0, 1.0), (0.0, 1.0), x=x, y=y)]
    if diagonal:
        parts.append(f'<path class="guide" d="M{_x(0):.1f} {_y(0):.1f}L{_x(1):.1f} {_y(1):.1f}"/>')
    for line in lines:
        points = "L".join(f"{_x(a):.1f} {_y(b):.1f}" for a, b in zip(line.x, line.y, strict=True))
        parts.append(f'<path class="line {line.kind}" d="M{points}"><title>{escape(line.name)}</title></path>')
    return _svg(WIDTH, HEIGHT, parts, f"{y} against {x}") + legend([(line.name, line.kind) for line in lines])


def legend(entries: Iterable[tuple[str, str]]) -> str:
    """Names beside their colours."""
    items = "".join(f'<li><i class="key {kind}"></i>{escape(name)}</li>' for name, kind in entries)
    return f'<ul class="legend">{items}</ul>'


def confusion(labels: Sequence[str], matrix: NDArray[np.int64]) -> str:
    """A heat map: truth down, prediction across; the shade is the share of the row."""
    count = len(labels)
    if count > MAX_CLASSES:
        return f"<p>{count} classes are too many for a picture; the numbers are in the metrics.</p>"
    longest = 7 * max(len(_short(label)) for label in labels)
    left, top, cell = 30 + min(longest, 110), 8, max(16.0, min(130.0, 330 / count))
    side, slanted = cell * count, longest > cell - 6
    below = side + 22 + (min(0.66 * longest, 75) if slanted else 0)
    parts = []
    for row, truth in enumerate(labels):
        total = max(int(matrix[row].sum()), 1)
        parts.append(_text("tick", left - 8, top + cell * (row + 0.5) + 4, _short(truth), "end"))
        for column, said in enumerate(labels):
            found = int(matrix[row, column])
            at = (left + cell * column, top + cell * row)
            parts.append(_cell(at, cell, found, found / total, right=row == column, title=f"{truth} said to be {said}"))
            if count <= MAX_NUMBERS:
                parts.append(_numbers(at, cell, found, found / total))
    for column, said in enumerate(labels):
        anchor, turn = ("end", -40) if slanted else ("middle", 0)
        parts.append(_text("tick", left + cell * (column + 0.5), top + side + 16, _short(said), anchor, turn=turn))
    parts.append(_text("label", left + side / 2, top + below + 16, "predicted"))
    parts.append(_text("label", 12, top + side / 2, "truth", turn=-90))
    return _svg(left + side + 10, top + below + 24, parts, "confusion matrix")


def bars(labels: Sequence[str], series: Sequence[tuple[str, Floats]]) -> str:
    """Groups of horizontal bars from 0 to 1, one group per label."""
    left, gap = 20 + min(7 * max(len(_short(label)) for label in labels), 130), 14.0
    thick = max(9.0, min(18.0, 200 / (len(labels) * len(series))))
    across, group = WIDTH - left - 44, thick * len(series) + gap
    bottom = group * len(labels) + 4
    parts = []
    for tick in (0.0, 0.25, 0.5, 0.75, 1.0):
        parts.append(f'<path class="grid" d="M{left + across * tick:.1f} 4V{bottom:.1f}"/>')
        parts.append(_text("tick", left + across * tick, bottom + 16, f"{tick:g}"))
    for index, label in enumerate(labels):
        top = 4 + group * index + gap / 2
        parts.append(_text("tick", left - 8, top + thick * len(series) / 2 + 4, _short(label), "end"))
        for place, (name, values) in enumerate(series):
            value = float(values[index])
            long, y = max(across * value, 1.0), top + thick * place
            parts.append(_bar(f"s{place}", (left, y), long, thick - 1.5, f"{label}: {name} {value:.3f}"))
            parts.append(_text("value", left + long + 5, y + thick / 2 + 2.5, f"{value:.2f}", "start"))
    picture = _svg(WIDTH, bottom + 22, parts, "metrics of each class")
    return picture + legend([(name, f"s{place}") for place, (name, _) in enumerate(series)])


def scatter(truth: Floats, predicted: Floats, *, most: int = 1500, seed: int = 0) -> str:
    """Prediction against truth; of many rows a sample."""
    if len(truth) > most:
        chosen = np.random.default_rng(seed).choice(len(truth), most, replace=False)
        truth, predicted = truth[chosen], predicted[chosen]
    low, high = _padded(float(min(truth.min(), predicted.min())), float(max(truth.max(), predicted.max())))
    scale = _scale(low, high)
    parts = [_axes((low, high), (low, high), x="truth", y="predicted")]
    parts.append(f'<path class="guide" d="M{_x(0):.1f} {_y(0):.1f}L{_x(1):.1f} {_y(1):.1f}"/>')
    dots = "".join(
        f'<circle cx="{_x(scale(a)):.1f}" cy="{_y(scale(b)):.1f}" r="2.6"/>'
        for a, b in zip(truth.tolist(), predicted.tolist(), strict=True)
    )
    return _svg(WIDTH, HEIGHT, [*parts, f'<g class="dots">{dots}</g>'], "prediction against truth")


def histogram(values: Floats, *, x: str) -> str:
    """How often each size of a value is, between the 0.5 % and the 99.5 % quantile."""
    low, high = (float(q) for q in np.quantile(values, [0.005, 0.995]))
    low, high = _padded(low, high, share=0.0)
    bins = min(40, max(8, 2 * int(math.sqrt(len(values)))))
    counts, edges = np.histogram(values, bins=bins, range=(low, high))
    most = float(counts.max()) or 1.0
    scale = _scale(low, high)
    parts = [_axes((low, high), (0.0, most), x=x, y="rows")]
    for count, start, end in zip(counts.tolist(), edges[:-1].tolist(), edges[1:].tolist(), strict=True):
        left, top = _x(scale(start)), _y(count / most)
        width = max(_x(scale(end)) - left - 1, 0.5)
        parts.append(_bar("s0", (left + 0.5, top), width, _y(0) - top, f"{start:.4g} to {end:.4g}: {count:,}"))
    if low < 0 < high:
        parts.append(f'<path class="guide" d="M{_x(scale(0)):.1f} {_y(0):.1f}V{_y(1):.1f}"/>')
    return _svg(WIDTH, HEIGHT, parts, f"histogram of {x}")


def _cell(at: tuple[float, float], size: float, count: int, share: float, *, right: bool, title: str) -> str:
    return (
        f'<rect class="{"hit" if right else "miss"}" x="{at[0] + 1:.1f}" y="{at[1] + 1:.1f}"'
        f' width="{size - 2:.1f}" height="{size - 2:.1f}" rx="3" fill-opacity="{_shade(count, share):.3f}">'
        f"<title>{escape(title)}: {count:,} ({share:.1%})</title></rect>"
    )


def _numbers(at: tuple[float, float], size: float, count: int, share: float) -> str:
    """The count, and where there is room the share of the row, readable on the cell's shade."""
    tone = "on" if _shade(count, share) > 0.55 else "cell"
    x, y = at[0] + size / 2, at[1] + size / 2
    if size < 56:
        return _text(f"{tone} little" if size < 34 else tone, x, y + 4, f"{count:,}")
    return _text(tone, x, y, f"{count:,}") + _text(f"{tone} small", x, y + 17, f"{share:.0%}")


def _shade(count: int, share: float) -> float:
    return 0.06 + 0.94 * share if count else 0.03


def _axes(across: tuple[float, float], up: tuple[float, float], *, x: str, y: str) -> str:
    parts = []
    for value, place in _ticks(*across):
        parts.append(f'<path class="grid" d="M{_x(place):.1f} {_y(0):.1f}V{_y(1):.1f}"/>')
        parts.append(_text("tick", _x(place), _y(0) + 16, value))
    for value, place in _ticks(*up):
        parts.append(f'<path class="grid" d="M{_x(0):.1f} {_y(place):.1f}H{_x(1):.1f}"/>')
        parts.append(_text("tick", _x(0) - 8, _y(place) + 4, value, "end"))
    return "".join([*parts, _text("label", _x(0.5), HEIGHT - 6, x), _text("label", 12, _y(0.5), y, turn=-90)])


def _ticks(low: float, high: float) -> list[tuple[str, float]]:
    """Round values between the bounds, each with its place between 0 and 1."""
    rough = (high - low) / 5
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(each * power for each in (1, 2, 2.5, 5, 10) if each * power >= rough)
    first = math.ceil(low / step - 1e-9)
    last = math.floor(high / step + 1e-9)
    return [(_number(each * step), (each * step - low) / (high - low)) for each in range(first, last + 1)]


def _number(value: float) -> str:
    if value == 0:
        return "0"
    for bound, ending in ((1e9, "G"), (1e6, "M"), (1e4, "k")):
        if abs(value) >= bound:
            unit = 1e3 if ending == "k" else bound
            return f"{value / unit:g}{ending}"
    return f"{value:g}" if abs(value) >= 1e-3 else f"{value:.0e}"


def _padded(low: float, high: float, share: float = 0.03) -> tuple[float, float]:
    if high <= low:
        room = abs(low) * 0.1 or 1.0
        return low - room, high + room
    return low - (high - low) * share, high + (high - low) * share


def _scale(low: float, high: float) -> Callable[[float], float]:
    return lambda value: (value - low) / (high - low)


def _x(share: Any) -> float:
    return float(LEFT + (WIDTH - LEFT - RIGHT) * share)


def _y(share: Any) -> float:
    return float(HEIGHT - BOTTOM - (HEIGHT - BOTTOM - TOP) * share)


def _short(label: str) -> str:
    return label if len(label) <= 18 else label[:17] + "…"


def _text(kind: str, x: float, y: float, text: str, anchor: str = "middle", *, turn: int = 0) -> str:
    turned = f' transform="rotate({turn} {x:.1f} {y:.1f})"' if turn else ""
    return f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{turned}>{escape(text)}</text>'


def _bar(kind: str, at: tuple[float, float], width: float, height: float, title: str) -> str:
    place = f'x="{at[0]:.1f}" y="{at[1]:.1f}" width="{width:.1f}" height="{height:.1f}"'
    return f'<rect class="bar {kind}" {place} rx="1.5"><title>{escape(title)}</title></rect>'


def _svg(width: float, height: float, parts: Sequence[str], title: str) -> str:
    return (
        f'<svg viewBox="0 0 {width:.0f} {height:.0f}" style="max-width:{width:.0f}px" role="img"'
        f' aria-label="{escape(title)}">{"".join(parts)}</svg>'
    )
