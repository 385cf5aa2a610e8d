"""Columns that hold nothing or the answer, and names that are twins."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from longtail.data import Pool, pool, split
from longtail.inspection import class_names, inspection, leakage
from longtail.inspection.columns import Column, constant, of_features


def numbers(*columns: np.ndarray) -> list[Column]:
    return of_features(np.stack(columns, axis=1))


def rare(n: int = 2000, share: float = 0.02, seed: int = 0) -> tuple[np.ndarray, np.random.Generator]:
    generator = np.random.default_rng(seed)
    return (generator.random(n) < share).astype(np.int64), generator


class TestConstantColumns:
    def test_999_of_1000_is_near_constant_and_998_is_not(self) -> None:
        columns = [np.zeros(1000) for _ in range(3)]
        columns[1][0] = 1
        columns[2][:2] = 1
        assert constant(numbers(*columns)) == [
            {"name": "feature 0", "share": 1.0},
            {"name": "feature 1", "share": 0.999},
        ]

    def test_missing_is_a_value(self) -> None:
        missing = np.full(2000, np.nan)
        missing[7] = 3.0
        assert constant(numbers(missing)) == [{"name": "feature 0", "share": 0.9995}]
        assert constant([Column("c", np.full(50, -1), False)])[0]["share"] == 1.0

    def test_two_values_by_turns_are_none(self) -> None:
        assert constant(numbers(np.arange(4000) % 2, np.arange(4000) // 2000)) == []


class TestLeakingColumns:
    def test_the_label_in_disguise_is_found_however_rare_the_class(self) -> None:
        for share in (0.5, 0.02, 0.008):
            y, generator = rare(5000, share)
            disguises = numbers(
                y * 1.0,
                -3.5 * y + generator.normal(0, 0.01, len(y)),  # a number near it
                np.where(y == 1, generator.normal(size=len(y)), np.nan),  # known for positives only
                np.abs(generator.normal(size=len(y))) * np.where(y == 1, 0, 1),
            )
            assert {c["name"] for c in leakage.leaking_columns(disguises, y)} == {f"feature {j}" for j in range(4)}

    def test_categories_are_read_as_values(self) -> None:
        y, generator = rare(5000, 0.1)
        codes = generator.integers(0, 20, len(y)) * 2 + y
        found = leakage.leaking_columns([Column("code", codes, False), Column("other", codes // 2, False)], y)
        assert found == [{"name": "code", "balanced_accuracy": 1.0}]

    def test_a_rare_class_and_noise_are_no_leak(self) -> None:
        """The largest class alone is 99.5 % accuracy, and a mean recall of one half."""
        for seed in range(20):
            y, generator = rare(4000, 0.005, seed)
            noise = [
                generator.normal(size=len(y)),
                generator.integers(0, 2, len(y)),
                np.zeros(len(y)),
                np.arange(len(y)),
            ]
            assert leakage.leaking_columns(numbers(*noise), y) == []

    def test_a_strong_honest_column_is_no_leak(self) -> None:
        """Two normal classes whose best mean recall is 0.95, from 100 to 500 rows: at most one alarm in fifty."""
        alarms = 0
        for seed in range(100):
            y, generator = rare(int(100 + 4 * seed), 0.2, seed)
            alarms += len(leakage.leaking_columns(numbers(y * 3.29 + generator.normal(size=len(y))), y))
        assert alarms <= 2

    def test_an_identifier_teaches_nothing_unless_it_follows_the_classes(self) -> None:
        y, generator = rare(3000, 0.1)
        by_class = np.argsort(np.argsort(y, kind="stable")).astype(float)
        assert leakage.leaking_columns(numbers(generator.permutation(len(y)).astype(float)), y) == []
        assert len(leakage.leaking_columns(numbers(by_class), y)) == 1
        assert leakage.leaking_columns([Column("id", np.arange(len(y)), False)], y) == []

    def test_too_few_rows_are_not_judged(self) -> None:
        y = np.repeat([0, 1], [90, 9])
        assert leakage.leaking_columns(numbers(y * 1.0), y) == []
        y = np.repeat([0, 1], [90, 10])
        assert len(leakage.leaking_columns(numbers(y * 1.0), y)) == 1

    def test_in_wide_data_and_with_many_classes_too(self) -> None:
        generator = np.random.default_rng(0)
        y = generator.integers(0, 50, 4000)
        X = generator.normal(size=(4000, 400))
        X[:, 123] = y
        assert [c["name"] for c in leakage.leaking_columns(of_features(X), y)] == ["feature 123"]

    def test_the_sample_keeps_rare_classes_whole(self) -> None:
        y = np.repeat([0, 1, 2], [50_000, 30_000, 12])
        rows, half = leakage.stratified_halves(y, 20_000) or (np.empty(0), np.empty(0))
        assert np.bincount(y[rows]).tolist() == [9994, 9994, 12]
        assert abs(int(half.sum()) * 2 - len(half)) <= 2
        again = leakage.stratified_halves(y, 20_000)
        assert again is not None
        assert np.array_equal(again[0], rows)


class TestTables:
    def planted(self) -> Pool:
        pd = pytest.importorskip("pandas")
        y, generator = rare(1000, 0.1)
        frame = pd.DataFrame(
            {
                "amount": generator.normal(size=1000).round(6),
                "still": ["same"] * 1000,
                "opened": pd.date_range("2024-01-01", periods=1000).astype(str),
                "reason": np.where(y == 1, "chargeback", np.where(generator.random(1000) < 0.5, "none", "")),
                "name": [f"customer {i}" for i in range(1000)],
                "label": np.where(y == 1, "fraud", "fine"),
            }
        )
        frame.loc[6, ["amount", "opened", "reason", "label"]] = frame.loc[5, ["amount", "opened", "reason", "label"]]
        return pool(frame, label="label")

    def test_planted_problems_are_each_found(self) -> None:
        data = self.planted()
        found = inspection(data, split(data))
        assert found["kind"] == "table"
        assert "on tables boosted trees are usually ahead" in found["advice"][-2]["why"]
        assert [c["name"] for c in found["columns"]["constant"]] == ["still"]
        assert [c["name"] for c in found["columns"]["leaking"]] == ["reason"]
        # the copies differ in a name that identifies the row, which no training sees
        assert found["duplicates"]["examples"] == [["row 5", "row 6"]]
        assert any("1 column alone predicts the class: 'reason' (100.0 %)" in line for line in found["findings"])
        assert found["advice"][0]["about"] == "leaking-columns"

    @pytest.mark.slow
    def test_the_same_rows_in_a_file_give_the_same_findings(self, tmp_path: object) -> None:
        pytest.importorskip("datasets")
        data = self.planted()
        frame = data.rows.frame.assign(label=np.array(data.classes)[data.targets.numpy()])  # type: ignore[union-attr]
        path = f"{tmp_path}/planted.csv"
        frame.to_csv(path, index=False)
        again = pool(path, label="label")
        for key in ("columns", "duplicates", "conflicts", "findings"):
            assert inspection(again, split(again))[key] == inspection(data, split(data))[key]


class TestTwins:
    @pytest.mark.parametrize(
        ("names", "way"),
        [
            (["cat", "Cat"], "case"),
            (["cat", " cat"], "white space"),
            (["two  words", "two\twords"], "white space"),
            (["café", "cafe\u0301"], "Unicode normalisation"),
            (["ＡＢＣ", "ABC"], "Unicode normalisation"),
            (["cat", "c\u200bat"], "invisible characters"),
            (["cat", "\ufeffcat"], "invisible characters"),
            (["cat", "CAT\u00a0"], "white space and case"),
            ([" A", "A", "a"], "white space and case"),
            (["cafe\u0301", "CAFÉ\u200b "], "white space, case, Unicode normalisation and invisible characters"),
            (["straße", "STRASSE"], "case"),
        ],
    )
    def test_are_found_with_what_parts_them(self, names: list[str], way: str) -> None:
        assert class_names.twins([*names, "dog"]) == [{"names": names, "differ_in": way}]

    def test_different_names_are_none(self) -> None:
        assert class_names.twins(["cat", "cats", "a b", "ab", "1", "10", "nan", "NaN2", "é", "e", "", "=1+1"]) == []
        assert class_names.twins([str(j) for j in range(10_000)]) == []

    def test_names_nobody_sees_whole(self) -> None:
        names = ["fine", " ahead", "behind\u3000", "mid\u200bdle", "tab\tbed", "می\u200cخواهم", "👩\u200d🔬", "a b"]
        assert class_names.with_invisible_characters(names) == [" ahead", "behind\u3000", "mid\u200bdle", "tab\tbed"]

    def test_reach_the_document(self) -> None:
        from longtail.data import Examples

        y = torch.arange(60) % 3
        X = torch.randn(60, 2, generator=torch.manual_seed(0))
        data = Pool(name="p", rows=Examples(X, y, ("cat", "Cat", "dog")), targets=y, classes=("cat", "Cat", "dog"))
        found = inspection(data, split(data))
        assert found["labels"]["twins"][0]["names"] == ["cat", "Cat"]
        assert "'cat', 'Cat' are one class name but for case" in found["findings"]
        assert "class names that mean one class alike" in next(
            a["try"] for a in found["advice"] if a["about"] == "twins"
        )
