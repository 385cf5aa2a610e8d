"""The contract: every loss is held to every feature, and docs/losses-support.md says what came out."""

from __future__ import annotations

import pytest
import torch
from tests.cases import cases
from tests.losses.contract import FEATURES, answer
from tests.losses.contract_targets import EXACT
from tests.losses.loss_cases import CASES, NAMES, ROWS, batch

from longtail import losses

COMPILES = "`torch.compile(fullgraph=True)`"


@pytest.mark.parametrize("name", NAMES)
@cases("feature", [feature for feature in FEATURES if feature != COMPILES])
def test_every_loss_keeps_the_contract(name: str, feature: str) -> None:
    assert answer(name, feature)


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_every_loss_keeps_the_contract_when_compiled(name: str) -> None:
    assert answer(name, COMPILES)


def test_every_loss_there_is_stands_in_the_table() -> None:
    every = {getattr(losses, name) for name in losses.__all__} - {losses.Loss, losses.BinaryVSLoss}
    # those that read features, and those of two views, have tests of their own
    there = {loss for loss in every if issubclass(loss, losses.Loss) and not loss.needs}
    assert {CASES[name].loss for names in ROWS.values() for name in names} == there


def test_only_vector_scaling_and_binary_losses_say_no_to_another_scale_of_the_mean() -> None:
    """A constant added to all logits changes nothing, except where classes have factors or thresholds of their own."""
    z, y = batch()
    for name in NAMES:
        loss = CASES[name].build()
        if CASES[name].shift_invariant:
            torch.testing.assert_close(loss(z + 3.0, y), loss(z, y), **EXACT)
        else:
            assert (loss(z + 3.0, y) - loss(z, y)).abs() > 0.01
