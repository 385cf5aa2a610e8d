"""A method that diverges in some seeds: its own interval, the others' without its spread, all of them honest."""

from __future__ import annotations

import json

import numpy as np
import pytest
from scipy.stats import norm, t

from longtail.comparison.evidence import differences
from longtail.comparison.evidence.differences import Differences, compare_to_reference
from longtail.comparison.evidence.seed_variance import own_interval
from longtail.comparison.evidence.verdict import verdict


def answers(accuracy: np.ndarray, seed: int = 0, n: int = 1500, classes: int = 10):
    """Predictions of methods m0, m1, .. of that accuracy (M, S); what is hard is hard for all of them."""
    rng = np.random.default_rng(seed)
    y = np.arange(n) % classes
    shared, alone = rng.normal(size=n), rng.normal(size=(*accuracy.shape, n))
    right = 0.8 * shared + 0.6 * alone < norm.ppf(np.clip(accuracy, 0.001, 0.999))[..., None]
    return y, {f"m{k}": np.where(r, y, (y + 1) % classes) for k, r in enumerate(right)}


def digits_like(diverged: int = 1, steady: int = 18, seeds: int = 5):
    """Steady methods of standard deviation 0.6 to 2.9 points and ``diverged`` last ones, in three of five seeds."""
    rng = np.random.default_rng(1)
    spread = np.linspace(0.006, 0.02, steady)
    accuracy = 0.85 + spread[:, None] * rng.normal(size=(steady, seeds))
    lost = np.where(np.arange(seeds) < 3, 0.25, 0.84) + 0.02 * rng.normal(size=(diverged, seeds))
    return answers(np.concatenate([accuracy, lost]))


def compared(p, y, reference: str = "m0", **options) -> Differences:
    return compare_to_reference(p, y, reference, "accuracy", num_classes=10, **{"draws": 1000, **options})


# ---- who stands outside -----------------------------------------------------------------------------------


def test_a_method_that_diverges_leaves_the_others_as_they_are_without_it() -> None:
    y, p = digits_like()
    found = compared(p, y, draws=4000)
    without = compared({m: rows for m, rows in p.items() if m != "m18"}, y, draws=4000)
    assert found.outside == ("m18",)
    assert (found.seed_variance, found.df) == (without.seed_variance, without.df)
    for row in without:
        assert found[row.method].high - found[row.method].low == pytest.approx(row.high - row.low, rel=0.04)
    wide = found["m18"].high - found["m18"].low
    assert wide > 10 * (found["m1"].high - found["m1"].low)
    assert "m18" in verdict(found).undecided


def test_the_note_tells_in_one_sentence_and_the_result_is_json() -> None:
    y, p = digits_like()
    found = compared(p, y)
    theirs = 100 * np.sqrt(2 * found.seed_variance)
    assert found.notes == (
        "m18 varies much more over seeds than the other methods (standard deviation of its difference "
        f"{100 * found['m18'].seed_sd:.1f} points, theirs {theirs:.1f}): its interval is its own, the others' do not "
        "include its spread",
    )
    assert json.loads(json.dumps(found.to_dict(), allow_nan=False))["outside"] == ["m18"]


def test_several_that_diverge_do_not_hide_one_another() -> None:
    y, p = digits_like(diverged=4)
    p["m22"] = p["m21"].copy()  # counts once in the pool, and stands outside with the one that it copies
    assert compared(p, y).outside == ("m18", "m19", "m20", "m21", "m22")


def test_the_order_of_methods_changes_nothing() -> None:
    y, p = digits_like(diverged=2)
    names = list(p)
    forward = compared(p, y)
    for seed in range(3):
        shuffled = compared({m: p[m] for m in np.random.default_rng(seed).permutation(names)}, y)
        assert (shuffled.outside, shuffled.notes) == (forward.outside, forward.notes)
        assert all(shuffled[row.method] == row for row in forward)


def test_an_odd_reference_puts_nobody_outside() -> None:
    y, p = digits_like()
    found = compared(p, y, reference="m18")
    assert found.outside == ()
    assert found.notes[-1].startswith("m18 varies more over seeds than the other methods")
    assert found.notes[-1].endswith("all intervals are too narrow")
    widths = [(row.high - row.low) / row.se for row in found]
    assert widths == pytest.approx([2 * found.critical_value] * len(widths))


def test_one_seed_or_one_method_has_no_others_to_contradict() -> None:
    y, p = digits_like()
    assert compared({m: rows[:1] for m, rows in p.items()}, y).outside == ()
    alone = compared({"m0": p["m0"], "m18": p["m18"]}, y)
    assert (alone.outside, alone.notes) == ((), ())
    assert compared({m: p[m] for m in ("m0", "m1", "m2", "m18")}, y).outside == ("m18",)


