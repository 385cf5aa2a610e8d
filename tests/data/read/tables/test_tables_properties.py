"""Readers against an independent reading: tables against the csv module, numbers and dates against Python's own."""

import csv
import datetime
import io
import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

pd = pytest.importorskip("pandas")
pytest.importorskip("pyarrow")

from longtail.data.read.tables import cells  # noqa: E402
from longtail.data.read.tables.read import read_table  # noqa: E402

quick = settings(
    max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], derandomize=True
)
CELL = st.text(st.sampled_from("a1é😀 ,;\t|\"'\n\r\\#"), max_size=6) | st.sampled_from(["", "NA", "007", "nan", " "])
RAW = st.text(st.sampled_from('ab1, ;"\n\r'), min_size=1, max_size=40)


@st.composite
def tables(draw: st.DrawFn) -> tuple[list[list[str]], str, str, bool, str]:
    """Rows, the delimiter, the end of lines, whether every cell is quoted, and what may come between lines."""
    width = draw(st.integers(1, 4))
    rows = draw(st.lists(st.lists(CELL, min_size=width, max_size=width), min_size=1, max_size=6))
    end = draw(st.sampled_from(["\n", "\r\n", "\r"]))
    return rows, draw(st.sampled_from(",;\t|^ ")), end, draw(st.booleans()), draw(st.sampled_from(["", end]))


class TestTables:
    @quick
    @given(table=tables(), mark=st.booleans(), last=st.booleans())
    def test_are_read_as_they_were_written(self, tmp_path: Path, table: tuple, mark: bool, last: bool) -> None:
        rows, delimiter, end, all_quoted, blank = table
        # left to itself, the writer does not quote an end of line that is not its own
        all_quoted |= any("\r" in cell or "\n" in cell for row in rows for cell in row)
        header = [f"n{k}" for k in range(len(rows[0]))]
        file = io.StringIO()
        writer = csv.writer(
            file,
            delimiter=delimiter,
            lineterminator=end + blank,
            quoting=csv.QUOTE_ALL if all_quoted else csv.QUOTE_MINIMAL,
        )
        writer.writerows([header, *rows])
        text = file.getvalue()
        text = text if last else text.removesuffix(end + blank)
        path = tmp_path / "t.csv"
        path.write_bytes(text.encode("utf-8-sig" if mark else "utf-8"))
        reading = read_table(path, delimiter=delimiter, header=True)
        assert list(reading.frame.columns) == header
        assert reading.frame.to_numpy().tolist() == rows
        assert any("byte order mark" in note for note in reading.notes) == mark

    @quick
    @given(text=RAW, width=st.integers(1, 3))
    def test_any_text_is_read_as_the_csv_module_reads_it_or_refused(
        self, tmp_path: Path, text: str, width: int
    ) -> None:
        text = ",".join(f"n{k}" for k in range(width)) + "\n" + text
        path = tmp_path / "t.csv"
        path.write_bytes(text.encode())
        expected = [row for row in csv.reader(io.StringIO(text, newline="")) if row][1:]
        # a cell that is closed ends as one also where more text comes behind it
        more = [row for row in csv.reader(io.StringIO(text + "\nend", newline="")) if row][1:]
        closed = more[-1:] == [["end"]] and more[:-1] == expected
        even = all(len(row) == width for row in expected)
        if not (expected and closed and even):
            with pytest.raises(ValueError, match=r"^t\.csv") as refused:
                read_table(path, delimiter=",", header=True)
            assert not expected or "quote is not closed" in str(refused.value) or not even or width == 1
            return
        try:
            frame = read_table(path, delimiter=",", header=True).frame
        except ValueError as error:  # one column, which another delimiter would split evenly
            assert width == 1 and "pass delimiter=" in str(error)  # noqa: PT018, PT017
            return
        assert frame.to_numpy().tolist() == expected

    @quick
    @given(rows=st.lists(st.integers(1, 4), min_size=1, max_size=12), at=st.integers(0, 11))
    def test_the_line_of_an_uneven_row_is_counted_through_cells_of_several_lines(
        self, tmp_path: Path, rows: list[int], at: int
    ) -> None:
        lines = ["a,y", *(f'"{"x" + chr(10) * (size - 1)}",z' for size in rows)]
        at = min(at, len(rows)) + 1
        lines.insert(at, "1,2,3")
        path = tmp_path / "t.csv"
        path.write_text("\n".join(lines) + "\n")
        line = "\n".join(lines[: at + 1]).count("\n") + 1
        with pytest.raises(ValueError, match=rf"must have 2 cells as the first has, got 3 in line {line}, .*'1,2,3'"):
            read_table(path, delimiter=",", header=True)


