"""Differences to twins: brute-force values, one simultaneous quantile for both kinds, honest error rates, sentences."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest

from longtail.comparison.evidence.differences import Difference, Differences, compare_to_reference
from longtail.comparison.evidence.verdict import verdict, verdict_on_twins

TWINS = {"ldam": "ce", "trees-cw": "trees", "trees-posthoc": "trees", "logistic-posthoc": "logistic"}
NAMES = ("ce", "ldam", "trees", "trees-cw", "trees-posthoc", "logistic", "logistic-posthoc")
PAIRS = [(m, "ce") for m in NAMES[1:]] + [(m, t) for m, t in TWINS.items() if t != "ce"]
CLASSES = 5


def world(seed: int, n: int = 1200, seeds: int = 1, drift: float = 0.0) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Methods of one accuracy in the population; what is hard for one is hard for all, most of all for its own model.

    `drift`: how much a training of a network moves its scores; the other methods do not depend on the seed.
    """
    rng = np.random.default_rng([seed, n, seeds])
    y = rng.integers(0, CLASSES, n)
    common, p = rng.normal(size=n), {}
    model = {name: rng.normal(size=n) for name in ("ce", "trees", "logistic")}
    for name in NAMES:
        of = next((model[m] for m in ("trees", "logistic") if name.startswith(m)), model["ce"])
        network = of is model["ce"]
        # one total variance for all, so that all are equally accurate
        moved = drift * (rng.normal(size=(seeds, 1)) if network else np.repeat(rng.normal(size=(1, n)), seeds, axis=0))
        own = rng.normal(size=(seeds if network else 1, n))
        p[name] = np.where(1 + common + of + own + moved > 0, y, (y + 1) % CLASSES)
    return y, p


def compared(p: Any, y: np.ndarray, twins: dict[str, str] | None = TWINS, **options: Any) -> Differences:
    given = {"metric": "accuracy", "num_classes": CLASSES, "twins": twins, **options}
    return compare_to_reference(p, y, given.pop("reference", "ce"), **given)


def gains(p: dict[str, np.ndarray], y: np.ndarray) -> np.ndarray:
    """(K, N) mean over seeds of what a pair gains on an example, by hand."""
    return np.array([
        [
            sum(int(a[i] == y[i]) - int(b[i] == y[i]) for a, b in zip(p[m], p[other], strict=True)) / len(p[m])
            for i in range(len(y))
        ]
        for m, other in PAIRS
    ])  # fmt: skip


# ---- the numbers ------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_differences_and_standard_errors_are_those_by_hand() -> None:
    y, p = world(0, seeds=3, drift=0.3)
    found = compared(p, y)
    rows = [*found, *found.twins]
    assert [(row.method, row.reference) for row in rows] == PAIRS
    accuracy = {m: [float(np.mean(row == y)) for row in p[m]] for m in NAMES}
    # some methods do not vary: the seed effect does not cancel, sigma^2 is that of the networks about their means
    squares = sum((a - sum(accuracy[m]) / 3) ** 2 for m in ("ce", "ldam") for a in accuracy[m])
    assert found.seed_variance == pytest.approx(squares / 4, rel=1e-9)
    for row, gain in zip(rows, gains(p, y), strict=True):
        mean = sum(gain) / len(y)
        networks = sum(name in ("ce", "ldam") for name in (row.method, row.reference))
        test = sum((g - mean) ** 2 for g in gain) / (len(y) - 1) / len(y)
        assert row.difference == pytest.approx(mean, abs=1e-12)
        assert row.se == pytest.approx(math.sqrt(test + networks * squares / 4 / 3), rel=0.05)
        assert row.high - row.difference == pytest.approx(found.critical_value * row.se)
        assert row.difference - row.low == pytest.approx(found.critical_value * row.se)


@pytest.mark.slow
def test_of_test_examples_alone_the_quantile_is_the_normal_one_of_all_pairs() -> None:
    y, p = world(1)
    found = compared(p, y, draws=20_000)
    assert found.df == 0
    shape, rng = np.corrcoef(gains(p, y)), np.random.default_rng(0)
    largest = np.abs(rng.multivariate_normal(np.zeros(len(PAIRS)), shape, 200_000, method="eigh")).max(axis=1)
    assert np.mean(largest <= found.critical_value) == pytest.approx(0.95, abs=0.006)
    alone = compared(p, y, None, draws=20_000)
    assert found.critical_value > alone.critical_value
    for row, before in zip(found, alone, strict=True):
        assert (row.difference, row.se) == pytest.approx((before.difference, before.se), rel=0.03)


