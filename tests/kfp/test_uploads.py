"""Local files on their way to a cluster: to a folder, to an object store; once, whole, and never the secret ones."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from orchestrator.errors import BackendError
from orchestrator.stores import uploads
from tests.kfp import bucket
from tests.kfp.bucket import Bucket
from tests.kfp.conftest import Remote

KEYS = {"AWS_ACCESS_KEY_ID": "t", "AWS_SECRET_ACCESS_KEY": "t", "AWS_DEFAULT_REGION": "us-east-1"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "data with spaces"
    (made / "deep").mkdir(parents=True)
    (made / "a.csv").write_text("1\n")
    (made / "deep" / "ä b.csv").write_text("2\n")
    return made


def test_a_file_and_a_folder_are_put_under_their_digest_once(tmp_path: Path, folder: Path) -> None:
    root = str(tmp_path / "there")
    for path in (folder, folder / "a.csv"):
        content = uploads.content(path)
        uri = content.below(root)
        assert content.digest[:32] in uri
        sent: list[int] = []
        assert uploads.put(content, uri, sent.append) is True
        assert uploads.put(content, uri, sent.append) is False
        assert sum(sent) in (0, content.size)
    there = sorted(each.relative_to(tmp_path / "there").as_posix() for each in tmp_path.glob("there/**/*.csv"))
    assert [each.split("/", 2)[2] for each in there if "deep" in each] == ["data-with-spaces/deep/ä b.csv"]
    assert len(there) == 3


def test_what_was_cut_off_is_sent_again(tmp_path: Path, folder: Path) -> None:
    content = uploads.content(folder)
    uri = content.below(str(tmp_path / "there"))
    uploads.put(content, uri)
    (kept,) = (tmp_path / "there").rglob("a.csv")
    kept.write_text("")
    assert uploads.put(content, uri) is True
    assert kept.read_text() == "1\n"
    assert not [each for each in (tmp_path / "there").rglob("*") if each.suffix not in ("", ".csv")]


def test_a_file_that_changed_since_its_digest_was_taken_is_noticed(tmp_path: Path, folder: Path) -> None:
    path = folder / "a.csv"
    content = uploads.content(path)
    path.write_text("9\n")
    with pytest.raises(BackendError, match="changed meanwhile"):
        uploads.put(content, content.below(str(tmp_path / "there")))
    assert not list((tmp_path / "there").rglob("*.csv"))


@pytest.mark.parametrize("make", ["empty", "pipe", "link"])
def test_what_cannot_be_sent(tmp_path: Path, make: str) -> None:
    path = tmp_path / "odd"
    if make == "empty":
        path.mkdir()
    elif make == "pipe":
        os.mkfifo(path)
    else:
        path.mkdir()
        (path / "gone").symlink_to("nowhere")
    with pytest.raises(BackendError):
        uploads.content(path)


@pytest.fixture
def lake() -> Iterator[Bucket]:
    with bucket.serving() as made:
        yield made


def test_a_run_with_its_files_in_an_object_store(remote: Remote, lake: Bucket) -> None:
    env = {"ORC_KFP_FILES": "s3://lake/files", "AWS_ENDPOINT_URL": lake.url, **KEYS}
    # The tasks of this server are on this machine, where the store is not called s3://: a manifest says what they get.
    first = remote.orc("compile", "pipeline.yaml", "--format", "manifest", "--upload", env=env)
    assert "s3://lake/files/" in first.out
    assert "numbers.csv" in first.out
    again = remote.orc("compile", "pipeline.yaml", "--format", "manifest", "--upload", env=env)
    assert again.out == first.out
    inside = {**env, "ORC_KFP_FILES_IN_CLUSTER": "minio://mlpipeline/files"}
    other = remote.orc("compile", "pipeline.yaml", "--format", "manifest", "--upload", env=inside)
    assert other.out.replace("minio://mlpipeline/files", "s3://lake/files").count("s3://lake/files/") == 2
    assert sorted(key.rpartition("/")[2] for key in lake.names()) == ["a.csv", "b.csv", "numbers.csv"]


def test_an_object_store_that_is_away_or_refuses(remote: Remote, lake: Bucket) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        away = f"http://127.0.0.1:{free.getsockname()[1]}"
    env = {"ORC_KFP_FILES": "s3://lake/files", "AWS_ENDPOINT_URL": away, "AWS_MAX_ATTEMPTS": "1", **KEYS}
    ended = remote.run(code=5, env=env)
    assert "file storage: cannot write s3://lake/files/" in ended.err
    assert "AWS_ENDPOINT_URL" in ended.err
    missing = remote.run(code=5, env={**env, "ORC_KFP_FILES": "s3://nowhere/files", "AWS_ENDPOINT_URL": lake.url})
    assert "file storage: cannot write s3://nowhere/files/" in missing.err
    assert remote.server.runs() == []


def test_local_files_need_a_place(remote: Remote) -> None:
    ended = remote.run(code=1, env={"ORC_KFP_FILES": ""})
    assert "numbers.csv" in ended.err
    assert "kfp_files" in ended.err
    assert max(map(len, ended.err.splitlines())) <= 82
    ended = remote.run(code=1, env={"ORC_KFP_FILES": "s3://key:secret@lake/files"})
    assert "kfp_files holds a password" in ended.err
    assert "secret@" not in ended.text


def test_a_file_that_is_not_there(remote: Remote) -> None:
    ended = remote.run("-a", "source=nowhere.csv", code=4)
    assert f"there is no file '{remote.project.folder / 'nowhere.csv'}'" in ended.err


def test_secrets_are_never_uploaded(remote: Remote) -> None:
    secrets = remote.project.state / "secrets.yaml"
    secrets.parent.mkdir(exist_ok=True)
    secrets.write_text("kind: Secret\n")
    for name in (secrets, secrets.parent):
        ended = remote.run("-a", f"source={name}", code=1)
        assert "is never uploaded" in ended.err
    assert not list((remote.server.folder / "uploaded").rglob("secrets.yaml"))
