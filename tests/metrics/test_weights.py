"""A row of weight k counts as k rows: in every score, in differences between methods, in class counts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file
from scipy.stats import binomtest
from sklearn.metrics import accuracy_score, balanced_accuracy_score, f1_score

from longtail import losses, metrics, posthoc
from longtail.comparison import compare
from longtail.comparison.evidence.differences import compare_to_reference
from longtail.comparison.evidence.resampling import METRICS, metric_values
from longtail.comparison.evidence.verdict import verdict_on_retraining
from longtail.data import Examples
from longtail.facts import counts as statistics
from longtail.facts import groups
from longtail.facts.class_weights import effective_number, inverse_frequency

C = 5


def case(seed: int, n: int = 300) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Scores, targets and whole weights, some of them 0."""
    generator = np.random.default_rng(seed)
    y = generator.choice(C, n, p=[0.5, 0.25, 0.15, 0.07, 0.03])
    scores = generator.normal(size=(n, C)) + 1.5 * np.eye(C)[y]
    return scores, y, generator.integers(0, 5, n)


def flat(found: dict[str, Any]) -> dict[str, Any]:
    numbers = {k: v for k, v in found.items() if k not in ("per_class", "groups", "intervals")}
    numbers |= {f"{k} interval {j}": v for k, ends in found["intervals"].items() for j, v in enumerate(ends)}
    return numbers | {f"{k} {j}": v for k, row in found["per_class"].items() for j, v in enumerate(row)}


class TestEvaluate:
    @pytest.mark.parametrize("seed", range(5))
    def test_every_number_is_that_of_copies(self, seed: int) -> None:
        scores, y, k = case(seed)
        train = np.array([500, 90, 40, 12, 3])
        more: dict[str, Any] = {"class_counts": train, "cost": np.arange(C * C).reshape(C, C) % 7, "positive": 3}
        weighted = metrics.evaluate(scores, y, sample_weight=k, **more)
        repeated = metrics.evaluate(np.repeat(scores, k, 0), np.repeat(y, k), **more)
        one, other = flat(weighted), flat(repeated)
        assert one.keys() == other.keys()
        for name, value in one.items():
            assert value == pytest.approx(other[name], abs=1e-12), name

    def test_agrees_with_scikit_learn_for_any_weights(self) -> None:
        scores, y, _ = case(7)
        w = np.random.default_rng(8).exponential(size=len(y))
        found = metrics.evaluate(scores, y, class_counts=np.bincount(y), sample_weight=w)
        decided = scores.argmax(1)
        assert found["accuracy"] == pytest.approx(accuracy_score(y, decided, sample_weight=w), abs=1e-12)
        assert found["balanced_accuracy"] == pytest.approx(
            balanced_accuracy_score(y, decided, sample_weight=w), abs=1e-12
        )
        assert found["macro_f1"] == pytest.approx(f1_score(y, decided, average="macro", sample_weight=w), abs=1e-12)

    def test_the_interval_is_wilsons_with_the_sum_of_weights_for_n(self) -> None:
        scores, y, k = case(3)
        found = metrics.evaluate(scores, y, class_counts=np.bincount(y), sample_weight=k)["per_class"]
        right = scores.argmax(1) == y
        for j in range(C):
            n, hits = int(k[y == j].sum()), int(k[(y == j) & right].sum())
            interval = binomtest(hits, n).proportion_ci(method="wilson")
            assert found["n"][j] == n
            assert (found["low"][j], found["high"][j]) == pytest.approx((interval.low, interval.high), abs=1e-12)

    def test_calibration_alone_is_that_of_copies(self) -> None:
        scores, y, k = case(4)
        probs = np.exp(scores) / np.exp(scores).sum(1, keepdims=True)
        for measure in (metrics.ece, metrics.classwise_ece):
            repeated = measure(np.repeat(probs, k, 0), np.repeat(y, k))
            assert measure(probs, y, sample_weight=k) == pytest.approx(repeated, abs=1e-12)
            assert abs(measure(probs, y) - repeated) > 1e-6
            with pytest.raises(ValueError, match="sample_weight must be > 0 for some example, got only 0"):
                measure(probs, y, sample_weight=np.zeros(len(y)))


def decided(seed: int, methods: int = 3, seeds: int = 2, n: int = 300) -> tuple[dict[str, np.ndarray], np.ndarray]:
    generator = np.random.default_rng(seed)
    y = generator.choice(C, n, p=[0.5, 0.25, 0.15, 0.07, 0.03])
    found = {}
    for m in range(methods):
        right = generator.random((seeds, n)) < 0.5 + 0.1 * m
        found["ce" if m == 0 else f"m{m}"] = np.where(right, y, generator.integers(0, C, (seeds, n)))
    return found, y


