"""A file as chunks of records: none is lost, none too large is held, and what is broken costs only itself."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from orchestrator.errors import OrchestratorError
from orchestrator.serving.batch import isolation, records
from orchestrator.serving.batch.isolation import Bad
from orchestrator.serving.batch.plan import Plan
from orchestrator.serving.batch.records import Line


def lines(raw: bytes, plan: Plan | None = None, *, quoted: bool = False) -> list[Line]:
    return list(records.texts(io.BytesIO(raw), plan or Plan(), quoted=quoted))


def test_lines_have_their_numbers_and_blank_ones_are_no_records() -> None:
    found = lines(b'\xef\xbb\xbf{"a": 1}\r\n\n  \n{"a": 2}')
    assert found == [Line(1, b'{"a": 1}'), Line(4, b'{"a": 2}')]


def test_a_line_that_is_too_long_is_one_bad_record_of_which_little_is_held() -> None:
    found = lines(b"a" * 20 + b"\nshort\n" + b"b" * 5_000_000 + b"\nlast\n", Plan(payload=10))
    assert [each.text for each in found if not each.problem] == [b"short", b"last"]
    assert [(each.number, each.problem) for each in found if each.problem] == [
        (1, "the record is larger than 10 bytes"),
        (3, "the record is larger than 10 bytes"),
    ]
    assert max(len(each.text) for each in found) <= 1000
    exact = lines(b"a" * 10 + b"\r\n" + b"b" * 10, Plan(payload=10))
    assert [each.problem for each in exact] == ["", ""]


def test_a_quoted_cell_goes_over_lines_and_a_quote_left_open_costs_its_line_alone() -> None:
    assert lines(b'a,"x\ny"\nb,z\n', quoted=True) == [Line(1, b'a,"x\ny"'), Line(3, b"b,z")]
    assert lines(b'a,"x\nb,y\n') == [Line(1, b'a,"x'), Line(2, b"b,y")]
    found = lines(b'1,"x\n2,y\n3,z\n', quoted=True)
    assert found == [Line(1, b'1,"x', "a double quote is left open"), Line(2, b"2,y"), Line(3, b"3,z")]
    held = b'1,"x\n' + b"2,y\n" * 1000
    assert len(lines(held, Plan(payload=100), quoted=True)) == 1001


def test_blank_lines_and_ends_of_lines_in_a_quoted_cell_are_kept() -> None:
    raw = b'a,b\r\n\r\n1,"one\r\n\r\n  \ntwo"\r\n\n2,x\r\n'
    assert lines(raw, quoted=True) == [Line(1, b"a,b"), Line(3, b'1,"one\r\n\r\n  \ntwo"'), Line(8, b"2,x")]
    # Where the quote is left open they are what they are elsewhere: no records.
    assert lines(b'1,"x\n\n2,y\n', quoted=True) == [Line(1, b'1,"x', "a double quote is left open"), Line(3, b"2,y")]


@example([["one\n\n \ntwo", "\n"]])
@given(st.lists(st.lists(st.text(st.characters(exclude_characters="\r\x00", codec="utf-8")), min_size=2, max_size=2)))
def test_what_a_writer_of_csv_writes_is_read_row_by_row(rows: list[list[str]]) -> None:
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\n").writerows(rows)
    found = [
        next(csv.reader(io.StringIO(each.text.decode(), newline="")))
        for each in lines(text.getvalue().encode("utf-8"), quoted=True)
    ]
    # What is only white is no record; the writer writes such a row bare when its cells are.
    assert found == [row for row in rows if ",".join(row).strip() or len(row) > 1]


@pytest.mark.parametrize(("size", "counts"), [(4, [4, 4, 2]), (10, [10]), (100, [10])])
def test_chunks_are_full_and_know_which_record_is_their_first(tmp_path: Path, size: int, counts: list[int]) -> None:
    table = pa.table({"x": range(10)})
    pq.write_table(table, tmp_path / "t", row_group_size=3)
    text = b"x\n" + b"".join(b"%d\n" % number for number in range(10))
    for raw in ((tmp_path / "t").read_bytes(), text):
        stream = io.BytesIO(raw)
        plan = Plan(size=size)
        source = records.recognised(stream, "t", plan)
        found = list(records.chunks(stream, source, plan))
        assert [len(each) for each in found] == counts
        assert [each.first for each in found] == [1 + sum(counts[:at]) for at in range(len(counts))]
        first, second = found[0].halves()
        assert (len(first), len(second), second.first) == (counts[0] // 2, counts[0] - counts[0] // 2, 1 + len(first))


@pytest.mark.parametrize(
    ("raw", "name", "format", "delimiter"),
    [
        (b"a,b\n1,2\n", "data", "csv", ","),
        (b"a;b\n1;2\n", "data.csv", "csv", ";"),
        (b"a\tb\n1\t2\n", "data.tsv", "csv", "\t"),
        (b'\n{"a": 1}\n', "data", "jsonl", ","),
        (b"[1, 2]\n", "data", "jsonl", ","),
    ],
)
def test_a_format_is_told_by_name_and_content(raw: bytes, name: str, format: str, delimiter: str) -> None:
    source = records.recognised(io.BytesIO(raw), name, Plan())
    assert (source.format, source.delimiter) == (format, delimiter)


def test_what_is_no_table_is_refused_by_name() -> None:
    for raw, said in [
        (b"", "t: the file is empty"),
        (b"\xef\xbb\xbf \n", "t: the file is empty"),
        (b"PAR1 no", "t: not a readable Parquet file"),
        (b"a,b,a\n", "two columns are named 'a'"),
        (b"a,\xff\n", "t:1: the header line is not UTF-8"),
        (b"a," + b"b" * 200_000 + b"\n1,2\n", "t:1: the header line cannot be read: field larger than field limit"),
        (b"a,b\r1,2\r3,4\r", r"t: its lines end with \\r alone"),
    ]:
        with pytest.raises(OrchestratorError, match=said):
            records.recognised(io.BytesIO(raw), "t", Plan())


@given(st.lists(st.booleans(), max_size=40))
def test_bad_records_are_found_and_the_others_predicted_as_without_them(bad: list[bool]) -> None:
    calls = []

    def predict(some: object) -> list[int]:
        assert isinstance(some, list | tuple)
        calls.append(len(some))
        if any(bad[at] for at in some):
            raise ValueError("no")
        return [at * 2 for at in some]

    found = isolation.each(predict, list(range(len(bad))), 3)
    assert found == [Bad("no") if is_bad else at * 2 for at, is_bad in enumerate(bad)]
    if not any(bad):
        assert calls in ([], [len(bad)])


def test_what_is_over_a_moment_later_is_tried_again() -> None:
    failures = [ConnectionError("busy"), ConnectionError("busy")]

    def predict(some: object) -> list[int]:
        if failures:
            raise failures.pop()
        return [1, 2]

    assert isolation.each(predict, ["a", "b"], 2, pause=0) == [1, 2]
    failures = [ConnectionError("busy")] * 5
    found = isolation.each(predict, ["a"], 2, pause=0)
    assert found == [Bad("the model failed: ConnectionError: busy")]
    assert len(failures) == 2


def test_a_model_that_gives_too_few_predictions_is_not_believed() -> None:
    (found,) = isolation.each(lambda some: [], ["a"], 0)
    assert found == Bad("it gave 0 predictions, not 1")
