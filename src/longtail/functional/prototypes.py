"""Which labels are probably right, by the distance of a row's features to the mean of its class (RoLT)."""

from __future__ import annotations

import warnings
from functools import cache
from typing import Any, NamedTuple

import torch
from torch import Tensor

from longtail.functional.similarity import unit


class Judged(NamedTuple):
    """`logits` (N, C) float64, -||x - c_j||^2, and which rows' labels are judged right, `clean` (N,) bool."""

    logits: Tensor
    clean: Tensor


def judged_by_prototypes(
    features: Tensor, targets: Tensor, classes: int, sample_weight: Tensor | None = None
) -> Judged:
    """Judge every label by the distance of its row to the prototype of its class, refined once.

    x = (f - mean f) / ||f - mean f||, c_j the mean of x over class j, z_j = -||x - c_j||^2; the labels that z judges
    right (`near_their_class`) make new prototypes, and of these are the logits and the judgement that are returned.

    A row of weight k counts as k rows in the means, and as one in the mixtures. A class without rows has logits of
    -inf. Computed in float64 on the CPU: the mixtures are scikit-learn's.

    Args:
        features: f (N, D).
        targets: class indices (N,).
        classes: C.
        sample_weight: >= 0 (N,) or None.

    Reference: Wei et al., Robust Long-Tailed Learning under Label Noise, 2021, and its code.
    """
    f, y = features.detach().double().cpu(), targets.cpu().long()
    s = torch.ones_like(f[:, 0]) if sample_weight is None else sample_weight.double().cpu()
    x = unit(f - (s[:, None] * f).sum(0) / s.sum())
    logits = prototype_logits(x, y, classes, s)
    clean = near_their_class(logits, y)
    kept = torch.where(clean, s, 0.0)
    weighs = s.new_zeros(classes).index_add_(0, y, kept) > 0
    logits = prototype_logits(x, y, classes, torch.where(weighs[y], kept, s))
    return Judged(logits, near_their_class(logits, y))


def prototype_logits(x: Tensor, targets: Tensor, classes: int, weight: Tensor) -> Tensor:
    """Return z_j = -||x - c_j||^2 (N, C), c_j the weighted mean of the rows of class j; -inf where they weigh 0."""
    sums = x.new_zeros(classes, x.shape[1]).index_add_(0, targets, weight[:, None] * x)
    totals = x.new_zeros(classes).index_add_(0, targets, weight)
    c = sums / torch.where(totals > 0, totals, 1.0)[:, None]
    squared = x.square().sum(1, keepdim=True) - 2 * x @ c.T + c.square().sum(1)
    return torch.where(totals > 0, -squared.clamp(min=0), -torch.inf)


def near_their_class(logits: Tensor, targets: Tensor) -> Tensor:
    """Return which rows (N,) are in the nearer of two groups of their class, by z_y scaled to [0, 1] within the class.

    The groups are those of a Gaussian mixture of two components (scikit-learn's, its k-means started from seed 0), each
    row in the likelier one. All rows of a class are kept where none is in the nearer group, where all have the same
    distance, and of a class with one row.

    Args:
        logits: z (N, C) float64 on the CPU, the larger the nearer.
        targets: class indices (N,).
    """
    from sklearn import config_context
    from sklearn.exceptions import ConvergenceWarning

    own = logits.gather(1, targets[:, None])[:, 0]
    clean = torch.ones_like(targets, dtype=torch.bool)
    # several threads would add in any order; the values are finite, and the arguments always the same
    one_thread = _threads().limit(limits=1, user_api="openmp")
    unchecked = config_context(assume_finite=True, skip_parameter_validation=True)
    with one_thread, unchecked, warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # a mixture that still moves after 100 steps is used
        for j in torch.unique(targets).tolist():
            mine = torch.nonzero(targets == j).flatten()
            clean[mine] = _in_the_upper_group(own[mine])
    return clean


@cache
def _threads() -> Any:
    """Return what limits scikit-learn's threads; to find its libraries takes as long as two mixtures."""
    import sklearn.mixture  # noqa: F401 - loads them
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()


def _in_the_upper_group(values: Tensor) -> Tensor:
    from sklearn.mixture import GaussianMixture

    low, spread = values.min(), values.max() - values.min()
    if not bool(spread > 0) or not bool(spread.isfinite()):
        return torch.ones_like(values, dtype=torch.bool)
    scaled: Any = ((values - low) / spread)[:, None].numpy()
    mixture = GaussianMixture(2, random_state=0).fit(scaled)
    upper = torch.from_numpy(mixture.predict(scaled) == mixture.means_.argmax())
    return upper if bool(upper.any()) else torch.ones_like(upper)
