"""schemathesis asks what the protocols' description says may be asked, and some that it says may not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.specs.openapi import checks

CHECKS = [
    schemathesis.checks.not_a_server_error,
    checks.content_type_conformance,
    checks.response_schema_conformance,
    checks.status_code_conformance,
]
FILE = Path(__file__).parent / "openapi.yaml"
SCHEMA = schemathesis.openapi.from_path(FILE)
OPERATIONS = {each.ok().label: each.ok() for each in SCHEMA.get_all_operations()}
CHECKED = settings(
    max_examples=25, deadline=None, phases=[Phase.explicit, Phase.generate], suppress_health_check=list(HealthCheck)
)
MODES = [schemathesis.GenerationMode.POSITIVE, schemathesis.GenerationMode.NEGATIVE]


# What has no body has nothing to do wrong.
CASES = [(label, mode) for label in OPERATIONS for mode in MODES if label.startswith("POST") or mode is MODES[0]]


@pytest.mark.parametrize(("label", "mode"), CASES, ids=[f"{label}-{mode.name.lower()}" for label, mode in CASES])
def test_every_answer_is_as_described(label: str, mode: Any, served: str) -> None:
    operation = OPERATIONS[label]

    @CHECKED
    @given(case=operation.as_strategy(generation_mode=mode))
    def ask(case: Any) -> None:
        response = case.call(base_url=served)
        assert response.status_code < 500, response.text
        case.validate_response(response, checks=CHECKS)

    ask()
