"""What is known of the labels of rows: one each, a set of candidates each, or nothing."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from longtail.data import Examples, MappedExamples, Splits, TrainingSet, load, together
from longtail.data.label_kinds import label_kind, unlabeled

CLASSES = ("a", "b", "c")
GIVEN = torch.tensor([0, 0, 1, 2])
SETS = torch.tensor([[1, 0, 0], [1, 1, 0], [0, 1, 1], [1, 1, 1]], dtype=torch.bool)
INPUTS = torch.arange(8.0).view(4, 2)


class Rows:
    def __getitem__(self, row: int) -> tuple[torch.Tensor, int]:
        return INPUTS[row], 0


def mapped(targets: torch.Tensor) -> MappedExamples:
    return MappedExamples(Rows(), targets, CLASSES, identity="four rows")


def in_memory(targets: torch.Tensor) -> Examples:
    return Examples(INPUTS, targets, CLASSES)


PLACES = pytest.mark.parametrize("place", [in_memory, mapped])


@PLACES
@pytest.mark.parametrize(
    ("targets", "expected", "known"),
    [(GIVEN, "given", True), (SETS, "candidates", False), (unlabeled(4), "none", False)],
)
def test_a_part_says_what_is_known(place: Any, targets: torch.Tensor, expected: str, known: bool) -> None:
    part = place(targets)
    assert (part.kind, part.counts_known, len(part)) == (expected, known, 4)
    taken = part.take(torch.tensor([3, 0]))
    assert (taken.kind, len(taken)) == (expected, 2)
    assert part.drawn(2).to("cpu").kind == expected
    assert TrainingSet(part).counts_known == known


@PLACES
def test_candidate_sets_count_in_equal_shares(place: Any) -> None:
    counts = place(SETS).class_counts
    assert counts.dtype == torch.float64
    assert counts.tolist() == pytest.approx([1 + 1 / 2 + 1 / 3, 1 / 2 + 1 / 2 + 1 / 3, 1 / 2 + 1 / 3])
    weighed = replace(place(SETS), sample_weight=torch.tensor([2.0, 0.0, 0.0, 3.0]))
    assert weighed.class_counts.tolist() == pytest.approx([3.0, 1.0, 1.0])


def test_one_candidate_each_counts_as_labels_do() -> None:
    alone = in_memory(torch.nn.functional.one_hot(GIVEN).bool())
    assert alone.class_counts.tolist() == in_memory(GIVEN).class_counts.tolist()


@PLACES
def test_rows_without_labels_are_not_counted(place: Any) -> None:
    with pytest.raises(ValueError, match="class_counts must come from rows with labels"):
        _ = place(unlabeled(4)).class_counts


@PLACES
def test_batches_have_targets_where_rows_have_labels(place: Any) -> None:
    sets = list(place(SETS).drawn(3).batches(0.0, torch.Generator()))
    assert all(batch["targets"].equal(SETS[batch["index"]]) for batch in sets)
    none = list(place(unlabeled(4)).drawn(3, views=("plain", "weak")).batches(0.0, torch.Generator()))
    assert [sorted(batch) for batch in none] == [["index", "inputs"]] * 2
    assert all(batch["inputs"][0].equal(INPUTS[batch["index"]]) for batch in none)


def test_a_batch_together_carries_rows_without_labels() -> None:
    source = together(in_memory(GIVEN).drawn(2), unlabeled=mapped(unlabeled(4)).drawn(3))
    batch = next(source.batches(0.0, torch.Generator()))
    assert len(batch["unlabeled"]["index"]) == 3
    assert "targets" not in batch["unlabeled"]


@pytest.mark.parametrize(
    "targets",
    [torch.zeros(4, 2, dtype=torch.bool), torch.zeros(4, 3, dtype=torch.int64), torch.zeros(4, 3, 1, dtype=torch.bool)],
)
def test_targets_of_another_shape_are_named(targets: torch.Tensor) -> None:
    with pytest.raises(ValueError, match=r"targets must be \(N,\) class indices, \(N, 3\) bool candidate sets or"):
        label_kind(targets, 3)


class TestSplits:
    @staticmethod
    def splits() -> Splits:
        y = np.repeat([0, 1, 2], [12, 8, 6])
        return load(np.random.default_rng(0).normal(size=(26, 2)), y)

    def test_unlabelled_rows_are_part_of_what_training_sees_and_of_the_identity(self) -> None:
        plain = self.splits()
        rest = replace(plain.train.take(torch.arange(4)), targets=unlabeled(4))
        more = replace(plain, unlabeled=rest).checked()
        assert TrainingSet.of(more).unlabeled is rest
        assert TrainingSet.of(plain).unlabeled is None
        other = replace(rest, inputs=rest.inputs + 1)
        hashes = [plain.hash, more.hash, replace(plain, unlabeled=other).hash]
        assert len(set(hashes)) == 3
        digest = hashlib.sha256()
        for part in (plain.train, plain.val, plain.test):  # without them it is what it was
            digest.update(b"part")
            if part is not None:
                part.update_hash(digest)
        assert plain.hash == digest.hexdigest()

    def test_parts_with_other_labels_than_their_name_says_are_refused(self) -> None:
        plain = self.splits()
        with pytest.raises(ValueError, match="unlabeled must be rows without labels, got rows whose labels are given"):
            replace(plain, unlabeled=plain.train).checked()
        sets = torch.ones(len(plain.train), 3, dtype=torch.bool)
        sets[5] = False
        with pytest.raises(ValueError, match="every row must have a candidate, got none in training row 5; leave"):
            replace(plain, train=replace(plain.train, targets=sets)).checked()
        tested = replace(plain.test, targets=torch.ones(len(plain.test), 3, dtype=torch.bool))
        with pytest.raises(ValueError, match="the test part must have one label a row, got labels that are candidates"):
            replace(plain, test=tested).checked()
        sets[5, 0] = True
        sets[:, 2] = False
        with pytest.raises(ValueError, match="every class must have a training example, got none of class '2'"):
            replace(plain, train=replace(plain.train, targets=sets)).checked()
