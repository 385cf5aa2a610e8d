"""Changes of a given magnitude: each operation against Pillow at its magnitude, masks and noise row by row."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw, ImageEnhance, ImageOps
from tests.data.views.test_rand_augment import move
from tests.methods.recorded_step import recording
from torch import Tensor

from longtail.data.views import Masking, Noise, by_row
from longtail.data.views.magnitudes import POOL, Graded, GradedMasking, GradedNoise, OneOperation
from longtail.data.views.types import each


def cut(image: Image.Image, v: float, place: tuple[float, float]) -> Image.Image:
    """RandAugment's cutout as it is published, the centre drawn before."""
    side, (x, y) = v * image.size[0], place
    left, top = int(max(0, x * image.size[0] - side / 2)), int(max(0, y * image.size[1] - side / 2))
    right, bottom = min(image.size[0], left + side), min(image.size[1], top + side)
    image = image.copy()
    ImageDraw.Draw(image).rectangle((left, top, right, bottom), (125, 123, 114))
    return image


PILLOW = {
    "shear_x": (0, 0.6, lambda image, v, place: move(image, (1, v, 0, 0, 1, 0))),
    "shear_y": (0, 0.6, lambda image, v, place: move(image, (1, 0, 0, v, 1, 0))),
    "translate_x": (0, 0.66, lambda image, v, place: move(image, (1, 0, v * image.size[0], 0, 1, 0))),
    "translate_y": (0, 0.66, lambda image, v, place: move(image, (1, 0, 0, 0, 1, v * image.size[1]))),
    "rotate": (0, 60, lambda image, v, place: image.rotate(v)),
    "auto_contrast": (0, 1, lambda image, v, place: ImageOps.autocontrast(image)),
    "invert": (0, 1, lambda image, v, place: ImageOps.invert(image)),
    "equalize": (0, 1, lambda image, v, place: ImageOps.equalize(image)),
    "solarize": (0, 110, lambda image, v, place: ImageOps.solarize(image, v)),
    "posterize": (4, 8, lambda image, v, place: ImageOps.posterize(image, int(v))),
    "contrast": (0.1, 1.9, lambda image, v, place: ImageEnhance.Contrast(image).enhance(v)),
    "colour": (0.1, 1.9, lambda image, v, place: ImageEnhance.Color(image).enhance(v)),
    "brightness": (0.1, 1.9, lambda image, v, place: ImageEnhance.Brightness(image).enhance(v)),
    "sharpness": (0.1, 1.9, lambda image, v, place: ImageEnhance.Sharpness(image).enhance(v)),
    "cutout": (0, 0.4, cut),
}
SIGNED = ("shear_x", "shear_y", "translate_x", "translate_y", "rotate")
KINDS: dict[str, tuple[Graded, Tensor]] = {
    "images": (OneOperation(), torch.randint(256, (60, 3, 12, 12), dtype=torch.uint8)),
    "floats": (OneOperation(), torch.rand(60, 12, 12)),
    "table": (GradedMasking(0.6, (0, 1, 1, 2)), torch.randn(60, 4)),
    "features": (GradedNoise(), torch.randn(60, 4)),
}


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def magnitudes(size: int) -> Tensor:
    return torch.rand(size, generator=seeded(7), dtype=torch.float64)


def test_every_operation_gives_the_bytes_of_pillow_at_its_magnitude() -> None:
    images = torch.randint(256, (300, 3, 16, 20), dtype=torch.uint8, generator=seeded())
    images[150:] = images[150:] // 3 + 40  # contrast and sharpness beyond 1 leave [0, 255] in some, not in all
    way, m, applied = OneOperation(), magnitudes(300), torch.rand(300, generator=seeded(8)) < 0.8
    numbers = chosen, turned, place = way.draw(300, images.shape[1:], seeded(5))
    ours = way.at(images, numbers, m, applied)
    assert list(PILLOW) == list(POOL)
    assert len(chosen.unique()) == 15
    for k, image in enumerate(images):
        name = list(PILLOW)[int(chosen[k])]
        low, high, change = PILLOW[name]
        value = low + (high - low) * float(m[k])
        value = -value if name in SIGNED and turned[k] else value
        expected = change(Image.fromarray(image.permute(1, 2, 0).numpy()), value, place[k].tolist())
        wanted = np.asarray(expected).transpose(2, 0, 1) if applied[k] else image.numpy()
        np.testing.assert_array_equal(ours[k].numpy(), wanted, err_msg=f"{name} {k}")


