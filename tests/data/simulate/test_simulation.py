"""Data made from clean ones: truth, identity, what training can reach, and refusals."""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tests.tiny_cifar import TESTED, tiny_cifar

from longtail.data import Examples, MappedExamples, Splits, TrainingSet, load
from longtail.data.simulate import parsed, simulation

DIGITS = torch.tensor([100, 64, 41, 27, 17, 11, 7, 4, 3, 2])


def clean(size: int = 90) -> tuple[np.ndarray, np.ndarray]:
    y = np.repeat([0, 1, 2], [size // 2, size // 3, size - size // 2 - size // 3])
    return np.random.default_rng(0).normal(size=(size, 2)) + y[:, None], y


def row_labels(splits: Splits, part: Any, X: np.ndarray, y: np.ndarray) -> torch.Tensor:
    """The clean labels of a part's rows, recovered from their inputs."""
    by_input = {row.tobytes(): label for row, label in zip(X.astype(np.float32), y, strict=True)}
    return torch.tensor([by_input[row.numpy().tobytes()] for row in part.inputs])


class TestDigits:
    def test_labeled(self) -> None:
        splits = load("digits", labeled=0.2)
        assert splits.class_counts.tolist() == torch.ceil(DIGITS * 0.2).long().tolist()
        assert splits.unlabeled is not None
        assert splits.truth is not None
        assert len(splits.train) + len(splits.unlabeled) == int(DIGITS.sum()) == len(splits.truth)
        assert torch.bincount(splits.truth).tolist() == DIGITS.tolist()
        assert torch.equal(splits.truth[: len(splits.train)], splits.train.targets)
        assert splits.facts["labeled"] == 0.2

    def test_the_test_part_never_changes(self) -> None:
        plain = load("digits")
        for values in ({"labeled": 0.2}, {"labeled": 50, "unlabeled_size": 40}, {"ambiguity": 0.3}):
            made = load("digits", **values)
            assert torch.equal(made.test.inputs, plain.test.inputs)
            assert torch.equal(made.test.targets, plain.test.targets)
            assert torch.equal(made.test_rows, plain.test_rows)
            assert made.hash != plain.hash

    def test_reversed_rows_come_from_before_the_cut(self) -> None:
        splits = load("digits", labeled=20, unlabeled_ratio="reversed")
        assert splits.unlabeled is not None
        assert splits.truth is not None
        counts = torch.bincount(splits.truth[len(splits.train) :], minlength=10)
        assert counts.tolist() == sorted(counts.tolist())
        assert int(counts[9]) > int(DIGITS[9])
        rows = [part.inputs.flatten(1) for part in (splits.train, splits.unlabeled, splits.test)]
        assert len(torch.cat(rows).unique(dim=0)) == sum(map(len, rows))

    def test_ambiguity_keeps_the_rows_and_names_the_truth(self) -> None:
        splits, plain = load("digits", ambiguity=0.3), load("digits")
        assert splits.train.kind == "candidates"
        assert splits.unlabeled is None
        assert torch.equal(splits.truth, plain.train.targets)
        assert splits.train.targets[torch.arange(276), plain.train.targets].all()
        assert splits.clean_counts is not None
        assert splits.clean_counts.tolist() == DIGITS.tolist()
        assert not splits.counts_known

    def test_validation_rows_are_labelled_rows(self) -> None:
        splits = load("digits", labeled=0.5, val=0.2)
        assert splits.val is not None
        assert splits.unlabeled is not None
        assert splits.val.kind == "given"
        assert len(splits.val) + len(splits.train) == int(torch.ceil(DIGITS * 0.5).sum())
        assert len(splits.truth) == len(splits.train) + len(splits.unlabeled)
        partial = load("digits", ambiguity="pair:0.3", val=0.2)
        assert partial.val is not None
        assert partial.val.kind == "given"
        assert partial.truth is not None
        assert len(partial.truth) == len(partial.train) == 276 - len(partial.val)
        assert partial.train.targets[torch.arange(len(partial.train)), partial.truth].all()

    def test_is_the_same_every_time_and_another_value_is_other_data(self) -> None:
        hashes = [load("digits", **v).hash for v in ({"labeled": 0.2}, {"labeled": 0.2}, {"labeled": 0.3})]
        assert hashes[0] == hashes[1] != hashes[2]
        sets = [load("digits", ambiguity=a).hash for a in (0.3, "0.3", "pair:0.3")]
        assert sets[0] == sets[1] != sets[2]


class TestCifar:
    def test_rows_without_labels_are_drawn_from_all_training_images(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        folder = tiny_cifar(tmp_path, monkeypatch)
        options: dict[str, Any] = {"data_dir": folder, "ratio": 10}
        plain = load("cifar10", **options)
        made = load("cifar10", labeled=10, unlabeled_size=10, unlabeled_ratio=1, **options)
        assert made.class_counts.tolist() == [10, 7, 5, 4, 3, 2, 2, 1, 1, 1]
        assert made.truth is not None
        assert torch.bincount(made.truth[len(made.train) :]).tolist() == [10] * 10
        assert len(made.test) == 10 * TESTED
        assert made.facts["images"] == plain.facts["images"]
        assert made.unlabeled is not None
        assert made.unlabeled.augment is not None


class TestOwnData:
    def test_truth_is_that_of_the_rows(self) -> None:
        X, y = clean()
        splits = load(X, y, labeled=0.3)
        for part, start in ((splits.train, 0), (splits.unlabeled, len(splits.train))):
            assert part is not None
            assert splits.truth is not None
            assert torch.equal(splits.truth[start : start + len(part)], row_labels(splits, part, X, y))

    def test_after_a_cut_rows_without_labels_may_have_another_profile(self) -> None:
        X, y = clean(300)
        splits = load(X, y, ratio=5, labeled=0.5, unlabeled_ratio=1.0)
        assert splits.truth is not None
        counts = torch.bincount(splits.truth[len(splits.train) :])
        assert len(set(counts.tolist())) == 1
        assert splits.class_counts.tolist() == sorted(splits.class_counts.tolist(), reverse=True)

    def test_splits_are_taken_too(self) -> None:
        X, y = clean()
        splits = load(load(X, y), labeled=0.3)
        direct = load(X, y, labeled=0.3)
        assert splits.class_counts.tolist() == direct.class_counts.tolist()

    def test_tables_are_prepared_by_the_labelled_training_rows_alone(self) -> None:
        pandas = pytest.importorskip("pandas")
        X, y = clean()
        frame = pandas.DataFrame({"a": X[:, 0], "b": X[:, 1], "y": y.astype(str)})
        splits = load(frame, "y", labeled=0.3)
        assert isinstance(splits.train, Examples)
        assert isinstance(splits.unlabeled, Examples)
        assert splits.train.inputs.mean(0).abs().max() < 1e-6
        assert splits.unlabeled.inputs.mean(0).abs().max() > 1e-3


class TestTraining:
    """What `build` gets has no way to the clean labels."""

    def test_the_training_set_has_no_truth(self) -> None:
        assert {field.name for field in fields(TrainingSet)} == {"labeled", "unlabeled", "val", "given", "cut"}
        made = load("digits", labeled=0.2)
        assert TrainingSet.of(made).hash == TrainingSet.of(replace(made, truth=None)).hash
        assert made.hash == replace(made, truth=None).hash

    @pytest.mark.parametrize("values", [{"labeled": 0.3}, {"ambiguity": 0.3}])
    def test_rows_read_one_by_one_have_no_other_labels(self, values: dict[str, Any]) -> None:
        X, y = clean()
        pairs = [(torch.from_numpy(row), int(label)) for row, label in zip(X, y, strict=True)]
        part = MappedExamples(pairs, torch.from_numpy(y), ("a", "b", "c"), identity="pairs")
        made = load(Splits("pairs", part, part), **values)
        given = made.train.targets if made.train.kind == "given" else torch.empty(0, dtype=torch.int64)
        for rows in (made.train, made.unlabeled):
            if rows is None:
                continue
            assert isinstance(rows, MappedExamples)
            assert rows.rows is not None
            reached = [rows.dataset[int(row)][1] for row in range(int(rows.rows.max()) + 1)]
            assert sorted(label for label in reached if label >= 0) == (
                sorted(given.tolist()) if rows.kind == "given" else []
            )
            batch = next(iter(rows.batches(0.0, torch.Generator().manual_seed(0))))
            assert ("targets" in batch) == (rows.kind != "none")


class TestRefusals:
    @pytest.mark.parametrize(
        ("values", "line"),
        [
            ({"labeled": 2.0}, "labeled (--labeled) must be a share"),
            ({"labeled": 0}, "labeled (--labeled) must be a share"),
            ({"labeled": True}, "labeled (--labeled) must be a share"),
            ({"labeled": "0.2"}, "labeled (--labeled) must be a share"),
            ({"unlabeled_size": 0}, "unlabeled_size (--unlabeled-size) must be >= 1"),
            ({"unlabeled_ratio": 0.5}, "unlabeled_ratio (--unlabeled-ratio) must be >= 1"),
            ({"unlabeled_ratio": "rev"}, "unlabeled_ratio (--unlabeled-ratio) must be a number >= 1 or"),
            ({"ambiguity": 0.3, "labeled": 0.3}, "ambiguity (--ambiguity) makes partial labels and cannot go with"),
        ],
    )
    def test_of_values_come_before_data_are_read(self, values: dict[str, Any], line: str) -> None:
        with pytest.raises((ValueError, TypeError)) as caught:
            load("nowhere.npz", **values)
        assert str(caught.value).startswith(line)

    def test_of_data_whose_labels_are_not_all_known(self) -> None:
        X, y = clean()
        some = np.where(np.arange(90) % 3 == 0, -1, y)
        with pytest.raises(
            ValueError, match=r"labeled \(--labeled\) must be given for data whose labels are all known"
        ):
            load(X, some, unlabeled="same", labeled=0.3)
        with pytest.raises(
            ValueError, match=r"ambiguity \(--ambiguity\) must be given for data whose labels are all known"
        ):
            load(load(X, y, labeled=0.3), ambiguity=0.3)

    def test_nothing_asked_is_nothing_hidden(self) -> None:
        assert simulation() is None


@pytest.mark.parametrize(
    ("option", "text", "value"),
    [
        ("labeled", "0.1", 0.1), ("labeled", "500", 500), ("unlabeled_ratio", "reversed", "reversed"),
        ("unlabeled_ratio", "100", 100), ("ambiguity", "0.3", "0.3"), ("labeled", "x", "x"),
    ],
)  # fmt: skip
def test_texts_of_the_command_line(option: str, text: str, value: Any) -> None:
    assert parsed(option, text) == value
    assert type(parsed(option, text)) is type(value)
