"""What engines say, as they said it: how far a build is, and why one failed."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestrator.images import saying

LOGS = sorted((Path(__file__).parent / "logs").glob("*.log"))


@pytest.mark.parametrize("log", [each for each in LOGS if each.name.startswith("build-")], ids=lambda log: log.stem)
def test_a_build_that_failed_says_why(golden, log):
    failure = saying.failed(log.read_text().splitlines(), ["components/mine/requirements.txt"])
    golden(log.with_suffix(".txt"), f"{failure.message}\nhint: {failure.hint}\n")


@pytest.mark.parametrize("log", [each for each in LOGS if each.name.startswith("push-")], ids=lambda log: log.stem)
def test_a_push_that_failed_says_why(golden, log):
    failure = saying.refused(log.read_text().splitlines(), "docker", "ghcr.io")
    golden(log.with_suffix(".txt"), f"{failure.message}\nhint: {failure.hint}\n")


@pytest.mark.parametrize(
    ("line", "doing"),
    [
        (
            "#12 [builder  7/10] RUN --mount=type=cache /opt/uv/bin/uv venv && sh with.sh uv pip compile -o x",
            "installing packages",
        ),
        ("STEP 12/20: RUN /opt/venv/bin/python prepare.py packages", "compiling packages"),
        ("[2/3] STEP 9/12: COPY code /opt/code", "adding the code"),
        ("#2 [internal] load metadata for docker.io/library/python:3.11", "asking for the base"),
        ("#19 exporting to image", "writing the image"),
        ("#12 3.456 Downloading numpy", ""),
        ("#12 DONE 9.6s", ""),
        ("", ""),
    ],
)
def test_a_line_of_a_log_tells_how_far_it_is(line, doing):
    assert saying.doing(line) == doing
