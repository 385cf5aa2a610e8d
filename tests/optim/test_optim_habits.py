"""What torch's optimisers do, these do: groups, schedulers, hooks, state, copies; and they say what is missing."""

from __future__ import annotations

import pickle
from copy import deepcopy

import pytest
import torch
from torch import Tensor, nn

from longtail import instance_weights, optim

ALL = {
    "absgd": lambda p, **o: optim.ABSGD(p, lam=0.7, weight_decay=0.01, **o),
    "abadam": lambda p, **o: optim.ABAdam(p, lam=0.7, weight_decay=0.01, **o),
    "stock abadam": lambda p, **o: optim.ABAdam(p, lam=0.7, weight_decay=0.01, stock=True, **o),
    "abadagrad": lambda p, **o: optim.ABAdaGrad(p, lam=0.7, weight_decay=0.01, **o),
    "abrmsprop": lambda p, **o: optim.ABRMSProp(p, lam=0.7, momentum=0.5, **o),
}
every = pytest.mark.parametrize("build", ALL.values(), ids=ALL)
X = torch.randn(8, 5, generator=torch.Generator().manual_seed(0))
Y = torch.randint(3, (8,), generator=torch.Generator().manual_seed(1))


def network() -> nn.Sequential:
    torch.manual_seed(2)
    return nn.Sequential(nn.Linear(5, 4), nn.Tanh(), nn.Linear(4, 3))


def losses(model: nn.Module) -> Tensor:
    return nn.functional.cross_entropy(model(X), Y, reduction="none")


def walk(model: nn.Module, optimizer: torch.optim.Optimizer, steps: int = 5) -> list[float]:
    return [float(optimizer.step(lambda: losses(model))) for _ in range(steps)]


@every
def test_a_step_returns_the_weighted_scalar_and_learns(build) -> None:
    model = network()
    optimizer = build(model.parameters(), lr=0.03)
    before = losses(model).detach()
    loss = optimizer.step(lambda: losses(model))
    torch.testing.assert_close(loss, (optimizer.weighting.last * before).mean())
    assert not loss.requires_grad
    walk(model, optimizer, 30)
    assert losses(model).mean() < before.mean()


@every
def test_old_gradients_are_cleared_and_no_grad_does_not_matter(build) -> None:
    models = network(), network()
    optimizers = [build(model.parameters(), lr=0.03) for model in models]
    losses(models[0]).sum().backward()
    with torch.no_grad():
        walk(models[0], optimizers[0], 1)
    walk(models[1], optimizers[1], 1)
    for a, b in zip(models[0].parameters(), models[1].parameters(), strict=True):
        assert torch.equal(a, b)


@every
def test_the_state_goes_on_exactly_with_s(build) -> None:
    model = network()
    optimizer = build(model.parameters(), lr=0.03)
    walk(model, optimizer)
    assert optimizer.weighting.s > 0
    other = network()
    other.load_state_dict(model.state_dict())
    resumed = build(other.parameters(), lr=0.5)
    resumed.load_state_dict(deepcopy(optimizer.state_dict()))
    copied_model, copied = deepcopy((model, optimizer))
    pickled_model, pickled = pickle.loads(pickle.dumps((model, optimizer)))
    wanted = walk(model, optimizer)
    assert walk(other, resumed) == wanted
    assert walk(copied_model, copied) == wanted
    assert walk(pickled_model, pickled) == wanted
    assert torch.equal(copied.weighting.log_s, optimizer.weighting.log_s)


@every
def test_groups_and_schedulers_are_torchs(build) -> None:
    model = network()
    optimizer = build([{"params": model[0].parameters(), "lr": 0.0}, {"params": model[2].parameters()}], lr=0.1)
    scheduler = torch.optim.lr_scheduler.StepLR(optimizer, step_size=2, gamma=0.1)
    frozen = model[0].weight.detach().clone()
    for _ in range(4):
        optimizer.step(lambda: losses(model))
        scheduler.step()
    assert [group["lr"] for group in optimizer.param_groups] == pytest.approx([0, 0.001])
    assert torch.equal(model[0].weight, frozen)
    assert not torch.equal(model[2].weight, network()[2].weight)
    optimizer.add_param_group({"params": [nn.Parameter(torch.ones(2))], "lr": 1.0})
    walk(model, optimizer, 1)


