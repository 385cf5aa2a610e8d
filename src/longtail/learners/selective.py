"""Sel-CL's learner: contrast without labels, contrast of confident pairs, and a classifier on confident rows."""

from __future__ import annotations

import copy
from typing import Any, NamedTuple, final

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from longtail.facts.learner import Inference, Learner
from longtail.facts.schedules import at
from longtail.facts.types import Batch, Mixed, Outputs, Progress, Record, Step, as_outputs
from longtail.functional.confident_pairs import pair_contrast, pair_similarity
from longtail.functional.mixtures import widen
from longtail.learners.all_rows import evaluating
from longtail.learners.confident_pairs import ConfidentPairs, PairQueue
from longtail.learners.mixing import Mixture
from longtail.learners.pair import Compared
from longtail.learners.queue import MoCo

CHUNK = 1024
"""Rows whose features are computed at a time."""


class Seen(NamedTuple):
    """Logits (B, C) and projections (B, P) of one view."""

    logits: Tensor
    projected: Tensor


@final
class SelectiveLearner(Learner):
    """A network and a projection of its features, trained on pairs and rows that are chosen anew in every epoch.

    loss = mean_i (u_i if row i has no confident partner, else c_i) + lambda_c L_C + lambda_s L_S

    u_i: `host`, MoCo's loss of the two views. c_i: `pair_contrast` of the mixed views, the mean of both, in the batch,
    and from progress `queue_from` on in the queue, too, where it is added. L_S: `pair_similarity` of the same pairs.
    L_C: cross-entropy of two mixed views of rows drawn from the confident ones (`batch["second"]`). Before progress
    `warmup` the loss is the mean of u_i. Batches are mixed by `batch["mixing"]`, both views alike.

    Args:
        network: inputs -> `Outputs` with features; it predicts.
        projection: features (B, D) -> (B, P).
        host: of the contrast without labels, with its queue and the temperature of both contrasts.
        pairs: the choice of rows and pairs.
        queue: of the contrast of pairs.
        warmup: progress before which nothing is chosen.
        queue_from: progress from which on the queue is used; it is filled from the start.
        lambda_c, lambda_s: weights.
        average: moving averages of network and projection, by default copies.
    """

    def __init__(
        self,
        network: nn.Module,
        projection: nn.Module,
        host: MoCo,
        pairs: ConfidentPairs,
        queue: PairQueue,
        *,
        warmup: float = 0.0,
        queue_from: float = 0.0,
        lambda_c: float = 1.0,
        lambda_s: float = 0.01,
        average: nn.ModuleList | None = None,
    ) -> None:
        super().__init__()
        self.network = network
        self.projection = projection
        self.host = host
        self.pairs = pairs
        self.queue = queue
        self.warmup = warmup
        self.queue_from = queue_from
        self.lambda_c = lambda_c
        self.lambda_s = lambda_s
        copies = nn.ModuleList([copy.deepcopy(network), copy.deepcopy(projection)])
        self.average = (copies if average is None else average).requires_grad_(False)

    def training_step(self, batch: Batch, progress: Progress) -> Step:
        """Return the loss, its part per row (B,), and what the averages have made of the views, for the queues."""
        views, rows = batch["inputs"], batch["index"]
        first, mixing = self._seen(views[0]), batch["mixing"]
        network, projection = self.average
        with torch.no_grad():
            key = _passed(network, projection, views[1])
            kept = [_passed(network, projection, view, mixing) for view in views]
        compared = Compared(Outputs(first.projected), None, None, Outputs(key.projected))
        losses = self.host(compared, batch, at(self.host.t, progress, "t"), progress)
        extra = {
            "keys": key.projected,
            "queued": torch.cat([one.projected for one in kept]),
            "shares": torch.cat([widen(one.logits).softmax(1) for one in kept]),
        }
        outputs = Outputs(first.logits.detach(), None, extra)
        if progress < self.warmup:
            return Step(losses.mean(), losses, {}, outputs, rows=rows)
        losses, similarity = self._selected(losses, [self._seen(view, mixing) for view in views], batch, progress)
        loss = losses.mean() + self.lambda_c * self._classified(batch["second"]) + self.lambda_s * similarity
        return Step(loss, losses, {}, outputs, rows=rows)

    def _selected(self, alone: Tensor, seen: list[Seen], batch: Batch, progress: Progress) -> tuple[Tensor, Tensor]:
        """Return u or c of every row (B,), and L_S."""
        rows, (partner, share, _) = batch["index"], batch["mixing"]
        z = torch.cat([one.projected for one in seen])
        p = torch.cat([widen(one.logits).softmax(1) for one in seen])
        of, mixed_with = rows.repeat(2), rows[partner].repeat(2)
        shares, t = share.expand(len(of)), at(self.host.t, progress, "t")
        itself = torch.eye(len(of), dtype=torch.bool, device=z.device)
        pools = [(z, p, of, ~itself)]
        if progress >= self.queue_from and len(self.queue.rows):
            queue = self.queue
            pools.append((queue.keys, queue.shares, queue.rows, (queue.rows >= 0).expand(len(of), -1)))
        found, supported, similarity = (
            torch.zeros_like(alone),
            torch.zeros_like(rows, dtype=torch.bool),
            z.new_zeros(()),
        )
        for candidates, probabilities, others, allowed in pools:
            pairs = self.pairs.together(of, others)
            own = (pairs | (of[:, None] == others)) & allowed
            masks = (own, (self.pairs.together(mixed_with, others) | (mixed_with[:, None] == others)) & allowed)
            terms = pair_contrast(z, candidates, *masks, shares, allowed, t)
            here = (pairs & (of[:, None] != others) & allowed).any(1)[: len(rows)]
            found = found + torch.where(here, terms.view(2, -1).mean(0), 0.0)
            supported = supported | here
            similarity = similarity + pair_similarity(p, probabilities, *masks, shares, allowed).mean()
        return torch.where(supported, found, alone), similarity

    def _classified(self, batch: Batch) -> Tensor:
        """Return the cross-entropy of both mixed views of the confident rows."""
        mixing, y = batch["mixing"], batch["targets"]
        logits = [widen(self._seen(view, mixing).logits) for view in batch["inputs"]]
        terms = [mixing.share * F.cross_entropy(z, y) + (1 - mixing.share) * F.cross_entropy(z, y[mixing.partner])
                 for z in logits]  # fmt: skip
        return torch.stack(terms).mean()

    def _seen(self, view: Tensor, mixing: Mixed | None = None) -> Seen:
        return _passed(self.network, self.projection, view, mixing)

    @torch.no_grad()
    def embedded(self, rows: Any) -> Tensor:
        """Return the projections (N, P) of all rows, in evaluation mode and without augmentation."""
        device = self.pairs.bank.device
        with evaluating(self):
            return torch.cat([self._seen(x.to(device)).projected for x in rows.chunks(CHUNK)])

    def start_epoch(self, data: Any, progress: Progress) -> None:
        """Choose rows and pairs by the network as it is, once the warm-up is over."""
        if progress >= self.warmup:
            self.pairs.choose(self.embedded(data.main))

    @torch.no_grad()
    def after_update(self, batch: Batch, step: Step, progress: Progress) -> None:
        """Move the averages, and put what they have made of the step into the queues."""
        if self.holding:
            return
        assert step.outputs is not None
        stay: Any = self.host.momentum
        now = [*self.network.parameters(), *self.projection.parameters()]
        for mean, value in zip(self.average.parameters(), now, strict=True):
            mean.mul_(stay).add_(value * (1 - stay))
        self.host.after_update(batch, step, progress)
        extra = step.outputs.extra
        self.queue.put(extra["queued"], extra["shares"], batch["index"].repeat(2))

    def epoch_record(self) -> Record:
        """Return how many rows are confident, of every class."""
        chosen = self.pairs.labels[self.pairs.confident]
        return {"confident_rows": torch.bincount(chosen, minlength=self.pairs.num_classes).tolist()}

    def inference(self) -> Inference:
        """Return the network, whose classifier was trained on confident rows."""
        return Inference(self.network)


def _passed(network: Any, projection: nn.Module, view: Tensor, mixing: Mixed | None = None) -> Seen:
    """Pass a view, or its mixture after standardisation: share x + (1 - share) x_partner."""
    outputs = as_outputs(network(view) if mixing is None else network(view, Mixture(mixing, 0, 1)))
    assert outputs.features is not None
    return Seen(outputs.logits, projection(outputs.features))
