"""The trained model: a network with everything that inference needs, saved as tensors and JSON."""

from __future__ import annotations

import copy
from itertools import chain
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from longtail.data.prepare import new_rows
from longtail.data.prepare.preparation import Preparation
from longtail.data.prepare.restored import restored
from longtail.facts.types import as_outputs
from longtail.models import Factory
from longtail.models.conv_bn_fusion import merge_batch_norms
from longtail.runs import model_files, priors
from longtail.runs.predictions import Predictions

EVALUATED = 256
"""Rows evaluated at once: enough for the processor's units, few enough for its caches."""


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
    ) -> None:
        super().__init__()
        self.network = network
        self.classes = classes
        self.scale = scale
        self.link = link
        self.posthoc = posthoc
        self._merged: tuple[tuple[int, ...], nn.Module] | None = None
        self.preparation = preparation
        self.label = label
        self.class_counts: Tensor
        self.register_buffer("class_counts", class_counts.clone())
        source = (class_counts if prior is None else prior).double()
        self.prior: Tensor
        self.register_buffer("prior", source / source.sum())

    @torch.no_grad()
    def scores(self, inputs: Tensor, batch_size: int = EVALUATED) -> Tensor:
        """Return scores (N, C) float32 of prepared inputs, in evaluation mode."""
        network, device = self.evaluated(), self.class_counts.device
        parts = [as_outputs(network(x.to(device))).logits.float() for x in torch.split(inputs, batch_size)]
        logits = torch.cat(parts)
        return logits if self.scale == 1.0 else logits * self.scale

    def evaluated(self) -> nn.Module:
        """Return the network in evaluation mode with its batch norms fused; fused again when a weight has changed."""
        self.network.eval()
        versions = tuple(t._version for t in chain(self.network.parameters(), self.network.buffers()))
        if self._merged is None or self._merged[0] != versions:
            self._merged = (versions, merge_batch_norms(copy.deepcopy(self.network)))
        return self._merged[1]

    @torch.no_grad()
    def features(self, inputs: Tensor, batch_size: int = EVALUATED) -> Tensor:
        """Return the features (N, D) float32 that enter the classifier, of prepared inputs, in evaluation mode.

        Raises:
            ValueError: a model without features (scikit-learn's classifiers).
        """
        network, device = self.evaluated(), self.class_counts.device
        parts = [as_outputs(network(x.to(device))).features for x in torch.split(inputs, batch_size)]
        known = [part.float() for part in parts if part is not None]
        if len(known) < len(parts):
            raise ValueError(
                "the model has no features to embed by (it is no network of longtail's); write predictions to a .csv"
            )
        return torch.cat(known)

    def embed(self, data: Any) -> Tensor:
        """Return the features (N, D) float32 of raw rows, on the CPU; see `prepared` and `features`."""
        return self.features(self.prepared(data)).cpu()

    @torch.no_grad()
    def adjusted(self, scores: Tensor) -> Tensor:
        """Return the scores after the post-hoc rule, where there is one; the largest decides."""
        return scores if self.posthoc is None else torch.as_tensor(self.posthoc(scores))

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

        The source is the prior under which the scores are log-probabilities: the training prior for plain training, a
        uniform one where the loss or the sampler removed the prior (`Method.prior`). Focal and margin losses are not
        proper scoring rules: their probabilities rank, they are not calibrated.

        Args:
            scores: (N, C), as `scores` gives them, before any post-hoc rule.
            target_prior: the class shares where the model is used; see `priors.target`. None is the training prior.
            raw: without the correction.
        """
        logs = self.log_probabilities(scores)
        if not raw:
            new, _ = priors.target(target_prior, self.classes, self.class_counts.cpu())
            logs = logs + new.to(logs).log() - self.prior.to(logs).log()
        return logs.softmax(1)

    def predict(self, data: Any, *, target_prior: Any = None) -> list[str]:
        """Return the predicted class names; see `predictions` for the rule."""
        return list(self.predictions(data, target_prior=target_prior).labels)

    def predict_proba(self, data: Any, *, target_prior: Any = None) -> Tensor:
        """Return class probabilities (N, C) float64 under the training prior, or the given one."""
        return self.predictions(data, target_prior=target_prior).probabilities

    def predictions(
        self, data: Any, *, target_prior: Any = None, raw: bool = False, skip_bad: bool = False
    ) -> Predictions:
        """Return class names, probabilities and the decision rule.

        Without `target_prior` the method's own rule decides, which for most methods aims at balanced accuracy; the
        probabilities refer to the training prior, so the predicted class need not be the most probable one. With
        `target_prior`, the class of the highest probability under that prior is predicted (Bayes' rule for accuracy).

        Args:
            data: raw rows; see `prepared`.
            target_prior: "training", "uniform", {class: share} or C shares.
            raw: probabilities without the correction for the prior; not together with `target_prior`.
            skip_bad: skip images that cannot be decoded; the predictions name them.

        Raises:
            ValueError, TypeError: data or a prior that do not fit, named.
        """
        if raw and target_prior is not None:
            raise ValueError(
                "raw (--raw) leaves out the correction that target_prior (--target-prior) asks for; give one of them"
            )
        _, prior = priors.target(target_prior, self.classes, self.class_counts.cpu())
        read = new_rows.read(data, self.preparation, skip_bad=skip_bad)
        scores = self.scores(read.inputs)
        probabilities = self.probabilities(scores, target_prior, raw=raw).cpu()
        decided = probabilities if target_prior is not None else self.adjusted(scores)
        rule = self.rule if target_prior is None else f"highest probability under the target prior ({prior})"
        labels = tuple(self.classes[j] for j in decided.argmax(1).tolist())
        notes = (
            *getattr(self.preparation, "unfamiliar", lambda rows: ())(data),
            *new_rows.labels_beside(data, self.label, read.names, self.classes),
        )
        stated = "raw" if raw else prior
        return Predictions(labels, probabilities, self.classes, rule, stated, read.names, notes, read.skipped)

    @property
    def rule(self) -> str:
        """The decision rule without a target prior, in words."""
        if self.posthoc is not None:
            return f"highest score after {self.posthoc}"
        shares = self.class_counts.double() / self.class_counts.double().sum()
        if torch.allclose(self.prior, shares, rtol=1e-9):
            return "highest probability under the training prior"
        if torch.allclose(self.prior, torch.full_like(self.prior, 1 / len(self.classes)), rtol=1e-9):
            return "highest probability with every class equally likely"
        return "highest probability under the prior that the method trains for"

    def save(self, folder: Path) -> tuple[str, ...]:
        """Write model.safetensors and meta.json (builders, their arguments, classes); return the files' names."""
        preparation = self.preparation
        meta = {
            "network": getattr(self.network, "builder", None),
            "classes": list(self.classes),
            "scale": self.scale,
            "link": self.link,
            "posthoc": None if self.posthoc is None else type(self.posthoc).__name__,
            "rule": self.rule,
            "preparation": None if preparation is None else preparation.to_json(),
            "label": self.label,
        }
        return model_files.write(folder, meta, self.state_dict(), {} if preparation is None else preparation.blobs())

    @classmethod
    def load(cls, folder: str | Path, network: nn.Module | Factory | None = None) -> Predictor:
        """Load what `save` wrote; the training data are not needed.

        Args:
            folder: with model.safetensors and meta.json.
            network: the function that made it, or the network, where it was the user's own.

        Raises:
            ValueError: no model in the folder, one that was damaged or changed, or one of another version.
        """
        folder = Path(folder)
        meta, state, blobs = model_files.read(folder)
        built = model_files.network_of(folder, meta["network"], network)
        try:
            counts = state["class_counts"]
            if tuple(counts.shape) != (len(meta["classes"]),):
                raise model_files.damaged(folder, f"{len(meta['classes'])} class names, {counts.numel()} class counts")
            predictor = cls(
                built,
                tuple(map(str, meta["classes"])),
                counts,
                scale=float(meta["scale"]),
                link=meta["link"],
                posthoc=model_files.rule_of(meta["posthoc"], counts),
                preparation=restored(meta.get("preparation"), blobs),
                label=meta.get("label"),
            )
            predictor.load_state_dict(state)
        except (LookupError, TypeError, AttributeError, RuntimeError, ArithmeticError) as error:
            raise model_files.damaged(folder, error) from None
        return predictor.eval()


def load(folder: str | Path, network: nn.Module | Factory | None = None) -> Predictor:
    """Load the model of a run folder: `load(folder).predict(rows)`; see `Predictor.load`."""
    return Predictor.load(folder, network)
