"""The table of what `orc check` looks for is that of the code."""

from __future__ import annotations

import re

from orchestrator.portability import RULES, Rule
from orchestrator.portability.rule import CLUSTER, LOCAL
from tests.conftest import Golden
from tests.docs.conftest import DOCS

_SECTION = re.compile(r"(<!-- generated:portability -->\n).*?(<!-- end -->)", re.DOTALL)


def test_the_table_of_rules_is_current(golden: Golden) -> None:
    page = DOCS / "running.md"
    text = page.read_text(encoding="utf-8")
    head = ["| rule | where | | what | what to do |", "|---|---|---|---|---|"]
    table = "".join(f"{line}\n" for line in [*head, *map(_row, RULES)])
    assert len(_SECTION.findall(text)) == 1
    golden(page, _SECTION.sub(lambda match: f"{match[1]}{table}{match[2]}", text))


def _row(rule: Rule) -> str:
    do = "" if rule.do == "nothing" else rule.do
    return f"| {rule.name} | {_where(rule)} | {rule.severity} | {_words(rule.what)} | {_words(do)} |"


def _where(rule: Rule) -> str:
    cluster = "KFP"
    if rule.until:
        cluster = "KFP before {}.{}".format(*rule.until)
    elif rule.since:
        cluster = "KFP since {}.{}".format(*rule.since)
    return ", ".join({CLUSTER: cluster, LOCAL: "local"}[each] for each in rule.on)


def _words(text: str) -> str:
    return re.sub(r"\{(!r)?\}", "…", text).replace("{{$}}", "`{{$}}`").replace("|", "\\|")
