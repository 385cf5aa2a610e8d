"""Columns that count, name or follow the rows are flagged; measurements, real and generated, are not."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import longtail as lt
from longtail.data import load, pool, split
from longtail.inspection import inspection
from longtail.inspection.columns import Column, of_features
from longtail.inspection.identifiers import identifier_columns

TABULAR = Path("../shared/data/tabular")
SORTED = np.repeat([0, 1, 2, 3, 4, 5], [70, 76, 17, 13, 9, 29])
"""Classes of UCI's glass table, in its order."""


def mixed(size: int = 2000, classes: int = 3) -> np.ndarray:
    return np.random.default_rng(1).integers(0, classes, size)


def kinds(values: Any, targets: np.ndarray, name: str = "x") -> list[str]:
    return [c["kind"] for c in identifier_columns([Column(name, np.asarray(values), True)], targets)]


def glass(**columns: Any) -> Any:
    pd = pytest.importorskip("pandas")
    draw = np.random.default_rng(0)
    features = {f"oxide{j}": (draw.normal(size=len(SORTED)) + SORTED % 3).round(3) for j in range(4)}
    return pd.DataFrame({**columns, **features, "type": np.array(list("abcdef"))[SORTED]})


class TestCounters:
    @pytest.mark.parametrize(
        ("first", "step"), [(1, 1), (0, 1), (1000, 10), (0.5, 0.1), (300, -1), (20_260_000_000, 1)]
    )
    def test_numbers_of_one_step_count_the_rows_whatever_the_classes(self, first: float, step: float) -> None:
        for targets in (SORTED, mixed()):
            assert kinds(first + step * np.arange(len(targets)), targets) == ["counter"]

    @pytest.mark.slow
    def test_in_single_precision_and_beyond_a_million_too(self) -> None:
        assert kinds(np.arange(2_000_000, dtype=np.float32), mixed(2_000_000)) == ["counter"]

    def test_shuffled_row_numbers_are_still_every_number_once(self) -> None:
        numbers = np.random.default_rng(0).permutation(2000) + 1.0
        found = identifier_columns([Column("x", numbers, True)], mixed())
        assert found[0]["sentence"] == "holds every whole number from 1 to 2000 once, as row numbers do"

    def test_one_step_out_of_line_is_no_counter(self) -> None:
        values = np.arange(2000.0) / 7
        values[1500] += 0.01
        assert kinds(values, mixed()) == []


class TestIdentifiers:
    def test_numbers_with_gaps_avoid_the_pairs_that_chance_would_make(self) -> None:
        draw = np.random.default_rng(0)
        given_out = draw.choice(20_000, 2000, replace=False).astype(float)
        assert kinds(given_out, mixed()) == ["identifier"]
        assert kinds(draw.choice(20_000, 2000).astype(float), mixed()) == []

    @pytest.mark.parametrize(
        "name", ["Id", "customer_id", "SK_ID_CURR", "TransactionID", "Sample code number", "column1"]
    )
    def test_numbers_that_are_called_a_name_are_one(self, name: str) -> None:
        values = np.random.default_rng(0).choice(10**9, 2000, replace=False).astype(float)
        assert kinds(values, mixed(), name) == ["identifier"]

    @pytest.mark.parametrize("name", ["paid", "valid", "number_of_rooms", "width", "idle", "code_length"])
    def test_other_words_are_none(self, name: str) -> None:
        values = np.random.default_rng(0).choice(10**9, 2000, replace=False).astype(float)
        assert kinds(values, mixed(), name) == []

    def test_text_that_differs_in_nearly_every_row_is_one(self) -> None:
        codes = np.arange(2000)
        codes[:100] = 0
        assert [c["kind"] for c in identifier_columns([Column("name", codes, False)], mixed())] == ["text"]
        assert identifier_columns([Column("city", codes % 300, False)], mixed()) == []


