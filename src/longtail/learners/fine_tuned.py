"""The last part of Sel-CL+: a classifier on confident rows, whose labels are blended with predictions in the end."""

from __future__ import annotations

from typing import final

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from longtail.facts.learner import Inference, Learner
from longtail.facts.types import Batch, Outputs, Progress, Step, as_outputs
from longtail.functional.mixtures import widen
from longtail.learners.mixing import Mixture

BLEND = 0.2
"""Share of the prediction in the label, after its start."""


@final
class CorrectedLearner(Learner):
    """A network trained on mixed rows; after a start, the labels are partly those that it predicts.

    l_i = share h(z~_i, y_i, c_i) + (1 - share) h(z~_i, y_j, c_j),  h(z, y, c) = (1 - b) H(z, y) + b H(z, c)

    z~ are the logits of the mixed first view, j the partner of i, H the cross-entropy, c the likeliest class of the
    second, plain view in the same step, without a gradient; b = 0 before progress `start`, 0.2 from then on.

    Args:
        network: inputs -> `Outputs`.
        start: progress from which on labels are corrected.
    """

    def __init__(self, network: nn.Module, start: float) -> None:
        super().__init__()
        self.network = network
        self.start = start

    def training_step(self, batch: Batch, progress: Progress) -> Step:
        """Return the mean loss, the losses of the mixed rows (B,) and the outputs of the plain view."""
        (view, plain), mixing, y = batch["inputs"], batch["mixing"], batch["targets"]
        logits = widen(as_outputs(self.network(view, Mixture(mixing, 0, 1))).logits)
        with torch.no_grad():
            seen = as_outputs(self.network(plain)).logits
        predicted = seen.argmax(1)
        b = BLEND * torch.as_tensor(progress >= self.start, dtype=logits.dtype, device=logits.device)

        def corrected(labels: Tensor, guesses: Tensor) -> Tensor:
            given, guessed = (F.cross_entropy(logits, target, reduction="none") for target in (labels, guesses))
            return (1 - b) * given + b * guessed

        share, partner = mixing.share, mixing.partner
        losses = share * corrected(y, predicted) + (1 - share) * corrected(y[partner], predicted[partner])
        return Step(losses.mean(), losses, {}, Outputs(seen), y, batch["index"])

    def inference(self) -> Inference:
        """Return the network."""
        return Inference(self.network)