def test_missing_seeds_are_no_obstacle() -> None:
    y, p = digits_like()
    some = {m: dict(enumerate(rows)) for m, rows in p.items()}
    del some["m3"][1], some["m18"][4]
    found = compared(some, y)
    assert found.outside == ("m18",)
    assert found["m18"].seeds == (0, 1, 2, 3)


STORED = {  # by the code before methods could stand outside: critical value, sigma^2, then low, high, se, p of each
    "accuracy": (
        2.3375843187579735, 0.0,
        0.05179060150375947, 0.20820939849624054, 0.03345735932117968, 0.001996007984031936,
        -0.21950251586442338, -0.05049748413557653, 0.03614950493393199, 0.001996007984031936,
        -0.03013474547300539, 0.12513474547300535, 0.033211527323324525, 0.34331337325349304,
    ),
    "balanced_accuracy": (
        2.6541624134536574, 0.0009259669678275572,
        0.010363098788887859, 0.19969573535082852, 0.03566711584834341, 0.031936127744510975,
        -0.16251114728704757, 0.032784256530744973, 0.036790401903791126, 0.24750499001996007,
        -0.09429917945463392, 0.0886425607465445, 0.03446317739899165, 1.0,
    ),
    "macro_f1": (
        2.4825554084326735, 0.0004706799115452734,
        0.030461796547836505, 0.1410467492601392, 0.022272403737026547, 0.003992015968063872,
        -0.18389048124747198, -0.07884872783275115, 0.021155973610481764, 0.001996007984031936,
        -0.02189524884300864, 0.09131773871142287, 0.022801704076749477, 0.2874251497005988,
    ),
}  # fmt: skip


@pytest.mark.parametrize(("metric", "seeds"), [("accuracy", 1), ("balanced_accuracy", 3), ("macro_f1", 5)])
def test_where_nobody_stands_outside_the_numbers_are_what_they_were(metric: str, seeds: int) -> None:
    rng = np.random.default_rng(30)
    y = np.sort(rng.choice(4, 400, p=[0.6, 0.25, 0.1, 0.05]))
    right = [rng.random((seeds, 400)) < a for a in (0.6, 0.7, 0.5, 0.65)]
    p = {m: np.where(r, y, (y + 1) % 4) for m, r in zip(("ce", "m1", "m2", "m3"), right, strict=True)}
    found = compare_to_reference(p, y, "ce", metric, num_classes=4, draws=500)
    numbers = [number for row in found for number in (row.low, row.high, row.se, row.p)]
    # equal to the bit where they were stored; another processor's matrix product may round otherwise
    assert [found.critical_value, found.seed_variance, *numbers] == pytest.approx(STORED[metric], rel=1e-12, abs=1e-15)
    assert found.outside == ()


# ---- what it gets -----------------------------------------------------------------------------------------


def test_without_test_noise_the_own_interval_is_students() -> None:
    gains = np.array([0.31, -0.02, 0.4, 0.05, 0.27])
    found = own_interval(float(gains.mean()), np.zeros(1000), gains, 0.01)
    se = gains.std(ddof=1) / np.sqrt(5)
    assert found.se == pytest.approx(se)
    assert found.half == pytest.approx(t.ppf(0.995, 4) * se, rel=1e-9)
    assert found.p == pytest.approx(2 * t.sf(gains.mean() / se, 4), rel=1e-9)


def test_the_own_interval_adds_the_test_part() -> None:
    rng = np.random.default_rng(2)
    gains, test = np.array([0.1, 0.0, -0.02]), 0.05 * rng.normal(size=4000)
    scale = gains.std(ddof=1) / np.sqrt(3)
    noise = np.abs(0.05 * rng.normal(size=400_000) + scale * rng.standard_t(2, size=400_000))
    for error in (0.05, 0.005):
        assert own_interval(0.0, test, gains, error).half == pytest.approx(np.quantile(noise, 1 - error), rel=0.02)
    assert own_interval(0.1, test, gains, 0.05).p == pytest.approx(np.mean(noise > 0.1), rel=0.04)
    none = own_interval(0.0, test, gains * 1e-6, 0.05)
    assert none.half == pytest.approx(norm.ppf(0.975) * 0.05, rel=0.05)


