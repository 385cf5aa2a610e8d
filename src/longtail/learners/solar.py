"""Learning from candidate sets by labels whose class totals are estimated, where these can be relied on (SoLar)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, final

import torch
from torch import Tensor, nn

from longtail.facts.learner import Inference, Learner
from longtail.facts.types import Batch, Mixed, Outputs, Progress, Step, TrainingData, as_outputs
from longtail.functional import cross_entropy
from longtail.functional.selection import smallest_by_class
from longtail.learners.views import larger_share, mean_of
from longtail.targets.assigned import Assigned

ROWS = 1024
"""Rows that are classified at a time for the class shares of an epoch."""


@dataclass(frozen=True)
class Folded:
    """Change of a batch of 2 n inputs to n: the first n are blended with the others, after standardisation."""

    share: Tensor

    def acts(self, place: int) -> bool:
        """Whether values at this place are changed."""
        return place == 0

    def __call__(self, x: Tensor, place: int) -> Tensor:
        """Return x (n, ...) of (2 n, ...)."""
        if place != 0:
            return x
        own, other = x.chunk(2)
        share = self.share.to(x.dtype)
        return share * own + (1 - share) * other


@final
class SolarLearner(Learner):
    """A network, labels assigned to its batches, and a mask of the rows whose label is reliable.

    loss = e [mean over selected rows of CE(z_w, y) + CE(z_s, y), + mean over pairs of selected rows of CE(z~, y~)]
    + (1 - e) mean over all others of CE(z_w, q)

    y: labels of `targets.assign` from the weak view w; s: the strong view; z~, y~: blends of weak views and labels; q:
    renormalised predictions, stored per row. Selected are, of the rows with arg-max label j, the ceil(B r_j rho) of the
    smallest CE(z_w, y), one at least, and all rows with <y, softmax(z_w)> > tau; r are the class shares. e and rho grow
    linearly from 0 and `rho[0]` to `eta` and `rho[1]` until progress `ramp`. While e is 0, or where no row is selected,
    all rows learn q.

    Args:
        network: inputs -> `Outputs`.
        targets: labels, q and the class shares.
        eta, rho, tau, ramp: as above.
        mixup: whether there are blends; the data pair the rows (`batch["mixing"]`).
        gamma: weight of an epoch's class shares in their moving average.
        no_decay: names of the network's parameters that weight decay leaves alone.
    """

    def __init__(
        self,
        network: nn.Module,
        targets: Assigned,
        *,
        eta: float = 0.9,
        rho: tuple[float, float] = (0.2, 0.6),
        tau: float = 0.99,
        ramp: float = 0.05,
        mixup: bool = True,
        gamma: float = 0.01,
        no_decay: Iterable[str] = (),
    ) -> None:
        super().__init__()
        self.network = network
        self.targets = targets
        self.eta = eta
        self.rho = rho
        self.tau = tau
        self.ramp = ramp
        self.mixup = mixup
        self.gamma = gamma
        self.no_decay = frozenset(no_decay)

    def start_epoch(self, data: TrainingData, progress: Progress) -> None:
        """Move the class shares, but in the first epoch, towards those of the network's labels."""
        if progress > 0:
            self.estimate(data)

    def estimate(self, data: Any) -> None:
        """Move the class shares towards those of the likeliest candidates of all rows, in evaluation mode."""
        training, rows = self.training, getattr(data, "main", data)
        self.train(False)
        with torch.no_grad():
            device = self.targets.prior.device
            logits = torch.cat([as_outputs(self.network(x.to(device))).logits for x in rows.chunks(ROWS)])
        self.train(training)
        self.targets.renew(logits, rows.targets, self.gamma, rows.sample_weight)

    def training_step(self, batch: Batch, progress: Progress) -> Step:
        """Return the loss, the losses (B,) of the stored predictions and the weak view's outputs."""
        weak, strong = batch["inputs"]
        size, index, weight = len(weak), batch["index"], batch.get("sample_weight")
        outputs = as_outputs(self.network(torch.cat([weak, strong])))
        z, again = outputs.logits[:size], outputs.logits[size:]
        shown = Outputs(z.detach())
        plain = cross_entropy(z, self.targets.confidence[index])
        grown = min(float(progress) / self.ramp, 1.0) if self.ramp else 1.0
        eta = self.eta * grown
        if eta == 0:
            return Step(mean_of(plain, weight), plain, {}, shown, None, index)
        labels = self.targets.assign(shown.logits, batch["targets"])
        losses = cross_entropy(z, labels)
        chosen = self._selected(shown.logits, labels, losses.detach(), grown)
        log = {"confident": chosen.to(losses.dtype).mean()}
        if not bool(chosen.any()):
            return Step(mean_of(plain, weight), plain, log, shown, None, index)
        rely = chosen.to(losses.dtype) if weight is None else chosen * weight.to(losses.dtype)
        rest = (~chosen).to(losses.dtype) if weight is None else ~chosen * weight.to(losses.dtype)
        loss = mean_of(losses, rely) + mean_of(cross_entropy(again, labels), rely)
        if self.mixup:
            loss = loss + self._blended(weak, labels, chosen, rely, batch["mixing"])
        return Step(eta * loss + (1 - eta) * mean_of(plain, rest), plain, log, shown, None, index)

    def _selected(self, logits: Tensor, labels: Tensor, losses: Tensor, grown: float) -> Tensor:
        rho = self.rho[0] + (self.rho[1] - self.rho[0]) * grown
        most = (len(losses) * rho * self.targets.prior).ceil().clamp(min=1)
        sure = (labels * logits.softmax(1)).sum(1) > self.tau
        return smallest_by_class(losses, labels.argmax(1), most) | sure

    def _blended(self, weak: Tensor, labels: Tensor, chosen: Tensor, rely: Tensor, mixed: Mixed) -> Tensor:
        """Return the mean loss of the selected rows, each blended with a selected one."""
        own = chosen.nonzero().flatten()
        other = mixed.partner[chosen[mixed.partner]]
        share = larger_share(mixed.share)
        z = as_outputs(self.network(torch.cat([weak[own], weak[other]]), Folded(share))).logits
        each = cross_entropy(z, share * labels[own] + (1 - share) * labels[other])
        return mean_of(each, share * rely[own] + (1 - share) * rely[other])

    def after_update(self, batch: Batch, step: Step, progress: Progress) -> None:
        """Store the predictions of the weak view."""
        if not self.holding:
            assert step.outputs is not None
            self.targets.observe(batch, step.outputs, progress)

    def inference(self) -> Inference:
        """Return the network."""
        return Inference(self.network)
