"""SDCLR's competitor: the second view passes through a pruned copy of the network that shares its weights."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator, Sequence
from typing import Any, final

import torch
from torch import Tensor, nn

from longtail.facts.knobs import Choice, Range
from longtail.facts.types import Outputs, Progress, as_outputs
from longtail.learners.branches import Seen, Shared, Shown, one_pass

FRACTION = Range(0, 1, open_high=True)
NORMS = Choice(("two", "one"))
"""two: the pruned copy has batch norms of its own; one: it has those of the network."""
BATCH_NORMS = nn.modules.batchnorm._BatchNorm
CONVOLUTIONS = nn.modules.conv._ConvNd


@final
class Pruned(nn.Module):
    """The first view passes through the network, the second through the same weights without the smallest ones.

    The n weights of all convolutions are pruned by one threshold, t = the (min(ceil(fraction n), n - 1) + 1)-th
    smallest |w|: those with |w| >= t stay. Norms, biases and projector are not pruned. In a network without
    convolutions the linear layers of its body are pruned in their place. The masks follow the present weights at the
    start of every epoch, and are the same for a moving average of the network. A weight that is pruned gets no gradient
    from the second view, and that of the first as usual.

    The pruned copy has batch norms of its own, parameters and statistics, which start as copies; so has a moving
    average's, whose parameters follow theirs. Where the second view passes through the average alone (MoCo), no
    gradient reaches them. All else is the network's: nothing is copied or restored in a step, and `Learner.held` holds
    the statistics of both sets. A batch of one row, which has no statistics, passes through the network alone.

    Args:
        network: whose layers they are; it is not stored.
        fraction: share of the weights that is pruned, in [0, 1).
        norms: "two" or "one", see `NORMS`.
        average: whether there is a moving average of the network, too.

    Raises:
        ValueError: a fraction outside [0, 1), or a network with nothing to prune.

    Reference: Jiang et al. 2021, Self-Damaging Contrastive Learning, section 3.
    """

    def __init__(self, network: nn.Module, fraction: float, *, norms: str = "two", average: bool = False) -> None:
        super().__init__()
        FRACTION.check("fraction", fraction)
        NORMS.check("norms", norms)
        self.fraction = fraction
        self.layers = prunable(network)
        found = [(name, m) for name, m in network.named_modules() if isinstance(m, BATCH_NORMS) and norms == "two"]
        self.places = tuple(name for name, _ in found)
        self.norms = nn.ModuleList(copy.deepcopy(m) for _, m in found)
        self.average_norms = nn.ModuleList(copy.deepcopy(m) for _, m in found if average).requires_grad_(False)
        for k, mask in enumerate(kept(self._weights(network), fraction)):
            self.register_buffer(f"mask_{k}", mask)

    @property
    def masks(self) -> list[Tensor]:
        """Which weights stay, one bool tensor for each pruned layer."""
        return [self.get_buffer(f"mask_{k}") for k in range(len(self.layers))]

    def forward(self, network: nn.Module, views: Shown, *, average: bool = False) -> Seen:
        """Return the outputs of the network for the first view, and those of its pruned copy for the second."""
        first, second = views
        if any(view is not None and len(view) == 1 for view in views):
            together: Seen = Shared()(network, views, average=average)
            return together
        return one_pass(network, first), None if second is None else self._pruned(network, second, average)

    def _pruned(self, network: nn.Module, view: Tensor, average: bool) -> Outputs:
        weights = zip(self.layers, self._weights(network), self.masks, strict=True)
        replaced = {_of(name, "weight"): weight * mask for name, weight, mask in weights}
        for name, norm in zip(self.places, self.average_norms if average else self.norms, strict=True):
            replaced |= {_of(name, own): tensor for own, tensor in _tensors(norm)}
        return as_outputs(torch.func.functional_call(network, replaced, (view,), tie_weights=False))

    @torch.no_grad()
    def start_epoch(self, network: nn.Module, progress: Progress) -> None:
        """Compute the masks from the weights as they are now."""
        for mask, now in zip(self.masks, kept(self._weights(network), self.fraction), strict=True):
            mask.copy_(now)

    def follow(self, stay: Progress) -> None:
        """Move the parameters of the average's batch norms: mean <- stay mean + (1 - stay) parameter."""
        for mean, now in zip(self.average_norms.parameters(), self.norms.parameters(), strict=True):
            mean.mul_(stay).add_(now * (1 - stay))

    def _weights(self, network: nn.Module) -> list[Tensor]:
        layers: list[Any] = [network.get_submodule(name) for name in self.layers]
        return [layer.weight for layer in layers]


def prunable(network: nn.Module) -> tuple[str, ...]:
    """Return the names of the layers to prune: all convolutions; without any, the linear layers of the body.

    Raises:
        ValueError: there is none, or one computes its weights from other parameters (a weight norm).
    """
    modules = dict(network.named_modules())
    names = tuple(name for name, module in modules.items() if isinstance(module, CONVOLUTIONS))
    if not names:
        body = "body" if "body" in modules else ""
        inside = [name for name, _ in network.get_submodule(body).named_modules(prefix=body)]
        names = tuple(name for name in inside if isinstance(modules[name], nn.Linear))
    if not names:
        raise ValueError(
            "network must have convolutions, or linear layers before its head, to prune, got none; choose another "
            "network with --model (model=)"
        )
    for name in names:
        if "weight" not in dict(modules[name].named_parameters(recurse=False)):
            raise ValueError(
                f"network must have plain weights to prune, got {name!r}, which computes its weights from other "
                "parameters; remove the parametrisation"
            )
    return names


@torch.no_grad()
def kept(weights: Sequence[Tensor], fraction: float) -> list[Tensor]:
    """Return which weights stay when the smallest in magnitude are pruned, all layers by one threshold.

    |w| >= sorted(|w|)[min(ceil(fraction n), n - 1)], n weights in all; a tensor that several layers share counts once.
    At least one weight stays.

    Args:
        weights: of the layers, of any shapes.
        fraction: in [0, 1).
    """
    sizes = torch.cat([weight.detach().abs().flatten() for weight in {id(w): w for w in weights}.values()])
    place = min(math.ceil(fraction * len(sizes)), len(sizes) - 1)
    threshold = sizes.kthvalue(place + 1).values
    return [weight.detach().abs() >= threshold for weight in weights]


def _of(module: str, tensor: str) -> str:
    return f"{module}.{tensor}" if module else tensor


def _tensors(norm: nn.Module) -> Iterator[tuple[str, Tensor]]:
    yield from norm.named_parameters(recurse=False)
    yield from norm.named_buffers(recurse=False)
