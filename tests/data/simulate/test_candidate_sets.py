"""Candidate sets drawn around clean labels, against their probabilities and CIFAR-100's superclasses."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from longtail.data.simulate import candidate_sets as module
from longtail.data.simulate.candidate_sets import ambiguity_of, candidate_sets
from longtail.data.simulate.superclasses import CIFAR100, superclasses

NAMES = [f"c{j}" for j in range(5)]
TARGETS = torch.arange(20000) % 5


def rates(ambiguity: str, targets: torch.Tensor = TARGETS, names: list[str] = NAMES) -> np.ndarray:
    """(C, C): how often each class is a candidate of rows of each class."""
    sets = candidate_sets(targets, names, ambiguity)
    return np.stack([sets[targets == j].double().mean(0).numpy() for j in range(len(names))])


def test_every_other_class_has_the_same_chance() -> None:
    expected = np.where(np.eye(5, dtype=bool), 1.0, 0.3)
    assert np.abs(rates("0.3") - expected).max() < 5 * np.sqrt(0.21 / 4000)


def test_other_classes_are_independent() -> None:
    sets = candidate_sets(TARGETS, NAMES, "0.3")[TARGETS == 0][:, 1:].double()
    assert (np.abs(np.corrcoef(sets.T.numpy()) - np.eye(4)) < 0.08).all()


def test_pair_adds_the_next_class_and_no_other() -> None:
    found = rates("pair:0.4")
    for j in range(5):
        assert found[j, j] == 1
        assert found[j, (j + 1) % 5] == pytest.approx(0.4, abs=0.04)
        assert found[j].sum() == pytest.approx(1.4, abs=0.04)


def test_superclass_adds_classes_outside_eight_times_less_often() -> None:
    names = [name for some in CIFAR100.values() for name in some.split()]
    targets = torch.arange(100).repeat(400)
    found = rates("superclass:0.4", targets, names)
    inside = np.repeat(np.arange(20), 5)[:, None] == np.repeat(np.arange(20), 5)[None, :]
    assert found[inside & ~np.eye(100, dtype=bool)].mean() == pytest.approx(0.4, abs=0.01)
    assert found[~inside].mean() == pytest.approx(0.05, abs=0.002)


def test_the_superclasses_are_twenty_of_five() -> None:
    names = [name for some in CIFAR100.values() for name in some.split()]
    assert len(CIFAR100) == 20
    assert len(set(names)) == 100
    assert torch.bincount(superclasses(sorted(names))).tolist() == [5] * 20
    with pytest.raises(ValueError, match="needs the classes of cifar100, got 'c0'"):
        candidate_sets(TARGETS, NAMES, "superclass:0.3")


def test_sets_follow_from_the_seed_and_not_from_the_chunk(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = candidate_sets(TARGETS, NAMES, "0.3")
    monkeypatch.setattr(module, "CHUNK", 35)
    assert torch.equal(whole, candidate_sets(TARGETS, NAMES, "0.3"))


def test_a_smaller_chance_gives_subsets() -> None:
    assert not (candidate_sets(TARGETS, NAMES, "0.1") & ~candidate_sets(TARGETS, NAMES, "0.6")).any()


def test_without_a_chance_every_set_is_the_true_class() -> None:
    for ambiguity in ("0", "pair:0.0"):
        sets = candidate_sets(TARGETS, NAMES, ambiguity)
        assert torch.equal(sets, torch.nn.functional.one_hot(TARGETS, len(NAMES)).bool())


@pytest.mark.parametrize("value", [1, 1.5, -0.1, True, "x:0.3", ":0.3", "pair:", "pair", "0.3:pair", "nan", None])
def test_other_values_are_refused(value: object) -> None:
    with pytest.raises(ValueError, match=r"^ambiguity \(--ambiguity\) must be a chance in \[0, 1\)"):
        ambiguity_of(value)
