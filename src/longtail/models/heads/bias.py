"""The bias of a head: it can take up a post-hoc correction, or start training at a prior."""

from __future__ import annotations

import math
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from longtail.facts.arrays import COUNT
from longtail.facts.counts import log_priors
from longtail.facts.knobs import Range
from longtail.models.heads.exchange import HEADS, find_head
from longtail.models.heads.scale import LearnableScale

M = TypeVar("M", bound=nn.Module)

BIASED = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)
"""Layers that add one bias per class, which can take up a correction of the logits."""

ADJUSTED = "longtail_folded_tau"
"""The attribute of an adjusted head, its tau; a plain number, outside the state_dict."""


def fold_into_bias(model: M, counts: Any, tau: float = 1.0, *, name: str | None = None, again: bool = False) -> M:
    """Post-hoc logit adjustment as a bias: the network then predicts what `posthoc.adjust_logits` would.

    b_j <- b_j - tau log pi_j, pi_j = n_j / N

    In place, on a linear layer or a convolution (usually 1 x 1); a head without a bias gets one. The result is an
    ordinary layer: it is saved, exported and served without this package. Adjust in float32 and convert
    afterwards: a bfloat16 bias rounds log pi to two or three digits.

    An adjusted head is marked, in copies and pickles too, and is refused a second time. A state_dict does not
    carry the mark: whoever loads an adjusted checkpoint elsewhere has to know that it is one.

    Args:
        model: the head itself or a network that contains it; changed and returned.
        counts: class counts (C,), all > 0.
        tau: >= 0; 0 changes nothing.
        name: dotted name of the head; without it, the last linear or convolutional layer.
        again: adjust although the head was adjusted before: a further shift, or other weights loaded since.

    Raises:
        ValueError: no bias per class (a cosine head), another number of classes, scales behind the head,
            adjusted before.

    Reference: Menon et al. 2021, "Long-tail learning via logit adjustment", eq. 9.
    """
    Range(0, open_high=True).check("tau", tau)
    head, name = _biased(model, name, "fold_into_bias")
    log_prior = log_priors(counts)
    classes = len(head.weight)
    if len(log_prior) != classes:
        raise ValueError(
            f"counts must have one entry per class of the head {name!r}, {classes}, got {len(log_prior)}; "
            f"{COUNT}, or name another layer"
        )
    _refuse_scales_behind(model, head, name)
    before = getattr(head, ADJUSTED, None)
    if before is not None and not again:
        raise ValueError(
            f"model must not be adjusted twice, got a head {name!r} that was adjusted with tau={before:g}; "
            "keep it as it is, or pass again=True where the weights are new or a further shift is meant"
        )
    with torch.no_grad():
        bias = head.bias if head.bias is not None else head.weight.new_zeros(classes)
        _set_bias(head, (bias.double().cpu() - tau * log_prior.cpu()).to(bias))
    if tau > 0:
        setattr(head, ADJUSTED, float(tau))
    return model


def prior_bias(model: M, num_classes: int | None = None, *, name: str | None = None) -> M:
    """Start a sigmoid classifier at probability 1 / C for every class, in place.

    b_j = -log(C - 1)

    so that the C - 1 negative terms of each example do not dominate the first steps.

    Args:
        model: the head itself or a network that holds it; changed and returned.
        num_classes: C, to check it; the head's own by default.
        name: dotted name of the head; without it, the last linear or convolutional layer.

    Reference: Cui et al. 2019, "Class-Balanced Loss Based on Effective Number of Samples", and its code.
    """
    head, name = _biased(model, name, "prior_bias")
    classes = len(head.weight)
    if classes < 2 or num_classes not in (None, classes):
        raise ValueError(
            f"num_classes must be that of the head, {classes}, and >= 2, got {num_classes!r}; leave it out"
        )
    with torch.no_grad():
        _set_bias(head, head.weight.new_full((classes,), -math.log(classes - 1)))
    vars(head).pop(ADJUSTED, None)  # that bias is replaced
    return model


def _biased(model: nn.Module, name: str | None, who: str) -> tuple[Any, str]:
    if name is None:
        layers = [(n, m) for n, m in model.named_modules() if isinstance(m, (*HEADS, *BIASED))]
        name, head = layers[-1] if layers else find_head(model)
    else:
        name, head = find_head(model, name)
    if not isinstance(head, BIASED):
        raise ValueError(
            f"{who} needs a head with a bias per class, got {type(head).__name__} at {name!r}; apply "
            "longtail.posthoc.LogitAdjustment to loss.scores(logits), or name another layer"
        )
    if isinstance(head.weight, nn.parameter.UninitializedParameter):
        raise ValueError(f"{who} needs a head with weights, got a lazy one at {name!r}; run one batch through it first")
    return head, name


def _refuse_scales_behind(model: nn.Module, head: nn.Module, name: str) -> None:
    modules = list(model.modules())
    if any(isinstance(module, LearnableScale) for module in modules[modules.index(head) :]):
        raise ValueError(
            f"model must end in the head to be adjusted, got a LearnableScale behind {name!r} that would multiply the "
            "correction; apply longtail.posthoc.LogitAdjustment to the scores"
        )


def _set_bias(head: Any, bias: Tensor) -> None:
    if head.bias is None:
        head.bias = nn.Parameter(bias, requires_grad=head.weight.requires_grad)
    else:
        head.bias.copy_(bias)
