"""Post-hoc rules and decisions of a saved model as plain float32 modules, without checks, which no graph can have."""

from __future__ import annotations

import copy
from typing import final

import torch
from torch import Tensor, nn

from longtail.posthoc import Decision, ThresholdMoving
from longtail.posthoc.decisions import scores

LEAST = 1e-30
"""How far from a threshold a row counts that is on it, above 0 in float32."""


@final
class Affine(nn.Module):
    """(z - offset) / divisor, by class: logit adjustment and tau-normalisation."""

    offset: Tensor
    divisor: Tensor

    def __init__(self, offset: Tensor, divisor: Tensor) -> None:
        super().__init__()
        self.register_buffer("offset", offset.detach().clone().float())
        self.register_buffer("divisor", divisor.detach().clone().float())

    def forward(self, z: Tensor) -> Tensor:
        """Return adjusted scores (N, C)."""
        return (z - self.offset) / self.divisor


@final
class Bayes(nn.Module):
    """-sum_i p_i Cost[i, j] of log-probabilities: minus the expected costs."""

    cost: Tensor

    def __init__(self, cost: Tensor) -> None:
        super().__init__()
        self.register_buffer("cost", cost.float())

    def forward(self, logs: Tensor) -> Tensor:
        """Return scores (N, C)."""
        p = logs.exp()
        return -(p @ self.cost) + scores.TIE * self.cost.max() * p


@final
class Moved(nn.Module):
    """softmax(z)_k w_k / sum over classes, w_k the row sums of a cost matrix: Zhou and Liu's rule."""

    weight: Tensor

    def __init__(self, cost: Tensor) -> None:
        super().__init__()
        self.register_buffer("weight", cost.sum(1).float())

    def forward(self, z: Tensor) -> Tensor:
        """Return moved probabilities (N, C), as they are where all weights of a row's classes are 0."""
        p = z.softmax(1)
        products = p * self.weight
        mass = products.sum(1, keepdim=True)
        return torch.where(mass > 0, products / mass.clamp(min=torch.finfo(p.dtype).tiny), p)


@final
class Cut(nn.Module):
    """One class is decided from certain log-odds on, else the most probable other one; see `decisions.scores.cut`."""

    chosen: Tensor

    def __init__(self, positive: int, at: float, num_classes: int) -> None:
        super().__init__()
        self.at = at
        self.register_buffer("chosen", torch.arange(num_classes) == positive)

    def forward(self, logs: Tensor) -> Tensor:
        """Return scores (N, C)."""
        others = torch.where(self.chosen, -torch.inf, logs)
        odds = torch.where(self.chosen, logs, 0.0).sum(1, keepdim=True) - others.logsumexp(1, keepdim=True)
        called = odds >= self.at
        distance = (odds - self.at).abs().clamp(min=LEAST)
        rest = others - others.amax(1, keepdim=True)
        return torch.where(self.chosen, torch.where(called, distance, -distance), rest)


@final
class Calibrated(nn.Module):
    """The calibration of a model on log-probabilities, without the checks of its forward."""

    def __init__(self, calibration: nn.Module) -> None:
        super().__init__()
        self.calibration = copy.deepcopy(calibration)

    def forward(self, logs: Tensor) -> Tensor:
        """Return calibrated log-probabilities (N, C)."""
        calibrated: Tensor = self.calibration._calibrated(logs.double().log_softmax(1))  # type: ignore[operator]
        return calibrated.float()


def own_rule(rule: nn.Module | None) -> nn.Module | None:
    """Return the post-hoc rule of a model on its scores.

    Raises:
        ValueError: a rule that is not known here.
    """
    if rule is None:
        return None
    if isinstance(rule, ThresholdMoving):
        return Moved(rule.matrix)
    if isinstance(offsets := getattr(rule, "offsets", None), Tensor):
        return Affine(offsets, torch.ones_like(offsets))
    if isinstance(lengths := getattr(rule, "lengths", None), Tensor):
        return Affine(rule.bias, lengths.pow(rule.tau))  # type: ignore[arg-type]
    raise ValueError(
        f"the post-hoc rule {type(rule).__name__} cannot be exported, since it is no function of one row; use "
        "lt.load(folder) in Python"
    )


def decision(rule: nn.Module | None) -> nn.Module | None:
    """Return the decision of a model on log-probabilities.

    Raises:
        ValueError: one that compares the rows of a batch with each other (a number of alarms), or that is not known.
    """
    if rule is None:
        return None
    if not isinstance(rule, Decision) or (rule.objective is not None and rule.objective.top):
        raise ValueError(
            f"the decision cannot be exported, since it is no function of one row ({getattr(rule, 'words', rule)}); "
            "use lt.load(folder) in Python, or train or load the model with another decision"
        )
    size = len(rule.classes)
    if rule.objective is not None:
        if bool(rule.cut.isnan()):
            return Affine(-rule.offsets, torch.ones(size))
        return Cut(1 if rule.positive is None else rule.positive, float(rule.cut), size)
    if isinstance(rule.thresholds, dict):
        ((k, threshold),) = rule.thresholds.items()
        return Cut(k, scores.logit(threshold), size)
    if rule.thresholds is not None:
        none = torch.zeros(1, size, dtype=torch.float64)
        return Affine(-scores.ratios(none, torch.tensor(rule.thresholds, dtype=torch.float64))[0], torch.ones(size))
    cost = torch.as_tensor(rule.cost, dtype=torch.float64)
    return Bayes(cost) if rule.rule == "bayes" else Moved(cost)
