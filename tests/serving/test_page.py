"""The page at `/`: what a person reads there, and that nothing on it can run which we did not write."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from orchestrator.serving import counts, declarations, local
from orchestrator.serving.page import words

Ask = Callable[..., Any]
Declare = Callable[..., declarations.Declaration]
HTML = {"accept": "text/html,*/*"}


class _Text(HTMLParser):
    """What is read, and every tag that opens."""

    def __init__(self) -> None:
        super().__init__()
        self.said: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self._hidden = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self._hidden = tag in ("style", "script")

    def handle_endtag(self, tag: str) -> None:
        self._hidden = False

    def handle_data(self, data: str) -> None:
        if not self._hidden:
            self.said.append(data)


def read(html: str) -> tuple[str, list[tuple[str, dict[str, str | None]]]]:
    parser = _Text()
    parser.feed(html)
    return " ".join(" ".join(parser.said).split()), parser.tags


def start(state: Path, declared: declarations.Declaration) -> str:
    local.declare(state, declared)
    url = local.ensure(state).url
    local.wait_ready(url, declared)
    return url


def changed(declared: declarations.Declaration, **spec: Any) -> declarations.Declaration:
    """The declaration with other sections in its file, and a shadow as its last variant."""
    plain = json.loads(declarations.dump(declared))
    plain["variants"][-1] |= {"weight": 0, "shadow": 100}
    plain["spec"]["variants"][-1] = {"name": plain["variants"][-1]["name"], "model": declared.name, "shadow": 100}
    plain["spec"] |= spec
    return declarations.load(json.dumps(plain))


def test_what_it_says_of_a_busy_endpoint(
    state: Path, penguins: Any, declaration: Declare, ask: Ask, tmp_path: Path
) -> None:
    declared = changed(
        declaration("penguins", penguins, penguins, penguins, weights=(3, 1, 0)),
        routing={"key": "x-customer"},
        capture={"to": str(tmp_path / "kept"), "sample": 100},
        batching={"rows": 32, "delay": "1ms"},
    )
    url = start(state, declared)
    body = {"instances": penguins.examples}
    for number in range(8):
        headers = {"x-variant": "v1" if number < 6 else "v2"}
        assert ask(url, "/v1/models/penguins:predict", body, headers=headers).status == 200
    assert ask(url, "/v1/models/penguins:predict", b"{").status == 400

    def shown() -> str:
        return read(ask(url, "/", headers=HTML).text)[0]

    deadline = time.monotonic() + 20
    while not all(text in shown() for text in ("8 equal", "kept 8 of 9 requests")):
        assert time.monotonic() < deadline, shown()
        time.sleep(0.1)
    text = shown()
    assert re.search(r"v1 penguins version 1 scikit-learn 75 % [67] 0 [\d.]+ m?s [\d.]+ m?s", text), text
    assert re.search(r"v2 penguins version 2 scikit-learn 25 % [23] 0 ", text), text
    for said in (
        "penguins ready 9 requests since the server started",
        "v3 penguins version 3 scikit-learn shadow of 100 %",
        "Its answers: 8 equal.",
        "requests with the same x-customer go to the same variant",
        "requests within 1ms are one call, of 32 rows at most",
        "a body of 6Mi, 60s for an answer, 64 at once",
        "Errors 1 with bad input",
        "by the weights v1 v2 v3",
        "asks for no token",
    ):
        assert said in text


def test_nothing_on_it_runs_that_is_not_ours(state: Path, penguins: Any, declaration: Declare, ask: Ask) -> None:
    declared = declaration("penguins", penguins)
    plain = json.loads(declarations.dump(declared))
    plain["spec"]["metadata"]["description"] = "<script>alert(1)</script>"
    plain["example"]["inputs"] = [{**penguins.examples[0], "island": "</textarea><script>alert(2)</script>"}]
    url = start(state, declarations.load(json.dumps(plain)))
    reply = ask(url, "/", headers=HTML)
    policy = reply.headers["content-security-policy"]
    nonce = re.search(r"script-src 'nonce-([^']+)'", policy)
    assert nonce is not None
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy
    text, tags = read(reply.text)
    assert "<script>alert(1)</script>" in text
    assert [attributes for tag, attributes in tags if tag == "script"] == [{"nonce": nonce[1]}]
    for tag, attributes in tags:
        assert not [name for name in attributes if name.startswith("on") or name in ("style", "src")], (tag, attributes)
    assert ask(url, "/", headers=HTML).headers["content-security-policy"] != policy, "a nonce is used once"


@pytest.mark.parametrize(
    ("share", "said"), [(0, "0 %"), (1, "100 %"), (0.333, "33 %"), (0.05, "5 %"), (0.015, "1.5 %"), (0.0004, "0.04 %")]
)
def test_shares(share: float, said: str) -> None:
    assert words.percent(share) == said


def test_latencies_and_times() -> None:
    assert [words.took(each) for each in (None, 0.00041, 0.0123, 1.34)] == ["-", "0.41 ms", "12 ms", "1.34 s"]
    assert [words.lasted(each) for each in (1.2, 61, 7200, 200_000)] == ["1 second", "1 minute", "2 hours", "2 days"]


def test_quantiles_are_prometheus_own() -> None:
    latency = counts.Latency({0.1: 0.0, 0.2: 50.0, 0.4: 100.0, float("inf"): 100.0})
    assert latency.quantile(0.5) == pytest.approx(0.2)
    assert latency.quantile(0.75) == pytest.approx(0.3)
    assert latency.quantile(0.99) == pytest.approx(0.396)
    assert counts.Latency({0.1: 1.0, float("inf"): 2.0}).quantile(0.99) == 0.1
    assert counts.Latency({0.1: 0.0, float("inf"): 0.0}).quantile(0.5) is None
    assert counts.Latency().quantile(0.5) is None
