"""HTML made by others, reduced to what is harmless.

Great Expectations puts column names and cells into its pages unescaped in places, and links to files that are not
there. Known elements keep their class, links become plain text, and any other tag is shown as the text it is.
"""

from __future__ import annotations

from html import escape
from html.parser import HTMLParser
from typing import Any

# fmt: off
KEPT = frozenset({
    "b", "br", "code", "div", "em", "h1", "h2", "h3", "h4", "h5", "h6", "hr", "i", "li", "ol", "p", "pre", "small",
    "span", "strong", "table", "tbody", "td", "th", "thead", "tr", "u", "ul",
})
# fmt: on
_VOID = frozenset({"br", "hr"})
_UNWRAPPED = frozenset({"a", "button"})


def clean(html: str) -> str:
    """The same text and structure without scripts, styles, links and any attribute but `class`."""
    parser = _Cleaner()
    parser.feed(html)
    parser.close()
    return parser.html()


class _Cleaner(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self._parts: list[str] = []
        self._open: list[str] = []

    def html(self) -> str:
        return "".join([*self._parts, *(f"</{tag}>" for tag in reversed(self._open))])

    def set_cdata_mode(self, elem: str, **kwargs: Any) -> None:
        """Do nothing: <script> in a cell is text like any other, and what follows it is not part of it."""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in _UNWRAPPED:
            return
        if tag not in KEPT:
            self.handle_data(self.get_starttag_text() or "")
            return
        classes = dict(attrs).get("class")
        self._parts.append(f'<{tag} class="{escape(classes)}">' if classes else f"<{tag}>")
        if tag not in _VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        self.handle_endtag(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag in _VOID or tag in _UNWRAPPED:
            return
        if tag not in KEPT:
            self.handle_data(f"</{tag}>")
            return
        # A stray end tag closes nothing: otherwise a cell could break out of its place in the page.
        if tag in self._open:
            while (last := self._open.pop()) != tag:
                self._parts.append(f"</{last}>")
            self._parts.append(f"</{tag}>")

    def handle_data(self, data: str) -> None:
        self._parts.append(escape(data))

    def handle_comment(self, data: str) -> None:
        self.handle_data(f"<!--{data}-->")

    def handle_decl(self, decl: str) -> None:
        self.handle_data(f"<!{decl}>")

    def unknown_decl(self, data: str) -> None:
        self.handle_data(f"<![{data}]>")

    def handle_pi(self, data: str) -> None:
        self.handle_data(f"<?{data}>")