@pytest.mark.slow
def test_of_seeds_alone_the_quantile_is_students_of_all_pairs() -> None:
    rng = np.random.default_rng(2)
    n, seeds, names = 4000, 4, ("ce", "trees", "trees-cw", "logistic", "logistic-posthoc")
    y = np.zeros(n, dtype=int)
    right = np.arange(n) < n * (0.5 + 0.1 * rng.normal(size=(len(names), seeds)))[..., None]
    p = {name: np.where(r, 0, 1) for name, r in zip(names, right, strict=True)}
    found = compared(p, y, {"trees-cw": "trees", "logistic-posthoc": "logistic"}, num_classes=2, draws=20_000)
    assert found.df == 12
    contrast = np.array([[-1, 1, 0, 0, 0], [-1, 0, 1, 0, 0], [-1, 0, 0, 1, 0], [-1, 0, 0, 0, 1],
                         [0, -1, 1, 0, 0], [0, 0, 0, -1, 1]])  # fmt: skip
    # singular, since twins' differences follow from the others: by plain draws
    draws = rng.normal(size=(200_000, 5)) @ contrast.T / math.sqrt(2)
    largest = np.abs(draws / np.sqrt(rng.chisquare(12, 200_000) / 12)[:, None]).max(axis=1)
    assert np.mean(largest <= found.critical_value) == pytest.approx(0.95, abs=0.006)


@pytest.mark.slow
def test_the_mixture_of_both_has_the_quantile_of_plain_draws() -> None:
    y, p = world(3, seeds=3, drift=0.3)
    found, rng, draws = compared(p, y, draws=20_000), np.random.default_rng(4), 100_000
    each = gains(p, y)
    test = rng.multivariate_normal(np.zeros(len(PAIRS)), np.cov(each) / len(y), size=draws, method="eigh")
    # one error per network, the mean over seeds; sigma^2 is estimated on 4 degrees of freedom
    scale = np.sqrt(found.seed_variance / 3 * found.df / rng.chisquare(found.df, draws))
    error = {m: rng.normal(size=draws) * scale if m in ("ce", "ldam") else np.zeros(draws) for m in NAMES}
    noise = test + np.array([error[m] - error[other] for m, other in PAIRS]).T
    networks = np.array([sum(name in ("ce", "ldam") for name in pair) for pair in PAIRS])
    se = np.sqrt(np.cov(each).diagonal() / len(y) + networks * found.seed_variance / 3)
    c = np.quantile(np.abs(noise / se).max(axis=1), 0.95)
    assert found.df == 4
    assert found.critical_value == pytest.approx(c, rel=0.02)


# ---- which pairs ------------------------------------------------------------------------------------------


def test_a_twin_that_is_the_reference_is_no_further_difference() -> None:
    y, p = world(5, seeds=3, drift=0.3)
    assert compared(p, y, dict.fromkeys(NAMES[1:], "ce")) == compared(p, y, None)


def test_another_reference_has_the_same_differences_to_twins() -> None:
    y, p = world(6, seeds=3, drift=0.3)
    found = compared(p, y, reference="trees")
    assert [(row.method, row.reference) for row in found.twins] == [("ldam", "ce"), ("logistic-posthoc", "logistic")]
    assert [row.method for row in found] == [name for name in NAMES if name != "trees"]
    before = compared(p, y)
    assert found["ce"].difference == pytest.approx(-before["trees"].difference)
    assert found.twins[1].difference == pytest.approx(before.twins[2].difference)


@pytest.mark.parametrize("metric", ["accuracy", "balanced_accuracy", "macro_f1"])
def test_the_order_of_methods_changes_nothing(metric: str) -> None:
    y, p = world(7, n=300, seeds=2, drift=0.3)
    forward, backward = (compared(q, y, metric=metric, draws=500) for q in (p, dict(reversed(p.items()))))
    assert all(forward[name] == backward[name] for name in NAMES[1:])
    assert forward.twins == tuple(reversed(backward.twins))


