"""Inspection: each planted problem is found, counted and named, and clean data have none."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from longtail.data import Examples, MappedExamples, Pool, load, pool, split
from longtail.inspection import gini, inspection
from longtail.inspection.duplicates import Contents

TABULAR = Path("../shared/data/tabular")


def pooled(X: Any, y: Any, classes: tuple[str, ...] = ("a", "b", "c"), **more: Any) -> Pool:
    targets = torch.as_tensor(y)
    rows = Examples(torch.as_tensor(X), targets, classes)
    return Pool(name="planted", rows=rows, targets=targets, classes=classes, **more)


def clean(counts: tuple[int, ...] = (60, 24, 8), width: int = 4) -> tuple[np.ndarray, np.ndarray]:
    y = np.repeat(np.arange(len(counts)), counts)
    return np.random.default_rng(0).normal(size=(len(y), width)).astype(np.float32), y


def inspected(*args: Any, **more: Any) -> dict[str, Any]:
    found = pooled(*args, **more)
    return inspection(found, split(found))


def told(found: dict[str, Any], about: str) -> dict[str, str]:
    return next(a for a in found["advice"] if a["about"] == about)


class TestCleanData:
    def test_have_no_finding(self) -> None:
        found = inspected(*clean((80, 60, 50)))
        assert found["findings"] == []
        assert [a["about"] for a in found["advice"]] == ["balance"]
        assert "1.58 times as large as the smallest" in told(found, "balance")["why"]

    @pytest.mark.parametrize(
        ("counts", "words"), [((60, 60), "the largest class is as large as"), ((2002, 2000), "is hardly larger than")]
    )
    def test_equal_sizes_are_not_called_times(self, counts: tuple[int, int], words: str) -> None:
        found = inspected(*clean(counts), classes=("a", "b"))
        assert f"{words} the smallest, so re-balancing has little to correct" in told(found, "balance")["why"]
        assert " 1 times" not in told(found, "balance")["why"]

    def test_digits_have_none(self) -> None:
        found = inspection(load("digits"))
        assert found["findings"] == []
        assert found["kind"] == "images"
        assert [a["about"] for a in found["advice"]] == ["compare", "training"]
        assert told(found, "training")["command"] == "longtail compare DATA --methods quick"

    @pytest.mark.parametrize("name", ["iris", "wine", "breast_cancer"])
    def test_real_measurements_have_no_leaking_column(self, name: str) -> None:
        bunch = getattr(__import__("sklearn.datasets", fromlist=["_"]), f"load_{name}")()
        assert inspection(load(bunch.data, bunch.target))["columns"]["leaking"] == []


class TestTheDocument:
    def test_is_plain_json_under_stable_names(self) -> None:
        found = inspected(*clean())
        assert json.loads(json.dumps(found, allow_nan=False)) == found
        assert set(found) == {
            "schema", "name", "hash", "kind", "rows", "classes", "class_counts", "val_counts", "test_counts",
            "test_rows_by_class", "all_counts", "imbalance_ratio", "gini", "groups", "interval_width",
            "interval_width_with_folds", "singletons", "untested", "hardly_tested", "headline", "declared_split",
            "foldable", "label_kind", "counts_known", "unlabeled", "label_noise", "class_shares", "candidates",
            "unknown", "duplicates", "conflicts", "leaks", "group_leaks", "columns", "unreadable", "labels", "notes",
            "findings", "checks", "ignored", "advice", "undeclared_missing",
        }  # fmt: skip

    def test_counts_and_ratio_are_of_the_training_part(self) -> None:
        found = inspected(*clean())
        assert (found["class_counts"], found["test_counts"]) == ([45, 18, 6], [15, 6, 2])
        assert found["all_counts"] == [60, 24, 8]
        assert found["imbalance_ratio"] == 7.5
        assert found["headline"].endswith("69 training examples, 3 classes of 45 to 6, imbalance ratio 7.5")
        assert found["groups"]["many"] == ["a"]

    def test_intervals_are_wilsons_at_one_half(self) -> None:
        found = inspected(*clean())
        # at p = 1/2 the Wilson interval is z / sqrt(n + z^2) wide
        z = 1.959963984540054
        assert found["interval_width"] == pytest.approx([z / (n + z * z) ** 0.5 for n in (15, 6, 2)])
        assert found["interval_width_with_folds"] == pytest.approx([z / (n + z * z) ** 0.5 for n in (60, 24, 8)])
        assert found["hardly_tested"] == ["b", "c"]
        assert "narrows from 81 points, tested on 2, to 57, tested on 8" in told(found, "compare")["why"]
        assert told(found, "compare")["command"].endswith(" --methods ce,logit-adjusted-posthoc --folds 5")

    def test_a_pool_without_its_splits_is_refused(self) -> None:
        with pytest.raises(TypeError, match="pass split"):
            inspection(pooled(*clean()))

    @pytest.mark.parametrize(
        ("counts", "expected"), [([5, 5, 5], 0.0), ([1, 0, 0, 0], 0.75), ([1, 3], 0.25), ([1, 2, 3], 2 / 9)]
    )
    def test_gini_is_half_the_relative_mean_difference(self, counts: list[int], expected: float) -> None:
        size, total = len(counts), sum(counts)
        brute = sum(abs(a - b) for a in counts for b in counts) / (2 * size * total)
        assert gini(counts) == pytest.approx(brute) == pytest.approx(expected)


class TestEqualRows:
    def test_copies_are_counted_and_named(self) -> None:
        X, y = clean()
        X[[5, 9]], X[61] = X[2], X[60]
        found = inspected(X, y)["duplicates"]
        assert found == {"rows": 3, "sets": 2, "largest": 3,
                         "examples": [["row 2", "row 5", "row 9"], ["row 60", "row 61"]]}  # fmt: skip

    def test_minus_zero_is_zero_and_the_next_float_is_another_number(self) -> None:
        X, y = clean()
        X[0], X[1], X[2] = 0.0, -0.0, np.nextafter(np.float32(0), np.float32(1))
        assert inspected(X, y)["duplicates"]["examples"] == [["row 0", "row 1"]]

    def test_the_same_content_under_two_labels_is_a_conflict(self) -> None:
        X, y = clean()
        X[[1, 2, 70, 85]] = X[0]  # a a a, b, c
        found = inspected(X, y)
        assert (found["conflicts"]["rows"], found["conflicts"]["sets"], found["conflicts"]["errors"]) == (5, 1, 2)
        assert found["conflicts"]["examples"][0]["classes"] == ["a", "b", "c"]
        assert any("is wrong on at least 2 rows" in line for line in found["findings"])

    def test_a_row_on_both_sides_of_a_declared_split_is_a_leak(self) -> None:
        X, y = clean()
        parts = np.where(np.arange(len(y)) % 3 == 2, "test", "train")
        parts[[4, 64]] = "val"
        X[5], X[4] = X[0], X[1]  # 5 is test, 4 is val; 0 and 1 train
        X[8] = X[11]  # both test: a copy, no leak
        found = inspected(X, y, parts=parts)
        assert (found["leaks"]["test"], found["leaks"]["val"], found["leaks"]["rows"]) == (1, 1, 2)
        assert found["leaks"]["examples"] == [["row 0", "row 5"], ["row 1", "row 4"]]
        assert found["duplicates"]["rows"] == 3
        assert "copies of training rows" in told(found, "duplicates")["try"]

    def test_the_split_at_hand_is_looked_at_where_none_is_declared(self) -> None:
        X, y = clean()
        X[1::2] = X[0::2]  # every row twice
        found, splits = pooled(X, y), split(pooled(X, y))
        trained = {row.tobytes() for row in splits.train.inputs.numpy()}  # type: ignore[union-attr]
        brute = sum(row.tobytes() in trained for row in splits.test.inputs.numpy())  # type: ignore[union-attr]
        leak = inspection(found, splits)["leaks"]
        assert leak["test"] == brute > 5
        assert not leak["declared"]
        assert inspection(splits)["leaks"]["test"] == brute

    def test_a_default_value_is_told_from_copies(self) -> None:
        X, y = clean()
        X[:30] = 0
        assert "occurs 30 times" in told(inspected(X, y), "duplicates")["why"]

    def test_images_are_compared_by_their_pixels_in_memory_and_behind_a_data_set(self) -> None:
        images = torch.randint(0, 256, (40, 3, 8, 8), generator=torch.manual_seed(0), dtype=torch.uint8)
        images[30] = images[3]
        targets = torch.arange(40) % 2
        reads: list[int] = []

        class Reading:
            def __getitem__(self, row: int) -> tuple[torch.Tensor, int]:
                reads.append(row)
                return images[row], row % 2

        for rows in (
            Examples(images, targets, ("a", "b")),
            MappedExamples(Reading(), targets, ("a", "b"), identity="planted"),
        ):
            data = Pool(
                name="p", rows=rows, targets=targets, classes=("a", "b"), ids=tuple(f"{i}.png" for i in range(40))
            )
            splits = split(data)
            reads.clear()
            found = inspection(data, splits)
            assert found["duplicates"]["examples"] == [["3.png", "30.png"]]
            assert found["conflicts"]["rows"] == 2
            assert found["columns"] is None
        # a first row is read anew to tell the shape, every other row once for the pool and both parts
        first = {0, *(int(part.rows[0]) for part in (splits.train, splits.test))}  # type: ignore[union-attr, index]
        assert {row: reads.count(row) for row in range(40) if row not in first} == {
            r: 1 for r in range(40) if r not in first
        }

    def test_numbers_of_contents_are_those_of_a_dictionary(self) -> None:
        X = np.random.default_rng(0).integers(0, 3, (500, 3)).astype(np.float32)
        known: dict[tuple[float, ...], int] = {}
        brute = [known.setdefault(tuple(row), len(known)) for row in X.tolist()]
        assert Contents().arrays([X[:123], X[123:]]).tolist() == brute


class TestGroups:
    def test_a_group_in_two_declared_parts_is_found(self) -> None:
        X, y = clean()
        parts = np.where(np.arange(len(y)) % 2 == 1, "test", "train")
        groups = np.arange(len(y)) // 2 * 2 + (np.arange(len(y)) % 2)  # each row alone
        groups[[10, 11]] = 999
        found = inspected(X, y, parts=parts, groups=groups)
        assert found["group_leaks"] == {"groups": 1, "examples": [["row 10", "row 11"]]}
        assert "recognise the group" in told(found, "group-leaks")["why"]

    def test_a_split_of_ours_has_none(self) -> None:
        X, y = clean()
        assert inspected(X, y, groups=np.arange(len(y)) // 2)["group_leaks"]["groups"] == 0


class TestSmallClasses:
    def test_singletons_cannot_be_validated(self) -> None:
        found = inspected(*clean((60, 24, 1)))
        assert found["singletons"] == found["untested"] == ["c"]
        assert any(
            "a single example, which can be learnt from or tested with, not both: 'c'" in f for f in found["findings"]
        )
        assert told(found, "singletons")["try"] == "merge 'c' into other classes, or collect more of it"

    def test_two_classes_with_rare_positives_want_a_threshold(self) -> None:
        found = inspected(*clean((4000, 160)), classes=("no", "yes"))
        assert told(found, "compare")["command"].endswith("ce,logit-adjusted-posthoc,ce-threshold --val 0.2")
        assert "3.8 %" in told(found, "compare")["why"]
        assert "validation" not in [step["about"] for step in found["advice"]]

    def test_weights_move_the_shape_and_not_the_rows(self) -> None:
        X, y = clean((60, 24, 8))
        weight = torch.where(torch.as_tensor(y) == 2, 10.0, 1.0)
        data = pooled(X, y, sample_weight=weight)
        found = inspection(data, split(data))
        assert found["class_counts"] == [45, 18, 60]
        assert found["test_rows_by_class"] == [15, 6, 2]
        assert found["hardly_tested"] == ["b", "c"]


def test_files_that_could_not_be_read_are_named() -> None:
    found = inspected(*clean(), facts={"skipped": ["cat/1.png", "dog/\x1b[31m.png"]})
    assert found["unreadable"]["files"] == 2
    assert r"2 files cannot be read: 'cat/1.png', 'dog/\x1b[31m.png'" in found["findings"]


@pytest.mark.skipif(not TABULAR.is_dir(), reason="the four real tables are not here")
class TestRealTables:
    """What pandas' own `duplicated`, `groupby` and `value_counts` say of the files."""

    @pytest.mark.parametrize(
        ("name", "copies", "sets", "conflicting", "errors"),
        [("mammography", 3335, 3, 3329, 7), ("winequality-white", 937, 772, 0, 0), ("abalone", 0, 0, 0, 0),
         ("ecoli", 0, 0, 0, 0)],
    )  # fmt: skip
    def test_equal_rows(self, name: str, copies: int, sets: int, conflicting: int, errors: int) -> None:
        pytest.importorskip("pandas")
        pytest.importorskip("datasets")
        data = pool(TABULAR / f"{name}.csv")
        found = inspection(data, split(data))
        assert (found["duplicates"]["rows"], found["duplicates"]["sets"]) == (copies, sets)
        assert (found["conflicts"]["rows"], found["conflicts"]["errors"]) == (conflicting, errors)
        assert found["columns"]["leaking"] == found["columns"]["constant"] == []
        assert found["labels"] == {"twins": [], "unseen": [], "joined": None}
        assert found["columns"]["identifying"] == []
        assert ",estimators" in told(found, "compare")["command"]
