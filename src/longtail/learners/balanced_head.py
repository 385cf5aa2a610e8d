"""ABC: a second classifier on the same features, trained on a random part of the rows in which classes are equal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from longtail.facts.types import Batch, Progress
from longtail.learners.semi import Views
from longtail.losses import CrossEntropyLoss


class BalancedHead(nn.Module):
    """weight x (mean over labelled rows of b_i CE(a(f_i), y_i) + sum over views v of mean of c_u b_u CE(a(f_uv), q_u)).

    a is the classifier, f are features, v the further views; means are over all rows of the batch. b_i is 1 with chance
    r_y, r_k = n_min / n_k, so that every class counts equally often. q_u = softmax(a(f_u)) of the weak view, without a
    gradient, and as it is: not sharpened. c_u = [max_k q_uk >= confidence]. b_u is 1 with chance 1 - p (1 - r_k), k the
    largest class of q_u: at progress p = 0 all rows count, in the end the share r_k as of labelled ones.

    The chances are drawn in every step, from torch's global generator, as those of dropout.

    Args:
        head: features (B, D) -> logits (B, C).
        counts: n (C,); a class without rows has r = 1, and does not count for n_min.
        confidence: of rows without labels; above 1 none counts.
        weight: of the loss.
    """

    rates: Tensor

    def __init__(self, head: nn.Module, counts: Tensor, *, confidence: float = 0.95, weight: float = 1.0) -> None:
        super().__init__()
        self.head = head
        self.confidence = confidence
        self.weight = weight
        self.loss = CrossEntropyLoss()
        smallest = counts[counts > 0].min()
        self.register_buffer("rates", (smallest / counts.clamp(min=smallest)).float())

    def forward(self, batch: Batch, views: Views, progress: Progress) -> tuple[Tensor, Mapping[str, Tensor]]:
        """Return the loss, and the share of rows without labels that count in it."""
        assert views.labelled.features is not None
        targets, rows = batch["targets"], batch.get("sample_weight")
        chosen = torch.bernoulli(self.rates[targets])
        shares = chosen if rows is None else chosen * rows
        losses = self.loss.per_example(self.head(views.labelled.features), targets, sample_weight=shares)
        loss = losses.mean() if rows is None else losses.sum() / rows.sum()
        q, chosen = self._taught(views, progress)
        for view in views.others:
            loss = loss + self.loss.per_example(self.head(view.features), q, sample_weight=chosen).mean()
        return self.weight * loss, {"auxiliary": loss.detach(), "balanced": chosen.mean()}

    def predictor(self, network: Any) -> nn.Module:
        """Return the network with this classifier in place of its own."""
        return network.with_head(self.head)  # type: ignore[no-any-return]

    def extra_repr(self) -> str:
        """Return the arguments for `repr`."""
        return f"confidence={self.confidence}, weight={self.weight}"

    @torch.no_grad()
    def _taught(self, views: Views, progress: Progress) -> tuple[Tensor, Tensor]:
        """Return the soft labels (M, C) of the rows without labels, and which of them count (M,), 0 or 1."""
        q = self.head(views.weak.features).softmax(1)
        largest, label = q.max(1)
        share = 1 - progress * (1 - self.rates[label])
        return q, torch.bernoulli(share) * (largest >= self.confidence).to(q.dtype)
