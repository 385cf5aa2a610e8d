"""Probes: classifiers on the features of a frozen encoder, by which encoders are compared."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from longtail.learners.estimator import fit_logged
from longtail.learners.fitted import matrix
from longtail.models.heads import Neighbours

SEED = 0
"""Of the rows of the few-shot probe: the same for all methods and seeds of a comparison."""


@dataclass(frozen=True)
class Probe:
    """A classifier on frozen features.

    Args:
        neighbours: k of a vote of nearest neighbours; 0 for logistic regression.
        few: whether it is fitted on equally many rows of each class: as many as the smallest class has.
        protocol: what it does, in words.
    """

    neighbours: int = 0
    few: bool = False
    protocol: str = ""

    def head(self, rows: int) -> tuple[str, dict[str, Any]]:
        """Return the name of its head and further arguments, for this number of training rows."""
        return ("neighbours", {"rows": rows, "k": self.neighbours}) if self.neighbours else ("linear", {})

    def fit(self, head: nn.Module, features: Tensor, targets: Tensor, sample_weight: Tensor | None = None) -> None:
        """Fit its head.

        Args:
            head: of `head`, changed.
            features, targets, sample_weight: of the training rows, (N, D), (N,) and (N,) or None.
        """
        if isinstance(head, Neighbours):
            head.fit(features, targets)
            return
        assert isinstance(head, nn.Linear)
        if self.few:
            rows = few_shot_rows(targets.cpu(), head.out_features).to(targets.device)
            features, targets, sample_weight = features[rows], targets[rows], None
        fit_linear(head, features, targets, sample_weight)


_LINEAR = "logistic regression (scikit-learn, C = 1) on standardised features of"
PROBES = {
    "linear": Probe(protocol=f"{_LINEAR} all training rows"),
    "few-shot": Probe(
        few=True, protocol=f"{_LINEAR} as many rows of each class as the smallest has, drawn with seed {SEED}"
    ),
    "knn-10": Probe(neighbours=10, protocol="vote of the 10 nearest training rows, features of length 1"),
    "knn-1": Probe(neighbours=1, protocol="class of the nearest training row, features of length 1"),
}
"""The probes by name; the verdict's is the first, unless another is named."""
DEFAULT_PROBE = next(iter(PROBES))


def check_used(probe: str, task: str) -> None:
    """Raise ValueError where a probe is named and the task has none."""
    if probe != DEFAULT_PROBE and task != "self-supervised":
        raise ValueError(
            f"probe (--probe) must be left out where methods classify themselves, got {probe!r} for a {task} task; "
            "probes are for self-supervised methods"
        )


def few_shot_rows(targets: Tensor, num_classes: int, seed: int = SEED) -> Tensor:
    """Return the rows of the few-shot probe, ascending: equally many of each class, as many as the smallest has."""
    shots = int(torch.bincount(targets, minlength=num_classes).min())
    order = torch.randperm(len(targets), generator=torch.Generator().manual_seed(seed))
    rows = [order[targets[order] == j][:shots] for j in range(num_classes)]
    return torch.cat(rows).sort().values


@torch.no_grad()
def fit_linear(head: nn.Linear, features: Tensor, targets: Tensor, sample_weight: Tensor | None = None) -> None:
    """Fit a linear head by logistic regression on features standardised over these rows.

    loss = sum_i s_i (-log softmax(W x_i + b)_{y_i}) + ||W||^2 / 2, x = (h - mean) / std; the head gets W / std and
    b - W mean / std, so that it takes features h as they are. Of two classes the first one's logit is 0.

    Args:
        head: D -> C, changed.
        features: h (N, D).
        targets: (N,), each class at least once.
        sample_weight: s (N,), or None for ones; mean and std are weighted too.
    """
    from sklearn.linear_model import LogisticRegression

    x, y = matrix(features), targets.cpu().numpy()
    weight = np.ones(len(y)) if sample_weight is None else sample_weight.double().cpu().numpy()
    mean = np.average(x, 0, weight)
    std = np.average((x - mean) ** 2, 0, weight) ** 0.5
    std[std <= 1e-10 * np.abs(mean)] = 1.0  # below the rounding of its mean a deviation is none
    model = LogisticRegression(C=1.0, max_iter=1000)
    fit_logged(model, (x - mean) / std, y, {"sample_weight": weight})
    slopes, offsets = model.coef_ / std, model.intercept_ - model.coef_ @ (mean / std)
    if len(slopes) == 1:
        slopes, offsets = np.vstack([0 * slopes, slopes]), np.append(0.0, offsets)
    head.weight.copy_(torch.from_numpy(slopes))
    head.bias.copy_(torch.from_numpy(offsets))
