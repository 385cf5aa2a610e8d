"""Losses of encoders as modules: the contrasts and the negative cosine of `longtail.functional`, and their knobs."""

from __future__ import annotations

from typing import Annotated

from torch import Tensor

from longtail import functional
from longtail.facts.knobs import Knob, NonNegative, Positive, Range
from longtail.facts.types import Progress
from longtail.functional.contrast import Gathered
from longtail.functional.info_nce import Keys
from longtail.losses.pair import PairLoss, check_projections
from longtail.losses.reduction import Reduction

BaseT = Annotated[float, Range(0, open_low=True, open_high=True)] | None


class NTXentLoss(PairLoss):
    """NT-Xent: each projection must find its partner among the 2N - 1 others; `functional.nt_xent`.

    Args:
        t: temperature > 0, scheduled or not (`cycle(0.1, 1.0, 5)` is TS's).
        reduction: "mean", "sum" or "none".

    Reference: Chen et al., A Simple Framework for Contrastive Learning of Visual Representations, ICML 2020, eq. 1.
    """

    t: Knob

    def __init__(self, *, t: Positive = 0.2, reduction: Reduction = "mean") -> None:
        super().__init__({"t": t}, reduction)

    def per_example(
        self,
        first: Tensor,
        second: Tensor,
        *,
        index: Tensor | None = None,
        gathered: Gathered | None = None,
        progress: Progress | None = None,
    ) -> Tensor:
        """Return the mean of the two anchors of every example, (N,).

        Args:
            first, second: projections of the two views (N, D).
            index: the training row of each example (N,); a row that is in the batch twice is no negative of itself.
            gathered: first (M, D), second (M, D) and index (M,) of other processes, further candidates.
            progress: epoch / epochs; required where t is a schedule.
        """
        check_projections(progress, first=first, second=second)
        return functional.nt_xent(first, second, self.knob("t", progress), index=index, gathered=gathered)


class FocalNTXentLoss(NTXentLoss):
    """Focal NT-Xent: anchors that find their partner easily weigh less; `functional.focal_nt_xent`.

    Args:
        t: temperature > 0, scheduled or not.
        gamma: >= 0, scheduled or not; 0 is `NTXentLoss`.
        reduction: "mean", "sum" or "none".

    Reference: as in `functional.focal_nt_xent`.
    """

    gamma: Knob

    def __init__(self, *, t: Positive = 0.2, gamma: NonNegative = 2.0, reduction: Reduction = "mean") -> None:
        PairLoss.__init__(self, {"t": t, "gamma": gamma}, reduction)

    def per_example(
        self,
        first: Tensor,
        second: Tensor,
        *,
        index: Tensor | None = None,
        gathered: Gathered | None = None,
        progress: Progress | None = None,
    ) -> Tensor:
        """Return the mean of the two anchors of every example, (N,); arguments as in `NTXentLoss`."""
        check_projections(progress, first=first, second=second)
        t, gamma = self.knob("t", progress), self.knob("gamma", progress)
        return functional.focal_nt_xent(first, second, t, gamma, index=index, gathered=gathered)


class InfoNCELoss(PairLoss):
    """InfoNCE: each query must find its key, among the batch's or a queue's; `functional.info_nce`.

    Args:
        t: temperature > 0, scheduled or not.
        reduction: "mean", "sum" or "none".

    Reference: as in `functional.info_nce`.
    """

    t: Knob

    def __init__(self, *, t: Positive = 0.2, reduction: Reduction = "mean") -> None:
        super().__init__({"t": t}, reduction)

    def per_example(
        self,
        queries: Tensor,
        keys: Tensor,
        *,
        index: Tensor | None = None,
        queue: Tensor | None = None,
        queue_index: Tensor | None = None,
        gathered: Keys | None = None,
        progress: Progress | None = None,
    ) -> Tensor:
        """Return the loss of every query, (N,).

        Args:
            queries, keys: projections of the same examples (N, D); detach the keys of a momentum network.
            index: the training row of each example (N,); a candidate of the same row is no negative.
            queue: older keys (M, D), then the only negatives; None for the other keys of the batch.
            queue_index: the training row of each place (M,), negative where it is empty.
            gathered: keys (M, D) and index (M,) of other processes; not with a queue.
            progress: epoch / epochs; required where t is a schedule.
        """
        check_projections(progress, queries=queries, keys=keys)
        t, more = self.knob("t", progress), {"queue": queue, "queue_index": queue_index}
        return functional.info_nce(queries, keys, t, index=index, gathered=gathered, **more)


class SupConLoss(PairLoss):
    """SupCon: rows of the same class attract each other, in two views; `functional.supervised_contrast`.

    Args:
        t: temperature > 0, scheduled or not.
        base_t: None for a factor of 1; the released code multiplies by t / base_t with base_t = 0.07.
        reduction: "mean", "sum" or "none".

    Reference: Khosla et al., Supervised Contrastive Learning, NeurIPS 2020, eq. 2.
    """

    t: Knob
    base_t: float | None

    def __init__(self, *, t: Positive = 0.1, base_t: BaseT = None, reduction: Reduction = "mean") -> None:
        super().__init__({"t": t, "base_t": base_t}, reduction)

    def per_example(
        self,
        first: Tensor,
        second: Tensor,
        targets: Tensor,
        *,
        gathered: Gathered | None = None,
        progress: Progress | None = None,
    ) -> Tensor:
        """Return the mean of the two anchors of every example, (N,).

        Args:
            first, second: projections of the two views (N, D).
            targets: classes (N,); an example with a negative one has its other view as the only positive.
            gathered: first (M, D), second (M, D) and targets (M,) of other processes, further candidates.
            progress: epoch / epochs; required where t is a schedule.
        """
        check_projections(progress, first=first, second=second)
        t = self.knob("t", progress)
        return functional.supervised_contrast(first, second, targets, t, base_t=self.base_t, gathered=gathered)


class NegativeCosineLoss(PairLoss):
    """The negative cosine of a prediction and its target, which the caller detaches; `functional.negative_cosine`.

    One direction: SimSiam's loss is the mean of both, BYOL's 2 + 2 l of each, summed.

    Args:
        reduction: "mean", "sum" or "none".

    Reference: Chen and He, Exploring Simple Siamese Representation Learning, CVPR 2021, eq. 1.
    """

    def __init__(self, *, reduction: Reduction = "mean") -> None:
        super().__init__({}, reduction)

    def per_example(self, predicted: Tensor, target: Tensor, *, progress: Progress | None = None) -> Tensor:
        """Return the loss of every example, (N,); progress is checked, and no knob reads it.

        Args:
            predicted, target: p and z (N, D).
            progress: epoch / epochs.
        """
        check_projections(progress, predicted=predicted, target=target)
        return functional.negative_cosine(predicted, target)
