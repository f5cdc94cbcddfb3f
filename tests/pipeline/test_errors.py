"""Every broken file of tests/errors is refused in the words its header says."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestrator.errors import PipelineError
from orchestrator.pipeline import load

ERRORS = Path(__file__).parent.parent / "errors"
COMPONENTS = Path(__file__).parent.parent / "corpus" / "components"
CASES = sorted(path for path in ERRORS.glob("*.yaml"))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.stem)
def test_tells_what_is_wrong_where_and_how_to_mend_it(case: Path) -> None:
    lines = case.read_text(encoding="utf-8").splitlines()
    expected = [line.removeprefix("# error: ") for line in lines if line.startswith("# error: ")]
    with pytest.raises(PipelineError) as caught:
        load.pipeline(case, [COMPONENTS], name=case.name)
    # Files beside the broken one are told by their whole path, which differs from machine to machine.
    told = str(caught.value).replace(f"{ERRORS}/", "")
    assert told.splitlines() == expected
