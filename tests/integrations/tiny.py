"""A tiny long-tailed training and what plain torch makes of it: the same numbers must come out everywhere."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

import longtail as lt

COUNTS = (48, 12, 4)
C, D, EPOCHS, BATCH, RATE, SCALE = 3, 6, 4, 16, 0.1, 10.0
CLOSE = {"rtol": 1e-4, "atol": 1e-5}


def rows() -> tuple[Tensor, Tensor]:
    """64 rows in four whole batches: inputs (64, D), targets (64,)."""
    generator = torch.Generator().manual_seed(0)
    targets = torch.arange(C).repeat_interleave(torch.tensor(COUNTS))
    inputs = torch.randn(len(targets), D, generator=generator) + 1.5 * F.one_hot(targets, D)
    order = torch.randperm(len(targets), generator=generator)
    return inputs[order], targets[order]


def network(head: Callable[[int, int], nn.Module] = lt.heads.CosineClassifier) -> nn.Sequential:
    """The same weights at every call."""
    torch.manual_seed(1)
    return nn.Sequential(nn.Linear(D, 8), nn.Tanh(), head(8, C))


def drw(**knobs: object) -> lt.losses.LDAMLoss:
    """LDAM with deferred re-weighting from half of the training on."""
    knobs = {"class_weight": "effective", "reweight": lt.schedules.switch(0.5, 0.0, 1.0), **knobs}
    return lt.losses.LDAMLoss(COUNTS, scale=SCALE, **knobs)


def drw_by_hand(logits: Tensor, targets: Tensor, progress: float, normalize: str) -> Tensor:
    """The same loss from the paper's equation, out of torch's own cross-entropy."""
    margin = torch.tensor([n**-0.25 for n in COUNTS])
    margin = 0.5 * margin / margin.max()
    lowered = SCALE * (logits - margin * F.one_hot(targets, C))
    weight = torch.tensor([(1 - 0.9999) / (1 - 0.9999**n) for n in COUNTS])
    weight = C * weight / weight.sum() if progress >= 0.5 else torch.ones(C)
    if normalize == "weights":
        return F.cross_entropy(lowered, targets, weight)
    return F.cross_entropy(lowered, targets, weight, reduction="sum") / len(targets)


def trained_by_hand(
    normalize: str = "weights", epochs: int = EPOCHS, order: Callable[[int], Iterable[int]] | None = None
) -> dict[str, Tensor]:
    """Weights after plain SGD on that loss, in the order of the rows or in one given per epoch."""
    model, (inputs, targets) = network(), rows()
    optimizer = torch.optim.SGD(model.parameters(), lr=RATE)
    for epoch in range(epochs):
        visited = torch.tensor(list(order(epoch))) if order else torch.arange(len(targets))
        for batch in visited.split(BATCH):
            optimizer.zero_grad()
            drw_by_hand(model(inputs[batch]), targets[batch], epoch / epochs, normalize).backward()
            optimizer.step()
    return {name: value.detach() for name, value in model.state_dict().items()}


def same(model: nn.Module, expected: dict[str, Tensor]) -> None:
    torch.testing.assert_close(dict(model.state_dict()), expected, **CLOSE)


def differ(model: nn.Module, expected: dict[str, Tensor]) -> bool:
    """Whether the weights are visibly others."""
    return any((value - expected[name]).abs().max() > 1e-3 for name, value in model.state_dict().items())
