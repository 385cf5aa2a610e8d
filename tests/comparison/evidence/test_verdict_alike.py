"""Methods that decide as the reference does in every row are said to, and are not the largest difference."""

from __future__ import annotations

import numpy as np

from longtail.comparison.evidence.differences import compare_to_reference
from longtail.comparison.evidence.verdict import verdict, verdict_on_twins

Y = np.repeat([0, 1, 2], [30, 20, 10])


def decided(wrong: int, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    rows = Y.copy()
    rows[rng.choice(len(Y), wrong, replace=False)] = 0
    return rows


def test_the_largest_difference_is_one_that_there_is() -> None:
    plain = {seed: decided(12, seed) for seed in range(2)}
    worse = {seed: decided(14, 10 + seed) for seed in range(2)}
    found = compare_to_reference({"ce": plain, "again": plain, "worse": worse}, Y, "ce", num_classes=3)
    one = verdict(found)
    assert "differences is worse's" in one.sentence
    assert one.sentence.endswith("No row tells again from ce.")
    assert "again" in one.undecided


def test_where_all_are_alike_nothing_is_shown() -> None:
    plain = {seed: decided(12, seed) for seed in range(2)}
    one = verdict(compare_to_reference({"ce": plain, "again": plain}, Y, "ce", num_classes=3))
    assert one.sentence.startswith("Nothing is shown to beat ce; the difference of again is 0")
    assert one.winners == ()


def test_the_same_holds_of_twins() -> None:
    trees = {seed: decided(8, 20 + seed) for seed in range(2)}
    rows = {"ce": {s: decided(12, s) for s in range(2)}, "trees": trees, "trees-threshold": trees,
            "trees-cw": {s: decided(9, 30 + s) for s in range(2)}}  # fmt: skip
    twins = {"trees-threshold": "trees", "trees-cw": "trees"}
    one = verdict_on_twins(compare_to_reference(rows, Y, "ce", num_classes=3, twins=twins))
    assert one is not None
    assert "trees-threshold over" not in one.sentence
