"""Experts side by side, each as if it were alone; and the network that learns from them, by its formula."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from tests.functional import distillation_formulas as formulas
from torch import nn

from longtail.data import Examples
from longtail.data.divided import Divided
from longtail.facts.types import Batch
from longtail.functional.distillation import unit_regression
from longtail.learners import PairLearner
from longtail.learners.divided import DistilledLearner, DividedLearner
from longtail.learners.hosts import NTXent
from longtail.models.heads import Projection
from longtail.updates import SAM, Descend
from longtail.updates.divided import EachExpert

SIZES = (9, 5)


class Averaged(nn.Module):
    """NT-Xent with a moving average that it does not use."""

    t, momentum, symmetric = 0.5, 0.9, True

    def forward(self, compared: Any, *rest: Any) -> torch.Tensor:
        return NTXent(0.5)(compared, *rest)


def network() -> nn.Sequential:
    return nn.Sequential(nn.Linear(4, 6), nn.BatchNorm1d(6), nn.ReLU(), nn.Dropout(0.2), nn.Linear(6, 3))


def rows(size: int, seed: int) -> Examples:
    inputs = torch.randn(size, 4, generator=torch.Generator().manual_seed(seed))
    return Examples(inputs, torch.zeros(size, dtype=torch.int64), ("a", "b")).drawn(4, views=("plain", "plain"))


def divided() -> tuple[DividedLearner, Divided]:
    torch.manual_seed(0)
    experts = [PairLearner(network(), Averaged(), no_decay=("0.bias",)) for _ in SIZES]
    assignment = torch.repeat_interleave(torch.arange(2), torch.tensor(SIZES))
    return DividedLearner(network(), assignment, experts), Divided(tuple(rows(n, k) for k, n in enumerate(SIZES)))


def trained(learner: Any, update: Any, batches: list[Batch], only: int | None = None) -> dict[str, torch.Tensor]:
    """The state after the steps with momentum and weight decay; of one expert alone, on its own batches."""
    learner.train()
    target = learner if only is None else learner.experts[only]
    optimizer = torch.optim.SGD(target.trainable(), lr=0.1, momentum=0.9, weight_decay=0.1)
    for batch in batches:
        ((k, own),) = batch["experts"].items()
        if only is not None and k != only:
            continue
        shown = batch if only is None else own
        torch.manual_seed(int(own["index"].sum()))  # the dropout of a batch is its own
        target.after_update(shown, update(target, shown, optimizer, 0.5), 0.5)
    return dict(target.state_dict())


@pytest.mark.parametrize("kinds", [(Descend, Descend), (SAM, Descend)])
def test_each_expert_is_trained_as_if_it_were_alone(kinds: Any) -> None:
    learner, data = divided()
    batches = [b for e in range(3) for b in data.batches(0.0, torch.Generator().manual_seed(e))]
    updates = [kind() for kind in kinds]
    before = copy.deepcopy(learner.network.state_dict())
    together = trained(copy.deepcopy(learner), EachExpert(updates), batches)
    for k, update in enumerate(updates):
        for name, value in trained(copy.deepcopy(learner), update, batches, only=k).items():
            assert together[f"experts.{k}.{name}"].equal(value), name
        weight = f"experts.{k}.network.0.weight"
        assert not together[weight].equal(learner.state_dict()[weight])
    for name, value in before.items():
        assert together[f"network.{name}"].equal(value)


def test_what_experts_have_is_theirs() -> None:
    learner, data = divided()
    assert not any(p.requires_grad for p in learner.network.parameters())
    names = {id(p): n for n, p in learner.named_parameters()}
    free = [names[id(p)] for g in learner.trainable() if g.get("weight_decay") == 0.0 for p in g["params"]]
    assert free == ["experts.0.network.0.bias", "experts.1.network.0.bias"]
    learner.train()
    assert not learner.network.training
    assert learner.experts[1].network.training
    assert learner.inference().network is learner.network
    assert learner.epoch_record() == {"clusters": [9, 5]}
    assert learner.varied().experts[0] is learner.experts[0]
    step = learner.training_step(next(iter(data.batches(0.0, torch.Generator().manual_seed(0)))), 0.0)
    assert step.rows is not None


def test_the_updates_of_experts_are_saved_one_by_one() -> None:
    class Counting(Descend):
        def __init__(self, n: int) -> None:
            self.n = n

        def state_dict(self) -> Any:
            return {"n": self.n}

        def load_state_dict(self, state: Any) -> None:
            self.n = state["n"]

    update = EachExpert([Counting(1), Counting(2)])
    other = EachExpert([Counting(0), Counting(0)])
    other.load_state_dict(update.state_dict())
    assert [one.n for one in other.updates] == [1, 2]  # type: ignore[attr-defined]
    assert not update.restores_generators
    assert EachExpert([Descend(), SAM()]).restores_generators


def test_the_loss_of_the_distillation_is_the_papers() -> None:
    torch.manual_seed(0)
    nets = [network().double() for _ in range(4)]
    heads = [Projection(6, 2, dim=3).double().regressor().double() for _ in range(4)]
    assignment = torch.tensor([0, 2, 1, 0, 2, 0, 0])
    learner = DistilledLearner(nets[0], heads, nets[1], [*nets[2:], network().double()], assignment).train()
    learner.network.eval()  # dropout draws; the heads use the statistics of the batch
    first, second = torch.randn(2, 5, 4, dtype=torch.float64).unbind()
    index = torch.tensor([3, 1, 2, 6, 4])
    step = learner.training_step(Batch(inputs=(first, second), index=index), 0.0)
    views, clusters = torch.cat([first, second]), assignment[index].repeat(2).tolist()
    z = learner.network(views)
    teachers: list[Any] = [learner.base, *learner.experts]
    predicted, known = [h(z).tolist() for h in learner.heads], [t(views).tolist() for t in teachers]
    both = formulas.losses(predicted[0], predicted[1:], known[0], known[1:], clusters)
    expected = torch.tensor([(a + b) / 2 for a, b in zip(both[:5], both[5:], strict=True)], dtype=torch.float64)
    assert step.losses is not None
    torch.testing.assert_close(step.losses, expected, rtol=1e-10, atol=1e-12)
    assert step.loss.item() == pytest.approx(expected.mean().item(), rel=1e-12)
    step.loss.backward()
    assert all(p.grad is None for teacher in teachers for p in teacher.parameters())
    assert all(p.grad is not None for p in [*learner.network.parameters(), *learner.heads.parameters()])


def test_teachers_stay_in_evaluation_mode() -> None:
    torch.manual_seed(0)
    heads = [nn.Linear(3, 3) for _ in range(2)]
    learner = DistilledLearner(network(), heads, network(), [network()], torch.zeros(4, dtype=torch.int64)).train()
    before = copy.deepcopy(learner.state_dict())
    inputs = torch.randn(4, 4)
    learner.training_step(Batch(inputs=(inputs, inputs), index=torch.arange(4)), 0.0)
    assert all(v.equal(before[n]) for n, v in learner.state_dict().items() if n.startswith(("base.", "experts.")))
    assert not learner.state_dict()["network.1.running_mean"].equal(before["network.1.running_mean"])
    assert {id(p) for g in learner.trainable() for p in g["params"]} == {
        id(p) for p in [*learner.network.parameters(), *learner.heads.parameters()]
    }


def test_targets_have_length_one_and_gradients_are_those_of_the_formula() -> None:
    p, t = torch.randn(2, 5, 3, dtype=torch.float64).unbind()
    p.requires_grad_()
    assert torch.autograd.gradcheck(lambda x: unit_regression(x, t), (p,))
    torch.testing.assert_close(unit_regression(p, t), unit_regression(p, 7 * t))
    assert unit_regression(p, torch.zeros(5, 3)).isfinite().all()
    with pytest.raises(ValueError, match=r"^predictions and targets must have the same shape"):
        unit_regression(p, t[:2])


def test_a_head_is_the_projector_without_its_last_norm() -> None:
    projection = Projection(6, 2, dim=3, hidden=5)
    kinds = [type(layer).__name__ for layer in projection.regressor()]
    assert kinds == ["Linear", "BatchNorm1d", "ReLU", "Linear"]
    assert projection.regressor()(torch.randn(4, 3)).shape == (4, 3)
    assert projection.regressor()[3].bias is not None
    h = torch.randn(4, 6)
    hidden = projection.eval().hidden(h)
    assert hidden.shape == (4, 5)
    torch.testing.assert_close(projection.layers[3:](hidden), projection(h))
