"""Sets are their definition in plain loops, and promise nothing that the rows do not carry."""

from __future__ import annotations

import pickle
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import torch
from tests.cases import cases
from tests.posthoc.sets import set_formulas
from torch import Tensor

import longtail as lt
from longtail.facts.set_promises import promise_notes
from longtail.facts.set_ranks import as_percent, exact_level, feasible, rank
from longtail.posthoc import ConformalSets, CrossConformalSets

SIZES = [40, 21, 9, 8, 0]
LABELS = torch.repeat_interleave(torch.tensor(SIZES))
FOLD = torch.arange(len(LABELS)) % 3


def draw(rows: int, seed: int, labels: Tensor | None = None) -> Tensor:
    logits = 2 * torch.randn(rows, 5, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    if labels is not None:
        logits[torch.arange(rows), labels] += 3
    return logits.log_softmax(1)


CALIBRATION, NEW = draw(len(LABELS), 0, LABELS), draw(60, 1)


def held(sets: Any) -> list[list[int]]:
    return [torch.as_tensor(row).nonzero()[:, 0].tolist() for row in sets]


@cases("level", [0.5, 0.8, 0.9, 0.95])
@pytest.mark.parametrize("score", ["lac", "aps"])
def test_split_sets_are_those_of_plain_loops(score: str, level: float) -> None:
    fitted = ConformalSets(5, score=score).fit(CALIBRATION, LABELS)
    rows = CALIBRATION.exp().tolist()
    expected = [
        set_formulas.split_set(set_formulas.SCORES[score], rows, LABELS.tolist(), level, p) for p in NEW.exp().tolist()
    ]
    found = fitted.sets(NEW, level)
    assert found.dtype == torch.bool
    assert held(found) == expected
    assert any(len(one) < 5 for one in expected)


@pytest.mark.parametrize("score", ["lac", "aps"])
def test_a_class_is_in_the_set_where_its_p_value_exceeds_a(score: str) -> None:
    formula, rows = set_formulas.SCORES[score], CALIBRATION.exp().tolist()
    p = [[set_formulas.p_value(formula, rows, LABELS.tolist(), x, c) for c in range(5)] for x in NEW.exp().tolist()]
    fitted = ConformalSets(5, score=score).fit(CALIBRATION, LABELS)
    for level in (0.5, 0.9, 0.93):
        a = 1 - Fraction(str(level))
        assert fitted.sets(NEW, level).tolist() == [[value > a for value in row] for row in p]
        # p >= a, as some packages have it, differs only where p is a to the digit
        assert all(inside or value <= a for row, x in zip(p, fitted.sets(NEW, level).tolist(), strict=True)
                   for value, inside in zip(row, x, strict=True))  # fmt: skip


@pytest.mark.parametrize("score", ["lac", "aps"])
def test_cross_sets_are_those_of_a_double_loop(score: str) -> None:
    by_model = torch.stack([draw(25, 10 + f) for f in range(3)])
    fitted = CrossConformalSets(5, 3, score=score).fit(CALIBRATION, LABELS, FOLD)
    for level in (0.6, 0.9):
        expected = [
            set_formulas.cross_set(
                set_formulas.SCORES[score], CALIBRATION.exp().tolist(), LABELS.tolist(), FOLD.tolist(), level,
                [one[i] for one in by_model.exp().tolist()],
            )
            for i in range(25)
        ]  # fmt: skip
        assert held(fitted.sets(by_model, level)) == expected


def test_cross_sets_of_one_model_are_split_sets() -> None:
    cross = CrossConformalSets(5, 3).fit(CALIBRATION, LABELS, FOLD)
    split = ConformalSets(5).fit(CALIBRATION, LABELS)
    for level in (0.3, 0.8, 0.9, 0.95):
        assert torch.equal(cross.sets(NEW.expand(3, -1, -1), level), split.sets(NEW, level))
    assert cross.promises(0.9) == split.promises(0.9)


def test_lac_tells_small_probabilities_apart() -> None:
    """1 - p would round both to 1."""
    tiny = torch.tensor([1e-18, 1e-22], dtype=torch.float64).repeat_interleave(torch.tensor([20, 1]))
    rows = torch.stack([1 - tiny, tiny], 1).log()
    fitted = ConformalSets(2).fit(rows[:20], torch.ones(20, dtype=torch.int64))
    assert fitted.sets(rows[20:], 0.9).tolist() == [[True, False]]


@pytest.mark.parametrize(
    ("a", "needs"),
    [("0.01", 99), ("0.02", 49), ("0.05", 19), ("0.1", 9), ("0.15", 6), ("0.2", 4), ("0.25", 3)],
)
def test_how_many_rows_a_level_needs(a: str, needs: int) -> None:
    level = exact_level(float(1 - Fraction(a)))
    assert feasible(level) == needs
    assert rank(needs, level) <= needs
    assert rank(needs - 1, level) > needs - 1


def test_a_level_is_the_decimal_that_was_written() -> None:
    assert exact_level(0.9) == Fraction(9, 10)
    assert exact_level(np.float64(0.9)) == Fraction(9, 10)
    assert rank(9, exact_level(0.9)) == 9  # in binary 10 x 0.9000...02
    assert rank(9, Fraction(0.9)) == 10
    assert as_percent(exact_level(0.995)) == "99.5 %"


def test_too_few_rows_promise_nothing_and_are_in_every_set() -> None:
    fitted = ConformalSets(5).fit(CALIBRATION, LABELS)
    assert torch.isinf(fitted.thresholds(0.9)).tolist() == [False, False, False, True, True]
    assert fitted.sets(NEW, 0.9)[:, 3:].all()
    given = fitted.promises(0.9)
    assert [p.n for p in given] == SIZES
    assert [p.promised for p in given] == [True, True, True, False, False]
    said = promise_notes(given, list("abcde"), exact_level(0.9))
    assert said[0].endswith("a (n = 40), b (n = 21), c (n = 9)")
    assert said[1] == (
        "too few rows to promise 90 % for 2 classes (each needs 9): d (has 8), e (has 0); they are in every set"
    )
    one = promise_notes(given[:4], list("abcd"), exact_level(0.9))[1]
    assert one == "too few rows to promise 90 % for class d (needs 9, has 8); it is in every set"
    many = promise_notes(given[4:] * 20, [f"c{j}" for j in range(20)], exact_level(0.9))
    assert len(many) == 1
    assert "c7 (has 0) and 12 more; they" in many[0]


def test_a_row_that_the_model_gave_no_chance_counts() -> None:
    """log p = -inf is a score above all others, not an error."""
    rows = torch.tensor([[1.0, 0.0]] * 2 + [[0.5, 0.5]] * 9, dtype=torch.float64).log()
    fitted = ConformalSets(2).fit(rows, torch.ones(11, dtype=torch.int64))
    assert fitted.promises(0.9)[1].promised
    assert torch.isinf(fitted.thresholds(0.9)[1])
    assert fitted.sets(rows[:1], 0.7).tolist() == [[True, False]]


def test_weight_k_is_k_copies() -> None:
    weight = torch.arange(len(LABELS)) % 4
    copies = torch.repeat_interleave(weight)
    by_model = torch.stack([draw(30, 10 + f) for f in range(3)])
    split = ConformalSets(5).fit(CALIBRATION, LABELS, sample_weight=weight)
    cross = CrossConformalSets(5, 3).fit(CALIBRATION, LABELS, FOLD, sample_weight=weight)
    many = ConformalSets(5).fit(CALIBRATION[copies], LABELS[copies])
    crossed = CrossConformalSets(5, 3).fit(CALIBRATION[copies], LABELS[copies], FOLD[copies])
    for level in (0.4, 0.8, 0.9, 0.97):
        assert torch.equal(split.thresholds(level), many.thresholds(level))
        assert split.promises(level) == many.promises(level)
        assert torch.equal(cross.sets(by_model, level), crossed.sets(by_model, level))


def test_weights_with_a_fraction_count_as_so_many_rows() -> None:
    """Half weights: the threshold is the smallest score up to which they sum to (W + 1)(1 - a)."""
    fitted = ConformalSets(5).fit(CALIBRATION, LABELS, sample_weight=torch.full((len(LABELS),), 0.5))
    scores = (-CALIBRATION[:40, 0]).sort().values
    assert float(fitted.thresholds(0.9)[0]) == float(scores[37])  # 0.5 x 38 = 19 >= 21 x 0.9 = 18.9
    assert [p.promised for p in fitted.promises(0.9)] == [True, True, False, False, False]
    cross = CrossConformalSets(5, 3).fit(CALIBRATION, LABELS, FOLD, sample_weight=torch.full((len(LABELS),), 0.5))
    assert torch.equal(cross.sets(NEW.expand(3, -1, -1), 0.9), fitted.sets(NEW, 0.9))


@pytest.mark.parametrize("made", [ConformalSets, lambda *a, **k: CrossConformalSets(*a, folds=3, **k)])
def test_a_state_of_any_number_of_rows_is_restored(made: Any) -> None:
    fitted = made(5, score="aps")
    cross = isinstance(fitted, CrossConformalSets)
    fold = (FOLD,) if cross else ()
    fitted.fit(CALIBRATION, LABELS, *fold)
    asked = NEW.expand(3, -1, -1) if cross else NEW
    for rows in (0, 7):
        other = made(**{**fitted.arguments, "num_classes": 5} | {} if not cross else {"num_classes": 5, "score": "aps"})
        other.fit(CALIBRATION[:rows], LABELS[:rows], *(f[:rows] for f in fold))
        other.load_state_dict(fitted.state_dict())
        assert torch.equal(other.sets(asked, 0.8), fitted.sets(asked, 0.8))
    fresh = type(fitted)(**fitted.arguments)
    assert not fresh.fitted
    fresh.load_state_dict(pickle.loads(pickle.dumps(fitted.state_dict())))
    assert fresh.fitted
    assert torch.equal(fresh.half().sets(asked, 0.8), fitted.sets(asked, 0.8))
    broken = fitted.state_dict() | {"calibration.scores": torch.zeros(3)}
    with pytest.raises(RuntimeError, match="sets have 3 scores"):
        fresh.load_state_dict(broken)


def test_arrays_give_arrays_and_the_name_is_public() -> None:
    fitted = lt.posthoc.ConformalSets(5).fit(CALIBRATION.numpy(), LABELS.numpy())
    found = fitted.sets(NEW.numpy(), 0.8)
    assert isinstance(found, np.ndarray)
    assert np.array_equal(found, fitted.sets(NEW, 0.8).numpy())
    assert isinstance(lt.posthoc.CrossConformalSets(5, 2), torch.nn.Module)


FITTED = ConformalSets(5).fit(CALIBRATION, LABELS)
CROSSED = CrossConformalSets(5, 3).fit(CALIBRATION, LABELS, FOLD)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: FITTED.sets(NEW, 1), r"level must be > 0 and < 1, got 1; only the set of all classes .* such as 0.9"),
        (lambda: FITTED.sets(NEW, 0), "level must be > 0 and < 1, got 0; choose a share such as 0.9"),
        (lambda: FITTED.sets(NEW, 90), "level must be > 0 and < 1, got 90"),
        (lambda: FITTED.sets(NEW, float("nan")), "level must be finite, got nan"),
        (lambda: FITTED.promises(-0.1), "level must be > 0 and < 1, got -0.1"),
        (lambda: CROSSED.sets(NEW.expand(3, -1, -1), 1.0), "level must be > 0 and < 1"),
        (lambda: CROSSED.sets(NEW, 0.9), r"log_probs must have shape \(3, M, 5\), got \(60, 5\)"),
        (lambda: ConformalSets(5).sets(NEW, 0.9), "sets must be fitted before use; call fit"),
        (lambda: CrossConformalSets(5, 3).promises(0.9), "sets must be fitted before use; call fit"),
        (lambda: ConformalSets(5, score="raps"), 'score must be "lac" or "aps", got \'raps\''),
        (lambda: ConformalSets(1), "num_classes must be >= 2, got 1"),
        (lambda: CrossConformalSets(5, 1), "folds must be >= 2, got 1"),
        (lambda: ConformalSets(5).fit(NEW.exp(), LABELS[:60]), "must be logarithms of probabilities that sum to 1"),
        (lambda: ConformalSets(5).fit(NEW * torch.nan, LABELS[:60]), "logarithms of probabilities .* got a sum of nan"),
        (lambda: ConformalSets(4).fit(NEW, LABELS[:60]), r"log_probs must be floating-point of shape \(N, 4"),
        (lambda: ConformalSets(5).fit(NEW, LABELS[:59]), r"targets must be one index per row of log_probs, \(60,\)"),
        (lambda: ConformalSets(5).fit(NEW, LABELS[:60] - 1), r"targets must be in \[0, 5\), got -1"),
        (lambda: CROSSED.fit(NEW, LABELS[:60], LABELS[:60] + 3), r"fold must be in \[0, 3\), got 3"),
        (
            lambda: ConformalSets(5).fit(NEW, LABELS[:60], sample_weight=-torch.ones(60)),
            "sample_weight must be >= 0, got -1",
        ),
        (
            lambda: ConformalSets(5).fit(NEW, LABELS[:60], sample_weight=[1.0]),
            r"sample_weight must have shape \(60,\), got \(1,\)",
        ),
    ],
)
def test_bad_input_is_one_line(call: Any, message: str) -> None:
    with pytest.raises((ValueError, TypeError), match=message) as refused:
        call()
    assert "\n" not in str(refused.value)
