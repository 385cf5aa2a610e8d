"""Arrays, tensors and frames as examples, with checks of shapes, dtypes and labels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Subset, TensorDataset

from longtail.data.rows import Examples
from longtail.facts.counts import encode
from longtail.facts.messages import quoted

IMAGE_CHANNELS = (1, 3)


def examples(inputs: Any, labels: Any, *, classes: Sequence[str] | None = None, sample_weight: Any = None) -> Examples:
    """Examples from N inputs and N labels.

    Args:
        inputs: features (N, D), grey images (N, H, W) or colour images (N, H, W, 3), or (N, 3, H, W) where that
            leaves no doubt; a tensor, an array, nested lists, or a frame of numeric columns. uint8 stays uint8,
            everything else becomes float32.
        labels: N class indices or names.
        classes: the names of all classes in order, where the labels alone do not give them.
        sample_weight: N non-negative weights, or None.
    """
    tensor = as_inputs(inputs)
    indices, names = encode(labels, classes)
    check_length(tensor, len(indices))
    weight = None if sample_weight is None else as_weight(sample_weight, len(indices))
    return Examples(tensor, torch.from_numpy(indices), tuple(names), weight)


def check_length(inputs: Tensor, size: int) -> None:
    """Raise ValueError where there is not one label for each input."""
    if len(inputs) != size:
        raise ValueError(
            f"features and labels must have the same length, got {len(inputs)} and {size}; "
            "check that no row was dropped from one of them"
        )


def of_dataset(source: Any) -> tuple[Any, Any] | None:
    """Inputs and labels of a `TensorDataset`, or of a `Subset` of one; None for anything else.

    Raises:
        TypeError: another number of tensors than two.
    """
    if isinstance(source, Subset) and (whole := of_dataset(source.dataset)) is not None:
        return whole[0][source.indices], whole[1][source.indices]
    if isinstance(source, TensorDataset) and len(source.tensors) == 2:
        return source.tensors[0], source.tensors[1]
    if isinstance(source, TensorDataset):
        what = f"one of {len(source.tensors)}"
        raise TypeError(f"data must be a TensorDataset of inputs and labels, got {what}; pass the arrays X and y")
    return None


def as_weight(sample_weight: Any, size: int) -> Tensor:
    """One weight per row as float32; their range is checked with the rest of the data."""
    values = np.asarray(sample_weight)
    if values.dtype.kind not in "biuf":
        got = quoted(sample_weight) if isinstance(sample_weight, str) else f"values of type {values.dtype}"
        raise ValueError(
            f"sample_weight must be one number per row, got {got}; name a column of weights with weight (--weight)"
        )
    weight = torch.as_tensor(values, dtype=torch.float32)
    if weight.shape != (size,):
        raise ValueError(f"sample_weight must have shape ({size},), got {tuple(weight.shape)}; pass one per row")
    return weight


def as_inputs(inputs: Any) -> Tensor:
    """Inputs as float32 or uint8: (N, D) stays, images become (N, C, H, W)."""
    if is_frame(inputs):
        inputs = _frame_values(inputs)
    tensor = inputs.detach().cpu() if isinstance(inputs, Tensor) else _from_numpy(np.asarray(inputs))
    if tensor.ndim == 0 or len(tensor) == 0:
        raise ValueError(f"data must not be empty, got features of shape {tuple(tensor.shape)}; pass at least one row")
    if tensor.dtype != torch.uint8:
        tensor = tensor.to(torch.float32)
    if tensor.ndim == 2 and tensor.shape[1] > 0:
        return tensor.to(torch.float32).contiguous()
    if tensor.ndim == 3:
        return tensor.unsqueeze(1).contiguous()
    if tensor.ndim == 4 and tensor.shape[-1] in IMAGE_CHANNELS:
        return tensor.permute(0, 3, 1, 2).contiguous()
    if tensor.ndim == 4 and tensor.shape[1] in IMAGE_CHANNELS:
        return tensor.contiguous()  # as torch has them: the last axis is no channel
    raise ValueError(
        f"features must have shape (N, D), (N, H, W), (N, H, W, 1), (N, H, W, 3) or (N, 3, H, W), got "
        f"{tuple(tensor.shape)}; reshape them, or flatten with X.reshape(len(X), -1)"
    )


def _from_numpy(array: np.ndarray) -> Tensor:
    if array.dtype.kind not in "biuf":
        raise TypeError(
            f"features must be numbers, got {array.dtype}; encode categories as numbers first (one-hot, for example)"
        )
    if array.dtype.kind in "biu" and array.dtype != np.uint8:
        array = array.astype(np.float32)
    return torch.from_numpy(np.ascontiguousarray(array))


def is_frame(value: Any) -> bool:
    """Whether a value is a pandas frame, by its attributes, so that pandas need not be installed."""
    return hasattr(value, "columns") and hasattr(value, "dtypes") and hasattr(value, "to_numpy")


def _frame_values(frame: Any) -> np.ndarray:
    wrong = [str(c) for c, d in zip(frame.columns, frame.dtypes, strict=True) if getattr(d, "kind", "O") not in "biuf"]
    if wrong:
        raise TypeError(
            f"columns must be numeric or boolean, got other values in {', '.join(wrong[:5])}; "
            "encode or drop them first, or name the label column with label="
        )
    missing = [str(c) for c in frame.columns if bool(frame[c].isna().any())]
    if missing:
        raise ValueError(
            f"features must be finite, got missing values in column {', '.join(missing[:5])}; impute or drop them"
        )
    return np.asarray(frame.to_numpy(dtype=np.float32))
