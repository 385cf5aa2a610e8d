"""Compiled bodies: as many forms as a training needs, where torch alone goes back to eager operations."""

from __future__ import annotations

from typing import Any

from torch import nn

FORMS = 512
"""Most compiled forms of one layer's code. A training has four to six shapes of batch with gradients and without, a
ResNet-32 five kinds of block, DenseNet-BC-100-12 as many as it has layers, 48: hundreds of forms."""


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
    config.accumulated_recompile_limit = max(config.accumulated_recompile_limit, FORMS)
    body: Any = network.body
    body.compile(mode=mode, dynamic=False)
