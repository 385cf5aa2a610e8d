"""Reliability of a row's probabilities before and after: bins by hand, fitted on validation rows or on other folds."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from longtail.comparison.diagnostics import RowRuns, diagnosed
from longtail.comparison.diagnostics.calibration import calibration
from longtail.comparison.diagnostics.reliability import Judged, reliability
from longtail.metrics import ece
from longtail.posthoc import TemperatureScaling
from longtail.runs.scored import ScoredRows, ScoredRun

PRIOR = np.array([0.7, 0.2, 0.1])
COUNTS = np.array([140.0, 40.0, 20.0])
NAMES = ("a", "b", "c")


def rows(n: int, seed: int, *, sharpness: float = 3.0, fold: bool = False, weighted: bool = False) -> ScoredRows:
    rng = np.random.default_rng(seed)
    logits = rng.normal(size=(n, 3)) * 1.5 + np.log(PRIOR)
    p = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    y = (p.cumsum(1) < rng.random((n, 1))).sum(1)
    z = sharpness * logits
    logs = z - np.log(np.exp(z).sum(1, keepdims=True))
    weight = rng.integers(1, 4, n).astype(float) if weighted else None
    return ScoredRows(logs, logs.argmax(1), y, weight, np.arange(n), np.arange(n) % 4 if fold else None)


def run(test: ScoredRows, val: ScoredRows | None, prior: np.ndarray = PRIOR) -> ScoredRun:
    return ScoredRun(Path("nowhere"), test, val, NAMES, COUNTS, PRIOR, prior)


def of(*runs: ScoredRun) -> dict:
    return calibration(RowRuns("ce", runs, NAMES, COUNTS))["calibration"]


def test_bins_and_scores_are_those_of_plain_loops() -> None:
    found = [rows(60, seed, weighted=True) for seed in (0, 1)]
    judged = [Judged(np.exp(one.log_probs), one.targets, one.weight) for one in found]
    entry = reliability(judged, 2)
    bins: dict[int, list[list[float]]] = {}
    by_class = []
    for one in judged:
        for p, y, w in zip(one.probs.tolist(), one.targets.tolist(), one.weight.tolist(), strict=True):
            top, share = max(p), w / one.weight.sum() / 2
            b = next(k for k in range(15) if top <= (k + 1) / 15)
            bins.setdefault(b, []).append([share, top, float(p.index(top) == y)])
            by_class.append((p[2], share, float(y == 2)))
    expected = [
        (
            sum(w * p for w, p, _ in bins[b]) / (s := sum(w for w, _, _ in bins[b])),
            sum(w * h for w, _, h in bins[b]) / s,
            s,
        )
        for b in sorted(bins)
    ]
    assert [tuple(one.values()) for one in entry["bins"]] == [pytest.approx(e) for e in expected]
    assert entry["ece"] == pytest.approx(np.mean([ece(j.probs, j.targets, sample_weight=j.weight) for j in judged]))
    one = reliability(judged[:1], 2)
    assert one["ece"] == pytest.approx(sum(b["share"] * abs(b["observed"] - b["predicted"]) for b in one["bins"]))
    assert one["log_loss"] == pytest.approx(
        sum(-w * np.log(p[y]) for p, y, w in zip(*vars(judged[0]).values(), strict=True)) / judged[0].weight.sum()
    )
    done, groups = 0.0, [[] for _ in range(10)]
    for p, w, hit in sorted(by_class, key=lambda row: row[0]):
        groups[min(int((done + w / 2) * 10), 9)].append((p, w, hit))
        done += w
    rare = [
        (sum(w * p for p, w, _ in g) / sum(w for _, w, _ in g), sum(w * h for _, w, h in g) / sum(w for _, w, _ in g))
        for g in groups
    ]
    assert [(b["predicted"], b["observed"]) for b in entry["rare_bins"]] == [pytest.approx(r) for r in rare]
    assert all(0.05 < b["share"] < 0.15 for b in entry["rare_bins"])


def test_validation_rows_calibrate_the_test_rows_under_the_training_prior() -> None:
    test, val = rows(400, 0), rows(110, 1)  # too few for another than the temperature
    entry = of(run(test, val), run(rows(400, 2), rows(110, 3)))
    assert (entry["fitted_on"], entry["rows"], entry["method"], entry["class"]) == (
        "validation", 110, ["temperature"], "c",
    )  # fmt: skip
    assert entry["after"]["ece"] < 0.5 * entry["corrected"]["ece"]
    assert entry["after"]["log_loss"] < entry["corrected"]["log_loss"] - 0.1
    assert entry["before"] == entry["corrected"]
    one = of(run(test, val))
    by_hand = np.exp(TemperatureScaling(3).fit(val.log_probs, val.targets, prior=PRIOR)(test.log_probs))
    assert one["after"]["ece"] == pytest.approx(ece(by_hand, test.targets))
    assert one["tested"] == (test.targets == 2).sum()
    assert diagnosed(RowRuns("ce", (run(test, val),), NAMES, COUNTS))["calibration"] == one


def test_scores_of_another_prior_are_judged_as_they_are_and_corrected() -> None:
    test, uniform = rows(2000, 0, sharpness=1.0), np.full(3, 1 / 3)
    entry = of(run(test, None, uniform))
    raw = np.exp(test.log_probs) / PRIOR
    raw /= raw.sum(1, keepdims=True)
    assert entry["before"]["ece"] == pytest.approx(ece(raw, test.targets))
    assert entry["corrected"]["ece"] < 0.05 < entry["before"]["ece"]
    assert (entry["after"], entry["method"], entry["fitted_on"]) == (None, None, None)


def test_folds_are_calibrated_by_the_rows_of_the_others() -> None:
    test = rows(120, 0, fold=True)
    entry = of(run(test, None))
    assert test.fold is not None
    by_hand = np.empty((120, 3))
    for fold in range(4):
        other, own = test.fold != fold, test.fold == fold
        made = TemperatureScaling(3).fit(test.log_probs[other], test.targets[other], prior=PRIOR)
        by_hand[own] = np.exp(made(test.log_probs[own]))
    assert entry["after"]["ece"] == pytest.approx(ece(by_hand, test.targets))
    assert (entry["fitted_on"], entry["rows"]) == ("folds", 90)


def test_a_test_part_of_other_shares_is_also_judged_for_these() -> None:
    """Perfect probabilities under the training prior are off on balanced test rows, and perfect for their shares."""
    many = rows(6000, 0, sharpness=1.0)

    def part(*sizes: int) -> ScoredRows:
        kept = np.concatenate([np.flatnonzero(many.targets == k)[:n] for k, n in enumerate(sizes)])
        return replace(many, **{name: getattr(many, name)[kept] for name in ("log_probs", "targets", "index")})

    test = part(500, 500, 500)
    entry = of(run(test, None))
    probs = np.exp(test.log_probs) / PRIOR
    probs /= probs.sum(1, keepdims=True)
    assert entry["shifted"]["distance"] == pytest.approx(0.7 - 1 / 3)
    assert entry["shifted"]["ece"] == pytest.approx(ece(probs, test.targets))
    assert entry["shifted"]["ece"] < 0.9 * entry["corrected"]["ece"]
    assert entry["shifted"]["log_loss"] < entry["corrected"]["log_loss"] - 0.03
    assert of(run(part(640, 240, 120), None))["shifted"] is None
    calibrated = of(run(test, rows(300, 1, sharpness=3.0)))  # moved once they are calibrated
    assert calibrated["shifted"]["log_loss"] != pytest.approx(entry["shifted"]["log_loss"], abs=1e-6)
    certain = np.log(np.full((3, 3), 1e-320) + np.eye(3)[2])  # of a class that has no test row
    one = replace(test, log_probs=certain, targets=np.array([0, 1, 1]), decided=np.full(3, 2), index=np.arange(3))
    assert np.isfinite(of(run(one, None))["shifted"]["ece"])


def test_a_class_that_no_row_can_be_of_leaves_the_entry_out_and_one_without_test_rows_is_not_the_rarest() -> None:
    test = rows(100, 0)
    logs = test.log_probs.copy()
    logs[:, 2] = -np.inf
    assert calibration(RowRuns("ce", (run(replace(test, log_probs=logs), None),), NAMES, COUNTS)) == {}
    assert of(run(replace(test, targets=np.minimum(test.targets, 1)), None))["class"] == "b"
