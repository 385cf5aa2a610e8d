"""The head of OLTR against its formula, and at a centroid, where the formula divides by 0."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from tests.functional import oltr_formulas as formulas
from torch import Tensor, nn

from longtail.models.heads import MetaEmbedding


def head(dtype: torch.dtype = torch.float64, **arguments: Any) -> tuple[MetaEmbedding, Tensor]:
    """A head of 4 classes on 3 features, its centroids drawn, and features (6, 3)."""
    torch.manual_seed(0)
    made = MetaEmbedding(3, 4, **arguments).to(dtype)
    nn.init.normal_(made.centroids)
    return made, torch.randn(6, 3, dtype=dtype)


def parts(made: MetaEmbedding) -> dict[str, Any]:
    linear = {name: getattr(made, name) for name in ("hallucinator", "selector")}
    return {name: (layer.weight.tolist(), layer.bias.tolist()) for name, layer in linear.items()} | {
        "centroids": made.centroids.tolist(),
        "weight": made.weight.tolist(),
    }


@pytest.mark.parametrize("arguments", [{}, {"scale": 4.0, "reach": 0.3}])
def test_logits_are_those_of_the_formula(arguments: dict[str, float]) -> None:
    made, h = head(**arguments)
    wanted = [formulas.logits(row, **parts(made), **arguments) for row in h.tolist()]
    torch.testing.assert_close(made(h), torch.tensor(wanted, dtype=torch.float64), rtol=1e-10, atol=1e-12)
    assert made(h[None]).equal(made(h)[None])


def test_the_gradient_is_that_of_the_value_and_none_reaches_the_centroids() -> None:
    made, h = head()
    assert torch.autograd.gradcheck(made, (h.requires_grad_(),))
    made(h).sum().backward()
    assert made.centroids.grad is None
    others = [p.grad for name, p in made.named_parameters() if name != "centroids"]
    assert all(grad is not None and bool(grad.any()) for grad in others)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_at_a_centroid_it_is_the_limit_of_the_formula_and_nearby_continuous(dtype: torch.dtype) -> None:
    made, _ = head(dtype)
    at = made.centroids.detach().clone().requires_grad_()
    found = made(at)
    lists = parts(made)
    for row, z in zip(at.tolist(), found.tolist(), strict=True):
        memory = {name: lists[name] for name in ("centroids", "hallucinator", "selector")}
        v = formulas.enriched(row, **memory)
        cosines = [formulas.dot(v, w) / formulas.length(v) / formulas.length(w) for w in lists["weight"]]
        assert z == pytest.approx([16 * cosine for cosine in cosines], rel=1e-5)
    found.sum().backward()
    assert at.grad is not None
    assert at.grad.isfinite().all()
    torch.testing.assert_close(made(at + 1e-6), found, rtol=1e-4, atol=1e-4)


def test_a_zero_feature_of_an_empty_memory_has_zero_logits_and_a_finite_gradient() -> None:
    made = MetaEmbedding(3, 4)  # centroids of 0
    h = torch.zeros(2, 3, requires_grad=True)
    assert made(h).equal(torch.zeros(2, 4))
    made(h).sum().backward()
    assert h.grad is not None
    assert h.grad.isfinite().all()


def test_it_starts_from_class_means_and_a_trained_classifier() -> None:
    made, h = head()
    means = torch.randn(4, 3, dtype=torch.float64)
    for bias in (True, False):
        classifier = nn.Linear(3, 4, bias=bias).double()
        made.fit(means, classifier)
        assert made.centroids.equal(means)
        assert made.hallucinator(h).equal(classifier(h))
    assert made.weight.abs().max() <= 3**-0.5


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"scale": 0.0}, "scale must be .*> 0"),
        ({"reach": -1.0}, "reach must be"),
        ({"in_features": 0}, "in_features must be an integer >= 1"),
    ],
)
def test_bad_arguments(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        MetaEmbedding(**{"in_features": 3, "out_features": 4, **arguments})
