"""Compiled bodies: as many forms as a training needs, where torch alone goes back to eager operations."""

from __future__ import annotations

from typing import Any

from torch import nn

FORMS = 64
"""Most compiled forms of one layer's code. A ResNet-32 has five kinds of block, a training four to six shapes of batch
with gradients and without."""


def compile_body(network: nn.Module, mode: str) -> None:
    """Compile the body in place, so that names and state_dict stay the same.

    torch compiles a Sequential layer by layer, each again for every shape of batch and for evaluation. At its own limit
    of 8 forms it would run the layer uncompiled, with no more than a warning.

    Args:
        network: a `models.Network`.
        mode: as `torch.compile` takes it.
    """
    from torch._dynamo import config  # with the compiler, which takes seconds to import

    config.recompile_limit = max(config.recompile_limit, FORMS)
    body: Any = network.body
    body.compile(mode=mode, dynamic=False)
