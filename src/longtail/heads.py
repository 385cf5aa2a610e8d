"""Heads: the last layer of a network, exchanged, rescaled, or given the bias that a correction amounts to."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, TypeVar, final

import torch
from torch import Tensor, nn

from longtail.cosine import CosineClassifier
from longtail.counts import log_priors
from longtail.knobs import Range

__all__ = [
    "CosineClassifier",
    "LearnableScale",
    "find_head",
    "fold_into_bias",
    "prior_bias",
    "swap_head",
]

M = TypeVar("M", bound=nn.Module)
Head = nn.Module | Callable[[int, int], nn.Module]
"""A module, or what makes one from (in_features, out_features): `nn.Linear`, `CosineClassifier`, a lambda."""

BIASED = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)
"""Layers that add one bias per class: what a correction of the logits can be folded into."""


@final
class LearnableScale(nn.Module):
    """Logits times a learnt scale: one for all classes, or one per class.

    z'_j = s_j z_j, s initialised at `initial`

    After a frozen linear head, one scale per class is learnable weight scaling (LWS): it multiplies the
    complete logits, bias included, and starts at 1.

    Args:
        num_classes: C for a scale per class; None for a single one.
        initial: starting value, > 0.

    Shapes: logits (N, C, d1..dk), kept.

    Reference: Kang et al. 2020, "Decoupling Representation and Classifier", section 4, and its code.
    """

    def __init__(self, num_classes: int | None = None, *, initial: float = 1.0) -> None:
        super().__init__()
        Range(0, open_low=True, open_high=True).check("initial", initial)
        if num_classes is not None and num_classes < 1:
            raise ValueError(f"num_classes must be >= 1 or None, got {num_classes!r}; None is one scale for all")
        self.scale = nn.Parameter(torch.full((num_classes or 1,), float(initial)))

    def forward(self, logits: Tensor) -> Tensor:
        """Scaled logits, shaped as they came."""
        return logits * self.scale.reshape(-1, *[1] * (logits.ndim - 2))

    def extra_repr(self) -> str:
        """What the module's repr says."""
        return f"num_classes={None if len(self.scale) == 1 else len(self.scale)}"


def find_head(model: nn.Module, name: str | None = None) -> tuple[str, nn.Module]:
    """The classifier of a network and its dotted name.

    Without a name it is the last `nn.Linear` or `CosineClassifier` in the order of registration, which is the
    order in which an ordinary network computes.

    Raises:
        ValueError: there is none, or none of that name.
    """
    if name is None:
        heads = [(n, m) for n, m in model.named_modules() if isinstance(m, nn.Linear | CosineClassifier)]
        if not heads:
            raise ValueError(
                f"model must hold an nn.Linear to be found as its head, got none in {type(model).__name__}; pass name="
            )
        return heads[-1]
    found = dict(model.named_modules()).get(name)
    if found is None:
        names = ", ".join([n for n, _ in model.named_modules() if n][-8:])
        raise ValueError(f"name must be a module of the model, got {name!r}; the last ones are {names}")
    return name, found


def swap_head(model: M, head: Head, name: str | None = None) -> M:
    """Put another head into a network, in place.

    Args:
        model: any network; it is changed and returned, the same object.
        head: a class or factory, called as head(in_features, out_features) of the old head; or a module. It
            is moved to the old head's device and dtype. Optimisers made before know nothing of it.
        name: dotted name of the head, where it is not the last `nn.Linear` (see `find_head`).

    Raises:
        ValueError: no head is found, the model is itself the head, or a module's sizes differ from the old
            head's.
    """
    name, old = find_head(model, name)
    if not name:
        raise ValueError(f"model must contain its head, got a bare {type(model).__name__}; make the new head yourself")
    sizes, weight = _sizes(old, name), next(old.parameters())
    if isinstance(head, nn.Module):
        for which, size in zip(("in_features", "out_features"), sizes, strict=True):
            if getattr(head, which, size) != size:
                raise ValueError(
                    f"head must have {which}={size} as the old one, got {getattr(head, which)}; "
                    "pass a class or a factory"
                )
        new = head
    else:
        new = head(*sizes)
    new = new.to(weight.device, weight.dtype).train(old.training)
    for other, module in list(model.named_modules(remove_duplicate=False)):
        if module is old:  # under every name it is registered by
            parent, _, last = other.rpartition(".")
            setattr(model.get_submodule(parent), last, new)
    return model


def fold_into_bias(model: M, counts: Any, tau: float = 1.0, *, name: str | None = None) -> M:
    """Post-hoc logit adjustment as a bias: the network then predicts what `posthoc.adjust_logits` would.

    b_j <- b_j - tau log pi_j, pi_j = n_j / N

    A head without a bias gets one. Works on a linear layer and on a (1 x 1) convolution; in place.

    Args:
        model: the head itself or a network that holds it; changed and returned.
        counts: class counts (C,), all > 0.
        tau: >= 0; 0 changes nothing.
        name: see `find_head`.

    Reference: Menon et al. 2021, "Long-tail learning via logit adjustment", eq. 9.
    """
    Range(0, open_high=True).check("tau", tau)
    head, name = _biased(model, name, "fold_into_bias")
    log_prior = log_priors(counts)
    classes = len(head.weight)
    if len(log_prior) != classes:
        raise ValueError(f"counts must have one entry per class, {classes}, got {len(log_prior)}; count anew")
    with torch.no_grad():
        bias = head.bias if head.bias is not None else head.weight.new_zeros(classes)
        folded = (bias.double().cpu() - tau * log_prior.cpu()).to(bias)
        _set_bias(head, folded)
    return model


def prior_bias(model: M, num_classes: int | None = None, *, name: str | None = None) -> M:
    """Start a sigmoid classifier at probability 1 / C for every class, in place.

    b_j = -log(C - 1)

    so that the C - 1 negative terms of each example do not swamp the first steps.

    Args:
        model: the head itself or a network that holds it; changed and returned.
        num_classes: C, where it is to be checked; the head's own by default.
        name: see `find_head`.

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
    return model


def _biased(model: nn.Module, name: str | None, who: str) -> tuple[Any, str]:
    if name is None and isinstance(model, BIASED):
        return model, ""
    name, head = find_head(model, name)
    if not isinstance(head, BIASED):
        raise ValueError(
            f"{who} needs a head with a bias per class, got {type(head).__name__} at {name!r}; "
            "use longtail.posthoc.LogitAdjustment, or name another layer"
        )
    return head, name


def _set_bias(head: Any, bias: Tensor) -> None:
    if head.bias is None:
        head.bias = nn.Parameter(bias)
    else:
        head.bias.copy_(bias)


def _sizes(head: nn.Module, name: str) -> tuple[int, int]:
    sizes = getattr(head, "in_features", None), getattr(head, "out_features", None)
    if not all(isinstance(size, int) and size >= 1 for size in sizes):
        raise ValueError(
            f"name must be a layer with in_features and out_features >= 1, got {type(head).__name__} at "
            f"{name!r}; name the linear layer, and run one batch through a lazy model first"
        )
    return sizes  # type: ignore[return-value]
