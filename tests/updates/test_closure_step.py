"""Kinds of steps in a loop of one's own: the same step as by a learner; micro-batches, a scaler, bad input."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
from tests.updates.test_sam import batch, network
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from longtail.facts.schedules import switch
from longtail.instance_weights import ABSGD
from longtail.learners import SupervisedLearner
from longtail.losses import CrossEntropyLoss
from longtail.updates import CDR, RECOVER, SAM, ByClass, ByRow, ClosureStep, Descend, ImbSAM, MetaWeightNet

TAIL = torch.tensor([False, True, False])
MAKE: dict[str, Callable[[], Any]] = {
    "descend": Descend,
    "sam": lambda: SAM(0.3),
    "asam": lambda: SAM(0.3, adaptive=True, eta=0.01, biases=False),
    "sam-a": lambda: SAM(0.3, ascent=ByClass(torch.tensor([1.0, 2.0, 5.0]))),
    "rwsam": lambda: SAM(0.3, ascent=ByRow(torch.arange(12.0))),
    "imbsam": lambda: ImbSAM(TAIL, 0.3),
    "recover": lambda: RECOVER(0.5, 0.7),
    "cdr": lambda: CDR(0.4),
    "cdr, sign": lambda: CDR(0.4, decay="sign"),
}
ROWS = batch()
X: Any = ROWS["inputs"]
Y, INDEX = ROWS["targets"], ROWS["index"]


def model(dropout: float = 0.3) -> nn.Module:
    return network(dropout=dropout)


def sgd(of: nn.Module) -> torch.optim.SGD:
    return torch.optim.SGD(of.parameters(), lr=0.1, momentum=0.9)


def trained(update: Any, steps: int = 3, dropout: float = 0.3, **options: Any) -> dict[str, Tensor]:
    """A loop of one's own."""
    torch.manual_seed(1)
    net = model(dropout)
    step = ClosureStep(update, net, sgd(net), **options)
    for _ in range(steps):
        step.step(lambda: cross_entropy(net(X), Y, reduction="none"), targets=Y, rows=INDEX)
    return net.state_dict()


@pytest.mark.parametrize("make", MAKE.values(), ids=MAKE)
def test_is_the_step_of_a_learner(make: Callable[[], Any]) -> None:
    torch.manual_seed(1)
    learner, update = SupervisedLearner(model(), CrossEntropyLoss()), make()
    optimizer = sgd(learner)
    for _ in range(3):
        update(learner, ROWS, optimizer, 0.0)
    for name, value in trained(make()).items():
        torch.testing.assert_close(value, learner.network.state_dict()[name], rtol=1e-5, atol=1e-6)


def test_a_mean_is_enough_where_no_example_is_weighed() -> None:
    found = []
    for reduction in ("mean", "none"):
        net = model(0.0)
        step = ClosureStep(SAM(0.3), net, sgd(net))
        loss = step.step(lambda net=net, how=reduction: cross_entropy(net(X), Y, reduction=how))  # type: ignore[misc]
        assert not loss.requires_grad
        found.append((loss, *net.state_dict().values()))
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other)


