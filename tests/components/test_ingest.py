"""Ingest as a process: real files, a real database, a real HTTP server and a real S3 endpoint."""

from __future__ import annotations

import hashlib
import random
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from itertools import chain
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from orchestrator.program import Result

from .conftest import ROOT, Invoke

CSV = "id,name,x\n" + "".join(f"{number},n{number},{number / 4}\n" for number in range(1, 101))


def ids(result: Result, split: str) -> list[int]:
    found: list[int] = pq.read_table(result.artifacts[split])["id"].to_pylist()
    return found


def errors(result: Result) -> str:
    assert "Traceback" not in result.stderr
    assert not result.artifacts
    assert result.stderr.count("error:") == 1
    return result.stderr


def test_penguins_are_split_by_id_the_same_in_any_order(invoke: Invoke, pipelines: Path, tmp_path: Path) -> None:
    source = pipelines / "penguins" / "data" / "penguins.csv"
    shares = {"train": 0.7, "validation": 0.1, "test": 0.2}
    result = invoke("ingest", source=source, key=["id"], split=shares)
    assert (result.code, result.stderr, result.parameters) == (0, "", {"rows": 344})
    first = {split: ids(result, split) for split in shares}
    assert sorted(chain(*first.values())) == list(range(1, 345))
    assert result.metadata["train"] == {
        "rows": len(first["train"]),
        "columns": 9,
        "source_sha256": hashlib.sha256(source.read_bytes()).hexdigest(),
    }
    assert result.stdout.startswith(f"train: {len(first['train'])} rows, 9 columns\n")

    header, *rows = source.read_text().splitlines()
    random.Random(7).shuffle(rows)
    shuffled = tmp_path / "shuffled.csv"
    shuffled.write_text("\n".join([header, *rows[:200]]))
    again = invoke("ingest", source=shuffled, key=["id"], split=shares)
    for split, before in first.items():
        assert set(ids(again, split)) <= set(before)


def test_flights_without_a_label_are_dropped_and_counted(invoke: Invoke, pipelines: Path) -> None:
    source = pipelines / "flights" / "data" / "flights.parquet"
    assert source.stat().st_size < 10_000_000
    assert pq.read_metadata(source).num_rows == 336_776
    result = invoke("ingest", source=source, key=["id"], drop_missing=["late"])
    assert (result.code, result.parameters) == (0, {"rows": 327_346})
    assert "dropped 9,430 of 336,776 rows: no value in 'late'\n" in result.stdout
    train, test = (pq.read_metadata(result.artifacts[split]) for split in ("train", "test"))
    assert abs(train.num_rows / 327_346 - 0.8) < 0.005
    assert train.schema.equals(test.schema)
    assert pq.read_schema(result.artifacts["train"]) == pq.read_schema(source)


def test_a_broken_file_is_one_error_and_nothing_is_written(invoke: Invoke, tmp_path: Path) -> None:
    source = tmp_path / "ragged.csv"
    source.write_text("id,x\n1,2\n2,3,4\n")
    result = invoke("ingest", source=source)
    assert result.code == 1
    assert "error: ragged.csv:3: the row has 3 cells, the header has 2 cells\n  hint:" in errors(result)
    source.write_text("id,x\n")
    assert "ragged.csv: there are no rows" in errors(invoke("ingest", source=source))
    source.write_text(CSV)
    assert "there is no column 'idd'\n  hint: did you mean 'id'?" in errors(
        invoke("ingest", source=source, key=["idd"])
    )


def test_there_is_one_place_to_read_from(invoke: Invoke, tmp_path: Path) -> None:
    assert "there is nothing to read\n  hint: give one of source" in errors(invoke("ingest"))
    (tmp_path / "a.csv").write_text(CSV)
    both = invoke("ingest", source=tmp_path / "a.csv", uri="s3://bucket/key")
    assert "both source and uri are given" in errors(both)
    assert "key: is a list of texts, and 7 is not one" in errors(invoke("ingest", source=tmp_path / "a.csv", key=[7]))


@pytest.fixture
def sales(tmp_path: Path) -> Path:
    path = tmp_path / "sales.db"
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("create table sales (id integer, city text, price real)")
        rows = [(number, "Berlin" if number % 2 else None, number / 4) for number in range(1, 101)]
        connection.executemany("insert into sales values (?, ?, ?)", rows)
    return path


def test_a_query_is_split_like_a_file_with_the_same_keys(invoke: Invoke, tmp_path: Path, sales: Path) -> None:
    (tmp_path / "a.csv").write_text(CSV)
    from_file = ids(invoke("ingest", source=tmp_path / "a.csv", key=["id"]), "train")
    query = "select * from sales where '12:30' <> ':x' order by id desc"
    result = invoke("ingest", query=query, database=f"sqlite:///{sales}", key=["id"])
    assert (result.code, result.parameters) == (0, {"rows": 100})
    assert sorted(ids(result, "train")) == from_file
    assert [str(kind) for kind in pq.read_schema(result.artifacts["train"]).types] == ["int64", "string", "double"]
    by_environment = invoke("ingest", query=query, key=["id"], environment={"DATABASE_URL": f"sqlite:///{sales}"})
    assert sorted(ids(by_environment, "train")) == from_file


