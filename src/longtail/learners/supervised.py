"""Learning from one target per example: network -> targets -> loss or criterion -> weights."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any, NamedTuple, Self, final

import torch
from torch import Tensor, nn

from longtail.facts.learner import Inference, Learner
from longtail.facts.types import Batch, Outputs, Progress, Step, TrainingData, as_outputs
from longtail.functional import is_soft
from longtail.learners.all_rows import all_outputs, plain_rows
from longtail.learners.mixing import Mixing
from longtail.losses import Loss
from longtail.losses.reduction import reduce
from longtail.targets import Given

Criterion = Callable[[Outputs, Tensor, Tensor | None, Progress], Tensor]
"""(outputs, targets, weight (B,) or None, progress) -> losses (B,): for experts and for what reads `extra`."""
Passed = Callable[[nn.Module], Outputs]
"""A network -> its outputs for the batch, mixed as those of the learner's own network are."""
Beside = Callable[[Outputs, Batch, Passed, Progress], Tensor]
"""(outputs, batch, passed, progress) -> a scalar: what is added to the loss of the rows (RCAL)."""


class Goal(NamedTuple):
    """What the rows of a batch are taught: targets (B,) or (B, C), and their weights.

    `weight` (B,): a row of weight k counts as k rows; None for ones. `mask` (B,) is the part of it that the mean does
    not divide by, and `given` (B,) what it does: where targets leave rows out of the loss and not of the batch.
    """

    targets: Tensor
    weight: Tensor | None = None
    mask: Tensor | None = None
    given: Tensor | None = None