@pytest.mark.parametrize("make", [pytest.param(make, id=key) for key, make in MAKE.items() if make is not Descend])
def test_micro_batches_are_the_batch(make: Callable[[], Any]) -> None:
    """Without batch norms, whose statistics are those of a micro-batch."""
    found = []
    for parts in ([slice(0, 12)], [slice(0, 6), slice(6, 12)]):
        torch.manual_seed(0)
        net = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 3)).double()
        step = ClosureStep(make(), net, sgd(net))
        for _ in range(3):
            closures = [
                lambda p=p, net=net: cross_entropy(net(X[p].double()), Y[p], reduction="none")  # type: ignore[misc]
                for p in parts
            ]
            step.step(closures, targets=[Y[p] for p in parts], rows=[INDEX[p] for p in parts])
        found.append(net.state_dict())
    for name, value in found[0].items():
        torch.testing.assert_close(found[1][name], value, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("make", MAKE.values(), ids=MAKE)
def test_a_scaler_changes_nothing_but_the_steps_that_overflow(make: Callable[[], Any]) -> None:
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**10)
    plain = trained(make())
    for name, value in trained(make(), scaler=scaler).items():
        torch.testing.assert_close(value, plain[name], rtol=1e-4, atol=1e-6)
    assert scaler.get_scale() == 2.0**10

    net, update = model(), make()
    step = ClosureStep(update, net, sgd(net), scaler=scaler)

    def closure() -> Tensor:
        return cross_entropy(net(X), Y, reduction="none")

    step.step(closure, targets=Y, rows=INDEX)
    before = copy.deepcopy((dict(net.named_parameters()), step.state_dict()))
    hook = net.get_parameter("0.weight").register_hook(lambda g: g * float("inf"))
    step.step(closure, targets=Y, rows=INDEX)
    hook.remove()
    assert scaler.get_scale() == 2.0**9
    assert all(p.equal(before[0][name]) for name, p in net.named_parameters())
    for name, value in step.state_dict().items():
        pairs = zip(value, before[1][name], strict=True) if isinstance(value, list) else [(value, before[1][name])]
        assert all(a.equal(b) for a, b in pairs), name
    step.step(closure, targets=Y, rows=INDEX)
    assert not net.get_parameter("0.weight").equal(before[0]["0.weight"])
    assert all(p.isfinite().all() for p in net.parameters())
    assert not net.get_parameter("0.weight")._backward_hooks


def test_half_precision_under_autocast_keeps_small_gradients() -> None:
    """Gradients of 1e-9 are 0 in float16 without the scale."""
    found = []
    for scale in (None, 2.0**16):
        torch.manual_seed(0)
        net = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 3))
        scaler = None if scale is None else torch.amp.GradScaler("cpu", init_scale=scale)
        step = ClosureStep(SAM(0.1), net, torch.optim.SGD(net.parameters(), lr=1e6), scaler=scaler)

        def closure(net: nn.Module = net) -> Tensor:
            with torch.autocast("cpu", torch.float16):
                logits = net(X)
            return 1e-8 * cross_entropy(logits.float(), Y)

        before = net[0].weight.detach().clone()
        step.step(closure)
        found.append(float((net[0].weight.detach() - before).norm()))
    assert found[1] > 2 * found[0]


def test_weights_in_the_closure_are_those_of_the_first_pass() -> None:
    net, weights = model(0.0), ABSGD(1.0)
    step = ClosureStep(SAM(0.0), nn.ModuleList([net, weights]), sgd(net))
    plain, own = copy.deepcopy(net), ABSGD(1.0)
    optimizer = sgd(plain)
    for _ in range(3):
        step.step(lambda: weights(cross_entropy(net(X), Y, reduction="none")))
        optimizer.zero_grad()
        own(cross_entropy(plain(X), Y, reduction="none")).backward()
        optimizer.step()
    assert all(value.equal(plain.state_dict()[name]) for name, value in net.state_dict().items())
    assert weights.s.equal(own.s)
    with pytest.raises(ValueError, match="closure must be one under instance weights, got 2"):
        step.step([lambda: weights(cross_entropy(net(X), Y, reduction="none"))] * 2)


def test_a_schedule_needs_progress() -> None:
    net = model()
    step = ClosureStep(SAM(switch(0.5, 0.0, 0.1)), net, sgd(net))
    step.step(lambda: cross_entropy(net(X), Y), progress=0.7)
    with pytest.raises(TypeError, match=r"rho is the schedule .* and needs progress; pass progress=epoch / epochs"):
        step.step(lambda: cross_entropy(net(X), Y))


def test_the_state_goes_on_elsewhere() -> None:
    net = model(0.0)
    step = ClosureStep(RECOVER(0.5, 0.5), net, torch.optim.SGD(net.parameters(), lr=0.1))

    def closure(of: nn.Module) -> Callable[[], Tensor]:
        return lambda: cross_entropy(of(X), Y, reduction="none")

    step.step(closure(net))
    other = copy.deepcopy(net)
    again = ClosureStep(RECOVER(0.5, 0.5), other, torch.optim.SGD(other.parameters(), lr=0.1))
    again.load_state_dict(step.state_dict())
    step.step(closure(net))
    again.step(closure(other))
    assert all(value.equal(other.state_dict()[name]) for name, value in net.state_dict().items())


