"""One learner for each cluster of the rows, and a network that learns what all of them have learnt."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Self, final

import torch
from torch import Tensor, nn

from longtail.data.divided import Divided
from longtail.facts.learner import Inference, Learner
from longtail.facts.types import Batch, Outputs, Progress, Record, Step, as_outputs
from longtail.functional.distillation import unit_regression


@final
class DividedLearner(Learner):
    """Experts, each trained on the rows of its cluster as if it were alone; batches come from `data.divided.Divided`.

    loss = that of the expert whose rows the batch has

    The parameters of the other experts have no gradient in that step, and an optimiser leaves them as they are.

    Args:
        network: the trained network whose features were clustered; not trained any more.
        assignment: (N,) int64, the cluster of every row.
        experts: a learner for each cluster, such as a `PairLearner`; none before they are trained.
    """

    assignment: Tensor
    experts: Any

    def __init__(self, network: nn.Module, assignment: Tensor, experts: Iterable[Learner] = ()) -> None:
        super().__init__()
        self.network = network.requires_grad_(False)
        self.register_buffer("assignment", assignment)
        self.experts = nn.ModuleList(experts)

    def training_step(self, batch: Batch, progress: Progress) -> Step:
        """Return the step of the expert whose batch it is; its rows are numbered within the cluster."""
        ((k, own),) = batch["experts"].items()
        step: Step = self.experts[k].training_step(own, progress)
        return step

    def start_epoch(self, data: Any, progress: Progress) -> None:
        """Let every expert prepare its epoch, on its own rows."""
        parts = data.parts if isinstance(data, Divided) else ()  # there are none before experts are trained
        for expert, rows in zip(self.experts, parts, strict=True):
            expert.start_epoch(rows, progress)

    def after_update(self, batch: Batch, step: Step, progress: Progress) -> None:
        """Let the expert store what follows from the step."""
        ((k, own),) = batch["experts"].items()
        self.experts[k].after_update(own, step, progress)

    def epoch_record(self) -> Record:
        """Return the number of rows of each cluster, and what its expert adds to the record of an epoch."""
        own = [expert.epoch_record() for expert in self.experts]
        return {"clusters": self.assignment.bincount().tolist(), **({"experts": own} if any(own) else {})}

    def trainable(self) -> list[dict[str, Any]]:
        """Return the parameter groups of all experts."""
        return [group for expert in self.experts for group in expert.trainable()]

    def train(self, mode: bool = True) -> Self:
        """Set the mode of the experts; the network stays in evaluation mode."""
        super().train(mode)
        self.network.eval()
        return self

    def inference(self) -> Inference:
        """Return the network that the clusters are of."""
        return Inference(self.network)


@final
class DistilledLearner(Learner):
    """A new network that predicts, from its projection, those of the base network and of the expert of each row.

    loss = mean over rows and two views of ||r_b(z) - u(z_b)||^2 / 2 + ||r_k(z) - u(z_k)||^2 / 2

    z: its projection of a view; z_b, z_k: those of the base network and of the expert of the row's cluster k, of the
    same view, in evaluation mode; u divides by the length; r: heads of their own. Both views pass through the network
    at once. The heads see all rows of a batch, the experts those of their cluster alone.

    Args:
        network: inputs -> projections (B, P) as `logits`.
        heads: 1 + K modules (B, P) -> (B, P); the first predicts the base network.
        base: the base network.
        experts: K networks.
        assignment: (N,) int64, the cluster of every row.

    Reference: Tian et al., Divide and Contrast, ICCV 2021, section 3.
    """

    assignment: Tensor

    def __init__(
        self,
        network: nn.Module,
        heads: Iterable[nn.Module],
        base: nn.Module,
        experts: Iterable[nn.Module],
        assignment: Tensor,
    ) -> None:
        super().__init__()
        self.network = network
        self.heads = nn.ModuleList(heads)
        self.base = base.requires_grad_(False)
        self.experts = nn.ModuleList(experts).requires_grad_(False)
        self.register_buffer("assignment", assignment)

    def training_step(self, batch: Batch, progress: Progress) -> Step:
        """Return the mean loss of the rows, with their losses, and the outputs for the first view."""
        views = torch.cat(list(batch["inputs"]))
        rows = batch["index"]
        clusters = self.assignment[rows].repeat(2)
        outputs = as_outputs(self.network(views))
        z = outputs.logits
        with torch.no_grad():
            z_b = as_outputs(self.base(views)).logits
            z_k = self._by_experts(views, clusters, torch.empty_like(z_b))
        own = torch.stack([head(z) for head in self.heads[1:]])[clusters, torch.arange(len(z), device=z.device)]
        losses = (unit_regression(self.heads[0](z), z_b) + unit_regression(own, z_k)).view(2, -1).mean(0)
        features = None if outputs.features is None else outputs.features.detach().chunk(2)[0]
        return Step(losses.mean(), losses, {}, Outputs(z.detach().chunk(2)[0], features), rows=rows)

    def _by_experts(self, views: Tensor, clusters: Tensor, found: Tensor) -> Tensor:
        """Return the projections by the experts of the rows' clusters, written into `found`."""
        for k, expert in enumerate(self.experts):
            mine = torch.nonzero(clusters == k).flatten()
            if len(mine):
                found[mine] = as_outputs(expert(views[mine])).logits
        return found

    def train(self, mode: bool = True) -> Self:
        """Set the mode of network and heads; base and experts stay in evaluation mode."""
        super().train(mode)
        self.base.eval()
        self.experts.eval()
        return self

    def inference(self) -> Inference:
        """Return the network that has learnt from the others."""
        return Inference(self.network)