@every
def test_hooks_run_once_a_step(build) -> None:
    parameter = nn.Parameter(torch.ones(2))
    for stock in (torch.optim.SGD, torch.optim.Adam, torch.optim.Adagrad, torch.optim.RMSprop):
        stock([parameter], lr=0.1)  # whose steps torch wraps from then on
    model, seen = network(), []
    optimizer = build(model.parameters(), lr=0.1)
    optimizer.register_step_pre_hook(lambda *_: seen.append("before"))
    optimizer.register_step_post_hook(lambda *_: seen.append("after"))
    walk(model, optimizer, 2)
    assert seen == ["before", "after"] * 2


@every
def test_a_frozen_parameter_stays(build) -> None:
    model = network()
    model[0].requires_grad_(False)
    optimizer = build(model.parameters(), lr=0.1)
    before = model[0].weight.clone()
    walk(model, optimizer)
    assert torch.equal(model[0].weight, before)


def test_what_is_not_kept_stands_outside() -> None:
    model, kept = network(), torch.arange(8) > 2
    optimizer = ALL["absgd"](model.parameters(), lr=0.0)
    optimizer.step(lambda: losses(model), kept=kept)
    assert (optimizer.weighting.last == 0).tolist() == (~kept).tolist()


def test_another_weighting_may_take_its_place() -> None:
    model = network()
    optimizer = ALL["absgd"](model.parameters(), lr=0.0)
    optimizer.weighting = instance_weights.ABSGD(0.7, 0.1, init="zero", alpha=0.5)
    (first, *_) = walk(model, optimizer, 1)
    softmax = torch.softmax(losses(model) / 0.7, 0)
    assert first == pytest.approx(20 * (softmax * losses(model)).sum().item(), rel=1e-5)  # 1 / (gamma alpha)


@every
def test_a_step_without_its_losses_is_refused(build) -> None:
    model = network()
    optimizer = build(model.parameters(), lr=0.1)
    before = deepcopy(model.state_dict())
    with pytest.raises(TypeError, match="step needs a closure that returns one loss per example, got None; write opt"):
        optimizer.step()
    with pytest.raises(TypeError, match="closure must return the losses as a tensor, got NoneType"):
        optimizer.step(lambda: None)
    with pytest.raises(ValueError, match="losses must be one floating-point number per example"):
        optimizer.step(lambda: losses(model).mean())
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())


def test_bad_knobs_and_a_foreign_state_are_refused() -> None:
    model = network()
    for build in (optim.ABSGD, optim.ABAdam, optim.ABAdaGrad, optim.ABRMSProp):
        with pytest.raises(ValueError, match="lam must not be 0"):
            build(model.parameters(), lam=0)
        with pytest.raises(ValueError, match="gamma must be in"):
            build(model.parameters(), lam=1, gamma=0)
    with pytest.raises(ValueError, match="Invalid learning rate"):
        optim.ABSGD(model.parameters(), -1.0, lam=1)
    foreign = torch.optim.SGD(model.parameters(), lr=0.1).state_dict()
    with pytest.raises(ValueError, match='state_dict must hold "weighting", got state, param_groups; load what ABSGD'):
        optim.ABSGD(model.parameters(), lam=1).load_state_dict(foreign)


@pytest.mark.parametrize("name", ["maximize", "amsgrad"])
def test_what_equation_9_does_not_have_is_refused(name: str) -> None:
    w = nn.Parameter(torch.ones(1))
    optimizer = optim.UncorrectedAdam([w], lr=0.1, **{name: True})
    w.grad = torch.ones(1)
    with pytest.raises(ValueError, match=f"{name} must be False for the paper's eq. 9, got True; take torch"):
        optimizer.step()
    assert w.item() == 1
