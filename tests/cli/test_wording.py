"""Times, sizes and values as a person reads them."""

from __future__ import annotations

import pytest

from orchestrator.cli import wording
from orchestrator.runners.events import Status


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (None, ""),
        (0, "0.0 s"),
        (-3, "0.0 s"),
        (0.44, "0.4 s"),
        (9.94, "9.9 s"),
        (9.96, "10 s"),
        (12.4, "12 s"),
        (59.6, "1 min"),
        (60, "1 min"),
        (123, "2 min 3 s"),
        (3599, "59 min 59 s"),
        (3600, "1 h"),
        (3900, "1 h 5 min"),
        (86400, "1 d"),
        (273600, "3 d 4 h"),
        (86400 * 400, "400 d"),
    ],
)
def test_durations(seconds: float | None, text: str) -> None:
    assert wording.duration(seconds) == text


@pytest.mark.parametrize(
    ("bytes_", "text"),
    [(0, "0 B"), (812, "812 B"), (4120, "4.1 KB"), (23_400_000, "23 MB"), (999_900, "1.0 MB"), (4e12, "4.0 TB")],
)
def test_sizes(bytes_: int, text: str) -> None:
    assert wording.size(bytes_) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (True, "true"),
        (3, "3"),
        (3.0, "3"),
        (0.83124999, "0.8312"),
        (0.00001, "1e-05"),
        (0.0, "0"),
        (float("nan"), "nan"),
        ("two\nlines", "two lines"),
        ([1, "a"], '[1, "a"]'),
        (None, "null"),
    ],
)
def test_values(value: object, text: str) -> None:
    assert wording.value(value) == text


def test_a_terminal_cannot_be_rewritten_by_what_a_task_says() -> None:
    assert "\x1b" not in wording.printable("\x1b[2Jgone\x07")


def test_every_status_has_a_look_of_its_own() -> None:
    assert set(wording.LOOKS) == set(Status)
    assert len({look.symbol for look in wording.LOOKS.values()}) == len(Status)
    assert all(look.plain.isascii() for look in wording.LOOKS.values())
    assert wording.look("INTERRUPTED").words == "interrupted"
    assert wording.look("NEWER").words == "newer"
