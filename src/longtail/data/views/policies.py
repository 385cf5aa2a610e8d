"""Which augmentation a view's name means, for each kind of input: images, features, rows of a table.

A policy maps the name of a view to (inputs of a batch, generator) -> inputs of the same shape and dtype. "plain" and
"weak" need no entry: "weak" is what supervised training does to its rows.
"""

from __future__ import annotations

from collections.abc import Sequence

from longtail.data.views.cutout import Cutout
from longtail.data.views.magnitudes import Graded, GradedMasking, GradedNoise, OneOperation
from longtail.data.views.masking import Masking
from longtail.data.views.noise import Noise
from longtail.data.views.pixels import InTurn, InUint8
from longtail.data.views.rand_augment import RandAugment
from longtail.data.views.types import Augment, Policy
from longtail.data.views.view_sets import contrastive_policy

SHARED = 0.4
"""Share of a table's columns that two contrastive views have in common, as in SCARF, which masks 0.6 of one view."""


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
    strong = InUint8(InTurn((RandAugment(), Cutout())))
    return {
        "strong": strong if augment is None else InTurn((augment, strong)),
        **contrastive_policy(bool(getattr(augment, "flip", False))),
    }


def feature_policy() -> Policy:
    """Return the views of features (N, D) without columns of their own meaning, such as embeddings."""
    return {"strong": Noise(), "contrast": Noise()}


def table_policy(sources: Sequence[int]) -> Policy:
    """Return the views of the rows of a table.

    Args:
        sources: for each of the D input columns the column of the table that it comes from.
    """
    columns = tuple(sources)
    return {"strong": Masking(sources=columns), "contrast": Masking(1 - SHARED**0.5, columns)}


def graded_change(shape: Sequence[int], policy: Policy) -> Graded:
    """Return the change of a given magnitude for inputs of this shape, of which the policy tells tables from features.

    Args:
        shape: of one example.
        policy: its views.
    """
    if len(shape) > 1:
        return OneOperation()
    view = policy.get("contrast")
    return GradedMasking(sources=view.sources) if isinstance(view, Masking) else GradedNoise()
