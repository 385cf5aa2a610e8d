"""The discriminative loss on centroids: its value, its stated gradient, weights as rows."""

from __future__ import annotations

import pytest
import torch
from tests.functional import oltr_formulas as formulas
from torch import Tensor

from longtail.functional import discriminative_centroids

MARGINS = [10.0, 0.5]
"""Above the mean distance of these rows, so that the second term is there, and below it."""


def rows() -> tuple[Tensor, Tensor, Tensor]:
    """Features (6, 3), centroids (4, 3), targets; one class has no row."""
    g = torch.Generator().manual_seed(0)
    h, c = (torch.randn(k, 3, generator=g, dtype=torch.float64) for k in (6, 4))
    return h, c, torch.tensor([0, 0, 0, 1, 2, 1])


@pytest.mark.parametrize("margin", MARGINS)
def test_the_mean_is_the_published_loss(margin: float) -> None:
    h, c, y = rows()
    losses = discriminative_centroids(h, c, y, margin=margin)
    assert losses.shape == (6,)
    wanted = formulas.centroid_loss(h.tolist(), y.tolist(), c.tolist(), margin=margin)
    assert losses.mean().item() == pytest.approx(wanted, rel=1e-12)
    knobs = {"attraction": 2.0, "repulsion": 3.0, "margin": margin}
    wanted = formulas.centroid_loss(h.tolist(), y.tolist(), c.tolist(), 2.0, 3.0, margin)
    assert discriminative_centroids(h, c, y, **knobs).mean().item() == pytest.approx(wanted, rel=1e-12)


@pytest.mark.parametrize("margin", MARGINS)
def test_features_get_the_gradient_of_the_value(margin: float) -> None:
    h, c, y = rows()
    h.requires_grad_()
    assert torch.autograd.gradcheck(lambda x: discriminative_centroids(x, c, y, margin=margin), (h,))


@pytest.mark.parametrize("margin", MARGINS)
@pytest.mark.parametrize("attraction", [0.01, 0.0, 2.0])
def test_centroids_get_the_gradient_of_the_released_code_and_not_that_of_the_value(
    margin: float, attraction: float
) -> None:
    h, c, y = rows()
    c.requires_grad_()
    discriminative_centroids(h, c, y, attraction=attraction, margin=margin).mean().backward()
    wanted = formulas.centroid_gradient(h.tolist(), y.tolist(), c.tolist(), margin=margin)
    torch.testing.assert_close(c.grad, torch.tensor(wanted, dtype=torch.float64), rtol=1e-10, atol=1e-14)
    assert not torch.autograd.gradcheck(
        lambda x: discriminative_centroids(h, x, y, attraction=attraction, margin=margin), (c,), raise_exception=False
    )


def test_without_attraction_for_centroids_their_gradient_is_that_of_the_value() -> None:
    """The repulsion has no rule of its own."""
    h, c, y = rows()

    def repelled(c: Tensor) -> Tensor:
        both, alone = (discriminative_centroids(h, c, y, repulsion=r) for r in (1.0, 0.0))
        return both - alone

    assert torch.autograd.gradcheck(repelled, (c.requires_grad_(),))


def test_a_row_of_weight_k_counts_as_k_rows() -> None:
    h, c, y = rows()
    weight, often = torch.tensor([1.0, 2.0, 1.0, 3.0, 1.0, 0.0]), torch.tensor([0, 1, 1, 2, 3, 3, 3, 4])
    grads = []
    for features, targets, given in ((h, y, weight), (h[often], y[often], None)):
        own = c.clone().requires_grad_()
        losses = discriminative_centroids(features, own, targets, weight=given)
        (losses.sum() / 8).backward()
        grads.append((losses.sum().detach(), own.grad))
    torch.testing.assert_close(grads[0], grads[1])
    none = discriminative_centroids(h, c, y, weight=torch.zeros(6))
    assert none.equal(torch.zeros_like(none))


def test_half_precision_is_widened_and_large_features_are_finite() -> None:
    h, c, y = rows()
    assert discriminative_centroids(h.bfloat16(), c.float(), y).dtype == torch.float32
    assert discriminative_centroids(1e4 * h.float(), c.float(), y).isfinite().all()
