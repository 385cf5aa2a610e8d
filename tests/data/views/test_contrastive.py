"""The contrastive view against image-by-image definitions."""

from __future__ import annotations

import colorsys
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from longtail.data.views import Contrast
from longtail.data.views.contrastive import _hue_turned, _positions
from longtail.data.views.policies import feature_policy, image_policy, table_policy

CROP = Contrast(jittered=0.0, grey=0.0, flip=False)
COLOUR = Contrast(scale=(1.0, 1.0), ratio=(1.0, 1.0), flip=False)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def images(size: int = 6, channels: int = 3, side: int = 12) -> Tensor:
    return torch.rand(size, channels, side, side, generator=seeded(9))


class TestEveryKind:
    @pytest.mark.parametrize(
        "shape", [(5, 3, 32, 32), (5, 1, 8, 8), (5, 8, 8), (3, 4, 10, 16), (2, 3, 1, 1), (0, 3, 8, 8)]
    )
    @pytest.mark.parametrize("dtype", [torch.uint8, torch.float32, torch.float64])
    def test_keeps_shape_dtype_and_range(self, shape: tuple[int, ...], dtype: torch.dtype) -> None:
        if shape[0] == 0 and dtype != torch.uint8:
            return  # an empty batch has no range
        x = (
            (255 * torch.rand(shape, generator=seeded())).to(dtype)
            if dtype == torch.uint8
            else torch.rand(shape).to(dtype)
        )
        out = Contrast()(x, seeded())
        assert (out.shape, out.dtype) == (x.shape, x.dtype)
        assert out.isfinite().all()
        if dtype != torch.uint8:
            assert 0 <= float(out.min()) <= float(out.max()) <= 1 + 1e-6

    def test_follows_from_the_generator_and_is_another_for_each_image_and_view(self) -> None:
        same = images(1).expand(4, -1, -1, -1)
        generator = seeded()
        first, second = Contrast()(same, generator), Contrast()(same, generator)
        assert first.equal(Contrast()(same, seeded()))
        every = torch.cat([first, second]).flatten(1)
        assert (torch.cdist(every, every) + torch.eye(8) > 1e-3).all()

    def test_floats_of_another_range_keep_it(self) -> None:
        x = 40 * images() - 10
        out = Contrast()(x, seeded())
        assert float(x.min()) - 1e-4 <= float(out.min()) <= float(out.max()) <= float(x.max()) + 1e-4
        unit = (x - x.min()) / (x.max() - x.min())
        torch.testing.assert_close((out - x.min()) / (x.max() - x.min()), Contrast()(unit, seeded()), atol=2e-3, rtol=0)

    def test_uint8_is_the_float_result_rounded(self) -> None:
        x = (255 * images()).to(torch.uint8)
        expected = (Contrast()(x.float() / 255, seeded()) * 255).round()
        assert (Contrast()(x, seeded()).float() - expected).abs().max() <= 1


class TestCrop:
    def test_is_bilinear_within_its_box_image_by_image(self) -> None:
        x = images(20, 2, 10).double()
        top, left, tall, wide = CROP._boxes(20, 10, 10, seeded(3))
        out = CROP(x, seeded(3))
        for i in range(20):
            box = x[i : i + 1, :, int(top[i]) : int(top[i] + tall[i]), int(left[i]) : int(left[i] + wide[i])]
            expected = torch.nn.functional.interpolate(box, (10, 10), mode="bilinear", align_corners=False)
            torch.testing.assert_close(out[i : i + 1], expected, rtol=1e-5, atol=1e-5)
        assert len({*zip(tall.tolist(), wide.tolist(), strict=True)}) > 5

    def test_boxes_lie_inside_and_have_the_areas_and_ratios_asked_for(self) -> None:
        top, left, tall, wide = Contrast()._boxes(4000, 32, 32, seeded())
        assert (top >= 0).all()
        assert (left >= 0).all()
        assert (top + tall <= 32).all()
        assert (left + wide <= 32).all()
        area = tall * wide / 32**2
        assert 0.08 < float(area.min()) < 0.13
        assert float(area.max()) == 1.0
        assert 0.45 < float(area.mean()) < 0.6
        ratio = wide / tall
        assert 0.65 < float(ratio.min()) < 0.8
        assert 1.25 < float(ratio.max()) < 1.55

    def test_of_a_small_image_keeps_enough_of_it(self) -> None:
        _, _, tall, wide = Contrast()._boxes(2000, 8, 8, seeded())
        assert float((tall * wide).min()) >= 20
        assert float(torch.minimum(tall, wide).min()) >= 4

    def test_an_image_too_narrow_for_the_ratios_stays_whole(self) -> None:
        _, _, tall, wide = replace(Contrast(), scale=(0.9, 1.0))._boxes(50, 4, 40, seeded())
        assert tall.unique().tolist() == [4]
        assert wide.unique().tolist() == [40]

    def test_of_the_whole_is_the_image(self) -> None:
        assert _positions(7, torch.zeros(1), torch.full((1,), 7.0))[0].tolist() == pytest.approx(list(range(7)))
        whole = replace(CROP, scale=(1.0, 1.0), ratio=(1.0, 1.0))
        torch.testing.assert_close(whole(images(), seeded()), images(), rtol=0, atol=1e-5)

    def test_mirrors_half_of_the_images_or_none(self) -> None:
        x = images(1).expand(400, -1, -1, -1)
        mirrors = Contrast((1.0, 1.0), (1.0, 1.0), jittered=0.0, grey=0.0)(x, seeded())
        mirrored = (mirrors - x.flip(3)).abs().amax((1, 2, 3)) < 1e-4
        assert 0.4 < float(mirrored.float().mean()) < 0.6
        torch.testing.assert_close(mirrors[~mirrored], x[~mirrored], rtol=0, atol=1e-4)


