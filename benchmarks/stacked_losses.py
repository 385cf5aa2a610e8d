"""What a packed step would save with the trainings' heads, or heads and losses, in the stacked part.

    OMP_NUM_THREADS=1 python -m benchmarks.stacked_losses

Five trainings of 32 rows, 5 classes and 128 features: forward and backward of head and loss one by one, as a pack makes
them; heads stacked; and both stacked, the logits adjusted by a stack of the losses' offsets. Prints microseconds of one
training's share, medians of interleaved calls, and whether losses and gradients have the same bytes.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from longtail import losses
from longtail.engine.slices import SlicedLinear
from longtail.losses.adjusted import Adjusted

TRAININGS, ROWS, CLASSES, FEATURES = 5, 32, 5, 128
CALLS = 1500
Way = Callable[[], list[Tensor]]


def ways(make: Callable[[Tensor], Adjusted]) -> list[Way]:
    """The three ways; each returns the losses of all trainings and the gradients of features and heads."""
    x = torch.randn(TRAININGS, ROWS, FEATURES, requires_grad=True)
    targets = torch.randint(CLASSES, (TRAININGS, ROWS))
    each = [make(torch.tensor([40, 20, 10, 5, 3]) + i) for i in range(TRAININGS)]
    heads = [nn.Linear(FEATURES, CLASSES) for _ in range(TRAININGS)]
    weight = torch.stack([head.weight.detach() for head in heads]).requires_grad_()
    bias = torch.stack([head.bias.detach() for head in heads]).requires_grad_()
    parameters = [[head.weight for head in heads], [head.bias for head in heads]]

    def ended(found: list[Tensor], stacked: bool) -> list[Tensor]:
        torch.autograd.backward(found)
        gradients = [weight.grad, bias.grad] if stacked else [torch.stack([p.grad for p in ps]) for ps in parameters]
        result = [*found, x.grad, *gradients]
        for leaf in (x, weight, bias, *parameters[0], *parameters[1]):
            leaf.grad = None
        return result

    def of(logits: list[Tensor]) -> list[Tensor]:
        rows = zip(each, logits, targets.unbind(), strict=True)
        return [loss.with_losses(z, t, progress=0.0)[0] for loss, z, t in rows]

    def one_by_one() -> list[Tensor]:
        return ended(of([head(one) for head, one in zip(heads, x.unbind(), strict=True)]), stacked=False)

    def stacked_heads() -> list[Tensor]:
        return ended(of(list(SlicedLinear.apply(x, weight, bias).unbind())), stacked=True)

    def stacked_losses() -> list[Tensor]:
        z = SlicedLinear.apply(x, weight, bias)
        offsets = [adjustment.offset for loss in each if (adjustment := loss.adjustment(z, 0.0)) is not None]
        if offsets[0] is not None:
            z = z + torch.stack(offsets)[:, None]
        found = F.cross_entropy(z.flatten(0, 1), targets.flatten(), reduction="none").view(TRAININGS, ROWS)
        return ended(list((found.sum(1) / (targets != -100).sum(1)).unbind()), stacked=True)

    return [one_by_one, stacked_heads, stacked_losses]


def main() -> None:
    """Print a line for each loss."""
    torch.set_num_threads(1)
    for make in (lambda counts: losses.CrossEntropyLoss(), losses.LogitAdjustedLoss):
        torch.manual_seed(0)
        found = ways(make)
        expected, *others = [way() for way in found]
        equal = all(torch.equal(a, b) for other in others for a, b in zip(expected, other, strict=True))
        taken: list[list[float]] = [[] for _ in found]
        for _ in range(CALLS):
            for way, seconds in zip(found, taken, strict=True):
                start = time.perf_counter()
                way()
                seconds.append(time.perf_counter() - start)
        shares = [1e6 * statistics.median(seconds) / TRAININGS for seconds in taken]
        name = type(make(torch.ones(CLASSES))).__name__
        print(f"{name}: one by one {shares[0]:.0f} us, heads {shares[1]:.0f}, heads and losses {shares[2]:.0f};",
              "same bytes" if equal else "other bytes")  # fmt: skip


if __name__ == "__main__":
    main()
