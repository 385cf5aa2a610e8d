"""DARP's refinement: stored pseudo-labels without their least likely rows, projected on the class totals."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from longtail.facts import checks
from longtail.functional.class_totals import Projection, project_on_totals

SMALL = 1e-6
"""Added to every probability, so that no class is excluded, and the smallest entropy, that of a row of one class."""
WEIGHTS = ("entropy", "uniform")
"""What a row counts in the projection."""


@torch.no_grad()
def refine_pseudo_labels(
    probs: Tensor, totals: Any, *, keep: float = 2.0, weights: str = "entropy", start: Tensor | None = None
) -> Projection:
    """Return pseudo-labels with the class totals of the data, as near to the stored ones as these allow.

    1. Of each class k the floor(keep M_k) rows with the largest p_mk stay, the other p_mk become 0.
    2. What stayed of class k is multiplied by (M_k + 1e-6) / (its sum + 1e-6).
    3. A = that + 1e-6, rows divided by their sums: a row that lost all classes is uniform.
    4. `project_on_totals(A, totals)` with w_m = 1 / H(A_m), the entropy in nats, or w = 1.

    keep = inf leaves out 1 and 2: then it is the projection of p + 1e-6.

    Args:
        probs: p (M, K), rows summing to 1.
        totals: M_k (K,) >= 0; scaled until they sum to M.
        keep: > 0, or infinite.
        weights: "entropy" or "uniform".
        start: multipliers of an earlier refinement.

    Reference: Kim et al., Distribution Aligning Refinery of Pseudo-label, NeurIPS 2020, algorithm 1. The released code
    stops its search for the multipliers at a step of 0.1 or 0.3, which with totals that differ from those of the
    pseudo-labels leaves classes up to 30 % from their totals; here they meet them. It adds 1e-6 inside of the logarithm
    of the entropy, which can make that 0 or negative; here the entropy is exact, and at least 1e-6.
    """
    if not isinstance(keep, float | int) or isinstance(keep, bool) or not keep > 0:
        raise ValueError(f"keep must be > 0, or inf to keep all rows, got {keep!r}; 2.0 is the default")
    if weights not in WEIGHTS:
        raise ValueError(f'weights must be "entropy" or "uniform", got {weights!r}; choose one of these')
    checks.finite(probs, "probs")
    sums = torch.as_tensor(totals, dtype=torch.float64, device=probs.device)
    valid = sums.shape == probs.shape[1:] and bool((sums >= 0).all()) and 0 < float(sums.sum()) < math.inf
    if valid:  # the projection refuses others
        sums = sums * (len(probs) / sums.sum())
    kept = probs.double()
    if valid and keep < math.inf:
        kept = _without_noise(kept, sums, keep)
    kept = kept + SMALL
    kept = kept / kept.sum(1, keepdim=True)
    w = None if weights == "uniform" else 1 / torch.special.entr(kept).sum(1).clamp(min=SMALL)
    found = project_on_totals(kept, sums, weights=w, start=start)
    return found._replace(labels=found.labels.to(probs.dtype))


def _without_noise(p: Tensor, totals: Tensor, keep: float) -> Tensor:
    """Return p with the likely rows of each class alone, scaled to the class's total."""
    kept = torch.zeros_like(p)
    for k, total in enumerate(totals.tolist()):
        rows = p[:, k].topk(min(math.floor(keep * total), len(p))).indices
        kept[rows, k] = p[rows, k]
    return kept * ((totals + SMALL) / (kept.sum(0) + SMALL))
