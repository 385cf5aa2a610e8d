"""Blur, solarising and the named pairs of contrastive views, against image-by-image definitions."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from tests.cases import cases
from torch import Tensor

from longtail.catalogue.view_sets import Views, has_views
from longtail.data import Examples, load
from longtail.data.views import Contrast, CropFlip
from longtail.data.views.blur import gaussian_blur
from longtail.data.views.policies import image_policy
from longtail.data.views.view_sets import VIEW_SETS, check_pair, pair_of_views
from longtail.engine import Recipe

AS_IT_IS = Contrast(scale=(1.0, 1.0), ratio=(1.0, 1.0), flip=False, jittered=0.0, grey=0.0)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def images(size: int = 6, channels: int = 3, height: int = 12, width: int = 12) -> Tensor:
    return torch.rand(size, channels, height, width, generator=seeded(9), dtype=torch.float64)


@cases(("height", "width", "reach"), [(12, 12, (1, 1)), (32, 64, (1, 3)), (4, 1, (1, 1))])
def test_blur_is_the_double_loop_over_a_window(height: int, width: int, reach: tuple[int, int]) -> None:
    x, sigma = images(2, 1, height, width), torch.tensor([0.3, 1.7], dtype=torch.float64)
    out = gaussian_blur(x, sigma)
    for b, i, j in np.ndindex(2, height, width):
        total = weights = 0.0
        for k, m in np.ndindex(height, width):
            if abs(i - k) <= reach[0] and abs(j - m) <= reach[1]:
                w = math.exp(-((i - k) ** 2 + (j - m) ** 2) / (2 * float(sigma[b]) ** 2))
                total, weights = total + w * float(x[b, 0, k, m]), weights + w
        assert float(out[b, 0, i, j]) == pytest.approx(total / weights, abs=1e-12)


def test_the_window_is_a_tenth_of_the_side() -> None:
    point = torch.zeros(1, 1, 224, 224)
    point[..., 112, 112] = 1
    assert int((gaussian_blur(point, torch.tensor([8.0])) > 0).sum()) == 23**2


def test_a_narrow_blur_and_an_even_image_change_nothing() -> None:
    torch.testing.assert_close(gaussian_blur(images(), torch.full((6,), 0.1)), images(), rtol=0, atol=1e-12)
    even = torch.full((1, 3, 9, 9), 0.3)
    torch.testing.assert_close(gaussian_blur(even, torch.tensor([2.0])), even)


def test_of_a_view_the_first_numbers_and_so_the_rest_are_those_without_a_blur() -> None:
    x = images().float()
    assert len(Contrast().draw(6, x.shape[1:], seeded())) == 4
    assert replace(Contrast(), solarised=1e-9)(x, seeded()).equal(Contrast()(x, seeded()))
    late = replace(Contrast(), blurred=1.0, sigma=(1.0, 1.0), solarised=1.0)
    blurred = gaussian_blur(Contrast()(x, seeded()), torch.ones(6))
    torch.testing.assert_close(late(x, seeded()), torch.where(blurred >= 0.5, 1 - blurred, blurred), rtol=0, atol=1e-5)


def test_shares_of_blurred_and_solarised_images() -> None:
    x = images(1).float().expand(2000, -1, -1, -1)
    clean = AS_IT_IS(x, seeded())
    blurred = replace(AS_IT_IS, blurred=0.5, sigma=(1.0, 2.0))(x, seeded())
    assert 0.46 < float((blurred - clean).flatten(1).any(1).double().mean()) < 0.54
    solarised = replace(AS_IT_IS, solarised=0.2)(x, seeded())
    inverted = (solarised - torch.where(clean >= 0.5, 1 - clean, clean)).abs().amax((1, 2, 3)) < 1e-6
    assert 0.17 < float(inverted.double().mean()) < 0.23
    assert solarised[~inverted].equal(clean[~inverted])


def test_names_mean_the_published_strengths() -> None:
    policy = image_policy(CropFlip())
    views = {name: tuple(policy[view] for view in pair) for name, pair in VIEW_SETS.items()}
    table = {
        "cifar": ((0.1, 0.4, 0.4, 0.1, 0.0, 0.0),) * 2,
        "imagenet": ((0.08, 0.4, 0.4, 0.1, 0.5, 0.0),) * 2,
        "moco": ((0.2, 0.4, 0.4, 0.1, 0.5, 0.0),) * 2,
        "simclr": ((0.08, 0.8, 0.8, 0.2, 0.5, 0.0),) * 2,
        "byol": ((0.08, 0.4, 0.2, 0.1, 1.0, 0.0), (0.08, 0.4, 0.2, 0.1, 0.1, 0.2)),
    }
    found = {
        name: tuple((v.scale[0], v.jitter[0], *v.jitter[2:], v.blurred, v.solarised) for v in pair)
        for name, pair in views.items()
    }
    assert found == table
    assert all((v.flip, v.jittered, v.grey, v.sigma) == (True, 0.8, 0.2, (0.1, 2.0)) for p in views.values() for v in p)
    assert not any(v.flip for name, v in image_policy(None).items() if name != "strong")


def test_an_asymmetric_pair_is_drawn_from_rows() -> None:
    rows = Examples((255 * images(40, 3, 16, 16)).to(torch.uint8), torch.arange(40) % 2, ("a", "b"))
    first, second = next(iter(rows.drawn(40, views=pair_of_views("byol")).batches(0.0, seeded())))["inputs"]
    detail = [(view.float().diff(dim=3).abs().mean((1, 2, 3)) < 15).double().mean() for view in (first, second)]
    assert detail[0] > detail[1] + 0.1, "the first view is blurred always"


def test_what_has_no_pair_or_not_this_one_is_refused_in_one_line() -> None:
    with pytest.raises(ValueError, match=r"views must be one of cifar, imagenet, moco, simclr, byol, got 'mine'"):
        pair_of_views("mine")
    for views, words in ((("contrast",), "contrast"), ((), "none"), ("weak", "weak"), (("a", "b", "c"), "a, b, c")):
        with pytest.raises(ValueError, match=rf"^views must be two, which are compared .*got {words}; name two"):
            check_pair(views)
    assert check_pair(["weak", "strong"]) == ("weak", "strong")
    features = load(np.random.RandomState(0).normal(size=(60, 7)), np.arange(60) % 3).train
    assert has_views("cifar")(Recipe(), features) is None
    assert has_views("byol")(Recipe(), load("digits").train) is None
    assert has_views("byol")(Recipe(), features) == (
        "views must be cifar for inputs of this kind, got 'byol'; leave it out"
    )
    assert "simclr" in Views.__metadata__[0].words  # type: ignore[attr-defined]