class TestBadInput:
    @pytest.mark.parametrize(
        ("closure", "error", "message"),
        [
            (None, TypeError, r"step needs a closure that returns the loss, got None; write step\(lambda"),
            ([], TypeError, r"step needs a closure that returns the loss, got \[\]"),
            (torch.ones(()), TypeError, "step needs a closure that returns the loss, got tensor"),
            (lambda: 1.0, TypeError, "closure must return the loss as a tensor, got float"),
            (lambda: torch.ones(()), ValueError, r"closure must return the loss, .* with no graph; call neither"),
            (lambda: torch.ones(2, 2, requires_grad=True) * 2, ValueError, r"got shape \(2, 2\) with a graph"),
        ],
    )
    def test_closures(self, closure: Any, error: type[Exception], message: str) -> None:
        net = model()
        before = copy.deepcopy(net.state_dict())
        with pytest.raises(error, match=message):
            ClosureStep(SAM(0.1), net, sgd(net)).step(closure)
        assert all(value.equal(before[name]) for name, value in net.state_dict().items())

    @pytest.mark.parametrize(
        ("update", "message"),
        [
            (ImbSAM(TAIL), "the loss must be one number per example for this kind of step, got their mean"),
            (RECOVER(1.0), "the loss must be one number per example"),
        ],
    )
    def test_means(self, update: Any, message: str) -> None:
        net = model()
        with pytest.raises(ValueError, match=message):
            ClosureStep(update, net, sgd(net)).step(lambda: cross_entropy(net(X), Y), targets=Y)

    @pytest.mark.parametrize(("kind", "missing"), [("sam-a", "targets"), ("imbsam", "targets"), ("rwsam", "rows")])
    def test_targets_and_rows(self, kind: str, missing: str) -> None:
        net = model()
        with pytest.raises(ValueError, match=f"{missing} must be .*, got none; pass {missing}="):
            ClosureStep(MAKE[kind](), net, sgd(net)).step(lambda: cross_entropy(net(X), Y, reduction="none"))


@pytest.mark.parametrize("make", MAKE.values(), ids=MAKE)
def test_an_autocast_around_the_step_is_the_same_as_one_in_the_closure(make: Callable[[], Any]) -> None:
    """Autocast keeps low-precision copies of parameters until it is left, and a step moves parameters inside."""
    states = []
    for around in (True, False):
        torch.manual_seed(1)
        net = model()
        step = ClosureStep(make(), net, sgd(net))
        for _ in range(3):
            with torch.autocast("cpu", torch.bfloat16, enabled=around):

                def losses(net: nn.Module = net, around: bool = around) -> Tensor:
                    with torch.autocast("cpu", torch.bfloat16, enabled=True):
                        return cross_entropy(net(X).float(), Y, reduction="none")

                step.step(losses, targets=Y, rows=INDEX)
        states.append(list(net.state_dict().values()))
    assert all(one.equal(other) for one, other in zip(*states, strict=True))


def test_parts_of_other_loops_are_refused() -> None:
    net = model()
    with pytest.raises(ValueError, match="got 0 of its own and 6 others; pass both of one loop"):
        ClosureStep(SAM(0.1), net, sgd(model()))
    with pytest.raises(TypeError, match="update must be a kind of step, got MetaWeightNet, which weighs losses"):
        ClosureStep(MetaWeightNet(), net, sgd(net))  # type: ignore[arg-type]
    step = ClosureStep(SAM(0.3, ascent=ByClass(torch.ones(3))), net, sgd(net))

    def losses() -> Tensor:
        return cross_entropy(net(X), Y, reduction="none")

    with pytest.raises(ValueError, match="targets must be one tensor per closure, 2, got 1"):
        step.step([losses, losses], targets=Y)
    with pytest.raises(ValueError, match=r"targets and rows must be of the losses' length, \(12,\), got \(11,\)"):
        step.step(losses, targets=Y[1:])
