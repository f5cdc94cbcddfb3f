"""Reading Dataset files: what each format becomes, and one clear error, with its line, for each way to be broken."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.tables import dataset
from components.tables.reading import Reading
from orchestrator.errors import OrchestratorError

from .conftest import ROOT


def columns(raw: bytes, name: str = "data.csv", **reading: Any) -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = dataset.parse(raw, name, Reading(**reading)).to_pydict()
    return found


BROKEN = {
    "empty.csv": (b"", "empty.csv: the file is empty"),
    "blank.csv": (b" \n\n", "blank.csv: the file is empty"),
    "ragged.csv": (b"a,b\n1,2\n3,4,5\n", "ragged.csv:3: the row has 3 cells, the header has 2 cells"),
    "short.csv": (b'a,b\n"x\ny",2\n3\n', "short.csv:4: the row has 1 cell, the header has 2 cells"),
    "quote.csv": (b'a,b\n1,"2\n3,4\n', "quote.csv:2: not valid CSV"),
    "open.csv": (b'a,b\n1,2\n3,"4\n', "open.csv:3: not valid CSV: unexpected end of data"),
    "nothing.jsonl": (b"{}\n{}\n", "nothing.jsonl: there are no columns"),
    "twice.csv": (b"a,b,a\n1,2,3\n", "twice.csv: two columns are named 'a': the 1st and the 3rd"),
    "index.csv": (b",a\n0,1\n", "index.csv: column 1 has no name\n  hint: pandas writes its index like this"),
    "latin.csv": ("a,b\n1,ok\n2,año\n".encode("latin-1"), "latin.csv:3: byte 0xf1 is not UTF-8"),
    "header.csv": ("año,b\n1,2\n".encode("latin-1"), "header.csv:1: byte 0xf1 is not UTF-8"),
    "binary.csv": (b"\x7fELF\n\x00\x01", "binary.csv:2: not a text file"),
    "cut.csv.gz": (gzip.compress(b"a,b\n1,2\n" * 99)[:-9], "cut.csv.gz: the gzip file is damaged"),
    "cut.parquet": (b"PAR1 and nothing else", "cut.parquet: not a readable Parquet file"),
    "fake.parquet": (b"a,b\n1,2\n", "fake.parquet: not a readable Parquet file"),
    "array.json": (b'[{"a": 1}]', "array.json:1: the file is one JSON array\n  hint: turn it into JSON Lines"),
    "syntax.jsonl": (b'{"a": 1}\n{"a": }\n', "syntax.jsonl:2: not valid JSON: Expecting value at column 7"),
    "number.jsonl": (b'{"a": 1}\n7\n', "number.jsonl:2: expected a JSON object\n  hint"),
    "types.jsonl": (b'{"a": 1}\n{"a": null}\n{"a": "x"}\n', "column 'a' holds text, but a number in line 1"),
    "nested.jsonl": (b'{"a": {"b": 1}}\n', "nested.jsonl: column 'a' holds objects"),
    "list.jsonl": (b'{"a": [1]}\n', "list.jsonl: column 'a' holds lists"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_file_is_one_error_with_its_place(name: str) -> None:
    raw, message = BROKEN[name]
    with pytest.raises(OrchestratorError) as caught:
        dataset.parse(raw, name)
    assert message in str(caught.value)
    assert "\n" not in caught.value.message


@given(st.binary(max_size=200), st.sampled_from(["x.csv", "x.jsonl", "x.parquet", "x"]))
def test_any_bytes_are_a_table_or_an_error_a_person_can_read(raw: bytes, name: str) -> None:
    said = ""
    try:
        columns = dataset.parse(raw, name).num_columns
    except OrchestratorError as error:
        columns, said = 0, str(error)
    assert columns or said.startswith(f"{name}:")


def test_types_are_inferred_from_the_whole_file() -> None:
    late = b"n,t\n" + b"1,a\n" * 500_000 + b"1.5,b\n"
    table = dataset.parse(late, "late.csv")
    assert table.schema.types == [pa.float64(), pa.string()]


def test_csv() -> None:
    raw = '\ufeffid;when;day;name;ok\r\n1;2013-01-01 10:00:00;2013-01-01;"a;b";true\r\n2;;;NA;\r\n'.encode()
    assert columns(raw) == {
        "id": [1, 2],
        "when": [datetime(2013, 1, 1, 10), None],  # noqa: DTZ001
        "day": [datetime(2013, 1, 1), None],  # noqa: DTZ001
        "name": ["a;b", None],
        "ok": [True, None],
    }


def test_the_words_for_missing_and_the_types_can_be_said() -> None:
    raw = b"country,zip\nNA,01234\n-,99999\n"
    assert columns(raw)["zip"] == [1234, 99999]
    found = columns(raw, missing=("-",), types={"zip": "string"})
    assert found == {"country": ["NA", None], "zip": ["01234", "99999"]}


@pytest.mark.parametrize(
    ("reading", "message"),
    [
        (Reading(types={"b": "integer"}), "data.csv: column 'b' cannot be read as integer"),
        (Reading(types={"c": "integer"}), "data.csv: there is no column 'c'"),
        (Reading(types={"a": "int"}), "types: 'a' cannot be 'int'"),
        (Reading(format="cvs"), "there is no format 'cvs'\n  hint: did you mean 'csv'?"),
        (Reading(delimiter="||"), "the delimiter is one character"),
    ],
)
def test_a_wrong_way_of_reading_is_refused(reading: Reading, message: str) -> None:
    with pytest.raises(OrchestratorError) as caught:
        dataset.parse(b"a,b\n1,x\n", "data.csv", reading)
    assert message in str(caught.value)


ROWS = {"id": [1, 2, 3], "x": [0.5, None, float("inf")], "name": ["a", None, "ñ"], "ok": [True, None, False]}


@pytest.mark.parametrize("name", ["data.parquet", "digest-without-ending"])
def test_parquet_is_told_by_its_magic_bytes(tmp_path: Path, name: str) -> None:
    dataset.write(pa.table(ROWS), tmp_path / name)
    assert dataset.read(tmp_path / name).to_pydict() == ROWS


@pytest.mark.parametrize("name", ["data.jsonl", "data.ndjson.gz", "digest-without-ending"])
def test_json_lines(tmp_path: Path, name: str) -> None:
    lines = '{"id": 1, "x": 0.5, "name": "a"}\n\n{"id": 2, "name": "ñ"}\n'.encode()
    (tmp_path / name).write_bytes(gzip.compress(lines) if name.endswith(".gz") else lines)
    assert dataset.read(tmp_path / name).to_pydict() == {"id": [1, 2], "x": [0.5, None], "name": ["a", "ñ"]}


def test_columns_become_plain_whatever_the_writer_chose(tmp_path: Path) -> None:
    from decimal import Decimal

    written = pa.table(
        {
            "category": pa.array(["a", "b", "a"]).dictionary_encode(),
            "price": pa.array([Decimal("1.50"), None, Decimal("2.25")]),
            "nan": pa.array([1.0, float("nan"), 2.0], pa.float32()),
            "large": pa.array(["x", "y", None], pa.large_string()),
            "nothing": pa.nulls(3),
        }
    )
    pq.write_table(written, tmp_path / "t.parquet")
    table = dataset.read(tmp_path / "t.parquet")
    assert table.schema.types == [pa.string(), pa.float64(), pa.float32(), pa.string(), pa.string()]
    assert table["nan"].to_pylist() == [1.0, None, 2.0]


def test_equal_tables_are_equal_bytes(tmp_path: Path) -> None:
    chunked = pa.concat_tables([pa.table(ROWS).slice(0, 1), pa.table(ROWS).slice(1)]).combine_chunks()
    dataset.write(pa.table(ROWS), tmp_path / "one")
    dataset.write(chunked, tmp_path / "two")
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


def test_a_disk_that_takes_no_more_is_told(tmp_path: Path) -> None:
    # A limit on the size of files stands for a full disk. In a process of its own, because it cannot be lifted again.
    code = """if True:
        import resource, sys
        from pathlib import Path
        import pyarrow as pa
        from components.tables import dataset
        from orchestrator.errors import BackendError
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
        try:
            dataset.write(pa.table({"n": [number * 7919 % 10007 for number in range(9999)]}), Path(sys.argv[1]))
        except BackendError as error:
            print(error)
    """
    command = [sys.executable, "-c", code, str(tmp_path / "large.parquet")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == f"disk: cannot write {tmp_path}/large.parquet: File too large\n"


def test_a_folder_and_an_unreadable_file_are_refused(tmp_path: Path) -> None:
    with pytest.raises(OrchestratorError, match="is a folder"):
        dataset.read(tmp_path)
    with pytest.raises(OrchestratorError, match=r"gone\.csv: cannot be read: No such file"):
        dataset.read(tmp_path / "gone.csv")


@given(st.lists(st.fixed_dictionaries({"n": st.integers(-(2**63), 2**63 - 1), "t": st.text()}), min_size=1))
def test_json_lines_keep_every_value(rows: list[dict[str, Any]]) -> None:
    raw = "\n".join(json.dumps(row) for row in rows).encode()
    table = dataset.parse(raw, "x.jsonl", Reading(types={"t": "string"}))
    if pa.types.is_string(dataset.parse(raw, "x.jsonl").schema.field("t").type):
        assert table.to_pylist() == rows
