"""The statistics of a comparison: known answers, honest error rates, sentences that claim what was tested."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from scipy.stats import multivariate_t
from sklearn.metrics import f1_score

from longtail.comparison.evidence import resampling
from longtail.comparison.evidence.differences import Difference, Differences
from longtail.comparison.evidence.verdict import Verdict, compare_to_reference, verdict, verdict_on_retraining


def predictions_that_are_right(right: np.ndarray, y: np.ndarray, classes: int) -> np.ndarray:
    return np.where(right, y, (y + 1) % classes)


def noisy(seed: int, accuracy: list[float], n: int = 2000, seeds: int = 3, classes: int = 4):
    """Methods of given accuracy, every example and seed on its own; targets uneven over classes."""
    rng = np.random.default_rng(seed)
    y = np.sort(rng.choice(classes, n, p=np.array([0.6, 0.25, 0.1, 0.05])[:classes]))
    right = [rng.random((seeds, n)) < a for a in accuracy]
    names = ["ce", *(f"m{k}" for k in range(1, len(accuracy)))]
    return y, {m: predictions_that_are_right(r, y, classes) for m, r in zip(names, right, strict=True)}


# ---- the test part ----------------------------------------------------------------------------------------


def test_the_accuracy_difference_has_its_closed_form_variance() -> None:
    y, p = noisy(0, [0.7, 0.8], n=4000, seeds=1)
    gain = [int(b == t) - int(a == t) for a, b, t in zip(p["ce"][0], p["m1"][0], y, strict=True)]
    mean = sum(gain) / 4000
    se = math.sqrt(sum((g - mean) ** 2 for g in gain) / 3999 / 4000)
    row = compare_to_reference(p, y, "ce", "accuracy", num_classes=4)["m1"]
    assert row.difference == pytest.approx(mean, abs=1e-12)
    assert row.se == pytest.approx(se, rel=0.04)
    assert (row.high - row.low) / 2 == pytest.approx(1.96 * se, rel=0.06)


def test_balanced_accuracy_adds_the_variance_of_every_class() -> None:
    y, p = noisy(1, [0.5, 0.8], n=300, seeds=1)
    mean = variance = 0.0
    for j in range(4):
        gain = [int(b == t) - int(a == t) for a, b, t in zip(p["ce"][0], p["m1"][0], y, strict=True) if t == j]
        n, m = len(gain), sum(gain) / len(gain)
        mean += m / 4
        variance += (sum((g - m) ** 2 for g in gain) / (n - 1) / n + (m / n) ** 2) / 16
    row = compare_to_reference(p, y, "ce", num_classes=4)["m1"]
    assert row.difference == pytest.approx(mean, abs=1e-12)
    assert row.se == pytest.approx(math.sqrt(variance), rel=0.04)


@pytest.mark.parametrize("metric", ["accuracy", "balanced_accuracy", "macro_f1"])
def test_the_difference_is_that_of_the_metric(metric: str) -> None:
    from sklearn.metrics import accuracy_score, balanced_accuracy_score

    y, p = noisy(2, [0.6, 0.7, 0.5])
    score = {
        "accuracy": accuracy_score,
        "balanced_accuracy": balanced_accuracy_score,
        "macro_f1": lambda t, q: f1_score(t, q, average="macro"),
    }[metric]
    for row in compare_to_reference(p, y, "ce", metric, num_classes=4):
        gains = [score(y, a) - score(y, b) for a, b in zip(p[row.method], p["ce"], strict=True)]
        assert row.difference == pytest.approx(np.mean(gains), abs=1e-12)
        assert row.seed_sd == pytest.approx(np.std(gains, ddof=1), abs=1e-12)


def test_every_resample_of_macro_f1_is_scikit_learns_weighted_one() -> None:
    rng = np.random.default_rng(3)
    y = np.sort(np.concatenate([rng.integers(0, 5, 60), [5]]))
    rows = rng.integers(0, 6, (3, 61))
    weights = rng.integers(0, 3, (8, 61)).astype(float)
    weights[0, -1], weights[1, -1] = 0.0, 2.0  # the only example of a class, lost and counted twice
    values = resampling._macro_f1(rows, y, 6, iter([weights[:5], weights[5:]]))
    for b in range(8):
        for r in range(3):
            expected = f1_score(y, rows[r], sample_weight=weights[b], average="macro", labels=range(6), zero_division=0)
            assert values[b, r] == pytest.approx(expected, abs=1e-12)


@pytest.mark.slow
def test_macro_f1_varies_as_in_a_plain_bootstrap_within_classes() -> None:
    y, p = noisy(4, [0.6, 0.75], n=1500, seeds=1)
    rng = np.random.default_rng(5)
    members = [np.flatnonzero(y == j) for j in range(4)]
    gains = []
    for _ in range(400):
        at = np.concatenate([rng.choice(index, len(index)) for index in members])
        a, b = (f1_score(y[at], p[m][0][at], average="macro") for m in ("ce", "m1"))
        gains.append(b - a)
    row = compare_to_reference(p, y, "ce", "macro_f1", num_classes=4)["m1"]
    assert row.se == pytest.approx(np.std(gains), rel=0.12)


def test_resampling_weights_have_mean_1_and_the_unbiased_variance_of_a_mean() -> None:
    sizes = np.array([1, 2, 5])
    weights = np.concatenate(list(resampling.resampling_weights(sizes, 40_000, np.random.default_rng(0))))
    assert set(np.unique(weights[:, 0])) == {0.0, 2.0}
    assert weights.mean(axis=0) == pytest.approx(np.ones(8), abs=0.03)
    values = np.array([3.0, -1.0, 0.0, 2.0, 7.0])
    expected = values.var(ddof=1) / 5 * (1 + 1 / 25) + (values.mean() / 5) ** 2
    assert (weights[:, 3:] @ values / 5).var() == pytest.approx(expected, rel=0.04)


def test_a_rare_class_that_flips_as_one_is_no_certainty() -> None:
    y = np.repeat([0, 1], [50, 3])
    right = np.ones((1, 53), dtype=bool)
    worse = right.copy()
    worse[0, 50:] = False
    p = {"ce": predictions_that_are_right(worse, y, 2), "m": predictions_that_are_right(right, y, 2)}
    row = compare_to_reference(p, y, "ce", num_classes=2)["m"]
    assert row.difference == 0.5
    assert row.se == pytest.approx(0.5 / 3, rel=0.02)  # all of the class's mean, over its three examples


def test_pairing_matters() -> None:
    """Two methods that make the same errors but for 20 are told apart; two that only err as often are not."""
    rng = np.random.default_rng(6)
    y = rng.integers(0, 2, 1000)
    right = rng.random((1, 1000)) < 0.6
    better = right.copy()
    better[0, np.flatnonzero(~right[0])[:20]] = True
    alone = rng.permuted(better, axis=1)
    p = {k: predictions_that_are_right(r, y, 2) for k, r in (("ce", right), ("m", better), ("x", alone))}
    found = compare_to_reference(p, y, "ce", "accuracy", num_classes=2)
    assert found["m"].difference == found["x"].difference == pytest.approx(0.02)
    assert found["m"].se < found["x"].se / 4
    assert found["m"].low > 0 > found["x"].low


# ---- the seed part ----------------------------------------------------------------------------------------


def test_the_seed_variance_is_the_residual_of_methods_and_seeds() -> None:
    y, p = noisy(7, [0.6, 0.7, 0.5, 0.65])
    a = [[float(np.mean(row == y)) for row in p[m]] for m in p]
    method = [sum(row) / 3 for row in a]
    seed = [sum(row[s] for row in a) / 4 for s in range(3)]
    grand = sum(method) / 4
    squares = sum((a[m][s] - method[m] - seed[s] + grand) ** 2 for m in range(4) for s in range(3))
    found = compare_to_reference(p, y, "ce", "accuracy", num_classes=4)
    assert found.df == (4 - 1) * (3 - 1)
    assert found.seed_variance == pytest.approx(squares / 6, rel=1e-9)


def test_seeds_widen_the_interval_by_their_variance() -> None:
    y, p = noisy(8, [0.6, 0.7, 0.5, 0.65])
    found = compare_to_reference(p, y, "ce", "accuracy", num_classes=4)
    for row in found:
        gain = ((p[row.method] == y).astype(float) - (p["ce"] == y)).mean(axis=0)
        expected = gain.var(ddof=1) / len(y) + 2 * found.seed_variance / 3
        assert row.se == pytest.approx(math.sqrt(expected), rel=0.04)


@pytest.mark.slow
def test_where_seeds_are_all_that_varies_the_critical_value_is_dunnetts() -> None:
    rng = np.random.default_rng(9)
    n, methods, seeds = 5000, 5, 4
    y = np.zeros(n, dtype=int)
    right = np.arange(n) < n * (0.5 + 0.1 * rng.normal(size=(methods, seeds)))[..., None]
    p = {f"m{k}": predictions_that_are_right(right[k], y, 2) for k in range(methods)}
    found = compare_to_reference(p, y, "m0", "accuracy", num_classes=2, draws=10_000)
    assert found.df == 12
    shape = np.full((4, 4), 0.5) + 0.5 * np.eye(4)
    c = found.critical_value
    covered = multivariate_t(shape=shape, df=12, seed=0).cdf(np.full(4, c), lower_limit=np.full(4, -c))
    assert covered == pytest.approx(0.95, abs=0.006)


def test_equal_seeds_add_nothing_and_the_result_says_so() -> None:
    y, p = noisy(10, [0.6, 0.7, 0.5], seeds=1)
    once = compare_to_reference(p, y, "ce", num_classes=4)
    thrice = compare_to_reference({m: np.repeat(rows, 3, axis=0) for m, rows in p.items()}, y, "ce", num_classes=4)
    assert (thrice.df, thrice.seed_variance) == (0, 0.0)
    for a, b in zip(once, thrice, strict=True):
        assert (b.low, b.high) == pytest.approx((a.low, a.high), abs=1e-12)
    assert "cover the choice of test examples, not the randomness of training" in thrice.notes[0]
    assert once.notes[0].startswith("one seed: intervals cover the choice of test examples")
    assert once["m1"].seed_sd is None
    assert thrice["m1"].seed_sd == pytest.approx(0.0, abs=1e-15)


def test_a_method_without_seed_noise_does_not_thin_out_that_of_the_others() -> None:
    y, p = noisy(11, [0.6, 0.7, 0.5])
    alone = compare_to_reference(p, y, "ce", "accuracy", num_classes=4)
    p |= {f"tree{k}": np.repeat(p["m1"][:1], 3, axis=0) for k in range(6)}
    found = compare_to_reference(p, y, "ce", "accuracy", num_classes=4)
    assert found.df == 3 * 2  # the seed effect is in the error now: it does not cancel against a tree
    assert found.seed_variance > alone.seed_variance / 2
    gain = ((p["tree0"] == y).astype(float) - (p["ce"] == y)).mean(axis=0)
    expected = gain.var(ddof=1) / len(y) + found.seed_variance / 3  # the seeds of ce alone
    assert found["tree0"].se == pytest.approx(math.sqrt(expected), rel=0.04)


def test_unfinished_seeds_are_left_out_of_the_pairing() -> None:
    y, p = noisy(12, [0.6, 0.7, 0.5])
    full = {m: dict(enumerate(rows)) for m, rows in p.items()}
    assert compare_to_reference(full, y, "ce", num_classes=4) == compare_to_reference(p, y, "ce", num_classes=4)
    del full["m1"][1], full["ce"][2]
    found = compare_to_reference(full, y, "ce", "accuracy", num_classes=4)
    assert found["m1"].seeds == (0,)
    assert found["m2"].seeds == (0, 1)
    assert found["m1"].difference == pytest.approx(np.mean(p["m1"][0] == y) - np.mean(p["ce"][0] == y))
    assert found.df == 7 - 3 - 3 + 1
    assert "compared on fewer seeds: m1 (1 of 3), m2 (2 of 3)" in found.notes


def test_a_method_that_varies_more_than_the_pool_is_named() -> None:
    rng = np.random.default_rng(13)
    y = np.zeros(4000, dtype=int)
    accuracy = 0.7 + np.array([0.002] * 8 + [0.2])[:, None] * rng.normal(size=(9, 3))
    p = {f"m{k}": predictions_that_are_right(rng.random((3, 4000)) < a[:, None], y, 2) for k, a in enumerate(accuracy)}
    for reference, how, end in (
        ("m0", "much more", "its interval is its own, the others' do not include its spread"),
        ("m8", "more", "all intervals are too narrow"),
    ):
        notes = compare_to_reference(p, y, reference, "accuracy", num_classes=2).notes
        wild = [note for note in notes if note.startswith(f"m8 varies {how} over seeds than the other methods")]
        assert len(wild) == 1
        assert wild[0].endswith(end)


# ---- all methods at once ----------------------------------------------------------------------------------


def test_a_copy_of_the_reference_differs_by_nothing_and_never_wins() -> None:
    y, p = noisy(14, [0.6, 0.9])
    p["copy"] = p["ce"].copy()
    found = compare_to_reference(p, y, "ce", num_classes=4)
    row = found["copy"]
    assert (row.difference, row.low, row.high, row.se, row.p) == (0.0, 0.0, 0.0, 0.0, 1.0)
    assert found.df == 2  # and counts once in the pool
    assert "copy predicts the same as ce" in found.notes
    assert verdict(found).winners == ("m1",)
    only = compare_to_reference({"ce": p["ce"], "copy": p["copy"]}, y, "ce", num_classes=4)
    assert only.critical_value is None
    assert verdict(only).sentence.startswith("Nothing is shown to beat ce")


def test_a_method_that_predicts_the_same_in_some_seeds_is_noted_with_their_number() -> None:
    y, p = noisy(14, [0.6, 0.9])
    p["often"] = p["ce"].copy()
    p["often"][1, 0] = (p["often"][1, 0] + 1) % 4
    notes = compare_to_reference(p, y, "ce", num_classes=4).notes
    assert "often predicts the same as ce in 2 of 3 seeds" in notes
    assert not [note for note in notes if note.startswith("m1 predicts")]
    alone = compare_to_reference({"ce": p["ce"][:1], "often": p["often"][:1]}, y, "ce", num_classes=4)
    assert alone.notes[1:] == ("often predicts the same as ce",)


def test_rows_of_weight_zero_do_not_count_in_the_note() -> None:
    y, p = noisy(14, [0.6])
    p["copy"] = p["ce"].copy()
    p["copy"][:, 0] = (p["copy"][:, 0] + 1) % 4
    weight = np.ones(len(y))
    weight[0] = 0
    notes = compare_to_reference(p, y, "ce", num_classes=4, sample_weight=weight).notes
    assert "copy predicts the same as ce" in notes
    assert not [n for n in compare_to_reference(p, y, "ce", num_classes=4).notes if "predicts the same" in n]


def test_other_errors_on_the_same_examples_are_no_difference() -> None:
    y = np.repeat([0, 1, 2], 10)
    a = np.where(np.arange(30) % 3 == 0, (y + 1) % 3, y)[None]
    b = np.where(np.arange(30) % 3 == 0, (y + 2) % 3, y)[None]
    row = compare_to_reference({"ce": a, "m": b}, y, "ce", num_classes=3)["m"]
    assert (row.difference, row.low, row.high) == (0.0, 0.0, 0.0)


@pytest.mark.parametrize("metric", ["accuracy", "balanced_accuracy", "macro_f1"])
def test_the_order_of_methods_changes_nothing(metric: str) -> None:
    y, p = noisy(15, [0.6, 0.7, 0.5, 0.65])
    forward = compare_to_reference(p, y, "ce", metric, num_classes=4)
    backward = compare_to_reference(dict(reversed(p.items())), y, "ce", metric, num_classes=4)
    assert [row.method for row in forward] == ["m1", "m2", "m3"]
    assert [row.method for row in backward] == ["m3", "m2", "m1"]
    assert all(forward[m] == backward[m] for m in ("m1", "m2", "m3"))


def test_more_methods_widen_every_interval() -> None:
    y, p = noisy(16, [0.6] * 12, seeds=1)
    few = compare_to_reference({m: p[m] for m in ("ce", "m1")}, y, "ce", num_classes=4)
    many = compare_to_reference(p, y, "ce", num_classes=4)
    assert few.critical_value == pytest.approx(1.96, abs=0.08)
    assert many.critical_value > few.critical_value + 0.5


def test_p_agrees_with_the_interval() -> None:
    y, p = noisy(17, [0.6, 0.61, 0.62, 0.63, 0.64, 0.66, 0.7], n=1000)
    for row in compare_to_reference(p, y, "ce", "accuracy", num_classes=4):
        assert (row.p <= 0.05) == (row.low > 0 or row.high < 0)


def draw_world(rng: np.random.Generator, lead: float = 0.0):
    """Six methods that are equal in the population: shared difficulty, each method's own strengths, seeds."""
    methods, seeds, n, classes = 6, 3, 400, 5
    y = rng.integers(0, classes, n)
    logit = (
        1 + 2 * rng.normal(size=n) + 2 * rng.normal(size=(methods, 1, n)) + 0.6 * rng.normal(size=(methods, seeds, 1))
    )
    logit[1] += lead
    right = logit > 0
    return y, {"ce" if m == 0 else f"m{m}": predictions_that_are_right(right[m], y, classes) for m in range(methods)}


