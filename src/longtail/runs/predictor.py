"""The trained model: a network with everything that inference needs, saved as tensors and JSON."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from longtail.data.prepare import new_rows
from longtail.data.prepare.preparation import Preparation
from longtail.data.prepare.restored import restored, with_backbone
from longtail.models import Factory
from longtail.runs import evaluated, model_files, priors
from longtail.runs.evaluated import EVALUATED
from longtail.runs.predictions import Predictions, predictions


class Predictor(nn.Module):
    """Inputs -> scores (N, C), and scores -> adjusted scores and probabilities.

    Args:
        network: inputs -> `Outputs` or logits.
        classes: the C class names.
        class_counts: (C,) of the training part, whose shares are the prior of the probabilities.
        scale: factor on the logits, as in the loss (30 for margin losses on cosines).
        link: "softmax", or "sigmoid" where the loss is a sum of binary ones.
        posthoc: scores -> adjusted scores, or None.
        preparation: raw rows -> inputs of the network; None takes tensors as they are.
        prior: (C,) the class prior that softmax(scores) refers to; None means the training prior.
        label: the column of the labels in training, or None.
        calibration: log-probabilities under the training prior -> calibrated ones; `posthoc.calibration`.
        decision: log-probabilities -> scores, the largest decides in place of `posthoc`; `posthoc.decisions`.
        sets: log-probabilities and a level -> sets of classes; `posthoc.sets`.
    """

    def __init__(
        self,
        network: nn.Module,
        classes: tuple[str, ...],
        class_counts: Tensor,
        *,
        scale: float = 1.0,
        link: str = "softmax",
        posthoc: nn.Module | None = None,
        preparation: Preparation | None = None,
        prior: Tensor | None = None,
        label: str | None = None,
        calibration: nn.Module | None = None,
        decision: nn.Module | None = None,
        sets: nn.Module | None = None,
    ) -> None:
        super().__init__()
        self.network, self.classes = network, classes
        self.scale, self.link, self.posthoc = scale, link, posthoc
        self.calibration, self.decision, self.sets = calibration, decision, sets
        self._evaluated = evaluated.Evaluated()
        self.preparation, self.label = preparation, label
        self.folder: Path | None = None  # that it was loaded from
        self.class_counts: Tensor
        self.register_buffer("class_counts", class_counts.clone())
        source = (class_counts if prior is None else prior).double()
        self.prior: Tensor
        self.register_buffer("prior", source / source.sum())

    @torch.no_grad()
    def scores(self, inputs: Tensor, batch_size: int = EVALUATED) -> Tensor:
        """Return scores (N, C) float32 of prepared inputs, in evaluation mode."""
        logits = evaluated.logits(self.evaluated(), inputs, self.class_counts.device, batch_size)
        return logits if self.scale == 1.0 else logits * self.scale

    def evaluated(self) -> nn.Module:
        """Return the network in evaluation mode with its batch norms fused; fused again when a weight has changed."""
        return self._evaluated.of(self.network)

    @torch.no_grad()
    def features(self, inputs: Tensor, batch_size: int = EVALUATED) -> Tensor:
        """Return the features (N, D) float32 that enter the classifier, of prepared inputs; ValueError where none."""
        return evaluated.features(self.evaluated(), inputs, self.class_counts.device, batch_size)

    def embed(self, data: Any) -> Tensor:
        """Return the features (N, D) float32 of raw rows, on the CPU; see `prepared` and `features`."""
        return self.features(self.prepared(data)).cpu()

    @torch.no_grad()
    def adjusted(self, scores: Tensor) -> Tensor:
        """Return the scores after the post-hoc rule, where there is one; the largest decides."""
        return scores if self.posthoc is None else torch.as_tensor(self.posthoc(scores))

    def decided(self, scores: Tensor) -> Tensor:
        """Return the scores (N, C) of which the largest decides: of the decision, else of the post-hoc rule."""
        if self.decision is None:
            return self.adjusted(scores)
        return torch.as_tensor(self.decision(self.calibrated(scores)))

    def log_probabilities(self, scores: Tensor) -> Tensor:
        """Return log-probabilities (N, C) float64; those of sigmoid models are normalised over classes."""
        return priors.log_probabilities(scores, self.link)

    def prepared(self, data: Any) -> Tensor:
        """Return raw rows (a frame, a path, arrays, images) as the inputs of the network.

        Raises:
            ValueError, TypeError: data that do not fit the model: other columns, dtypes, shapes or modes, named.
        """
        return new_rows.read(data, self.preparation).inputs

    def probabilities(self, scores: Tensor, target_prior: Any = None, *, raw: bool = False) -> Tensor:
        """Return class probabilities (N, C) float64, rows summing to 1.

        p_k = softmax(scores)_k target_k / source_k / sum over classes

        With a calibration: softmax(calibration(log p)) under the training prior, then for the target prior.

        The source is the prior under which the scores are log-probabilities: the training prior, or a uniform one where
        loss or sampler removed it (`Method.prior`). Focal and margin losses rank: they are not calibrated.

        Args:
            scores: (N, C), as `scores` gives them, before any post-hoc rule.
            target_prior: the class shares where the model is used; see `priors.target`. None is the training prior.
            raw: without the correction.
        """
        if raw:
            return self.log_probabilities(scores).softmax(1)
        training = self.training_prior
        new, _ = priors.target(target_prior, self.classes, self.class_counts.cpu())
        return (self.calibrated(scores) + priors.shift_of(training, new.to(training))).softmax(1)

    @property
    def training_prior(self) -> Tensor:
        """The class shares (C,) float64 of the training part."""
        return self.class_counts.double() / self.class_counts.double().sum()

    def uncalibrated(self, scores: Tensor) -> Tensor:
        """Return log-probabilities (N, C) float64 under the training prior, before any calibration."""
        return (self.log_probabilities(scores) + priors.shift_of(self.prior, self.training_prior)).log_softmax(1)

    @torch.no_grad()
    def calibrated(self, scores: Tensor) -> Tensor:
        """Return log-probabilities (N, C) float64 under the training prior, calibrated where the model is."""
        logs = self.uncalibrated(scores)
        return logs if self.calibration is None else torch.as_tensor(self.calibration(logs))

    def predict(self, data: Any, *, target_prior: Any = None) -> list[str]:
        """Return the predicted class names; see `predictions` for the rule."""
        return list(self.predictions(data, target_prior=target_prior).labels)

    def predict_proba(self, data: Any, *, target_prior: Any = None) -> Tensor:
        """Return class probabilities (N, C) float64 under the training prior, or the given one."""
        return self.predictions(data, target_prior=target_prior).probabilities

    def predictions(
        self, data: Any, *, target_prior: Any = None, raw: bool = False, skip_bad: bool = False, sets: Any = None
    ) -> Predictions:
        """Return class names, probabilities and the decision rule.

        Without `target_prior` the method's own rule decides, mostly for balanced accuracy; the probabilities refer to
        the training prior, so the predicted class need not be the most probable one. With `target_prior` it is (Bayes).

        Args:
            data: raw rows; see `prepared`.
            target_prior: "training", "uniform", {class: share}, C shares, or "estimate", of these rows.
            raw: probabilities without the correction for the prior; not together with `target_prior`.
            skip_bad: skip images that cannot be decoded; the predictions name them.
            sets: a level such as 0.9, for sets of classes as well; see `posthoc.ConformalSets`.

        Raises:
            ValueError, TypeError: data or a prior that do not fit, named.
        """
        return predictions(self, data, target_prior=target_prior, raw=raw, skip_bad=skip_bad, sets=sets)

    def explain(self, data: Any, of: Any = None) -> Any:
        """Return which columns moved the score of the predicted class, or of a class `of`; see `explained.explain`."""
        return import_module("longtail.runs.explained").explain(self, data, of)

    def evaluate(self, data: Any, labels: Any = None, **options: Any) -> dict[str, Any]:
        """Score the model on new labelled rows, against what was to be expected; see `new_scores.evaluate_new`."""
        return dict(import_module("longtail.runs.new_scores").evaluate_new(self, data, labels, **options))

    @property
    def rule(self) -> str:
        """The decision rule without a target prior, in words."""
        if self.decision is not None:
            return str(self.decision.words)
        if self.posthoc is not None:
            return f"highest score after {self.posthoc}"
        return priors.rule_in_words(self.prior, self.class_counts, self.calibration)

    @property
    def parts(self) -> dict[str, nn.Module | None]:
        """Calibration, decision and sets, None where the model has none."""
        return {"calibration": self.calibration, "decision": self.decision, "sets": self.sets}

    def save(self, folder: Path) -> tuple[str, ...]:
        """Write model.safetensors and meta.json (builders, their arguments, classes); return the files' names."""
        preparation = self.preparation
        meta = {
            "network": getattr(self.network, "builder", None), "classes": list(self.classes),
            "scale": self.scale, "link": self.link, **model_files.described_rule(self.posthoc), "rule": self.rule,
            "preparation": None if preparation is None else preparation.to_json(), "label": self.label,
            "parts": model_files.described_parts(self.parts),
        }  # fmt: skip
        return model_files.write(folder, meta, self.state_dict(), {} if preparation is None else preparation.blobs())

    @classmethod
    def load(
        cls,
        folder: str | Path,
        network: nn.Module | Factory | None = None,
        *,
        backbone: Any = None,
        device: str = "cpu",
    ) -> Predictor:
        """Load what `save` wrote; the training data are not needed.

        Args:
            folder, network: of the model; the function that made it, or the network, where it was the user's own.
            backbone: the folder of the pretrained network that images go through, where it has moved since training.
            device: where that network runs.

        Raises:
            ValueError: no model in the folder, one damaged, changed or of another version; another backbone.
        """
        folder = Path(folder)
        meta, state, blobs = model_files.read(folder)
        built = model_files.network_of(folder, meta["network"], network)
        try:
            counts = state["class_counts"]
            if tuple(counts.shape) != (len(meta["classes"]),):
                raise model_files.damaged(folder, f"{len(meta['classes'])} class names, {counts.numel()} class counts")
            parts = model_files.parts_of(meta.get("parts"))
            predictor = cls(
                built, tuple(map(str, meta["classes"])), counts, scale=float(meta["scale"]), link=meta["link"],
                posthoc=model_files.rule_of(meta["posthoc"], counts, meta.get("posthoc_arguments")),
                preparation=restored(meta.get("preparation"), blobs), label=meta.get("label"),
                calibration=parts.get("calibration"), decision=parts.get("decision"), sets=parts.get("sets"),
            )  # fmt: skip
            predictor.load_state_dict(state)
            predictor.folder = folder
            predictor.preparation = with_backbone(predictor.preparation, backbone, device)
        except (LookupError, TypeError, AttributeError, RuntimeError, ArithmeticError) as error:
            raise model_files.damaged(folder, error) from None
        return predictor.eval()


def load(folder: str | Path, network: nn.Module | Factory | None = None, **place: Any) -> Predictor:
    """Load the model of a run folder: `load(folder).predict(rows)`; backbone and device as in `Predictor.load`."""
    return Predictor.load(folder, network, **place)
