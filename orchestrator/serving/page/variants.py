"""The versions behind an endpoint: the share each takes, and how it answered."""

from __future__ import annotations

from html import escape

from orchestrator.serving import counts
from orchestrator.serving.counts import Endpoint, Traffic
from orchestrator.serving.hosted import Hosted, Variant
from orchestrator.serving.page import words


def table(hosted: Hosted, counted: Endpoint) -> str:
    """One row per variant, and what a comparison found under the shadow's."""
    total = sum(variant.declared.weight for variant in hosted.variants) or 1.0
    rows = "".join(_row(variant, total, counted) for variant in hosted.variants)
    head = (
        "<tr><th>Variant</th><th>Model</th><th>Runs on</th><th>Traffic</th><th class='number'>Requests</th>"
        "<th class='number'>Failed</th><th class='number'>Median</th><th class='number'>99 % within</th></tr>"
    )
    return f"<section><h3>Versions</h3><div class='scrolls'><table class='wide'>{head}{rows}</table></div></section>"


def _row(variant: Variant, total: float, counted: Endpoint) -> str:
    declared = variant.declared
    traffic = counted.variants.get(declared.name, Traffic())
    failed = counts.failed(traffic.errors)
    form = f" ({escape(declared.format)})" if declared.format != "native" else ""
    compared = ""
    if declared.shadow is not None:
        share = f"<span class='soft'>shadow of {declared.shadow:g} %</span>"
        said = counts.said(traffic.shadow, ("equal", "different", "failed", "dropped")) or "nothing compared yet"
        different = " bad" if traffic.shadow.get("different") or traffic.shadow.get("failed") else ""
        compared = f"<tr class='more'><td></td><td colspan='7' class='soft{different}'>Its answers: {said}.</td></tr>"
    else:
        share = _bar(declared.weight / total)
    return (
        f"<tr><td>{escape(declared.name)}</td><td>{escape(variant.label)}</td>"
        f"<td>{escape(variant.model.platform)}{form}</td><td>{share}</td>"
        f"<td class='number'>{traffic.requests:,}</td><td class='number{' bad' if failed else ''}'>{failed:,}</td>"
        f"<td class='number'>{words.took(traffic.latency.quantile(0.5))}</td>"
        f"<td class='number'>{words.took(traffic.latency.quantile(0.99))}</td></tr>{compared}"
    )


def _bar(share: float) -> str:
    """A share as a bar; a drawing, because the page's policy allows no styles of single elements."""
    return (
        "<span class='share'><svg viewBox='0 0 60 8' aria-hidden='true'>"
        "<rect class='track' width='60' height='8' rx='4'/>"
        f"<rect width='{60 * share:.1f}' height='8' rx='4'/></svg>{words.percent(share)}</span>"
    )
