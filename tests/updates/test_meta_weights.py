"""Meta-learnt weights: against formulas by hand and finite differences, and what a look-ahead must not change."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from tests.updates import meta_formulas as formulas
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional as F

from longtail.updates import LearningToReweight, MetaResidual, MetaWeightNet, MetaWeights
from longtail.updates.look_ahead import Ahead, LookAhead, MetaLoss
from longtail.updates.weight_net import WeightNet

B, D, C = 9, 4, 3
LR = 0.3


def rows(seed: int, size: int) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(size, D, generator=generator, dtype=torch.float64), torch.arange(size) % C


TRAIN, META = rows(0, B), rows(1, 6)


def as_arrays(part: tuple[Tensor, Tensor]) -> Any:
    return part[0].numpy(), part[1].numpy()


def linear() -> nn.Module:
    torch.manual_seed(0)
    return nn.Linear(D, C, bias=False).double()


def deep(norm: bool = False) -> nn.Module:
    torch.manual_seed(0)
    middle = nn.BatchNorm1d(5) if norm else nn.Identity()
    return nn.Sequential(nn.Linear(D, 5), middle, nn.Tanh(), nn.Linear(5, C)).double()


def per_example(model: Callable[..., Tensor], part: tuple[Tensor, Tensor] = TRAIN) -> Tensor:
    return F.cross_entropy(model(part[0]), part[1], reduction="none")


def weight_gradient(
    weights: Tensor | None, model: nn.Module, optimizer: torch.optim.Optimizer, meta: MetaLoss, **more: Any
) -> Tensor:
    return LookAhead(per_example, model, optimizer, meta, **more).gradient(weights)


def meta_loss(ahead: Ahead) -> Tensor:
    return per_example(ahead, META).mean()


def sgd(model: nn.Module, lr: float = LR) -> torch.optim.Optimizer:
    return torch.optim.SGD(model.parameters(), lr=lr, momentum=0.9, weight_decay=0.1)


def by_groups(model: nn.Module) -> torch.optim.Optimizer:
    """The last layer learns ten times as fast, the first bias a tenth."""
    first, last = model[0], model[-1]  # type: ignore[index]
    groups = [
        {"params": [first.weight]},
        {"params": [first.bias], "lr": 0.1 * LR},
        {"params": list(last.parameters()), "lr": 10 * LR},
    ]
    return torch.optim.SGD(groups, lr=LR)


def after(model: nn.Module, optimizer: torch.optim.Optimizer, weights: Tensor) -> Tensor:
    """The meta loss after a real step of plain gradient descent on the weighted sum."""
    moved = copy.deepcopy(model)
    (weights * per_example(moved)).sum().backward()  # type: ignore[no-untyped-call]
    rates = {p: group["lr"] for group in optimizer.param_groups for p in group["params"]}
    with torch.no_grad():
        for p, q in zip(model.parameters(), moved.parameters(), strict=True):
            if p in rates:
                q -= rates[p] * q.grad
        return meta_loss(moved)


def differences(function: Callable[[Tensor], Tensor], at: Tensor, width: float = 1e-5) -> Tensor:
    """Central finite differences."""
    out = torch.zeros_like(at).flatten()
    for i in range(at.numel()):
        step = torch.zeros_like(at).flatten()
        step[i] = width
        out[i] = (function(at + step.view_as(at)) - function(at - step.view_as(at))) / (2 * width)
    return out.view_as(at)


class _ReverseTanh(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        return x.tanh()

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> Any:
        return gradients[0] * (1 - ctx.saved_tensors[0].tanh() ** 2)


class ReverseTanh(nn.Module):
    """Has derivatives backward alone."""

    def forward(self, x: Tensor) -> Any:
        return _ReverseTanh.apply(x)  # type: ignore[no-untyped-call]


class TestTheGradientOfTheWeights:
    @pytest.mark.parametrize("norm", [False, True])
    @pytest.mark.parametrize("optimizer", [sgd, by_groups])
    @pytest.mark.parametrize("weights", [torch.zeros(B).double(), torch.linspace(0.1, 2, B).double() / B])
    def test_is_that_of_finite_differences(self, optimizer: Any, weights: Tensor, norm: bool) -> None:
        model = deep(norm)
        chosen = optimizer(model)
        if norm and optimizer is by_groups:
            chosen.add_param_group({"params": list(model[1].parameters()), "lr": 2 * LR})  # type: ignore[index]
        ours = weight_gradient(weights, model, chosen, meta_loss)
        theirs = differences(lambda w: after(model, chosen, w), weights)
        torch.testing.assert_close(ours, theirs, rtol=1e-6, atol=1e-9)

    def test_of_one_layer_is_that_of_a_step_of_this_layer(self) -> None:
        model = deep()
        only = torch.optim.SGD(model[3].parameters(), lr=LR)  # type: ignore[index]
        weights = torch.linspace(0.1, 2, B).double()
        ours = weight_gradient(weights, model, sgd(model), meta_loss, layer="3")
        torch.testing.assert_close(ours, differences(lambda w: after(model, only, w), weights), rtol=1e-6, atol=1e-9)
        whole = weight_gradient(weights, model, sgd(model), meta_loss)
        assert not torch.allclose(ours, whole, rtol=1e-2)

    def test_of_the_last_layer_is_the_exact_one_where_all_below_is_fixed(self) -> None:
        model = nn.Sequential(nn.Linear(D, C).double())
        weights = torch.linspace(0.1, 2, B).double()
        exact, last = (weight_gradient(weights, model, sgd(model), meta_loss, layer=layer) for layer in (None, "0"))
        torch.testing.assert_close(exact, last, rtol=1e-13, atol=0)

    @pytest.mark.parametrize("norm", [False, True])
    def test_is_the_same_by_a_second_derivative(self, norm: bool) -> None:
        model, weights = deep(norm), torch.linspace(0.1, 2, B).double()
        ours = LookAhead(per_example, model, by_groups(model), meta_loss)
        torch.testing.assert_close(ours.gradient(weights), ours._by_second_derivative(weights), rtol=1e-12, atol=0)
        torch.testing.assert_close(ours.gradient(), ours._by_second_derivative(None), rtol=1e-12, atol=0)

    def test_is_the_same_for_a_model_without_forward_mode_derivative(self) -> None:
        model, weights = deep(), torch.linspace(0.1, 2, B).double()
        expected = weight_gradient(weights, model, sgd(model), meta_loss)
        model[2] = ReverseTanh()  # type: ignore[index]
        ahead = LookAhead(per_example, model, sgd(model), meta_loss)
        with pytest.raises(NotImplementedError):
            ahead._along_meta_gradient(weights)
        torch.testing.assert_close(ahead.gradient(weights), expected, rtol=1e-12, atol=0)

    def test_has_the_dropout_of_the_losses_and_leaves_the_random_numbers_of_one_pass(self) -> None:
        model = deep()
        model[2] = nn.Dropout(0.5)  # type: ignore[index]
        torch.manual_seed(5)
        model(TRAIN[0])
        state = torch.get_rng_state()
        torch.manual_seed(5)
        ahead = LookAhead(per_example, model, sgd(model), lambda ahead: (ahead(META[0]) ** 2).mean())
        assert torch.get_rng_state().equal(state)
        slope = ahead.gradient()
        torch.set_rng_state(state)
        torch.testing.assert_close(slope, ahead._by_second_derivative(None), rtol=1e-12, atol=1e-15)
        assert not slope.equal(torch.zeros_like(slope))

    @pytest.mark.parametrize("constant", [torch.no_grad, torch.inference_mode])
    def test_what_is_computed_without_a_gradient_is_a_constant(self, constant: Any) -> None:
        def focal(net: Callable[..., Tensor]) -> Tensor:
            logits = net(TRAIN[0])
            with constant():
                p = logits.softmax(1).max(1).values
                largest = (1 - p) ** 2
            return largest.clone() * F.cross_entropy(logits, TRAIN[1], reduction="none")

        model = deep(norm=True)
        ahead = LookAhead(focal, model, sgd(model), meta_loss)
        torch.testing.assert_close(ahead.gradient(), ahead._by_second_derivative(None), rtol=1e-12, atol=0)
        plain = LookAhead(lambda net: per_example(net) * ahead.losses.detach(), model, sgd(model), meta_loss)
        assert not torch.allclose(plain.gradient(), ahead.gradient())

    def test_changes_nothing(self) -> None:
        model = deep(norm=True)
        optimizer = sgd(model)
        ahead = LookAhead(per_example, model, optimizer, meta_loss)
        before = copy.deepcopy(model.state_dict())
        ahead.gradient(torch.ones(B).double())
        losses = ahead.losses
        assert all(value.equal(model.state_dict()[name]) for name, value in before.items())
        assert all(p.grad is None for p in model.parameters())
        assert optimizer.state_dict()["state"] == {}
        losses.sum().backward()  # type: ignore[no-untyped-call]

    def test_batch_norms_normalise_the_meta_batch_by_its_own_statistics(self) -> None:
        model = deep(norm=True)
        seen: list[Tensor] = []
        model[1].register_forward_hook(lambda module, inputs, output: seen.append(output))  # type: ignore[index]
        weight_gradient(torch.zeros(B).double(), model, sgd(model), meta_loss)
        assert [len(one) for one in seen] == [B, len(META[0]), B]  # the losses, the meta loss, the losses with tangents
        torch.testing.assert_close(seen[1].mean(0), torch.zeros(5).double())

    @pytest.mark.parametrize("layer", [None, "0"])
    def test_an_optimizer_of_another_model_is_refused(self, layer: str | None) -> None:
        model = deep()
        with pytest.raises(ValueError, match=r"optimizer must train parameters of .* trains none"):
            weight_gradient(torch.ones(B), model, sgd(linear()), meta_loss, layer=layer)

    def test_what_is_not_what_it_should_be_is_refused(self) -> None:
        model = deep()
        with pytest.raises(ValueError, match="layer must be a module of the model, got 'head'"):
            weight_gradient(torch.ones(B), model, sgd(model), meta_loss, layer="head")
        with pytest.raises(ValueError, match=r"meta_loss must return its mean, a scalar, got shape \(6,\)"):
            weight_gradient(None, model, sgd(model), lambda ahead: per_example(ahead, META))


class TestWeights:
    def found(self, weighting: MetaWeights, **more: Any) -> np.ndarray:
        model = linear()
        loss = weighting(per_example, model, sgd(model), meta_loss, **more)
        assert weighting.last is not None
        torch.testing.assert_close(loss, (weighting.last * per_example(model)).mean())
        return weighting.last.numpy()

    @property
    def weight(self) -> Any:
        return linear().weight.detach().numpy()  # type: ignore[union-attr, operator]

    def test_of_learning_to_reweight(self) -> None:
        expected = formulas.learning_to_reweight(self.weight, as_arrays(TRAIN), as_arrays(META), LR)
        np.testing.assert_allclose(self.found(LearningToReweight()), expected, rtol=1e-10)
        assert (expected == 0).any()
        assert expected.mean() == pytest.approx(1)

    def test_of_learning_to_reweight_by_finite_differences(self) -> None:
        model, weighting = deep(), LearningToReweight()
        weighting(per_example, model, sgd(model), meta_loss)
        v = -differences(lambda w: after(model, sgd(model), w), torch.zeros(B).double())
        assert weighting.last is not None
        torch.testing.assert_close(weighting.last, v.clamp(min=0) / v.clamp(min=0).mean(), rtol=1e-5, atol=1e-7)

    def test_where_no_example_agrees_with_the_meta_set_all_are_0(self) -> None:
        model, one = linear(), (TRAIN[0][:1], TRAIN[1][:1])
        weighting = LearningToReweight()
        loss = weighting(
            lambda ahead: per_example(ahead, one), model, sgd(model), lambda ahead: -per_example(ahead, one).mean()
        )
        assert weighting.last is not None
        assert weighting.last.tolist() == [0.0]
        assert loss == 0

    @pytest.mark.parametrize("step", [0.01, 3.0])
    def test_of_the_residual(self, step: float) -> None:
        c = torch.tensor([0.2, 0.8, 2.0], dtype=torch.float64)
        expected = formulas.residual(self.weight, as_arrays(TRAIN), as_arrays(META), LR, c.numpy(), step)
        np.testing.assert_allclose(self.found(MetaResidual(c, step=step), targets=TRAIN[1]), expected, rtol=1e-10)

    def test_the_residual_begins_at_its_start(self) -> None:
        c = torch.tensor([0.2, 0.8, 2.0], dtype=torch.float64)
        weighting = MetaResidual(c, start=0.8)
        assert (self.found(weighting, targets=TRAIN[1], progress=0.79) == 1).all()
        assert not (self.found(weighting, targets=TRAIN[1], progress=0.8) == 1).any()
        with pytest.raises(TypeError, match="needs progress, got None"):
            self.found(weighting, targets=TRAIN[1])
        with pytest.raises(TypeError, match="needs targets, got None"):
            self.found(weighting, progress=0.9)

    @pytest.mark.parametrize("normalized", [True, False])
    def test_of_meta_weight_net_and_its_step(self, normalized: bool) -> None:
        torch.manual_seed(1)
        weighting = MetaWeightNet(hidden=6, lr=0.02, weight_decay=0.03, normalized=normalized).double()
        w1, b1, w2, b2 = (p.detach().numpy().copy() for p in weighting.net.layers.parameters())
        net = formulas.Net(w1[:, 0], b1, w2[0], np.asarray(b2[0]))
        net, expected = formulas.meta_weight_net(
            self.weight, as_arrays(TRAIN), as_arrays(META), LR, net, 0.02, 0.03, normalized
        )
        np.testing.assert_allclose(self.found(weighting), expected, rtol=1e-9)
        for ours, theirs in zip(weighting.net.layers.parameters(), net, strict=True):
            np.testing.assert_allclose(ours.detach().numpy().squeeze(), theirs, rtol=1e-9)

    @pytest.mark.parametrize("normalized", [True, False])
    def test_the_gradient_of_meta_weight_net_by_finite_differences(
        self, normalized: bool, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        torch.manual_seed(1)
        model, weighting = deep(), MetaWeightNet(hidden=6, normalized=normalized).double()
        found: dict[str, Tensor] = {}

        def learn(net: WeightNet, weights: Tensor, gradient: Tensor) -> None:
            named = dict(net.layers.named_parameters())
            found.update(zip(named, torch.autograd.grad(weights, list(named.values()), gradient), strict=True))

        monkeypatch.setattr(WeightNet, "learn", learn)
        losses = per_example(model)
        weighting(per_example, model, sgd(model), meta_loss)
        for name, parameter in weighting.net.layers.named_parameters():

            def meta_after(value: Tensor, name: str = name) -> Tensor:
                v = functional_call(weighting.net.layers, {name: value}, losses.detach()[:, None])[:, 0]
                return after(model, sgd(model), (v / v.mean() if normalized else v) / B)

            theirs = differences(meta_after, parameter.detach())
            torch.testing.assert_close(found[name], theirs, rtol=1e-5, atol=1e-9)


def test_the_step_of_the_weight_net_is_that_of_adam() -> None:
    torch.manual_seed(0)
    ours = WeightNet(6, 0.01, 0.1)
    theirs = copy.deepcopy(ours.layers)
    adam = torch.optim.Adam(theirs.parameters(), lr=0.01, weight_decay=0.1)
    for step in range(20):
        losses, gradient = torch.rand(B) * 3, torch.randn(B) * 10.0**-step
        ours.learn(ours(losses), gradient)
        adam.zero_grad()
        theirs(losses[:, None])[:, 0].backward(gradient)
        adam.step()
    for p, q in zip(ours.layers.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(p, q, rtol=1e-4, atol=1e-6)


def test_a_gradient_that_is_not_finite_leaves_the_net_as_it_is() -> None:
    net = WeightNet(6, 0.01, 0.1)
    net.learn(net(torch.ones(B)), torch.ones(B))
    before = copy.deepcopy(net.state_dict())
    net.learn(net(torch.ones(B)), torch.full((B,), torch.nan))
    assert all(value.equal(net.state_dict()[name]) for name, value in before.items())


def test_the_curve_of_the_net_ends_at_the_largest_loss_since_the_last_one() -> None:
    net = WeightNet(6, 0.01, 0.0)
    net.note(torch.tensor([1.0, 4.0]))
    net.note(torch.tensor([2.0]))
    curve = net.curve()
    assert (curve["losses"][0], curve["losses"][-1]) == (0.0, 4.0)
    assert curve["weights"] == net(torch.tensor(curve["losses"])).tolist()
    assert net.curve()["losses"][-1] == 0.0


@pytest.mark.parametrize("knob", [{"hidden": 0}, {"lr": -1.0}, {"weight_decay": -0.1}])
def test_knobs_of_the_net_have_ranges(knob: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=f"{next(iter(knob))} must be"):
        MetaWeightNet(**knob)


def test_a_loss_that_is_not_finite_is_not_in_the_curve() -> None:
    net = WeightNet(6, 0.01, 0.0)
    net.note(torch.tensor([1.0, torch.inf, torch.nan]))
    assert net.curve()["losses"][-1] == 1.0


def trained(weighting: MetaWeights, steps: int, model: nn.Module, optimizer: torch.optim.Optimizer) -> list[Tensor]:
    seen = []
    for _ in range(steps):
        loss = weighting(per_example, model, optimizer, meta_loss, targets=TRAIN[1], progress=0.9)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        assert weighting.last is not None
        seen.append(weighting.last)
    return seen


def made(kind: str, **more: Any) -> MetaWeights:
    torch.manual_seed(3)
    if kind == "mwn":
        return MetaWeightNet(hidden=6, lr=0.1, **more)
    return LearningToReweight(**more) if kind == "l2rw" else MetaResidual(torch.arange(1.0, 4.0), start=0.8, **more)


@pytest.mark.parametrize("kind", ["l2rw", "mwn", "meta"])
class TestEach:
    def test_every_third_step_looks_ahead(self, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
        calls = []
        weighting, whole = made(kind, every=3), LookAhead.gradient
        monkeypatch.setattr(LookAhead, "gradient", lambda *args: (calls.append(len(seen)), whole(*args))[1])
        model = deep()
        optimizer, seen = sgd(model), []
        for _ in range(7):
            seen += trained(weighting, 1, model, optimizer)
        assert calls == [0, 3, 6]
        plain = weighting.plain(per_example(model).detach(), TRAIN[1], 0.9)
        assert torch.equal(seen[1], plain) == (kind != "mwn")

    @pytest.mark.parametrize("every", [1, 3])
    def test_goes_on_from_its_state(self, kind: str, every: int) -> None:
        model, weighting = deep(), made(kind, every=every)
        optimizer = sgd(model)
        trained(weighting, 5, model, optimizer)
        other, again = deep(), made(kind, every=every)
        other_optimizer = sgd(other)
        other.load_state_dict(model.state_dict())
        other_optimizer.load_state_dict(copy.deepcopy(optimizer.state_dict()))
        again.load_state_dict(copy.deepcopy(weighting.state_dict()))
        ours, theirs = trained(weighting, 4, model, optimizer), trained(again, 4, other, other_optimizer)
        assert all(torch.equal(one, two) for one, two in zip(ours, theirs, strict=True))

    @pytest.mark.parametrize("every", [0, -1, 1.5])
    def test_every_below_1_is_refused(self, kind: str, every: Any) -> None:
        with pytest.raises(ValueError, match="every must be an integer >= 1"):
            made(kind, every=every)

    def test_losses_that_are_reduced_are_refused(self, kind: str) -> None:
        model = linear()
        with pytest.raises(ValueError, match=r"losses must be one per example, \(B,\), got \(\)"):
            made(kind)(lambda ahead: per_example(ahead).mean(), model, sgd(model), meta_loss, progress=0.9)
