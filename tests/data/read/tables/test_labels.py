"""The label column: named or usual, class names as written, and what is no class refused."""

from typing import Any

import numpy as np
import pytest
from tests.cases import cases

pd = pytest.importorskip("pandas")

from longtail.data.read.tables import labels  # noqa: E402


def encode(values: Any, **options: Any) -> labels.Labels:
    return labels.encode("y", pd.Series(values), **options)


class TestFind:
    def test_by_name_position_and_place(self) -> None:
        assert labels.find(["a", "kind"], "kind") == ("kind", "")
        columns = ["column1", "column2", "column3"]
        for given, expected in (
            ("2", "column2"),
            (1, "column1"),
            ("last", "column3"),
            ("-1", "column3"),
            (-1, "column3"),
        ):
            assert labels.find(columns, given, header=False)[0] == expected

    def test_none_takes_the_usual_name_or_the_last_and_says_so(self) -> None:
        assert labels.find(["a", "Class", "b"], None) == ("Class", "column 'Class' is taken as the label")
        name, note = labels.find(["column1", "column2"], None, header=False)
        assert name == "column2"
        assert "last column" in note

    def test_a_missing_column_is_refused_with_the_near_name_and_the_list(self) -> None:
        with pytest.raises(ValueError, match=r"got 'speces'; did you mean 'Species'\? columns are 'a', 'Species'"):
            labels.find(["a", "Species"], "speces")
        with pytest.raises(ValueError, match="position from 1 to 2 or last"):
            labels.find(["column1", "column2"], "3", header=False)
        with pytest.raises(ValueError, match=r"'a0'.*'a11' and 18 more"):
            labels.find([f"a{k}" for k in range(30)], "zzz")
        with pytest.raises(ValueError, match="got '2'"):
            labels.find(["a", "b"], "2")

    def test_no_usual_name_or_several_are_refused(self) -> None:
        with pytest.raises(ValueError, match="must be named, since no column is called label, target, class, y"):
            labels.find(["a", "b"], None)
        with pytest.raises(ValueError, match=r"several columns may be the label \(class, target\)"):
            labels.find(["class", "target"], None)


class TestNames:
    @cases("odd", ["nan", "NA", "None", "null", "<b>x</b>", "=1+1", "a\nb", " a", "A", "ß", "inf"])
    def test_any_text_is_a_name_and_twins_are_not_merged(self, odd: str) -> None:
        found = encode(["a", odd, "a", odd])
        assert sorted(found.classes) == sorted(["a", odd])
        assert [found.classes[j] for j in found.targets] == ["a", odd, "a", odd]
        assert found.notes == ()

    def test_numbers_are_sorted_by_value_and_text_as_text(self) -> None:
        assert encode(["10", "9", "-1"]).classes == ("-1", "9", "10")
        assert encode([10, 9, -1]).classes == ("-1", "9", "10")
        assert encode(["b10", "b9"]).classes == ("b10", "b9")
        assert encode([True, False]).classes == ("False", "True")

    def test_the_order_of_a_categorical_and_of_classes_is_kept(self) -> None:
        low = pd.Categorical(["low", "high", "low"], categories=["low", "mid", "high"])
        assert encode(low).classes == ("low", "high")
        found = encode(["a", "b"], classes=["b", "c", "a"])
        assert (found.classes, found.targets.tolist()) == (("b", "c", "a"), [2, 0])
        with pytest.raises(ValueError, match="among the classes, got 'z'"):
            encode(["a", "z"], classes=["a", "b"])
        with pytest.raises(ValueError, match="named once each"):
            encode(["a", "b"], classes=["a", "b", "a"])

    def test_quotes_around_all_names_are_taken_off_and_noted(self) -> None:
        found = encode(["'-1'", "'1'"])
        assert found.classes == ("-1", "1")
        assert "quotes around every value" in found.notes[0]
        assert encode(["'a'", "b"]).classes == ("'a'", "b")
        assert encode(["''", "'a'"]).classes == ("''", "'a'")

    def test_ten_thousand_classes_are_legal(self) -> None:
        names = [f"class {k}" for k in range(10_000)]
        found = encode(names)
        assert len(found.classes) == 10_000
        assert [found.classes[j] for j in found.targets[:50]] == names[:50]


class TestRefusals:
    @pytest.mark.parametrize("empty", ["", None, np.nan, "  "])
    def test_empty_labels(self, empty: Any) -> None:
        with pytest.raises(ValueError, match="label column 'y' is empty in all 3 rows"):
            encode(pd.Series([empty] * 3, dtype=object))
        with pytest.raises(
            ValueError, match=r"empty in 2 of 4 rows, first in row 1; label these rows or take them out"
        ):
            encode(pd.Series(["a", empty, "b", empty], dtype=object))

    def test_one_class(self) -> None:
        with pytest.raises(ValueError, match="at least two classes, got only 'a'"):
            encode(["a", "a"])

    def test_measurements_are_regression(self) -> None:
        for values in (np.linspace(0, 1, 21), np.linspace(0, 1, 21).astype(str), np.repeat(np.linspace(0, 1, 21), 50)):
            with pytest.raises(
                ValueError, match=r"must name classes, got 21 different numbers .* regression; cut them"
            ):
                encode(values)

    @pytest.mark.parametrize("times", [1, 2, 19])
    def test_a_thousand_whole_numbers_are_measurements_unless_they_recur(self, times: int) -> None:
        values = np.tile(np.arange(1000), times)
        for given in (values, values.astype(str), values.astype(float)):
            with pytest.raises(ValueError, match=rf"1,000 different numbers from 0 to 999 in {len(values):,} rows"):
                encode(given)
        assert len(encode(np.tile(np.arange(1000), 20)).classes) == 1000

    def test_an_id_is_told_by_what_it_is_and_not_by_what_cannot_be_tested(self) -> None:
        with pytest.raises(ValueError, match=r"100 different numbers .* in 100 rows, .* numbers of the rows; cut them"):
            encode(np.arange(100))
        with pytest.raises(ValueError, match=r"or write codes of classes as text \(c17\)"):
            encode(np.arange(1000, 1300))

    def test_the_ways_out_are_text_a_categorical_and_named_classes(self) -> None:
        codes = np.tile(np.arange(1500), 2)
        assert len(encode([f"c{k}" for k in codes]).classes) == 1500
        assert encode(pd.Categorical(codes)).classes[:3] == ("0", "1", "2")
        assert len(encode(codes, classes=[str(k) for k in range(1500)]).classes) == 1500

    def test_rings_grades_and_codes_with_many_rows_are_classes(self) -> None:
        assert len(encode(np.arange(20)).classes) == 20
        assert len(encode(np.repeat(np.arange(28), 3)).classes) == 28
        assert len(encode([0.5, 1.0, 1.5, 2.0] * 3).classes) == 4
        assert len(encode(np.repeat(np.arange(100), 500)).classes) == 100  # CIFAR-100
        sizes = np.maximum(5000 * np.arange(1, 8143) ** -0.6, 2).astype(int)  # as many species as iNaturalist 2018
        assert len(encode(np.repeat(np.arange(8142), sizes)).classes) == 8142
        assert len(encode(np.repeat(np.arange(30), 10).astype(float)).classes) == 30
