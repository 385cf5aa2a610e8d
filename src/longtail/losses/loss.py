"""The one module behind every loss: adjust -> pointwise -> class weight -> reduce.

A paper's loss fills two slots: `losses`, a function out of `longtail.functional` that adjusts the logits and
takes the pointwise loss, and `statistics`, the constants per class that it needs. Targets, class and
sample weights, masks and reduction are here, once.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

import torch
from torch import Tensor

from longtail.facts.schedules import at
from longtail.facts.types import Progress
from longtail.functional import across, is_soft, of_target, smoothed, widen
from longtail.losses.configured import Configured
from longtail.losses.reduction import check_normalize, reduce
from longtail.losses.shapes import check_call, check_progress
from longtail.losses.weighting import class_weight_now, class_weight_of, sample_weight_of


class Loss(Configured, ABC):
    """A loss for classification with rare classes; called as `nn.CrossEntropyLoss` is.

    mean = sum_i s_i w_{y_i} l(z_i, y_i) / D over the positions that are not ignored. A soft target q means
    sum_k q_k w_k l(z, k), so mixup is the mixture of losses and label smoothing the soft target
    (1 - e) onehot + e / C.

    Args:
        class_counts: n (C,), where the loss or its class weight reads them; estimates need not be whole numbers. A
            dict, a Counter or a pandas Series is read by its keys (class indices, or names in the order of `classes`
            or else sorted), never by position. Labels are no counts: pass `longtail.class_counts(labels)`.
        class_weight: w; None for ones, a tensor (C,) as given, {class name: w} (names in `classes`, unnamed
            classes weigh 1), or "inverse", "sqrt", "effective" (beta 0.9999), which sum to C.
        reweight: r in [0, 1], w_j(p) = 1 + r(p) (w_j - 1); `switch(0.8, 0, 1)` defers the weights. r = 0 is
            bit for bit no weight.
        normalize: D; "weights": the sum of the weights omega = class weight x sample weight, for a soft
            target sum_k q_k w_k (torch divides by N for probabilities, and by sum w_y under label smoothing);
            "batch": the number of positions that count, one of sample weight k as k; or a number > 0.
        label_smoothing: e in [0, 1], for class indices.
        ignore_index: class index of positions that do not count.
        reduction: "mean", "sum" (not divided) or "none" (shaped as class indices are).
        zero_count: a class without examples is an error where a formula divides by its count or takes its
            log, unless "mask" (it gets no margin, a named weight of 0, or is `outside` where its log is
            needed) or a number > 0 that replaces its count.
        classes: names of the classes, for counts or a `class_weight` by name; `from_labels` fills them in.

    Shapes: logits (N, C, d1..dk); targets, class indices (N, d1..dk) or probabilities (N, C, d1..dk).

    A loss computes in float32, or float64 for float64 logits, under autocast too. Shapes and dtypes are
    checked on every call, values only inside `longtail.checks.strict()`. Move the loss with the model: from
    another device its constants are copied on every call.
    """

    needs: ClassVar[frozenset[str]] = frozenset()

    @property
    def link(self) -> str:
        """The function from scores to probabilities: "softmax", or "sigmoid" for sums of binary losses."""
        return "softmax"

    @property
    def logit_scale(self) -> float:
        """The factor from logits to scores at the end of training: 30 for margin losses on cosines, else 1."""
        return float(self.scores(torch.ones(1, 1), progress=1.0))

    @abstractmethod
    def losses(self, logits: Tensor, targets: Tensor, progress: Progress | None, features: Tensor | None) -> Tensor:
        """Slot: l(z, y) per position, linear in soft targets, 0 where the class index is `ignore_index`."""

    def weighted(
        self,
        logits: Tensor,
        targets: Tensor,
        weight: Tensor,
        progress: Progress | None,
        features: Tensor | None,
    ) -> tuple[Tensor, Tensor]:
        """Slot: w_y l(z, y) and the weight w_y of every position, or sum_k q_k w_k l(z, k) and sum_k q_k w_k.

        A loss that does more with the class weight than multiply overrides it.
        """
        omega = class_weight_of(targets, weight, self.ignore_index)
        if is_soft(targets):
            return self.losses(logits, targets * across(weight, logits), progress, features), omega
        return self.losses(logits, targets, progress, features) * omega, omega

    def scores(self, logits: Tensor, progress: Progress | None = None) -> Tensor:
        """Return what to rank classes and adjust by."""
        return logits

    def probabilities(self, logits: Tensor, progress: Progress | None = None) -> Tensor:
        """Return the loss's model of P(class): the softmax of the scores."""
        return torch.softmax(widen(self.scores(logits, progress)), 1)

    def forward(
        self,
        logits: Tensor,
        targets: Tensor,
        *,
        features: Tensor | None = None,
        sample_weight: Tensor | None = None,
        progress: Progress | None = None,
        normalize: str | float | Tensor | None = None,
    ) -> Tensor:
        """Return the reduced loss, a scalar (unless reduction="none").

        Args:
            logits: (N, C, d1..dk).
            targets: class indices (N, d1..dk) or probabilities (N, C, d1..dk).
            features: (N, D), the input of the head; for losses whose `needs` name it.
            sample_weight: s >= 0, (N,) or (N, d1..dk).
            progress: epoch / epochs, a float or a 0-dim tensor; required where a knob is a schedule.
            normalize: for this call, instead of the constructor's.

        Raises:
            TypeError: a scheduled knob without progress, or a dtype that does not fit.
            ValueError: shapes that do not fit, multi-hot targets, progress outside [0, 1].
        """
        if normalize is None:
            normalize = self.normalize
        else:
            check_normalize(normalize)
        self._check(logits, targets, sample_weight, features, progress)
        if sample_weight is None and self.reduction != "none":
            loss = self.reduced(logits, targets, progress, normalize)
            if loss is not None:
                return loss
        losses, omega, share = self._weigh(logits, targets, features, sample_weight, progress)
        return reduce(losses, omega, self.kept(targets) if share is None else share, self.reduction, normalize)

    def reduced(
        self, logits: Tensor, targets: Tensor, progress: Progress | None, normalize: str | float | Tensor
    ) -> Tensor | None:
        """Slot: the mean or the sum without sample weights, where that takes less than `terms`; else None."""
        return None

    def with_losses(
        self,
        logits: Tensor,
        targets: Tensor,
        *,
        features: Tensor | None = None,
        sample_weight: Tensor | None = None,
        progress: Progress | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Return the mean (or sum) and the per-example losses behind it, from one evaluation."""
        terms = self.terms(logits, targets, features=features, sample_weight=sample_weight, progress=progress)
        return reduce(*terms, self.reduction, self.normalize), terms[0]

    def per_example(
        self,
        logits: Tensor,
        targets: Tensor,
        *,
        features: Tensor | None = None,
        sample_weight: Tensor | None = None,
        progress: Progress | None = None,
    ) -> Tensor:
        """Return s_i w_{y_i} l(z_i, y_i), (N, d1..dk): weighted, not normalised, 0 where ignored."""
        self._check(logits, targets, sample_weight, features, progress)
        return self._weigh(logits, targets, features, sample_weight, progress)[0]

    def kept(self, targets: Tensor) -> Tensor:
        """Return which positions count, bool (N, d1..dk): not ignored, nor of a class that is `outside`."""
        if is_soft(targets):
            return torch.ones_like(targets.select(1, 0), dtype=torch.bool)
        targets = targets.long()  # in uint8, -100 would be 156
        kept = targets != self.ignore_index
        if self.outside is None:
            return kept
        return kept & ~of_target(self.outside.to(targets.device), targets, self.ignore_index)

    def terms(
        self,
        logits: Tensor,
        targets: Tensor,
        *,
        features: Tensor | None = None,
        sample_weight: Tensor | None = None,
        progress: Progress | None = None,
    ) -> tuple[Tensor, Tensor | None, Tensor]:
        """Return weighted losses, their weights omega (None: ones) and as how many rows each position counts.

        These are what `reduce` divides: for criteria that compose several losses.
        """
        self._check(logits, targets, sample_weight, features, progress)
        losses, omega, share = self._weigh(logits, targets, features, sample_weight, progress)
        return losses, omega, self.kept(targets) if share is None else share

    def _weigh(
        self,
        logits: Tensor,
        targets: Tensor,
        features: Tensor | None,
        sample_weight: Tensor | None,
        progress: Progress | None,
    ) -> tuple[Tensor, Tensor | None, Tensor | None]:
        """Return weighted losses, their weights omega and the sample weights where they count; None for ones."""
        z = widen(logits)
        targets = targets.to(z.dtype) if is_soft(targets) else targets.long()
        kept = None if self.outside is None and sample_weight is None else self.kept(targets)
        if not is_soft(targets):
            if self.outside is not None and kept is not None:
                targets = torch.where(kept, targets, self.ignore_index)
            if self.label_smoothing > 0:
                targets = smoothed(targets, z.shape[1], self.label_smoothing, z.dtype, self.ignore_index)
        weight, omega = self._class_weight(z, progress), None
        if weight is None:
            losses = self.losses(z, targets, progress, features)
        else:
            losses, omega = self.weighted(z, targets, weight, progress, features)
        if sample_weight is None or kept is None:
            return losses, omega, None
        share = sample_weight_of(sample_weight, kept, z.dtype)
        return losses * share, share if omega is None else omega * share, share  # a row of weight k counts as k rows

    def _class_weight(self, like: Tensor, progress: Progress | None) -> Tensor | None:
        if not self.weighed:
            return None
        r = at(self.reweight, progress, "reweight")

        def now() -> Tensor | None:
            weight = None if self.class_weight is None else self.constant("class_weight", like)
            return class_weight_now(weight, r, self.outside, like)

        return self.cached("class_weight_now", like, (r,), now)

    def _check(
        self,
        logits: Tensor,
        targets: Tensor,
        sample_weight: Tensor | None,
        features: Tensor | None,
        progress: Progress | None,
    ) -> None:
        check_call(logits, targets, sample_weight, self._size, self.ignore_index)
        check_progress(progress)
        if "features" in self.needs and features is None:
            raise TypeError(f"{type(self).__name__} reads features, got None; pass the input of the head, (N, D)")
        if progress is None:
            for name in self._scheduled:
                at(getattr(self, name), None, name)
