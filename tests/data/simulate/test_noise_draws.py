"""Noisy labels against probabilities computed by hand: exact numbers, transition matrices, the artefact."""

from __future__ import annotations

import math
import re
from collections import Counter
from fractions import Fraction
from itertools import combinations, product

import numpy as np
import pytest
import torch

from longtail.data import noisy, transition_matrix
from longtail.data.simulate.noise import noise_of
from longtail.data.simulate.noise_draws import drawn_labels
from longtail.data.simulate.superclasses import CIFAR100

COUNTS = (50, 30, 12, 5, 3)
LABELS = [j for j, n in enumerate(COUNTS) for _ in range(n)]
CIFAR10 = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
FINE = tuple(sorted(name for names in CIFAR100.values() for name in names.split()))


def moved(noise: str, labels: list[int] = LABELS, classes: tuple[str, ...] | None = None) -> Counter[tuple[int, int]]:
    """How many labels went from one class to another one."""
    drawn = noisy(labels, noise, classes=classes).tolist()
    return Counter((a, b) for a, b in zip(labels, drawn, strict=True) if a != b)


def one_of_many(noise: str, labels: list[int], seed: int) -> np.ndarray:
    """One draw of many, which may leave a class without rows."""
    return drawn_labels(np.array(labels), [str(j) for j in range(max(labels) + 1)], noise_of(f"{noise},seed={seed}"))


def lost(noise: str, labels: list[int] = LABELS) -> list[int]:
    drawn = moved(noise, labels)
    return [sum(n for (a, _), n in drawn.items() if a == j) for j in range(max(labels) + 1)]


