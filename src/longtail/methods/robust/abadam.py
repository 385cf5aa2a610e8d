"""ABAdam: ABSGD's weights with Adam's step."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Annotated, Any

import torch

from longtail import instance_weights
from longtail.catalogue.compose import PLAIN, BaseMethod, Gamma, Lambda, Start, corrected, with_weights
from longtail.catalogue.method import Method
from longtail.catalogue.references import cited
from longtail.engine import Recipe, Stage
from longtail.facts.knobs import PositiveFloat
from longtail.methods.robust.weights import TWO_STAGES, example
from longtail.optim import UncorrectedAdam

Base = Annotated[Method, BaseMethod(slots=("weights", "optimizer"))]


def abadam(
    *,
    base: Base = PLAIN,
    lam: Lambda = TWO_STAGES,
    gamma: Gamma = 0.5,
    init: Start = "first",
    lr: PositiveFloat = 1e-3,
    stock: bool = False,
) -> Method:
    """ABAdam: the weighted gradient of absgd in Adam, weight decay outside the preconditioner.

    loss = mean of p_i l_i, p as in absgd; m <- 0.9 m + 0.1 g, v <- 0.999 v + 0.001 g^2,
    w <- w - lr (m / (sqrt(v) + 1e-8) + weight_decay w).

    Qi et al. 2023, eq. 9. The learning rate is `lr` over the recipe's warm-up and decay.

    Works: Weights as in absgd, for a network that Adam trains better than plain gradient descent does.

    Breaks: Without bias correction the first step is 3.2 lr per parameter, so it wants the warm-up. Weights that are
    wrong in absgd are wrong here.

    Paper and code: The paper's step has no bias correction; `stock=True` is their released package: torch's Adam,
    bias-corrected and with weight decay in the gradient.
    """
    instance_weights.ABSGD(lam, gamma, init=init)  # knobs that do not go together are refused now
    weights = with_weights(lambda rows: instance_weights.ABSGD(lam, gamma, init=init))
    method = corrected(base, ("weights", "optimizer"), weights)

    def stages(recipe: Recipe) -> Sequence[Stage]:
        adam = _adam(lr, recipe.weight_decay, stock)
        return [
            stage if stage.preparatory else replace(stage, optimizer=adam, lr=_scaled(stage.lr, lr / recipe.lr))
            for stage in method.stages(recipe)
        ]

    return replace(method, stages=stages, reference=cited("qi2023attentional"), example=example)


def _scaled(rate: Callable[[float], Any], factor: float) -> Callable[[float], Any]:
    return lambda progress: factor * rate(progress)


def _adam(lr: float, decay: float, stock: bool) -> Callable[[Any], torch.optim.Optimizer]:
    kind = torch.optim.Adam if stock else UncorrectedAdam
    return lambda parameters: kind(parameters, lr=lr, weight_decay=decay)
