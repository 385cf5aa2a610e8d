"""The supervised learner is a torch loop with named parts, and changes no state inside `held`."""

from __future__ import annotations

import copy
import inspect
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from longtail.engine.due_step import set_learning_rate
from longtail.facts.learner import Learner
from longtail.facts.types import Batch, Outputs, Progress, Step, Update
from longtail.instance_weights import ABSGD, InstanceWeighting, LossBatch, Mean
from longtail.learners import EstimatorLearner, SupervisedLearner
from longtail.losses import ClassBalancedLoss, CrossEntropyLoss, FocalLoss, LDAMLoss
from longtail.updates import Descend

N, D, C = 12, 4, 3


def batch(seed: int = 0, **more: Tensor) -> Batch:
    generator = torch.Generator().manual_seed(seed)
    inputs = torch.randn(N, D, generator=generator)
    targets = torch.randint(C, (N,), generator=generator)
    return Batch(inputs=inputs, targets=targets, index=torch.arange(N), **more)  # type: ignore[typeddict-item]


def linear(seed: int = 0) -> nn.Linear:
    torch.manual_seed(seed)
    return nn.Linear(D, C)


class Deep(nn.Module):
    """Batch norm, a named head, and features."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.body = nn.Sequential(nn.Linear(D, 5), nn.BatchNorm1d(5))
        self.head = nn.Linear(5, C)

    def forward(self, inputs: Tensor) -> Outputs:
        features = self.body(inputs)
        return Outputs(self.head(features), features)


def test_it_is_a_learner_and_descend_an_update() -> None:
    assert isinstance(SupervisedLearner(linear(), CrossEntropyLoss()), Learner)
    assert isinstance(Descend(), Update)


def test_steps_equal_a_hand_written_torch_loop_to_the_byte() -> None:
    theirs = linear()
    optimizer = torch.optim.SGD(theirs.parameters(), lr=0.1, momentum=0.9, weight_decay=2e-4)
    learner = SupervisedLearner(linear(), CrossEntropyLoss())
    ours = torch.optim.SGD(learner.trainable(), lr=0.1, momentum=0.9, weight_decay=2e-4)
    for i in range(20):
        data = batch(i)
        optimizer.zero_grad()
        # torch's own mean adds up in another order: its last bit may differ
        loss = F.cross_entropy(theirs(data["inputs"]), data["targets"], reduction="none").sum() / N
        loss.backward()
        optimizer.step()
        step = Descend()(learner, data, ours, i / 20)
        assert step.loss.item() == loss.item()
    assert learner.network.weight.equal(theirs.weight)  # type: ignore[union-attr, arg-type]
    assert learner.network.bias.equal(theirs.bias)  # type: ignore[union-attr, arg-type]


def test_the_losses_behind_the_step_carry_the_graph() -> None:
    data = batch()
    step = SupervisedLearner(linear(), CrossEntropyLoss()).training_step(data, 0.0)
    assert step.losses is not None
    assert step.losses.shape == (N,)
    assert step.losses.requires_grad
    assert step.losses.mean().item() == pytest.approx(step.loss.item())


def doubled(data: Batch, copies: Tensor) -> Batch:
    rows = torch.repeat_interleave(torch.arange(N), copies)
    return Batch(inputs=data["inputs"][rows], targets=data["targets"][rows], index=rows)


@pytest.mark.parametrize(
    "loss", [CrossEntropyLoss(), CrossEntropyLoss([5, 3, 1], class_weight="inverse"), LDAMLoss([5, 3, 1])]
)
def test_a_sample_weight_of_k_is_k_copies(loss: Any) -> None:
    copies = torch.arange(N) % 3
    weighted = Batch(**batch(), sample_weight=copies.float())  # type: ignore[typeddict-item]
    learners = [SupervisedLearner(linear(), loss) for _ in range(2)]
    for learner, data in zip(learners, (weighted, doubled(batch(), copies)), strict=True):
        learner.training_step(data, 0.0).loss.backward()
    for left, right in zip(learners[0].parameters(), learners[1].parameters(), strict=True):
        assert left.grad is not None
        assert torch.allclose(left.grad, right.grad, rtol=1e-5, atol=1e-7)  # type: ignore[arg-type]


class Trust(nn.Module):
    """Targets that give each example a weight of its own and note what they saw."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("seen", torch.zeros(N, dtype=torch.int64))
        self.heads: list[Any] = []

    def forward(self, batch: Batch, outputs: Outputs, progress: Progress) -> tuple[Tensor, Tensor | None]:
        return batch["targets"], 0.5 + batch["index"] / N

    def observe(self, batch: Batch, outputs: Outputs, progress: Progress) -> None:
        self.seen[batch["index"]] += 1  # type: ignore[operator, index]
        self.heads.append(outputs.extra.get("head"))

    def refresh(self, data: Any, progress: Progress) -> None:
        self.seen.zero_()  # type: ignore[operator]


