"""A classifier that is not trained: the vectors of a frame, one per class."""

from __future__ import annotations

from typing import Annotated, final

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from longtail.facts import checks
from longtail.facts.knobs import Choice
from longtail.functional import simplex_frame, tight_frame
from longtail.models.heads.cosine import unit

FRAMES = {"simplex": simplex_frame, "tight": tight_frame}
FRAME = Choice(tuple(FRAMES))


@final
class FrameClassifier(nn.Module):
    """Cosines between features and fixed vectors, one per class.

    z_j = <m_j, h / ||h||>, ||m_j|| = 1

    Predict with argmax z, which is argmax <m_j, h>. A zero vector has cosine 0 and gradient 0.

    Args:
        in_features, out_features: D and C.
        frame: "simplex": every two classes have the inner product -1 / (C - 1), for C <= D + 1; "tight": where C is
            larger, vectors that are spread evenly but not all at one angle (`functional.tight_frame`).
        batch_norm: whether features pass a batch norm with affine parameters first; in training a batch of one row is
            normalised by the running statistics, since it has no variance.

    Shapes: features (N, D), without `batch_norm` (..., D) -> cosines (..., C). The buffer `weight` (C, D) is saved with
    the network; its orientation is drawn from torch's global generator.

    Raises:
        ValueError: more than D + 1 classes for a simplex.

    Reference: Yang et al. 2022, "Inducing Neural Collapse in Imbalanced Learning: Do We Really Need a Learnable
    Classifier at the End of Deep Neural Network?", and its code for the batch norm.
    """

    weight: Tensor

    def __init__(
        self,
        in_features: int,
        out_features: int,
        *,
        frame: Annotated[str, FRAME] = "simplex",
        batch_norm: bool = False,
    ) -> None:
        super().__init__()
        for name, value in (("in_features", in_features), ("out_features", out_features)):
            checks.whole(name, value, "it is a number of dimensions", low=1)
        FRAME.check("frame", frame)
        if why := misfit(frame, in_features, out_features):
            raise ValueError(f"{why}; take more features, or frame='tight'")
        self.in_features, self.out_features, self.frame = in_features, out_features, frame
        self.norm = nn.BatchNorm1d(in_features) if batch_norm else nn.Identity()
        self.register_buffer("weight", FRAMES[frame](out_features, in_features).to(torch.get_default_dtype()))

    def forward(self, features: Tensor) -> Tensor:
        """Cosines (..., C), in the features' dtype."""
        return F.linear(unit(self._normalised(features)), self.weight)

    def _normalised(self, features: Tensor) -> Tensor:
        norm = self.norm
        if isinstance(norm, nn.BatchNorm1d) and norm.training and len(features) == 1:
            return F.batch_norm(features, norm.running_mean, norm.running_var, norm.weight, norm.bias, eps=norm.eps)
        normalised: Tensor = norm(features)
        return normalised

    def extra_repr(self) -> str:
        """Return the arguments for `repr`."""
        return f"in_features={self.in_features}, out_features={self.out_features}, frame={self.frame}"


def misfit(frame: str, in_features: int, out_features: int) -> str | None:
    """Return why a frame has no room for C vectors in D dimensions, without the way out; None where it has."""
    least = out_features - 1 if frame == "simplex" else min(out_features - 1, 2)
    if in_features >= least:
        return None
    return f"frame {frame!r} of {out_features} classes must have at least {least} features, got {in_features}"
