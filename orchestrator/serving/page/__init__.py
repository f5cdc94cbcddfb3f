"""The page a person sees at `/`: what is served, by which versions, how it answers, and a form to try it.

It needs no network. With JavaScript its numbers follow what happens, and the form answers in place.
"""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from html import escape
from pathlib import Path
from typing import Protocol

from orchestrator.model.signature import Column
from orchestrator.serving import tensors
from orchestrator.serving.capture.captures import Standing
from orchestrator.serving.counts import Endpoint
from orchestrator.serving.host import Host
from orchestrator.serving.hosted import Status, Variant
from orchestrator.serving.page import facts, trial, variants, words

_AUTHORITY = re.compile(r"[A-Za-z0-9._-]+(:[0-9]{1,5})?|\[[0-9a-fA-F:]+\](:[0-9]{1,5})?")
_SHOWN_CATEGORIES = 6


class Capturing(Protocol):
    """Who knows how captures are going."""

    def standing(self, name: str) -> Standing | None: ...


@dataclass(frozen=True, slots=True)
class About:
    """What the page says of the server itself."""

    version: str
    workers: int
    asks_token: bool
    started: float  # On the monotonic clock.
    captures: Capturing | None = None


def render(host: Host, about: About, counted: Mapping[str, Endpoint], called: tuple[str, str]) -> tuple[str, str]:
    """The page and the content security policy it needs; `called` is the scheme and authority of the request."""
    scheme, authority = called
    url = f"{scheme}://{authority}" if _AUTHORITY.fullmatch(authority) else ""
    options = ' -H "Authorization: Bearer $TOKEN"' if about.asks_token else ""
    nonce = secrets.token_urlsafe(16)
    statuses = [status for _, status in sorted(host.endpoints.items())]
    cards = (_card(status, counted.get(status.name, Endpoint()), about.captures, (url, options)) for status in statuses)
    body = "".join(cards) or (_EMPTY if host.is_complete else _LOADING)
    title = words.plural(len(statuses), "endpoint")
    html = (
        "<!doctype html><html lang='en'><meta charset='utf-8'>"
        "<meta name='viewport' content='width=device-width, initial-scale=1'>"
        f"<title>Model server: {title}</title><style nonce='{nonce}'>{_asset('page.css')}</style>"
        f"<main><header><h1>Model server</h1><span class='soft'>{title} from {escape(str(host.state))}</span></header>"
        f"{body}{_footer(about)}</main><script nonce='{nonce}'>{_asset('page.js')}</script></html>"
    )
    policy = (
        f"default-src 'none'; style-src 'nonce-{nonce}'; script-src 'nonce-{nonce}'; connect-src 'self'; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    )
    return html, policy


def _card(status: Status, counted: Endpoint, captures: Capturing | None, called: tuple[str, str]) -> str:
    name, hosted = escape(status.name), status.hosted
    parts = [f"<article id='{name}'>", _live(f"{name}-title", _title(status, counted))]
    if hosted:
        if about := hosted.declaration.spec.metadata.description:
            parts.append(f"<p class='about'>{escape(about)}</p>")
        standing = captures.standing(status.name) if captures else None
        parts.append(_live(f"{name}-versions", variants.table(hosted, counted)))
        says = _live(f"{name}-facts", facts.listed(hosted.declaration, counted, standing))
        left = says + _inputs(hosted.main.model.signature.inputs) + _outputs(hosted.main)
        parts.append(f"<div class='columns'><div>{left}</div><div>{trial.form(hosted, *called)}</div></div>")
    return "".join([*parts, "</article>"])


def _title(status: Status, counted: Endpoint) -> str:
    said = f"{words.plural(counted.requests, 'request')} since the server started"
    if counted.failed:
        said += f", {counted.failed:,} failed"
    if status.in_flight:
        said += f", {status.in_flight:,} under way"
    title = f"<div class='title'><h2>{escape(status.name)}</h2>{_badge(status)}<span class='counts'>{said}</span></div>"
    if status.reason:
        after = " The earlier declaration goes on being served." if status.hosted else ""
        title += f"<p class='reason'>{escape(status.reason)}.{after}</p>"
    return title


def _badge(status: Status) -> str:
    if status.hosted is None:
        return "<span class='badge bad'>not ready</span>"
    if status.unloaded:
        return "<span class='badge quiet'>unloaded</span>"
    if status.hosted.asleep:
        return "<span class='badge quiet'>unloaded until asked</span>"
    return "<span class='badge'>ready</span>"


def _live(name: str, html: str) -> str:
    """A part of the page that is fetched anew every few seconds."""
    return f"<div id='{name}' data-live>{html}</div>"


def _inputs(columns: Iterable[Column]) -> str:
    rows = "".join(
        f"<tr><td><code>{escape(column.name)}</code></td><td>{_kind(column)}</td>"
        f"<td class='short'>{'optional' if column.nullable else 'required'}</td></tr>"
        for column in columns
    )
    head = "<tr><th>Column</th><th>Type</th><th></th></tr>"
    if not rows:
        return "<section><h3>Takes</h3><p class='soft'>Requests of its own kind, no tensors.</p></section>"
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


def _footer(about: About) -> str:
    processes = words.plural(about.workers, "process").replace("processs", "processes")
    guarded = "asks for a token" if about.asks_token else "asks for no token"
    since = words.lasted(time.monotonic() - about.started)
    return (
        "<footer><span><a href='/metrics'>Metrics</a><a href='/v2/health/ready'>Health</a>"
        "<a href='/endpoints'>Endpoints as JSON</a></span>"
        f"<span id='server' data-live>orchestrator {escape(about.version)}, {processes}, {guarded}, "
        f"up for {since}</span>"
        "</footer>"
    )


@cache
def _asset(name: str) -> str:
    return Path(__file__).with_name(name).read_text(encoding="utf-8")


_LOADING = "<article class='empty'><h2>The server is loading its models</h2></article>"
_EMPTY = (
    "<article class='empty'><h2>Nothing is served yet</h2><p class='soft'>A pipeline with a deploy task declares an "
    "endpoint here.</p><pre>orc run pipelines/penguins/pipeline.yaml</pre></article>"
)
