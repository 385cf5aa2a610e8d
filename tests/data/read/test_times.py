"""A column of times: numbers and dates in one form order the rows; anything else is refused in one line."""

import datetime
from typing import Any

import numpy as np
import pytest
from tests.cases import cases

pd = pytest.importorskip("pandas")
pytest.importorskip("pyarrow")

from longtail.data.read.times import times  # noqa: E402

DAY = 86400.0


def read(*cells: Any) -> Any:
    return times("when", pd.Series(list(cells)))


def seconds(*day: int) -> float:
    return datetime.datetime(*day, tzinfo=datetime.UTC).timestamp()


class TestOrder:
    @cases(
        "cells",
        [
            ("2024-03-01", "2024-03-02"),
            ("2024-03-01T00:00:00Z", "2024-03-02 01:00:00+01:00"),
            ("2024/03/01", "2024/03/02"),
            ("01.03.2024", "02.03.2024"),
            ("Mar 01, 2024", "Mar 02, 2024"),
            ("01-Mar-2024", "02-Mar-2024"),
            ("2024/03/01 00:00", "2024/03/02 00:00"),
        ],
    )
    def test_of_dates_is_seconds_in_utc(self, cells: tuple[str, ...]) -> None:
        found = read(*cells)
        assert found.dates
        assert found.values.tolist() == [seconds(2024, 3, 1), seconds(2024, 3, 2)]
        assert found.text(found.values[0]) == "2024-03-01"

    def test_of_a_frame_and_its_file_is_the_same(self) -> None:
        stamps = pd.date_range("2024-03-01 10:30", periods=3, freq="h", tz="Europe/Berlin")
        found, texts = times("when", pd.Series(stamps)), read(*[stamp.isoformat() for stamp in stamps])
        assert np.array_equal(found.values, texts.values)
        assert found.text(found.values[0]) == "2024-03-01 09:30:00"

    def test_of_numbers_is_their_own(self) -> None:
        assert read("2023", "2024", "2024").values.tolist() == [2023, 2024, 2024]
        assert times("when", pd.Series([3, 1])).values.tolist() == [3, 1]
        assert read("20240301", "20240302").text(20240301.0) == "20240301"
        assert not read("1.5", "2").dates

    def test_a_day_above_twelve_tells_day_from_month(self) -> None:
        assert read("03/04/2024", "03/25/2024").values.tolist() == [seconds(2024, 3, 4), seconds(2024, 3, 25)]
        assert read("03/04/2024", "25/04/2024").values.tolist() == [seconds(2024, 4, 3), seconds(2024, 4, 25)]


@cases(
    ("cells", "line"),
    [
        (("2024-01-01", "soon"), r"must hold numbers, or dates in one form .*, got 'soon' in row 1; write ISO dates"),
        (("a", "b"), r"got 'a' in row 0"),
        (("2024-01-01", "17"), "numbers, or dates in one form"),
        (("2024-01-01", ""), r"'when' must be filled in every row, got none in row 1 \(1 such row\)|got '' in row 1"),
        (("2024-01-01", "NA"), r"must be filled in every row, got none in row 1 \(1 such row\)"),
        (("2024-01-01", "2024-01-01"), "must order the rows, got 2024-01-01 in all 2 of them"),
        (("5", "5.0"), "must order the rows, got 5 in all 2"),
        (("1", "inf"), "must hold finite numbers"),
        (("03/04/2024", "05/04/2024"), "may be day and month or month and day, such as '03/04/2024'; write ISO dates"),
        (("2024-02-30", "2024-02-01"), "holds a date that does not exist"),
        ((1.0, None), "must be filled in every row, got none in row 1"),
        ((pd.Timestamp("2024-01-01"), pd.NaT), "must be filled in every row"),
    ],
)
def test_what_does_not_order_the_rows_is_refused(cells: tuple[Any, ...], line: str) -> None:
    with pytest.raises(ValueError, match=line) as error:
        read(*cells)
    assert "\n" not in str(error.value)
