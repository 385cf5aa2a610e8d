"""Evaluation without batch norms: each is merged into the convolution before it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise

from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from longtail.models.bodies.deep_resnet import Bottleneck
from longtail.models.bodies.densenet import DenseLayer
from longtail.models.bodies.preact_resnet import PreActBlock
from longtail.models.bodies.resnet import BasicBlock
from longtail.models.bodies.wide_resnet import PreActivationBlock
from longtail.models.network import Network
from longtail.models.own import OwnBody

BLOCKS = (nn.Sequential, BasicBlock, Bottleneck, DenseLayer, PreActivationBlock, PreActBlock)
"""Modules whose children are passed in their order."""

Replacement = tuple[nn.Module, str, nn.Module]


@contextmanager
def merged_batch_norms(module: nn.Module) -> Iterator[None]:
    """Merge the batch norms of our own networks into the convolutions before them; undone on exit.

    conv(x) -> (conv(x) - mean) / sqrt(var + eps) * weight + bias is one convolution with weights
    W weight / sqrt(var + eps). The result differs by rounding. Only in eval mode, where the statistics are constant;
    in training mode, and in networks that are not ours (whose order of modules need not be their order of execution),
    nothing changes. Not for several threads at once on one module.
    """
    networks = [m for m in module.modules() if isinstance(m, Network) and not m.training]
    replacements = [replacement for network in networks for replacement in _replacements(network.body)]
    before: list[Replacement] = [(parent, name, parent.get_submodule(name)) for parent, name, _ in replacements]
    try:
        _set_modules(replacements)
        yield
    finally:
        _set_modules(before)


def merge_batch_norms(module: nn.Module) -> nn.Module:
    """Merge the batch norms of a module for good, and return it: for a copy that is only evaluated."""
    for network in [m for m in module.modules() if isinstance(m, Network)]:
        _set_modules(list(_replacements(network.eval().body)))
    return module


def _set_modules(replacements: list[Replacement]) -> None:
    for parent, name, child in replacements:
        setattr(parent, name, child)


def _replacements(body: nn.Module) -> Iterator[Replacement]:
    """Yield, where a batch norm follows a convolution, the two modules that replace them."""
    if isinstance(body, OwnBody):
        return  # it may use the modules of an nn.Sequential in another order
    for parent in body.modules():
        if isinstance(parent, BLOCKS):
            for (name, layer), (follower, norm) in pairwise(parent.named_children()):
                if isinstance(layer, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
                    convolution = fuse_conv_bn_eval(layer, norm)
                    yield parent, name, convolution
                    yield parent, follower, nn.Identity()
