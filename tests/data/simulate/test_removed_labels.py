"""Which rows lose their labels: counts exact, rows disjoint, the same draw every time, a smaller share a subset."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from longtail.data.simulate.removed_labels import Cut, Divided, divide

SIZES = st.lists(st.integers(1, 40), min_size=2, max_size=6)


def divided(sizes: list[int], rows: torch.Tensor | None = None, cut: Cut | None = None, **values: object) -> Divided:
    targets = shuffled(sizes)
    before = torch.arange(len(targets))
    options = {"labeled": None, "size": None, "ratio": None, **values}
    names = [f"c{j}" for j in range(len(sizes))]
    return divide(targets, names, before if rows is None else rows, before, cut or Cut(), **options)


def shuffled(sizes: list[int]) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(0).permutation(np.repeat(np.arange(len(sizes)), sizes)))


def counts(rows: torch.Tensor, sizes: list[int]) -> list[int]:
    return torch.bincount(shuffled(sizes)[rows], minlength=len(sizes)).tolist()


class TestShare:
    @given(SIZES, st.sampled_from([0.1, 0.25, 0.3, 0.5]))
    @settings(max_examples=50, deadline=None)
    def test_keeps_that_many_of_every_class_rounded_up(self, sizes: list[int], share: float) -> None:
        if max(sizes) == 1:
            return
        labeled, unlabeled = divided(sizes, labeled=share)
        assert counts(labeled, sizes) == [math.ceil(round(share * n, 9)) for n in sizes]
        assert sorted(torch.cat([labeled, unlabeled]).tolist()) == list(range(sum(sizes)))

    def test_a_smaller_one_keeps_a_subset(self) -> None:
        small, large = (divided([30, 12, 4], labeled=share).labeled for share in (0.2, 0.7))
        assert set(small.tolist()) < set(large.tolist())

    def test_draws_the_same_rows_every_time(self) -> None:
        first, second = (divided([30, 12, 4], labeled=0.3) for _ in range(2))
        assert torch.equal(first.labeled, second.labeled)
        assert torch.equal(first.unlabeled, second.unlabeled)

    def test_keeps_the_order_of_the_rows(self) -> None:
        rows = torch.randperm(46, generator=torch.Generator().manual_seed(1))
        labeled = divided([30, 12, 4], rows, labeled=0.5).labeled
        place = {int(row): k for k, row in enumerate(rows)}
        assert [place[int(row)] for row in labeled] == sorted(place[int(row)] for row in labeled)

    def test_leaves_a_row_without_a_label(self) -> None:
        with pytest.raises(ValueError, match=r"^labeled \(--labeled\) must leave training rows without a label"):
            divided([1, 1, 1], labeled=0.5)


class TestNumber:
    def test_of_the_largest_class_and_in_proportion_of_others(self) -> None:
        assert counts(divided([40, 20, 10, 3], labeled=8).labeled, [40, 20, 10, 3]) == [8, 4, 2, 1]

    def test_follows_the_profile_of_the_cut(self) -> None:
        """DARP's CIFAR-10: 1500 labelled rows at ratio 100."""
        sizes = [2000] * 10
        labeled, unlabeled = divided(sizes, torch.arange(20000), Cut(100.0), labeled=1500, size=500, ratio=None)
        assert counts(labeled, sizes) == [1500, 899, 539, 323, 193, 116, 69, 41, 25, 15]
        assert counts(unlabeled, sizes) == [500, 299, 179, 107, 64, 38, 23, 13, 8, 5]

    def test_is_at_most_the_largest_class(self) -> None:
        with pytest.raises(ValueError, match="must be at most 40"):
            divided([40, 20], labeled=41)


class TestUnlabelledRows:
    def test_are_drawn_from_before_the_cut_and_disjoint(self) -> None:
        sizes, targets = [50, 50, 50], shuffled([50, 50, 50])
        rows = torch.cat([torch.nonzero(targets == j).flatten()[:n] for j, n in enumerate((40, 12, 4))])
        labeled, unlabeled = divided(sizes, rows, Cut(10.0), labeled=20, ratio="reversed", size=30)
        assert counts(labeled, sizes) == [20, 6, 2]
        assert counts(unlabeled, sizes) == [3, 9, 30]
        assert not set(labeled.tolist()) & set(unlabeled.tolist())
        assert set(labeled.tolist()) <= set(rows.tolist())

    @pytest.mark.parametrize(("ratio", "wanted"), [(1.0, [10, 10, 10]), (10.0, [10, 3, 1]), (None, [10, 5, 2])])
    def test_follow_their_own_ratio_or_the_sizes_of_the_data(self, ratio: float | None, wanted: list[int]) -> None:
        assert counts(divided([80, 40, 20], labeled=8, ratio=ratio, size=10).unlabeled, [80, 40, 20]) == wanted

    def test_are_as_many_as_fit_where_no_size_is_given(self) -> None:
        labeled, unlabeled = divided([80, 40, 20], labeled=8, ratio=1.0)
        assert counts(labeled, [80, 40, 20]) == [8, 4, 2]
        assert counts(unlabeled, [80, 40, 20]) == [18, 18, 18]

    def test_step_profile(self) -> None:
        cut = Cut(10.0, "step")
        assert counts(divided([60] * 4, cut=cut, labeled=10, size=40).unlabeled, [60] * 4) == [40, 40, 4, 4]

    def test_more_than_there_are_are_refused(self) -> None:
        with pytest.raises(ValueError, match="got 30, which needs 30 of class 'c2' where 18 are left"):
            divided([80, 40, 20], labeled=8, ratio=1.0, size=30)

    def test_reversed_needs_a_ratio(self) -> None:
        with pytest.raises(ValueError, match="needs ratio"):
            divided([80, 40], ratio="reversed")
