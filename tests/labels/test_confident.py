"""Confident learning against an evaluation by plain loops, and its rules where the answer is known."""

import math

import numpy as np
import pytest
from label_cases import random_case
from tests.cases import cases

from longtail.labels import confident, quality, rules


def joint_by_loops(labels: list[int], p: list[list[float]]) -> tuple[list[list[int]], list[int]]:
    """Sections 1 to 3 of the definition, one row at a time."""
    size = len(p[0])
    level = []
    for k in range(size):
        own = [row[k] for row, label in zip(p, labels, strict=True) if label == k]
        level.append(max(sum(own) / len(own) if own else 2.0, 2e-6))
    counts, off = [[0] * size for _ in range(size)], []
    for i, (row, label) in enumerate(zip(p, labels, strict=True)):
        confident_in = [k for k in range(size) if row[k] >= level[k] - 1e-6]
        if not confident_in:
            continue
        guess = confident_in[0] if len(confident_in) == 1 else row.index(max(row))
        counts[label][guess] += 1
        if guess != label:
            off.append(i)
    for k in range(size):
        counts[k][k] = max(counts[k][k], 1)
    return counts, off


@cases("seed", range(30))
def test_the_joint_is_that_of_plain_loops(seed: int) -> None:
    labels, probabilities = random_case(seed)
    counts, off = joint_by_loops(labels.tolist(), probabilities.tolist())
    found = confident.confident_joint(labels, probabilities)
    assert found.counts.tolist() == counts
    assert found.off_diagonal.tolist() == off


@cases("seed", range(30))
def test_a_calibrated_joint_keeps_the_number_of_every_label(seed: int) -> None:
    labels, probabilities = random_case(seed)
    joint = confident.confident_joint(labels, probabilities).counts
    scaled = confident.calibrated(joint, labels)
    assert scaled.sum(1).tolist() == np.bincount(labels).tolist()
    exact = joint / joint.sum(1, keepdims=True) * np.bincount(labels)[:, None]
    assert np.abs(scaled - exact).max() <= 1.0


def test_one_wrong_label_is_named_by_every_rule() -> None:
    labels = np.repeat([0, 1], 10)
    probabilities = np.where(np.eye(2)[labels] > 0, 0.9, 0.1)
    probabilities[3] = [0.05, 0.95]
    for rule in rules.RULES:
        assert np.flatnonzero(rules.wrong_labels(labels, probabilities, rule)).tolist() == [3], rule


def test_scores_are_their_formulas() -> None:
    p, labels = np.array([[0.7, 0.2, 0.1], [0.1, 0.3, 0.6]]), np.array([0, 1])
    assert quality.self_confidence(labels, p).tolist() == [0.7, 0.3]
    np.testing.assert_allclose(quality.normalised_margin(labels, p), [(0.7 - 0.2 + 1) / 2, (0.3 - 0.6 + 1) / 2])
    for i, label in enumerate(labels):
        x = -sum(v * math.log(v) for v in p[i]) / math.log(3) / p[i, label]
        assert quality.weighted_entropy(labels, p)[i] == pytest.approx(math.log(x + 1) / x)


def test_noise_rates_are_the_shares_off_the_diagonal() -> None:
    assert confident.noise_rates(np.array([[8, 2], [1, 3]])).tolist() == pytest.approx([0.2, 0.25])


def test_refusals() -> None:
    labels, probabilities = random_case(0)
    with pytest.raises(ValueError, match="rule must be one of prune_by_noise_rate"):
        rules.wrong_labels(labels, probabilities, "prune")
    with pytest.raises(ValueError, match=r"noise must be a share in \[0, 1\], got 1.5"):
        rules.wrong_labels(labels, probabilities, noise=1.5)