def test_the_targets_weight_times_the_samples_weight_acts() -> None:
    given = torch.linspace(0.1, 2, N)
    data = Batch(**batch(), sample_weight=given)  # type: ignore[typeddict-item]
    network = linear()
    step = SupervisedLearner(network, CrossEntropyLoss(), targets=Trust()).training_step(data, 0.0)
    weight = given * (0.5 + torch.arange(N) / N)
    losses = F.cross_entropy(network(data["inputs"]), data["targets"], reduction="none")
    assert step.loss.item() == pytest.approx(((weight * losses).sum() / weight.sum()).item(), rel=1e-6)


def test_targets_see_the_head_and_are_refreshed_when_an_epoch_starts() -> None:
    network, targets = Deep(), Trust()
    learner = SupervisedLearner(network, CrossEntropyLoss(), targets=targets)
    step = learner.training_step(batch(), 0.0)
    assert targets.heads == []  # what a step teaches is what was believed before it
    learner.after_update(batch(), step, 0.0)
    assert targets.heads == [network.head]
    assert step.outputs is not None
    assert not step.outputs.logits.requires_grad
    assert targets.seen.tolist() == [1] * N  # type: ignore[union-attr, operator]
    learner.start_epoch(None, 0.5)  # type: ignore[arg-type]
    assert targets.seen.tolist() == [0] * N  # type: ignore[union-attr, operator]


@pytest.mark.parametrize(
    "loss",
    [CrossEntropyLoss(normalize="batch"), FocalLoss(), ClassBalancedLoss([9, 3, 1]),
     CrossEntropyLoss([9, 3, 1], class_weight="inverse", normalize="batch")],
    ids=["ce", "focal", "class-balanced", "weighted ce"],
)  # fmt: skip
def test_the_plain_mean_as_weights_is_the_loss_normalised_by_the_batch(loss: Any) -> None:
    data = batch()
    data["targets"][:2] = -100
    alone = SupervisedLearner(linear(), loss).training_step(data, 0.0)
    weighed = SupervisedLearner(linear(), loss, weights=Mean()).training_step(data, 0.0)
    assert weighed.loss.item() == pytest.approx(alone.loss.item(), rel=1e-6)


