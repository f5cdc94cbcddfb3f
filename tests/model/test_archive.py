"""Tars that were made to do harm do none, and are refused in words."""

from __future__ import annotations

import gzip
import io
import os
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from orchestrator.errors import OrchestratorError
from orchestrator.model import archive

Add = Callable[[tarfile.TarFile], None]


def packed(path: Path, *adds: Add) -> Path:
    with tarfile.open(path, "w:gz") as tar:
        for add in adds:
            add(tar)
    return path


def file(name: str, content: bytes = b"x", **more: object) -> Add:
    def add(tar: tarfile.TarFile) -> None:
        member = tarfile.TarInfo(name)
        member.size = len(content)
        for key, value in more.items():
            setattr(member, key, value)
        tar.addfile(member, io.BytesIO(content))

    return add


def link(name: str, target: str, kind: bytes = tarfile.SYMTYPE) -> Add:
    return file(name, b"", type=kind, linkname=target)


def test_files_come_out_as_they_went_in(tmp_path: Path) -> None:
    source = packed(
        tmp_path / "model.tar.gz",
        file("./code/inference.py", b"import os"),
        file("weights.bin", b"\0\1" * 5000),
        file("code/__pycache__/inference.pyc"),
        file("._weights.bin"),
        link("latest.bin", "weights.bin"),
        link("code/again.bin", "weights.bin", tarfile.LNKTYPE),
    )
    archive.unpack(source, tmp_path / "out")
    found = {path.relative_to(tmp_path / "out").as_posix() for path in (tmp_path / "out").rglob("*") if path.is_file()}
    assert found == {"code/inference.py", "weights.bin", "latest.bin", "code/again.bin"}
    # A link within the archive is a file of its own: nothing that is loaded later leads anywhere else.
    assert not (tmp_path / "out" / "latest.bin").is_symlink()
    assert (tmp_path / "out" / "latest.bin").read_bytes() == b"\0\1" * 5000


@pytest.mark.parametrize(
    ("add", "said"),
    [
        (file("../evil.py"), "lies outside"),
        (file("code/../../evil.py"), "lies outside"),
        (file("/tmp/evil.py"), "lies outside"),
        (file("..\\evil.py"), "lies outside"),
        (link("passwords", "/etc/passwd"), "a link to '/etc/passwd'"),
        (link("up", "../../etc"), "a link to"),
        (link("hard", "/etc/passwd", tarfile.LNKTYPE), "a link to"),
        (link("self", "self"), "a link to"),
        (file("pipe", b"", type=tarfile.FIFOTYPE), "neither a file nor a folder"),
        (file("disk", b"", type=tarfile.BLKTYPE), "neither a file nor a folder"),
    ],
)
def test_nothing_leads_outside(tmp_path: Path, add: Add, said: str) -> None:
    source = packed(tmp_path / "model.tar.gz", file("good.py"), add)
    with pytest.raises(OrchestratorError, match=said):
        archive.unpack(source, tmp_path / "deep" / "out")
    outside = [path for path in tmp_path.rglob("*") if path.is_file() and "out" not in path.parts]
    assert outside == [source]


def test_a_folder_that_was_a_link_is_not_written_through(tmp_path: Path) -> None:
    (tmp_path / "aim").mkdir()
    source = packed(tmp_path / "model.tar", link("code", str(tmp_path / "aim")), file("code/evil.py"))
    with pytest.raises(OrchestratorError, match="a link to"):
        archive.unpack(source, tmp_path / "out")
    assert list((tmp_path / "aim").iterdir()) == []


def test_a_bomb_ends_at_the_limit(tmp_path: Path) -> None:
    source = packed(tmp_path / "bomb.tar.gz", *(file(f"{number}.bin", bytes(1_000_000)) for number in range(30)))
    assert source.stat().st_size < 100_000
    with pytest.raises(OrchestratorError, match="more than 2,000,000 bytes"):
        archive.unpack(source, tmp_path / "out", largest=2_000_000)
    assert sum(path.stat().st_size for path in (tmp_path / "out").iterdir()) <= 2_000_000
    with pytest.raises(OrchestratorError, match="more than 5 files"):
        archive.unpack(source, tmp_path / "more", most=5)


def test_the_same_name_twice_is_refused(tmp_path: Path) -> None:
    with pytest.raises(OrchestratorError, match="twice"):
        archive.unpack(packed(tmp_path / "model.tar.gz", file("a.py"), file("./a.py", b"y")), tmp_path / "out")


@pytest.mark.parametrize("content", [b"", b"no tar at all", gzip.compress(b"neither is this", mtime=0)])
def test_what_is_no_tar_is_told(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "model.tar.gz").write_bytes(content)
    with pytest.raises(OrchestratorError, match="cannot be unpacked"):
        archive.unpack(tmp_path / "model.tar.gz", tmp_path / "out")


def test_a_tar_that_was_cut_off_is_told(tmp_path: Path) -> None:
    whole = packed(tmp_path / "model.tar.gz", file("a.bin", os.urandom(100_000)))
    whole.write_bytes(whole.read_bytes()[:50_000])
    with pytest.raises(OrchestratorError, match="cannot be unpacked"):
        archive.unpack(whole, tmp_path / "out")
