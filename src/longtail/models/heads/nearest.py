"""The nearest-class-mean classifier: no training, one mean per class."""

from __future__ import annotations

from typing import Annotated, Any, Self, final

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from longtail.facts import checks
from longtail.facts.fixed_dtype import widest_float
from longtail.facts.knobs import Choice, Range
from longtail.functional import widen
from longtail.models.heads.cosine import unit

FEATURES = Choice(("cl2n", "l2n", "un"))
SCORE = Choice(("l2", "cos", "dot"))
EMPTY = Choice(("error", "mask"))


@final
class NearestClassMean(nn.Module):
    """Scores by the distance of features to the mean feature of every class.

    f = (h - c) / ||h - c||,   mu_j = mean of f over class j,   z_j = -||f - mu_j||^2

    c is the mean training feature over examples (not over classes); the means are not rescaled to length 1. Examples
    may have weights, of which one of weight k counts as k examples.

    Args:
        in_features, out_features: D and C, so that `swap_head(model, NearestClassMean)` works.
        features: "cl2n" as above; "l2n": f = h / ||h||; "un": f = h.
        score: "l2" as above; "cos": the cosine of f and mu_j; "dot": <f, mu_j> / D, which the authors' code
            calls cos: there, longer means win more often.
        zero_count: "error" refuses a class without examples; "mask" never predicts it (score -inf).

    Shapes: features (..., D) -> scores (..., C), float32 or wider. Buffers `center` (D,), `means` (C, D) and
    `counts` (C,), examples of a weight above 0, are the whole state; it has no parameters.

    From tensors: `head.fit(features, targets)`. From batches, reading the data `head.passes` times (2 where
    the centre must be known first, else 1):

        for _ in range(head.passes):
            for features, targets in batches:
                head.update(features, targets)
            head.finish()

    Reference: Kang et al. 2020, "Decoupling Representation and Classifier", section 4, and its code.
    """

    center: Tensor
    means: Tensor
    counts: Tensor

    def __init__(
        self,
        in_features: int,
        out_features: int,
        *,
        features: Annotated[str, FEATURES] = "cl2n",
        score: Annotated[str, SCORE] = "l2",
        zero_count: Annotated[str, EMPTY] = "error",
    ) -> None:
        super().__init__()
        for name, value in (("in_features", in_features), ("out_features", out_features)):
            Range(1, integer=True).check(name, value)
        FEATURES.check("features", features)
        SCORE.check("score", score)
        EMPTY.check("zero_count", zero_count)
        self.in_features, self.out_features = in_features, out_features
        self.features, self.score, self.zero_count = features, score, zero_count
        self.register_buffer("center", torch.full((in_features,), torch.nan))
        self.register_buffer("means", torch.full((out_features, in_features), torch.nan))
        self.register_buffer("counts", torch.zeros(out_features, dtype=torch.int64))
        self.fitted = False
        self._pass_center: Tensor | None = None  # the centre, from the first of two passes
        self._pass_sums: Tensor | None = None  # sums of features in this pass, (C, D) float64
        self._pass_weights: Tensor | None = None  # their weights per class, (C,) float64
        self._pass_counts: Tensor | None = None  # examples per class in this pass, (C,)
        self._first_counts: Tensor | None = None  # and in the first pass

    @property
    def passes(self) -> int:
        """How many times the data are read: "cl2n" needs the centre before it can average."""
        return 2 if self.features == "cl2n" else 1

    def fit(self, features: Any, targets: Any, sample_weight: Any = None) -> Self:
        """Take the means of features (N, D), tensor or array, with class indices (N,) and weights (N,) or None."""
        self._pass_sums = self._pass_weights = self._pass_counts = self._pass_center = None
        for _ in range(self.passes):
            self.update(features, targets, sample_weight)
            self.finish()
        return self

    @torch.no_grad()
    def update(self, features: Any, targets: Any, sample_weight: Any = None) -> None:
        """Add a batch to the pass: features (B, D), class indices and weights (B,). A refused batch leaves no trace."""
        x, y = self._checked(torch.as_tensor(features), torch.as_tensor(targets))
        weight = self._weight(sample_weight, x)
        if self._pass_sums is None or self._pass_weights is None or self._pass_counts is None:
            self._pass_sums = x.new_zeros(self.out_features, self.in_features)
            self._pass_weights = x.new_zeros(self.out_features)
            self._pass_counts = y.new_zeros(self.out_features)
        if self._pass_center is not None or self.features == "l2n":
            x = unit(x if self._pass_center is None else x - self._pass_center)
        self._pass_sums.index_add_(0, y, x if sample_weight is None else weight[:, None] * x)
        self._pass_weights.index_add_(0, y, weight)
        self._pass_counts += torch.bincount(y[weight > 0], minlength=self.out_features)

    @torch.no_grad()
    def finish(self) -> None:
        """End the pass; after the last one the means are fitted."""
        sums, weights, counts = self._pass_sums, self._pass_weights, self._pass_counts
        if sums is None or weights is None or counts is None or not bool(counts.any()):
            raise ValueError("features must hold at least one example, got none; call update(features, targets) first")
        self._pass_sums = self._pass_weights = self._pass_counts = None
        if self.features == "cl2n" and self._pass_center is None:
            self._check_complete(counts)
            self._pass_center, self._first_counts = sums.sum(0) / weights.sum(), counts
            return
        first = self._first_counts
        if self._pass_center is not None and first is not None and not torch.equal(counts, first):
            self._pass_center = None
            raise ValueError(
                f"both passes must read the same examples, got {int(first.sum())} and {int(counts.sum())} of them, "
                "or other classes; read the data once each time, without a sampler or drop_last"
            )
        self._check_complete(counts)
        center = sums.sum(0) / weights.sum() if self._pass_center is None else self._pass_center
        self._pass_center = None
        self.center.copy_(center)
        self.means.copy_(sums / torch.where(counts > 0, weights, 1.0)[:, None])
        self.counts.copy_(counts)
        self.fitted = True

    def forward(self, features: Tensor) -> Tensor:
        """Scores (..., C), the larger the nearer."""
        if not self.fitted:
            raise ValueError(
                f'means must be fitted before use, "{self.features}" in {self.passes} pass(es); '
                "call fit(features, targets) on training features"
            )
        f = widen(features)
        center, means = self.center.to(f.dtype), self.means.to(f.dtype)
        if self.features != "un":
            f = unit(f - center if self.features == "cl2n" else f)
        elif self.score == "l2":
            f, means = f - center, means - center  # the same distances, without cancelling large numbers
        if self.score == "cos":
            scores = F.linear(unit(f), unit(means))
        elif self.score == "dot":
            scores = F.linear(f, means) / self.in_features
        else:
            squared = means.square().sum(1) + f.square().sum(-1, keepdim=True)
            scores = (2 * F.linear(f, means) - squared).clamp(max=0)
        return torch.where(self.counts > 0, scores, -torch.inf)

    def _checked(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        if x.ndim != 2 or x.shape[1] != self.in_features or not x.is_floating_point():
            raise ValueError(
                f"features must be floating-point of shape (N, {self.in_features}), got {x.dtype} of shape "
                f"{tuple(x.shape)}; pass the inputs of the head"
            )
        if y.shape != x.shape[:1] or y.is_floating_point() or y.dtype == torch.bool:
            raise ValueError(
                f"targets must be one class index per row of features, ({len(x)},), got {y.dtype} of shape "
                f"{tuple(y.shape)}; pass the labels of these rows"
            )
        checks.finite(x, "features")
        checks.targets(y, self.out_features)
        if bool((y < 0).any()):
            raise ValueError(f"targets must be >= 0, got {int(y.min())}; drop rows without a label")
        return x.to(widest_float(x.device)), y.long().to(x.device)

    @staticmethod
    def _weight(given: Any, x: Tensor) -> Tensor:
        if given is None:
            return torch.ones_like(x[:, 0])
        weight = torch.as_tensor(given)
        if weight.shape != x.shape[:1]:
            raise ValueError(
                f"sample_weight must be one weight per row of features, ({len(x)},), got shape {tuple(weight.shape)}; "
                "pass the weights of these rows"
            )
        checks.sample_weight(weight)
        return weight.to(x.device, x.dtype)

    def _check_complete(self, counts: Tensor) -> None:
        if self.zero_count == "error" and bool((counts == 0).any()):
            self._pass_center = None
            empty = ", ".join(map(str, torch.nonzero(counts == 0).flatten().tolist()[:8]))
            raise ValueError(
                f"every class must have an example, got none of class {empty}; add one, "
                'or pass zero_count="mask" never to predict it'
            )

    def _load_from_state_dict(self, *args: Any, **kwargs: Any) -> None:
        super()._load_from_state_dict(*args, **kwargs)
        self.fitted = not bool(torch.isnan(self.means).any())

    def extra_repr(self) -> str:
        """Return the arguments for `repr`."""
        return (
            f"in_features={self.in_features}, out_features={self.out_features}, features={self.features}, "
            f"score={self.score}"
        )
