"""Labels with estimated class totals: those of SoLar, by a projection of the batch and of past batches together."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from longtail.facts.types import Batch, Outputs, Progress, Record
from longtail.functional.candidates import candidate_posterior
from longtail.functional.class_totals import project_on_totals
from longtail.functional.mixtures import widen

RELAXED = 1e-5
"""Probability of a class outside of the set where the totals cannot be reached without, as in the code of SoLar."""
TOLERANCE = 1e-6
"""Relative difference of a class's total that the projection ends at; labels are float32."""


class Assigned(nn.Module):
    """Predictions on the candidates q (N, C), those of past batches, and class shares r (C,), all of them estimated.

    Args:
        candidates: (N, C) bool, at least one class a row.
        queue: rows of past batches that are projected with a batch, once there are so many; 0 for none.
        sharpness: power of the predictions that are projected.
        shares: r of the start; uniform by default.
    """

    confidence: Tensor
    queue: Tensor
    stored: Tensor
    prior: Tensor

    def __init__(self, candidates: Tensor, queue: int, *, sharpness: float = 3.0, shares: Tensor | None = None) -> None:
        super().__init__()
        classes = candidates.shape[1]
        self.sharpness = sharpness
        self.register_buffer("confidence", candidates.float() / candidates.sum(1, keepdim=True))
        self.register_buffer("queue", torch.zeros(queue, classes))
        self.register_buffer("stored", torch.zeros((), dtype=torch.int64))
        self.register_buffer("prior", torch.full((classes,), 1 / classes) if shares is None else shares.float().clone())

    @torch.no_grad()
    def assign(self, logits: Tensor, candidates: Tensor) -> Tensor:
        """Return labels (B,C) on the candidates; with those of the queue they sum to r times the rows.

        They minimise KL(y || q^sharpness) over these rows, q the renormalised predictions. Where no labels on the
        candidates have these sums, other classes are allowed with probability 1e-5 each, and then taken off again.
        """
        q = candidate_posterior(logits, candidates)
        if int(self.stored) >= len(self.queue):
            q = torch.cat([self.queue.to(q.dtype), q])
        powers = self.sharpness * q.log()
        totals = self.prior.double().cpu()
        totals = totals * (len(q) / totals.sum())
        try:
            labels = project_on_totals(powers, totals, log=True, tolerance=TOLERANCE).labels
            return labels[-len(logits) :]
        except ValueError:  # the totals cannot be reached on the sets
            relaxed = powers.clamp(min=self.sharpness * math.log(RELAXED))
        labels = project_on_totals(relaxed, totals, log=True, tolerance=TOLERANCE).labels[-len(logits) :]
        inside = labels.where(candidates, 0.0)
        sums = inside.sum(1, keepdim=True)
        return torch.where(sums > 0, inside / sums, q[-len(logits) :])

    @torch.no_grad()
    def observe(self, batch: Batch, outputs: Outputs, progress: Progress) -> None:
        """Store the renormalised predictions of a batch, in its rows and in the queue."""
        index, size = batch["index"], len(self.queue)
        q = candidate_posterior(outputs.logits, batch["targets"]).to(self.confidence.dtype)
        self.confidence[index] = q
        if size:
            last = q[-size:]
            self.queue[(self.stored + torch.arange(len(last), device=q.device)) % size] = last
            self.stored += len(last)

    @torch.no_grad()
    def renew(self, logits: Tensor, candidates: Tensor, gamma: float, weight: Tensor | None = None) -> None:
        """r <- (1 - gamma) r + gamma shares of the likeliest candidates of all rows.

        Args:
            logits: (N, C) of all rows.
            candidates: (N, C) bool.
            gamma: in [0, 1].
            weight: (N,), a row of weight k counting as k.
        """
        labels = candidate_posterior(widen(logits), candidates).argmax(1)
        counts = torch.zeros_like(self.prior, dtype=torch.float64, device="cpu")  # a GPU adds in any order
        ones = torch.ones(len(labels), dtype=torch.float64) if weight is None else weight.double().cpu()
        counts.index_add_(0, labels.cpu(), ones)
        self.prior.lerp_((counts / counts.sum()).to(self.prior), gamma)

    def epoch_record(self) -> Record:
        """Return the class shares (C,) at the end of an epoch."""
        return {"prior": self.prior.tolist()}
