"""rwsam: the weighted ascent, where its weights come from and when, and what it leaves as it is."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from tests.functional import density_formulas as formulas
from tests.methods import task_data

from longtail.data import TrainingSet
from longtail.engine import Recipe, Training
from longtail.learners.density import Densities
from longtail.methods import method

RECIPE = Recipe(epochs=5, batch_size=16, lr=0.2, model="mlp", model_args={"hidden": (8,), "dropout": 0.2})
DATA = TrainingSet.of(task_data.splits("self-supervised"))


def encoder(spec: str) -> dict[str, torch.Tensor]:
    training = Training(method(spec).stages(RECIPE), DATA)
    list(training)
    state = dict(training.state()["before"][0])
    return {name: value for name, value in state.items() if not name.startswith("memories.")}


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(value.equal(other[name]) for name, value in one.items())


@pytest.mark.parametrize("adaptive", [False, True])
def test_alpha_zero_is_sam_and_rho_zero_the_plain_step(adaptive: bool) -> None:
    sam = encoder(f"sam(base='simclr', adaptive={adaptive})")
    assert same(encoder(f"rwsam(alpha=0, adaptive={adaptive})"), sam)
    weighted = encoder(f"rwsam(adaptive={adaptive})")
    assert not same(weighted, sam)
    assert not same(encoder(f"rwsam(adaptive={adaptive}, leave_one_out=False, alpha=2)"), weighted)
    assert same(encoder(f"rwsam(rho=0, adaptive={adaptive})"), encoder("simclr"))


def built(spec: str) -> Any:
    torch.manual_seed(0)
    stage = method(spec).stages(RECIPE)[0].build(DATA, None)
    stage.learner.train()
    return stage


@pytest.mark.parametrize("leave_one_out", [True, False])
def test_the_first_weights_are_those_of_the_initial_features(leave_one_out: bool) -> None:
    learner, rows, update = built(f"rwsam(alpha=1, bandwidth=0.3, leave_one_out={leave_one_out})")
    learner.network.eval()
    h = learner.network.features(DATA.labeled.inputs).double().tolist()
    learner.network.train()
    learner.start_epoch(rows, 0.0)
    (memory,) = learner.memories
    expected = formulas.weights(h, 0.3, 1.0, leave_one_out=leave_one_out)
    torch.testing.assert_close(memory.weights.double(), torch.tensor(expected).double(), rtol=1e-3, atol=1e-4)
    assert update.ascent.weights is memory


def test_computing_them_leaves_norms_modes_and_random_numbers_as_they_are() -> None:
    learner, rows, _ = built("rwsam")
    learner.network.body.eval()  # not all of one mode
    modes = [module.training for module in learner.modules()]
    before = {name: value.clone() for name, value in learner.network.state_dict().items()}
    random = torch.get_rng_state()
    learner.start_epoch(rows, 0.0)
    assert torch.get_rng_state().equal(random)
    assert [module.training for module in learner.modules()] == modes
    assert same(learner.network.state_dict(), before)


@pytest.mark.parametrize(
    ("refresh", "due"), [(0.0, [0, 1, 2, 3, 4]), (0.4, [0, 2, 4]), (1.0, [0]), (0.2, [0, 1, 2, 3, 4])]
)
def test_they_are_computed_anew_after_every_share_of_the_training(refresh: float, due: list[int]) -> None:
    learner, rows, _ = built("rwsam")
    memory = Densities(len(rows), 1.0, "median", refresh)
    found = []
    for epoch in range(5):
        memory.weights.fill_(-1)
        memory.start_epoch(learner, rows, epoch / 5)
        if memory.weights[0] >= 0:
            found.append(epoch)
    assert found == due


@pytest.mark.parametrize("cut", [1, 2, 4])
def test_resumed_between_two_refreshes_it_ends_the_same(cut: int) -> None:
    stages = method("rwsam(refresh=0.6)").stages(RECIPE)
    whole, begun = Training(stages, DATA), Training(stages, DATA)
    list(whole)
    for _ in range(cut):
        next(begun)
    resumed = Training(stages, DATA, resume=begun.state())
    list(resumed)
    assert same(dict(resumed.state()["before"][0]), dict(whole.state()["before"][0]))  # memories, too
    assert same(resumed.learner.state_dict(), whole.learner.state_dict())
