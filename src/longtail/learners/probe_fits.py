"""How the head of a probe is fitted: logistic regression, a linear SVM, and the descents of the papers."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from longtail.learners.estimator import fit_logged
from longtail.learners.fitted import matrix

Features = Callable[[int], Tensor]
"""Epoch -> features (N, D) of the rows, the same in every epoch unless the rows are augmented anew."""


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

    x, y, weight = matrix(features), targets.cpu().numpy(), _weights(targets, sample_weight)
    mean = np.average(x, 0, weight)
    std = np.average((x - mean) ** 2, 0, weight) ** 0.5
    std[std <= 1e-10 * np.abs(mean)] = 1.0  # below the rounding of its mean a deviation is none
    model = LogisticRegression(C=1.0, max_iter=1000)
    fit_logged(model, (x - mean) / std, y, {"sample_weight": weight})
    _copy(head, model.coef_ / std, model.intercept_ - model.coef_ @ (mean / std))


@torch.no_grad()
def fit_svm(head: nn.Linear, features: Tensor, targets: Tensor, sample_weight: Tensor | None = None) -> None:
    """Fit a linear head that divides features by their length (`heads.UnitLinear`) by linear SVMs, one versus the rest.

    loss_j = (||w_j||^2 + b_j^2) / 2 + sum_i s_i max(0, 1 - t_ij (w_j x_i + b_j))^2, x = h / ||h||, t_ij = 1 where
    y_i = j and else -1; as in liblinear the offset is penalised. Of two classes there is one SVM, and the first one's
    score is 0.

    Args:
        head: D -> C, changed.
        features: h (N, D).
        targets: (N,), each class at least once.
        sample_weight: s (N,), or None for ones.
    """
    from sklearn.svm import LinearSVC

    x = matrix(features)
    x = x / np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 1e-12)
    model = LinearSVC(C=1.0, loss="squared_hinge", dual=False, tol=1e-6, max_iter=10_000)  # the primal needs no seed
    fit_logged(model, x, targets.cpu().numpy(), {"sample_weight": _weights(targets, sample_weight)})
    _copy(head, model.coef_, model.intercept_)


@dataclass(frozen=True)
class Descent:
    """How a linear head is trained by steps on the cross-entropy.

    Args:
        epochs: E.
        batch_size: rows of a step; the last batch of an epoch is smaller.
        rate: epoch -> learning rate.
        optimizer: parameters -> optimiser.
        width: standard deviation of the weights at the start, offsets 0; None for torch's own start, weights and
            offsets uniform in +-1 / sqrt(D).
    """

    epochs: int
    batch_size: int
    rate: Callable[[int], float]
    optimizer: Callable[[Iterable[Tensor]], torch.optim.Optimizer]
    width: float | None = None

    @torch.enable_grad()
    def fit(
        self, head: nn.Linear, features: Features, targets: Tensor, sample_weight: Tensor | None = None, seed: int = 0
    ) -> None:
        """Train a linear head from a new start; of a batch the loss is the weighted mean.

        Args:
            head: D -> C, changed.
            features: of the rows, (N, D) for each epoch.
            targets: (N,).
            sample_weight: (N,), or None for ones.
            seed: of the start and of the order of the rows.
        """
        generator = torch.Generator().manual_seed(seed)
        self._start(head, generator)
        optimizer = self.optimizer(head.parameters())
        for epoch in range(self.epochs):
            x = features(epoch)
            for group in optimizer.param_groups:
                group["lr"] = self.rate(epoch)
            order = torch.randperm(len(x), generator=generator).to(x.device)
            for rows in torch.split(order, self.batch_size):
                losses = F.cross_entropy(head(x[rows]), targets[rows], reduction="none")
                s = torch.ones_like(losses) if sample_weight is None else sample_weight[rows].to(losses)
                optimizer.zero_grad()
                ((s * losses).sum() / s.sum().clamp(min=1e-12)).backward()  # type: ignore[no-untyped-call]
                optimizer.step()
        head.requires_grad_(True).zero_grad()

    @torch.no_grad()
    def _start(self, head: nn.Linear, generator: torch.Generator) -> None:
        bound = head.in_features**-0.5
        for parameter in (head.weight, head.bias):
            start = torch.empty(parameter.shape)
            if self.width is None:
                start.uniform_(-bound, bound, generator=generator)
            elif parameter is head.weight:
                start.normal_(0.0, self.width, generator=generator)
            else:
                start.zero_()
            parameter.copy_(start)


def sdclr_descent(few: bool) -> Descent:
    """SDCLR's: SGD, momentum 0.9, learning rate 30, a tenth from epoch 10 and a hundredth from epoch 20 of 30 on, batch
    128, no weight decay, W from N(0, 0.01^2); on few rows 100 epochs, drops at 40 and 60.
    """
    epochs, drops = (100, (40, 60)) if few else (30, (10, 20))

    def rate(epoch: int) -> float:
        return 30.0 * 0.1 ** sum(epoch >= drop for drop in drops)

    return Descent(epochs, 128, rate, lambda ws: torch.optim.SGD(ws, lr=30.0, momentum=0.9), 0.01)


def bcl_descent() -> Descent:
    """BCL's, which GH shares: Adam, learning rate 1e-2 to 1e-6 by a constant factor per epoch, 500 epochs, batch 1000,
    weight decay 5e-6 as an L2 penalty.
    """
    epochs = 500
    factor = (1e-6 / 1e-2) ** (1 / epochs)
    return Descent(
        epochs, 1000, lambda epoch: 1e-2 * factor**epoch, lambda ws: torch.optim.Adam(ws, lr=1e-2, weight_decay=5e-6)
    )


def _weights(targets: Tensor, sample_weight: Tensor | None) -> NDArray[np.float64]:
    weight: Any = np.ones(len(targets)) if sample_weight is None else sample_weight.double().cpu().numpy()
    return weight  # type: ignore[no-any-return]


def _copy(head: nn.Linear, slopes: Any, offsets: Any) -> None:
    """Copy coefficients into a head; a single row is that of the second of two classes."""
    if len(slopes) == 1:
        slopes, offsets = np.vstack([0 * slopes, slopes]), np.append(0.0, offsets)
    head.weight.copy_(torch.from_numpy(slopes))
    head.bias.copy_(torch.from_numpy(offsets))