@pytest.mark.slow
@pytest.mark.parametrize("metric", ["accuracy", "balanced_accuracy"])
def test_equal_methods_rarely_make_a_winner(metric: str) -> None:
    """Family-wise: at least one false winner in at most 8 % of 200 comparisons of five methods with ce."""
    wins = 0
    for repetition in range(200):
        y, p = draw_world(np.random.default_rng(repetition))
        wins += bool(verdict(compare_to_reference(p, y, "ce", metric, num_classes=5, draws=800)).winners)
    assert wins <= 16


def test_a_clear_lead_is_found() -> None:
    found = []
    for repetition in range(40):
        y, p = draw_world(np.random.default_rng(repetition), lead=3.5)
        found.append(verdict(compare_to_reference(p, y, "ce", num_classes=5, draws=800)).leader)
    assert found.count("m1") >= 38


# ---- what is said -----------------------------------------------------------------------------------------


def differences(*rows: tuple[str, float, float, float], df: int = 16) -> Differences:
    made = tuple(Difference(m, d, low, high, 0.01, 0.01, 0.01, (0, 1, 2)) for m, d, low, high in rows)
    notes = () if df else ("one seed: intervals cover the choice of test examples",)
    return Differences("ce", "balanced_accuracy", 0.95, made, df, 1e-4, 2.5, 500, 4000, notes)


