"""The picture sheet: the pictures are those of the suspects, and the page needs no other file."""

from __future__ import annotations

import base64
import io
import re

import numpy as np
import pytest
import torch

from longtail.data import Examples
from longtail.labels import Evidence, judged
from longtail.labels.result import Suspects
from longtail.labels.sheet import png, sheet

Image = pytest.importorskip("PIL.Image")


def judged_images() -> tuple[Suspects, torch.Tensor]:
    from dataclasses import replace

    labels = np.repeat([0, 1], [20, 8])
    images = torch.randint(0, 256, (28, 3, 6, 5), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    p = np.where(np.eye(2)[labels] > 0, 0.999, 0.001)
    p[[3, 21]] = [[0.001, 0.999], [0.9999, 0.0001]]
    names = ("<cat>", "dog & co")
    result = judged(labels, Evidence(p, np.zeros(28, dtype=np.int64)), names, index=np.arange(100, 128), name="photos")
    return replace(result, source=Examples(images, torch.from_numpy(labels), names)), images


def pictures(page: str) -> list[np.ndarray]:
    codes = re.findall(r'src="data:image/png;base64,([^"]+)"', page)
    return [np.asarray(Image.open(io.BytesIO(base64.b64decode(code)))) for code in codes]


def test_every_suspect_has_its_picture_and_its_labels() -> None:
    result, images = judged_images()
    page = sheet(result)
    shown = pictures(page)
    assert len(shown) == len(result.rows) == 2
    for picture, one in zip(shown, result.rows, strict=True):
        np.testing.assert_array_equal(picture, images[one.row - 100].permute(1, 2, 0).numpy())
    assert "&lt;cat&gt;</b> &rarr; <i>dog &amp; co" in page
    assert "<cat>" not in page
    assert "row 103" in page
    assert not re.search(r'(src|href)="(?!data:)', page)


def test_only_the_worst_are_shown() -> None:
    result, images = judged_images()
    (picture,) = pictures(sheet(result, top=1))
    np.testing.assert_array_equal(picture, images[result.rows[0].row - 100].permute(1, 2, 0).numpy())


def test_grey_images_and_numbers_that_are_no_bytes() -> None:
    grey = np.arange(12, dtype=np.uint8).reshape(3, 4)
    np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(png(grey)))), grey)
    from dataclasses import replace

    result, images = judged_images()
    floats = images[:, :1].float() / 255
    page = sheet(replace(result, source=Examples(floats, torch.zeros(28, dtype=torch.int64), ("a", "b"))))
    first = pictures(page)[0]
    assert first.shape == (6, 5)
    assert (first.min(), first.max()) == (0, 255)


def test_data_that_are_no_images_are_refused() -> None:
    result, _ = judged_images()
    from dataclasses import replace

    for source in (None, Examples(torch.zeros(28, 4), torch.zeros(28, dtype=torch.int64), ("a", "b"))):
        with pytest.raises(ValueError, match=r"sheet \(--sheet\) shows suspects as pictures"):
            sheet(replace(result, source=source))
