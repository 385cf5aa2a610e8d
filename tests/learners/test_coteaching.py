"""Co-teaching's step: who selects what, and what each network learns from it; against plain loops in float64."""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from typing import Any

import pytest
import torch
from tests.updates import steps_by_hand as hand
from tests.updates.test_recover import batches
from tests.updates.test_sam import batch, network
from torch import Tensor, nn

from longtail.facts.schedules import Steps, switch
from longtail.facts.types import Batch, Outputs, Progress
from longtail.instance_weights import TERM, SmallLoss
from longtail.learners import CoTeaching, SupervisedLearner
from longtail.losses import CrossEntropyLoss, LDAMLoss, Loss
from longtail.targets import Truncated
from longtail.updates import Descend

LR = 0.3


def small(seed: int = 0, loss: Loss | None = None) -> SupervisedLearner:
    """The network of `steps_by_hand`."""
    torch.manual_seed(seed)
    model = nn.Sequential(nn.Linear(hand.D, hand.H), nn.Tanh(), nn.Linear(hand.H, hand.C)).double()
    return SupervisedLearner(model, CrossEntropyLoss() if loss is None else loss)


def flat(learner: Any) -> list[float]:
    return [float(v) for p in learner.network.parameters() for v in p.detach().flatten()]


def easiest(losses: Sequence[float], ys: Sequence[int], rate: float, by_class: bool) -> list[int]:
    """The rows of the smallest losses, one at least; of each class by itself, then rounded up."""
    rows = sorted(range(len(losses)), key=lambda i: losses[i])
    if not by_class:
        return rows[: max(1, math.floor((1 - rate) * len(rows) + 1e-9))]
    found = []
    for j in set(ys):
        mine = [i for i in rows if ys[i] == j]
        found += mine[: math.ceil((1 - rate) * len(mine) - 1e-9)]
    return found


@pytest.mark.parametrize("by_class", [False, True])
@pytest.mark.parametrize("rate", [0.4, 0.95, Steps((0.25, 0.5), (0.0, 0.2, 0.5))])
def test_each_network_learns_the_rows_that_the_other_finds_easy(rate: Any, by_class: bool) -> None:
    learner = CoTeaching(small(0), small(1), rate, by_class=by_class)
    optimizer = torch.optim.SGD(learner.trainable(), lr=LR)
    w = [flat(learner.first), flat(learner.second)]
    differed = 0
    for k, rows in enumerate(batches()):
        xs, ys = rows["inputs"].tolist(), rows["targets"].tolist()  # type: ignore[union-attr]
        r = rate if isinstance(rate, float) else (0.0, 0.0, 0.2, 0.2, 0.5, 0.5, 0.5, 0.5)[k]
        losses = [hand.losses(one, xs, ys) for one in w]
        easy = [easiest(one, ys, r, by_class) for one in losses]
        differed += set(easy[0]) != set(easy[1])
        step = Descend()(learner, rows, optimizer, k / 8)
        expected = [sum(losses[j][i] for i in easy[1 - j]) / len(easy[1 - j]) for j in (0, 1)]
        assert float(step.loss.detach()) == pytest.approx(sum(expected), rel=1e-10)
        assert step.losses is not None
        assert step.losses.tolist() == pytest.approx(losses[0], rel=1e-10)
        weights = [6 / len(easy[1]) if i in easy[1] else 0.0 for i in range(6)]
        assert step.log["weights"].tolist() == pytest.approx(weights)
        shares = [[1 / len(peer) if i in peer else 0.0 for i in range(6)] for peer in (easy[1], easy[0])]
        w = [hand.descended(a, hand.gradient(a, xs, ys, s), LR) for a, s in zip(w, shares, strict=True)]
        for ours, theirs in zip((learner.first, learner.second), w, strict=True):
            torch.testing.assert_close(torch.tensor(flat(ours)), torch.tensor(theirs), rtol=1e-9, atol=1e-11)
    assert differed  # or the test could not tell who selects for whom


def step_of(learner: CoTeaching, rows: Batch) -> tuple[Tensor, list[Tensor]]:
    """The loss, and the gradient of all parameters."""
    loss = learner.training_step(rows, 0.0).loss
    return loss.detach(), list(torch.autograd.grad(loss, list(learner.parameters())))


def same_step(one: tuple[Tensor, list[Tensor]], other: tuple[Tensor, list[Tensor]]) -> None:
    torch.testing.assert_close(one[0], other[0], rtol=1e-10, atol=1e-12)
    for a, b in zip(one[1], other[1], strict=True):
        torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-11)


def some(n: int = 12, **more: Any) -> Batch:
    generator = torch.Generator().manual_seed(5)
    inputs = torch.randn(n, hand.D, generator=generator, dtype=torch.float64)
    return Batch(inputs=inputs, targets=torch.arange(n) % 3, index=torch.arange(n), **more)


