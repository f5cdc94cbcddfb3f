"""`.dockerignore` as Docker reads it, and what never goes into an image."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

import pytest

from orchestrator.errors import PipelineError
from orchestrator.images import ignore


def ignored(root: Path, path: str) -> bool:
    place = root / path
    place.parent.mkdir(parents=True, exist_ok=True)
    return ignore.is_ignored(PurePosixPath(path), ignore.rules(root, place.parent))


@pytest.mark.parametrize(
    ("text", "out", "kept"),
    [
        ("*.csv", ["a.csv"], ["x/a.csv", "a.csvx"]),
        ("**/*.csv", ["a.csv", "x/a.csv", "x/y/a.csv"], ["a.py"]),
        ("data", ["data/a", "data/x/b", "data"], ["x/data/a", "data2/a"]),
        ("/data/", ["data/a"], ["x/data/a"]),
        ("x/**/z", ["x/z", "x/y/z", "x/a/b/z/t"], ["z", "y/z"]),
        ("a?.py", ["ab.py"], ["a.py", "a/.py"]),
        ("[ab].py", ["a.py"], ["c.py"]),
        ("[^ab].py", ["c.py"], ["a.py"]),
        ("data\n!data/kept.csv", ["data/a"], ["data/kept.csv"]),
        ("*.md\n!README.md\nREADME.md", ["README.md"], []),
        ("# a comment\n\n  tmp  \n", ["tmp/a"], ["# a comment"]),
        ("a+b(c).txt", ["a+b(c).txt"], ["aab(c).txt"]),
    ],
)
def test_a_pattern_names_what_docker_says(tmp_path, text, out, kept):
    (tmp_path / ".dockerignore").write_text(text)
    assert [path for path in out if not ignored(tmp_path, path)] == []
    assert [path for path in kept if ignored(tmp_path, path)] == []


def test_a_file_counts_from_its_own_folder_down(tmp_path):
    (tmp_path / "components" / "x").mkdir(parents=True)
    (tmp_path / ".dockerignore").write_text("**/*.txt\n")
    (tmp_path / "components" / "x" / ".dockerignore").write_text("data\n!kept.txt\n")
    assert ignored(tmp_path, "components/x/data/a")
    assert not ignored(tmp_path, "components/y/data/a")
    assert ignored(tmp_path, "components/x/a.txt")
    assert not ignored(tmp_path, "components/x/kept.txt")


@pytest.mark.parametrize(
    "path",
    [
        *(".git/config", "x/.git/HEAD", ".venv/bin/python", "x/.venv-demo/a", "x/__pycache__/a.pyc", "a.pyc"),
        *(
            "secrets.yaml",
            "x/secrets.yaml",
            ".env",
            ".env.prod",
            ".orc/state.db",
            "x/.mypy_cache/1",
            "pipeline.lock.yaml",
        ),
        *(".aws/credentials", "x/id_rsa", ".dockerignore"),
    ],
)
def test_what_never_goes_in_cannot_be_brought_back(tmp_path, path):
    (tmp_path / ".dockerignore").write_text(f"!{path}\n!**\n")
    assert ignored(tmp_path, path)


@pytest.mark.parametrize("path", ["secrets.py", "environment.py", "git/a.py", "a.py", "data/a.csv", "venvs.py"])
def test_what_only_looks_like_it_stays(tmp_path, path):
    assert not ignored(tmp_path, path)


def test_a_file_that_cannot_be_read_is_told(tmp_path):
    (tmp_path / ".dockerignore").write_bytes(b"\xff\xfe")
    with pytest.raises(PipelineError, match="cannot be read"):
        ignored(tmp_path, "a.py")
