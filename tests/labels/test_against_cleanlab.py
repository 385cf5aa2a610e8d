"""Confident learning names the rows that cleanlab 2.9 names, and counts what it counts, to the last integer."""

import numpy as np
import pytest
from label_cases import random_case
from tests.cases import cases

from longtail.labels import confident, quality, rules

count = pytest.importorskip("cleanlab.count")
filters = pytest.importorskip("cleanlab.filter")
rank = pytest.importorskip("cleanlab.rank")
pytestmark = pytest.mark.filterwarnings(
    "ignore::UserWarning"
)  # of rules that do not take frac_noise, and of small classes


@cases("seed", range(25))
def test_the_joint_and_its_calibration_are_equal(seed: int) -> None:
    labels, probabilities = random_case(seed)
    joint = confident.confident_joint(labels, probabilities).counts
    np.testing.assert_array_equal(joint, count.compute_confident_joint(labels, probabilities, calibrate=False))
    np.testing.assert_array_equal(
        confident.calibrated(joint, labels), count.compute_confident_joint(labels, probabilities)
    )


@cases("rule", rules.RULES)
def test_every_rule_names_the_same_rows(rule: str) -> None:
    for seed in range(8):
        labels, probabilities = random_case(seed)
        for noise in (1.0, 0.6):
            theirs = filters.find_label_issues(labels, probabilities, filter_by=rule, frac_noise=noise, n_jobs=1)
            np.testing.assert_array_equal(rules.wrong_labels(labels, probabilities, rule, noise=noise), theirs)
        assert rules.number_wrong(labels, probabilities) == count.num_label_issues(labels, probabilities)


@cases("keep", [1, 5, 12])
def test_so_many_rows_of_every_class_are_kept(keep: int) -> None:
    for seed in range(8):
        labels, probabilities = random_case(seed)
        theirs = filters.find_label_issues(labels, probabilities, min_examples_per_class=keep, n_jobs=1)
        np.testing.assert_array_equal(rules.wrong_labels(labels, probabilities, keep=keep), theirs)


def test_scores_and_latent_matrices_are_equal() -> None:
    ours = {
        "self_confidence": quality.self_confidence,
        "normalized_margin": quality.normalised_margin,
        "confidence_weighted_entropy": quality.weighted_entropy,
    }
    for seed in range(8):
        labels, probabilities = random_case(seed)
        for method, score in ours.items():
            theirs = rank.get_label_quality_scores(labels, probabilities, method=method)
            np.testing.assert_allclose(score(labels, probabilities), theirs, rtol=1e-14)
        theirs = rank.get_label_quality_scores(labels, probabilities, adjust_pred_probs=True)
        moved = quality.adjusted(labels, probabilities)
        np.testing.assert_allclose(quality.self_confidence(labels, moved), theirs, rtol=1e-14)
        joint = count.compute_confident_joint(labels, probabilities)
        prior, noise, inverse = count.estimate_latent(joint, labels)
        found = confident.latent(joint, labels)
        for mine, other in zip(found, (noise, inverse, prior), strict=True):
            np.testing.assert_allclose(mine, other, rtol=1e-14)
