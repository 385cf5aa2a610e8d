"""Class counts: the one statistic that methods use, from labels in any form."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from longtail.facts import identifiers
from longtail.facts.arrays import COUNT, checked_counts, like_labels, warn_of_labels
from longtail.facts.labels import class_names as class_names
from longtail.facts.labels import encode as encode
from longtail.facts.labels import encoded
from longtail.facts.messages import quoted


def class_counts(labels: Any, num_classes: int | None = None, classes: Sequence[str] | None = None) -> Tensor:
    """Count the examples of each class.

    n_j = #{i : y_i = j}

    Args:
        labels: N labels, also as a column (N, 1). Integers are class indices, as are whole numbers stored as floats;
            strings are sorted as `np.unique` sorts them.
        num_classes: C, where some of the last classes may be missing from integer labels.
        classes: the names of all classes in their order; string labels are looked up in them.

    Returns:
        (C,) int64; C = max + 1 for integers unless `num_classes` or `classes` says more.

    Raises:
        ValueError: no labels, a negative label, a label outside `num_classes` or `classes`.
        TypeError: labels that are neither integers nor strings, or a dataset whose labels cannot be found.
    """
    if num_classes is None:
        indices, known = encode(labels, classes)
        return torch.bincount(torch.from_numpy(indices), minlength=len(known))
    if isinstance(num_classes, bool) or not isinstance(num_classes, int | np.integer):
        raise TypeError(f"num_classes must be an integer, got {quoted(num_classes)}; leave it out or count the classes")
    indices, names = encoded(labels, classes)
    size = int(indices.max()) + 1 if names is None else len(names)
    if num_classes < size:
        raise ValueError(
            f"num_classes must be at least {size} for these labels, got {num_classes}; "
            "leave it out or count the classes again"
        )
    if num_classes > identifiers.MOST_CLASSES:
        raise ValueError(
            f"num_classes must be at most {identifiers.MOST_CLASSES:,}, got {num_classes:,}; pass class names"
        )
    return torch.bincount(torch.from_numpy(indices), minlength=int(num_classes))


def as_counts(counts: Any, name: str = "class_counts", classes: Sequence[str] | None = None) -> Tensor:
    """Return counts as a float64 tensor (C,), checked: one-dimensional, finite, non-negative, not all zero.

    A dict, a Counter or a pandas Series is read by its keys, see `arrays.by_class`. Labels passed as counts are
    refused where they cannot be counts: text, truth values, a negative number. Integer labels are valid counts of as
    many classes as there are labels; whatever cannot use such counts (an empty class, another number of classes than
    the logits have) refuses them, with a hint.
    """
    values = checked_counts(counts, name, classes)
    if not values.sum() > 0:
        raise ValueError(f"{name} must count at least one example, got only zeros; {COUNT}")
    return torch.from_numpy(values).to(counts.device if isinstance(counts, Tensor) else "cpu")


def positive_counts(counts: Any, zero_count: str | float = "error", name: str = "class_counts") -> Tensor:
    """Return counts (C,) float64 for formulas that divide by n or take its log.

    zero_count: "error" raises an error that names the empty classes; "mask" returns the zeros, for the caller to mask;
    a number replaces the zeros as a pseudo-count.
    """
    tensor = as_counts(counts, name)
    if zero_count == "mask":
        return tensor
    empty = tensor == 0
    if isinstance(zero_count, int | float) and not isinstance(zero_count, bool) and zero_count > 0:
        return torch.where(empty, torch.full_like(tensor, float(zero_count)), tensor)
    if zero_count != "error":
        raise ValueError(
            f'zero_count must be "error", "mask" or a number > 0, got {quoted(zero_count)}; try "mask" or 1.0'
        )
    if bool(empty.any()):
        where = torch.nonzero(empty).flatten().tolist()
        hint = like_labels(tensor.cpu().numpy())
        way = f"{hint}: {COUNT}" if hint else 'drop the class or pass zero_count="mask" or a pseudo-count'
        raise ValueError(f"{name} must be > 0 for every class, got 0 for class {', '.join(map(str, where[:8]))}; {way}")
    return tensor


def priors(counts: Any) -> Tensor:
    """pi_j = n_j / N, (C,) float64."""
    tensor = as_counts(counts)
    warn_of_labels(tensor.cpu().numpy(), "class_counts")
    return tensor / tensor.sum()


def log_priors(counts: Any, zero_count: str | float = "error") -> Tensor:
    """log pi_j = log(n_j / N), (C,) float64; -inf for an empty class under zero_count="mask"."""
    tensor = positive_counts(counts, zero_count)
    return tensor.log() - tensor.sum().log()


def imbalance_ratio(counts: Any) -> float:
    """rho = max_j n_j / min_j n_j, >= 1; infinite where a class is empty."""
    tensor = as_counts(counts)
    warn_of_labels(tensor.cpu().numpy(), "class_counts")
    low = float(tensor.min())
    return float(tensor.max()) / low if low > 0 else float("inf")
