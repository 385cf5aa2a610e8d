"""A classifier of fixed vectors: cosines with a frame that is saved and never trained."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from longtail.models import build
from longtail.models.heads import FrameClassifier, find_head, fold_into_bias, swap_head


def test_scores_are_cosines_with_the_vectors_in_plain_loops() -> None:
    torch.manual_seed(0)
    head = FrameClassifier(5, 3).double()
    features = torch.randn(4, 5, dtype=torch.float64)
    for row, h in zip(head(features).tolist(), features.tolist(), strict=True):
        length = math.sqrt(math.fsum(a * a for a in h))
        for z, m in zip(row, head.weight.tolist(), strict=True):
            assert z == pytest.approx(math.fsum(a * b for a, b in zip(h, m, strict=True)) / length, abs=1e-12)
    torch.testing.assert_close(head(features).argmax(1), (features @ head.weight.T).argmax(1))
    assert not list(head.parameters())
    assert head(torch.zeros(1, 5, dtype=torch.float64)).tolist() == [[0.0] * 3]


def test_batch_norm_comes_before_the_length() -> None:
    head = FrameClassifier(5, 3, batch_norm=True)
    features = 3 + 2 * torch.randn(64, 5, generator=torch.Generator().manual_seed(0))
    centred = (features - features.mean(0)) / (features.var(0, correction=0) + 1e-5).sqrt()
    torch.testing.assert_close(head(features), nn.functional.normalize(centred) @ head.weight.T, rtol=1e-4, atol=1e-5)
    assert [name for name, _ in head.named_parameters()] == ["norm.weight", "norm.bias"]


def test_a_batch_of_one_row_is_normalised_by_the_running_statistics() -> None:
    head = FrameClassifier(5, 3, batch_norm=True)
    generator = torch.Generator().manual_seed(0)
    head(3 + 2 * torch.randn(64, 5, generator=generator))
    before = {name: value.clone() for name, value in head.state_dict().items()}
    row = torch.randn(1, 5, generator=generator).requires_grad_()
    scores = head(row)
    scores[0, 0].backward()
    assert row.grad is not None
    assert bool(row.grad.any())
    assert bool(head.norm.weight.grad.any())  # type: ignore[union-attr]
    assert scores.equal(head.eval()(row))
    assert all(value.equal(before[name]) for name, value in head.state_dict().items())


@pytest.mark.parametrize("frame", ["simplex", "tight"])
def test_the_orientation_is_that_of_the_global_generator_and_is_saved(frame: str) -> None:
    arguments = {"input_shape": (4,), "num_classes": 5, "head": "frame", "head_args": {"frame": frame}}

    def network(seed: int) -> nn.Module:
        torch.manual_seed(seed)
        return build("mlp", **arguments, hidden=(6,))

    one, again, other = network(0), network(0), network(1)
    assert one.head.weight.equal(again.head.weight)
    assert not one.head.weight.equal(other.head.weight)
    other.load_state_dict(one.state_dict())
    x = torch.randn(3, 4)
    assert other(x).logits.equal(one(x).logits)


def test_in_any_network_and_dtype() -> None:
    model = swap_head(nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 3)), FrameClassifier)
    assert find_head(model)[0] == "2"
    for dtype in (torch.float64, torch.bfloat16):
        assert model.to(dtype)(torch.randn(2, 4, dtype=dtype)).dtype == dtype
    with pytest.raises(ValueError, match="fold_into_bias needs a head with a bias per class, got FrameClassifier"):
        fold_into_bias(model, [3, 2, 1])


@pytest.mark.parametrize(
    ("arguments", "options", "why"),
    [
        ((3, 5), {}, "frame 'simplex' of 5 classes must have at least 4 features, got 3; take more features, or frame"),
        ((1, 5), {"frame": "tight"}, "frame 'tight' of 5 classes must have at least 2 features, got 1; take more"),
        ((3, 3), {"frame": "etf"}, 'frame must be "simplex" or "tight", got \'etf\''),
        ((3, 0), {}, "out_features must be >= 1, got 0"),
    ],
)
def test_what_has_no_room_is_refused(arguments: tuple[int, int], options: dict[str, str], why: str) -> None:
    with pytest.raises(ValueError, match=f"^{why}"):
        FrameClassifier(*arguments, **options)
