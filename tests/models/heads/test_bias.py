"""A correction put into the bias predicts what the post-hoc rule predicts, once."""

import pickle
from copy import deepcopy
from math import log

import pytest
import torch
from torch import nn

from longtail.models.heads import (
    CosineClassifier,
    LearnableScale,
    NearestClassMean,
    fold_into_bias,
    prior_bias,
    rescale_head,
)
from longtail.posthoc import LogitAdjustment, adjust_logits

COUNTS = [500, 60, 7, 1]
PRIOR = [n / sum(COUNTS) for n in COUNTS]


def network(bias=True, dtype=torch.float64):
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, 4, bias=bias)).to(dtype)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("tau", [0.0, 0.35, 1.0, 2.5])
def test_an_adjusted_bias_predicts_what_post_hoc_adjustment_predicts(bias, tau, dtype):
    model = network(bias, dtype)
    inputs = torch.randn(20_000, 6, dtype=dtype)
    logits = model(inputs).detach()
    adjusted = torch.stack([logits[:, j] - tau * log(p) for j, p in enumerate(PRIOR)], dim=1)
    assert fold_into_bias(model, COUNTS, tau) is model
    rounding = 1e-12 if dtype == torch.float64 else 1e-5
    torch.testing.assert_close(model(inputs), adjusted, rtol=0, atol=rounding)
    assert torch.equal(model(inputs).argmax(1), adjusted.argmax(1))
    assert torch.equal(model(inputs).argmax(1), adjust_logits(logits, COUNTS, tau).argmax(1))
    assert model[2].bias.requires_grad
    if tau > 0:
        assert not torch.equal(adjusted.argmax(1), logits.argmax(1))  # the test would see nothing happen


CONVOLUTIONS = {
    "Conv1d": (lambda bias: nn.Conv1d(3, 4, 1, bias=bias), (50, 3, 7)),
    "Conv2d": (lambda bias: nn.Conv2d(3, 4, 1, bias=bias), (50, 3, 5, 6)),
    "Conv3d": (lambda bias: nn.Conv3d(3, 4, 1, bias=bias), (20, 3, 3, 4, 2)),
    "Conv2d of 3 x 3": (lambda bias: nn.Conv2d(3, 4, 3, padding=1, bias=bias), (50, 3, 5, 6)),
}


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize(("make", "shape"), CONVOLUTIONS.values(), ids=CONVOLUTIONS.keys())
def test_dense_heads_are_adjusted_and_need_no_name(make, shape, bias):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Identity(), make(bias), nn.Dropout(0.0)).double()
    maps = torch.randn(shape, dtype=torch.float64)
    adjusted = adjust_logits(model(maps).detach(), COUNTS)
    fold_into_bias(model, COUNTS)
    torch.testing.assert_close(model(maps), adjusted, rtol=0, atol=1e-12)
    assert torch.equal(model(maps).argmax(1), adjusted.argmax(1))


def test_the_head_itself_can_be_adjusted():
    linear = nn.Linear(3, 4)
    assert fold_into_bias(linear, torch.tensor(COUNTS), 2.0) is linear


@pytest.mark.parametrize("bias", [True, False])
def test_an_adjusted_network_is_exported_traced_and_saved_as_an_ordinary_one(bias, tmp_path):
    model = fold_into_bias(network(bias, torch.float32), COUNTS)
    inputs = torch.randn(9, 6)
    rows = torch.export.Dim("rows", min=2)
    exported = torch.export.export(model, (inputs,), dynamic_shapes=({0: rows},))
    torch.testing.assert_close(exported.module()(inputs), model(inputs))
    torch.export.save(exported, tmp_path / "model.pt2")
    torch.testing.assert_close(torch.export.load(tmp_path / "model.pt2").module()(inputs), model(inputs))
    plain = network()  # the keys and shapes are those of a plain network with a bias
    plain.float().load_state_dict(model.state_dict())
    assert torch.equal(plain(inputs), model(inputs))


def test_a_frozen_head_stays_frozen():
    model = network(bias=False).requires_grad_(False)
    assert not fold_into_bias(model, COUNTS)[2].bias.requires_grad