class TestDifferences:
    @pytest.mark.parametrize("metric", METRICS)
    def test_are_those_of_copies(self, metric: str) -> None:
        found, y = decided(0)
        k = np.random.default_rng(1).integers(0, 4, len(y))
        weighted = compare_to_reference(found, y, "ce", metric, num_classes=C, sample_weight=k, draws=200)
        copies = {m: np.repeat(rows, k, 1) for m, rows in found.items()}
        repeated = compare_to_reference(copies, np.repeat(y, k), "ce", metric, num_classes=C, draws=200)
        for row in weighted:
            assert row.difference == pytest.approx(repeated[row.method].difference, abs=1e-12)
            assert abs(row.difference) > 1e-3
        assert weighted.num_examples == int((k > 0).sum())

    @pytest.mark.parametrize("metric", METRICS)
    def test_equal_weights_are_no_weights(self, metric: str) -> None:
        found, y = decided(2)
        plain = compare_to_reference(found, y, "ce", metric, num_classes=C, draws=300)
        for weight in (1.0, 7.5):
            same = compare_to_reference(
                found, y, "ce", metric, num_classes=C, draws=300, sample_weight=np.full(len(y), weight)
            )
            for one, other in zip(plain, same, strict=True):
                assert [one.difference, one.low, one.high, one.se, one.p] == pytest.approx(
                    [other.difference, other.low, other.high, other.se, other.p], abs=1e-10
                )

    def test_copies_of_a_row_are_not_new_examples(self) -> None:
        found, y = decided(3, seeds=1)
        four = np.full(len(y), 4)
        weighted = compare_to_reference(found, y, "ce", "accuracy", num_classes=C, sample_weight=four)
        repeated = compare_to_reference(
            {m: np.repeat(rows, 4, 1) for m, rows in found.items()}, np.repeat(y, 4), "ce", "accuracy", num_classes=C
        )
        for row in weighted:
            assert row.se == pytest.approx(2 * repeated[row.method].se, rel=0.05)

    def test_the_standard_error_is_that_of_a_ratio_of_sums(self) -> None:
        found, y = decided(4, seeds=1, n=400)
        w = np.random.default_rng(5).exponential(size=len(y)) + 0.1
        result = compare_to_reference(found, y, "ce", "accuracy", num_classes=C, sample_weight=w, draws=20000)
        for row in result:
            gain = (found[row.method][0] == y).astype(float) - (found["ce"][0] == y)
            mean = np.average(gain, weights=w)
            left_out = []  # the jackknife knows nothing of linearisation
            for i in range(len(y)):
                rest = np.arange(len(y)) != i
                left_out.append(np.average(gain[rest], weights=w[rest]))
            n = len(y)
            jackknife = (n - 1) / n * np.sum((np.array(left_out) - np.mean(left_out)) ** 2)
            assert row.se == pytest.approx(np.sqrt(jackknife + (mean / n) ** 2), rel=0.03)

    def test_rows_of_weight_nought_count_as_none(self) -> None:
        found, y = decided(6)
        w = np.where(np.arange(len(y)) % 3, 2.0, 0.0)
        some = compare_to_reference(found, y, "ce", "macro_f1", num_classes=C, sample_weight=w, draws=300)
        rest = {m: rows[:, w > 0] for m, rows in found.items()}
        without = compare_to_reference(
            rest, y[w > 0], "ce", "macro_f1", num_classes=C, sample_weight=w[w > 0], draws=300
        )
        assert [row.low for row in some] == [row.low for row in without]

    def test_the_best_post_hoc_row_is_chosen_by_weight(self) -> None:
        y = np.array([0, 0, 1, 1, 0, 1])
        rows = {
            "ce": 1 - y,
            "early": np.where(np.arange(6) < 4, y, 1 - y),  # four of six right
            "late": np.where(np.arange(6) < 4, 1 - y, y),
            "trained": y,
        }
        found = {m: row[None] for m, row in rows.items()}
        how: dict[str, Any] = {"plain": "ce", "posthoc": ["early", "late"], "num_classes": 2, "draws": 200}
        plain = verdict_on_retraining(found, y, **how)
        weighted = verdict_on_retraining(found, y, sample_weight=[1, 1, 1, 1, 9, 9], **how)
        assert plain is not None
        assert weighted is not None
        assert plain[0].reference == "early"
        assert weighted[0].reference == "late"

    def test_bad_weights_are_one_line(self) -> None:
        found, y = decided(0)
        for weight, told in (
            (np.zeros(len(y)), "sample_weight must be > 0 for some test example, got only 0"),
            (np.full(len(y), -1.0), "sample_weight must be >= 0 and finite, got -1.0 at row 0"),
            ([1.0], r"sample_weight must have shape \(300,\), got \(1,\)"),
        ):
            with pytest.raises(ValueError, match=told):
                compare_to_reference(found, y, "ce", num_classes=C, sample_weight=weight)

    def test_values_of_a_metric_are_scikit_learns(self) -> None:
        found, y = decided(9)
        w = np.random.default_rng(2).exponential(size=len(y))
        for rows in found.values():
            for metric, expected in (
                ("accuracy", accuracy_score),
                ("balanced_accuracy", balanced_accuracy_score),
                ("macro_f1", lambda *a, **k: f1_score(*a, average="macro", **k)),
            ):
                values = metric_values(rows, y, metric, C, w)
                assert values == pytest.approx([expected(y, row, sample_weight=w) for row in rows], abs=1e-12)


