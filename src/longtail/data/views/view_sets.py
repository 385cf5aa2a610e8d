"""Pairs of contrastive views by name: the strengths of several papers."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace

from longtail.data.views.contrastive import Contrast
from longtail.data.views.types import Policy

USUAL = "cifar"
VIEW_SETS: dict[str, tuple[str, str]] = {
    USUAL: ("contrast", "contrast"),
    "imagenet": ("contrast-imagenet", "contrast-imagenet"),
    "moco": ("contrast-moco", "contrast-moco"),
    "simclr": ("contrast-simclr", "contrast-simclr"),
    "byol": ("contrast-byol-1", "contrast-byol-2"),
}
"""Name -> the names of the two views, which `contrastive_policy` makes for images; other inputs have "cifar" alone.

cifar: SDCLR, BCL, GH and TS on CIFAR. imagenet: SDCLR and TS on ImageNet-100-LT, with the jitter of CIFAR. moco: MoCo
v2 and SimSiam. simclr: SimCLR on ImageNet, appendix A at strength 1. byol: BYOL, appendix B; its two views differ.
"""


def contrastive_policy(flip: bool) -> Policy:
    """Return the contrastive views of images by name.

    Args:
        flip: whether they are mirrored.
    """
    imagenet = Contrast((0.08, 1.0), flip=flip, blurred=0.5)
    byol = replace(imagenet, jitter=(0.4, 0.4, 0.2, 0.1))
    return {
        "contrast": Contrast(flip=flip),
        "contrast-imagenet": imagenet,
        "contrast-moco": replace(imagenet, scale=(0.2, 1.0)),
        "contrast-simclr": replace(imagenet, jitter=(0.8, 0.8, 0.8, 0.2)),
        "contrast-byol-1": replace(byol, blurred=1.0),
        "contrast-byol-2": replace(byol, blurred=0.1, solarised=0.2),
    }


def pair_of_views(name: str) -> tuple[str, str]:
    """Return the names of the two views of a set.

    Raises:
        ValueError: an unknown set.
    """
    if name not in VIEW_SETS:
        raise ValueError(f"views must be one of {', '.join(VIEW_SETS)}, got {name!r}; choose one of these")
    return VIEW_SETS[name]


def check_pair(views: Sequence[str]) -> tuple[str, str]:
    """Return two views that are compared with each other.

    Raises:
        ValueError: one view, or more than two.
    """
    if isinstance(views, str) or len(views) != 2:
        given = views if isinstance(views, str) else ", ".join(views) or "none"
        raise ValueError(f"views must be two, which are compared with each other, got {given}; name two, or one twice")
    first, second = views
    return first, second


def sets_for(known: Collection[str]) -> list[str]:
    """Return the sets whose views are among those known for some data."""
    return [name for name, views in VIEW_SETS.items() if set(views) <= set(known)]
