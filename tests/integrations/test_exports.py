"""Losses and adjusted networks as torch's other machinery sees them: export, torch.func, copies, devices."""

from __future__ import annotations

import copy
import pickle
from pathlib import Path

import pytest
import torch
from tiny import COUNTS, C, drw, network, rows
from torch import Tensor, nn

import longtail as lt

BATCH = {0: torch.export.Dim("batch", min=2, max=1024)}
LOSSES = {
    "ldam-drw": (drw, {"progress": 0.7}),
    "logit-adjusted": (lambda: lt.losses.LogitAdjustedLoss(COUNTS), {}),
    "smoothed": (lambda: lt.losses.CrossEntropyLoss(COUNTS, class_weight="inverse", label_smoothing=0.1), {}),
    "focal": (lambda: lt.losses.FocalLoss(gamma=2.0), {}),
    "class-balanced sigmoid": (lambda: lt.losses.ClassBalancedLoss(COUNTS, base="sigmoid"), {}),
}
every = pytest.mark.parametrize(("build", "call"), LOSSES.values(), ids=LOSSES.keys())


class Segmenter(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.body, self.head = nn.Conv2d(2, 5, 3, padding=1), nn.Conv2d(5, C, 1, bias=False)

    def forward(self, images: Tensor) -> Tensor:
        return self.head(self.body(images).relu())


def exported(model: nn.Module, x: Tensor, folder: Path) -> nn.Module:
    """Through a file, as a server would load it."""
    torch.export.save(torch.export.export(model, (x,), dynamic_shapes=(BATCH,)), folder / "model.pt2")
    return torch.export.load(folder / "model.pt2").module()


def by_hand(logits: Tensor, tau: float) -> Tensor:
    prior = torch.tensor([n / sum(COUNTS) for n in COUNTS])
    return logits - tau * prior.log().reshape(-1, *[1] * (logits.ndim - 2))


@pytest.mark.parametrize("tau", [0.5, 1.0])
def test_a_network_with_a_folded_bias_is_exported(tau: float, tmp_path: Path) -> None:
    x = rows()[0]
    plain = network(nn.Linear).eval()
    folded = lt.heads.fold_into_bias(copy.deepcopy(plain), COUNTS, tau)
    served = exported(folded, x[:16], tmp_path)
    for batch in (x[:16], x[:3]):
        torch.testing.assert_close(served(batch), by_hand(plain(batch), tau))
    assert set(served.state_dict()) == set(plain.state_dict())  # nothing is left of us: a plain Linear
    assert not torch.equal(served(x).argmax(1), plain(x).argmax(1))


def test_a_segmenter_with_a_folded_bias_is_exported(tmp_path: Path) -> None:
    torch.manual_seed(0)
    plain, images = Segmenter().eval(), torch.randn(4, 2, 6, 5)
    folded = lt.heads.fold_into_bias(copy.deepcopy(plain), COUNTS, name="head")
    torch.testing.assert_close(exported(folded, images, tmp_path)(images[:2]), by_hand(plain(images[:2]), 1.0))


@pytest.mark.parametrize("head", [nn.Linear, lt.heads.CosineClassifier])
def test_a_network_with_a_posthoc_rule_is_exported(head: type[nn.Module], tmp_path: Path) -> None:
    x, model = rows()[0], network(head).eval()
    served = exported(nn.Sequential(model, lt.posthoc.LogitAdjustment(COUNTS, tau=1.5)), x[:16], tmp_path)
    for batch in (x, x[:3]):
        torch.testing.assert_close(served(batch), by_hand(model(batch), 1.5))


@every
def test_per_example_gradients_are_those_of_one_example_at_a_time(build: object, call: dict[str, float]) -> None:
    model, loss, (x, y) = network(), build(), rows()
    parameters = {name: p.detach() for name, p in model.named_parameters()}

    def of_one(parameters: dict[str, Tensor], x: Tensor, y: Tensor) -> Tensor:
        logits = torch.func.functional_call(model, parameters, (x[None],))
        return loss(logits, y[None], normalize="batch", **call)

    ours = torch.func.vmap(torch.func.grad(of_one), in_dims=(None, 0, 0))(parameters, x, y)
    for i in (0, 17, 63):
        one = loss.per_example(model(x[i : i + 1]), y[i : i + 1], **call).sum()
        theirs = torch.autograd.grad(one, list(model.parameters()))
        for name, gradient in zip(parameters, theirs, strict=True):
            torch.testing.assert_close(ours[name][i], gradient)


@every
def test_per_example_losses_under_vmap_are_the_batchs(build: object, call: dict[str, float]) -> None:
    loss, z, y = build(), torch.randn(5, 7, C), torch.randint(0, C, (5, 7))
    together = torch.func.vmap(lambda logits, targets: loss.per_example(logits, targets, **call))(z, y)
    torch.testing.assert_close(
        together, torch.stack([loss.per_example(a, b, **call) for a, b in zip(z, y, strict=True)])
    )


class Task(nn.Module):
    """A network that holds its loss, as many codes do."""

    def __init__(self, loss: lt.losses.Loss, progress: dict[str, float]) -> None:
        super().__init__()
        self.network, self.loss, self.progress = network(), loss, progress

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        return self.loss(self.network(x), y, **self.progress)


@every
@pytest.mark.parametrize(
    "again", [copy.deepcopy, lambda task: pickle.loads(pickle.dumps(task))], ids=["copy", "pickle"]
)
def test_a_task_that_holds_its_loss_is_copied_with_it(again: object, build: object, call: dict[str, float]) -> None:
    task, (x, y) = Task(build(), call), rows()
    twin = again(task)
    assert torch.equal(twin(x, y), task(x, y))
    with torch.no_grad():
        next(twin.parameters()).add_(1.0)
    assert not torch.equal(twin(x, y), task(x, y))


@every
def test_a_loss_adds_no_parameter_and_only_counts_to_the_state(build: object, call: dict[str, float]) -> None:
    task = Task(build(), call)
    own = {name for name in task.state_dict() if name.startswith("loss.")}
    assert own <= {"loss.class_counts"}
    assert {name for name, _ in task.named_parameters()} == {f"network.{n}" for n, _ in task.network.named_parameters()}


@every
def test_a_task_moves_with_its_loss(build: object, call: dict[str, float]) -> None:
    (x, y), expected = rows(), Task(build(), call)(*rows())
    meta = Task(build(), call).to("meta")
    value = meta(x.to("meta"), y.to("meta"))
    assert (value.device.type, value.shape, value.dtype) == ("meta", (), torch.float32)
    assert {buffer.device.type for buffer in meta.loss.buffers()} <= {"meta"}
    if torch.cuda.is_available():
        moved = Task(build(), call).cuda()
        torch.testing.assert_close(moved(x.cuda(), y.cuda()).cpu(), expected)
    torch.testing.assert_close(Task(build(), call).double().float()(x, y), expected)


def test_a_meta_task_is_filled_from_a_state(tmp_path: Path) -> None:
    """How large models are loaded: built without memory, then given their tensors."""
    task, (x, y) = Task(drw(), {"progress": 0.7}), rows()
    torch.save(task.state_dict(), tmp_path / "task.pt")
    with torch.device("meta"):
        empty = Task(lt.losses.LDAMLoss([1] * C, scale=10.0, class_weight="effective"), {})
    filled = empty.to_empty(device="cpu")
    filled.load_state_dict(torch.load(tmp_path / "task.pt", weights_only=True))
    assert torch.equal(filled(x, y), task(x, y))
