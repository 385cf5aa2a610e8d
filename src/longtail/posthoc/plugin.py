"""The plug-in rule with the empirical threshold, as a rule on scores."""

from __future__ import annotations

from typing import Any, final

import torch
from torch import Tensor

from longtail.facts.counts import log_priors
from longtail.facts.fixed_dtype import FixedDtype
from longtail.posthoc.corrections import T, apply_to, prior_offsets, subtract_offsets


@final
class PluginThreshold(FixedDtype):
    """The plug-in rule: probabilities are compared with the shares of the classes in the training sample.

    predict argmax_y log eta_y(x) - log p_y, eta = softmax(scores), p_y = n_y / N

    Of two classes this is the second where eta > p, its own share, in place of 1/2. The same as `LogitAdjustment` with
    tau = 1, which came later; this one has nothing to set. Where the scores are those of a proper loss whose
    probabilities converge, its balanced error converges to the least.

    Args:
        counts: class counts (C,) of the training rows, or sums of their weights.
        zero_count: see `adjust_logits`.

    Reference: Menon, Narasimhan, Agarwal and Chawla 2013, "On the Statistical Consistency of Algorithms for Binary
    Classification under Class Imbalance", algorithm 1; for several classes, Menon et al. 2021.
    """

    offsets: Tensor

    def __init__(self, counts: Any, *, zero_count: str | float = "error") -> None:
        super().__init__()
        offsets = prior_offsets(log_priors(counts, zero_count), 1.0)
        self.register_buffer("offsets", offsets.to(torch.get_default_dtype()))

    def forward(self, scores: T) -> T:
        """Return scores minus log shares (N, C, d1..dk), like the scores: tensor or array."""
        return apply_to(scores, lambda z: subtract_offsets(z, self.offsets))

    def extra_repr(self) -> str:
        """Return the arguments for `repr`."""
        return f"classes={len(self.offsets)}"