@pytest.mark.parametrize("kind", KINDS)
class TestEveryKind:
    def test_rows_that_are_not_chosen_stay_to_the_bit(self, kind: str) -> None:
        way, inputs = KINDS[kind]
        numbers, m = way.draw(60, inputs.shape[1:], seeded()), magnitudes(60)
        assert way.at(inputs, numbers, m, torch.zeros(60, dtype=torch.bool)).equal(inputs)
        applied = torch.arange(60) % 2 == 0
        changed = way.at(inputs, numbers, m, applied)
        assert changed.dtype == inputs.dtype
        assert changed[~applied].equal(inputs[~applied])
        assert int((changed[applied] != inputs[applied]).flatten(1).any(1).sum()) > 10

    def test_waits_for_nothing_and_uses_no_number_of_the_cpu(self, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(by_row, "grouped", by_row.selected)
        way, inputs = KINDS[kind]
        numbers, m = way.draw(60, inputs.shape[1:], seeded()), magnitudes(60)
        with recording() as recorded:
            way.at(inputs, numbers, m, m < 0.5)
        assert recorded.waits == []
        there = each(numbers, lambda values: values.to("meta"))
        assert way.at(inputs.to("meta"), there, m.to("meta"), (m < 0.5).to("meta")).shape == inputs.shape


def test_one_result_of_all_operations_is_that_of_each_images_own(monkeypatch: pytest.MonkeyPatch) -> None:
    way, inputs = KINDS["images"]
    numbers, m = way.draw(60, inputs.shape[1:], seeded()), magnitudes(60)
    first = way.at(inputs, numbers, m, m < 0.5)
    monkeypatch.setattr(by_row, "grouped", by_row.selected)
    assert way.at(inputs, numbers, m, m < 0.5).equal(first)


def test_the_share_of_masked_columns_and_the_noise_grow_with_the_magnitude() -> None:
    rows, all_of_them = torch.arange(80_000.0).reshape(20_000, 4), torch.ones(20_000, dtype=torch.bool)
    for m in (0.0, 0.5, 1.0):
        size = torch.full((20_000,), m, dtype=torch.float64)
        masked = GradedMasking(0.6)
        changed = masked.at(rows, masked.draw(20_000, (4,), seeded()), size, all_of_them)
        assert abs(float((changed != rows).double().mean()) - 0.6 * m) < 0.01
        noise = GradedNoise(0.8).at(rows, GradedNoise().draw(20_000, (4,), seeded()), size, all_of_them) - rows
        torch.testing.assert_close(noise.std(0), 0.8 * m * rows.std(0), rtol=0.03, atol=0)


def test_at_full_magnitude_they_are_the_plain_mask_and_noise() -> None:
    rows, ones = torch.randn(30, 4), torch.ones(30, dtype=torch.float64)
    drawn = GradedMasking(0.6, (0, 1, 1, 2)).draw(30, (4,), seeded())
    assert (
        GradedMasking(0.6, (0, 1, 1, 2))
        .at(rows, drawn, ones, ones > 0)
        .equal(Masking(0.6, (0, 1, 1, 2))(rows, seeded()))
    )
    drawn = GradedNoise(0.5).draw(30, (4,), seeded())
    assert GradedNoise(0.5).at(rows, drawn, ones, ones > 0).equal(Noise(0.5)(rows, seeded()))
