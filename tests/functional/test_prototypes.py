"""Labels judged by class prototypes: the loops, what a planted wrong label does, and classes that cannot be split."""

from __future__ import annotations

import warnings

import pytest
import torch
from tests.functional import prototype_formulas as formulas
from torch import Tensor

from longtail.functional.prototypes import judged_by_prototypes, near_their_class, prototype_logits


def planted(seed: int, sizes: tuple[int, ...] = (40, 20, 8), wrong: int = 10) -> tuple[Tensor, Tensor, Tensor]:
    """Features around one mean a class, labels, and which of them are right."""
    generator = torch.Generator().manual_seed(seed)
    truth = torch.repeat_interleave(torch.arange(len(sizes)), torch.tensor(sizes))
    features = torch.randn(len(truth), 5, generator=generator, dtype=torch.float64)
    features[:, :3] += 4 * torch.eye(3, dtype=torch.float64)[truth]
    labels = truth.clone()
    rows = torch.randperm(len(truth), generator=generator)[:wrong]
    labels[rows] = (truth[rows] + 1) % len(sizes)
    return features, labels, labels == truth


@pytest.mark.parametrize("seed", range(8))
def test_is_the_loop_over_rows_and_classes(seed: int) -> None:
    features, labels, _ = planted(seed)
    found = judged_by_prototypes(features, labels, 3)
    logits, clean = formulas.judged(features.tolist(), labels.tolist(), 3)
    torch.testing.assert_close(found.logits, torch.tensor(logits, dtype=torch.float64), rtol=1e-10, atol=1e-12)
    assert found.clean.tolist() == clean
    assert 0 < int(found.clean.sum()) < len(labels)


def test_the_second_judgement_by_refined_prototypes_is_the_one_used() -> None:
    differ = 0
    for seed in range(20):
        features, labels, _ = planted(seed)
        x = torch.tensor(formulas.units(features.tolist(), [1.0] * len(labels)), dtype=torch.float64)
        first = near_their_class(prototype_logits(x, labels, 3, torch.ones(len(labels)).double()), labels)
        differ += not first.equal(judged_by_prototypes(features, labels, 3).clean)
    assert differ > 0


def test_planted_wrong_labels_are_found_but_for_few() -> None:
    hits = wrong = 0
    for seed in range(5):
        features, labels, right = planted(seed)
        clean = judged_by_prototypes(features, labels, 3).clean
        hits += int((~clean & ~right).sum())
        wrong += int((~right).sum())
    assert wrong == 50
    assert hits >= 45


def test_rows_of_a_weight_count_as_so_many_in_the_means() -> None:
    features, labels, _ = planted(3)
    weight = torch.arange(len(labels)).remainder(4).double()
    found = judged_by_prototypes(features, labels, 3, weight)
    logits, clean = formulas.judged(features.tolist(), labels.tolist(), 3, weight.tolist())
    torch.testing.assert_close(found.logits, torch.tensor(logits, dtype=torch.float64), rtol=1e-10, atol=1e-12)
    assert found.clean.tolist() == clean
    assert not found.logits.allclose(judged_by_prototypes(features, labels, 3).logits)


def test_classes_that_cannot_be_split_are_kept() -> None:
    features, labels, _ = planted(0)
    one = torch.cat([labels, torch.tensor([3])])  # a class of one row, and class 4 of none
    found = judged_by_prototypes(torch.cat([features, features[:1] + 1]), one, 5)
    assert bool(found.clean[-1])
    assert found.logits[:, 4].tolist() == [-torch.inf] * len(one)
    assert found.logits[:, :4].isfinite().all()
    alike = torch.ones(12, 4)  # no row differs from the mean
    assert judged_by_prototypes(alike, torch.arange(12) % 3, 3).clean.all()
    two = judged_by_prototypes(torch.tensor([[0.0, 1.0], [0.0, 2.0], [4.0, 0.0]]), torch.tensor([0, 0, 1]), 2)
    assert two.clean.tolist()[2]


def test_of_two_rows_at_different_distances_the_nearer_one_is_kept() -> None:
    logits = torch.tensor([[-0.1], [-0.9]], dtype=torch.float64)
    assert near_their_class(logits, torch.zeros(2, dtype=torch.int64)).tolist() == [True, False]


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_features_that_are_not_finite_split_nothing(bad: float) -> None:
    features, labels, _ = planted(0)
    features[3, 2] = bad
    assert judged_by_prototypes(features, labels, 3).clean.all()


def test_it_is_repeatable_quiet_and_takes_no_random_numbers() -> None:
    features, labels, _ = planted(1)
    torch.manual_seed(5)
    before = torch.get_rng_state()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        one = judged_by_prototypes(features.float(), labels, 3)
    assert torch.get_rng_state().equal(before)
    assert one.clean.equal(judged_by_prototypes(features.float(), labels, 3).clean)
