"""A form that sends a request to an endpoint, and the same for a shell."""

from __future__ import annotations

import json
from html import escape

from orchestrator.serving import example
from orchestrator.serving.hosted import Hosted


def form(hosted: Hosted, url: str, options: str) -> str:
    """`options` are what curl needs to be let in."""
    name = hosted.declaration.name
    records = list(hosted.declaration.example.get("inputs") or hosted.main.model.example)[:1]
    text = json.dumps({"instances": records}, indent=2, ensure_ascii=False)
    rows = text.count("\n") + 1
    return (
        f"<section><h3>Try it</h3><form action='{escape(example.path(name))}' method='post'>"
        f"<textarea name='body' rows='{rows}' spellcheck='false' "
        f"aria-label='Request for {escape(name)}'>{escape(text)}</textarea>"
        f"<div class='actions'><button type='submit'>Send</button>"
        f"<button type='submit' class='second' value='explain'>Explain</button>{_choice(hosted)}"
        "<span class='note soft' role='status'></span></div>"
        "<pre class='result' aria-live='polite' hidden></pre></form></section>"
        "<section><h3>In a shell <button type='button' class='quiet copy'>Copy</button></h3>"
        f"<pre>{escape(example.curl(url, name, records, options=options))}</pre></section>"
    )


def _choice(hosted: Hosted) -> str:
    """Which variant is asked, where there are several."""
    names = [variant.declared.name for variant in hosted.variants]
    if hosted.shadow and hosted.shadow.declared.name not in names:
        names.append(hosted.shadow.declared.name)
    if len(names) < 2:
        return ""
    choices = "".join(f"<option value='{escape(name)}'>{escape(name)}</option>" for name in names)
    return f"<label>by <select name='variant'><option value=''>the weights</option>{choices}</select></label>"