def test_no_password_in_an_argument_and_none_in_an_error(invoke: Invoke) -> None:
    query = {"query": "select 1"}
    result = invoke("ingest", database="postgresql://me:hunter2@db/sales", **query)
    assert result.code == 1
    assert "the URL holds a password, and arguments are recorded\n  hint: take it out and set DATABASE_PASSWORD" in (
        errors(result)
    )
    assert "hunter2" not in result.stderr + result.stdout
    secret = {"DATABASE_URL": "nosuch://me:hunter2@db/sales"}
    result = invoke("ingest", environment=secret, **query)
    assert result.code == 5
    assert "hunter2" not in errors(result)
    result = invoke("ingest", uri="https://me:hunter2@host/a.csv")
    assert "uri: holds a password" in errors(result)
    assert "hunter2" not in result.stderr


def test_what_a_database_refuses_is_told(invoke: Invoke, sales: Path, tmp_path: Path) -> None:
    database = f"sqlite:///{sales}"
    result = invoke("ingest", query="select * from sails", database=database)
    assert result.code == 5
    assert "error: sqlite: no such table: sails" in errors(result)
    assert "returns no rows" in errors(invoke("ingest", query="create table t (x)", database=database))
    gone = invoke("ingest", query="select 1", database=f"sqlite:///{tmp_path}/gone.db")
    assert "there is no file" in errors(gone)
    assert not (tmp_path / "gone.db").exists()
    assert "there is no database to ask" in errors(invoke("ingest", query="select 1"))
    assert "not an SQLAlchemy URL" in errors(invoke("ingest", query="select 1", database="sales.db"))
    mixed = invoke("ingest", query="select 1 as a union all select 'x'", database=database)
    assert "column 'a' is not of one type" in errors(mixed)


@contextmanager
def http_server(folder: Path) -> Iterator[str]:
    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder))) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_a_file_behind_http(invoke: Invoke, tmp_path: Path) -> None:
    folder = tmp_path / "served"
    folder.mkdir()
    (folder / "a.csv").write_text(CSV)
    with http_server(folder) as base:
        result = invoke("ingest", uri=f"{base}/a.csv?signature=hunter2", key=["id"])
        assert (result.code, result.parameters) == (0, {"rows": 100})
        gone = invoke("ingest", uri=f"{base}/gone.csv?signature=hunter2")
    assert gone.code == 5
    assert f"error: http: there is no {base}/gone.csv" in gone.stderr
    refused = invoke("ingest", uri=f"{base}/a.csv?signature=hunter2")
    assert f"error: http: cannot read {base}/a.csv: " in refused.stderr
    assert "hunter2" not in gone.stderr + refused.stderr


def test_a_local_path_as_uri(invoke: Invoke, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(CSV)
    assert invoke("ingest", uri=str(tmp_path / "a.csv")).parameters == {"rows": 100}
    assert invoke("ingest", uri=(tmp_path / "a.csv").as_uri()).parameters == {"rows": 100}
    gone = invoke("ingest", uri="a.csv")
    assert "file: there is no a.csv\n  hint: a task runs in a folder of its own" in gone.stderr


def test_an_object_in_s3(invoke: Invoke, tmp_path: Path) -> None:
    server = subprocess.Popen(
        [sys.executable, "-u", "-W", "ignore", "-c", _S3], stdout=subprocess.PIPE, stdin=subprocess.PIPE, text=True
    )
    with server:
        assert server.stdout is not None
        endpoint = server.stdout.readline().strip()
        environment = {
            "AWS_ENDPOINT_URL": endpoint,
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_DEFAULT_REGION": "us-east-1",
        }
        result = invoke("ingest", uri="s3://lake/raw/a.csv", key=["id"], environment=environment)
        gone = invoke("ingest", uri="s3://lake/raw/b.csv", environment=environment)
        server.terminate()
    assert (result.stderr, result.code, result.parameters) == ("", 0, {"rows": 3})
    assert gone.code == 5
    assert "error: s3: there is no s3://lake/raw/b.csv" in gone.stderr


_S3 = """
import logging, socket, sys
import boto3
from moto.server import ThreadedMotoServer
logging.disable()
with socket.create_server(("127.0.0.1", 0)) as free:
    port = free.getsockname()[1]
server = ThreadedMotoServer(ip_address="127.0.0.1", port=port, verbose=False)
server.start()
url = f"http://127.0.0.1:{port}"
s3 = boto3.client("s3", endpoint_url=url, region_name="us-east-1", aws_access_key_id="t", aws_secret_access_key="t")
s3.create_bucket(Bucket="lake")
s3.put_object(Bucket="lake", Key="raw/a.csv", Body=b"id,x\\n1,2\\n2,3\\n7,4\\n")
print(url)
sys.stdin.read()
"""


def test_a_package_that_is_not_installed_is_named(invoke: Invoke) -> None:
    result = invoke("ingest", uri="abfs://lake/a.csv")
    assert result.code == 5
    assert "error: abfs: reading abfs:// needs a package that is not installed: Install adlfs" in result.stderr
    assert "pip install 'orchestrator[remote]'" in result.stderr


def test_reading_a_file_loads_neither_fsspec_nor_sqlalchemy(tmp_path: Path) -> None:
    code = "import sys, components.ingest.__main__; print({'fsspec', 'sqlalchemy', 'pandas'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"