def test_the_sentence_names_the_leader_and_how_many_win() -> None:
    found = verdict(
        differences(
            ("focal", 0.01, -0.02, 0.04), ("ldam-drw", 0.123, 0.081, 0.164), ("cb-rs", 0.09, 0.05, 0.13),
            ("cb-focal", -0.06, -0.09, -0.03), ("sqrt-rs", -0.08, -0.1, -0.06),
        )
    )  # fmt: skip
    assert str(found) == (
        "ldam-drw leads ce by 12.3 points of balanced accuracy (simultaneous 95 % interval 8.1 to 16.4); "
        "2 of 5 methods are shown to beat ce: ldam-drw, cb-rs. "
        "How they compare with each other was not tested. Shown to be worse than ce: sqrt-rs, cb-focal."
    )
    assert (found.leader, found.undecided) == ("ldam-drw", ("focal",))


def test_without_a_winner_nothing_is_shown() -> None:
    found = verdict(differences(("a", 0.01, -0.02, 0.04), ("b", 0.0, -0.03, 0.03), df=0), {"a": "A(tau=2)"})
    assert isinstance(found, Verdict)
    assert str(found) == (
        "Nothing is shown to beat ce; the largest of 2 differences is A(tau=2)'s, 1.0 points of balanced "
        "accuracy (simultaneous 95 % interval -2.0 to 4.0). "
        "One seed: intervals cover the choice of test examples."
    )
    assert found.leader is None


