"""Artifacts: once under their digest, whole or not at all, and never taken for what they are no more."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from orchestrator import digest
from orchestrator.errors import BackendError, NotFoundError
from orchestrator.stores.artifacts import ArtifactStore, is_remote, local_path


@pytest.fixture
def store(tmp_path: Path) -> ArtifactStore:
    return ArtifactStore(tmp_path / "store")


def written(path: Path, text: str = "x") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def test_a_file_is_moved_under_its_digest_and_cannot_be_written(store, tmp_path):
    path = written(tmp_path / "out", "hello")
    kept = store.keep(path, name="out", type="system.Dataset", metadata={"rows": 3})
    assert not path.exists()
    assert kept.path == store.root / kept.digest[:2] / kept.digest[:32] / "out"
    assert (kept.size, kept.metadata) == (5, {"rows": 3})
    assert kept.path.stat().st_mode & 0o222 == 0
    assert store.intact(kept)


def test_a_folder_is_kept_as_one_and_counts_by_names_and_content(store, tmp_path):
    written(tmp_path / "a" / "deep" / "x.txt")
    written(tmp_path / "b" / "deep" / "x.txt")
    written(tmp_path / "c" / "x.txt")
    (tmp_path / "c" / "empty").mkdir()
    a, b, c = (store.keep(tmp_path / name, name="m", type="system.Model") for name in "abc")
    assert a.digest == b.digest != c.digest
    assert (a.path / "deep" / "x.txt").read_text() == "x"
    assert not list(store.root.rglob("copy-*"))
    assert digest.of(a.path) == a.digest


def test_names_with_spaces_and_unicode_and_types_with_suffixes(store, tmp_path):
    kept = store.keep(written(tmp_path / "o"), name="ein % stück?#", type="system.HTML")
    assert kept.path.name == "ein % stück?#.html"
    assert local_path(kept.uri) == kept.path
    assert store.intact(kept)


def test_equal_content_is_kept_once_and_mended_when_it_was_changed(store, tmp_path):
    first = store.keep(written(tmp_path / "one", "same"), name="out", type="t")
    first.path.chmod(0o644)
    first.path.write_text("spoilt")
    assert not store.intact(first)
    second = store.keep(written(tmp_path / "two", "same"), name="out", type="t")
    assert second.path == first.path
    assert second.path.read_text() == "same"
    assert store.intact(first)
    assert store.intact(second)


def test_what_is_gone_changed_or_unreadable_is_not_intact(store, tmp_path):
    kept = store.keep(written(tmp_path / "d" / "x").parent, name="d", type="t")
    os.utime(kept.path / "x", (5, 5))
    assert store.intact(kept)
    (kept.path / "y").write_text("more")
    assert not store.intact(kept)
    (kept.path / "y").unlink()
    assert store.intact(kept)
    (kept.path / "x").unlink()
    (kept.path / "x").symlink_to("nowhere")
    assert not store.intact(kept)


def test_an_adopted_file_stays_where_it_is(store, tmp_path):
    path = written(tmp_path / "my data.csv", "a")
    taken = store.adopt(str(path), type="system.Dataset")
    assert taken.path == path
    assert path.stat().st_mode & 0o200
    assert store.adopt(path.as_uri(), type="system.Dataset") == taken
    path.write_text("b")
    assert not store.intact(taken)


def test_what_cannot_be_adopted_is_told(store, tmp_path):
    with pytest.raises(NotFoundError, match="there is no file"):
        store.adopt(str(tmp_path / "gone"), type="t")
    folder = written(tmp_path / "f" / "x").parent
    (folder / "link").symlink_to("nowhere")
    with pytest.raises(NotFoundError, match="f/link"):
        store.adopt(str(folder), type="t")
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(BackendError, match="neither a file nor a folder"):
        store.adopt(str(tmp_path / "pipe"), type="t")


def test_a_remote_object_is_fetched_once_and_leaves_no_scraps(store, tmp_path):
    import fsspec

    fsspec.filesystem("memory").pipe("/bucket/x.csv", b"remote")
    taken = store.adopt("memory://bucket/x.csv", type="system.Dataset", metadata={"a": 1})
    assert taken.path.read_text() == "remote"
    assert taken.metadata == {"a": 1}
    assert taken.source == "memory://bucket/x.csv"
    with pytest.raises(NotFoundError, match="memory://bucket/gone"):
        store.adopt("memory://bucket/gone", type="t")
    with pytest.raises(BackendError, match="nosuch"):
        store.adopt("nosuch://x/y", type="t")
    assert not list(store.root.glob("fetch-*"))


@pytest.mark.parametrize(
    ("uri", "remote"),
    [("s3://b/x", True), ("https://h/x", True), ("/a/b", False), ("a:b", False), ("file:///x", False), ("x y", False)],
)
def test_what_is_remote(uri, remote):
    assert is_remote(uri) is remote


def test_a_store_that_cannot_be_written_says_so(tmp_path):
    written(tmp_path / "file")
    store = ArtifactStore(tmp_path / "file" / "store")
    with pytest.raises(BackendError, match="cannot keep 'out'"):
        store.keep(written(tmp_path / "out"), name="out", type="t")
    assert (tmp_path / "out").exists()
