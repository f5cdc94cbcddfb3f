"""The page: one HTML file that loads nothing and runs nothing, and escapes all that it is told."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template
from markupsafe import Markup

from components.evaluate.style import STYLE
from components.report import timeline, words
from components.report.facts import Bar, Kind, Metric, Page

POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
SYMBOLS = {
    Kind.DEPLOYED: "✓",
    Kind.PUBLISHED: "✓",
    Kind.SUCCEEDED: "✓",
    Kind.REJECTED: "⊘",
    Kind.UNDECIDED: "?",
    Kind.FAILED: "✕",
    Kind.CANCELLED: "■",
    Kind.UNKNOWN: "?",
}
# Metrics of which less is better, and of which neither is.
LESS_IS_BETTER = frozenset({"log_loss", "mae", "mse", "rmse", "mape", "median_absolute_error", "max_error", "inertia"})
NEITHER = frozenset({"clusters", "mean_error"})

_HERE = Path(__file__).parent


def html(page: Page) -> str:
    """The whole file."""
    # The two style sheets are ours; everything else goes through the template's escaping.
    style = Markup(STYLE + (_HERE / "page.css").read_text(encoding="utf-8"))  # noqa: S704
    span = timeline.extent(page.bars)
    return _template().render(
        page=page,
        style=style,
        policy=POLICY,
        symbol=SYMBOLS[page.outcome.kind],
        axis=Markup(timeline.axis(span)),  # noqa: S704  Drawn by us, names escaped there.
        drawn=[(bar, timeline.state(bar.status), Markup(timeline.bar(bar, span))) for bar in page.bars],  # noqa: S704
        tally=_tally(page.bars),
    )


@cache
def _template() -> Template:
    environment = Environment(
        loader=FileSystemLoader(_HERE), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters.update(
        number=words.number,
        exact=words.exact,
        cell=words.cell,
        metric=words.metric,
        size=words.size,
        duration=words.duration,
        moment=words.moment,
        counted=words.count,
        change=_change,
        histogram=lambda column: Markup(timeline.histogram(column.counts, column.labels)),  # noqa: S704
    )
    return environment.get_template("page.html.j2")


def _tally(bars: tuple[Bar, ...]) -> str:
    """How many tasks came to what."""
    found: dict[str, int] = {}
    for bar in bars:
        word = timeline.state(bar.status).word
        found[word] = found.get(word, 0) + 1
    return ", ".join(f"{number:,} {word}" for word, number in found.items())


def _change(metric: Metric) -> Markup:
    """The difference from the baseline: its direction by a shape, whether it is good by a word too."""
    if metric.value is None or metric.baseline is None:
        return Markup("")
    difference = metric.value - metric.baseline
    if difference != difference or abs(difference) == float("inf"):  # noqa: PLR0124  NaN differs from itself.
        return Markup('<span class="same">unknown</span>')
    if abs(difference) < 5e-5:
        return Markup('<span class="same">no change</span>')
    size = f"{difference:+,.4f}" if abs(difference) < 1000 else f"{difference:+,.0f}"
    arrow = "▲" if difference > 0 else "▼"
    if metric.name in NEITHER:
        return Markup('<span class="same">{} {}</span>').format(arrow, size)
    word = "better" if (difference < 0) == (metric.name in LESS_IS_BETTER) else "worse"
    return Markup('<span class="{}">{} {} {}</span>').format(word, arrow, size, word)