def test_one_method_and_a_small_lower_end_read_well() -> None:
    assert str(verdict(differences(("a", 0.01, 0.0002, 0.02)))) == (
        "a leads ce by 1.0 points of balanced accuracy (simultaneous 95 % interval 0.02 to 2.0)."
    )
    assert str(verdict(differences(("a", -0.0000001, -0.02, 0.02)))) == (
        "Nothing is shown to beat ce; the difference of a is 0.0 points of balanced accuracy "
        "(simultaneous 95 % interval -2.0 to 2.0)."
    )


def test_trained_methods_are_held_against_the_best_threshold_too() -> None:
    y, p = noisy(18, [0.5, 0.7, 0.8, 0.81])
    p = dict(zip(["ce", "weak-posthoc", "posthoc", "trained"], p.values(), strict=True))
    assert verdict(compare_to_reference(p, y, "ce", num_classes=4)).leader in ("trained", "posthoc")
    found = verdict_on_retraining(
        p, y, plain="ce", posthoc=["weak-posthoc", "posthoc", "absent"], metric="accuracy", num_classes=4
    )
    assert found is not None
    against, said = found
    assert (against.reference, [row.method for row in against]) == ("posthoc", ["trained"])
    assert said.sentence.startswith(
        "Nothing is shown to beat plain training with corrected scores (posthoc); the difference of trained is "
    )
    assert verdict_on_retraining(p, y, plain="ce", posthoc=[], num_classes=4) is None


