"""`Decision`: from log-probabilities to scores of which the largest decides, saved with the model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Self, final

import numpy as np
import torch
from torch import Tensor

from longtail.facts.fixed_dtype import FixedDtype
from longtail.facts.knobs import Choice
from longtail.facts.messages import quoted
from longtail.posthoc.corrections import T, apply_to, checked_scores, move_threshold
from longtail.posthoc.decisions import scores, words
from longtail.posthoc.decisions.choose import Goal
from longtail.posthoc.decisions.costs import check_cost, class_index
from longtail.posthoc.decisions.found import fitted_choice, given_rule
from longtail.posthoc.decisions.given import Thresholds, check_together, one_or_all
from longtail.posthoc.decisions.objectives import Objective
from longtail.posthoc.decisions.rows import LEAST, Floats, weighted_rows

RULE = Choice(("bayes", "row-sums"))


@final
class Decision(FixedDtype):
    """Decide one class from probabilities: by costs, for an objective, or by given thresholds; one of the three.

    cost, rule "bayes": argmin_j sum_i p_i Cost[i, j]. Of classes that cost the same the more probable one.
    cost, rule "row-sums": argmax_k p_k sum_j Cost[k, j], threshold moving; see `move_threshold`.
    objective of two classes, or of one class against the rest: that class where p >= t, otherwise the most probable of
    the rest. objective of more classes: argmax_j log p_j + b_j, C - 1 of the offsets free. Both are chosen by `fit`.
    thresholds of one class: that class where p >= t, otherwise the most probable of the rest; of all classes:
    argmax_j p_j / t_j, where a threshold of 0 comes before all others.

    With costs the probabilities must be good: calibrated, and for the class shares where the model is used. An
    objective is chosen on decisions, and needs only their order.

    Args:
        classes: names of the C classes, or C.
        cost: (C, C), Cost[i, j] >= 0 of calling an example of class i a j; see `read_cost`. "row-sums" needs a
            diagonal of 0.
        rule: "bayes" or "row-sums".
        objective: "balanced_accuracy", "accuracy", "macro_f1", "weighted_f1", "mcc", "g_mean"; of the positive class
            "f1", "fbeta(2)", "recall>=0.9" (the highest threshold that reaches it), "precision>=0.8" (the largest
            recall with it), "alarms<=1%" (the lowest threshold with at most this share of the rows), "alarms<=100" (at
            most so many of the rows that are decided together: those with the highest p); "cost" (of `cost`, for
            probabilities that are not calibrated).
        thresholds: {class: threshold} of one or of all classes, or C numbers, in [0, 1].
        positive: name or index of the class that an objective of one class is about.

    `fit` also estimates what the decision is worth on rows that it was not chosen on: `found`.

    Raises:
        ValueError: none or several of cost, objective and thresholds; one that is out of its range.

    Reference: Elkan 2001, "The Foundations of Cost-Sensitive Learning", section 1; Zhou and Liu 2006, "Training
    Cost-Sensitive Neural Networks with Methods Addressing the Class Imbalance Problem", section 2.3.
    """

    cut: Tensor
    offsets: Tensor
    support: Tensor

    def __init__(
        self,
        classes: Sequence[str] | int,
        *,
        cost: Any = None,
        rule: str = "bayes",
        objective: str | Objective | None = None,
        thresholds: Thresholds | None = None,
        positive: str | int | None = None,
    ) -> None:
        super().__init__()
        RULE.check("rule", rule)
        self.classes = tuple(str(j) for j in range(classes)) if isinstance(classes, int) else tuple(map(str, classes))
        if len(self.classes) < 2:
            raise ValueError(f"classes must be at least two, got {quoted(classes)}; name all classes")
        self.positive = None if positive is None else class_index(positive, self.classes, "positive")
        self.objective = check_together(cost, rule, objective, thresholds, self.classes, self.positive)
        self.rule, self.cost = rule, None if cost is None else check_cost(cost, len(self.classes), self.classes)
        if self.cost is not None and rule == "row-sums":
            move_threshold(np.full((1, len(self.classes)), 1 / len(self.classes)), self.cost)  # refuses a diagonal
        self.thresholds = None if thresholds is None else one_or_all(thresholds, self.classes)
        unknown = torch.full((len(self.classes),), torch.nan, dtype=torch.float64)
        self.register_buffer("cut", torch.tensor(torch.nan, dtype=torch.float64))
        self.register_buffer("offsets", unknown)
        self.register_buffer("support", unknown.clone())
        self.found: dict[str, Any] | None = None
        """What the last `fit` found, of JSON values: the threshold or the offsets with their intervals; `value`,
        `argmax` (of the largest probability) and `gain` (how much better, above 0) with 95 % intervals, cross-fitted in
        `folds`; `condition`, what is reached of an objective such as recall>=0.9; `neutral`, classes without rows."""

    @property
    def chosen_by_fit(self) -> bool:
        """Whether it decides only once it is fitted: an objective, but for a number of alarms."""
        return self.objective is not None and not self.objective.top

    @property
    def fitted(self) -> bool:
        """Whether it can decide."""
        return not self.chosen_by_fit or not bool(self.cut.isnan() & self.offsets.isnan().any())

    def fit(self, log_probs: Any, targets: Any, *, sample_weight: Any = None, seed: int = 0) -> Self:
        """Choose thresholds or offsets on validation rows, and estimate what the decision is worth.

        Equal rows count as one with the sum of their weights: a weight k is k copies of the row, exactly.

        Args:
            log_probs: (N, C) of rows that the model was not trained on, tensor or array.
            targets: (N,) class indices.
            sample_weight: (N,) >= 0; None is 1 for every row.
            seed: of the folds and of the resamples of the intervals.

        Raises:
            ValueError: rows that do not fit; an objective that no threshold meets on these rows, with the best that can
                be had.
        """
        given = (_array(log_probs), _array(targets), None if sample_weight is None else _array(sample_weight))
        rows = weighted_rows(*given, len(self.classes))
        self.support.copy_(torch.from_numpy(rows.support()))
        if self.chosen_by_fit:
            assert self.objective is not None
            goal = Goal.of(self.objective, len(self.classes), self.positive, self.cost)
            chosen, self.found = fitted_choice(rows, goal, self.classes, seed)
            self.cut.fill_(torch.nan if chosen.cut is None else chosen.cut)
            self.offsets.copy_(torch.full_like(self.offsets, torch.nan))
            if chosen.offsets is not None:
                self.offsets.copy_(torch.from_numpy(chosen.offsets))
        elif self.thresholds is None:
            objective = self.objective or Objective("cost")
            goal = Goal(objective, self.positive, self.cost)
            self.found = given_rule(rows, goal, self.classes, seed, self._decide)
        return self

    def forward(self, log_probs: T) -> T:
        """Return scores (N, C) float64, of which the largest decides, like the log-probabilities: tensor or array.

        Log-probabilities need not be normalised. Expected costs, with the sign changed, are scores of rule "bayes".

        Raises:
            ValueError: not fitted; log-probabilities of another number of classes, or with NaN.
        """
        if not self.fitted:
            raise ValueError(
                f"objective {self.objective} must be fitted before use; call fit(log_probs, targets) on validation rows"
            )
        return apply_to(log_probs, self._scores)

    def _scores(self, log_probs: Tensor) -> Tensor:
        p = checked_scores(log_probs, len(self.classes), "log_probs").to(torch.float64).log_softmax(1)
        if bool(p.isnan().any()):
            raise ValueError("log_probs must be log-probabilities, got NaN, inf or a row of -inf only; check the model")
        p = p.clamp(min=LEAST)
        if self.objective is not None:
            if self.objective.top:
                assert self.positive is not None
                return scores.top(p, self.positive, int(self.objective.bound))
            if bool(self.cut.isnan()):
                return p + self.offsets.to(p.device)
            return scores.cut(p, self._threshold_class, self.cut.to(p.device))
        if self.thresholds is not None:
            if isinstance(self.thresholds, dict):
                ((k, threshold),) = self.thresholds.items()
                return scores.cut(p, k, torch.tensor(scores.logit(threshold), dtype=p.dtype, device=p.device))
            return scores.ratios(p, torch.tensor(self.thresholds, dtype=p.dtype, device=p.device))
        cost = torch.as_tensor(self.cost, dtype=p.dtype, device=p.device)
        return scores.bayes(p, cost) if self.rule == "bayes" else scores.row_sums(p, cost)

    def _decide(self, log_probs: Floats) -> np.ndarray:
        return self._scores(torch.from_numpy(log_probs)).argmax(1).numpy()

    @property
    def _threshold_class(self) -> int:
        """The class of `cut`: of two classes, where none is meant, the second."""
        return 1 if self.positive is None else self.positive

    @property
    def words(self) -> str:
        """The rule in words, on one line."""
        goal = self.objective
        if goal is not None:
            if goal.top:
                return words.of_top(self.classes[self._threshold_class], goal)
            if not self.fitted:
                return f"not yet chosen for {goal}"
            if bool(self.cut.isnan()):
                return words.of_offsets(self.offsets.numpy(force=True), self.classes, goal, self._support())
            threshold = scores.probability(float(self.cut))
            missing = [name for name, n in zip(self.classes, self._support(), strict=True) if n == 0]
            name = self.classes[self._threshold_class]
            return words.of_threshold(name, threshold, goal) + words.neutral(missing)
        if isinstance(self.thresholds, dict):
            ((k, threshold),) = self.thresholds.items()
            return words.of_threshold(self.classes[k], threshold)
        if self.thresholds is not None:
            return words.of_ratios(self.thresholds, self.classes)
        assert self.cost is not None
        return words.of_cost(self.cost, self.rule, self.classes)

    def _support(self) -> Floats:
        return np.asarray(self.support.numpy(force=True))

    @property
    def arguments(self) -> Mapping[str, Any]:
        """The arguments of the constructor, of JSON values."""
        thresholds: Any = self.thresholds
        if isinstance(thresholds, dict):
            thresholds = {self.classes[k]: t for k, t in thresholds.items()}
        return {
            "classes": list(self.classes),
            "cost": None if self.cost is None else self.cost.tolist(),
            "rule": self.rule,
            "objective": None if self.objective is None else str(self.objective),
            "thresholds": list(thresholds) if isinstance(thresholds, tuple) else thresholds,
            "positive": self.positive,
        }

    def extra_repr(self) -> str:
        """Return the words for `repr`."""
        return self.words


def _array(values: Any) -> np.ndarray:
    return values.numpy(force=True) if isinstance(values, Tensor) else np.asarray(values)
