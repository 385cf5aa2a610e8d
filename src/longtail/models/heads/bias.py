"""The bias of a head: where a post-hoc correction can be folded into, or training started from."""

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
"""Layers that add one bias per class: what a correction of the logits can be folded into."""

FOLDED = "longtail_folded_tau"
"""The attribute by which a folded head is known; a plain number, outside the state_dict."""


def fold_into_bias(model: M, counts: Any, tau: float = 1.0, *, name: str | None = None, again: bool = False) -> M:
    """Post-hoc logit adjustment as a bias: the network then predicts what `posthoc.adjust_logits` would.

    b_j <- b_j - tau log pi_j, pi_j = n_j / N

    In place, on a linear layer or a convolution (1 x 1 as a rule); a head without a bias gets one. What comes
    out is an ordinary layer: it is saved, exported and served without this package. Fold in float32 and
    convert afterwards: a bfloat16 bias rounds log pi to two or three digits.

    A head remembers that it was folded, in copies and pickles too, and refuses a second time. A state_dict
    does not carry that memory: a folded checkpoint, loaded elsewhere, has to be known as one.

    Args:
        model: the head itself or a network that holds it; changed and returned.
        counts: class counts (C,), all > 0.
        tau: >= 0; 0 changes nothing.
        name: dotted name of the head; without it, the last linear or convolutional layer.
        again: fold although the head was folded before: a further shift, or other weights loaded since.

    Raises:
        ValueError: no bias per class (a cosine head), another number of classes, scales behind the head,
            folded before.

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
    before = getattr(head, FOLDED, None)
    if before is not None and not again:
        raise ValueError(
            f"model must not be adjusted twice, got a head {name!r} that was folded with tau={before:g}; "
            "keep it as it is, or pass again=True where the weights are new or a further shift is meant"
        )
    with torch.no_grad():
        bias = head.bias if head.bias is not None else head.weight.new_zeros(classes)
        _set_bias(head, (bias.double().cpu() - tau * log_prior.cpu()).to(bias))
    if tau > 0:
        setattr(head, FOLDED, float(tau))
    return model


def prior_bias(model: M, num_classes: int | None = None, *, name: str | None = None) -> M:
    """Start a sigmoid classifier at probability 1 / C for every class, in place.

    b_j = -log(C - 1)

    so that the C - 1 negative terms of each example do not swamp the first steps.

    Args:
        model: the head itself or a network that holds it; changed and returned.
        num_classes: C, where it is to be checked; the head's own by default.
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
    vars(head).pop(FOLDED, None)  # that bias is gone
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
            f"model must end in the head to be folded, got a LearnableScale behind {name!r} that would multiply the "
            "correction; apply longtail.posthoc.LogitAdjustment to the scores"
        )


def _set_bias(head: Any, bias: Tensor) -> None:
    if head.bias is None:
        head.bias = nn.Parameter(bias, requires_grad=head.weight.requires_grad)
    else:
        head.bias.copy_(bias)
