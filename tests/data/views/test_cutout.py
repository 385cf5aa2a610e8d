"""Cutout against Pillow's rectangle, with the draws of each image."""

import numpy as np
import torch
from PIL import Image, ImageDraw
from tests.cases import cases

from longtail.data.views.cutout import Cutout


@cases("shape", [(3, 32, 32), (3, 37, 20), (1, 8, 8)])
def test_painted_squares_are_those_of_pillow(shape: tuple[int, int, int]) -> None:
    channels, height, width = shape
    images = torch.randint(0, 256, (200, *shape), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    ours = Cutout(0.5)(images, torch.Generator().manual_seed(1))
    assert ours.dtype == torch.uint8
    drawn = torch.rand(200, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64).tolist()
    for k, (share, x, y) in enumerate(drawn):
        side = share * 0.5 * width
        left, top = int(max(0, x * width - side / 2)), int(max(0, y * height - side / 2))
        corners = (left, top, min(width, left + side), min(height, top + side))
        array = images[k].permute(1, 2, 0).numpy()
        picture = Image.fromarray(array if channels == 3 else array[:, :, 0])
        ImageDraw.Draw(picture).rectangle(corners, (125, 123, 114) if channels == 3 else 123)
        expected = np.asarray(picture).reshape(height, width, channels)
        np.testing.assert_array_equal(ours[k].permute(1, 2, 0).numpy(), expected)


def test_squares_of_no_size_paint_nothing() -> None:
    images = torch.randint(0, 256, (50, 3, 8, 8), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    assert Cutout(0.0)(images, torch.Generator().manual_seed(1)).equal(images)
