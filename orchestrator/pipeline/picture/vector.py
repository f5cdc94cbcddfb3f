"""A pipeline as SVG, and as an HTML page around it; both stand alone and follow the reader's light or dark."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape

from orchestrator.pipeline.picture import layout
from orchestrator.pipeline.picture.boxes import Box
from orchestrator.pipeline.picture.layout import Placed

_LIGHT = """--paper:#ffffff;--card:#ffffff;--line:#cbd2dc;--ink:#1b2330;--soft:#647084;--edge:#8a96a8;--frame:#f6f8fb;
--when:#b26a00;--foreach:#6246c9;--one_of:#0b7285;--finally:#5c6675;--pipeline:#33659c;
--SUCCEEDED:#1f8a4c;--SKIPPED:#2b7fb8;--FAILED:#c92a2a;--RUNNING:#d08700;--NOT_TRIGGERED:#8a94a3;--CANCELLED:#8a5a9e;
--PENDING:#a9b2bf;"""
_DARK = """--paper:#12161d;--card:#1c222c;--line:#3a4454;--ink:#e7ecf3;--soft:#98a4b6;--edge:#76839a;--frame:#171c24;
--when:#f0a63a;--foreach:#a996ff;--one_of:#4fc3d9;--finally:#a3adbd;--pipeline:#7fb2ea;
--SUCCEEDED:#4cc47c;--SKIPPED:#5ab0ea;--FAILED:#ff6b6b;--RUNNING:#ffc04d;--NOT_TRIGGERED:#7b8698;--CANCELLED:#c08ad6;
--PENDING:#5b6676;"""
_STYLE = f"""svg.pipeline{{{_LIGHT}
font-family:Inter,system-ui,-apple-system,"Segoe UI",Roboto,sans-serif;color:var(--ink)}}
@media (prefers-color-scheme:dark){{svg.pipeline{{{_DARK}}}}}
.pipeline .card{{fill:var(--card);stroke:var(--line);stroke-width:1.2}}
.pipeline .frame{{fill:var(--frame);stroke-width:1.2;stroke-dasharray:5 4}}
.pipeline .frame.pipeline-frame{{stroke-dasharray:none}}
.pipeline .name{{font-size:13.5px;font-weight:600;fill:var(--ink)}}
.pipeline .note{{font-size:11.5px;fill:var(--soft)}}
.pipeline .head{{font-size:11.5px;font-weight:600}}
.pipeline .title{{font-size:17px;font-weight:650;fill:var(--ink)}}
.pipeline .edge{{fill:none;stroke:var(--edge);stroke-width:1.5}}
.pipeline .order{{stroke-dasharray:2 4}}
.pipeline .tip{{fill:var(--edge)}}"""
_WORDS = {"SKIPPED": "cached", "NOT_TRIGGERED": "not triggered"}
_MARGIN = 20.0
_TITLE = 58.0


def svg(whole: Box) -> str:
    """The pipeline as a stand-alone SVG; statuses colour its tasks."""
    placed = layout.place(whole)
    inner_width = max(placed.width, min(760.0, len(whole.note) * 6.3), len(whole.title) * 10.5)
    width, height = inner_width + 2 * _MARGIN, placed.height - layout.HEAD + _TITLE + _MARGIN
    shift = _MARGIN + (inner_width - placed.width) / 2
    body = "\n".join(_content(placed, shift, _TITLE - layout.HEAD + 8))
    note = f'<text class="note" x="{_MARGIN}" y="47">{escape(whole.note)}</text>' if whole.note else ""
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="pipeline" role="img" width="{width:.0f}" '
        f'height="{height:.0f}" viewBox="0 0 {width:.0f} {height:.0f}" aria-label="{escape(whole.title)}">\n'
        f"<style>{_STYLE}</style>\n"
        f'<rect width="100%" height="100%" fill="var(--paper)"/>\n'
        f'<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
        f'<path class="tip" d="M0 0.8L7.4 4L0 7.2z"/></marker></defs>\n'
        f'<text class="title" x="{_MARGIN}" y="28">{escape(whole.title)}</text>{note}\n{body}\n</svg>\n'
    )


def html(whole: Box) -> str:
    """The pipeline as an HTML page that needs nothing else."""
    title = escape(whole.title)
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        "<style>:root{color-scheme:light dark}body{margin:0;background:#fff}"
        "@media (prefers-color-scheme:dark){body{background:#12161d}}"
        "main{overflow-x:auto;padding:12px}svg{display:block;margin:0 auto}</style></head>\n"
        f"<body><main>{svg(whole)}</main></body></html>\n"
    )


def _content(frame: Placed, x: float, y: float) -> Iterator[str]:
    """Edges first, then boxes: where they meet, the box is on top."""
    for points, data in frame.edges:
        kind = "edge" if data else "edge order"
        yield f'<path class="{kind}" marker-end="url(#tip)" d="{_curve([(px + x, py + y) for px, py in points])}"/>'
    for each in frame.inside:
        yield from _box(each, x + each.x, y + each.y)


def _box(placed: Placed, x: float, y: float) -> Iterator[str]:
    box = placed.box
    size = f'x="{x:.1f}" y="{y:.1f}" width="{placed.width:.1f}" height="{placed.height:.1f}"'
    if not placed.inside:
        yield from _card(placed, size, x, y)
        return
    solid = " pipeline-frame" if box.kind == "pipeline" else ""
    colour = f"var(--{box.status})" if box.status else f"var(--{box.kind})"
    text = " · ".join(part for part in (box.title, box.note) if part)
    yield f'<g><rect class="frame{solid}" {size} rx="12" stroke="{colour}"/>'
    yield f'<text class="head" x="{x + 14:.1f}" y="{y + 19:.1f}" fill="{colour}">{escape(text)}</text>'
    yield from _content(placed, x, y)
    yield "</g>"


def _card(placed: Placed, size: str, x: float, y: float) -> Iterator[str]:
    box = placed.box
    stroke = f' style="stroke:var(--{box.status});stroke-width:1.8"' if box.status else ""
    told = _WORDS.get(box.status, box.status.lower())
    hover = escape(f"{box.title} ({box.note})" + (f": {told}" if told else ""))
    yield f'<g><title>{hover}</title><rect class="card" {size} rx="9"{stroke}/>'
    middle = y + placed.height / 2
    colour = f"var(--{box.status})" if box.status else "var(--line)"
    yield f'<circle cx="{x + 17:.1f}" cy="{middle:.1f}" r="4.5" fill="{colour}"/>'
    yield f'<text class="name" x="{x + 31:.1f}" y="{middle + (-3 if box.note else 5):.1f}">{escape(box.title)}</text>'
    if box.note:
        yield f'<text class="note" x="{x + 31:.1f}" y="{middle + 14:.1f}">{escape(box.note)}</text>'
    yield "</g>"


def _curve(points: list[tuple[float, float]]) -> str:
    """A smooth line that leaves and arrives vertically."""
    (x, y), *rest = points
    found = [f"M{x:.1f} {y:.1f}"]
    for next_x, next_y in rest:
        pull = (next_y - y) / 2
        found.append(f"C{x:.1f} {y + pull:.1f} {next_x:.1f} {next_y - pull:.1f} {next_x:.1f} {next_y:.1f}")
        x, y = next_x, next_y
    return "".join(found)