@final
class SupervisedLearner(Learner):
    """A network trained by a loss; every slot is a part that `varied` can replace.

    Args:
        network: inputs -> `Outputs` or logits (B, C).
        loss: compares the logits with the targets, and defines the scores to rank by.
        targets: the targets of each batch; the given labels by default. `facts.types.Targets` says what they may ask
            for besides: all rows' logits, or that their weights are a mask.
        weights: `InstanceWeights` over the per-example losses. Without them the loss reduces itself and its
            `normalize` applies; with them it does not.
        criterion: in place of `loss.per_example`, where it needs more than logits. Its losses are weighted or, without
            weights, summed and divided by the rows that count, one of weight k as k (`normalize="batch"`).
        beside: a loss that is no function of single rows' scores, added to theirs as it is (`Beside`); instance
            weights do not act on it, nor is it in the step's losses (B,).
        constraint: applied to the network after every optimiser step, in place, such as a bound on norms.
        mixing: how the rows of a step are mixed in pairs; the loss is then that of two labels with a coefficient.
            Weights that depend on the target or the row take those with the larger coefficient.
        no_decay: names of the network's parameters that weight decay leaves alone.
        rates: names of the network's modules or parameters -> their learning rate as a multiple of the stage's.
        frozen: names of the network's modules that are not trained: no gradient.
        moving_norms: whether batch norms of frozen modules update their running statistics, as in the released
            code of decoupled training; by default they are in evaluation mode and use them.

    Raises:
        ValueError: `frozen` names no module of the network, or targets whose weights are a mask are to be mixed.
    """

    def __init__(
        self,
        network: nn.Module,
        loss: Loss,
        *,
        targets: nn.Module | None = None,
        weights: nn.Module | None = None,
        criterion: Criterion | None = None,
        mixing: Mixing | None = None,
        beside: Beside | None = None,
        constraint: nn.Module | None = None,
        no_decay: Iterable[str] = (),
        rates: Mapping[str, float] | None = None,
        frozen: Iterable[str] = (),
        moving_norms: bool = False,
    ) -> None:
        super().__init__()
        self.network = network
        self.loss = loss
        self.targets = targets if targets is not None else Given()
        self.weights = weights
        self.criterion = criterion
        self.mixing = mixing
        self.beside = beside
        self.constraint = constraint
        self.no_decay = frozenset(no_decay)
        self.rates = dict(rates or {})
        self.frozen = tuple(frozen)
        self.moving_norms = moving_norms
        if mixing is not None and getattr(self.targets, "masks", False):
            raise ValueError(
                f"mixing must be None for {type(self.targets).__name__}, whose weights are of whole rows, got "
                f"{type(mixing).__name__}; choose other targets"
            )
        for module in self._frozen_modules():
            module.requires_grad_(False)

    def _frozen_modules(self) -> list[nn.Module]:
        modules = dict(self.network.named_modules())
        unknown = [name for name in self.frozen if name not in modules]
        if unknown:
            raise ValueError(
                f"frozen must name modules of the network, got {', '.join(unknown)}; see network.named_modules()"
            )
        return [modules[name] for name in self.frozen]

    def train(self, mode: bool = True) -> Self:
        """Set training or evaluation mode; frozen modules stay in evaluation mode, unless `moving_norms`."""
        super().train(mode)
        if not self.moving_norms:
            for module in self._frozen_modules():
                module.eval()
        return self

    def training_step(self, batch: Batch, progress: Progress) -> Step:
        """Return the scalar to descend, the losses (B,) behind it and the network's outputs."""
        outputs = self.outputs(batch, progress)
        step = self.compared(batch, outputs, self.goal(batch, outputs, progress), progress)
        if self.beside is None:
            return step
        more = self.beside(outputs, batch, lambda network: self._outputs(network, batch, progress), progress)
        return step._replace(loss=step.loss + more)

    def goal(self, batch: Batch, outputs: Outputs, progress: Progress) -> Goal:
        """Return what the rows of a batch are taught."""
        targets, weight = self.targets(batch, outputs, progress)
        mask = weight if getattr(self.targets, "masks", False) else None
        given = batch.get("sample_weight")
        if given is not None:
            weight = given if weight is None else weight * given
        return Goal(targets, weight, mask, given)

    def compared(self, batch: Batch, outputs: Outputs, goal: Goal, progress: Progress) -> Step:
        """Return the step in which these outputs are compared with what the rows are taught."""
        (targets, weight, mask, given), index = goal, batch["index"]
        detached = _detached(outputs)
        if self.mixing is None and self.weights is None and self.criterion is None:
            parts: Any = {"features": outputs.features, "sample_weight": weight, "progress": progress}
            loss, losses = self.loss.with_losses(outputs.logits, targets, **parts)
            shown = targets.argmax(1) if is_soft(targets) else targets
            return Step(_over_all(loss, mask, given), losses, {}, detached, shown, index)
        terms = partial(self._terms, outputs, progress)
        if self.mixing is None:
            losses, omega, share = terms(targets, weight)
        else:
            pair = self.mixing.pair(batch, targets, weight, progress)
            losses, omega, share = pair.mixed(terms)
            targets, index = pair.nearest(pair.targets), pair.nearest(pair.rows)
        if self.weights is None:
            how = (self.loss.reduction, self.loss.normalize) if self.criterion is None else ("mean", "batch")
            loss = _over_all(reduce(losses, omega, share, *how), mask, given)
            return Step(loss, losses, {}, detached, targets, index)
        kept = self.loss.kept(targets) if mask is None else self.loss.kept(targets) & (mask > 0)
        loss = self.weights(losses, targets=targets, index=index, kept=kept, progress=progress)
        loss = _over_all(loss, mask, None)
        weights = getattr(self.weights, "last", None)
        return Step(loss, losses, {} if weights is None else {"weights": weights}, detached, targets, index)

    def _terms(
        self, outputs: Outputs, progress: Progress, targets: Tensor, weight: Tensor | None
    ) -> tuple[Tensor, Tensor | None, Tensor]:
        """Return the losses (B,), the weights that they carry and as how many rows each counts, as `Loss.terms`."""
        logits, parts = outputs.logits, {"features": outputs.features, "sample_weight": weight, "progress": progress}
        if self.criterion is None and self.weights is None:
            return self.loss.terms(logits, targets, **parts)  # type: ignore[arg-type]
        if self.criterion is None:
            losses = self.loss.per_example(logits, targets, **parts)  # type: ignore[arg-type]
        else:
            losses = self.criterion(outputs, targets, weight, progress)
        kept = self.loss.kept(targets)
        return losses, None, kept if weight is None else torch.where(kept, weight.to(losses.dtype), 0.0)

    def row_losses(self, outputs: Outputs, targets: Tensor, progress: Progress) -> Tensor:
        """Return what each row's own loss is, (B,): without sample weights, instance weights and class weights.

        Class weights that a criterion applies by itself stay in it.
        """
        losses, omega, _ = self._terms(outputs, progress, targets, None)
        return losses if omega is None else losses / torch.where(omega > 0, omega, 1.0)

    def outputs(self, batch: Batch, progress: Progress) -> Outputs:
        """Return the network's outputs for a batch, with the head in `extra`."""
        return self._outputs(self.network, batch, progress)

    def _outputs(self, network: nn.Module, batch: Batch, progress: Progress) -> Outputs:
        if self.mixing is None:
            outputs = as_outputs(network(batch["inputs"]))
        else:
            outputs = self.mixing.outputs(network, batch, progress)
        head = getattr(network, "head", None)
        return outputs if head is None else outputs._replace(extra={**outputs.extra, "head": head})

    def start_epoch(self, data: TrainingData, progress: Progress) -> None:
        """Let the targets compute what depends on the whole training set, from the network's outputs where they ask.

        Class counts that they answer with take the place of the loss's, where it has any.
        """
        by_outputs: Any = getattr(self.targets, "refresh_with", None)
        if by_outputs is None:
            self.targets.refresh(data, progress)  # type: ignore[operator]
            return
        counts = by_outputs(partial(all_outputs, self.network, data), plain_rows(data), progress)
        known = self.loss.class_counts
        if counts is not None and known is not None and not torch.equal(counts.to(known), known):
            self.loss.set_class_counts(counts)

    def after_update(self, batch: Batch, step: Step, progress: Progress) -> None:
        """Apply the constraint, and let the targets store the outputs of the step's first pass, or of a second one."""
        if self.constraint is not None:
            self.constraint(self.network)
        if self.holding:
            return
        outputs = step.outputs
        if getattr(self.targets, "second_pass", False):
            with torch.no_grad(), self.held():
                outputs = self.outputs(batch, progress)
        self.targets.observe(batch, outputs, progress)  # type: ignore[operator]

    def inference(self) -> Inference:
        """Return the network, the loss's scale and link, and a prior that the targets learnt (`targets.offsets()`)."""
        offsets = getattr(self.targets, "offsets", None)
        return Inference(self.network, self.loss.logit_scale, self.loss.link, None if offsets is None else offsets())


def _over_all(loss: Tensor, mask: Tensor | None, given: Tensor | None) -> Tensor:
    """Return a mean over the rows that a mask (B,) keeps as one over all rows, of weights `given`."""
    if mask is None:
        return loss
    share = mask.mean() if given is None else (mask * given).sum() / given.sum().clamp(min=1e-30)
    return loss * share.to(loss.dtype)


def _detached(outputs: Outputs) -> Outputs:
    """Detach outputs from the graph; modules and plain values of `extra` are unchanged."""

    def plain(value: Any) -> Any:
        return value.detach() if isinstance(value, Tensor) else value

    extra = {name: plain(value) for name, value in outputs.extra.items()}
    return Outputs(outputs.logits.detach(), plain(outputs.features), extra)
