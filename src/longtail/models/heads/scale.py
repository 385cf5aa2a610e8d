"""Learnt scales of the logits: all that learnable weight scaling trains."""

from __future__ import annotations

from typing import TypeVar, final

import torch
from torch import Tensor, nn

from longtail.facts.knobs import Range
from longtail.models.heads.exchange import find_head, replace_module

M = TypeVar("M", bound=nn.Module)


@final
class LearnableScale(nn.Module):
    """Logits times a learnt scale: one for all classes, or one per class.

    z'_j = s_j z_j, s initialised at `initial`

    After a frozen linear head, one scale per class is learnable weight scaling (LWS, see `rescale_head`): it
    multiplies the complete logits, bias included, and starts at 1.

    Args:
        num_classes: C for a scale per class; None for a single one.
        initial: starting value, > 0.

    Shapes: logits (N, C, d1..dk), unchanged.

    Reference: Kang et al. 2020, "Decoupling Representation and Classifier", section 4, and its code.
    """

    def __init__(self, num_classes: int | None = None, *, initial: float = 1.0) -> None:
        super().__init__()
        Range(0, open_low=True, open_high=True).check("initial", initial)
        if num_classes is not None and num_classes < 1:
            raise ValueError(f"num_classes must be >= 1 or None, got {num_classes!r}; None is one scale for all")
        self.scale = nn.Parameter(torch.full((num_classes or 1,), float(initial)))

    def forward(self, logits: Tensor) -> Tensor:
        """Return scaled logits of the same shape."""
        return logits * self.scale.reshape(-1, *[1] * (logits.ndim - 2))

    def extra_repr(self) -> str:
        """Return the arguments for `repr`."""
        return f"num_classes={None if len(self.scale) == 1 else len(self.scale)}"


def rescaled(in_features: int, out_features: int, *, bias: bool = True) -> nn.Sequential:
    """Return a linear head with one learnable scale per class behind it, which `rescale_head` makes of a trained one.

    Args:
        in_features, out_features: D and C.
        bias: of the linear layer.
    """
    return nn.Sequential(nn.Linear(in_features, out_features, bias=bias), LearnableScale(out_features))


def rescale_head(model: M, name: str | None = None) -> M:
    """Learnable weight scaling (LWS): freeze the head and put one learnable scale per class behind it, in place.

    z'_j = s_j (<w_j, h> + b_j), w and b frozen, s_j = 1 at the start

    So at first the network's predictions do not change. Freezing its body, and which batches the scales are trained on
    (class-balanced ones in the paper), is the caller's.

    Args:
        model: any network that contains its head; changed and returned.
        name: dotted name of the head (see `find_head`); a 1 x 1 convolution must be named.

    Reference: Kang et al. 2020, "Decoupling Representation and Classifier", eq. 5, and its code (the scales
    start at 1 and the length of w_j is not divided out).
    """
    name, head = find_head(model, name)
    weight = getattr(head, "weight", None)
    if not isinstance(weight, Tensor) or weight.ndim < 2:
        raise ValueError(
            f"rescale_head needs a head with one weight row per class, got {type(head).__name__} at {name!r}; "
            "name the linear layer"
        )
    scale = LearnableScale(len(weight)).to(weight.device, weight.dtype)
    replace_module(model, head, nn.Sequential(head, scale).train(head.training))
    head.requires_grad_(False)
    return model
