"""Class weights: numbers per class, computed in float64 and scaled to sum to C.

The module itself is callable: `longtail.class_weights(counts, "inverse")` is `named("inverse", counts)`.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping, Sequence
from types import ModuleType
from typing import Annotated, Any

import numpy as np
import torch
from torch import Tensor

from longtail.facts import checks
from longtail.facts.arrays import as_dict, is_whole
from longtail.facts.counts import positive_counts
from longtail.facts.knobs import Range

BETA = 0.9999
"""Beta of the effective number in LDAM's code and its forks, and of the weight named "effective"."""

_BETA = Range(0, 1, open_high=True)
Beta = Annotated[float, _BETA]
NAMED = ("inverse", "sqrt", "effective")


def inverse_frequency(counts: Any, *, zero_count: str | float = "error", dtype: torch.dtype | None = None) -> Tensor:
    """w_j proportional to 1 / n_j, summing to C. (C,) of the default dtype."""
    return power(counts, 1.0, zero_count=zero_count, dtype=dtype)


def power(counts: Any, q: float, *, zero_count: str | float = "error", dtype: torch.dtype | None = None) -> Tensor:
    """w_j proportional to n_j^-q, summing to C: q = 1 inverse frequency, 1/2 its square root, 0 ones."""
    checks.number("q", q, "1 is inverse frequency")
    n = positive_counts(counts, zero_count)
    return _scaled(n.pow(-float(q)), n, dtype)


def effective_number(
    counts: Any, beta: Beta = BETA, *, zero_count: str | float = "error", dtype: torch.dtype | None = None
) -> Tensor:
    """w_j proportional to 1 / E_j, E_j = (1 - beta^n_j) / (1 - beta), summing to C.

    beta in [0, 1): 0 gives ones, beta -> 1 inverse frequency. Cui et al. 2019, proposition 1 and section 4.
    """
    _BETA.check("beta", beta)
    n = positive_counts(counts, zero_count)
    if beta == 0:
        return _scaled(torch.ones_like(n), n, dtype)
    # 1 - beta^n through expm1: beta^n rounds to 1 long before its complement is negligible
    return _scaled(1 / -torch.expm1(n * math.log(beta)), n, dtype)


def named(name: str, counts: Any, *, zero_count: str | float = "error", dtype: torch.dtype | None = None) -> Tensor:
    """Return the weights of a named rule: "inverse" (n^-1), "sqrt" (n^-1/2), "effective" (beta 0.9999)."""
    if name == "effective":
        return effective_number(counts, zero_count=zero_count, dtype=dtype)
    if name not in NAMED:
        raise ValueError(
            f'class_weight must be None, a tensor, a dict, or one of {", ".join(NAMED)}, got {name!r}; try "effective"'
        )
    return power(counts, 1.0 if name == "inverse" else 0.5, zero_count=zero_count, dtype=dtype)


def resolve(
    weight: Tensor | Mapping[str, float] | Sequence[float] | str | None,
    counts: Any = None,
    *,
    classes: Sequence[str] | None = None,
    zero_count: str | float = "error",
) -> Tensor | None:
    """Return a user's class_weight as a float64 tensor (C,) or None.

    None stays None; a tensor is used as it is; {class name: w} (also a pandas Series, by its index) is ordered by
    `classes`, and a class without a name has weight 1; the name of a rule is computed from the counts.
    """
    if weight is None:
        return None
    if isinstance(weight, str):
        if weight not in NAMED or counts is not None:
            return named(weight, counts, zero_count=zero_count, dtype=torch.float64)
        raise ValueError(f'class_weight="{weight}" needs class_counts, got None; pass longtail.class_counts(labels)')
    entries = as_dict(weight, "class_weight")
    if entries is not None:
        if classes is None and counts is not None and all(map(is_whole, entries)):
            classes = [str(j) for j in range(len(counts))]
        return _checked(_by_name({str(int(k)) if is_whole(k) else k: w for k, w in entries.items()}, classes), counts)
    if isinstance(weight, Tensor):
        tensor = weight.detach().to(torch.float64, copy=True)
    else:
        tensor = torch.from_numpy(np.array(weight, dtype=np.float64))
    size = len(counts) if counts is not None else tensor.numel()
    if tensor.ndim != 1 or tensor.numel() != size:
        raise ValueError(
            f"class_weight must have one weight per class, shape ({size},), got {tuple(tensor.shape)}; "
            "order them as class_counts is ordered"
        )
    return _checked(tensor, counts)


def _by_name(weight: Mapping[str, float], classes: Sequence[str] | None) -> Tensor:
    if classes is None:
        raise ValueError(
            f"class_weight by class name needs the names, got {dict(weight)!r} without them; "
            "pass classes=[...] or build the loss with from_labels"
        )
    unknown = [name for name in weight if name not in classes]
    if unknown:
        known = ", ".join(classes[:8])
        raise ValueError(f"class_weight must name known classes, got {unknown[0]!r}; known are {known}")
    return torch.tensor([float(weight.get(c, 1.0)) for c in classes], dtype=torch.float64)


def _checked(tensor: Tensor, counts: Any) -> Tensor:
    if not bool(torch.isfinite(tensor).all()) or bool((tensor < 0).any()):
        raise ValueError(f"class_weight must be finite and >= 0, got {tensor.tolist()}; correct these weights")
    checks.some_positive("class_weight", tensor, None if counts is None else torch.as_tensor(counts))
    return tensor


def _scaled(weight: Tensor, counts: Tensor, dtype: torch.dtype | None) -> Tensor:
    # a masked empty class has weight 0; the weights of the others sum to C
    weight = torch.where(counts > 0, weight, torch.zeros_like(weight))
    return (weight * (len(weight) / weight.sum())).to(dtype or torch.get_default_dtype())


class _Callable(ModuleType):
    """This module, callable."""

    def __call__(self, counts: Any, name: str | None = None, **options: Any) -> Tensor:
        """Return the weights of a named rule, see `named`; the name is required."""
        if name is None:
            raise TypeError(
                'class_weights needs the name of a rule, got counts alone; write class_weights(counts, "inverse"), '
                '"sqrt" or "effective", or class_weights.effective_number(counts, beta)'
            )
        return named(name, counts, **options)


sys.modules[__name__].__class__ = _Callable
