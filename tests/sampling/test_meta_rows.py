"""The rows of a meta set: balanced, taken out of the others, and never a whole class."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from longtail.sampling import meta_rows
from longtail.sampling.meta_rows import lent

LABELS = torch.arange(5).repeat_interleave(torch.tensor([100, 7, 3, 2, 1]))


def counts(rows: torch.Tensor) -> list[int]:
    return torch.bincount(LABELS[rows], minlength=5).tolist()


def test_a_class_gives_at_most_half_of_its_rows_and_keeps_its_only_one() -> None:
    meta, stay = meta_rows(LABELS, 10)
    assert counts(meta) == [10, 3, 1, 1, 1]
    assert counts(stay) == [90, 4, 2, 1, 1]
    both = set(meta.tolist()) & set(stay.tolist())
    assert both == {len(LABELS) - 1}
    assert set(meta.tolist()) | set(stay.tolist()) == set(range(len(LABELS)))
    assert lent(torch.tensor([100, 7, 3, 2, 1]), 10).tolist() == [10, 3, 1, 1, 0]


def test_the_choice_is_random_and_always_the_same() -> None:
    meta, _ = meta_rows(LABELS, 10)
    assert meta.equal(meta_rows(LABELS, 10)[0])
    assert meta[:10].tolist() != list(range(10))
    assert meta.equal(meta.sort().values)


def test_labels_may_be_names() -> None:
    meta, stay = meta_rows(["b", "a", "b", "b", "a"], 1)
    assert len(meta) == 2
    assert len(stay) == 3


def test_rows_of_weight_0_are_not_lent_and_do_not_count() -> None:
    weight = torch.ones(len(LABELS))
    weight[-3] = 0  # of a class of two rows
    meta, stay = meta_rows(LABELS, 10, sample_weight=weight)
    assert len(LABELS) - 3 in stay
    assert len(LABELS) - 3 not in meta
    assert counts(meta)[3] == 1
    assert counts(stay)[3] == 2  # the other one is lent and kept
    weight[-2] = 0
    with pytest.raises(ValueError, match="labels must have a row of every class for a meta set, got none of '3'"):
        meta_rows(LABELS, 10, sample_weight=weight)


@pytest.mark.parametrize("per_class", [0, -1, 2.5])
def test_a_size_below_1_is_refused(per_class: Any) -> None:
    with pytest.raises(ValueError, match="per_class must be an integer >= 1"):
        meta_rows(LABELS, per_class)


def test_a_class_without_rows_is_refused() -> None:
    with pytest.raises(ValueError, match="got none of '1'"):
        meta_rows(torch.tensor([0, 0, 2, 2]), 1)