class TestCounts:
    """Whatever reads class counts takes sums of weights for counts."""

    y = np.repeat(np.arange(4), [40, 30, 6, 2])
    k = np.random.default_rng(0).integers(1, 6, 78)

    def both(self) -> tuple[torch.Tensor, torch.Tensor]:
        rows = torch.zeros(78, 1), torch.from_numpy(self.y), ("a", "b", "c", "d")
        weighted = Examples(*rows, sample_weight=torch.from_numpy(self.k).float())
        return weighted.class_counts, torch.from_numpy(np.bincount(np.repeat(self.y, self.k)))

    def test_groups_priors_weights_losses_and_corrections(self) -> None:
        weighted, repeated = self.both()
        assert groups.groups(weighted) == groups.groups(repeated)
        assert statistics.imbalance_ratio(weighted) == statistics.imbalance_ratio(repeated)
        for statistic in (statistics.priors, statistics.log_priors, inverse_frequency, effective_number):
            assert torch.equal(statistic(weighted), statistic(repeated)), statistic
        z, y = torch.randn(20, 4, generator=torch.Generator().manual_seed(0)), torch.arange(20) % 4
        for make in (losses.LDAMLoss, losses.LogitAdjustedLoss, losses.VSLoss, losses.ClassBalancedLoss):
            assert torch.equal(make(weighted)(z, y), make(repeated)(z, y)), make
        assert torch.equal(
            torch.as_tensor(posthoc.adjust_logits(z, weighted)), torch.as_tensor(posthoc.adjust_logits(z, repeated))
        )


@pytest.mark.parametrize(
    "make", [losses.CrossEntropyLoss, losses.LogitAdjustedLoss, losses.LDAMLoss, losses.FocalLoss, losses.VSLoss]
)
def test_the_mean_of_a_loss_is_that_of_copies(make: Any) -> None:
    counts, generator = [50, 20, 8, 2], torch.Generator().manual_seed(1)
    z = torch.randn(30, 4, dtype=torch.float64, generator=generator)
    y, k = torch.arange(30) % 4, torch.randint(0, 4, (30,), generator=generator)
    loss = make(counts, normalize="weights", class_weight="inverse")
    weighted = loss(z, y, sample_weight=k)
    assert torch.allclose(weighted, loss(z.repeat_interleave(k, 0), y.repeat_interleave(k)), rtol=1e-12)
    assert not torch.allclose(weighted, loss(z, y), rtol=1e-3)


def test_a_comparison_on_weighted_rows_scores_copies(tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    y = np.repeat(np.arange(3), [60, 24, 12])
    features = generator.normal(size=(len(y), 3)) + 0.7 * y[:, None]
    result = compare(
        features, y, sample_weight=generator.integers(1, 5, len(y)), methods="ce,logit-adjusted-posthoc", seeds=1,
        epochs=2, model="linear", metric="accuracy", jobs=1, out=tmp_path,
    )  # fmt: skip
    found = {}
    for row in result.rows:
        arrays = load_file(tmp_path / row["runs"][0]["folder"] / "predictions.safetensors")
        k = arrays["sample_weight"].astype(int)
        decided = arrays.get("adjusted_scores", arrays["scores"]).argmax(1)
        found[row["method"]] = accuracy_score(np.repeat(arrays["targets"], k), np.repeat(decided, k))
        assert row["mean"]["accuracy"] == pytest.approx(found[row["method"]], abs=1e-12)
        assert result.summary["data"]["test_counts"] == np.bincount(np.repeat(arrays["targets"], k)).tolist()
    difference = next(row["difference"]["mean"] for row in result.rows if row["difference"] is not None)
    assert difference == pytest.approx(found["logit-adjusted-posthoc"] - found["ce"], abs=1e-12)
