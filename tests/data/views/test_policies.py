"""Masking and noise against their definitions row by row, and which view a kind of input has."""

from typing import Any

import numpy as np
import pytest
import torch
from tests.cases import cases

from longtail.data import Examples, load
from longtail.data.label_kinds import unlabeled
from longtail.data.views import CropFlip
from longtail.data.views.masking import Masking
from longtail.data.views.noise import Noise
from longtail.data.views.pixels import InUint8
from longtail.data.views.policies import image_policy


def rows(size: int = 400) -> torch.Tensor:
    """Two numbers, whether the first is missing, and two columns of codes; no value is in two columns."""
    state = np.random.RandomState(0)
    numbers = state.permutation(2 * size).reshape(size, 2) + 100.0
    missing = (numbers[:, :1] % 3 == 0).astype(float)
    return torch.from_numpy(
        np.hstack([numbers, missing, state.randint(2, 9, (size, 1)), state.randint(10, 14, (size, 1))])
    )


def test_masked_columns_hold_values_of_other_rows_of_the_same_column() -> None:
    table = rows()
    masked = Masking(0.3, (0, 1, 0, 2, 3))(table, torch.Generator().manual_seed(0))
    for j in range(5):
        assert set(masked[:, j].tolist()) <= set(table[:, j].tolist())
    assert masked[:, 2].equal((masked[:, 0] % 3 == 0).double()), "a number and whether it is missing come from one row"
    changed = (masked != table).double().mean(0)
    assert torch.allclose(changed[:2], torch.tensor(0.3, dtype=torch.float64), atol=0.08)
    both = ((masked[:, 0] != table[:, 0]) & (masked[:, 1] != table[:, 1])).double().mean()
    assert abs(float(both) - 0.09) < 0.05, "columns are replaced independently"


def test_a_mask_row_by_row_from_the_same_draws() -> None:
    table = rows(30)
    masked = Masking(0.5, (0, 1, 0, 2, 3))(table, torch.Generator().manual_seed(5))
    generator = torch.Generator().manual_seed(5)
    replaced, place = torch.rand(30, 4, generator=generator) < 0.5, torch.rand(30, 4, generator=generator)
    other = (place.double() * 30).floor().long()
    for i in range(30):
        for j, source in enumerate((0, 1, 0, 2, 3)):
            assert masked[i, j] == (table[other[i, source], j] if replaced[i, source] else table[i, j])


def test_no_share_and_one_row_change_nothing() -> None:
    assert Masking(0.0)(rows(), torch.Generator().manual_seed(0)).equal(rows())
    assert Masking(0.9)(rows(1), torch.Generator().manual_seed(0)).equal(rows(1))
    one = torch.randn(1, 5)
    assert Noise()(one, torch.Generator().manual_seed(0)).equal(one)


def test_noise_is_as_large_as_each_feature_varies() -> None:
    features = torch.randn(5000, 4, generator=torch.Generator().manual_seed(0)) * torch.tensor([1.0, 10.0, 0.01, 0.0])
    noise = Noise(0.3)(features, torch.Generator().manual_seed(1)) - features
    np.testing.assert_allclose(noise.std(0).numpy(), 0.3 * features.numpy().std(0), rtol=0.05)
    assert Noise(0.0)(features, torch.Generator().manual_seed(1)).equal(features)


def test_floats_are_augmented_on_their_own_scale() -> None:
    images = torch.randint(0, 17, (40, 1, 8, 8), generator=torch.Generator().manual_seed(0)) / 16.0 * 6 - 3
    same = InUint8(lambda images, generator: images)(images, torch.Generator())
    assert same.dtype == torch.float32
    torch.testing.assert_close(same, images, rtol=0, atol=6 / 255 / 2 + 1e-6)
    assert InUint8(lambda images, generator: images)(images[:, 0], torch.Generator()).shape == (40, 8, 8)
    flat = torch.full((3, 1, 8, 8), 2.5)
    assert InUint8(lambda images, generator: images)(flat, torch.Generator()).equal(flat)


@cases("kind", ["digits", "images", "features", "table"])
def test_every_kind_of_input_has_a_strong_view_of_the_same_shape(kind: str) -> None:
    pandas = pytest.importorskip("pandas")
    state = np.random.RandomState(0)
    y = np.arange(60) % 3
    sources: dict[str, Any] = {
        "digits": ("digits", None),
        "images": (state.randint(0, 256, (60, 20, 20, 3)).astype(np.uint8), y),
        "features": (state.normal(size=(60, 7)), y),
        "table": (
            pandas.DataFrame({"a": np.where(y == 1, np.nan, state.normal(size=60)), "b": list("pqrst") * 12, "y": y}),
            "y",
        ),
    }
    part = load(*sources[kind]).train
    batch = next(iter(part.drawn(32, views=("plain", "weak", "strong")).batches(0.0, torch.Generator().manual_seed(0))))
    plain, weak, strong = batch["inputs"]
    assert strong.shape == plain.shape
    assert strong.dtype == plain.dtype
    assert weak.equal(plain), "supervised training augments none of these"
    assert float((strong != plain).flatten(1).any(1).float().mean()) > 0.2
    if kind == "table":
        assert set(strong[:, -1].tolist()) <= set(plain[:, -1].tolist())


def test_a_strong_view_begins_with_what_supervised_training_does() -> None:
    images = torch.randint(1, 256, (8, 3, 32, 32), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    strong = image_policy(CropFlip())["strong"](images, torch.Generator().manual_seed(1))
    generator = torch.Generator().manual_seed(1)
    assert strong.equal(image_policy(None)["strong"](CropFlip()(images, generator), generator))


def test_a_policy_of_ones_own_goes_before_the_default_and_supervised_batches_do_not_change() -> None:
    part = Examples(
        torch.randn(10, 3), unlabeled(10), ("a", "b"), policy={"strong": lambda inputs, generator: inputs * 2}
    )
    plain, strong = next(iter(part.drawn(10, views=("plain", "strong")).batches(0.0, torch.Generator())))["inputs"]
    assert strong.equal(plain * 2)
    with pytest.raises(ValueError, match=r"views must be among plain, weak, strong.*got 'stronger'"):
        part.drawn(10, views=("stronger",))
    assert part.drawn(10).policy == part.policy
