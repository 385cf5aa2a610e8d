"""LW: binary losses of candidates and of other classes, each with weights of its own."""

from __future__ import annotations

from typing import Annotated

import torch
from torch import Tensor

from longtail.catalogue.method import Method, one_stage
from longtail.catalogue.references import cited
from longtail.catalogue.tasks import PARTIAL
from longtail.facts.knobs import Choice, NonNegativeFloat, UnitStart
from longtail.facts.types import Outputs, Progress
from longtail.functional import leverage_weights, leveraged_loss
from longtail.learners.supervised import Criterion
from longtail.losses import CrossEntropyLoss
from longtail.methods.partial.proden import PRODEN_SLOTS
from longtail.targets import Confidences

Form = Annotated[str, Choice(("sigmoid", "cross-entropy"))]


def lw(
    *, beta: NonNegativeFloat = 1.0, form: Form = "sigmoid", start: UnitStart = 0.0, second_pass: bool = True
) -> Method:
    """LW: the leveraged weighted loss: candidates are raised, other classes lowered, beta between the two.

    loss = sum_{k in S} w_k psi(z_k) + beta sum_{k not in S} w_k psi(-z_k), psi(z) = sigmoid(-z), mean over the batch;
    then w <- softmax(z') renormalised on S, and softmax(z') renormalised on the other classes.

    z: logits (N, C); z': those of the same batch after the update, in a second pass without a gradient, or z itself
    with second_pass=False; S: candidates (N, C) bool; w: weights (N, C), 1 / C at first and constant in the gradient.
    form="cross-entropy" has psi(z_k) = -log p_k and psi(-z_k) = -log(1 - p_k), p = softmax(z). beta = 0 ignores the
    classes outside of S. `start` is the share of the epochs before the first update.

    Wen et al. 2021.

    Works: The sigmoid form is bounded, so that one row cannot dominate a step. beta > 0 also learns from the classes
    that a row certainly is not.

    Breaks: Under a long tail the sigmoid form gives up rare classes: a row costs at most 1 + beta, however wrong, and
    the slope vanishes for large logits, so that few rows do not outweigh many. On digits at ambiguity 0.3 it is level
    with cc on balanced rows, and 33 points below at ratio 10, where the cross-entropy form is not below (20 epochs, 2
    seeds). No learning rate mends it. beta = 0 alone can be satisfied by raising all logits. Weights follow the
    network's own outputs. The scores of the sigmoid form do not estimate class probabilities.

    Paper and code: beta is 0, 1 or 2 there, and 0 by default in the code; 1 is our default, the smallest of these that
    uses the other classes. The code adds 1e-8 in logarithms and denominators; here both are exact. Its command line
    cannot choose the cross-entropy form that its text names. Theirs: SGD with momentum 0.9, batch 256, 250 epochs; its
    second pass moves the batch norms' statistics, ours does not.
    """

    def targets(rows: Tensor) -> Confidences:
        first = torch.where(rows, 1.0, -1.0) / rows.shape[1]
        return Confidences(rows, start, rule=leverage_weights, first=first, second_pass=second_pass)

    stages = one_stage(
        lambda counts: CrossEntropyLoss(), targets=lambda rows: targets(rows.targets), criterion=_leveraged(beta, form)
    )
    return Method(stages, cited("wen2021leveraged"), task=PARTIAL, slots=PRODEN_SLOTS)


def _leveraged(beta: float, form: str) -> Criterion:
    """Return the criterion: losses (B,) of weights (B, C), negative for classes outside of the set."""

    def criterion(outputs: Outputs, targets: Tensor, weight: Tensor | None, progress: Progress) -> Tensor:
        losses = leveraged_loss(outputs.logits, targets, beta, form=form)
        return losses if weight is None else losses * weight.to(losses.dtype)

    return criterion
