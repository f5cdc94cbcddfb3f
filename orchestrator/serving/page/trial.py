"""A form that sends a request to an endpoint, and the same for a shell."""

from __future__ import annotations

import contextlib
import json
from html import escape

from orchestrator.serving import example
from orchestrator.serving.hosted import Hosted


def form(hosted: Hosted, url: str, options: str) -> str:
    """`options` are what curl needs to be let in."""
    sent = example.sample(hosted.declaration.example) or example.sample({"inputs": list(hosted.main.model.example)})
    if sent is None:
        return ""
    command = escape(example.command(url, hosted.declaration.name, sent, options=options))
    shell = (
        "<section><h3>In a shell <button type='button' class='quiet copy'>Copy</button></h3>"
        f"<pre>{command}</pre></section>"
    )
    return _form(hosted, sent.content_type, _shown(sent.text, sent.content_type)) + shell if sent.text else shell


def _form(hosted: Hosted, content_type: str, text: str) -> str:
    name = hosted.declaration.name
    explain = "<button type='submit' class='second' value='explain'>Explain</button>"
    return (
        f"<section><h3>Try it</h3><form action='{escape(example.path(name))}' method='post' "
        f"data-type='{escape(content_type)}'>"
        f"<textarea name='body' rows='{text.count(chr(10)) + 1}' spellcheck='false' "
        f"aria-label='Request for {escape(name)}'>{escape(text)}</textarea>"
        f"<div class='actions'><button type='submit'>Send</button>"
        f"{explain if hosted.main.model.signature.inputs else ''}{_choice(hosted)}"
        "<span class='note soft' role='status'></span></div>"
        "<pre class='result' aria-live='polite' hidden></pre></form></section>"
    )


def _shown(text: str, content_type: str) -> str:
    """JSON with room between its lines, anything else as it is."""
    if content_type == example.JSON:
        with contextlib.suppress(ValueError):
            return json.dumps(json.loads(text), indent=2, ensure_ascii=False)
    return text


def _choice(hosted: Hosted) -> str:
    """Which variant is asked, where there are several."""
    names = [variant.declared.name for variant in hosted.variants]
    if len(names) < 2:
        return ""
    choices = "".join(f"<option value='{escape(name)}'>{escape(name)}</option>" for name in names)
    return f"<label>by <select name='variant'><option value=''>the weights</option>{choices}</select></label>"