def taken(rows: Batch, places: list[int], **more: Any) -> Batch:
    return Batch(
        inputs=rows["inputs"][places], targets=rows["targets"][places], index=torch.arange(len(places)), **more
    )  # type: ignore[call-overload]


@pytest.mark.parametrize("by_class", [False, True])
def test_rows_that_are_ignored_or_have_weight_0_are_not_there(by_class: bool) -> None:
    learner = CoTeaching(small(0), small(1), 0.4, by_class=by_class)
    rows, left = some(), [0, 1, 3, 4, 5, 8, 10, 11]
    plain = step_of(learner, taken(rows, left))
    weight = torch.ones(12)
    weight[[2, 6, 7, 9]] = 0.0
    same_step(step_of(learner, Batch({**rows, "sample_weight": weight})), plain)  # type: ignore[typeddict-item]
    ignored = rows["targets"].clone()
    ignored[[2, 6, 7, 9]] = -100
    same_step(step_of(learner, Batch({**rows, "targets": ignored})), plain)  # type: ignore[typeddict-item]


def test_nothing_that_counts_is_a_loss_of_0() -> None:
    learner = CoTeaching(small(0), small(1), 0.4)
    loss, gradients = step_of(learner, Batch({**some(), "sample_weight": torch.zeros(12)}))  # type: ignore[typeddict-item]
    assert float(loss) == 0
    assert all(not bool(g.any()) for g in gradients)


@pytest.mark.parametrize("by_class", [False, True])
def test_a_batch_of_one_row_keeps_it(by_class: bool) -> None:
    learner = CoTeaching(small(0), small(1), 0.9, by_class=by_class)
    rows = some(1)
    expected = sum(hand.losses(flat(one), *lists(rows))[0] for one in (learner.first, learner.second))
    assert float(step_of(learner, rows)[0]) == pytest.approx(expected)


def lists(rows: Batch) -> tuple[Any, Any]:
    return rows["inputs"].tolist(), rows["targets"].tolist()  # type: ignore[union-attr]


def test_sample_and_class_weights_are_in_the_loss_and_not_in_the_ranking() -> None:
    """Both would bring rows of small weight in and rows of large weight out."""
    rows = some()
    xs, ys = lists(rows)
    sample, by_class = [1.0 + i for i in range(12)], [1.0, 30.0, 0.1]
    loss = CrossEntropyLoss(torch.tensor([4, 4, 4]), class_weight=torch.tensor(by_class, dtype=torch.float64))
    learner = CoTeaching(small(0, loss), small(1, loss), 0.5)
    ours = step_of(learner, Batch({**rows, "sample_weight": torch.tensor(sample, dtype=torch.float64)}))  # type: ignore[typeddict-item]
    losses = [hand.losses(flat(one), xs, ys) for one in (learner.first, learner.second)]
    easy = [easiest(one, ys, 0.5, False) for one in losses]
    total, gradients = 0.0, []
    for own, peer, one in ((0, 1, learner.first), (1, 0, learner.second)):
        weights = [sample[i] * by_class[ys[i]] if i in easy[peer] else 0.0 for i in range(12)]
        shares = [value / sum(weights) for value in weights]
        total += sum(s * value for s, value in zip(shares, losses[own], strict=True))
        gradients += hand.gradient(flat(one), xs, ys, shares)
    assert float(ours[0]) == pytest.approx(total, rel=1e-9)
    flattened = torch.cat([g.flatten() for g in ours[1]])
    torch.testing.assert_close(flattened, torch.tensor(gradients, dtype=torch.float64), rtol=1e-8, atol=1e-10)
    weighted = [[sample[i] * by_class[ys[i]] * value for i, value in enumerate(one)] for one in losses]
    assert all(set(easiest(w, ys, 0.5, False)) != set(e) for w, e in zip(weighted, easy, strict=True))


def halved(outputs: Outputs, targets: Tensor, weight: Tensor | None, progress: Progress) -> Tensor:
    losses = nn.functional.cross_entropy(outputs.logits / 2, targets, reduction="none")
    return losses if weight is None else weight * losses


def truncated() -> Truncated:
    """Targets that leave every third row out, which counts in the mean."""
    targets = Truncated(12)
    targets.weight[::3] = 0.0
    return targets