class TestExactCounts:
    @pytest.mark.parametrize("rate", [0.0, 0.07, 0.29, 0.4, 0.555])
    @pytest.mark.parametrize("kind", ["symmetric", "proportional"])
    def test_of_all_rows(self, kind: str, rate: float) -> None:
        assert sum(lost(f"{kind}:{rate}")) == math.floor(Fraction(str(rate)) * 100)

    @pytest.mark.parametrize("kind", ["pair-flip", "one-target", "two-targets", "symmetric"])
    def test_of_every_class(self, kind: str) -> None:
        assert lost(f"{kind}:0.3,counts=per-class") == [math.floor(Fraction(3, 10) * n) for n in COUNTS]

    def test_as_many_of_every_class(self) -> None:
        assert lost("symmetric:0.12,counts=equal") == [math.floor(Fraction(12, 100) * 100) // 5] * 5

    def test_where_a_label_may_stay(self) -> None:
        labels = [j for j in range(4) for _ in range(2500)]
        assert abs(sum(lost("uniform:0.4", labels)) - 3000) < 5 * math.sqrt(4000 * 0.75 * 0.25)
        share = 1 - sum((n / 100) ** 2 for n in COUNTS)
        drawn = [int((one_of_many("prior:0.4", LABELS, seed) != LABELS).sum()) for seed in range(200)]
        expected = math.floor(0.4 * 100 / share) * share
        assert abs(np.mean(drawn) - expected) < 5 * np.std(drawn) / math.sqrt(200)

    def test_by_chance_they_vary_and_have_the_rate_on_average(self) -> None:
        drawn = [int((one_of_many("symmetric:0.4,counts=binomial", LABELS, s) != LABELS).sum()) for s in range(300)]
        assert len(set(drawn)) > 10
        assert abs(np.mean(drawn) - 40) < 5 * math.sqrt(100 * 0.4 * 0.6 / 300)


def expected_by_hand(kind: str, rate: float, counts: tuple[int, ...]) -> list[list[float]]:
    """The transition matrix of a kind with counts=binomial, from the definitions in plain loops."""
    size, total = len(counts), sum(counts)
    matrix = [[0.0] * size for _ in counts]
    for i, j in product(range(size), range(size)):
        if kind == "symmetric":
            matrix[i][j] = 1 - rate if i == j else rate / (size - 1)
        elif kind == "uniform":
            matrix[i][j] = rate / size + (1 - rate) * (i == j)
        elif kind == "pair-flip":
            matrix[i][j] = (1 - rate) * (i == j) + rate * (j == (i + 1) % size)
        elif kind == "proportional":
            matrix[i][j] = 1 - rate if i == j else rate * counts[j] / (total - counts[i])
        elif kind == "prior":
            chosen = rate / (1 - sum((n / total) ** 2 for n in counts))
            matrix[i][j] = chosen * counts[j] / total + (1 - chosen) * (i == j)
    return matrix


class TestTransitionMatrix:
    @pytest.mark.parametrize("kind", ["symmetric", "uniform", "pair-flip", "proportional", "prior"])
    def test_by_chance_is_the_definition(self, kind: str) -> None:
        ours = transition_matrix(f"{kind}:0.3,counts=binomial", COUNTS)
        torch.testing.assert_close(ours, torch.tensor(expected_by_hand(kind, 0.3, COUNTS), dtype=torch.float64))
        torch.testing.assert_close(ours.sum(1), torch.ones(5, dtype=torch.float64))

    def test_of_uniform_noise_errs_less_than_its_rate(self) -> None:
        matrix = transition_matrix("uniform:0.4,counts=binomial", [10] * 10)
        torch.testing.assert_close(1 - matrix.diagonal(), torch.full((10,), 0.36, dtype=torch.float64))

    def test_of_prior_noise_is_wrong_at_the_rate(self) -> None:
        matrix = transition_matrix("prior:0.3,counts=binomial", COUNTS).tolist()
        assert sum(n * (1 - matrix[j][j]) for j, n in enumerate(COUNTS)) / 100 == pytest.approx(0.3)

    def test_with_exact_counts_is_the_mean_over_all_draws(self) -> None:
        """Every subset of int(0.5 x 5) = 2 of 5 rows, and every pair of new labels, enumerated."""
        labels, size = [0, 0, 0, 1, 2], 3
        counts, weight = [3, 1, 1], [[0.0] * 3 for _ in range(3)]
        subsets = list(combinations(range(5), 2))
        for rows in subsets:
            for row in range(5):
                i = labels[row]
                for j in range(size):
                    new = counts[j] / (5 - counts[i]) * (j != i) if row in rows else float(i == j)
                    weight[i][j] += new / len(subsets) / counts[i]
        torch.testing.assert_close(
            transition_matrix("proportional:0.5", counts), torch.tensor(weight, dtype=torch.float64)
        )

    @pytest.mark.parametrize(
        "noise",
        [
            "symmetric:0.4", "symmetric:0.4,counts=per-class", "symmetric:0.1,counts=equal", "uniform:0.5",
            "uniform:0.5,counts=binomial", "pair-flip:0.35", "proportional:0.3", "prior:0.4",
            "prior:0.4,counts=binomial", "asymmetric:0.4,0=1,1=0,3=2", "asymmetric:0.4,0=1,1=0,3=2,counts=exact",
            "asymmetric:0.4,0=1,1=0,sequential=yes", "asymmetric:0.4,0=1,1=0,sequential=yes,counts=binomial",
        ],
    )  # fmt: skip
    def test_draws_have_it_on_average(self, noise: str) -> None:
        runs, found = 600, np.zeros((5, 5))
        for seed in range(runs):
            np.add.at(found, (np.array(LABELS), one_of_many(noise, LABELS, seed)), 1)
        matrix = transition_matrix(noise, COUNTS).numpy()
        expected = runs * np.array(COUNTS)[:, None] * matrix
        assert (found[expected == 0] == 0).all()
        # draws of one run are without replacement, so that the variance is at most the binomial one
        deviation = (found - expected) / np.sqrt(np.maximum(expected * (1 - matrix), 1e-9))
        assert np.abs(deviation[(expected > 0) & (matrix < 1)]).max(initial=0) < 4.5
        assert (found[matrix == 1] == expected[matrix == 1]).all()

    @pytest.mark.parametrize("targets", [1, 2])
    def test_random_targets_are_few_and_alike_for_all_rows(self, targets: int) -> None:
        noise = "one-target:0.4" if targets == 1 else "two-targets:0.4"
        matrix = transition_matrix(f"{noise},counts=binomial", [100] * 6)
        for i, row in enumerate(matrix.tolist()):
            others = [value for j, value in enumerate(row) if j != i and value]
            assert others == pytest.approx([0.4 / targets] * targets)
            assert row[i] == pytest.approx(0.6)
        again = transition_matrix(f"{noise},counts=binomial,seed=2", [100] * 6)
        assert not torch.equal(matrix, again)
        pairs = moved(noise, [j for j in range(6) for _ in range(100)])
        assert set(pairs) <= {(i, j) for i, j in product(range(6), range(6)) if matrix[i, j] and i != j}
        assert sum(pairs.values()) == 240


class TestClassMaps:
    def test_of_cifar10(self) -> None:
        labels = [j for j in range(10) for _ in range(100)]
        assert moved("asymmetric:0.4", labels, CIFAR10) == {
            (9, 1): 40, (2, 0): 40, (3, 5): 40, (5, 3): 40, (4, 7): 40,
        }  # fmt: skip
        assert sum(moved("asymmetric:0.4", labels, CIFAR10).values()) / 1000 == 0.4 / 2

    def test_of_digits(self) -> None:
        labels = [j for j in range(10) for _ in range(10)]
        assert set(moved("asymmetric:0.5", labels)) == {(7, 1), (2, 7), (3, 8), (5, 6), (6, 5)}

    def test_of_cifar100_is_the_next_of_five_by_number(self) -> None:
        matrix = transition_matrix("asymmetric:0.4,counts=binomial", [10] * 100, classes=FINE)
        for i in range(100):
            target = 5 * (i // 5) + (i + 1) % 5
            assert matrix[i, target].item() == pytest.approx(0.4)
            assert matrix[i, i].item() == pytest.approx(0.6)
        assert torch.equal(
            matrix, transition_matrix("asymmetric:0.4,counts=binomial,map=next-of-five", [10] * 100, classes=FINE)
        )

    def test_a_pair_of_five_is_exchanged(self) -> None:
        matrix = transition_matrix("asymmetric:0.5,map=pair-of-five", [10] * 100)
        changed = (matrix.diagonal() < 1).view(20, 5)
        assert (changed.sum(1) == 2).all()
        assert float(1 - matrix.diagonal().mean()) == pytest.approx(0.4 * 0.5)
        assert torch.equal(matrix, matrix.T)
        others = transition_matrix("asymmetric:0.5,map=pair-of-five,seed=1", [10] * 100)
        assert not torch.equal(matrix, others)

    def test_two_groups_mix_within(self) -> None:
        ten = transition_matrix("asymmetric:0.4,map=two-groups", [10] * 10, classes=CIFAR10)
        assert {(i, j) for i, j in product(range(10), range(10)) if i != j and ten[i, j]} == {
            (1, 9), (9, 1), (3, 5), (5, 3),
        }  # fmt: skip
        hundred = transition_matrix("asymmetric:0.4,map=two-groups,counts=binomial", [10] * 100, classes=FINE)
        for group in ([8, 13, 48, 58, 90], [41, 69, 81, 85, 89]):
            block = hundred[group][:, group]
            assert block.diagonal().tolist() == pytest.approx([0.6] * 5)
            assert block.sum().item() == pytest.approx(5)
            assert block[0, 1:].tolist() == pytest.approx([0.1] * 4)

    def test_names_of_ones_own(self) -> None:
        labels = ["cat"] * 10 + ["dog"] * 10 + ["a, b"] * 10
        drawn = noisy(labels, "asymmetric:0.3,cat=dog,#0=cat")  # "a, b" is class 0
        assert torch.bincount(drawn).tolist() == [7, 10, 13]

    def test_the_sequential_artefact(self) -> None:
        """For 3 -> 5, then 5 -> 3 at 0.4, 24 % of cats and 40 % of dogs are wrong, since some flip back."""
        counts = [1000] * 10
        for rule in ("", ",counts=binomial"):
            matrix = transition_matrix(f"asymmetric:0.4,3=5,5=3,sequential=yes{rule}", counts)
            assert 1 - matrix[3, 3].item() == pytest.approx(0.24)
            assert 1 - matrix[5, 5].item() == pytest.approx(0.40)
        labels = [3] * 1000 + [5] * 1000
        drawn = noisy(labels, "asymmetric:0.4,3=5,5=3,sequential=yes", classes=[str(j) for j in range(10)])
        cats, dogs = (drawn[:1000] != 3).double().mean().item(), (drawn[1000:] != 5).double().mean().item()
        assert abs(cats - 0.24) < 0.03
        assert abs(dogs - 0.40) < 0.03
        plain = noisy(labels, "asymmetric:0.4,3=5,5=3", classes=[str(j) for j in range(10)])
        assert (drawn[:1000] != 3).sum() < 0.7 * (plain[:1000] != 3).sum() == 280


class TestOfOnesOwn:
    def test_is_fixed_by_its_seed(self) -> None:
        first = noisy(LABELS, "symmetric:0.4")
        assert torch.equal(first, noisy(torch.tensor(LABELS), "symmetric:0.4"))
        assert first.dtype == torch.int64
        assert not torch.equal(first, noisy(LABELS, "symmetric:0.4,seed=1"))

    def test_rate_zero_changes_nothing(self) -> None:
        for kind in ("symmetric", "uniform", "pair-flip", "one-target", "two-targets", "proportional", "prior"):
            assert noisy(LABELS, f"{kind}:0").tolist() == LABELS
            assert torch.equal(transition_matrix(f"{kind}:0", COUNTS), torch.eye(5, dtype=torch.float64))

    @pytest.mark.parametrize(
        ("labels", "noise", "line"),
        [
            (["cat", "dog"], "asymmetric:0.4,cat=dg", "must name classes of the data, got 'dg'; did you mean 'dog'?"),
            (["cat", "dog"], "asymmetric:0.4,xyz=dog", "got 'xyz'; known are cat, dog"),
            (["cat", "dog"], "asymmetric:0.4,cat=#2", "got '#2'"),
            (["cat", "dog"], "asymmetric:0.4,cat=cat", "got 'cat' as its own target"),
            (["cat", "dog"], "asymmetric:0.4,cat=dog,#0=dog", "got '#0' twice"),
            (["cat", "dog"], "asymmetric:0.4", "has a map of its own for cifar10, cifar100 and the digits 0 to 9 only"),
            (["cat", "dog"], "asymmetric:0.4,map=two-groups", "map=two-groups is for the classes of cifar10 and"),
            (["cat", "dog"], "asymmetric:0.4,map=next-of-five", "needs a number of classes divisible by 5, got 2"),
            (["cat", "dog"], "two-targets:0.4", "two-targets needs at least 3 classes, got 2; take symmetric"),
            (["cat"], "symmetric:0.4", "needs at least two classes, got only 'cat'"),
            ([0] * 9 + [1], "prior:0.4", "prior can make at most 0.18 of these labels wrong"),
            ([0] * 9 + [1], "symmetric:0.5,counts=equal", "got 2 where class '1' has 1"),
            ([0] * 9 + [1], "asymmetric:1,0=1", "got none of class '0' by asymmetric:1.0,0=1; lower the rate"),
        ],
    )  # fmt: skip
    def test_refusals(self, labels: list[int] | list[str], noise: str, line: str) -> None:
        with pytest.raises(ValueError, match=re.escape(line)) as caught:
            noisy(labels, noise)
        assert "\n" not in str(caught.value)

    def test_refusals_of_counts(self) -> None:
        with pytest.raises(ValueError, match="class_counts must be whole numbers"):
            transition_matrix("symmetric:0.4", [1.5, 2.0])
        with pytest.raises(ValueError, match="class_counts must be whole numbers of rows of at least two classes"):
            transition_matrix("symmetric:0.4", [3])
        with pytest.raises(ValueError, match="classes must name the 2 classes of class_counts, got 1"):
            transition_matrix("symmetric:0.4", [3, 4], classes=["a"])
