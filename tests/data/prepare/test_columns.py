"""Kinds of columns: text means what it looks like, whoever hands it in; what would be changed silently is refused."""

import datetime
import decimal
import io
from typing import Any

import numpy as np
import pytest
from tests.cases import cases

pd = pytest.importorskip("pandas")

from longtail.data.prepare.columns import (  # noqa: E402
    CATEGORIES,
    column,
    values,
)
from longtail.data.read.tables import cells  # noqa: E402


def text(*cells: str) -> Any:
    return pd.Series(list(cells), dtype=str)


def kind(*cells: str) -> str:
    return column("x", text(*cells)).kind


class TestText:
    @cases(
        ("cells", "expected"),
        [
            (("1", "2.5", "", " -3e-4 ", "+.5"), "number"),
            (("NA", "nan", "NaN", "null", "NULL", "1", "2"), "number"),
            (("True", "false", "", "TRUE"), "boolean"),
            (("2020-01-31", "", "1999-12-01T10:00:00Z", "2020-02-02 03:04:05.5+01:00"), "date"),
            (("a", "b", "a", ""), "category"),
            (("007", "12", "0"), "category"),
            (("9007199254740993", "1", "1"), "category"),
            (("9007199254740992", "1", "1"), "number"),
            (("a", "None", "none"), "category"),
            (("٣", "٤", "٣"), "category"),
            (("0x1f", "1_000", "0x1f"), "category"),
            (("5", "5", "5"), "constant"),
            (("", "NA", ""), "constant"),
            (("5", "", "5"), "number"),
            (("1", "1.0", "1"), "constant"),
        ],
    )
    def test_is_what_every_cell_of_it_is(self, cells: tuple[str, ...], expected: str) -> None:
        assert kind(*cells) == expected

    def test_that_differs_in_every_row_is_left_out_and_noted(self) -> None:
        found = column("id", text(*[f"row {k}" for k in range(20)]))
        assert found.kind == "identifier"
        assert "'id' was left out" in found.note
        assert kind(*[f"row {k}" for k in range(19)]) == "category"
        assert kind(*[f"row {k}" for k in range(20)], "row 0") == "category"
        assert kind(*[f"{k:03d}" for k in range(20)]) == "identifier"
        assert kind(*[str(k) for k in range(20)]) == "number"

    def test_among_numbers_is_a_category_when_it_is_common_and_a_slip_when_it_is_rare(self) -> None:
        mixed = column("ticket", text("A1", "17", "B2", "17", "18"))
        assert mixed.kind == "category"
        assert "mixes numbers (17) and text ('A1')" in mixed.note
        with pytest.raises(
            ValueError,
            match=r"'age' holds 99 numbers and 1 text in row 99 \('\?'\); .* missing='\?' \(--missing '\?'\)",
        ):
            column("age", text(*map(str, range(99)), "?"))
        with pytest.raises(ValueError, match=r"1 text in row 99 \('old'\); correct such cells"):
            column("age", text(*map(str, range(99)), "old"))
        with pytest.raises(ValueError, match=r"'day' holds 60 dates and 2 texts, the first in row 0 \('soon'\)"):
            column("day", text("soon", *["2020-01-01", "2020-01-02"] * 30, "later"))

    def test_codes_are_noted(self) -> None:
        assert "holds codes (007)" in column("x", text("12", "007", "12")).note

    def test_decimal_commas_and_impossible_dates_are_refused(self) -> None:
        with pytest.raises(ValueError, match=r"decimal comma .*decimal point"):
            kind("1,5", "2,25")
        with pytest.raises(ValueError, match="'x' holds a date that does not exist"):
            kind("2021-02-30", "2021-01-01")

    @pytest.mark.parametrize("cell", ["inf", "-Inf", "Infinity", "1e999", "-1e200"])
    def test_infinite_numbers_are_refused_by_name(self, cell: str) -> None:
        with pytest.raises(ValueError, match=r"column 'x' must hold finite numbers, got .*\(1 cell is"):
            kind("1", "2", cell)

    @pytest.mark.parametrize("cell", ["inf", " -Inf", "1e400", "1e200"])
    def test_a_column_of_nothing_else_is_not_taken_for_one_value(self, cell: str) -> None:
        with pytest.raises(ValueError, match=r"column 'x' must hold finite numbers, got .*\(3 cells are"):
            kind(cell, cell, cell)
        assert kind("informal", "informal") == "constant"

    def test_only_the_thousand_most_frequent_categories_are_kept(self) -> None:
        many = [f"c{k}" for k in range(CATEGORIES + 5) for _ in range(2 if k >= 5 else 1)]
        found = column("x", text(*many))
        assert found.categories == tuple(sorted(f"c{k}" for k in range(5, CATEGORIES + 5)))
        assert "1,005 categories; all but the 1,000 most frequent" in found.note


