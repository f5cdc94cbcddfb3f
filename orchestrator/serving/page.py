"""The page a person sees at `/`: what is served, by which versions, what it takes, and a form to try it."""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Iterable
from functools import cache
from html import escape
from pathlib import Path

from orchestrator.model.signature import Column
from orchestrator.serving import example, tensors
from orchestrator.serving.host import Host
from orchestrator.serving.hosted import Hosted, Status, Variant

_AUTHORITY = re.compile(r"[A-Za-z0-9._-]+(:[0-9]{1,5})?|\[[0-9a-fA-F:]+\](:[0-9]{1,5})?")
_SHOWN_CATEGORIES = 6


def render(host: Host, authority: str) -> tuple[str, str]:
    """The page and the content security policy it needs; `authority` is how the browser called the server."""
    url = f"http://{authority}" if _AUTHORITY.fullmatch(authority) else ""
    nonce = secrets.token_urlsafe(16)
    statuses = [status for _, status in sorted(host.endpoints.items())]
    body = "".join(_article(status, url) for status in statuses) or _EMPTY
    title = _plural(len(statuses), "endpoint")
    html = (
        "<!doctype html><html lang='en'><meta charset='utf-8'>"
        "<meta name='viewport' content='width=device-width, initial-scale=1'>"
        f"<title>Model server: {title}</title><style nonce='{nonce}'>{_asset('page.css')}</style>"
        f"<main><header><h1>Model server</h1><span class='soft'>{title} from {escape(str(host.state))}</span></header>"
        f"{body}{_FOOTER}</main><script nonce='{nonce}'>{_asset('page.js')}</script></html>"
    )
    policy = (
        f"default-src 'none'; style-src 'nonce-{nonce}'; script-src 'nonce-{nonce}'; connect-src 'self'; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    )
    return html, policy


def _article(status: Status, url: str) -> str:
    hosted = status.hosted
    ready = "<span class='badge'>ready</span>" if hosted else "<span class='badge bad'>not ready</span>"
    counts = f"{_plural(status.served, 'request')} since the server started"
    if status.failed:
        counts += f", {status.failed:,} failed"
    parts = [
        f"<article><div class='title'><h2>{escape(status.name)}</h2>{ready}<span class='counts'>{counts}</span></div>"
    ]
    if status.reason:
        after = " The earlier declaration goes on being served." if hosted else ""
        parts.append(f"<p class='reason'>{escape(status.reason)}.{after}</p>")
    if hosted:
        if about := hosted.declaration.spec.metadata.description:
            parts.append(f"<p class='about'>{escape(about)}</p>")
        left = _variants(hosted) + _inputs(hosted.main.model.signature.inputs) + _outputs(hosted.main)
        parts.append(f"<div class='columns'><div>{left}</div><div>{_trial(hosted, url)}</div></div>")
    return "".join([*parts, "</article>"])


def _variants(hosted: Hosted) -> str:
    total = sum(variant.declared.weight for variant in hosted.variants)
    rows = "".join(
        f"<tr><td>{escape(v.declared.name)}</td><td>{escape(v.label)}</td>"
        f"<td>{escape(v.model.platform)}</td><td class='number'>{v.declared.weight / total:.0%}</td></tr>"
        for v in hosted.variants
    )
    head = "<tr><th>Variant</th><th>Model</th><th>Runs on</th><th class='number'>Traffic</th></tr>"
    return f"<section><h3>Versions</h3><table>{head}{rows}</table></section>"


def _inputs(columns: Iterable[Column]) -> str:
    rows = "".join(
        f"<tr><td><code>{escape(column.name)}</code></td><td>{_kind(column)}</td>"
        f"<td class='short'>{'optional' if column.nullable else 'required'}</td></tr>"
        for column in columns
    )
    head = "<tr><th>Column</th><th>Type</th><th></th></tr>"
    return f"<section><h3>Takes</h3><table>{head}{rows}</table></section>"


def _outputs(variant: Variant) -> str:
    """What comes back, by its datatype in V2 answers."""
    rows = "".join(
        f"<tr><td><code>{escape(name)}</code></td><td>{tensors.datatype(values)}</td>"
        f"<td>{escape(str([-1, *values.shape[1:]]))}</td></tr>"
        for name, values in (variant.outputs or {}).items()
    )
    head = "<tr><th>Output</th><th>Datatype</th><th>Shape</th></tr>"
    return f"<section><h3>Gives</h3><table>{head}{rows}</table></section>" if rows else ""


def _kind(column: Column) -> str:
    if not column.categories:
        return column.type
    shown = ", ".join(escape(str(category)) for category in column.categories[:_SHOWN_CATEGORIES])
    more = len(column.categories) - _SHOWN_CATEGORIES
    return f"{shown} and {more} more" if more > 0 else shown


def _trial(hosted: Hosted, url: str) -> str:
    name = hosted.declaration.name
    records = list(hosted.declaration.example.get("inputs") or hosted.main.model.example)[:1]
    text = json.dumps({"instances": records}, indent=2, ensure_ascii=False)
    curl = escape(example.curl(url, name, records))
    return (
        f"<section><h3>Try it</h3><form action='{escape(example.path(name))}' method='post'>"
        f"<textarea name='body' rows='{text.count(chr(10)) + 1}' spellcheck='false' "
        f"aria-label='Request for {escape(name)}'>{escape(text)}</textarea>"
        "<div class='actions'><button type='submit'>Send</button><span class='note soft'></span></div>"
        "<pre class='result' aria-live='polite' hidden></pre></form></section>"
        "<section><h3>In a shell <button type='button' class='quiet copy'>Copy</button></h3>"
        f"<pre>{curl}</pre></section>"
    )


@cache
def _asset(name: str) -> str:
    return Path(__file__).with_name(name).read_text(encoding="utf-8")


def _plural(count: int, noun: str) -> str:
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


_EMPTY = (
    "<article class='empty'><h2>Nothing is served yet</h2><p class='soft'>A pipeline with a deploy task declares an "
    "endpoint here.</p><pre>orc run pipelines/penguins/pipeline.yaml</pre></article>"
)
_FOOTER = (
    "<footer><a href='/metrics'>Metrics</a><a href='/v2/health/ready'>Health</a>"
    "<a href='/endpoints'>Endpoints as JSON</a></footer>"
)