class TestColour:
    def test_hue_is_that_of_colorsys(self) -> None:
        x, turns = images(3, 3, 4).double(), torch.tensor([0.1, -0.1, 0.03], dtype=torch.float64)
        out = _hue_turned(x, turns)
        for i, row, column in np.ndindex(3, 4, 4):
            h, s, v = colorsys.rgb_to_hsv(*x[i, :, row, column].tolist())
            expected = colorsys.hsv_to_rgb((h + float(turns[i])) % 1.0, s, v)
            assert out[i, :, row, column].tolist() == pytest.approx(expected, abs=1e-12)
        shades = torch.full((1, 3, 2, 2), 0.3)
        torch.testing.assert_close(_hue_turned(shades, torch.tensor([0.4])), shades)

    @pytest.mark.parametrize("kind", [0, 1, 2])
    def test_brightness_contrast_and_saturation_blend_with_black_the_mean_and_grey(self, kind: int) -> None:
        x = 0.2 + 0.4 * images()
        only = tuple(0.4 if k == kind else 0.0 for k in range(4))
        out = replace(COLOUR, jitter=only, jittered=1.0, grey=0.0)(x, seeded())
        grey = (x * torch.tensor([0.299, 0.587, 0.114]).reshape(3, 1, 1)).sum(1, keepdim=True)
        other = (torch.zeros_like(x), grey.mean((1, 2, 3), keepdim=True).expand_as(x), grey.expand_as(x))[kind]
        factors = ((out - other) / (x - other)).flatten(1).nanmedian(1).values
        assert (factors >= 0.6 - 1e-3).all()
        assert (factors <= 1.4 + 1e-3).all()
        assert len(set(factors.tolist())) == len(x)
        expected = other + factors.reshape(-1, 1, 1, 1) * (x - other)
        torch.testing.assert_close(out, expected.clamp(0, 1), rtol=0, atol=1e-4)

    def test_shares_of_jittered_and_grey_images(self) -> None:
        x = images(1).expand(2000, -1, -1, -1)
        out = COLOUR(x, seeded(2))
        grey = (out.amax(1) - out.amin(1)).amax((1, 2)) < 1e-4
        assert 0.17 < float(grey.float().mean()) < 0.23
        same = (out - x).abs().amax((1, 2, 3)) < 1e-4
        assert 0.13 < float(same.float().mean()) < 0.19  # (1 - 0.8) x (1 - 0.2)

    def test_one_channel_has_brightness_and_contrast_alone(self) -> None:
        x = images(5, 1)
        assert replace(COLOUR, jitter=(0.0, 0.0, 0.4, 0.1), jittered=1.0)(x, seeded()).sub(x).abs().max() < 1e-5
        assert COLOUR(x, seeded()).sub(x).abs().max() > 0.05


def test_every_kind_of_input_has_a_contrastive_view() -> None:
    from longtail.data.views import CropFlip

    assert image_policy(CropFlip(4))["contrast"] == Contrast(flip=True)
    assert image_policy(None)["contrast"] == Contrast(flip=False)
    rows = torch.arange(4000.0).reshape(1000, 4)
    masked = [table_policy((0, 1, 2, 3))["contrast"](rows, seeded(seed)) for seed in (0, 1)]
    both = ((masked[0] == rows) & (masked[1] == rows)).double().mean()
    assert abs(float(both) - 0.4) < 0.03
    assert not feature_policy()["contrast"](rows, seeded()).equal(rows)
