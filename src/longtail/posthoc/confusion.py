"""Estimate the class totals of rows without labels by inverting a soft confusion matrix."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor

from longtail.facts import checks
from longtail.posthoc.corrections import as_tensor, checked_probabilities

LARGEST_CONDITION = 100.0
"""Of a confusion matrix that is trusted."""


class ConfusionEstimate(NamedTuple):
    """The result of `estimate_totals`: unpack as totals, accepted, condition."""

    totals: Any
    """(C,) float64, their sum the number of rows without labels; a tensor for tensors, an array for arrays."""
    accepted: bool
    """Whether all totals are >= 0 and the condition number of the confusion matrix is below 100."""
    condition: float
    """Ratio of the largest to the smallest singular value of the confusion matrix."""


@torch.no_grad()
def estimate_totals(probs: Any, labels: Any, unlabeled: Any) -> ConfusionEstimate:
    """Estimate how many rows without labels are of each class, from how a model confuses rows that it did not train on.

    C_kj = mean of p_k over labelled rows of class j;   C q = sum of p over the rows without labels;   q = C^-1 (C q)

    Exact where p(x | y) is the same for both and the means are exact; unlike expectation maximisation
    (`estimate_prior`) it does not ask the model to be calibrated. Of several models, or of the epochs of one, average
    the estimates that are accepted; a rejected one can have totals below 0, and no projection takes those.

    Args:
        probs: (V, C) probabilities of labelled rows that were not trained on, tensor or array.
        labels: (V,) their classes, each class at least once.
        unlabeled: (M, C) probabilities of the rows without labels.

    Raises:
        ValueError: rows that are no probabilities, a class without labelled rows, other numbers of rows or classes.

    Reference: Kim et al., Distribution Aligning Refinery of Pseudo-label, NeurIPS 2020, which estimates the totals so.
    The matrix is that of Lipton et al., Detecting and Correcting for Label Shift, ICML 2018. In the code of DARP a
    column is divided by its sum, which is the number of rows up to rounding; as here.
    """
    given, rest = as_tensor(probs), as_tensor(unlabeled)
    if given.ndim != 2 or rest.ndim != 2 or given.shape[1] != rest.shape[1] or not len(rest):
        raise ValueError(
            f"unlabeled must have shape (M, C) with the classes of probs {tuple(given.shape)} and M >= 1, got "
            f"{tuple(rest.shape)}; pass one row of probabilities per example"
        )
    classes = given.shape[1]
    p, others = (checked_probabilities(value, classes).double() for value in (given, rest))
    y = as_tensor(labels).to(p.device)
    if y.shape != (len(p),) or y.is_floating_point():
        raise ValueError(
            f"labels must be ({len(p)},) class indices, got shape {tuple(y.shape)}, {y.dtype}; pass one per row"
        )
    checks.targets(y, classes, ignore_index=-1)
    counts = torch.bincount(y.long().clamp(min=0), minlength=classes)
    if bool((counts == 0).any()) or bool((y < 0).any()):
        k = int((counts == 0).nonzero()[0]) if bool((counts == 0).any()) else -1
        raise ValueError(f"labels must have every class, and no other, got none of class {k}; leave more rows out")
    sums = p.new_zeros(classes, classes).index_add_(0, y.long(), p).T
    confusion = sums / sums.sum(0)
    spectrum = torch.linalg.svdvals(confusion)
    condition = float(spectrum[0] / spectrum[-1])
    totals: Any = torch.linalg.lstsq(confusion.cpu(), others.sum(0).cpu()[:, None], driver="gelsd").solution[:, 0]
    accepted = condition < LARGEST_CONDITION and bool((totals >= 0).all())
    return ConfusionEstimate(totals if isinstance(unlabeled, Tensor) else totals.numpy(), accepted, condition)
