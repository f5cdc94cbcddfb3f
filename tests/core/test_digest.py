"""Equal content, equal digest; and only then."""

from __future__ import annotations

import hashlib
import os

from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator import digest
from orchestrator.errors import Location, NotFoundError, PipelineError, Problem, did_you_mean


def test_a_file_is_its_bytes(tmp_path):
    (tmp_path / "x").write_bytes(b"abc")
    assert digest.of(tmp_path / "x") == hashlib.sha256(b"abc").hexdigest()
    assert digest.size(tmp_path / "x") == 3


def test_a_folder_is_its_names_and_content(tmp_path):
    def folder(name: str, **files: str):
        for path, text in files.items():
            target = tmp_path / name / path.replace("__", "/")
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(text)
        return digest.of(tmp_path / name)

    assert folder("a", x="1", y="2") == folder("b", y="2", x="1")
    assert folder("c", x="2", y="1") != folder("a")
    assert folder("d", x="12") != folder("e", x="1", y="2")
    assert folder("f", d__x="1") != folder("g", x="1")
    os.utime(tmp_path / "a" / "x", (1, 1))
    (tmp_path / "a" / "empty").mkdir()
    assert digest.of(tmp_path / "a") == digest.of(tmp_path / "b")
    (tmp_path / "a" / "loop").symlink_to(tmp_path / "a")
    assert digest.size(tmp_path / "a") == 2


def test_problems_are_told_once_and_in_order():
    first, second = Problem(Location("f", 1, 2), "a"), Problem(Location("f", 10, 1), "b", "do")
    error = PipelineError([second, first, second])
    assert error.problems == (first, second)
    assert str(error) == "f:1:2: a\nf:10:1: b\n  hint: do"
    assert str(Location("f")) == "f"
    assert [each.exit_code for each in (error, NotFoundError("run", "x"))] == [2, 4]


@settings(max_examples=50, deadline=None)
@given(st.text(max_size=8), st.lists(st.text(max_size=8), max_size=15))
def test_a_hint_names_what_is_known_or_nothing(name, known):
    hint = did_you_mean(name, known)
    assert not hint or any(repr(each) in hint or each in hint for each in known)
