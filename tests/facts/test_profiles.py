"""Long-tailed and step profiles have the counts of the published data sets."""

import numpy as np
import pytest
import torch

from longtail.facts.profiles import long_tail, profile, step, subset

CIFAR10 = {
    100: [5000, 2997, 1796, 1077, 645, 387, 232, 139, 83, 50],
    10: [5000, 3871, 2997, 2320, 1796, 1391, 1077, 834, 645, 500],
    50: [5000, 3237, 2096, 1357, 878, 568, 368, 238, 154, 100],
    200: [5000, 2775, 1540, 854, 474, 263, 146, 81, 45, 25],
}
TOTALS = {10: (20431, 19573, 50), 20: (17023, 15907, 25), 50: (13996, 12608, 10), 100: (12406, 10847, 5),
          200: (11203, 9502, 2)}  # fmt: skip
STEP_TOTALS = {10: (27500, 27500), 20: (26250, 26250), 50: (25500, 25500), 100: (25250, 25250),
               200: (25125, 25100)}  # fmt: skip


@pytest.mark.parametrize(("ratio", "counts"), CIFAR10.items())
def test_cifar10_counts_are_those_of_the_original_code(ratio, counts):
    assert long_tail(5000, 10, ratio).tolist() == counts


@pytest.mark.parametrize(("ratio", "expected"), TOTALS.items())
def test_long_tailed_totals_are_the_published_ones(ratio, expected):
    ten, hundred = long_tail(5000, 10, ratio), long_tail(500, 100, ratio)
    assert (int(ten.sum()), int(hundred.sum()), int(hundred[-1])) == expected


@pytest.mark.parametrize(("ratio", "expected"), STEP_TOTALS.items())
def test_step_totals_are_the_published_ones(ratio, expected):
    assert (int(step(5000, 10, ratio).sum()), int(step(500, 100, ratio).sum())) == expected


def test_shot_groups_of_cifar100_have_their_published_sizes():
    for ratio, sizes in {100: (35, 35, 30), 50: (41, 41, 18), 10: (69, 31, 0), 200: (30, 31, 39)}.items():
        n = long_tail(500, 100, ratio)
        assert (int((n > 100).sum()), int(((n >= 20) & (n <= 100)).sum()), int((n < 20).sum())) == sizes


def test_meta_weight_net_profiles():
    assert int(long_tail(4990, 10, 100).sum()) == 12380
    assert int(long_tail(490, 100, 100).sum()) == 10626


@pytest.mark.parametrize("ratio", [1, 2, 3, 7, 10, 49, 50, 97, 100])
def test_a_ratio_that_divides_n_max_is_reached_exactly(ratio):
    n = long_tail(ratio * 3, 10, ratio)
    assert (int(n[0]), int(n[-1])) == (ratio * 3, 3)
    assert n.dtype == torch.int64
    assert int(step(ratio * 3, 4, ratio)[-1]) == 3


def test_profile_by_name_and_odd_numbers_of_classes():
    assert profile("exp", 100, 3, 100).tolist() == [100, 10, 1]
    assert profile("step", 100, 5, 100).tolist() == [100, 100, 1, 1, 1]
    with pytest.raises(ValueError, match="profile must be one of exp, step, got 'pareto'"):
        profile("pareto", 100, 5, 10)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((100, 10, 0.5), "ratio must be >= 1"),
        ((100, 10, float("nan")), "ratio must be >= 1"),
        ((100, 10, float("inf")), "ratio must be >= 1 and finite"),
        ((100, 1, 10), "num_classes must be >= 2"),
        ((0, 10, 10), "n_max must be >= 1"),
    ],
)
def test_what_makes_no_profile_is_refused(arguments, message):
    for make in (long_tail, step):
        with pytest.raises(ValueError, match=message):
            make(*arguments)


def test_the_subset_is_that_of_the_original_code():
    labels = np.repeat([0, 1, 2], 40)[np.random.default_rng(0).permutation(120)]
    counts = [20, 9, 4]
    np.random.seed(0)  # noqa: NPY002 - the rule is that of the legacy global generator
    expected = []
    for j, n in enumerate(counts):
        rows = np.where(labels == j)[0]
        np.random.shuffle(rows)  # noqa: NPY002
        expected.extend(rows[:n])
    rows = subset(labels, counts, seed=0)
    assert rows.tolist() == expected
    assert np.bincount(labels[rows]).tolist() == counts
    assert subset(labels, counts, seed=1).tolist() != rows.tolist()


def test_a_subset_that_cannot_be_cut_is_refused():
    with pytest.raises(ValueError, match="class '1' must have 3 examples but has 2"):
        subset([0, 0, 0, 1, 1], [3, 3])
    with pytest.raises(ValueError, match="class '1' would have no example"):
        subset([0, 0, 0, 1, 1], [3, 0])
    with pytest.raises(ValueError, match="one entry per class, got 3 for 2"):
        subset([0, 1], [1, 1, 1])
