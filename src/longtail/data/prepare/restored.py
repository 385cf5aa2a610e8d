"""Restore the preparation of a model from its files."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from longtail.data.prepare.preparation import Preparation


def restored(description: Any, blobs: Mapping[str, bytes]) -> Preparation | None:
    """The preparation that a model's meta.json describes; None where it has none.

    Raises:
        ValueError: a kind that this version does not know, or a damaged description.
    """
    if description is None:
        return None
    kind = description.get("kind") if isinstance(description, dict) else None
    if kind == "table":
        from longtail.data.prepare.table import TablePreparation

        return TablePreparation.from_json(description, blobs)
    if kind in ("images", "features"):
        from longtail.data.prepare.images import FeaturePreparation, ImagePreparation

        cls: type[Preparation] = ImagePreparation if kind == "images" else FeaturePreparation
        return cls.from_json(description, blobs)
    raise ValueError(f"the model's preparation must be table, images or features, got {kind!r}; update longtail")
