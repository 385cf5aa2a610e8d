"""Every loss agrees with its paper's equation, evaluated in float64 by plain loops, under every weighting."""

from __future__ import annotations

import pytest
import torch
from tests.cases import cases
from tests.losses import loss_formulas as formulas
from tests.losses.loss_cases import CASES, COUNTS, NAMES, TAKES_CLASS_WEIGHT, C, batch, soft
from torch import Tensor

from longtail import losses
from longtail.facts.schedules import linear

WEIGHTS = {
    "inverse": formulas.power_weights(COUNTS, 1.0),
    "sqrt": formulas.power_weights(COUNTS, 0.5),
    "effective": formulas.effective_weights(COUNTS, 0.9999),
}
IGNORED = -100


def as_soft(targets: Tensor, smoothing: float = 0.0) -> list[list[float] | None]:
    if targets.is_floating_point():
        return targets.tolist()
    return [None if y == IGNORED else formulas.smoothed(y, C, smoothing) for y in targets.tolist()]


def expected(name: str, z: Tensor, targets: Tensor, **how: object) -> float:
    case = CASES[name]
    w = how.get("w") or case.own_weight or [1.0] * C
    s = how.get("s") or [1.0] * len(z)
    q = as_soft(targets, how.get("smoothing", 0.0))
    return formulas.batch_mean(case.formula, z.tolist(), q, w, s, how.get("normalize") or case.loss.DIVIDES_BY)


def close(actual: Tensor, value: float) -> None:
    assert actual.dtype == torch.float64
    assert actual.item() == pytest.approx(value, rel=1e-11, abs=1e-13)


@cases("normalize", ["weights", "batch"])
@cases("kind", ["index", "soft", "smoothed"])
@pytest.mark.parametrize("name", NAMES)
def test_the_mean_is_the_papers(name: str, kind: str, normalize: str) -> None:
    z, y = batch()
    targets = soft() if kind == "soft" else y
    smoothing = 0.2 if kind == "smoothed" else 0.0
    loss = CASES[name].build(normalize=normalize, label_smoothing=smoothing)
    close(loss(z, targets), expected(name, z, targets, normalize=normalize, smoothing=smoothing))


@cases("normalize", ["weights", "batch"])
@cases("kind", ["index", "soft", "smoothed"])
@cases("word", WEIGHTS)
@pytest.mark.parametrize("name", TAKES_CLASS_WEIGHT)
def test_with_class_and_sample_weights(name: str, word: str, kind: str, normalize: str) -> None:
    z, y = batch()
    y[3] = IGNORED
    s = torch.linspace(0, 2, len(z), dtype=torch.float64)
    targets = soft() if kind == "soft" else y
    smoothing = 0.3 if kind == "smoothed" else 0.0
    loss = CASES[name].build(class_weight=word, normalize=normalize, label_smoothing=smoothing)
    how = {"w": WEIGHTS[word], "s": s.tolist(), "normalize": normalize, "smoothing": smoothing}
    close(loss(z, targets, sample_weight=s), expected(name, z, targets, **how))


@cases("p", [0.0, 0.3, 0.75])
@cases("name", ["ce", "ldam", "la", "focal"])
def test_reweight_moves_the_class_weight_from_one_to_w(name: str, p: float) -> None:
    z, y = batch()
    w = [1 + p * (w_j - 1) for w_j in WEIGHTS["inverse"]]
    loss = CASES[name].build(class_weight="inverse", reweight=linear(0.0, 1.0))
    close(loss(z, y, progress=p), expected(name, z, y, w=w))
    close(loss(z, y, progress=torch.tensor(p, dtype=torch.float64)), expected(name, z, y, w=w))


@cases("name", NAMES)
def test_float32_agrees_with_the_papers_to_float32(name: str) -> None:
    z, y = batch(dtype=torch.float32)
    loss = CASES[name].build()(z, y)
    assert loss.dtype == torch.float32
    assert loss.item() == pytest.approx(expected(name, z.double(), y), rel=2e-6)


@pytest.mark.parametrize("kind", ["index", "soft"])
def test_focal_with_alpha_and_with_the_weight_in_its_modulator(kind: str) -> None:
    z, y = batch()
    targets = soft() if kind == "soft" else y
    alpha, w = [0.1, 0.2, 0.3, 0.4, 0.5], WEIGHTS["inverse"]

    def modulated(row: formulas.Row, k: int) -> float:  # LDAM's code: the weighted loss stands in for -log p
        c = w[k] * formulas.cross_entropy(row, k)
        return (1 - torch.exp(torch.tensor(-c, dtype=torch.float64)).item()) ** 1.5 * c

    loss = losses.FocalLoss(COUNTS, gamma=1.5, class_weight="inverse", weight_in_modulator=True)
    ones = [1.0] * C
    rows, q = z.tolist(), as_soft(targets)
    close(loss(z, targets), formulas.batch_mean(modulated, rows, q, ones, [1.0] * len(z), "batch"))

    with_alpha = losses.FocalLoss(gamma=2.0, alpha=alpha)
    formula = CASES["focal"].formula
    close(with_alpha(z, targets), formulas.batch_mean(formula, rows, q, alpha, [1.0] * len(z), "batch"))
    quarter = losses.FocalLoss(gamma=2.0, alpha=0.25)
    close(quarter(z, targets), 0.25 * expected("focal", z, targets))


@cases("spread", [1e-3, 1.0, 40.0])
@cases("name", ["ce", "ldam", "la", "cb-softmax", "focal"])
def test_soft_targets_do_not_cancel_however_sure_the_network_is(name: str, spread: float) -> None:
    z, _ = batch(spread=spread)
    q = soft()
    close(CASES[name].build()(z, q), expected(name, z, q))
