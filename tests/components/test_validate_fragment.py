"""HTML made by others comes out harmless, whatever it was."""

from __future__ import annotations

from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.validate_schema import fragment

# fmt: off
PIECES = st.sampled_from([
    "<", ">", "<script>", "</script>", "<img src=x onerror=a>", "<div class='a\"b'>", "</div>", "<td>", "</td>", "&lt;",
    "<!--", "-->", "<a href='javascript:x'>", "<style>", "<svg/onload=x>", "<![CDATA[", "<?php", "<br/>", "<p", "text",
])
# fmt: on


class _Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag in fragment.KEPT
        assert {name for name, _ in attrs} <= {"class"}
        if tag != "br":
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_comment(self, data: str) -> None:
        raise AssertionError(data)


@given(st.lists(PIECES | st.text(max_size=5)).map("".join))
def test_any_text_becomes_balanced_and_inert(text: str) -> None:
    tags = _Tags()
    tags.feed(fragment.clean(text))
    tags.close()
    assert not tags.open


@pytest.mark.parametrize(
    ("given_", "expected"),
    [
        ("<td><script>x</script></td>", "<td>&lt;script&gt;x&lt;/script&gt;</td>"),
        ('<a href="../s.html">suite</a>', "suite"),
        ('<i class="fas fa-times" onclick="x"></i>', '<i class="fas fa-times"></i>'),
        ("<td>1 &lt; 2</td>", "<td>1 &lt; 2</td>"),
        ("</p>x", "x"),
    ],
)
def test_what_stays_and_what_goes(given_: str, expected: str) -> None:
    assert fragment.clean(given_) == expected
