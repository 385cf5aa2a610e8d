"""The data of a search are those of `split`, without its test part."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from longtail.data import Examples, Splits, load
from longtail.data.read.dispatch import pool
from longtail.data.simulate import simulation
from longtail.data.split.folds import Folds
from longtail.data.split.holdout import split
from longtail.data.split.search import pool_of_training_part, search_splits, training_pool, without_test_part

N = 200


def rows(**columns: np.ndarray) -> object:
    draw = np.random.default_rng(0)
    return pool(draw.normal(size=(N, 3)).astype("float32"), np.repeat([0, 1, 2], [120, 50, 30]), **columns)


def inputs(part: object) -> torch.Tensor:
    assert isinstance(part, Examples)
    return part.inputs


@pytest.mark.parametrize("options", [{"val": 0.2}, {"val": 0.2, "ratio": 8.0}, {"val": 0.3, "test": 0.4}])
def test_training_and_validation_rows_are_those_of_the_comparison(options: dict[str, float]) -> None:
    whole, searched = split(rows(), **options), search_splits(rows(), **options)
    assert inputs(searched.train).equal(inputs(whole.train))
    assert whole.val is not None
    assert inputs(searched.test).equal(inputs(whole.val))
    assert searched.facts == whole.facts
    assert searched.test_rows is None
    assert without_test_part(whole).hash == searched.hash


def test_with_rows_without_labels_and_hidden_ones() -> None:
    hidden = simulation(labeled=0.4)
    whole, searched = split(rows(), val=0.25, simulation=hidden), search_splits(rows(), val=0.25, simulation=hidden)
    assert whole.unlabeled is not None
    assert searched.unlabeled is not None
    assert inputs(searched.unlabeled).equal(inputs(whole.unlabeled))
    assert inputs(searched.train).equal(inputs(whole.train))


def test_without_validation_rows_it_names_both_ways_out() -> None:
    with pytest.raises(ValueError, match=r"--val 0.2 \(val=0.2\).*--inner-folds 5"):
        search_splits(rows())
    with pytest.raises(ValueError, match="needs validation rows"):
        without_test_part(split(rows()))


def test_inner_folds_are_of_training_rows_and_keep_groups_together() -> None:
    groups = np.arange(N) // 4
    parts = np.where(groups % 5 == 0, "test", np.where(groups % 5 == 1, "val", "train"))
    made = training_pool(rows(group=groups, split=parts))
    assert made.source(torch.arange(len(made))).tolist() == np.flatnonzero(parts == "train").tolist()
    folds = Folds(made, 3)
    for fold in range(3):
        tested = torch.from_numpy(np.flatnonzero(folds.partition(0) == fold))
        assert not {*made.groups[tested.numpy()]} & {*made.groups[np.flatnonzero(folds.partition(0) != fold)]}
        assert len(folds.splits(0, fold).test) == len(tested) > 0
    thinned = training_pool(rows(), ratio=8.0)
    assert inputs(thinned.rows).equal(inputs(split(rows(), ratio=8.0).train))


def test_rows_without_labels_in_a_group_for_testing_are_left_out() -> None:
    y = np.repeat([0, 1], [60, 40])
    y[::10] = -1
    groups = np.arange(100) // 2
    parts = np.where((groups % 4 == 0) & (y >= 0), "test", "train")
    draw = np.random.default_rng(0).normal(size=(100, 3)).astype("float32")
    made = training_pool(pool(draw, y, group=groups, split=parts, unlabeled="same"))
    assert made.unlabeled is not None
    assert 0 < len(made.unlabeled) < 10
    assert not {*made.unlabeled.groups} & {*groups[parts == "test"]}


def test_data_that_are_split_already_have_folds_of_their_training_part() -> None:
    digits = load("digits", labeled=0.5)
    assert isinstance(digits, Splits)
    folds = Folds(pool_of_training_part(digits), 2)
    one = folds.splits(0, 0)
    assert len(one.train) + len(one.test) == len(digits.train)
    assert one.unlabeled is not None
    assert digits.unlabeled is not None
    assert len(one.unlabeled) == len(digits.unlabeled)
    assert one.preparation == digits.preparation
