"""What is said wherever a small network of ours decides about images: that it is small, and how to take another."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from longtail.facts.default_network import SMALL, choose

WAY_OUT = (
    "--backbone FOLDER or --features FILE take a pretrained network, --model resnet18 --size 224 trains a larger one"
)


def small_network(facts: Mapping[str, Any], recipe: Mapping[str, Any]) -> str | None:
    """Return the sentence on a small network, trained from scratch on images of files; None for any other training.

    Args:
        facts: of the data; `size` is there where images were resized.
        recipe: as JSON: `model`, and `network` or `pretrained` where it is the user's own or starts from another run.
    """
    size, named = facts.get("size"), recipe.get("model", "auto")
    if not isinstance(size, int) or recipe.get("network") is not None or recipe.get("pretrained") is not None:
        return None
    name = choose((3, size, size)) if named == "auto" else named
    if name not in SMALL:
        return None
    return (
        f"Small network: {name}, trained from scratch on {size} x {size} pixels; a larger or a pretrained one may rank "
        f"methods otherwise and is usually better ({WAY_OUT})."
    )
