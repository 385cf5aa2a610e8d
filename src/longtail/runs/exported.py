"""A trained model as a plain module: prepared inputs in, probabilities and deciding scores out, nothing else needed."""

from __future__ import annotations

import copy
from typing import Any, final

import torch.nn.functional as F
from torch import Tensor, nn

from longtail.facts.types import as_outputs
from longtail.learners import FittedEstimator
from longtail.models.network import Network
from longtail.runs import exported_rules, priors
from longtail.runs.predictions import check_prior, rule_under
from longtail.runs.predictor import Predictor

OUTPUTS = ("probabilities", "scores")
"""What an exported model returns, in this order."""


@final
class Exported(nn.Module):
    """inputs (N, ...) -> probabilities (N, C) and scores (N, C), both float32; the largest score decides.

        p = softmax(calibration(log softmax(s z) + log pi_train - log pi_source) + log pi_target - log pi_train)

    z are the network's logits and s its scale (of link "sigmoid", log sigmoid(s z) in place of s z). The scores are
    what `Predictor.predictions` decides by: the decision's where the model has one, under the target prior too; else
    those of the method's own rule, or with a target prior log p. In evaluation mode; the numbers are in float32.

    Args:
        predictor: the model, which is copied.
        target_prior: as in `Predictor.predictions`; None is the training prior.
        float32: whether a network that was trained under autocast is evaluated without it.

    Attributes:
        classes: the C class names. rule: what decides, in words. prior: what the probabilities refer to, in words.

    Raises:
        ValueError: a model that is no network (scikit-learn's classifiers), or has a rule that is no tensor; a target
            prior of one whose thresholds were chosen on validation rows, as in `Predictor.predictions`.
    """

    to_training: Tensor
    to_target: Tensor

    def __init__(self, predictor: Predictor, target_prior: Any = None, *, float32: bool = False) -> None:
        super().__init__()
        if isinstance(predictor.network, FittedEstimator):
            raise ValueError(
                "the model is a classifier of scikit-learn, no network that could be exported; use longtail predict, "
                "lt.load(folder) in Python, or train a method with a network"
            )
        counts = predictor.class_counts.cpu()
        training, _ = priors.target(None, predictor.classes, counts)
        target, self.prior = priors.target(target_prior, predictor.classes, counts)
        self.classes, self.link, self.scale = predictor.classes, predictor.link, predictor.scale
        self.network = _plain(copy.deepcopy(predictor.evaluated()), float32=float32)
        calibration = predictor.calibration
        self.calibration = None if calibration is None else exported_rules.Calibrated(calibration)
        if target_prior is not None:
            check_prior(predictor.decision, target_prior)
        self.decision = exported_rules.decision(predictor.decision)
        self.by_logits = target_prior is None and self.decision is None
        self.own = exported_rules.own_rule(predictor.posthoc) if self.by_logits else None
        self.rule = predictor.rule if target_prior is None else rule_under(predictor, self.prior)
        self.register_buffer("to_training", priors.shift_of(predictor.prior.cpu(), training).float())
        self.register_buffer("to_target", priors.shift_of(training, target).float())
        self.to(predictor.class_counts.device).eval().requires_grad_(False)

    def forward(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
        """Return probabilities and scores."""
        logits = as_outputs(self.network(inputs)).logits.float() * self.scale
        logs = F.log_softmax(F.logsigmoid(logits) if self.link == "sigmoid" else logits, dim=1)
        logs = F.log_softmax(logs + self.to_training, dim=1)
        if self.calibration is not None:
            logs = self.calibration(logs)
        logs = F.log_softmax(logs + self.to_target, dim=1)
        if self.decision is not None:
            return logs.exp(), self.decision(logs)
        if not self.by_logits:
            return logs.exp(), logs
        return logs.exp(), logits if self.own is None else self.own(logits)


@final
class _Float32(nn.Module):
    """The three parts of a `Network` in a row, without autocast."""

    def __init__(self, network: Network) -> None:
        super().__init__()
        self.standardize, self.body, self.head = network.standardize, network.body, network.head

    def forward(self, inputs: Tensor) -> Tensor:
        """Return logits (N, C); of experts their mean."""
        logits: Tensor = self.head(self.body(self.standardize(inputs)))
        return logits.mean(1) if logits.ndim == 3 else logits


def _plain(network: nn.Module, *, float32: bool) -> nn.Module:
    alike = getattr(network, "precision", "float32") == "float32"
    return _Float32(network) if isinstance(network, Network) and (alike or float32) else network


def export(model: Any, *, target_prior: Any = None) -> Exported:
    """Return a trained model as a plain module in evaluation mode; see `Exported` for what it computes.

    The standardisation of inputs is inside. What turns raw rows into inputs (decoding and resizing of images, the
    columns of a table) is not: `lt.load(folder).prepared(rows)` does that.

    Args:
        model: a run folder, a `Run`, or what `lt.load` returns.
        target_prior: class shares where the model is used; see `Predictor.predictions`.

    Raises:
        ValueError: no model there, or one that is no network.
    """
    predictor = model if isinstance(model, Predictor) else getattr(model, "predictor", None)
    return Exported(Predictor.load(model) if predictor is None else predictor, target_prior)
