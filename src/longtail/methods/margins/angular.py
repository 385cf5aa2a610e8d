"""Margins on the angle between an example and its class."""

from __future__ import annotations

from typing import Annotated

from torch import Tensor

from longtail import functional, losses
from longtail.catalogue.method import Method, one_stage
from longtail.catalogue.references import cited
from longtail.facts import schedules
from longtail.facts.knobs import NonNegative, Range
from longtail.facts.types import Outputs, Progress

ANNEALING = schedules.inverse(1000.0, 0.6, 45.0)
"""Their code's CIFAR-10 rule with m = 2, 1000 (1 + 2e-5 t)^-45 at iteration t of 30,000, over progress."""


def l_softmax(*, times: Annotated[int, Range(1, 4, integer=True)] = 2, annealing: NonNegative = ANNEALING) -> Method:
    """L-Softmax: the angle to the true class counts m times, so that it must be m times smaller.

    loss = -log softmax(z')_y, z'_j = z_j = w_j . h for j != y,
    z'_y = (lambda z_y + |w_y| |h| psi(theta_y)) / (1 + lambda);
    psi(theta) = (-1)^k cos(m theta) - 2 k for theta in [k pi / m, (k + 1) pi / m]; m is `times`, lambda is `annealing`.

    The head has no bias. Predict argmax z; times=1 is ce without a bias.

    Liu et al. 2016, eq. 4-6. For balanced classes; the margin papers of the long tail start from it.

    Works: Classes of like size whose training rows are fitted easily: the margin continues to pull them together.

    Breaks: It ignores class sizes. For m > 1 it is hard to start: lambda must be large at first, and where the loss
    does not fall its code advises to stop at 5 or 10 (`annealing=inverse(1000, 0.6, 45, 5)`). It is no proper loss.

    Paper and code: The annealing is in both, its constants in the code alone: MNIST m = 4, CIFAR-10 m = 2. Signs of psi
    are constants of the gradient and norms get 1e-9, as in the code. Their 30,000 iterations are the whole training
    here, whatever its length.
    """

    def criterion(outputs: Outputs, targets: Tensor, weight: Tensor | None, progress: Progress) -> Tensor:
        assert outputs.features is not None
        by = functional.angular_margins(outputs.logits, outputs.features, outputs.extra["head"].weight, targets, times)
        lowered = by / (1 + schedules.at(annealing, progress, "annealing"))
        each = functional.example_margin(outputs.logits, targets, lowered, 1.0)
        return each if weight is None else each * weight

    stages = one_stage(lambda counts: losses.CrossEntropyLoss(), head_args={"bias": False}, criterion=criterion)
    return Method(stages, cited("liu2016large"), taken=frozenset({"criterion"}))
