"""Rules: corrections of scores as modules, saved with their model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self, final

import numpy as np
import torch
from torch import Tensor

from longtail.facts.counts import log_priors
from longtail.facts.fixed_dtype import FixedDtype
from longtail.facts.knobs import NonNegativeFloat, Range
from longtail.posthoc.choice import OBJECTIVE, Goal, best_tau, checked_grid
from longtail.posthoc.corrections import (
    T,
    apply_to,
    prior_offsets,
    prior_shift,
    subtract_offsets,
)
from longtail.posthoc.decisions.costs import class_index, read_cost
from longtail.posthoc.decisions.objectives import objective

TAUS = tuple(round(0.05 * k, 2) for k in range(61))
"""0, 0.05, ..., 3: the default grid of a tuned tau."""


class _Rule(FixedDtype):
    """Scores (N, C, d1..dk) minus offsets (C,); the offsets and tau () are buffers that keep their dtype."""

    tau: Tensor
    offsets: Tensor

    def __init__(self, tau: float, offsets: Tensor) -> None:
        super().__init__()
        dtype = torch.get_default_dtype()
        self.register_buffer("tau", torch.tensor(tau, dtype=dtype))
        self.register_buffer("offsets", offsets.to(dtype))

    def forward(self, scores: T) -> T:
        """Return adjusted scores, like the scores: tensor or array."""
        return apply_to(scores, lambda z: subtract_offsets(z, self.offsets))


@final
class LogitAdjustment(_Rule):
    """Post-hoc logit adjustment as a module: `adjust_logits` with its prior saved in the state_dict.

    Args:
        counts, tau, zero_count: see `adjust_logits`.
    """

    def __init__(self, counts: Any, *, tau: NonNegativeFloat = 1.0, zero_count: str | float = "error") -> None:
        super().__init__(tau, prior_offsets(log_priors(counts, zero_count), tau))

    def extra_repr(self) -> str:
        """Return the arguments for `repr`."""
        return f"tau={float(self.tau):g}, classes={len(self.offsets)}"


@final
class TunedLogitAdjustment(_Rule):
    """Post-hoc logit adjustment with tau chosen on validation data.

    tau* = argmax over the grid of metric(argmax_j z_j - (tau - trained) log pi_j); ties go to the smallest tau.

    Args:
        counts, zero_count: see `adjust_logits`.
        taus: the grid, by default 0, 0.05, ..., 3.
        trained: the tau of the loss that the network was trained with: the rule adds what is missing to the chosen
            tau, or takes off what is too much. 0 for plain training.
        metric: what tau is chosen for, as `Decision` reads objectives: "balanced_accuracy" (mean recall of the classes
            that the validation part has), "macro_f1", "mcc", "fbeta(2)", "recall>=0.9", "cost", ...
        cost: of the objective "cost"; see `read_cost`. What names classes needs `name_classes` before `fit`.
        positive: name or index of the class of an objective of one class; None is the one with the fewest counts.

    The chosen `tau` is a buffer: it is saved with the model and restored by `load_state_dict`.
    """

    def __init__(
        self,
        counts: Any,
        *,
        taus: Sequence[float] = TAUS,
        trained: NonNegativeFloat = 0.0,
        metric: Goal = "balanced_accuracy",
        cost: Any = None,
        positive: str | int | None = None,
        zero_count: str | float = "error",
    ) -> None:
        OBJECTIVE.check("metric", metric)
        if (objective(metric).name == "cost") != (cost is not None):
            raise ValueError(f'metric "cost" and cost go together, got metric={metric!r}; pass both or none')
        Range(0, open_high=True).check("trained", trained)
        grid = checked_grid(taus, "0, 0.05, ..., 3")
        log_prior = log_priors(counts, zero_count)
        super().__init__(torch.nan, torch.full_like(log_prior, torch.nan))
        self.taus, self.trained, self.metric = grid, trained, str(objective(metric))
        self.log_prior: Tensor = log_prior
        self.cost, self._positive = cost, positive
        self.classes: tuple[str, ...] = tuple(str(j) for j in range(len(log_prior)))
        self.fitted = False

    def name_classes(self, classes: Sequence[str]) -> None:
        """Take the names of the classes, by which costs and the positive class may be given."""
        self.classes = tuple(classes)

    @property
    def positive(self) -> int:
        """The class of an objective of one class."""
        if self._positive is None:
            return int(self.log_prior.argmin())
        return class_index(self._positive, self.classes, "positive")

    @property
    def arguments(self) -> dict[str, Any]:
        """What it was chosen for, of JSON values; the rest of its state is in its buffers."""
        if self.metric == "balanced_accuracy":
            return {}
        cost = self.cost if self.cost is None or isinstance(self.cost, str) else np.asarray(self.cost).tolist()
        return {"metric": self.metric, "cost": cost, "positive": self._positive}

    @torch.no_grad()
    def fit(
        self,
        scores: Tensor | np.ndarray,
        targets: Tensor | np.ndarray,
        *,
        sample_weight: Tensor | np.ndarray | None = None,
    ) -> Self:
        """Choose tau.

        Args:
            scores: (N, C) of the validation part, unadjusted.
            targets: (N,) class indices.
            sample_weight: (N,) >= 0; a weight k is k copies of the row.

        Raises:
            ValueError: no rows, rows of another number than targets, scores that are not finite, a target
                outside [0, C).
        """

        def adjusted(z: Tensor, tau: float) -> Tensor:
            return subtract_offsets(z, prior_shift(self.log_prior, tau - self.trained))

        goal = objective(self.metric)
        chosen = best_tau(
            scores,
            targets,
            len(self.offsets),
            self.taus,
            adjusted,
            goal,
            sample_weight=sample_weight,
            positive=None if goal.of_all else self.positive,
            cost=None if goal.name != "cost" else read_cost(self.cost, self.classes, self.positive),
        )
        self.tau.fill_(chosen)
        self.offsets.copy_(prior_shift(self.log_prior, chosen - self.trained))
        self.fitted = True
        return self

    def forward(self, scores: T) -> T:
        """Return adjusted scores, like the scores: tensor or array."""
        if not self.fitted:
            raise ValueError("tau must be chosen before use; call fit(scores, targets) on validation data first")
        return super().forward(scores)

    def _load_from_state_dict(self, *args: Any, **kwargs: Any) -> None:
        super()._load_from_state_dict(*args, **kwargs)
        self.fitted = not bool(torch.isnan(self.tau))

    def extra_repr(self) -> str:
        """Return the arguments for `repr`."""
        return f"tau={float(self.tau):g}, metric={self.metric}, classes={len(self.offsets)}"