NUMERAL = st.text(st.sampled_from("0123456789+-.eE_ xXnafiINFty٣"), max_size=8)


def is_number(cell: str) -> bool:
    """The promise: what Python's float takes, but for its underscores, other scripts' digits, nan and codes."""
    bare = cell.strip()
    if not bare.isascii() or "_" in bare or "nan" in bare.lower():
        return False
    try:
        float(bare)
    except ValueError:
        return False
    if re.fullmatch(r"[+-]?[0-9]+", bare):
        return abs(int(bare)) <= 2**53 and (bare.lstrip("+-") == "0" or not bare.lstrip("+-").startswith("0"))
    return True


class TestNumbers:
    @quick
    @given(
        st.lists(
            NUMERAL
            | st.floats(allow_nan=False).map(repr)
            | st.integers(-(2**53) - 5, -(2**53) + 5).map(str)
            | st.integers(2**53 - 5, 2**53 + 5).map(str)
            | st.integers().map(str),
            min_size=1,
            max_size=30,
        )
    )
    def test_are_those_of_python_to_the_last_bit(self, drawn: list[str]) -> None:
        text = pd.Series(drawn, dtype=str)
        found = cells.is_number(text)
        assert dict(zip(drawn, found.tolist(), strict=True)) == {cell: is_number(cell) for cell in drawn}
        expected = [float(cell) for cell in drawn if is_number(cell)]
        assert cells.numbers(text[found]).tolist() == expected
        assert np.allclose(cells.floats(text[found]), expected, rtol=1e-15, atol=0)

    @pytest.mark.parametrize("cell", ["0x1f", "1_000", "nan", "", "1e", "1,5", "٣", "True", "1d", "--1", "1 2", "1e 5"])
    def test_are_not_what_only_looks_so(self, cell: str) -> None:
        assert not cells.is_number(pd.Series([cell], dtype=str)).any()


class TestDates:
    @quick
    @given(
        st.lists(
            st.datetimes(datetime.datetime(1700, 1, 1), datetime.datetime(2200, 1, 1))
            | st.datetimes(
                datetime.datetime(1700, 1, 1),
                datetime.datetime(2200, 1, 1),
                timezones=st.integers(-23, 23).map(lambda h: datetime.timezone(datetime.timedelta(hours=h))),
            ),
            min_size=1,
            max_size=10,
        ),
        st.sampled_from(["T", " "]),
    )
    def test_are_seconds_since_1970_in_utc(self, drawn: list[datetime.datetime], between: str) -> None:
        text = pd.Series([time.isoformat(between) for time in drawn], dtype=str)
        assert cells.is_date(text).all()
        epoch = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
        utc = [time if time.tzinfo else time.replace(tzinfo=datetime.UTC) for time in drawn]
        microseconds = [(time - epoch) // datetime.timedelta(microseconds=1) for time in utc]
        assert cells.dates("d", text).tolist() == [count / 1e6 for count in microseconds]

    @pytest.mark.parametrize(
        "cell", ["2024", "20240101", "2024-1-1", "2024/01/01", "now", "today", "2024-W01-1", "nan", "", "2024-01"]
    )
    def test_are_not_all_that_pandas_would_take(self, cell: str) -> None:
        assert not cells.is_date(pd.Series([cell], dtype=str)).any()
