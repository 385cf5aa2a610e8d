"""What an encoder says of every class, and a training that keeps to it: drawn features and a distance (RCAL)."""

from __future__ import annotations

from typing import Any, Self, final

import torch
from torch import Tensor, nn

from longtail import functional
from longtail.facts.learner import Inference, Learner
from longtail.facts.types import Batch, Outputs, Progress, Step
from longtail.learners.supervised import Passed

CROSS_ENTROPIES = {"softmax": functional.cross_entropy, "sigmoid": functional.sigmoid_cross_entropy}
"""Link of a loss -> the cross-entropy under it."""


@final
class ClassGaussians(nn.Module):
    """The Gaussian of every class in the feature space of an encoder; all of it are buffers.

    Args:
        means: (C, D).
        root: of the covariances, as in `functional.gaussian_draws`.
        spread: 0-dim, `functional.feature_spread` of the encoder's features.
    """

    means: Tensor
    root: Tensor
    spread: Tensor

    def __init__(self, means: Tensor, root: Tensor, spread: Tensor) -> None:
        super().__init__()
        dtype = torch.get_default_dtype()
        for name, value in (("means", means), ("root", root), ("spread", spread)):
            self.register_buffer(name, value.to(dtype))

    def forward(self, classes: Tensor, noise: Tensor) -> Tensor:
        """Return a feature (M, D) of every class in `classes` (M,), from standard normal noise (M, D)."""
        noise = noise.to(self.means.dtype)
        return functional.gaussian_draws(self.means, self.root, classes, noise)


@final
class MeasuredEncoder(Learner):
    """An encoder that is trained no more, and the Gaussians of its features: the result of a stage without epochs.

    Args:
        network: the encoder.
        gaussians: of its features.
    """

    def __init__(self, network: nn.Module, gaussians: ClassGaussians) -> None:
        super().__init__()
        self.network = network.requires_grad_(False)
        self.gaussians = gaussians

    def train(self, mode: bool = True) -> Self:
        """Stay in evaluation mode."""
        return super().train(False)

    def training_step(self, batch: Batch, progress: Progress) -> Step:
        """Refuse: nothing of it is trained."""
        raise RuntimeError("a measured encoder has nothing to train; its stage must have no epochs")

    def inference(self) -> Inference:
        """Return the encoder."""
        return Inference(self.network)


@final
class Calibration(nn.Module):
    """A loss beside that of the rows (`SupervisedLearner.beside`): near to the encoder, and right on drawn features.

    beta mean_i ||f(x_i) - e(x_i)|| / s + sampled mean_m H(head(z_m), c_m), z_m drawn from the Gaussian of c_m

    x_i are the inputs that the network sees, mixed ones where it sees these; a row of weight k counts as k rows in
    the mean. e is in evaluation mode, s the spread of its features. H is the cross-entropy of the loss's link.

    Args:
        gaussians: of the encoder's features.
        encoder: e, with a `features` in its outputs; None where beta is 0.
        beta: >= 0.
        sampled: >= 0; with 0 batches need no samples.
        scale, link: of the logits, as in `Inference`.
    """

    gaussians: Any

    def __init__(
        self,
        gaussians: ClassGaussians,
        encoder: nn.Module | None,
        *,
        beta: float,
        sampled: float,
        scale: float = 1.0,
        link: str = "softmax",
    ) -> None:
        super().__init__()
        self.gaussians = gaussians
        self.encoder = None if encoder is None else encoder.requires_grad_(False).eval()
        self.beta, self.sampled, self.scale, self.link = beta, sampled, scale, link

    def train(self, mode: bool = True) -> Self:
        """Set the mode; the encoder stays in evaluation mode."""
        super().train(mode)
        if self.encoder is not None:
            self.encoder.eval()
        return self

    def forward(self, outputs: Outputs, batch: Batch, passed: Passed, progress: Progress) -> Tensor:
        """Return the scalar."""
        return self._distance(outputs, batch, passed) + self._of_samples(outputs, batch)

    def _distance(self, outputs: Outputs, batch: Batch, passed: Passed) -> Tensor:
        if self.encoder is None:
            return outputs.logits.new_zeros(())
        with torch.no_grad():
            kept = passed(self.encoder).features
        assert outputs.features is not None
        assert kept is not None
        apart = functional.feature_distance(outputs.features, kept)
        weight = batch.get("sample_weight")
        mean = apart.mean()
        if weight is not None:
            total = weight.to(apart).sum()
            mean = (weight.to(apart) * apart).sum() / torch.where(total > 0, total, 1.0)
        loss: Tensor = self.beta * mean / self.gaussians.spread
        return loss

    def _of_samples(self, outputs: Outputs, batch: Batch) -> Tensor:
        if self.sampled == 0:
            return outputs.logits.new_zeros(())
        classes, noise = batch["samples"]
        logits = self.scale * outputs.extra["head"](self.gaussians(classes, noise))
        mean: Tensor = CROSS_ENTROPIES[self.link](logits, classes).mean()
        return self.sampled * mean