def test_the_error_is_split_and_p_agrees_with_the_interval() -> None:
    y, p = digits_like(diverged=2)
    p["copy"] = p["m0"].copy()  # cannot differ, and takes no share
    found = compared(p, y)
    assert found.outside == ("m18", "m19")
    gains = (p["m18"] == y).mean(axis=1) - (p["m0"] == y).mean(axis=1)
    se = gains.std(ddof=1) / np.sqrt(5)
    row = found["m18"]
    assert row.low == -1.0  # no difference of two shares lies beyond
    assert row.high - row.difference == pytest.approx(t.ppf(1 - 0.025 / 19, 4) * se, rel=0.01)
    for level in (0.5, 0.8, 0.95):
        for row in compared(p, y, level=level):
            assert (row.p <= 1 - level) == (row.low > 0 or row.high < 0)
    pooled = compared({m: rows for m, rows in p.items() if m not in found.outside}, y)
    assert all(found[row.method].p == pytest.approx(min(1.0, row.p * 19 / 17), rel=0.15) for row in pooled)
    assert (found["copy"].p, found["copy"].low, found["copy"].high) == (1.0, 0.0, 0.0)


# ---- how often it errs ------------------------------------------------------------------------------------


def false_claims(monkeypatch: pytest.MonkeyPatch, ratio: float, seeds: int, test: float, repetitions: int):
    """Rates of [any false claim, one about the last method, that method in the pool] with eight equal methods.

    The variance model itself: the last method has ``ratio`` times the standard deviation over seeds; the test
    part of a difference is normal and has ``test`` times the variance of a steady method's seed part.
    """
    methods, draws = 9, 1000
    y, stand_ins = np.zeros(40, dtype=int), np.random.default_rng(0).integers(0, 2, (methods, seeds, 40))
    p = {f"m{k}": rows for k, rows in enumerate(stand_ins)}
    rng, deviation = np.random.default_rng([seeds, int(ratio)]), np.ones(methods)
    deviation[-1] = ratio
    values, jumps = np.zeros(methods * seeds), iter(range(repetitions))

    def part(_p, _y, pairing, *_rest) -> np.ndarray:
        generator = _rest[3]
        generator.bit_generator.advance(10**8 * next(jumps))  # or all repetitions would share one quantile
        noise = np.sqrt(test / seeds) * generator.normal(size=(draws, methods))
        return np.repeat(noise, seeds, axis=1) @ pairing.T

    monkeypatch.setattr(differences, "metric_values", lambda *_: values)
    monkeypatch.setattr(differences, "resampled_differences", part)
    claims = np.zeros(3)
    for _ in range(repetitions):
        table = rng.normal(size=(methods, seeds)) * deviation[:, None] + rng.normal(size=seeds)
        values[:] = (table + np.sqrt(test / seeds) * rng.normal(size=(methods, 1))).ravel()
        found = compare_to_reference(p, y, "m0", "accuracy", num_classes=2, draws=draws)
        wrong = {row.method for row in found if row.low > 0 or row.high < 0}
        claims += [bool(wrong), "m8" in wrong, "m8" not in found.outside]
    return claims / repetitions


WORLDS = [  # ratio, seeds, test part, the most that we stand by
    (1.0, 3, 0.0, 0.05), (1.0, 3, 1.0, 0.05), (1.0, 5, 0.0, 0.05), (1.0, 5, 1.0, 0.05),
    (10.0, 5, 0.0, 0.05), (10.0, 5, 1.0, 0.05),
    # three seeds of a method that diverges agree by chance in one table of ten, and then nothing shows it
    (10.0, 3, 0.0, 0.12), (10.0, 3, 1.0, 0.10),
]  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize(("ratio", "seeds", "test", "most"), WORLDS)
def test_false_claims(monkeypatch: pytest.MonkeyPatch, ratio: float, seeds: int, test: float, most: float) -> None:
    """Family-wise error at a nominal 5 %, within what 200 repetitions can tell; ``main`` measures it closely.

    They tell it from the 22 to 26 % where nobody is taken out of the pool (decision 3).
    """
    rates = false_claims(monkeypatch, ratio, seeds, test, 200)
    assert rates[0] <= most + 2.5 * np.sqrt(most * (1 - most) / 200)


def main(repetitions: int = 2000) -> None:
    """The rates that the decision 0003 quotes."""
    for ratio, seeds, test, _ in WORLDS:
        with pytest.MonkeyPatch.context() as patch:
            rates = false_claims(patch, ratio, seeds, test, repetitions)
        error = np.sqrt(rates * (1 - rates) / repetitions)
        told = ", ".join(f"{100 * rate:.2f} +- {100 * e:.2f} %" for rate, e in zip(rates, error, strict=True))
        print(f"sd x{ratio:g}, {seeds} seeds, test part {test:g}: any false claim, the last's, it in the pool: {told}")


if __name__ == "__main__":
    main()