def test_a_method_that_predicts_what_its_twin_predicts_is_noted_and_takes_no_share() -> None:
    y, p = world(8)
    p["trees-cw"] = p["trees"].copy()
    found = compared(p, y)
    row = found.twins[0]
    assert (row.difference, row.low, row.high, row.p) == (0.0, 0.0, 0.0, 1.0)
    assert "trees-cw predicts the same as trees" in found.notes


def test_unfinished_seeds_of_a_twin_are_left_out_of_its_pair() -> None:
    y, p = world(9, seeds=3, drift=0.3)
    some = {m: dict(enumerate(rows)) for m, rows in p.items()}
    del some["trees"][0], some["trees-cw"][1]
    found = compared(some, y)
    assert found.twins[0].seeds == (2,)
    assert found["trees-cw"].seeds == (0, 2)
    assert found.twins[1].seeds == (1, 2)
    assert any("trees-cw (2 of 3)" in note and "trees-cw with trees (1 of 3)" in note for note in found.notes)


@pytest.mark.slow
def test_a_twin_that_diverges_has_intervals_of_its_own_seeds() -> None:
    rng = np.random.default_rng(10)
    y, names = np.arange(1500) % CLASSES, ("ce", *(f"m{k}" for k in range(8)), "trees", "trees-cw")
    accuracy = 0.8 + 0.005 * rng.normal(size=(len(names), 5))
    accuracy[-2] = [0.2, 0.81, 0.25, 0.8, 0.22]
    right = rng.random((len(names), 5, 1500)) < accuracy[..., None]
    p = {name: np.where(r, y, (y + 1) % CLASSES) for name, r in zip(names, right, strict=True)}
    found = compared(p, y, {"trees-cw": "trees"})
    assert found.outside == ("trees",)
    wide = found.twins[0]
    assert wide.high - wide.low > 10 * (found["trees-cw"].high - found["trees-cw"].low)
    assert (wide.p <= 0.05) == (wide.low > 0)
    some = {m: dict(enumerate(rows)) for m, rows in p.items()}
    some["trees-cw"] = {0: p["trees-cw"][0]}  # one seed of a pair with a method that diverges says nothing
    one = compared(some, y, {"trees-cw": "trees"}).twins[0]
    assert (one.low, one.high, one.p) == (-1.0, 1.0, 1.0)


def test_wrong_twins_are_named_in_one_line() -> None:
    y, p = world(11, n=50)
    for twin in ("forest", "trees-cw"):
        with pytest.raises(ValueError, match=f"the twin of 'trees-cw' must be another of ce, .*, got '{twin}'; leave"):
            compared(p, y, {"trees-cw": twin})
    with pytest.raises(ValueError, match=r"\['trees-cw'\] must share a seed with 'trees', got seeds \[0\] and \[1\]"):
        compared({**p, "trees": {1: p["trees"][0]}, "ce": {0: p["ce"][0], 1: p["ce"][0]}}, y)


# ---- what is said -----------------------------------------------------------------------------------------


def by_hand(*rows: tuple[str, str, float, float, float]) -> Differences:
    made = [Difference(m, d, low, high, 0.01, 0.01, 0.01, (0, 1, 2), other) for m, other, d, low, high in rows]
    plain, twins = (tuple(row for row in made if (row.reference == "ce") == both) for both in (True, False))
    return Differences("ce", "balanced_accuracy", 0.95, plain, 16, 1e-4, 2.5, 500, 4000, (), (), twins)


def test_the_verdict_has_the_parts_of_its_first_method() -> None:
    found = by_hand(
        ("trees", "ce", 0.031, 0.004, 0.058), ("trees-cw", "ce", 0.057, 0.02, 0.094),
        ("trees-cw", "trees", 0.026, -0.003, 0.055),
    )  # fmt: skip
    assert verdict(found).sentence == (
        "trees-cw leads ce by 5.7 points of balanced accuracy (simultaneous 95 % interval 2.0 to 9.4); 2 of 2 methods "
        "are shown to beat ce: trees-cw, trees. How they compare with each other was not tested. trees-cw in parts: "
        "trees over ce +3.1 [+0.4, +5.8]; trees-cw over trees +2.6 [-0.3, +5.5], not shown."
    )
    assert str(verdict_on_twins(found)) == (
        "Of the one method whose plain twin is not ce, none is shown to beat it; the largest difference is trees-cw "
        "over trees +2.6 [-0.3, +5.5]."
    )
    assert verdict_on_twins(by_hand(("trees", "ce", 0.1, 0.0, 0.2))) is None


