"""Which augmentation a view's name means, for each kind of input: images, features, rows of a table.

A policy maps the name of a view to (inputs of a batch, generator) -> inputs of the same shape and dtype. "plain" and
"weak" need no entry: "weak" is what supervised training does to its rows.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor

from longtail.data.views.contrastive import Contrast

Augment = Callable[[Tensor, torch.Generator], Tensor]
"""(inputs of a batch, the epoch's generator) -> inputs of the same shape."""
Policy = Mapping[str, Augment]
"""View by name -> how inputs are augmented for it; "plain" and "weak" always exist."""


def default_policy(shape: Sequence[int], augment: Augment | None) -> Policy:
    """Return the views of inputs of this shape that name none themselves.

    Args:
        shape: of one example; (H, W) and (C, H, W) are images, (D,) are features.
        augment: what supervised training does to the rows.
    """
    return image_policy(augment) if len(shape) > 1 else feature_policy()


def image_policy(augment: Augment | None) -> Policy:
    """Return the views of images.

    Args:
        augment: crop and flip, or None where images must not be changed in training: then no view mirrors either.
    """
    return {
        "contrast": Contrast(flip=bool(getattr(augment, "flip", False))),
    }


def feature_policy() -> Policy:
    """Return the views of features (N, D) without columns of their own meaning, such as embeddings."""
    return {}


def table_policy(sources: Sequence[int]) -> Policy:
    """Return the views of the rows of a table.

    Args:
        sources: for each of the D input columns the column of the table that it comes from.
    """
    return {}
