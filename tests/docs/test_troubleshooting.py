"""What the page of troubles quotes is printed by our programs, word by word, so that a search for it finds it."""

from __future__ import annotations

import pytest

from tests.docs import markdown, messages
from tests.docs.conftest import DOCS
from tests.docs.markdown import Block

QUOTED = [block for block in markdown.blocks(DOCS / "troubleshooting.md") if block.language == "text"]
# Of Helm, kubectl, MLflow, Argo and Kubeflow Pipelines: no code of ours says whether they still say it.
OURS = [block for block in QUOTED if block.marks != ("foreign",)]


@pytest.mark.parametrize("block", OURS, ids=lambda block: str(block.line))
def test_a_message_is_printed_by_our_code(block: Block) -> None:
    assert [line for line in block.text.splitlines() if not messages.is_printed(line)] == []


def test_the_page_is_about_our_own_messages() -> None:
    assert len(OURS) > 3 * (len(QUOTED) - len(OURS))


@pytest.mark.parametrize(
    "line",
    [
        "error: Kubernetes: no cluster is to be found: ...",
        "error: a cluster does not see files of this computer; these have to be uploaded:",
        "container main was killed: it used more memory than its share of 4Gi",
    ],
)
def test_a_message_that_nobody_prints_is_seen(line: str) -> None:
    assert not messages.is_printed(line)
