"""A timeline as SVG, and as an HTML page around it; both stand alone and follow the reader's light or dark."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape

from orchestrator.cli import wording
from orchestrator.cli.chart import strip
from orchestrator.history.timeline import Bar, Span, Timeline
from orchestrator.runners.events import Status

MOST = 400
_WIDTH, _ROW, _BAR, _MARGIN, _HEAD, _LOAD = 980.0, 26.0, 14.0, 20.0, 84.0, 34.0
_LIGHT = """--paper:#ffffff;--ink:#1b2330;--soft:#5c6675;--line:#dfe4ea;--load:#c9d3e0;--wait:#b26a00;
--SUCCEEDED:#1f8a4c;--SKIPPED:#2b7fb8;--FAILED:#c92a2a;--RUNNING:#d08700;--CANCELLED:#8a5a9e;--OTHER:#8a94a3;"""
_DARK = """--paper:#12161d;--ink:#e7ecf3;--soft:#98a4b6;--line:#2b3340;--load:#3a4657;--wait:#f0a63a;
--SUCCEEDED:#4cc47c;--SKIPPED:#5ab0ea;--FAILED:#ff6b6b;--RUNNING:#ffc04d;--CANCELLED:#c08ad6;--OTHER:#7b8698;"""
_STYLE = f"""svg.timeline{{{_LIGHT}
font-family:Inter,system-ui,-apple-system,"Segoe UI",Roboto,sans-serif}}
@media (prefers-color-scheme:dark){{svg.timeline{{{_DARK}}}}}
.timeline .title{{font-size:17px;font-weight:650;fill:var(--ink)}}
.timeline .note{{font-size:11.5px;fill:var(--soft)}}
.timeline .name{{font-size:12.5px;fill:var(--ink)}}
.timeline .waited{{font-weight:650}}
.timeline .grid{{stroke:var(--line);stroke-width:1}}
.timeline .cut{{stroke:var(--soft);stroke-width:1;stroke-dasharray:2 4}}
.timeline .load{{fill:var(--load)}}
.timeline .ring{{fill:none;stroke:var(--wait);stroke-width:2}}
.timeline .hatch{{fill:none;stroke:var(--paper);stroke-width:1.3}}"""
_HATCHED = {Status.FAILED: "failed", Status.CANCELLED: "cancelled", Status.RUNNING: "running"}
_PATTERNS = {
    "failed": '<path class="hatch" d="M0 0L8 8M8 0L0 8"/>',
    "cancelled": '<path class="hatch" d="M-2 2L2 -2M0 8L8 0M6 10L10 6"/>',
    "running": '<path class="hatch" d="M0 4L8 4"/>',
}


def svg(timeline: Timeline) -> str:
    """The timeline as a stand-alone SVG."""
    shown, hidden = strip.chosen(timeline.bars, MOST)
    left = _MARGIN + max(110.0, min(250.0, max((len(bar.name) for bar in shown), default=4) * 7.2 + 34))
    right = _WIDTH - _MARGIN - 110
    bottom = _HEAD + _LOAD + len(shown) * _ROW
    height = bottom + 62 + (16 if hidden else 0)
    body = [*_axis(timeline, left, right, bottom), *_load(timeline, left, right)]
    for index, bar in enumerate(shown):
        body += _row(bar, timeline, left, right, _HEAD + _LOAD + index * _ROW)
    body += _legend(timeline, left, bottom, len(hidden))
    title = escape(f"{timeline.pipeline}: run {timeline.run}")
    patterns = "".join(
        f'<pattern id="{name}" width="8" height="8" patternUnits="userSpaceOnUse">{drawn}</pattern>'
        for name, drawn in _PATTERNS.items()
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="timeline" role="img" width="{_WIDTH:.0f}" '
        f'height="{height:.0f}" viewBox="0 0 {_WIDTH:.0f} {height:.0f}" aria-label="{title}">\n'
        f"<style>{_STYLE}</style>\n<defs>{patterns}</defs>\n"
        f'<rect width="100%" height="100%" fill="var(--paper)"/>\n'
        f'<text class="title" x="{_MARGIN}" y="30">{title}</text>\n'
        f'<text class="note" x="{_MARGIN}" y="50">{escape(_sentence(timeline))}</text>\n'
        + "\n".join(body)
        + "\n</svg>\n"
    )


def html(timeline: Timeline) -> str:
    """The timeline as an HTML page that needs nothing else."""
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{escape(timeline.run)}</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        "<style>:root{color-scheme:light dark}body{margin:0;background:#fff}"
        "@media (prefers-color-scheme:dark){body{background:#12161d}}"
        "main{overflow-x:auto;padding:12px}svg{display:block;margin:0 auto}</style></head>\n"
        f"<body><main>{svg(timeline)}</main></body></html>\n"
    )


def _sentence(timeline: Timeline) -> str:
    text = f"{wording.mark(timeline.status, unicode=True)} {strip.summary(timeline)}"
    return f"{text}, from {wording.moment(timeline.started)}"


def _axis(timeline: Timeline, left: float, right: float, bottom: float) -> Iterator[str]:
    for share, label in strip.ticks(timeline, 8):
        x = left + share * (right - left)
        yield f'<path class="grid" d="M{x:.1f} {_HEAD:.1f}V{bottom:.1f}"/>'
        yield f'<text class="note" x="{x:.1f}" y="{_HEAD - 6:.1f}" text-anchor="middle">{escape(label)}</text>'
    for share in timeline.scale.cuts:
        x = left + share * (right - left)
        yield f'<path class="cut" d="M{x:.1f} {_HEAD:.1f}V{bottom:.1f}"/>'