def test_the_result_is_json() -> None:
    y, p = noisy(19, [0.6, 0.7])
    found = compare_to_reference(p, y, "ce", num_classes=4)
    plain = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert plain["rows"][0]["low"] == found["m1"].low
    assert compare_to_reference(p, y, "ce", num_classes=4) == found


def test_bad_input_is_named_in_one_line() -> None:
    y, p = noisy(20, [0.6, 0.7], n=50)
    m1 = r"predictions\['m1'\]"
    cases = [
        ((p, y, "erm"), {}, "reference must be one of ce, m1, got 'erm'; add"),
        ((p, y, "ce", "auc"), {}, "metric must be a metric that longtail has, got 'auc'; did you mean roc_auc"),
        (({"ce": p["ce"]}, y, "ce"), {}, "predictions must hold a method besides 'ce', got none; add"),
        ((p, y[:9], "ce"), {}, r"predictions\['ce'\]\[0\] must have shape \(9,\), .* got \(50,\); use"),
        ((p, y, "ce"), {"num_classes": 3}, r"targets must lie in \[0, 3\), got 3 at row"),
        (({**p, "m1": p["m1"] + 9}, y, "ce"), {}, r"predictions\['m1'\]\[0\] must lie in \[0, 4\), got"),
        (({**p, "m1": p["m1"][0]}, y, "ce"), {}, m1 + r" must have shape \(S, N\), got \(50,\); pass"),
        (({**p, "m1": {}}, y, "ce"), {}, m1 + " must hold at least one seed, got none; leave"),
        (({**p, "m1": {7: p["m1"][0]}}, y, "ce"), {}, r"share a seed with 'ce', got seeds \[7\] and"),
        ((p, y[:0], "ce"), {}, r"targets must have shape \(N,\) with N >= 1, got \(0,\); pass"),
        ((p, y, "ce"), {"draws": 10}, "draws must be >= 200 to find a quantile, got 10; use"),
        ((p, y, "ce"), {"level": 95}, r"level must lie in \(0, 1\), got 95; use"),
    ]  # fmt: skip
    for arguments, options, line in cases:
        with pytest.raises(ValueError, match=line) as error:
            compare_to_reference(*arguments, **{"num_classes": 4, **options})
        assert "\n" not in str(error.value)
    with pytest.raises(TypeError, match=r"predictions\['m1'\]\[0\] must be integer class indices, got dtype float64"):
        compare_to_reference({**p, "m1": p["m1"] + 0.5}, y, "ce", num_classes=4)