class Counting(InstanceWeighting):
    """State that moves with every call."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("calls", torch.zeros((), dtype=torch.int64))
        self.given: LossBatch | None = None

    def weights(self, batch: LossBatch) -> Tensor:
        self.given = batch
        if not self.holding:
            self.calls += 1  # type: ignore[operator]
        return torch.ones_like(batch.losses)


def test_weights_get_targets_rows_what_is_kept_and_progress() -> None:
    data, weights = batch(), Counting()
    data["targets"][0] = -100
    SupervisedLearner(linear(), CrossEntropyLoss(), weights=weights).training_step(data, 0.25)
    given = weights.given
    assert given is not None
    assert given.targets is data["targets"]
    assert given.index is data["index"]
    assert given.kept is not None
    assert given.kept.tolist() == [False] + [True] * (N - 1)
    assert given.progress == 0.25


def test_losses_of_a_criterion_are_divided_by_the_rows_that_count() -> None:
    def criterion(outputs: Outputs, targets: Tensor, weight: Tensor | None, progress: Any) -> Tensor:
        return loss.per_example(outputs.logits, targets, sample_weight=weight)

    loss = CrossEntropyLoss(normalize="batch")
    data = batch()
    data["targets"][:2] = -100
    data["sample_weight"] = torch.arange(N) / 2
    for given in (batch(), data):
        alone = SupervisedLearner(linear(), loss).training_step(given, 0.0)
        assert SupervisedLearner(linear(), loss, criterion=criterion).training_step(given, 0.0).loss.equal(alone.loss)


class TestHeld:
    def test_no_buffer_moves_while_the_batch_s_own_statistics_are_used(self) -> None:
        network, targets, weights = Deep(), Trust(), Counting()
        learner = SupervisedLearner(network, CrossEntropyLoss(), targets=targets, weights=weights).train()
        before = {k: v.clone() for k, v in learner.named_buffers()}
        free = copy.deepcopy(learner)
        with learner.held():
            step = learner.training_step(batch(), 0.0)
        assert all(v.equal(before[k]) for k, v in learner.named_buffers())
        assert step.loss.item() == free.training_step(batch(), 0.0).loss.item()
        moved = {k for k, v in free.named_buffers() if not v.equal(before[k])}
        assert moved == {
            "network.body.1.running_mean", "network.body.1.running_var", "network.body.1.num_batches_tracked",
            "weights.calls",
        }  # fmt: skip

    def test_instance_norms_record_nothing_and_give_their_statistics_back(self) -> None:
        network = nn.Sequential(nn.Unflatten(1, (3, 1)), nn.InstanceNorm1d(3, track_running_stats=True), nn.Flatten())
        learner = SupervisedLearner(network, CrossEntropyLoss()).train()
        before = {k: v.clone() for k, v in learner.named_buffers()}
        x = torch.randn(5, 3, 7)
        norm: Any = network[1]
        with learner.held():
            norm(x)
        assert all(v.equal(before[k]) for k, v in learner.named_buffers())
        assert norm.running_mean is not None
        norm(x)
        assert not norm.running_mean.equal(before["network.1.running_mean"])

    def test_gradients_flow_inside(self) -> None:
        learner = SupervisedLearner(Deep(), CrossEntropyLoss())
        with learner.held():
            learner.training_step(batch(), 0.0).loss.backward()
        assert all(p.grad is not None for p in learner.parameters())

    def test_it_ends_also_after_an_error_and_can_be_nested(self) -> None:
        learner = SupervisedLearner(Deep(), CrossEntropyLoss(), weights=Counting())
        with pytest.raises(RuntimeError), learner.held():
            raise RuntimeError
        with learner.held():
            with learner.held():
                pass
            assert learner.holding
        assert not learner.holding
        learner.training_step(batch(), 0.0)
        assert learner.network.body[1].num_batches_tracked.item() == 1  # type: ignore[index, union-attr, operator]
        assert learner.weights.calls.item() == 1  # type: ignore[union-attr, operator]

    def test_made_again_a_step_keeps_the_weights_that_it_found(self) -> None:
        learner = SupervisedLearner(linear(), CrossEntropyLoss(), weights=ABSGD(2.0, 0.5))
        data = batch()
        learner.training_step(batch(1), 0.0)
        first = learner.training_step(data, 0.0)
        with learner.held():
            peeked = learner.training_step(data, 0.0)  # as if it were the next batch
        with learner.held(again=True):
            again = learner.training_step(data, 0.0)
            with torch.no_grad():
                learner.network.weight.mul_(2.0)
            moved = learner.training_step(data, 0.0)
        assert not peeked.loss.equal(first.loss)
        assert again.loss.equal(first.loss)
        assert moved.loss.equal((first.log["weights"] * moved.losses).mean())
        assert not learner.training_step(data, 0.0).log["weights"].equal(first.log["weights"])  # over again


class TestTrainable:
    def test_everything_decays_unless_named(self) -> None:
        (group,) = SupervisedLearner(Deep(), CrossEntropyLoss()).trainable()
        assert len(group["params"]) == 6
        assert "weight_decay" not in group

    def test_named_parameters_decay_nothing(self) -> None:
        network = Deep()
        decayed, free = SupervisedLearner(network, CrossEntropyLoss(), no_decay=["head.bias"]).trainable()
        assert [id(p) for p in free["params"]] == [id(network.head.bias)]
        assert free["weight_decay"] == 0.0
        assert len(decayed["params"]) == 5

    def test_the_optimiser_leaves_them_to_the_gradient(self) -> None:
        network = linear()
        before = network.bias.detach().clone()
        learner = SupervisedLearner(network, CrossEntropyLoss(), no_decay=["bias"])
        optimizer = torch.optim.SGD(learner.trainable(), lr=0.1, weight_decay=0.5)
        for parameter in network.parameters():
            parameter.grad = torch.zeros_like(parameter)
        weight = network.weight.detach().clone()
        optimizer.step()
        assert network.bias.equal(before)
        assert torch.allclose(network.weight, 0.95 * weight)

    def test_what_is_frozen_is_left_out_and_may_be_named(self) -> None:
        network = Deep()
        network.body.requires_grad_(False)
        network.head.bias.requires_grad_(False)
        (group,) = SupervisedLearner(network, CrossEntropyLoss(), no_decay=["head.bias"]).trainable()
        assert [id(p) for p in group["params"]] == [id(network.head.weight)]

    def test_named_modules_and_parameters_have_learning_rates_of_their_own(self) -> None:
        network = Deep()
        rates = {"body": 0.1, "head": 0.5, "head.bias": 2.0}
        learner = SupervisedLearner(network, CrossEntropyLoss(), rates=rates, no_decay=["head.weight"])
        groups = learner.trainable()
        names = {id(p): name for name, p in network.named_parameters()}
        found = [([names[id(p)] for p in g["params"]], g["rate"], g.get("weight_decay")) for g in groups]
        inner = [name for name in names.values() if name.startswith("body")]
        assert found == [(inner, 0.1, None), (["head.bias"], 2.0, None), (["head.weight"], 0.5, 0.0)]
        optimizer = torch.optim.SGD(groups, lr=1.0)
        set_learning_rate(optimizer, 0.3)
        assert [group["lr"] for group in optimizer.param_groups] == pytest.approx([0.03, 0.6, 0.15])
        assert learner.varied().rates == rates

    def test_a_rate_of_1_is_no_group_of_its_own_and_a_prefix_is_no_module(self) -> None:
        learner = SupervisedLearner(Deep(), CrossEntropyLoss(), rates={"head": 1.0})
        assert [sorted(group) for group in learner.trainable()] == [["params"]]
        with pytest.raises(ValueError, match=r"rates must name modules or parameters of the network, got network.hea;"):
            SupervisedLearner(Deep(), CrossEntropyLoss(), rates={"hea": 0.1}).trainable()

    def test_a_name_that_is_not_there_is_one_line(self) -> None:
        learner = SupervisedLearner(linear(), CrossEntropyLoss(), no_decay=["head.bias"])
        with pytest.raises(ValueError, match=r"no_decay must name parameters of the network, got network.head.bias"):
            learner.trainable()


def test_functional_call_reaches_the_step_by_forward() -> None:
    network = linear()
    learner = SupervisedLearner(network, CrossEntropyLoss())
    parameters = {name: p.detach().clone().requires_grad_() for name, p in learner.named_parameters()}
    step: Step = torch.func.functional_call(learner, parameters, (batch(), 0.0))
    (gradient,) = torch.autograd.grad(step.loss, [parameters["network.weight"]])
    learner.training_step(batch(), 0.0).loss.backward()
    assert network.weight.grad is not None
    assert gradient.equal(network.weight.grad)


def test_scores_are_the_loss_s_and_carry_no_graph() -> None:
    learner = SupervisedLearner(linear(), LDAMLoss([5, 3, 1], scale=30.0)).eval()
    inputs = batch()["inputs"]
    scores = learner.predict(inputs)
    assert not scores.requires_grad
    assert torch.allclose(scores, 30 * learner.network(inputs))


def test_nothing_in_the_batch_is_changed() -> None:
    data = Batch(**batch(), sample_weight=torch.ones(N))  # type: ignore[typeddict-item]
    before = copy.deepcopy(data)
    learner = SupervisedLearner(linear(), CrossEntropyLoss(), targets=Trust(), weights=Mean())
    learner.training_step(data, 0.0)
    assert data.keys() == before.keys()
    assert all(data[k].equal(before[k]) for k in before)  # type: ignore[literal-required]


class TestVaried:
    def everything(self) -> SupervisedLearner:
        def criterion(outputs: Outputs, targets: Tensor, weight: Tensor | None, progress: Progress) -> Tensor:
            return outputs.logits.logsumexp(1)

        return SupervisedLearner(
            Deep(), CrossEntropyLoss(), targets=Trust(), weights=Counting(), criterion=criterion,
            no_decay=("head.bias",), frozen=("body",), moving_norms=True,
        )  # fmt: skip

    def test_every_slot_but_the_one_that_is_named_is_kept(self) -> None:
        learner = self.everything()
        slots = ("network", "loss", "targets", "weights", "criterion", "no_decay", "frozen", "moving_norms")
        for slot in slots:
            other = {"network": Deep(), "frozen": (), "no_decay": frozenset(), "moving_norms": False}.get(slot, Mean())
            varied = learner.varied(**{slot: other})
            assert {name for name in slots if getattr(varied, name) is not getattr(learner, name)} <= {slot}
            assert getattr(varied, slot) == other

    def test_the_arguments_of_every_learner_stand_under_their_own_names(self) -> None:
        assert set(Learner.__subclasses__()) >= {SupervisedLearner, EstimatorLearner}
        for kind in Learner.__subclasses__():
            if kind.__module__.startswith("longtail."):
                source = inspect.getsource(kind.__init__)
                for name in list(inspect.signature(kind).parameters):
                    kept = f"self.{name} = " in source or f'self.register_buffer("{name}", {name})' in source
                    assert kept, f"{kind.__name__} does not keep {name}"

    def test_what_is_no_slot_is_refused(self) -> None:
        with pytest.raises(TypeError, match="slots of SupervisedLearner are network, loss, targets"):
            self.everything().varied(weight=None)

    def test_weights_weigh_the_criterion_s_own_losses(self) -> None:
        learner = self.everything().varied(frozen=())
        step = learner.training_step(batch(), 0.0)
        losses = learner.network.eval() and step.losses
        assert step.loss.item() == pytest.approx(losses.mean().item())
        assert "weights" in step.log
        bare = learner.varied(weights=None).training_step(batch(), 0.0)
        share = 0.5 + batch()["index"] / N  # by its targets, the rows count so much
        assert bare.loss.item() == pytest.approx((bare.losses.sum() / share.sum()).item())


def test_norms_of_frozen_modules_stand_still_or_move() -> None:
    for moving in (False, True):
        learner = SupervisedLearner(Deep(), CrossEntropyLoss(), frozen=("body",), moving_norms=moving).train()
        before = learner.network.body[1].running_mean.clone()
        learner.training_step(batch(), 0.0)
        assert learner.network.body[1].running_mean.equal(before) is not moving
        assert [n for n, p in learner.named_parameters() if p.requires_grad] == [
            "network.head.weight",
            "network.head.bias",
        ]
