"""Dropped and relabelled training rows: what changes, what never does, and every refusal."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import longtail as lt
from longtail.comparison import prepare
from longtail.data import Splits, load
from longtail.data.cleaning import fingerprint

CLASSES = ("0", "1", "2")


def arrays() -> tuple[np.ndarray, np.ndarray]:
    y = np.repeat([0, 1, 2], [40, 16, 4])
    return np.random.default_rng(0).normal(size=(60, 3)).astype(np.float32), y


def loaded(**options: Any) -> Splits:
    return load(*arrays(), **options)


def write(path: Path, lines: list[str], head: str = "row,given,likely") -> Path:
    path.write_text("\n".join([head, *lines]) + "\n")
    return path


@pytest.fixture
def rows() -> dict[int, list[int]]:
    """The training rows of each class."""
    splits = loaded()
    assert splits.train_rows is not None
    pairs = list(zip(splits.train_rows.tolist(), splits.train.targets.tolist(), strict=True))
    return {j: [row for row, label in pairs if label == j] for j in range(3)}


def test_training_rows_know_which_rows_they_are() -> None:
    X, _ = arrays()
    splits = loaded(val=0.2)
    assert splits.train_rows is not None
    np.testing.assert_array_equal(splits.train.inputs.numpy(), X[splits.train_rows.numpy()])  # type: ignore[union-attr]
    digits = load("digits", val=0.2, noise="symmetric:0.3")
    from sklearn.datasets import load_digits

    assert digits.train_rows is not None
    assert digits.truth is not None
    np.testing.assert_array_equal(load_digits().target[digits.train_rows], digits.truth[: len(digits.train)])


class TestApplied:
    def test_dropped_rows_are_gone_and_the_test_part_is_the_same(
        self, rows: dict[int, list[int]], tmp_path: Path
    ) -> None:
        gone = [rows[0][0], rows[0][3], rows[1][2]]
        file = write(tmp_path / "s.csv", [f"{r},{j}," for r, j in zip(gone, (0, 0, 1), strict=True)])
        before, after = loaded(), loaded(drop_rows=file)
        assert before.train_rows is not None
        kept = ~torch.isin(before.train_rows, torch.tensor(gone))
        assert torch.equal(after.train.inputs, before.train.inputs[kept])  # type: ignore[union-attr]
        assert torch.equal(after.train.targets, before.train.targets[kept])
        assert torch.equal(after.test.inputs, before.test.inputs)  # type: ignore[union-attr]
        assert "3 training rows were dropped for suspected labels (--drop): 2 of 0, 1 of 1" in after.notes
        assert after.facts["dropped"]["rows"] == 3
        assert after.hash != before.hash

    def test_relabelled_rows_have_the_likely_label(self, rows: dict[int, list[int]], tmp_path: Path) -> None:
        row = rows[0][5]
        before, after = loaded(), loaded(relabel=write(tmp_path / "s.csv", [f"{row},0,2"]))
        assert before.train_rows is not None
        changed = before.train_rows == row
        assert torch.equal(after.train.targets, torch.where(changed, 2, before.train.targets))
        assert torch.equal(after.test.targets, before.test.targets)
        assert "1 training row was relabelled (--relabel): 1 from 0 to 2" in after.notes

    def test_both_at_once_and_lines_that_are_not_used(self, rows: dict[int, list[int]], tmp_path: Path) -> None:
        drop = write(tmp_path / "d.csv", [f"{rows[0][0]},0,1,1", f"{rows[0][1]},0,1,no"], "row,given,likely,use")
        relabel = write(tmp_path / "r.csv", [f"{rows[1][0]},1,0"])
        after = loaded(drop_rows=drop, relabel=relabel)
        assert after.train.class_counts.tolist() == [30, 11, 3]

    def test_validation_rows_are_taken_from_what_is_left(self, rows: dict[int, list[int]], tmp_path: Path) -> None:
        file = write(tmp_path / "s.csv", [f"{row},0,1" for row in rows[0][:10]])
        after = loaded(drop_rows=file, val=0.2)
        assert after.val is not None
        assert len(after.train) + len(after.val) == sum(map(len, rows.values())) - 10

    def test_split_data_and_noise(self) -> None:
        noisy = load("digits", noise="symmetric:0.3")
        assert noisy.train_rows is not None
        assert noisy.truth is not None
        first = int(torch.nonzero(noisy.train.targets != noisy.truth).flatten()[0])
        line = {
            "row": int(noisy.train_rows[first]),
            "given": str(int(noisy.train.targets[first])),
            "likely": str(int(noisy.truth[first])),
        }

        class Result:
            def lines(self) -> list[dict[str, Any]]:
                return [line]

        relabelled = load("digits", noise="symmetric:0.3", relabel=Result())
        assert int(relabelled.train.targets[first]) == int(noisy.truth[first])
        dropped = load("digits", noise="symmetric:0.3", drop_rows=Result())
        assert dropped.truth is not None
        assert len(dropped.truth) == len(dropped.train) == len(noisy.train) - 1

    def test_compare_takes_them(self, rows: dict[int, list[int]], tmp_path: Path) -> None:
        file = write(tmp_path / "s.csv", [f"{rows[0][0]},0,1"])
        prepared = prepare(*arrays(), methods="ce", drop_rows=file)
        assert len(prepared.splits.train) == len(loaded().train) - 1
        searched = prepare(*arrays(), methods="ce", drop_rows=file, search=True, folds=2)
        assert searched.folds is not None
        assert len(searched.folds.pool) == len(loaded().train) - 1
        with pytest.raises(ValueError, match="drop_rows cannot go with folds"):
            prepare(*arrays(), methods="ce", drop_rows=file, folds=2)

    def test_a_result_is_taken_as_it_is(self) -> None:
        X, y = arrays()
        X = X + 6 * np.eye(3, dtype=np.float32)[y]
        y = y.copy()
        y[[0, 1, 2]] = 1
        result = lt.labels.suspects(X, y, folds=2)
        assert len(result) >= 2
        after = load(X, y, drop_rows=result)
        assert len(after.train) == len(load(X, y).train) - len(result)


class TestRefused:
    @pytest.mark.parametrize("option", ["drop_rows", "relabel"])
    def test_a_file_of_other_data(self, option: str, rows: dict[int, list[int]], tmp_path: Path) -> None:
        test = sorted(set(range(60)) - {row for own in rows.values() for row in own})[0]
        cases = {
            f"{test},0,1": f"must name training rows of these data, got row {test}",
            f"{rows[0][0]},1,2": f"must have the labels of these data, got '1' for row {rows[0][0]}, which is '0'",
            f"{rows[0][0]},0,1\n{rows[0][0]},0,1": f"must name every row once, got row {rows[0][0]} twice",
            "x,0,1": "must name rows by number, got 'x' in line 1",
        }
        for line, message in cases.items():
            with pytest.raises(ValueError, match=message):
                loaded(**{option: write(tmp_path / "s.csv", [line])})

    def test_another_word_in_use(self, rows: dict[int, list[int]], tmp_path: Path) -> None:
        file = write(tmp_path / "s.csv", [f"{rows[0][0]},0,1,perhaps"], "row,given,likely,use")
        with pytest.raises(ValueError, match="must have yes or no in use, got 'perhaps' in line 1; write one of them"):
            loaded(drop_rows=file)

    def test_another_fingerprint(self, rows: dict[int, list[int]], tmp_path: Path) -> None:
        splits, row = loaded(), rows[0][0]
        assert splits.train_rows is not None
        mark = fingerprint(splits.train_rows, splits.train.targets, splits.classes)
        head = "row,given,likely,data"
        assert (
            len(loaded(drop_rows=write(tmp_path / "s.csv", [f"{row},0,1,{mark}"], head)).train) == len(splits.train) - 1
        )
        with pytest.raises(
            ValueError, match=r"drop_rows \(--drop\) must be of these training rows, got those of other data"
        ):
            loaded(drop_rows=write(tmp_path / "s.csv", [f"{row},0,1,00000000"], head))

    def test_a_class_without_a_row(self, rows: dict[int, list[int]], tmp_path: Path) -> None:
        for option in ("drop_rows", "relabel"):
            file = write(tmp_path / "s.csv", [f"{row},2,0" for row in rows[2]])
            with pytest.raises(ValueError, match="must leave a row of every class, got none of '2'"):
                loaded(**{option: file})

    def test_a_class_that_is_none_and_a_row_in_both(self, rows: dict[int, list[int]], tmp_path: Path) -> None:
        file = write(tmp_path / "s.csv", [f"{rows[0][0]},0,9"])
        with pytest.raises(ValueError, match=r"relabel \(--relabel\) must name classes of these data, got '9' for row"):
            loaded(relabel=file)
        with pytest.raises(ValueError, match="drop_rows and relabel must name different rows"):
            loaded(relabel=file, drop_rows=file)

    def test_no_file_and_no_columns(self, tmp_path: Path) -> None:
        with pytest.raises(
            ValueError, match=r"drop_rows .* must be a file that longtail labels wrote, got .*, which is none"
        ):
            loaded(drop_rows=tmp_path / "none.csv")
        file = write(tmp_path / "s.csv", ["3,0"], "row,given")
        with pytest.raises(ValueError, match="must have the columns row, given, likely, got none called likely"):
            loaded(relabel=file)
        with pytest.raises(TypeError, match="must be a file that longtail labels wrote, or its result, got 3"):
            loaded(drop_rows=3)

    def test_candidate_sets(self, tmp_path: Path) -> None:
        file = write(tmp_path / "s.csv", ["0,0,1"])
        with pytest.raises(ValueError, match="need one label a row, got candidates"):
            loaded(drop_rows=file, ambiguity=0.3)
