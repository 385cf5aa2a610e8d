"""Evaluation without batch norms: each is folded into the convolution before it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise

from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from longtail.models.bodies.resnet import BasicBlock
from longtail.models.network import Network

Swap = tuple[nn.Module, str, nn.Module]


@contextmanager
def fused_batch_norms(module: nn.Module) -> Iterator[None]:
    """Inside, the convolutions of our own networks do the work of the batch norms that follow them.

    conv(x) -> (conv(x) - mean) / sqrt(var + eps) * weight + bias is one convolution with weights
    W weight / sqrt(var + eps). The result differs from the unfused one by rounding. For eval mode only, where the
    statistics are constant; in training mode, and in networks that are not ours (whose order of modules says nothing
    about their order of execution), nothing changes. Not for several threads at once on one module.
    """
    networks = [m for m in module.modules() if isinstance(m, Network) and not m.training]
    swaps = [swap for network in networks for swap in _swaps(network.body)]
    before: list[Swap] = [(parent, name, parent.get_submodule(name)) for parent, name, _ in swaps]
    try:
        _put(swaps)
        yield
    finally:
        _put(before)


def fuse_batch_norms(module: nn.Module) -> nn.Module:
    """The same module, its batch norms folded for good: for a copy that is only evaluated."""
    for network in [m for m in module.modules() if isinstance(m, Network)]:
        _put(list(_swaps(network.eval().body)))
    return module


def _put(swaps: list[Swap]) -> None:
    for parent, name, child in swaps:
        setattr(parent, name, child)


def _swaps(body: nn.Module) -> Iterator[Swap]:
    """Where a batch norm follows a convolution: both places and what stands there instead."""
    for parent in body.modules():
        if isinstance(parent, nn.Sequential | BasicBlock):
            for (name, layer), (follower, norm) in pairwise(parent.named_children()):
                if isinstance(layer, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
                    convolution = fuse_conv_bn_eval(layer, norm)
                    yield parent, name, convolution
                    yield parent, follower, nn.Identity()
