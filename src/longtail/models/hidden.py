"""The hidden values of a pass: the outputs of norms before their factors and shifts, and gradients at them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Self

import torch
from torch import Tensor, nn

from longtail.models.gradient_scale import Unscaled

CHANNELS: Any = (nn.modules.batchnorm._BatchNorm, nn.modules.instancenorm._InstanceNorm, nn.GroupNorm)
"""Norms with one factor per channel, the second dimension."""
NORMS: Any = (*CHANNELS, nn.LayerNorm)
WEIGHTED: Any = (nn.Linear, nn.modules.conv._ConvNd)


def hidden_layers(network: nn.Module) -> list[nn.Module]:
    """Return the layers whose outputs are a network's hidden values.

    - The norms of residual blocks and their like: modules with two or more norms of their own. Neither the stem's nor a
      shortcut's.
    - Of a body without such blocks, all norms.
    - Of a body without norms, the linear layers and convolutions.

    Args:
        network: a `models.Network`, or another module, which is all body.
    """
    body = network.get_submodule("body") if "body" in dict(network.named_children()) else network
    modules = list(body.modules())
    groups = [list(_own_norms(module)) for module in modules if not isinstance(module, nn.Sequential)]
    blocks = [norm for norms in groups if len(norms) > 1 for norm in norms]
    norms = [module for module in modules if isinstance(module, NORMS)]
    return blocks or norms or [module for module in modules if isinstance(module, WEIGHTED)]


def _own_norms(module: nn.Module) -> Iterator[nn.Module]:
    yield from (child for child in module.children() if isinstance(child, NORMS))


class Hidden:
    """Inside, what passes through a network leaves its hidden values h here: `with Hidden(network) as hidden`.

    h are the outputs of `hidden_layers`, of a norm (x - mean) / sd, without its factor w and its shift: since its
    output is w h + shift, the gradient with respect to h is w times that with respect to the output, exactly.
    """

    def __init__(self, network: nn.Module) -> None:
        self._layers = hidden_layers(network)
        self._scale: Tensor | None = getattr(network, "gradient_scale", None)
        self._kept: list[tuple[Tensor, Tensor | None]] = []
        self._handles: list[Any] = []

    def __enter__(self) -> Self:
        self._handles = [layer.register_forward_hook(self._keep) for layer in self._layers]
        return self

    def __exit__(self, *error: object) -> None:
        for handle in self._handles:
            handle.remove()

    def _keep(self, layer: Any, inputs: Any, output: Tensor) -> Tensor | None:
        if not output.requires_grad:
            return None
        factor = getattr(layer, "weight", None) if isinstance(layer, NORMS) else None
        if factor is not None and isinstance(layer, CHANNELS):
            factor = factor.view(-1, *[1] * (output.ndim - 2))
        self._kept.append((output, factor))
        return output.clone()  # what comes next may change it in place

    def gradients(self, loss: Tensor) -> list[Tensor]:
        """Return d loss / d h of each, (B, ...), float32 or wider, with their own graph: for a second derivative.

        Values on which the loss does not depend are left out.

        Raises:
            ValueError: the loss depends on none.
        """
        outputs = [output for output, _ in self._kept]
        found = torch.autograd.grad(loss, outputs, create_graph=True, allow_unused=True) if outputs else ()
        pairs = [(g, factor) for g, (_, factor) in zip(found, self._kept, strict=True) if g is not None]
        if not pairs:
            raise ValueError(
                "network must have hidden layers that are trained, got one whose loss depends on none; choose another "
                "network, or train more of it"
            )
        with torch.autocast(loss.device.type, enabled=False):
            wide = [g.to(torch.promote_types(g.dtype, torch.float32)) for g, _ in pairs]
            wide = [g if factor is None else g * factor for g, (_, factor) in zip(wide, pairs, strict=True)]
            # of a float16 body these are the scale times the gradients
            return wide if self._scale is None else list(Unscaled.apply(self._scale, True, *wide))  # type: ignore[no-untyped-call]
