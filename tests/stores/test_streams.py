"""Files of any size: found by path, folder, pattern and URI, and read line by line wherever they lie."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import fsspec
import pytest
from fsspec.spec import AbstractBufferedFile, AbstractFileSystem

from orchestrator.errors import BackendError, NotFoundError
from orchestrator.stores import streams
from orchestrator.stores.streams import Found

CONTENT = {"/lake/a.csv": b"x\n1\n2\n", "/lake/b.csv.gz": gzip.compress(b"x\n" + b"3\n" * 100_000)}


class _File(AbstractBufferedFile):  # type: ignore[misc]
    """As a file of S3 is: it has no `readline` that stops after a number of bytes."""

    def _fetch_range(self, start: int, end: int) -> bytes:
        return CONTENT[self.path][start:end]


class _Lake(AbstractFileSystem):  # type: ignore[misc]
    protocol = "lake"
    cachable = False

    @classmethod
    def _strip_protocol(cls, path: str) -> str:
        return "/" + path.removeprefix("lake://").strip("/")

    def info(self, path: str, **_: Any) -> dict[str, Any]:
        path = self._strip_protocol(path)
        if path in CONTENT:
            return {"name": path, "size": len(CONTENT[path]), "type": "file"}
        if any(name.startswith(path.rstrip("/") + "/") for name in CONTENT):
            return {"name": path, "size": 0, "type": "directory"}
        raise FileNotFoundError(path)

    def ls(self, path: str, detail: bool = True, **_: Any) -> list[Any]:
        found = [self.info(name) for name in CONTENT]
        return found if detail else [each["name"] for each in found]

    def _open(self, path: str, mode: str = "rb", **_: Any) -> _File:
        return _File(self, path, mode, size=len(CONTENT[path]))


@pytest.fixture
def lake() -> None:
    fsspec.register_implementation("lake", _Lake, clobber=True)


def test_a_file_elsewhere_is_read_line_by_line(lake: None) -> None:
    with streams.opened("lake://lake/a.csv") as (stream, size):
        assert size == 6
        assert [stream.readline(2) for _ in range(3)] == [b"x\n", b"1\n", b"2\n"]
    with streams.opened("lake://lake/b.csv.gz") as (stream, _):
        unpacked = streams.unpacked(stream)
        assert sum(int(line) for line in unpacked if line != b"x\n") == 300_000
    with pytest.raises(BackendError), streams.opened("lake://lake/nothing.csv"):
        pass


def test_files_elsewhere_are_named_below_what_was_asked_for(lake: None) -> None:
    both = [Found("lake:///lake/a.csv", "a.csv"), Found("lake:///lake/b.csv.gz", "b.csv.gz")]
    assert streams.find("lake://lake") == (both, True)
    assert streams.find("lake://lake/*.gz") == (both[1:], True)
    assert streams.find("lake://lake/a.csv") == ([Found("lake://lake/a.csv", "a.csv")], False)


def test_files_of_this_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("one.csv", "deep/two.csv", ".hidden.csv", ".git/three.csv", "odd[1].csv"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("x\n")
    monkeypatch.chdir(tmp_path)

    def names(uri: str) -> list[str]:
        return [each.name for each in streams.find(uri)[0]]

    assert names(".") == names(str(tmp_path)) == ["deep/two.csv", "odd[1].csv", "one.csv"]
    assert names("*.csv") == names(f"{tmp_path}/o*.csv") == ["odd[1].csv", "one.csv"]
    assert names("**/two.csv") == ["deep/two.csv"]
    # A name with a bracket is a name where there is such a file.
    assert streams.find("odd[1].csv") == ([Found("odd[1].csv", "odd[1].csv")], False)
    with pytest.raises(NotFoundError):
        streams.find("n*.csv")
    with pytest.raises(NotFoundError), streams.opened("nothing"):
        pass
