"""Scales: logits times what is learnt, and learnable weight scaling behind a frozen head."""

import pytest
import torch
from torch import nn

from longtail.models.heads import CosineClassifier, LearnableScale, rescale_head


def test_a_learnable_scale_multiplies_logits_per_class_or_at_once():
    logits = torch.randn(2, 3, 5)
    one, per_class = LearnableScale(initial=16.0), LearnableScale(3)
    assert torch.equal(one(logits), 16 * logits)
    assert torch.equal(per_class(logits), logits)  # LWS starts at 1
    with torch.no_grad():
        per_class.scale.copy_(torch.tensor([1.0, 2.0, 3.0]))
    assert torch.equal(per_class(logits)[:, 2], 3 * logits[:, 2])
    per_class(logits).sum().backward()
    torch.testing.assert_close(per_class.scale.grad, logits.sum((0, 2)))
    for wrong in ({"initial": 0.0}, {"num_classes": 0}):
        with pytest.raises(ValueError, match="must be >"):
            LearnableScale(**wrong)


def test_lws_scales_the_complete_logits_and_trains_nothing_else():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 3)).double()
    inputs, targets = torch.randn(8, 3, dtype=torch.float64), torch.tensor([0, 1, 2, 0, 1, 2, 0, 0])
    before, head = model(inputs).detach(), model[2]
    assert rescale_head(model) is model
    assert torch.equal(model(inputs), before)  # scales of 1
    assert [p is head.weight or p is head.bias for p in model[2][0].parameters()] == [True, True]
    for parameter in model[0].parameters():
        parameter.requires_grad_(False)
    (scale,) = [p for p in model.parameters() if p.requires_grad]
    assert scale.shape == (3,)
    assert scale.dtype == torch.float64

    torch.nn.functional.cross_entropy(model(inputs), targets).backward()
    logits, p, y = before.tolist(), before.softmax(1).tolist(), targets.tolist()  # d/ds_j = mean of (p_j - [y = j]) z_j
    by_hand = [sum((p[i][j] - (y[i] == j)) * logits[i][j] for i in range(8)) / 8 for j in range(3)]
    assert scale.grad.tolist() == pytest.approx(by_hand, rel=1e-12)
    with torch.no_grad():
        scale.copy_(torch.tensor([2.0, 1.0, 0.5]))
    rows, bias = head.weight.tolist(), head.bias.tolist()
    for h, ours in zip(model[:2](inputs).tolist(), model(inputs).tolist(), strict=True):
        assert ours == pytest.approx(
            [
                s * (sum(a * b for a, b in zip(w, h, strict=True)) + c)
                for s, w, c in zip((2, 1, 0.5), rows, bias, strict=True)
            ],
            rel=1e-12,
        )


def test_lws_works_behind_cosines_and_convolutions_and_is_exported():
    cosine = rescale_head(nn.Sequential(nn.Linear(3, 4), CosineClassifier(4, 5)))
    assert isinstance(cosine[1][0], CosineClassifier)
    maps = rescale_head(nn.Sequential(nn.Conv2d(3, 5, 1)), name="0")
    inputs = torch.randn(2, 3, 4, 4)
    with torch.no_grad():
        maps[0][1].scale.fill_(3.0)
    torch.testing.assert_close(maps(inputs), 3 * maps[0][0](inputs))
    exported = torch.export.export(cosine, (torch.zeros(2, 3),)).module()
    torch.testing.assert_close(exported(inputs[:, :, 0, 0]), cosine(inputs[:, :, 0, 0]))


def test_what_has_no_rows_cannot_be_rescaled():
    with pytest.raises(ValueError, match="rescale_head needs a head with one weight row per class, got ReLU at '1'"):
        rescale_head(nn.Sequential(nn.Linear(3, 4), nn.ReLU()), name="1")
    with pytest.raises(ValueError, match="model must contain its head, got a bare Linear"):
        rescale_head(nn.Linear(3, 4))
