"""Label-distribution-aware margins: the LDAM loss, and the hinge of which it is the smooth form."""

from __future__ import annotations

from abc import ABC
from typing import Any, Unpack

import torch
from torch import Tensor

from longtail import functional
from longtail.facts.knobs import NonNegative, NonNegativeFloat, Positive, Range
from longtail.facts.types import Progress
from longtail.functional.adjusted import Adjustment
from longtail.losses.adjusted import Adjusted
from longtail.losses.per_class import PerClass, per_class
from longtail.losses.scaled import Scaled
from longtail.losses.signature import Common


class MarginPerClass(Scaled, ABC):
    """A loss with margins Delta_j = max_margin r_j^exponent / max_k r_k^exponent, r_j = n'_j / n_j."""

    exponent: float
    test_prior: PerClass

    def __init__(
        self,
        class_counts: Any = None,
        *,
        max_margin: NonNegative = 0.5,
        scale: Positive = 30.0,
        exponent: NonNegativeFloat = 0.25,
        test_prior: PerClass = None,
        **common: Unpack[Common],
    ) -> None:
        own = {"max_margin": max_margin, "scale": scale, "exponent": exponent, "test_prior": test_prior}
        super().__init__(class_counts, own, **common)

    def statistics(self, counts: Tensor | None) -> dict[str, Tensor]:
        """Delta / max_margin, so that the margin may move with progress."""
        counts = self.counted(counts)
        relative = functional.ldam_margins(
            counts,
            1.0,
            exponent=self.exponent,
            test_prior=self._test_prior(counts),
            zero_count=self.zero_count,
            dtype=torch.float64,
        )
        return {"relative_margins": relative}

    def _test_prior(self, counts: Tensor) -> Tensor | None:
        if self.test_prior is None:
            return None
        prior = per_class("test_prior", self.test_prior, len(counts), Range(0, open_high=True), one_for_all=False)
        if not bool((prior[counts > 0] > 0).any()):
            raise ValueError(
                f"test_prior must be > 0 for a class with training examples, got {prior.tolist()}; pass the shares of "
                "the classes in the test data, or leave it out"
            )
        return prior

    def margins(self, like: Tensor, progress: Progress | None) -> Tensor:
        """Return Delta (C,)."""
        margins: Tensor = self.knob("max_margin", progress) * self.constant("relative_margins", like)
        return margins


class LDAMLoss(MarginPerClass, Adjusted):
    """l(z, y) = -log( e^(s (z_y - Delta_y)) / (e^(s (z_y - Delta_y)) + sum_{j != y} e^(s z_j)) ).

    Delta_j = max_margin n_j^(-1/4) / max_k n_k^(-1/4): rare classes must be right by more. The logits are
    cosines (`longtail.heads.CosineClassifier`); the scale s lives here, so predictions rank by s z and the
    probability model is softmax(s z). With `class_weight="effective"` and `reweight=switch(0.8, 0, 1)` it is
    LDAM-DRW.

    Args:
        class_counts: n (C,).
        max_margin: >= 0, scheduled or not; the margin of the rarest class. 0.5 for small data, 0.3 for
            iNaturalist.
        scale: s > 0, scheduled or not; 30 in the released code, absent from the paper.
        exponent: >= 0, in place of 1/4; 0 gives every class max_margin.
        test_prior: n' (C,), where the test data have known class shares that are not uniform: Delta_j grows with
            (n'_j / n_j)^(1/4). Numbers >= 0; only their ratios matter.
        common: as in `Loss`. With zero_count="mask" an empty class has no margin and is left out of the
            maximum.

    Reference: Cao et al., Learning Imbalanced Datasets with Label-Distribution-Aware Margin Loss, NeurIPS
    2019, section 3.2, eq. 12-13; eq. 15 for the test prior.
    """

    def adjustment(self, like: Tensor, progress: Progress | None) -> Adjustment:
        """b = s, t = -s Delta."""
        scale = self.knob("scale", progress)

        def make() -> Adjustment:
            return Adjustment(scale, true_offset=-scale * self.margins(like, progress))

        return self.cached("adjustment", like, (self.knob("max_margin", progress), scale), make)


class LDAMHingeLoss(MarginPerClass):
    """l(z, y) = s max( max_{j != y} z_j - z_y + Delta_y, 0 ).

    Delta_j = max_margin n_j^(-1/4) / max_k n_k^(-1/4), as in `LDAMLoss`, whose loss is the smooth form of this
    one. `exponent=0` gives the hinge with one margin for all (HG). The gradient vanishes where every
    example leads by its margin. The hinge has no probability model of its own: `probabilities` is
    softmax(s z).

    Args:
        class_counts: n (C,).
        max_margin: >= 0, scheduled or not; the margin of the rarest class.
        scale: s > 0, scheduled or not. The paper does not say how it scales or normalises the logits here.
        exponent, test_prior: as in `LDAMLoss`.
        common: as in `Loss`. With zero_count="mask" an empty class has no margin and is left out of the
            maximum.

    Reference: Cao et al., Learning Imbalanced Datasets with Label-Distribution-Aware Margin Loss, NeurIPS
    2019, section 3.2; run there on CIFAR-10 only, since it is hard to optimise with 100 classes.
    """

    def __init__(
        self,
        class_counts: Any = None,
        *,
        max_margin: NonNegative = 0.5,
        scale: Positive = 1.0,
        exponent: NonNegativeFloat = 0.25,
        test_prior: PerClass = None,
        **common: Unpack[Common],
    ) -> None:
        super().__init__(
            class_counts, max_margin=max_margin, scale=scale, exponent=exponent, test_prior=test_prior, **common
        )

    def losses(self, logits: Tensor, targets: Tensor, progress: Progress | None, features: Tensor | None) -> Tensor:
        """The hinge with the margins and the scale s of this progress."""
        margins, scale = self.margins(logits, progress), self.knob("scale", progress)
        return functional.hinge(logits, targets, margins, scale, ignore_index=self.ignore_index)
