"""Every operation against Pillow image by image, and how they are drawn."""

import numpy as np
import pytest
import torch
from PIL import Image, ImageEnhance, ImageOps
from tests.cases import cases

from longtail.data.views.rand_augment import POOL, RandAugment


def move(image: Image.Image, matrix: tuple[float, ...]) -> Image.Image:
    return image.transform(image.size, Image.Transform.AFFINE, matrix)


PILLOW = {
    "auto_contrast": lambda image, v: ImageOps.autocontrast(image),
    "brightness": lambda image, v: ImageEnhance.Brightness(image).enhance(v),
    "colour": lambda image, v: ImageEnhance.Color(image).enhance(v),
    "contrast": lambda image, v: ImageEnhance.Contrast(image).enhance(v),
    "equalize": lambda image, v: ImageOps.equalize(image),
    "identity": lambda image, v: image,
    "posterize": lambda image, v: ImageOps.posterize(image, max(1, int(v))),
    "rotate": lambda image, v: image.rotate(v),
    "sharpness": lambda image, v: ImageEnhance.Sharpness(image).enhance(v),
    "shear_x": lambda image, v: move(image, (1, v, 0, 0, 1, 0)),
    "shear_y": lambda image, v: move(image, (1, 0, 0, v, 1, 0)),
    "solarize": lambda image, v: ImageOps.solarize(image, v),
    "translate_x": lambda image, v: move(image, (1, 0, v * image.size[0], 0, 1, 0)),
    "translate_y": lambda image, v: move(image, (1, 0, 0, 0, 1, v * image.size[1])),
}


def pictures(channels: int, height: int, width: int, size: int = 60) -> np.ndarray:
    """Noise over the whole range, then within narrow ranges of levels, and a picture of one level."""
    state = np.random.RandomState(0)
    images = state.randint(0, 256, (size, channels, height, width))
    narrow = images % state.randint(1, 256, (size, 1, 1, 1)) + state.randint(0, 200, (size, 1, 1, 1))
    images[size // 2 :] = narrow[size // 2 :].clip(0, 255)
    images[0] = 7
    return images.astype(np.uint8)


def with_pillow(operation: str, image: np.ndarray, value: float) -> np.ndarray:
    opened = Image.fromarray(image[0] if len(image) == 1 else image.transpose(1, 2, 0))
    changed = np.asarray(PILLOW[operation](opened, value))
    return changed[None] if len(image) == 1 else changed.transpose(2, 0, 1)


@cases("shape", [(3, 32, 32), (3, 37, 20), (1, 28, 28), (1, 8, 8)])
@pytest.mark.slow
def test_every_operation_gives_the_bytes_of_pillow(shape: tuple[int, int, int]) -> None:
    assert set(PILLOW) == set(POOL)
    images = pictures(*shape)
    for name, (operation, low, high) in POOL.items():
        values = low + (high - low) * np.random.RandomState(1).rand(len(images))
        ours = operation(torch.from_numpy(images), torch.from_numpy(values)).numpy()
        assert ours.dtype == np.uint8
        for k, (image, value) in enumerate(zip(images, values, strict=True)):
            np.testing.assert_array_equal(ours[k], with_pillow(name, image, float(value)), err_msg=f"{name} {k}")


def test_a_batch_is_what_each_image_gets_from_its_own_operations() -> None:
    """The draws again, in their documented order, and then Pillow, image by image."""
    images = pictures(3, 16, 16)
    ours = RandAugment(3)(torch.from_numpy(images), torch.Generator().manual_seed(4)).numpy()
    generator = torch.Generator().manual_seed(4)
    drawn = torch.randint(14, (len(images), 3), generator=generator)
    share = torch.rand(len(images), 3, generator=generator, dtype=torch.float64)
    for k, image in enumerate(images):
        for step in range(3):
            name = list(POOL)[int(drawn[k, step])]
            _, low, high = POOL[name]
            image = with_pillow(name, image, low + (high - low) * float(share[k, step]))
        np.testing.assert_array_equal(ours[k], image)


def test_operations_are_drawn_equally_often_and_their_values_fill_their_range() -> None:
    seen: dict[str, list[float]] = {name: [] for name in POOL}
    pool = dict(POOL)
    try:
        for name, (_, low, high) in pool.items():
            POOL[name] = (lambda images, value, name=name: seen[name].extend(value.tolist()) or images, low, high)
        RandAugment(2)(torch.zeros(7000, 1, 8, 8, dtype=torch.uint8), torch.Generator().manual_seed(0))
    finally:
        POOL.update(pool)
    assert sum(map(len, seen.values())) == 14000
    assert sum((len(values) - 1000) ** 2 / 1000 for values in seen.values()) < 34.5  # 13 degrees of freedom, p = 0.001
    for name, values in seen.items():
        _, low, high = POOL[name]
        quartiles = (np.quantile(values, [0, 0.25, 0.5, 0.75, 1]) - low) / (high - low)
        np.testing.assert_allclose(quartiles, [0, 0.25, 0.5, 0.75, 1], atol=0.06)


def test_inputs_are_not_changed_and_one_generator_gives_one_result() -> None:
    images = torch.from_numpy(pictures(3, 16, 16))
    before = images.clone()
    first, second = (RandAugment()(images, torch.Generator().manual_seed(3)) for _ in range(2))
    assert first.equal(second)
    assert images.equal(before)
    assert not first.equal(before)
