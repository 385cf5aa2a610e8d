"""A loss in a plain PyTorch loop: deferred weights, accumulation, mixed precision, resume."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from tiny import BATCH, CLOSE, COUNTS, EPOCHS, RATE, differ, drw, network, rows, same, trained_by_hand
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import longtail as lt

DEVICES = ["cpu", "cuda"] if torch.cuda.is_available() else ["cpu"]


def trained(loss: lt.losses.Loss, micro: int = BATCH, **call: object) -> nn.Module:
    """SGD with one step per BATCH rows, which come in micro-batches."""
    model, (inputs, targets) = network(), rows()
    optimizer = torch.optim.SGD(model.parameters(), lr=RATE)
    for epoch in range(EPOCHS):
        for x, y in zip(inputs.split(BATCH), targets.split(BATCH), strict=True):
            optimizer.zero_grad()
            for part, labels in zip(x.split(micro), y.split(micro), strict=True):
                loss(model(part), labels, progress=epoch / EPOCHS, **call).backward()
            optimizer.step()
    return model


def test_ldam_drw_trains_to_the_weights_of_a_loop_by_hand() -> None:
    model = trained(drw())
    same(model, trained_by_hand())
    assert differ(model, trained_by_hand("batch"))  # or the comparison above would see nothing


def test_progress_cannot_be_forgotten() -> None:
    model, (x, y) = network(), rows()
    with pytest.raises(TypeError, match=r"^reweight is the schedule switch\(0.5, 0.0, 1.0\) and needs progress"):
        drw()(model(x), y)


@pytest.mark.parametrize("micro", [1, 3, 8])
def test_accumulated_gradients_are_the_big_batchs_when_divided_by_a_number(micro: int) -> None:
    """Uneven micro-batches (16 = 5 x 3 + 1) included."""
    same(trained(drw(), micro, normalize=BATCH), trained_by_hand("batch"))


def test_accumulated_gradients_are_the_big_batchs_when_divided_by_its_weights() -> None:
    x, y = rows()
    loss = drw(reweight=1.0)
    gradients = []
    for micro in (len(y), 7):
        model = network()
        total = loss.class_weight[y].sum()
        for part, labels in zip(x.split(micro), y.split(micro), strict=True):
            loss(model(part), labels, normalize=None if micro == len(y) else total).backward()
        gradients.append([p.grad for p in model.parameters()])
    torch.testing.assert_close(*gradients, **CLOSE)


def test_means_of_micro_batches_are_not_the_mean_of_the_batch() -> None:
    """Each divides by its own weights: what the guide warns of is real."""
    model, (x, y), loss = network(), rows(), drw(reweight=1.0)
    parts = [loss(model(a), b) for a, b in zip(x.split(8), y.split(8), strict=True)]
    assert abs(torch.stack(parts).mean() / loss(model(x), y) - 1) > 0.05


def test_weights_of_mean_one_leave_the_scale_alone_when_divided_by_a_number() -> None:
    counts = torch.tensor(COUNTS, dtype=torch.float64)
    weight = lt.class_weights.effective_number(counts, 0.9999)
    weight = weight * counts.sum() / (counts * weight).sum()
    model, (x, y) = network(), rows()
    given, named = drw(class_weight=weight, reweight=1.0), drw(reweight=1.0)
    torch.testing.assert_close(given(model(x), y, normalize=len(y)), given(model(x), y), **CLOSE)
    torch.testing.assert_close(given(model(x), y), named(model(x), y), **CLOSE)
    assert named(model(x), y, normalize=len(y)) < 0.6 * named(model(x), y)  # "effective" sums to C instead


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_under_autocast_the_loss_is_float32_and_that_of_the_narrow_logits(dtype: torch.dtype, device: str) -> None:
    model, (x, y) = network(nn.Linear).to(device), (t.to(device) for t in rows())
    loss = drw().to(device)
    with torch.autocast(device, dtype=dtype):
        logits = model(x)
        value = loss(logits, y, progress=0.5)
    assert (logits.dtype, value.dtype) == (dtype, torch.float32)
    assert torch.equal(value, loss(logits.float(), y, progress=0.5))
    value.backward()
    reference = torch.autograd.grad(loss(model(x), y, progress=0.5), list(model.parameters()))
    for p, exact in zip(model.parameters(), reference, strict=True):
        assert p.grad.dtype == torch.float32
        assert (p.grad - exact).norm() < 0.03 * exact.norm()


@pytest.mark.parametrize("device", DEVICES)
def test_a_grad_scaler_changes_no_gradient_and_skips_an_overflow(device: str) -> None:
    x, y = (t.to(device) for t in rows())
    loss, gradients = drw().to(device), []
    for enabled in (False, True):
        model = network(nn.Linear).to(device)
        optimizer = torch.optim.SGD(model.parameters(), lr=RATE)
        scaler = torch.amp.GradScaler(device, init_scale=2.0**8, enabled=enabled)
        with torch.autocast(device, dtype=torch.float16):
            value = loss(model(x), y, progress=0.5)
        scaler.scale(value).backward()
        scaler.unscale_(optimizer)
        gradients.append([p.grad.clone() for p in model.parameters()])
    torch.testing.assert_close(*gradients, rtol=2e-3, atol=1e-5)
    model.zero_grad()
    before = [p.detach().clone() for p in model.parameters()]
    with torch.autocast(device, dtype=torch.float16):
        value = loss(model(x), y, progress=0.5)
    scaler = torch.amp.GradScaler(device, init_scale=2.0**30)  # more than float16 holds
    scaler.scale(value).backward()
    scaler.step(optimizer)
    scaler.update()
    assert scaler.get_scale() == 2.0**29
    assert all(torch.equal(p, b) for p, b in zip(model.parameters(), before, strict=True))


def resumable(counts: tuple[int, ...]) -> dict[str, object]:
    """Everything that a checkpoint holds; the loss and the sampler know their state themselves."""
    model = network()
    return {
        "model": model,
        "loss": lt.losses.LDAMLoss(
            counts, scale=10.0, class_weight="effective", reweight=lt.schedules.switch(0.5, 0.0, 1.0)
        ),
        "optimizer": torch.optim.SGD(model.parameters(), lr=RATE, momentum=0.9),
        "sampler": lt.sampling.ClassBalancedSampler(rows()[1], seed=3),
    }


def continued(parts: dict[str, object], epoch: int, steps: int, checkpoint: Path | None = None) -> nn.Module:
    """Train from (epoch, some steps into it) to the end; a checkpoint leaves in the third step of epoch 2."""
    model, loss, optimizer, sampler = parts.values()
    loader = DataLoader(TensorDataset(*rows()), batch_size=BATCH, sampler=sampler)
    for e in range(epoch, EPOCHS):
        sampler.set_epoch(e)
        for step, (x, y) in enumerate(loader, steps if e == epoch else 0):
            optimizer.zero_grad()
            loss(model(x), y, progress=e / EPOCHS).backward()
            optimizer.step()
            if checkpoint and (e, step) == (2, 1):
                state = {name: part.state_dict() for name, part in parts.items()}
                torch.save({**state, "epoch": e, "steps": step + 1}, checkpoint)
                return model
    return model


def test_a_resumed_training_is_the_uninterrupted_one(tmp_path: Path) -> None:
    """Bit for bit, in mid-epoch, although the loss that loads the state was built for other counts."""
    whole = continued(resumable(COUNTS), 0, 0)
    continued(resumable(COUNTS), 0, 0, tmp_path / "checkpoint.pt")
    state = torch.load(tmp_path / "checkpoint.pt", weights_only=True)
    parts = resumable((1, 2, 3))
    for name, part in parts.items():
        part.load_state_dict(state[name])
    assert (state["epoch"], state["steps"]) == (2, 2)
    resumed = continued(parts, state["epoch"], state["steps"])
    for ours, theirs in zip(resumed.parameters(), whole.parameters(), strict=True):
        assert torch.equal(ours, theirs)
