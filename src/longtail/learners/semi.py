"""Learning from labelled rows and rows without labels, in parts that a correction can exchange one by one."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple, Protocol, final

import torch
from torch import Tensor, nn

from longtail.facts.learner import Inference, Learner
from longtail.facts.types import Batch, Outputs, Progress, Step, TrainingData, as_outputs
from longtail.losses import Loss
from longtail.targets.refinement import Refinement


class Views(NamedTuple):
    """Outputs for the rows of a step as they are, not mixed: `weak` without a graph, the others with one.

    `labelled` (B, C) of the labelled rows, `weak` (M, C) of the first view of the rows without labels, `others` of
    their further views, each (M, C).
    """

    labelled: Outputs
    weak: Outputs
    others: tuple[Outputs, ...]


class HostStep(NamedTuple):
    """What a host computed: its loss, the losses (B,) of labelled rows or None, and `weak`, see `Host`.

    `views` are None where the host passes no such rows through the network.
    """

    loss: Tensor
    losses: Tensor | None
    weak: Outputs
    log: Mapping[str, Tensor]
    views: Views | None = None


class Taught(NamedTuple):
    """What rows without labels are taught: soft `labels` (M, C), and as used, `targets` with a `weight` (M,) or None.

    `targets` are classes (M,) or the labels themselves; `log` is for the step.
    """

    labels: Tensor
    targets: Tensor
    weight: Tensor | None
    log: Mapping[str, Tensor]


class Host(Protocol):
    """The loss of one published method (FixMatch, MixMatch), and which passes through the network it takes.

    It calls `learner.taught` once a step with the outputs of its V weak views, stacked: logits (V, M, C), detached.
    """

    def __call__(self, learner: SemiSupervisedLearner, batch: Batch, progress: Progress) -> HostStep:
        """Return the loss of a batch."""
        ...


class Auxiliary(Protocol):
    """A part with a head of its own on the network's features, which has a loss and may predict in place of it (ABC).

    A module; a moving average of all its parameters is taken like that of the network.
    """

    def __call__(self, batch: Batch, views: Views, progress: Progress) -> tuple[Tensor, Mapping[str, Tensor]]:
        """Return the loss, added to the host's, and what to log."""
        ...

    def predictor(self, network: nn.Module) -> nn.Module:
        """Return the network that predicts; called on the averages of this part and of the network."""
        ...