COUNTS = torch.tensor([40, 12, 4])
DRW = {"class_weight": "effective", "reweight": switch(0.5, 0.0, 1.0)}
KINDS: dict[str, Any] = {
    "cross-entropy": lambda net: SupervisedLearner(net, CrossEntropyLoss()),
    "class weights": lambda net: SupervisedLearner(net, CrossEntropyLoss(COUNTS, class_weight="inverse")),
    "deferred": lambda net: SupervisedLearner(net, LDAMLoss(COUNTS, **DRW)),
    "by the batch": lambda net: SupervisedLearner(
        net, CrossEntropyLoss(COUNTS, class_weight="inverse", normalize="batch")
    ),
    "criterion": lambda net: SupervisedLearner(net, CrossEntropyLoss(), criterion=halved),
    "truncated": lambda net: SupervisedLearner(net, CrossEntropyLoss(), targets=truncated()),
    "smoothed": lambda net: SupervisedLearner(net, CrossEntropyLoss(label_smoothing=0.1)),
}


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_with_rate_0_both_are_trained_as_alone_bit_for_bit(kind: str, weighted: bool) -> None:
    nets = [network(), network()]
    for p in nets[1].parameters():
        p.data.mul_(-1)
    learners = [KINDS[kind](net) for net in nets]
    alone = copy.deepcopy(learners)
    rows = batch()
    if weighted:
        rows = Batch({**rows, "sample_weight": torch.arange(12) / 4})  # type: ignore[typeddict-item]
    together = CoTeaching(*learners, 0.0)
    for one in (together, *alone):
        optimizer = torch.optim.SGD(one.train().trainable(), lr=0.1, momentum=0.9, weight_decay=0.01)
        for k in range(4):
            one.after_update(rows, Descend()(one, rows, optimizer, k / 4), k / 4)
    for ours, theirs in zip((together.first, together.second), alone, strict=True):
        for name, value in theirs.state_dict().items():
            assert ours.state_dict()[name].equal(value), name
    assert not together.first.network.state_dict()["1.running_mean"].equal(
        together.second.network.state_dict()["1.running_mean"]
    )


def test_it_is_small_loss_of_the_peers_losses_in_a_loop_of_ones_own() -> None:
    one, other, rows = small(0), small(1), some()
    theirs = step_of(CoTeaching(one, other, 0.3, by_class=True), rows)
    weigh = SmallLoss(0.7, by_class=True)
    losses = [
        nn.functional.cross_entropy(m.network(rows["inputs"]), rows["targets"], reduction="none") for m in (one, other)
    ]
    p = [weigh.weigh(value.detach(), targets=rows["targets"]) for value in losses]
    loss = (p[1] * losses[0]).mean() + (p[0] * losses[1]).mean()
    same_step((loss.detach(), list(torch.autograd.grad(loss, [*one.parameters(), *other.parameters()]))), theirs)


class TestParts:
    def test_what_predicts_is_the_first_network(self) -> None:
        learner = CoTeaching(small(0), small(1), 0.2)
        assert learner.inference().network is learner.network is learner.first.network

    def test_all_parameters_of_both_are_trained_with_their_own_groups(self) -> None:
        one = SupervisedLearner(network(), CrossEntropyLoss(), no_decay=["0.bias"], rates={"3": 0.1})
        learner = CoTeaching(one, SupervisedLearner(network(), CrossEntropyLoss()), 0.2)
        trained = [p for group in learner.trainable() for p in group["params"]]
        assert {id(p) for p in trained} == {id(p) for p in learner.parameters()}
        assert len(trained) == len(list(learner.parameters()))
        assert [group.get("rate") for group in learner.trainable()] == [
            group.get("rate") for group in one.trainable()
        ] + [None]

    def test_each_is_told_of_its_own_outputs(self) -> None:
        class Noting(nn.Module):
            seen: Any = None

            def forward(self, rows: Batch, outputs: Outputs, progress: Progress) -> tuple[Tensor, None]:
                return rows["targets"], None

            def observe(self, rows: Batch, outputs: Outputs, progress: Progress) -> None:
                self.seen = outputs.logits

            def refresh(self, data: Any, progress: Progress) -> None:
                self.seen = "refreshed"

        learner = CoTeaching(small(0).varied(targets=Noting()), small(1).varied(targets=Noting()), 0.2)
        learner.start_epoch(None, 0.0)  # type: ignore[arg-type]
        assert [one.targets.seen for one in (learner.first, learner.second)] == ["refreshed"] * 2
        step = learner.training_step(some(), 0.0)
        learner.after_update(some(), step, 0.0)
        for one in (learner.first, learner.second):
            torch.testing.assert_close(one.targets.seen, one.network(some()["inputs"]))

    @pytest.mark.parametrize(("rate", "why"), [(1.0, r"rate must be in \[0, 1\), got 1.0"), (-0.1, "rate must be")])
    def test_rates_out_of_range_are_refused(self, rate: float, why: str) -> None:
        with pytest.raises(ValueError, match=why):
            CoTeaching(small(0), small(1), rate)

    def test_learners_whose_rows_cannot_be_selected_are_refused(self) -> None:
        weighing = small(0).varied(weights=TERM(1.0))
        for pair, kind in (
            ((small(0), weighing), "one with weights"),
            ((CoTeaching(small(), small(1), 0), small()), "CoT"),
        ):
            with pytest.raises(ValueError, match=f"SupervisedLearner without weights and mixing, got {kind}"):
                CoTeaching(*pair, 0.2)
