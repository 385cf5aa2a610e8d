"""Restore the preparation of a model from its files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
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
    if kind == "backbone":
        from longtail.data.prepare.backbone import BackbonePreparation

        return BackbonePreparation.from_json(description, blobs)
    known = "table, images, backbone or features"
    raise ValueError(f"the model's preparation must be {known}, got {kind!r}; update longtail")


def with_backbone(preparation: Any, path: Any, device: str) -> Any:
    """Return a preparation with its backbone in another folder, or on another device; None is the one of training.

    Raises:
        ValueError: the model has no backbone, or this is another one.
    """
    has = getattr(preparation, "kind", None) == "backbone"
    if path is None:
        return replace(preparation, device=device) if has else preparation
    if not has:
        raise ValueError(
            f"backbone (--backbone) is for models that were trained with one, got {str(path)!r}; leave it out"
        )
    return preparation.at(path, device)
