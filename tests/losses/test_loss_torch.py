"""Where torch has the same loss, ours is the same number."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from tests.cases import cases
from tests.losses.loss_cases import COUNTS, C, batch, generator, soft

from longtail import losses

W = torch.tensor([0.2, 0.5, 1.0, 1.5, 3.0], dtype=torch.float64)
EXACT = {"rtol": 1e-12, "atol": 1e-13}


@cases("dims", [(), (3,), (2, 3)])
@cases("reduction", ["mean", "sum", "none"])
@cases("weight", [None, W])
def test_cross_entropy_is_torchs(weight: torch.Tensor | None, reduction: str, dims: tuple[int, ...]) -> None:
    z, y = batch(6, *dims)
    y.view(-1)[2] = -100
    ours = losses.CrossEntropyLoss(class_weight=weight, reduction=reduction)(z, y)
    torch.testing.assert_close(ours, F.cross_entropy(z, y, weight, reduction=reduction), **EXACT)


def test_probabilities_are_torchs_up_to_the_divisor() -> None:
    z, _ = batch()
    q = soft()
    plain = losses.CrossEntropyLoss()
    torch.testing.assert_close(plain(z, q), F.cross_entropy(z, q), **EXACT)
    weighted = losses.CrossEntropyLoss(class_weight=W)
    torch.testing.assert_close(weighted(z, q, normalize="batch"), F.cross_entropy(z, q, W), **EXACT)
    omega = (q * W).sum()
    torch.testing.assert_close(weighted(z, q), F.cross_entropy(z, q, W, reduction="sum") / omega, **EXACT)


def test_label_smoothing_is_torchs_up_to_the_divisor() -> None:
    z, y = batch()
    y[4] = -100
    plain = losses.CrossEntropyLoss(label_smoothing=0.1)
    torch.testing.assert_close(plain(z, y), F.cross_entropy(z, y, label_smoothing=0.1), **EXACT)
    weighted = losses.CrossEntropyLoss(class_weight=W, label_smoothing=0.1, reduction="none")
    theirs = F.cross_entropy(z, y, W, label_smoothing=0.1, reduction="none")
    torch.testing.assert_close(weighted(z, y), theirs, **EXACT)


def test_a_weighted_sample_mean_is_that_of_repeated_samples() -> None:
    z, y = batch()
    k = torch.randint(1, 4, (len(y),), generator=generator(1))
    theirs = F.cross_entropy(z.repeat_interleave(k, 0), y.repeat_interleave(k), W)
    ours = losses.CrossEntropyLoss(class_weight=W)(z, y, sample_weight=k)
    torch.testing.assert_close(ours, theirs, **EXACT)


def test_sigmoid_ce_is_binary_cross_entropy_summed_over_classes() -> None:
    z, y = batch()
    loss = losses.ClassBalancedLoss(base="sigmoid", beta=0.0)
    one_hot = F.one_hot(y, C).double()
    torch.testing.assert_close(loss(z, y), F.binary_cross_entropy_with_logits(z, one_hot) * C, **EXACT)
    q = soft()
    torch.testing.assert_close(loss(z, q), F.binary_cross_entropy_with_logits(z, q) * C, **EXACT)


def test_logit_adjustment_is_torchs_loss_of_adjusted_logits() -> None:
    z, y = batch()
    prior = torch.tensor(COUNTS, dtype=torch.float64) / sum(COUNTS)
    theirs = F.cross_entropy(z + 1.5 * prior.log(), y)
    torch.testing.assert_close(losses.LogitAdjustedLoss(COUNTS, tau=1.5)(z, y), theirs, **EXACT)