def _load(timeline: Timeline, left: float, right: float) -> Iterator[str]:
    """How many tasks were at work, as a profile above the bars."""
    spans = [span for bar in timeline.bars for span in bar.spans]
    changes = sorted([(span.started, 1) for span in spans] + [(span.finished, -1) for span in spans])
    if not changes or not timeline.most:
        return
    base, unit = _HEAD + _LOAD - 8, (_LOAD - 14) / timeline.most
    path, count = [f"M{left:.1f} {base:.1f}"], 0
    for moment, change in changes:
        x = left + timeline.scale.share(moment) * (right - left)
        path.append(f"H{x:.1f}")
        count += change
        path.append(f"V{base - count * unit:.1f}")
    yield f'<path class="load" d="{"".join(path)}V{base:.1f}Z"/>'
    middle = _HEAD + _LOAD / 2
    yield f'<text class="note" x="{left - 10:.1f}" y="{middle + 2:.1f}" text-anchor="end">at work at once</text>'
    yield f'<text class="note" x="{right + 10:.1f}" y="{middle + 2:.1f}">at most {timeline.most}</text>'


def _row(bar: Bar, timeline: Timeline, left: float, right: float, y: float) -> Iterator[str]:
    middle = y + _ROW / 2
    most = int((left - _MARGIN - 30) / 7.0)
    name = wording.printable(bar.name)
    short = name if len(name) <= most else name[: most - 1] + "…"
    look = wording.look(bar.status)
    waited = " waited" if bar.critical else ""
    yield (
        f'<g><title>{escape(name)}</title><text class="name" x="{_MARGIN}" y="{middle + 4:.1f}" '
        f'fill="{_colour(bar.status)}" style="fill:{_colour(bar.status)}">{look.symbol}</text>'
        f'<text class="name{waited}" x="{_MARGIN + 18}" y="{middle + 4:.1f}">{escape(short)}</text></g>'
    )
    for number, span in enumerate(bar.spans, start=1):
        ends = [left + timeline.scale.share(each) * (right - left) for each in (span.started, span.finished)]
        place = f'x="{ends[0]:.1f}" y="{middle - _BAR / 2:.1f}" width="{max(3.0, ends[1] - ends[0]):.1f}" '
        yield from _span(bar, span, number, f'{place}height="{_BAR}" rx="3"')
    told = wording.duration(bar.seconds) if bar.spans else ""
    if bar.status != Status.SUCCEEDED:
        told = look.words if bar.status == Status.SKIPPED else f"{look.words} {told}".strip()
    yield f'<text class="note" x="{right + 10:.1f}" y="{middle + 4:.1f}">{escape(told)}</text>'


def _span(bar: Bar, span: Span, number: int, place: str) -> Iterator[str]:
    words = [f"{bar.name}: {wording.look(span.status).words}", wording.duration(span.finished - span.started)]
    if len(bar.spans) > 1:
        words.insert(1, f"attempt {number}")
    hover = ", ".join(words) + (f": {wording.one_line(span.reason)}" if span.reason else "")
    yield f'<g><title>{escape(hover)}</title><rect {place} fill="{_colour(span.status)}"/>'
    pattern = _HATCHED.get(Status(span.status))
    if pattern:
        yield f'<rect {place} fill="url(#{pattern})"/>'
    if bar.critical and span is bar.spans[-1]:
        yield f'<rect class="ring" {place}/>'
    yield "</g>"


def _legend(timeline: Timeline, left: float, bottom: float, hidden: int) -> Iterator[str]:
    x, y = left, bottom + 22
    met = dict.fromkeys(Status(span.status) for bar in timeline.bars for span in bar.spans)
    for status in met:
        place = f'x="{x:.1f}" y="{y - 10:.1f}" width="22" height="12" rx="3"'
        yield f'<rect {place} fill="{_colour(status)}"/>'
        if status in _HATCHED:
            yield f'<rect {place} fill="url(#{_HATCHED[status]})"/>'
        words = wording.look(status).words
        yield f'<text class="note" x="{x + 28:.1f}" y="{y:.1f}">{words}</text>'
        x += 28 + len(words) * 6.4 + 22
    chain = strip.path(timeline)
    if chain:
        yield f'<rect class="ring" x="{x:.1f}" y="{y - 10:.1f}" width="22" height="12" rx="3"/>'
        yield f'<text class="note" x="{x + 28:.1f}" y="{y:.1f}">the run waited for it</text>'
        shown = chain if len(chain) < 130 else chain[:127] + "..."
        yield f'<text class="note" x="{left:.1f}" y="{y + 20:.1f}">waited for: {escape(shown)}</text>'
    if hidden:
        more = wording.count(hidden, "shorter task")
        yield f'<text class="note" x="{left:.1f}" y="{y + 38:.1f}">and {more}, not shown</text>'


def _colour(status: str) -> str:
    known = ("SUCCEEDED", "SKIPPED", "FAILED", "RUNNING", "CANCELLED")
    return f"var(--{status})" if status in known else "var(--OTHER)"