def test_parts_go_through_every_twin_between() -> None:
    found = by_hand(
        ("ldam", "ce", 0.01, -0.01, 0.03), ("absgd", "ce", 0.03, 0.01, 0.05), ("sam", "ce", 0.02, -0.01, 0.06),
        ("absgd", "ldam", 0.02, 0.01, 0.03), ("sam", "absgd", -0.01, -0.02, -0.001),
    )  # fmt: skip
    steps = [(step.method, step.reference) for step in found.parts("sam")]
    assert steps == [("ldam", "ce"), ("absgd", "ldam"), ("sam", "absgd")]
    assert [step.method for step in found.parts("ldam")] == ["ldam"]
    told = verdict_on_twins(found)
    assert told is not None
    assert (told.winners, told.losers, told.undecided) == (("absgd",), ("sam",), ())
    assert told.sentence == (
        "Of 2 methods whose plain twin is not ce, 1 is shown to beat it: absgd over ldam +2.0 [+1.0, +3.0]. Shown to "
        "be worse: sam over absgd -1.0 [-2.0, -0.1]."
    )


def test_the_result_is_json() -> None:
    y, p = world(12, n=100, seeds=2, drift=0.3)
    plain = json.loads(json.dumps(compared(p, y).to_dict(), allow_nan=False))
    assert [row["reference"] for row in plain["twins"]] == ["trees", "trees", "logistic"]


# ---- how often it errs ------------------------------------------------------------------------------------


def false_claims(
    n: int, seeds: int, drift: float, metric: str, repetitions: int, *, without: bool = True
) -> np.ndarray:
    """Rates of a false claim: about any pair, about a twin, without twins, about any pair by the quantile without.

    Without the last two, which take as long again, where `without` is false.
    """
    claims = np.zeros(4 if without else 2)
    for repetition in range(repetitions):
        y, p = world(1000 + repetition, n, seeds, drift)
        found = compared(p, y, metric=metric, draws=1000)
        rows, twins = ([abs(row.difference) / row.se for row in part] for part in (found, found.twins))
        said = [max(rows + twins) > found.critical_value, max(twins) > found.critical_value]
        if without:
            narrow = compared(p, y, None, metric=metric, draws=1000).critical_value
            said += [max(rows) > narrow, max(rows + twins) > narrow]
        claims += said
    return claims / repetitions


WORLDS = [  # test examples, seeds, drift of a training, metric
    (400, 1, 0.0, "accuracy"), (400, 3, 0.3, "accuracy"), (400, 5, 0.3, "accuracy"), (400, 3, 0.3, "balanced_accuracy"),
]  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize(("n", "seeds", "drift", "metric"), WORLDS)
def test_false_claims_about_equal_methods(n: int, seeds: int, drift: float, metric: str) -> None:
    """Family-wise error over both kinds at a nominal 5 %, within what the repetitions can show.

    Of one seed enough of them to tell it from the 9 % of the quantile without twins (decision 12).
    """
    repetitions = 300 if seeds == 1 else 150
    rates = false_claims(n, seeds, drift, metric, repetitions, without=False)
    assert rates[0] <= 0.05 + 2.5 * math.sqrt(0.05 * 0.95 / repetitions)


def main(repetitions: int = 2000) -> None:
    """Print the rates that decision 0012 quotes."""
    for n, seeds, drift, metric in WORLDS:
        rates = false_claims(n, seeds, drift, metric, repetitions)
        error = np.sqrt(rates * (1 - rates) / repetitions)
        told = ", ".join(f"{100 * rate:.2f} +- {100 * e:.2f} %" for rate, e in zip(rates, error, strict=True))
        print(f"{n} test examples, {seeds} seeds, drift {drift:g}, {metric}: {told}", flush=True)


if __name__ == "__main__":
    main()