@final
class SemiSupervisedLearner(Learner):
    """A network, and its moving average, which predicts.

    loss = host's loss + auxiliary's loss. The host passes weak views through the network; then
    q = guess(logits), soft labels without a gradient; y = targets(q), refined labels; (t, w) = use(y), which its loss
    compares with further views. Guess and use are the host's own. A correction exchanges a part by `varied`, whatever
    the host: the slot "targets" is `targets`, a `Refinement` of the soft labels (DARP, alignment, another prior), and
    the slot "auxiliary" is `auxiliary` (ABC). The log of a step has the share of rows whose largest class a refinement
    has `changed`.

    Args:
        network: inputs -> `Outputs` with logits (B, C).
        loss: of the labelled rows, and per example of the further views.
        host: see `Host`.
        guess: stacked logits (V, M, C) of the weak views -> soft labels (M, C).
        use: soft labels (M, C) -> targets, classes (M,) or soft labels, and a weight (M,) or None.
        targets: what refines the soft labels; nothing by default.
        auxiliary: see `Auxiliary`.
        decay: of the moving averages of parameters, min(decay, (1 + t) / (10 + t)) at step t = 0, 1, ..., so that a
            short training does not end near its start; buffers are copied.
        average, auxiliary_average: the moving averages, by default copies.
        no_decay: names of the network's parameters that weight decay leaves alone.
    """

    steps: Tensor

    def __init__(
        self,
        network: nn.Module,
        loss: Loss,
        host: Host,
        guess: nn.Module,
        use: nn.Module,
        *,
        targets: Refinement | None = None,
        auxiliary: nn.Module | None = None,
        decay: float = 0.999,
        average: nn.Module | None = None,
        auxiliary_average: nn.Module | None = None,
        no_decay: Iterable[str] = (),
    ) -> None:
        super().__init__()
        self.network = network
        self.loss = loss
        self.host = host
        self.guess = guess
        self.use = use
        self.targets = Refinement() if targets is None else targets
        self.auxiliary = auxiliary
        self.decay = decay
        self.average = _average(network, average)
        self.auxiliary_average = None if auxiliary is None else _average(auxiliary, auxiliary_average)
        self.no_decay = frozenset(no_decay)
        self.register_buffer("steps", torch.zeros(()))

    def training_step(self, batch: Batch, progress: Progress) -> Step:
        """Return the loss of the host and of the auxiliary part."""
        loss, losses, weak, log, views = self.host(self, batch, progress)
        if self.auxiliary is not None:
            more, more_log = self.auxiliary(batch, self._views(batch) if views is None else views, progress)
            loss, log = loss + more, {**log, **more_log}
        return Step(loss, losses, log, weak)

    @torch.no_grad()
    def taught(self, batch: Batch, weak: Outputs, progress: Progress) -> Taught:
        """Return what the rows without labels are taught: guessed, refined, and as it is used.

        Args:
            batch: the sub-batch `unlabeled`.
            weak: the stacked outputs of its weak views, logits (V, M, C).
        """
        guess = self.guess(weak.logits)
        labels = self.targets(batch, guess, weak, progress)
        targets, weight = self.use(labels)
        confident = torch.ones_like(labels[:, 0]) if weight is None else (weight > 0).to(labels.dtype)
        log = {"confident": confident.mean()}
        if type(self.targets) is not Refinement:
            log["changed"] = (labels.argmax(1) != guess.argmax(1)).to(labels.dtype).mean()
        return Taught(labels, targets, weight, log)

    def labelled(
        self, outputs: Outputs, targets: Tensor, weight: Tensor | None, progress: Progress
    ) -> tuple[Tensor, Tensor]:
        """Return the loss of labelled rows and their losses (B,), under these targets and sample weights."""
        return self.loss.with_losses(
            outputs.logits, targets, sample_weight=weight, features=outputs.features, progress=progress
        )

    def start_epoch(self, data: TrainingData, progress: Progress) -> None:
        """Let the targets compute what depends on the whole training set."""
        self.targets.refresh(data, progress)

    @torch.no_grad()
    def after_update(self, batch: Batch, step: Step, progress: Progress) -> None:
        """Update the averages, and let the targets store the outputs of the weak views."""
        if self.holding:
            return
        decay = ((1 + self.steps) / (10 + self.steps)).clamp(max=self.decay)
        self.steps += 1
        for average, trained in ((self.average, self.network), (self.auxiliary_average, self.auxiliary)):
            if average is not None and trained is not None:
                _follow(average, trained, 1 - decay)
        assert step.outputs is not None
        self.targets.observe(batch["unlabeled"], step.outputs, progress)

    def inference(self) -> Inference:
        """Return the moving average, or what the auxiliary part predicts by, with the loss's scale and link."""
        auxiliary: Any = self.auxiliary_average
        network = self.average if auxiliary is None else auxiliary.predictor(self.average)
        return Inference(network, self.loss.logit_scale, self.loss.link)

    def _views(self, batch: Batch) -> Views:
        """Pass the rows as they are through the network; the batch norms do not record this pass."""
        inputs = [batch["inputs"], *batch["unlabeled"]["inputs"]]
        with self.held():
            labelled, weak, *others = joint_pass(self.network, inputs)
        return Views(labelled, detached(weak), tuple(others))


def joint_pass(network: nn.Module, inputs: Iterable[Any]) -> list[Outputs]:
    """Return the outputs of several inputs from one pass, so that they share batch statistics."""
    inputs = list(inputs)
    outputs, sizes = as_outputs(network(torch.cat(inputs))), [len(rows) for rows in inputs]

    def parts(value: Any) -> list[Any]:
        return [None] * len(sizes) if value is None else list(value.split(sizes))

    return list(map(Outputs, parts(outputs.logits), parts(outputs.features)))


def detached(outputs: Outputs) -> Outputs:
    """Return logits and features without their graph."""
    return Outputs(outputs.logits.detach(), None if outputs.features is None else outputs.features.detach())


def stacked(views: Iterable[Outputs]) -> Outputs:
    """Return the outputs of V views of the same rows as one, logits (V, M, C), without their graph."""
    logits, features = zip(*(detached(view)[:2] for view in views), strict=True)
    return Outputs(torch.stack(logits), None if features[0] is None else torch.stack(features))


def _average(trained: nn.Module, average: nn.Module | None) -> nn.Module:
    return (copy.deepcopy(trained) if average is None else average).requires_grad_(False)


def _follow(average: nn.Module, trained: nn.Module, share: Tensor) -> None:
    """Move an average by `share` of the way to what is trained; copy its buffers."""
    for mean, now in zip(average.parameters(), trained.parameters(), strict=True):
        mean.lerp_(now, share.to(now.dtype))
    for old, new in zip(average.buffers(), trained.buffers(), strict=True):
        old.copy_(new)
