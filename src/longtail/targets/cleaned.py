"""Labels that are corrected once an epoch where they are judged wrong: those of RoLT."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from longtail.facts.class_weights import named
from longtail.facts.fixed_dtype import FixedDtype
from longtail.facts.types import Batch, Outputs, Progress, Record, TrainingData
from longtail.functional.prototypes import judged_by_prototypes


class Cleaned(FixedDtype):
    """Before every epoch all labels are judged anew (`functional.prototypes`); those judged wrong are taught softly.

    q = onehot(y) for a row judged right, and for one judged wrong

        before `start`:  onehot(y)
        before `at`:     erm onehot(a) + ncm onehot(b) + given onehot(y) + rest / C
        then:            surrogate onehot(s) + rest / C; a row judged right has surrogate onehot(s) + rest onehot(y)

    a, b: arg max of the moving averages E <- m E + (1 - m) z of the network's logits and of those of the class
    prototypes, which begin with the first epoch's; s: y if judged right, else a, as it was in the first epoch from `at`
    on; rest: what the masses leave of 1. From the first of `start` and `at` on, the loss reads the class counts of the
    labels y or a as they are now, from `at` on those of s.

    From `at` on there are class weights w by the counts of s. q is then a mixture of 1 + C labels for each row: s, and
    for each class k either y or, of a row judged wrong, k; the weighted mean over the batch is taken for each of the
    1 + C by itself, sum_i w l / sum_i w, and these means are added by their masses.

    Where no row would be taught otherwise (start=1 or given=1, and at=1) the targets are the given labels, bit for bit,
    and rows are judged for the record alone.

    Memory: three (N, C) in float32; while rows are judged, two (N, C) and two (N, D) in float64.

    Args:
        targets: y (N,), class indices.
        classes: C.
        erm, ncm, given: masses in [0, 1] whose sum is at most 1.
        start: progress from which on rows judged wrong are taught otherwise; 1 never.
        momentum: m in [0, 1).
        at: progress from which on labels are frozen as s; 1 never.
        surrogate: mass in [0, 1].
        class_weight: w by name, "effective", "inverse" or "sqrt".
        smoothing: e; all rows learn (1 - e) q + e / C, as by a loss with label smoothing, which smooths no soft labels.
    """

    labels: Tensor
    erm: Tensor
    ncm: Tensor
    clean: Tensor
    frozen: Tensor
    kept: Tensor
    passes: Tensor
    late: Tensor
    weights: Tensor

    def __init__(
        self,
        targets: Tensor,
        classes: int,
        *,
        erm: float = 0.4,
        ncm: float = 0.2,
        given: float = 0.2,
        start: float = 0.4,
        momentum: float = 0.6,
        at: float = 1.0,
        surrogate: float = 0.5,
        class_weight: str = "effective",
        smoothing: float = 0.0,
    ) -> None:
        super().__init__()
        self.masses, self.start, self.momentum = (erm, ncm, given), start, momentum
        self.at, self.surrogate, self.smoothing = at, surrogate, smoothing
        self.class_weight = class_weight
        rows = len(targets)
        self.register_buffer("labels", self._smoothed(_hot(targets.long(), classes)))
        self.register_buffer("erm", torch.zeros(rows, classes))
        self.register_buffer("ncm", torch.zeros(rows, classes))
        self.register_buffer("clean", torch.ones(rows, dtype=torch.bool))
        self.register_buffer("frozen", torch.full((rows,), -1, dtype=torch.int64))
        self.register_buffer("passes", torch.zeros((), dtype=torch.int64))
        self.register_buffer("late", torch.zeros((), dtype=torch.bool))
        self.register_buffer("weights", torch.ones(classes))
        self.register_buffer("kept", torch.bincount(targets.long(), minlength=classes))

    @property
    def idle(self) -> bool:
        """Whether no row is ever taught anything but its given label."""
        return self.at >= 1 and (self.start >= 1 or self.masses[2] == 1)

    def forward(self, batch: Batch, outputs: Outputs, progress: Progress) -> tuple[Tensor, Tensor | None]:
        """Return q (B, C) of the rows, or their given labels (B,) where these are all that is ever taught.

        With class weights q_ik w_k is divided by its sum over k, which is returned as the row's weight (B,).
        """
        if self.idle:
            return batch["targets"], None
        q = self.labels[batch["index"]]
        if self.at >= 1:
            return q, None
        shares = self._weighted(batch)
        weight = shares.sum(1)
        shares = self._smoothed(shares / torch.where(weight > 0, weight, 1.0)[:, None])
        return torch.where(self.late, shares, q), torch.where(self.late, weight, 1.0)

    def _weighted(self, batch: Batch) -> Tensor:
        """Return what the losses l(z_i, k) of a batch count (B, C), of row weight 1; their mean over the rows is 1."""
        index, y, w = batch["index"], batch["targets"].long(), self.weights
        classes = torch.arange(len(w), device=w.device)
        clean, s = self.clean[index], self.frozen[index].clamp(min=0)
        rows = batch.get("sample_weight")
        rows = torch.ones_like(w[y]) if rows is None else rows.to(w.dtype)
        of_s = w[s] / _divisor((rows * w[s]).sum())
        sums = _divisor((rows * clean * w[y]).sum() + (rows * ~clean).sum() * w)  # (C,), of every class's term
        right = (y[:, None] == classes) * (w[y] * (1 / sums).sum())[:, None]
        rest = torch.where(clean[:, None], right, w / sums) / len(w)
        shares = self.surrogate * (s[:, None] == classes) * of_s[:, None] + (1 - self.surrogate) * rest
        return shares * rows.sum()

    def observe(self, batch: Batch, outputs: Outputs, progress: Progress) -> None:
        """Store nothing."""

    def refresh(self, data: TrainingData, progress: Progress) -> None:
        """Raise TypeError: rows are judged by a network."""
        raise TypeError("Cleaned needs the outputs of all rows, got none; let a SupervisedLearner call refresh_with")

    @torch.no_grad()
    def refresh_with(self, outputs: Callable[[], Outputs], rows: Any, progress: Progress) -> Tensor | None:
        """Judge all labels by the network's outputs, and return the class counts (C,) that the loss is to read.

        Raises:
            ValueError: the network gives no features (N, D).
        """
        logits, features, _ = outputs()
        if features is None or features.ndim != 2:
            got = "none" if features is None else f"shape {tuple(features.shape)}"
            raise ValueError(f"network must give features (N, D) of every row, got {got}; choose another base")
        classes = self.labels.shape[1]
        judged = judged_by_prototypes(features, rows.targets, classes, rows.sample_weight)
        self.clean.copy_(judged.clean)
        y = rows.targets.long().to(self.labels.device)
        self.kept.copy_(_sums(y, self.clean, classes))
        self._average(self.erm, logits)
        self._average(self.ncm, judged.logits)
        self.passes += 1
        if self.idle or progress < min(self.start, self.at):
            return None
        present = torch.where(self.clean, y, self.erm.argmax(1))
        if progress >= self.at:
            if not self.late:
                self.frozen.copy_(present)
            present = self.frozen
        self.labels.copy_(self._smoothed(self._taught(y, progress)))
        weight = rows.sample_weight
        counts = _sums(present, torch.ones_like(y) if weight is None else weight, classes)
        if progress >= self.at:
            self.weights.copy_(named(self.class_weight, counts, zero_count="mask", dtype=torch.float64))
            self.late.fill_(True)
        return counts

    def _average(self, average: Tensor, new: Tensor) -> None:
        new = new.float().to(average.device)
        if int(self.passes) == 0:
            average.copy_(new)
            return
        moved = self.momentum * average + (1 - self.momentum) * new
        average.copy_(torch.where(new.isinf(), new, moved))  # a class without rows has no prototype

    def _taught(self, y: Tensor, progress: Progress) -> Tensor:
        """Return q (N, C) from the first of `start` and `at` on."""
        classes, clean = self.labels.shape[1], self.clean[:, None]
        y_hot = _hot(y, classes)
        if progress >= self.at:
            rest = torch.where(clean, y_hot, 1 / classes)
            return self.surrogate * _hot(self.frozen, classes) + (1 - self.surrogate) * rest
        erm, ncm, given = self.masses
        soft = erm * _hot(self.erm.argmax(1), classes) + ncm * _hot(self.ncm.argmax(1), classes) + given * y_hot
        return torch.where(clean, y_hot, soft + (1 - erm - ncm - given) / classes)

    def _smoothed(self, q: Tensor) -> Tensor:
        return (1 - self.smoothing) * q + self.smoothing / q.shape[1] if self.smoothing else q

    def epoch_record(self) -> Record:
        """Return how many labels were judged right before this epoch, in all and of each class."""
        return {"clean": int(self.kept.sum()), "clean_per_class": self.kept.tolist()}

    def extra_repr(self) -> str:
        """Return the arguments for `repr`."""
        masses = "erm={}, ncm={}, given={}".format(*self.masses)
        return f"{masses}, start={self.start}, momentum={self.momentum}, at={self.at}, surrogate={self.surrogate}"


def _hot(labels: Tensor, classes: int) -> Tensor:
    return F.one_hot(labels, classes).float()


def _divisor(total: Tensor) -> Tensor:
    return torch.where(total > 0, total, 1.0)


def _sums(labels: Tensor, weight: Tensor, classes: int) -> Tensor:
    """Return the sum of the weights of every class (C,), on the CPU: a GPU adds in any order."""
    weight = weight.double().cpu()
    return weight.new_zeros(classes).index_add_(0, labels.cpu(), weight)