class TestOrder:
    def test_a_time_in_a_file_sorted_by_class_is_flagged_and_in_another_not(self) -> None:
        draw = np.random.default_rng(0)
        for targets, expected in ((SORTED, ["order"]), (mixed(), [])):
            for time in (np.cumsum(draw.exponential(size=len(targets))), -np.arange(len(targets)) // 3 * 1.0):
                assert kinds(time, targets) == expected

    def test_classes_in_blocks_count_as_sorted(self) -> None:
        blocks = np.concatenate([SORTED, SORTED])
        assert kinds(np.cumsum(np.random.default_rng(0).exponential(size=len(blocks))), blocks) == ["order"]

    def test_a_measurement_that_grows_with_the_class_is_not_flagged(self) -> None:
        values = SORTED + 0.1 * np.random.default_rng(0).normal(size=len(SORTED))
        assert kinds(values, SORTED) == []

    def test_the_sentence_says_what_it_gives_away(self) -> None:
        found = identifier_columns([Column("Id", np.arange(1.0, len(SORTED) + 1), True)], SORTED)[0]
        assert found["balanced_accuracy"] > 0.95
        assert found["sentence"].startswith("numbers the rows (1, 2, 3, ...) and predicts the class (")
        assert found["sentence"].endswith("since the rows are sorted by class")


class TestNoFalseAlarm:
    @pytest.mark.parametrize("seed", range(5))
    @pytest.mark.parametrize("in_order", [True, False])
    def test_on_generated_measurements(self, seed: int, in_order: bool) -> None:
        draw, size = np.random.default_rng(seed), 1500
        targets = np.sort(mixed(size)) if in_order else mixed(size)
        shift = targets[:, None] * np.array([0.0, 1.0, 4.0])
        columns = [
            *(draw.normal(size=(size, 3)) + shift).T,
            draw.lognormal(10, 2, size).round(),  # populations
            draw.normal(3300, 500, size).round(),  # grams
            draw.uniform(0, 200_000, size).round(),  # miles driven
            draw.integers(0, 256, size),
            draw.poisson(3, size),
            np.cumsum(draw.normal(size=size)),
            np.where(draw.random(size) < 0.3, np.nan, draw.random(size)),
        ]
        assert identifier_columns(of_features(np.stack(columns, axis=1).astype(np.float64)), targets) == []

    @pytest.mark.parametrize("name", ["iris", "wine", "breast_cancer", "digits"])
    def test_on_real_arrays_some_of_them_sorted_by_class(self, name: str) -> None:
        bunch = getattr(__import__("sklearn.datasets", fromlist=["_"]), f"load_{name}")()
        assert identifier_columns(of_features(bunch.data), bunch.target) == []
        order = np.argsort(bunch.target, kind="stable")
        assert identifier_columns(of_features(bunch.data[order]), bunch.target[order]) == []

    @pytest.mark.skipif(not TABULAR.is_dir(), reason="the four real tables are not here")
    @pytest.mark.parametrize("name", ["mammography", "winequality-white", "abalone", "ecoli"])
    def test_on_real_tables_until_an_id_is_put_in(self, name: str) -> None:
        pytest.importorskip("datasets")
        data = pool(TABULAR / f"{name}.csv")
        frame = data.rows.frame  # type: ignore[union-attr]
        labels = np.array(data.classes)[data.targets.numpy()]
        order = np.argsort(labels, kind="stable")  # the worst case: sorted by class
        plain = pool(frame.iloc[order], labels[order])
        assert inspection(plain, split(plain))["columns"]["identifying"] == []
        told = pool(frame.iloc[order].assign(Id=np.arange(len(frame))), labels[order])
        assert [c["name"] for c in inspection(told, split(told))["columns"]["identifying"]] == ["Id"]


class TestInspect:
    def test_a_flagged_column_comes_first_and_its_way_out_is_a_command(self) -> None:
        data = pool(glass(Id=np.arange(1, 215)), "type")
        found = inspection(data, split(data), data="glass.csv --label type")
        assert found["findings"][0].startswith("column 'Id' numbers the rows (1, 2, 3, ...)")
        assert sum("'Id'" in line for line in found["findings"]) == 1  # not as a leaking column again
        first, then = found["advice"][0], found["advice"][1]
        assert first["command"] == "longtail inspect glass.csv --label type --drop Id"
        again = inspection(data, split(data), data="glass.csv --drop Idx")
        assert again["advice"][0]["command"] == "longtail inspect glass.csv --drop Idx --drop Id"
        assert then["command"].startswith("longtail compare glass.csv --label type --drop Id --methods ce,")

    def test_copies_are_found_beside_row_numbers_in_tables_and_features(self) -> None:
        frame = glass(Id=np.arange(1, 215))
        frame.iloc[5:9, 1:5] = frame.iloc[0, 1:5].to_numpy()
        data = pool(frame, "type")
        found = inspection(data, split(data))
        assert found["duplicates"]["examples"] == [["row 0", "row 5", "row 6", "row 7", "row 8"]]
        assert any("ignoring 'Id'" in line for line in found["findings"])
        assert found["leaks"]["test"] > 0
        data = pool(frame.iloc[:, :5].to_numpy(), SORTED)
        again = inspection(data, split(data))
        assert (again["duplicates"], again["leaks"]["test"]) == (found["duplicates"], found["leaks"]["test"])
        assert inspection(split(data))["leaks"]["test"] == found["leaks"]["test"]
        assert again["advice"][0]["try"].startswith("take 'feature 0' out of X")

    def test_text_may_be_all_that_a_row_says_so_that_copies_are_told_apart_by_it(self) -> None:
        pd = pytest.importorskip("pandas")
        text = [f"review {i % 190}" for i in range(200)]
        data = pool(pd.DataFrame({"text": text, "stars": np.arange(200) % 5, "y": ["a", "b"] * 100}), "y")
        found = inspection(data, split(data))
        assert [c["kind"] for c in found["columns"]["identifying"]] == ["text"]
        assert found["duplicates"]["rows"] == 10

    def test_each_part_of_a_declared_split_may_count_anew(self) -> None:
        frame = glass(Id=np.arange(1, 215))
        test = frame.iloc[::3].assign(part="test", Id=np.arange(1, len(frame.iloc[::3]) + 1))
        pd = pytest.importorskip("pandas")
        data = pool(pd.concat([frame.assign(part="train"), test]), "type", split="part")
        assert [c["kind"] for c in inspection(data, split(data))["columns"]["identifying"]] == ["counter"]


QUICKLY: dict[str, Any] = {"methods": "ce", "seeds": 1, "epochs": 1, "jobs": 1}


class TestCompare:
    @pytest.mark.parametrize("folds", [None, 2])
    def test_says_so_before_training_and_in_the_table(
        self, caplog: pytest.LogCaptureFixture, folds: int | None
    ) -> None:
        with caplog.at_level(logging.WARNING):
            result = lt.compare(glass(Id=np.arange(1, 215)), "type", folds=folds, **QUICKLY)
        told = [r.message for r in caplog.records if "column 'Id' numbers the rows" in r.message]
        assert len(told) == 1
        assert "leave out with --drop Id (drop_columns=['Id'])" in told[0]
        assert told[0] in result.summary["data"]["notes"]
        assert f"Note: {told[0]}." in repr(result)

    def test_is_silent_without_the_column(self, caplog: pytest.LogCaptureFixture) -> None:
        with caplog.at_level(logging.WARNING):
            result = lt.compare(glass(Id=np.arange(1, 215)), "type", drop_columns="Id", folds=5, **QUICKLY)
        assert "Id" not in caplog.text
        assert not any("'Id'" in note for note in result.summary["data"]["notes"])

    @pytest.mark.slow
    def test_warns_of_small_classes_in_the_words_of_inspect(self, caplog: pytest.LogCaptureFixture) -> None:
        data = pool(glass(), "type")
        sentence = inspection(data, split(data))["findings"][-1]
        assert "4 classes have fewer than 10 test examples" in sentence
        with caplog.at_level(logging.WARNING):
            lt.compare(glass(), "type", **QUICKLY)
        assert sentence in [r.message for r in caplog.records]
        caplog.clear()
        with caplog.at_level(logging.WARNING):
            lt.compare(glass(), "type", folds=5, **QUICKLY)
        assert "1 class has fewer than 10 test examples" in caplog.text

    def test_a_glance_at_a_table_finds_what_the_whole_shows(self) -> None:
        from longtail.inspection.subject import flagged_columns, pool_columns

        pd = pytest.importorskip("pandas")
        draw, size = np.random.default_rng(0), 3000
        y = np.sort(mixed(size))
        frame = pd.DataFrame({
            "n": draw.permutation(size), "t": np.cumsum(draw.exponential(size=size)), "x": draw.normal(size=size),
            "k": draw.integers(0, 9, size), "who": [f"name {i % 2900}" for i in range(size)], "y": y.astype(str),
        })  # fmt: skip
        data = pool(frame, "y")
        assert flagged_columns(data) == pool_columns(data, None)[1]
        assert [c["name"] for c in flagged_columns(data)] == ["n", "t", "who"]


class TestDrop:
    def test_a_dropped_column_is_no_feature_and_predict_does_not_want_it(self) -> None:
        frame = glass(Id=np.arange(214), seen="2024")
        splits = load(frame, "type", drop_columns=["Id", "seen"])
        assert splits.preparation.names == ("oxide0", "oxide1", "oxide2", "oxide3")  # type: ignore[union-attr]
        assert splits.facts["drop_columns"] == ["Id", "seen"]
        assert len(splits.preparation(frame.drop(columns="Id"))) == 214  # type: ignore[misc]

    @pytest.mark.parametrize(
        ("columns", "told"),
        [("id", r"drop_columns \(--drop\) must be a column, got 'id'"), ("type", "another column than the label"),
         ([f"oxide{j}" for j in range(4)], "drop fewer columns"), (3, "must be the name of a column"),
         ([3], "must be the name of a column")],
    )  # fmt: skip
    def test_what_cannot_be_dropped_is_refused(self, columns: Any, told: str) -> None:
        with pytest.raises((ValueError, TypeError), match=told):
            pool(glass(), "type", drop_columns=columns)

    def test_is_for_tables(self) -> None:
        with pytest.raises(ValueError, match="drop_columns"):
            pool(np.zeros((10, 2)), [0, 1] * 5, drop_columns="x")