def test_adjusting_twice_is_refused_also_in_copies():
    model = fold_into_bias(network(), COUNTS, 0.5)
    line = (
        r"model must not be adjusted twice, got a head '2' that was adjusted with tau=0.5; keep it as it is, or pass "
        r"again=True where the weights are new or a further shift is meant"
    )
    for same in (model, deepcopy(model), pickle.loads(pickle.dumps(model)), model.float()):
        before = same[2].bias.clone()
        with pytest.raises(ValueError, match=line):
            fold_into_bias(same, COUNTS)
        assert torch.equal(same[2].bias, before)
    once = model[2].bias.detach().clone()
    fold_into_bias(model, COUNTS, 0.5, again=True)
    torch.testing.assert_close(model[2].bias.detach(), once - 0.5 * torch.tensor([log(p) for p in PRIOR]))


def test_tau_0_does_not_count_and_a_new_bias_starts_over():
    model = fold_into_bias(network(), COUNTS, 0.0)
    fold_into_bias(model, COUNTS)
    fold_into_bias(prior_bias(model), COUNTS)


def test_a_cosine_head_is_refused_and_the_rule_for_it_works_on_the_scores_of_the_loss():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 4), CosineClassifier(4, 4))
    with pytest.raises(
        ValueError,
        match=r"fold_into_bias needs a head with a bias per class, got CosineClassifier at '1'; apply "
        r"longtail.posthoc.LogitAdjustment to loss.scores\(logits\), or name another layer",
    ):
        fold_into_bias(model, COUNTS)
    from longtail.losses import LDAMLoss

    cosines = model(torch.randn(5, 4))
    scores = LogitAdjustment(COUNTS)(LDAMLoss(COUNTS).scores(cosines))
    torch.testing.assert_close(scores, 30 * cosines - torch.tensor([log(p) for p in PRIOR]))


def test_scales_behind_the_head_would_multiply_the_correction_and_are_refused():
    with pytest.raises(ValueError, match=r"model must end in the head to be adjusted, got a LearnableScale behind"):
        fold_into_bias(rescale_head(network()), COUNTS)
    before = nn.Sequential(LearnableScale(), nn.Linear(3, 4))
    fold_into_bias(before, COUNTS)


def test_what_cannot_be_adjusted_is_refused():
    with pytest.raises(ValueError, match="needs a head with a bias per class, got NearestClassMean at ''"):
        fold_into_bias(NearestClassMean(3, 4), COUNTS)
    with pytest.raises(ValueError, match="one entry per class of the head '', 3, got 4; use longtail"):
        fold_into_bias(nn.Linear(2, 3), COUNTS)
    with pytest.raises(ValueError, match="must be > 0 for every class, got 0 for class 1"):
        fold_into_bias(nn.Linear(2, 2), [3, 0])
    with pytest.raises(ValueError, match="tau must be >= 0, got -1"):
        fold_into_bias(nn.Linear(2, 4), COUNTS, tau=-1)
    with pytest.raises(ValueError, match="got a lazy one at '0'; run one batch through it first"):
        fold_into_bias(nn.Sequential(nn.LazyLinear(4)), COUNTS)
    with pytest.raises(ValueError, match=r"model must contain an nn.Linear to use as its head, got none"):
        fold_into_bias(nn.Sequential(nn.ReLU()), COUNTS)


@pytest.mark.parametrize("bias", [True, False])
def test_a_prior_bias_starts_every_class_at_one_over_c(bias):
    model = nn.Sequential(nn.Linear(3, 10), nn.Linear(10, 10, bias=bias))
    assert prior_bias(model, 10) is model
    torch.testing.assert_close(torch.sigmoid(model[1].bias), torch.full((10,), 0.1))
    assert model[1].bias.tolist() == pytest.approx([-log(9)] * 10)
    assert prior_bias(nn.Linear(3, 2)).bias.tolist() == [0, 0]
    with pytest.raises(ValueError, match="num_classes must be that of the head, 10, and >= 2, got 7"):
        prior_bias(model, 7)
