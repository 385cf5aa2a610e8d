"""What people hand in (arrays, lists, tensors of any framework) as a NumPy array; torch is not imported."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["as_array"]


def as_array(values: Any) -> NDArray[Any]:
    """View ``values`` as a NumPy array, without a copy where there need be none.

    A torch tensor (known by its ``detach`` method) is detached and brought to the CPU; its 16-bit floats,
    of which NumPy lacks bfloat16, are widened to float32, exactly.
    """
    if hasattr(values, "detach"):
        tensor = values.detach().cpu()
        return np.asarray((tensor.float() if str(tensor.dtype) == "torch.bfloat16" else tensor).numpy())
    return np.asarray(values)
