"""What a loss holds: counts, the constants that follow from them, and nothing that a cast can spoil."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from tests.cases import cases
from tests.losses.loss_cases import CASES, COUNTS, NAMES, C, batch
from torch import nn
from torch.utils.data import Subset, TensorDataset

from longtail import losses
from longtail.facts.schedules import switch

OTHER = [3, 60, 9, 400, 11]
all_losses = cases("name", NAMES)


@all_losses
@cases("cast", ["half", "bfloat16", "double", "float"])
def test_casts_of_the_model_do_not_touch_the_statistics(name: str, cast: str) -> None:
    loss = CASES[name].build()
    model = nn.Sequential(nn.Linear(2, C), loss)
    before = {key: buffer.clone() for key, buffer in loss.named_buffers()}
    getattr(model, cast)()
    assert {b.dtype for k, b in loss.named_buffers() if k != "class_counts"} <= {torch.float32, torch.bool}
    for key, buffer in loss.named_buffers():
        assert torch.equal(buffer, before[key])
    for dtype in (torch.float32, torch.float64):
        z, y = batch(dtype=dtype)
        assert torch.equal(loss(z, y), CASES[name].build()(z, y))


def test_statistics_follow_the_device() -> None:
    loss = losses.LDAMLoss(COUNTS, class_weight="effective")
    moved = loss.to("meta")
    assert {buffer.device.type for buffer in moved.buffers()} == {"meta"}
    back = moved.to_empty(device="cpu")
    z, y = batch()
    assert torch.equal(back(z, y), losses.LDAMLoss(COUNTS, class_weight="effective")(z, y))


def test_the_default_dtype_is_that_of_the_buffers() -> None:
    torch.set_default_dtype(torch.float64)
    try:
        loss = losses.LogitAdjustedLoss(COUNTS)
        assert loss.log_prior.dtype == torch.float64
        z, y = batch(dtype=torch.float32)
        assert loss(z, y).dtype == torch.float32
    finally:
        torch.set_default_dtype(torch.float32)


def test_large_counts_stay_exact_in_the_state() -> None:
    counts = torch.tensor([50_000_001, 16_777_217, 3])
    loss = losses.LogitAdjustedLoss(counts)
    assert torch.equal(loss.state_dict()["class_counts"].long(), counts)


def test_repr_says_what_was_chosen() -> None:
    loss = losses.LDAMLoss(COUNTS, max_margin=0.3, class_weight="effective", reweight=switch(0.8, 0.0, 1.0))
    assert repr(loss) == (
        "LDAMLoss(5 classes, max_margin=0.3, scale=30.0, exponent=0.25, test_prior=None, class_weight='effective', "
        "reweight=switch(0.8, 0.0, 1.0))"
    )
    assert repr(losses.CrossEntropyLoss()) == "CrossEntropyLoss()"
    assert (
        repr(losses.CrossEntropyLoss(class_weight=torch.ones(3))) == "CrossEntropyLoss(3 classes, class_weight=<(3,)>)"
    )
    assert "normalize" not in repr(losses.FocalLoss())


LABELS = ["cat"] * 6 + ["dog"] * 3 + ["emu"]


def test_built_from_labels_a_dataset_or_counts_it_is_the_same() -> None:
    z = batch(4)[0][:, :3]
    y = torch.tensor([0, 1, 2, 2])
    by_counts = losses.LDAMLoss([6, 3, 1])
    by_labels = losses.LDAMLoss.from_labels(LABELS)
    index = torch.tensor([0] * 6 + [1] * 3 + [2] + [0])
    data = Subset(TensorDataset(torch.zeros(11, 2), index), range(10))
    by_dataset = losses.LDAMLoss.from_dataset(data)
    assert by_labels.classes == ["cat", "dog", "emu"]
    assert by_counts(z, y) == by_labels(z, y) == by_dataset(z, y)
    more = losses.LDAMLoss.from_labels(index, num_classes=4, zero_count=1)
    assert more.class_counts.tolist() == [7, 3, 1, 0]
    assert len(more.classes) == 4


def test_class_weights_by_name_tensor_array_and_word() -> None:
    z, y = batch(4)[0][:, :3], torch.tensor([0, 1, 2, 2])
    tensor = losses.CrossEntropyLoss(class_weight=torch.tensor([1.0, 2.0, 5.0]))
    named = losses.CrossEntropyLoss.from_labels(LABELS, class_weight={"emu": 5.0, "dog": 2.0})
    told = losses.CrossEntropyLoss(class_weight={"emu": 5, "dog": 2}, classes=["cat", "dog", "emu"])
    array = losses.CrossEntropyLoss(class_weight=np.array([1, 2, 5]))
    assert tensor(z, y) == named(z, y) == told(z, y) == array(z, y)
    word = losses.CrossEntropyLoss([6, 3, 1], class_weight="inverse")
    assert word.class_weight.sum().item() == pytest.approx(3)
    assert word.class_weight.tolist() == pytest.approx([1 / 3, 2 / 3, 2])


def test_a_given_weight_is_not_the_users_tensor() -> None:
    w = torch.tensor([1.0, 2.0, 5.0], dtype=torch.float64)
    loss = losses.CrossEntropyLoss(class_weight=w)
    z, y = batch(4)[0][:, :3], torch.tensor([0, 1, 2, 2])
    before = loss(z, y)
    w.zero_()
    assert loss(z, y) == before
