"""Arrays with missing labels, with further rows, and with candidate sets: in memory and in files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from longtail.data import Examples, Pool, load, pool

Y = np.repeat([0, 1, 2], [12, 8, 4])
X = np.random.default_rng(0).normal(size=(24, 3)).astype(np.float32)
SOME = np.where(np.arange(24) % 4 == 1, -1, Y)
MORE = np.random.default_rng(1).normal(size=(5, 3)).astype(np.float32)
SETS = np.eye(3, dtype=bool)[Y] | (np.arange(24)[:, None] % 2 == 1) & (np.arange(3) == (Y + 1)[:, None] % 3)


def rest(found: Pool) -> torch.Tensor:
    assert found.unlabeled is not None
    assert isinstance(found.unlabeled.rows, Examples)
    assert found.unlabeled.kind == found.unlabeled.rows.kind == "none"
    return found.unlabeled.rows.inputs


class TestSame:
    @pytest.mark.parametrize(
        "labels",
        [
            SOME,
            SOME.tolist(),
            SOME.astype(float),
            torch.from_numpy(SOME),
            [None if j < 0 else "abc"[j] for j in SOME],
            np.array(["" if j < 0 else "abc"[j] for j in SOME]),
        ],
    )
    def test_rows_without_a_label_are_set_apart(self, labels: Any) -> None:
        found = pool(X, labels, unlabeled="same")
        assert torch.equal(found.targets, torch.from_numpy(Y[SOME >= 0]))
        assert np.array_equal(rest(found).numpy(), X[SOME < 0])
        assert found.class_counts.tolist() == np.bincount(Y[SOME >= 0]).tolist()
        assert found.index is not None
        assert found.index.tolist() == np.flatnonzero(SOME >= 0).tolist()
        assert found.unlabeled is not None
        assert found.unlabeled.source(torch.arange(6)).tolist() == np.flatnonzero(SOME < 0).tolist()
        assert found.facts["unlabeled"] == "same"

    def test_without_the_option_the_line_names_it(self) -> None:
        with pytest.raises(ValueError, match=r'-1 in 6 of 24 rows; .*unlabeled="same" \(--unlabeled same\)'):
            pool(X, SOME)

    def test_nan_is_a_missing_label_too(self) -> None:
        y = np.array([0.0, 1.0, np.nan, 1.0, 0.0, np.nan, 0.0, 1.0])
        names = np.array(["a", "b", np.nan, "b", "a", np.nan, "a", "b"], dtype=object)
        for labels in (y, names):
            read = pool(np.eye(8), labels, unlabeled="same")
            assert read.unlabeled is not None
            assert read.unlabeled.source(torch.arange(2)).tolist() == [2, 5]
            assert read.targets.tolist() == [0, 1, 1, 0, 0, 1]
        with pytest.raises(ValueError, match=r"labels must be >= 0, got nan in 2 of 8 rows; .*\(--unlabeled same\)"):
            pool(np.eye(8), y)

    def test_other_negative_labels_are_refused(self) -> None:
        with pytest.raises(ValueError, match="labels must be >= 0, got -2"):
            pool(X, Y - 2, unlabeled="same")

    def test_none_without_a_label_is_refused(self) -> None:
        with pytest.raises(ValueError, match="needs rows without a label, got none in labels"):
            pool(X, Y, unlabeled="same")

    def test_a_class_without_labelled_rows_is_refused(self) -> None:
        with pytest.raises(ValueError, match="every class must have a training example, got none of class 'c'"):
            load(X, np.where(Y == 2, -1, Y), classes=["a", "b", "c"], unlabeled="same")

    def test_rows_for_testing_must_have_one(self) -> None:
        parts = np.where(np.arange(24) < 12, "train", "test")
        with pytest.raises(
            ValueError, match="rows without a label must be training rows, got 3 that are declared test"
        ):
            pool(X, SOME, split=parts, unlabeled="same")

    def test_a_frame_beside_labels(self) -> None:
        pandas = pytest.importorskip("pandas")
        found = pool(pandas.DataFrame(X, columns=["a", "b", "c"]), SOME, unlabeled="same")
        assert found.class_counts.tolist() == np.bincount(Y[SOME >= 0]).tolist()
        assert found.unlabeled is not None
        assert len(found.unlabeled) == 6

    def test_weights_go_with_their_rows(self) -> None:
        weights = np.arange(24, dtype=np.float32)
        splits = load(X, SOME, unlabeled="same", sample_weight=weights)
        for part in (splits.train, splits.test, splits.unlabeled):
            assert isinstance(part, Examples)
            assert part.sample_weight is not None
            rows = [int(np.flatnonzero((row.numpy() == X).all(1))[0]) for row in part.inputs]
            assert part.sample_weight.tolist() == weights[rows].tolist()


class TestFurtherRows:
    @pytest.mark.parametrize("more", [MORE, torch.from_numpy(MORE), MORE.tolist()])
    def test_join_the_training_part(self, more: Any) -> None:
        splits = load(X, Y, unlabeled=more)
        assert isinstance(splits.unlabeled, Examples)
        assert np.array_equal(splits.unlabeled.inputs.numpy(), MORE)
        assert len(splits.train) + len(splits.test) == 24
        assert splits.truth is None

    def test_of_files(self, tmp_path: Path) -> None:
        np.savez(tmp_path / "data.npz", X=X, y=Y)
        np.savez(tmp_path / "more.npz", X=MORE)
        np.save(tmp_path / "more.npy", MORE)
        for name in ("more.npz", "more.npy"):
            found = pool(tmp_path / "data.npz", unlabeled=tmp_path / name)
            assert np.array_equal(rest(found).numpy(), MORE)
            assert found.facts["unlabeled"] == name
            assert found.origin is not None
            assert found.unlabeled is not None
            assert found.origin.places(found.unlabeled.source(torch.tensor([2])).tolist()) == [(name, 2)]
            assert found.origin.places(found.source(torch.tensor([3])).tolist()) == [("data.npz: X", 3)]

    def test_are_part_of_the_hash(self) -> None:
        hashes = {load(X, Y).hash, load(X, Y, unlabeled=MORE).hash, load(X, Y, unlabeled=MORE + 1).hash}
        assert len(hashes) == 3

    @pytest.mark.parametrize(
        ("more", "options", "line"),
        [
            (MORE[:, :2], {}, r"must be like the labelled ones, \(3,\) of torch.float32, got \(2,\)"),
            (np.zeros((2, 8, 8), np.uint8), {}, r"must be like the labelled ones"),
            (MORE, {"group": Y}, "group and sample_weight must be known of rows without labels"),
            (MORE, {"sample_weight": np.ones(24)}, "group and sample_weight must be known of rows without labels"),
            ("nowhere.npz", {}, "got 'nowhere.npz', which is no file"),
            (MORE * np.nan, {}, "features of the unlabelled part must be finite"),
        ],
    )
    def test_others_are_refused(self, more: Any, options: dict[str, Any], line: str) -> None:
        with pytest.raises(ValueError, match=line):
            load(X, Y, unlabeled=more, **options)

    def test_a_file_with_labels_is_refused(self, tmp_path: Path) -> None:
        np.savez(tmp_path / "data.npz", X=X, y=Y)
        with pytest.raises(ValueError, match=r"must hold X alone, got data.npz with labels 'y'"):
            pool(X, Y, unlabeled=tmp_path / "data.npz")


class TestCandidates:
    def test_are_sets_and_expected_counts(self) -> None:
        found = pool(X, candidates=SETS, classes=["a", "b", "c"])
        assert found.kind == "candidates"
        assert found.classes == ("a", "b", "c")
        assert torch.equal(found.targets, torch.from_numpy(SETS))
        expected = (SETS / SETS.sum(1, keepdims=True)).sum(0)
        assert found.class_counts.tolist() == pytest.approx(expected.tolist())
        assert not found.counts_known

    def test_are_read_from_names_too(self) -> None:
        names = [" | ".join(np.array(["a", "b", "c"])[row]) for row in SETS]
        found = pool(X, names, candidates="|")
        assert torch.equal(found.targets, torch.from_numpy(SETS))
        assert found.facts["candidates"] == "|"
        with pytest.raises(TypeError, match="separates the names in labels, which are missing"):
            pool(X, candidates="|")

    def test_of_files_with_labels_of_test_rows(self, tmp_path: Path) -> None:
        path = tmp_path / "sets.npz"
        np.savez(path, X=X, candidates=SETS, X_test=X[::6], y_test=Y[::6], classes=["a", "b", "c"])
        splits = load(path)
        assert splits.train.kind == "candidates"
        assert splits.test.targets.tolist() == Y[::6].tolist()
        assert len(splits.train) == 24

    def test_test_rows_have_one(self, tmp_path: Path) -> None:
        np.savez(tmp_path / "sets.npz", X=X, candidates=SETS, X_test=X, candidates_test=SETS)
        with pytest.raises(
            ValueError, match="declared test rows must have one candidate each, got several in 12 of 24"
        ):
            load(tmp_path / "sets.npz")

    def test_beside_labels_are_refused(self, tmp_path: Path) -> None:
        np.savez(tmp_path / "both.npz", X=X, candidates=SETS, y=Y)
        with pytest.raises(ValueError, match="must hold one label a row or candidate sets, got y and candidates"):
            pool(tmp_path / "both.npz")
        assert pool(tmp_path / "both.npz", label="y").kind == "given"
        with pytest.raises(TypeError, match="labels and candidates name the labels twice"):
            pool(X, Y, candidates=SETS)
        with pytest.raises(ValueError, match="cannot go with candidate sets"):
            pool(X, candidates=SETS, unlabeled=MORE)

    @pytest.mark.parametrize(
        ("change", "line"),
        [
            (lambda sets: sets & (np.arange(24) != 5)[:, None], "got an empty set in row 5"),
            (lambda sets: sets | (np.arange(24) > 21)[:, None], "got all 3 classes in row 22 and 1 more"),
            (lambda sets: sets.astype(int), "must be truth values"),
            (lambda sets: sets[:, 0], r"must have shape \(N, C\)"),
            (lambda sets: sets[:, :2] | True, "got all 2 classes"),
            (lambda sets: sets[:20], "must have the same length"),
        ],
    )  # fmt: skip
    def test_others_are_refused(self, change: Any, line: str) -> None:
        with pytest.raises((ValueError, TypeError), match=line):
            pool(X, candidates=change(SETS))
