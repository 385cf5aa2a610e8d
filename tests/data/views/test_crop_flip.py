"""Crop and flip: every result is a window of the padded image, straight or mirrored, equally often."""

from collections import Counter

import torch

from longtail.data.views import CropFlip


def windows(image: torch.Tensor, pad: int) -> dict[bytes, tuple[int, int, bool]]:
    """Every result that the definition allows, made with plain slices."""
    _, height, width = image.shape
    padded = torch.zeros(image.shape[0], height + 2 * pad, width + 2 * pad, dtype=image.dtype)
    padded[:, pad : pad + height, pad : pad + width] = image
    found = {}
    for dy in range(2 * pad + 1):
        for dx in range(2 * pad + 1):
            window = padded[:, dy : dy + height, dx : dx + width]
            found[window.numpy().tobytes()] = (dy, dx, False)
            found[window.flip(2).numpy().tobytes()] = (dy, dx, True)
    return found


def test_results_are_windows_of_the_padded_image_each_equally_often() -> None:
    generator = torch.Generator().manual_seed(0)
    image = torch.randint(1, 255, (3, 6, 7), dtype=torch.uint8, generator=generator)
    allowed = windows(image, pad=1)
    assert len(allowed) == 18
    size = 9000
    results = CropFlip(pad=1)(image.expand(size, -1, -1, -1).contiguous(), generator)
    assert results.dtype == torch.uint8
    counts = Counter(allowed[row.numpy().tobytes()] for row in results)
    assert len(counts) == 18
    chi_square = sum((n - size / 18) ** 2 / (size / 18) for n in counts.values())
    assert chi_square < 40.8  # 17 degrees of freedom, p = 0.001


def test_without_flip_nothing_is_mirrored_and_without_pad_nothing_moves() -> None:
    image = torch.randint(0, 255, (5, 3, 4, 4), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))
    assert CropFlip(pad=0, flip=False)(image, torch.Generator().manual_seed(2)).equal(image)


def test_one_generator_one_result() -> None:
    image = torch.randint(0, 255, (5, 3, 8, 8), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))
    first, second = (CropFlip()(image, torch.Generator().manual_seed(3)) for _ in range(2))
    assert first.equal(second)