class TestFrames:
    @pytest.mark.parametrize(
        ("series", "expected"),
        [
            (pd.Series([1, 2]), "number"),
            (pd.Series([1.5, np.nan, np.nan]), "number"),
            (pd.array([1, None, 3], dtype="Int64"), "number"),
            (pd.array([1.5, None], dtype="Float32"), "number"),
            (pd.Series([True, False]), "boolean"),
            (pd.array([True, None, False], dtype="boolean"), "boolean"),
            (pd.Series([True, None], dtype=object), "boolean"),
            (pd.to_datetime(["2020-01-01", None, "2021-01-01"]), "date"),
            (pd.to_datetime(["2020-01-01", "2021-01-01"]).tz_localize("Europe/Berlin"), "date"),
            ([datetime.date(2020, 1, 1), None, datetime.date(2021, 1, 1)], "date"),
            ([decimal.Decimal("1.10"), decimal.Decimal("2")], "number"),
            (pd.Categorical([1, 2, 1]), "category"),
            (pd.Categorical([True, False, True]), "category"),
            (pd.Series([2**53 + 1, 1, 1]), "category"),
            (pd.Series([1, "a", None], dtype=object), "category"),
            (pd.Series([1, 2, None], dtype="int64[pyarrow]"), "number"),
            (pd.Series(["a", None, "b"], dtype="string"), "category"),
            (pd.Series([3, 3]), "constant"),
            (pd.Series([np.nan, np.nan]), "constant"),
            (pd.Series([None, None], dtype=object), "constant"),
        ],
        ids=lambda value: str(getattr(value, "dtype", "list")) if not isinstance(value, str) else value,
    )
    def test_types_mean_what_their_text_means(self, series: Any, expected: str) -> None:
        series = pd.Series(series)
        assert column("x", series).kind == expected
        if not isinstance(series.dtype, pd.CategoricalDtype):
            file = io.StringIO(series.to_frame("x").to_csv(index=False))
            written = pd.read_csv(file, dtype=str, keep_default_na=False, skip_blank_lines=False)["x"]
            assert column("x", written) == column("x", series)

    @pytest.mark.parametrize("values", [[[1], [2]], [{"a": 1}, None], [b"x", b"y"], [1j, 2j]])
    def test_nested_and_odd_values_are_refused_by_name(self, values: list[Any]) -> None:
        with pytest.raises(TypeError, match="column 'x' must hold numbers, text, truth values or dates, got"):
            column("x", pd.Series(values))

    def test_durations_are_refused(self) -> None:
        with pytest.raises(TypeError, match="got timedelta64"):
            column("x", pd.Series(pd.to_timedelta([1, 2], unit="D")))

    def test_an_infinite_number_is_refused_by_name(self) -> None:
        with pytest.raises(ValueError, match="column 'x' must hold finite numbers, got -inf"):
            column("x", pd.Series([1.0, -np.inf]))


class TestValues:
    def test_narrow_floats_are_their_shortest_decimal(self) -> None:
        for dtype in (np.float32, "Float32", "float[pyarrow]"):
            series = pd.Series([0.1, 1e-8, 1 / 3], dtype=dtype)
            assert cells.cells("x", series).values.tolist() == [0.1, 1e-8, 0.33333334]

    def test_dates_are_seconds_in_utc_whatever_their_form(self) -> None:
        expected = [datetime.datetime(2020, 1, 1, h, tzinfo=datetime.UTC).timestamp() for h in (0, 12)]
        shown = text("2020-01-01", "2020-01-01T13:00:00+01:00")
        for series in (
            shown,
            pd.Series(pd.to_datetime(["2020-01-01 00:00", "2020-01-01 12:00"])),
            pd.Series(pd.to_datetime(["2020-01-01 00:00", "2020-01-01 12:00"])).astype("datetime64[s]"),
            pd.Series(pd.to_datetime(["2020-01-01 00:00", "2020-01-01 12:00"], utc=True)),
            pd.Series([datetime.datetime(2020, 1, 1), datetime.datetime(2020, 1, 1, 12)], dtype=object),
        ):
            assert values(column("x", shown), series).tolist() == expected

    @pytest.mark.parametrize(
        ("trained", "given", "said"),
        [
            (["1", "2"], ["1", "x"], r"'x' had numbers in the training rows, got text \('x'\)"),
            (["1", "2"], ["007", "2"], r"numbers in the training rows, got text \('007'\)"),
            (["1", "2"], [True, False], "numbers in the training rows, got bool"),
            (["1", "2"], pd.to_datetime(["2020-01-01", "2020-01-02"]), "numbers in the training rows, got datetime64"),
            (["true", "false"], ["1", "2"], "true and false in the training rows"),
            (["true", "false"], [0.5, 1.0], "true and false in the training rows"),
            (["2020-01-01", "2020-01-02"], ["1", "2"], "ISO dates in the training rows"),
            (["2020-01-01", "2020-01-02"], [1, 2], "ISO dates in the training rows"),
            (["007", "012"], [7, 12], r"categories such as '007' in the training rows, got int64 \('7'\)"),
            (["1", "2"], [1.0, np.inf], "finite numbers"),
        ],
    )
    def test_cells_of_another_kind_than_trained_are_refused(self, trained: list[str], given: Any, said: str) -> None:
        with pytest.raises(ValueError, match=said):
            values(column("x", text(*trained)), pd.Series(given))

    def test_cells_that_say_the_same_in_another_type_are_taken(self) -> None:
        number, flag = column("x", text("1", "2")), column("x", text("true", "false"))
        assert values(number, pd.Series([3, 4], dtype=np.int8)).tolist() == [3.0, 4.0]
        assert np.isnan(values(number, pd.Series([None, None], dtype=object))).all()
        assert np.isnan(values(number, pd.Series(pd.array([None, None], dtype="boolean")))).all()
        for same in (["TRUE", "False"], ["1", "0"], [1, 0], [1.0, 0.0], [True, False]):
            assert values(flag, pd.Series(same)).tolist() == [1.0, 0.0]
        grade = column("x", pd.Series(pd.Categorical([1, 2, 3])))
        assert values(grade, pd.Series([1.0, np.nan, 3.0])).tolist() == ["1", "", "3"]
