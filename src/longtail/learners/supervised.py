"""Learning from one label per example: network -> targets -> loss -> weights."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, Self, final

import torch
from torch import Tensor, nn

from longtail.facts.types import Batch, Outputs, Progress, Step, TrainingData, as_outputs
from longtail.losses import Loss
from longtail.targets import Given


@final
class SupervisedLearner(nn.Module):
    """A network taught by a loss; every slot is a part that can be exchanged, none is overridden.

    Args:
        network: inputs -> `Outputs` or logits (B, C).
        loss: scores the logits against the targets, and says what the scores to rank by are.
        targets: what each example should be taught now; the given labels by default.
        weights: `InstanceWeights` over the per-example losses. Without them the loss reduces itself and its
            `normalize` applies; with them it does not.
        no_decay: names of the network's parameters that weight decay leaves alone.
        frozen: names of the network's modules that stand still while the rest is trained: no gradient, and always in
            evaluation mode, so that batch norms use their running statistics and do not move them.

    Raises:
        ValueError: `frozen` names no module of the network.
    """

    def __init__(
        self,
        network: nn.Module,
        loss: Loss,
        *,
        targets: nn.Module | None = None,
        weights: nn.Module | None = None,
        no_decay: Iterable[str] = (),
        frozen: Iterable[str] = (),
    ) -> None:
        super().__init__()
        self.network = network
        self.loss = loss
        self.targets = targets if targets is not None else Given()
        self.weights = weights
        self.no_decay = frozenset(no_decay)
        self.frozen = tuple(frozen)
        self.holding = False
        for module in self._still():
            module.requires_grad_(False)

    def _still(self) -> list[nn.Module]:
        modules = dict(self.network.named_modules())
        unknown = [name for name in self.frozen if name not in modules]
        if unknown:
            raise ValueError(
                f"frozen must name modules of the network, got {', '.join(unknown)}; see network.named_modules()"
            )
        return [modules[name] for name in self.frozen]

    def train(self, mode: bool = True) -> Self:
        """Training or evaluation mode; what is frozen stays in evaluation mode."""
        super().train(mode)
        for module in self._still():
            module.eval()
        return self

    def forward(self, batch: Batch, progress: Progress) -> Step:
        """The training step under the name that `torch.func.functional_call` reaches."""
        return self.training_step(batch, progress)

    def training_step(self, batch: Batch, progress: Progress) -> Step:
        """The scalar to descend and the losses (B,) behind it."""
        outputs = self._outputs(batch)
        if not self.holding:
            self.targets.observe(batch, outputs, progress)  # type: ignore[operator]
        targets, weight = self.targets(batch, outputs, progress)
        given = batch.get("sample_weight")
        if given is not None:
            weight = given if weight is None else weight * given
        parts = {"features": outputs.features, "sample_weight": weight, "progress": progress}
        if self.weights is None:
            return Step(*self.loss.with_losses(outputs.logits, targets, **parts))
        losses = self.loss.per_example(outputs.logits, targets, **parts)
        kept = self.loss.kept(targets)
        loss = self.weights(losses, targets=targets, index=batch["index"], kept=kept, progress=progress)
        weights = getattr(self.weights, "last", None)
        return Step(loss, losses, {} if weights is None else {"weights": weights})

    def _outputs(self, batch: Batch) -> Outputs:
        outputs = as_outputs(self.network(batch["inputs"]))
        head = getattr(self.network, "head", None)
        return outputs if head is None else outputs._replace(extra={**outputs.extra, "head": head})

    def start_epoch(self, data: TrainingData, progress: Progress) -> None:
        """Let the targets solve what they solve over the whole set."""
        self.targets.refresh(progress)  # type: ignore[operator]

    def after_update(self, progress: Progress) -> None:
        """Nothing follows a supervised step."""

    @torch.no_grad()
    def predict(self, inputs: Tensor) -> Tensor:
        """The scores (B, C) to rank classes and adjust by; call it in eval mode."""
        return self.loss.scores(as_outputs(self.network(inputs)).logits, progress=1.0)

    @property
    def scale(self) -> float:
        """What the loss multiplies the logits by (30 for margin losses on cosines)."""
        return float(self.loss.scores(torch.ones(1, 1), progress=1.0))

    @property
    def link(self) -> str:
        """The loss's probability model: "softmax" or "sigmoid"."""
        return self.loss.link

    def trainable(self) -> list[dict[str, Any]]:
        """What the optimiser moves, as parameter groups: with weight decay and without."""
        named = [(n, p) for n, p in self.named_parameters() if p.requires_grad]
        exempt = {f"network.{name}" for name in self.no_decay}
        unknown = exempt - {n for n, _ in self.named_parameters()}
        if unknown:
            raise ValueError(
                f"no_decay must name parameters of the network, got {', '.join(sorted(unknown))}; "
                "see network.named_parameters()"
            )
        decayed = {"params": [p for n, p in named if n not in exempt]}
        free = {"params": [p for n, p in named if n in exempt], "weight_decay": 0.0}
        return [group for group in (decayed, free) if group["params"]]

    @contextmanager
    def held(self) -> Iterator[None]:
        """Inside, no buffer moves: batch-norm statistics, targets and weights stay as they are."""
        norms: list[Any] = [m for m in self.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]
        tracking = [m.track_running_stats for m in norms]
        holders: list[Any] = [m for m in self.modules() if hasattr(m, "holding")]
        before = [m.holding for m in holders]
        try:
            for norm in norms:
                norm.track_running_stats = False  # in train mode: batch statistics, nothing recorded
            for holder in holders:
                holder.holding = True
            yield
        finally:
            for norm, value in zip(norms, tracking, strict=True):
                norm.track_running_stats = value
            for holder, value in zip(holders, before, strict=True):
                holder.holding = value
