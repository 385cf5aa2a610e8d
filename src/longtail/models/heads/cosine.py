"""The cosine classifier."""

from __future__ import annotations

from typing import final

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from longtail.facts import checks

EPS = 1e-12


@final
class CosineClassifier(nn.Module):
    """Cosines between features and one direction per class.

    z_j = <h / ||h||, w_j / ||w_j||>

    in [-1, 1] up to rounding; no bias, and no scale: the scale lives in the loss (`LDAMLoss(scale=30)`). A
    zero vector has cosine 0 and gradient 0.

    Shapes: features (..., D) -> cosines (..., C); `weight` (C, D), laid out as `nn.Linear`'s.

    Initialisation: uniform in (-1, 1), then every class's row rescaled to length 1, as LDAM's code does it.

    Reference: Cao et al. 2019, "Learning Imbalanced Datasets with Label-Distribution-Aware Margin Loss",
    section 3.2, and its code.
    """

    def __init__(self, in_features: int, out_features: int) -> None:
        super().__init__()
        for name, value in (("in_features", in_features), ("out_features", out_features)):
            checks.whole(name, value, "it is a number of dimensions", low=1)
        self.in_features, self.out_features = in_features, out_features
        self.weight = nn.Parameter(torch.empty(out_features, in_features))
        self.reset_parameters()

    @torch.no_grad()
    def reset_parameters(self) -> None:
        """Redraw the weights from torch's global generator."""
        self.weight.uniform_(-1, 1)
        self.weight.copy_(unit(self.weight))

    def forward(self, features: Tensor) -> Tensor:
        """Cosines (..., C), in the features' dtype.

        Raises:
            TypeError: a list or a tuple.
        """
        if isinstance(features, list | tuple):  # no check for Tensor, which a symbolic trace does not pass
            raise TypeError(
                f"features must be a tensor (..., D), got a {type(features).__name__}; use torch.tensor(...)"
            )
        return F.linear(unit(features), unit(self.weight))

    def extra_repr(self) -> str:
        """Return the arguments for `repr`."""
        return f"in_features={self.in_features}, out_features={self.out_features}"


def unit(rows: Tensor, eps: float = EPS) -> Tensor:
    """Rescale rows (..., D) to length 1; rows no longer than `eps` become 0 and get no gradient."""
    wide = rows if rows.dtype == torch.float64 else rows.float()  # eps is 0 in float16
    length = torch.linalg.vector_norm(wide, dim=-1, keepdim=True)
    inverse = torch.where(length > eps, 1 / length.clamp(min=eps), 0.0)
    return (wide * inverse).to(rows.dtype)
