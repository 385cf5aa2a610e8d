"""Networks on the meta device: shapes, without memory and random numbers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch.overrides import TorchFunctionMode


class WithoutValues(TorchFunctionMode):
    """Leaves out normal_, which on the meta device imports torch's compiler: 1.5 seconds."""

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        return args[0] if func is torch.Tensor.normal_ else func(*args, **(kwargs or {}))
