"""One vector of features an image, from whatever a pretrained network of images returns."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

RULES = 1
"""To be increased when a rule of `pooled` changes: features cached under another number are computed again."""
CLASS_TOKENS = ("cls_token", "class_embedding")
"""Names of the parameter that stands before the patches of an image."""
POOLER = "pooler"


def image_embedding(outputs: Any) -> Tensor:
    """Return the projected embedding (N, D) of a model of images and texts: a tensor, or in an output."""
    found: Tensor = outputs if isinstance(outputs, Tensor) else outputs.pooler_output
    return found


def pooled(model: nn.Module, outputs: Any, *, pooler: bool) -> tuple[Tensor, str]:
    """Return features (N, D) and which output they are, by the first rule that applies.

    1. `pooler_output`, (N, D) or (N, D, 1, 1), where the folder has the pooler's weights or it has none.
    2. `last_hidden_state` (N, T, D) of a model with a class token: that of the class token.
    3. `last_hidden_state` (N, T, D): the mean over tokens.
    4. `last_hidden_state` (N, D, H, W), or the last of `feature_maps`: the mean over the map.

    Args:
        model: that returned them.
        outputs: its outputs, by name.
        pooler: whether the pooler is trained; transformers draws it at random where the weights have none.

    Raises:
        ValueError: none of these.
    """
    found = getattr(outputs, "pooler_output", None)
    if pooler and isinstance(found, Tensor) and found.ndim >= 2 and found[0].numel() == found.shape[1]:
        return found.flatten(1), "pooler output"
    hidden, maps = getattr(outputs, "last_hidden_state", None), getattr(outputs, "feature_maps", None)
    if isinstance(hidden, Tensor) and hidden.ndim == 3:
        if any(name.endswith(CLASS_TOKENS) for name, _ in model.named_parameters()):
            return hidden[:, 0], "class token"
        return hidden.mean(1), "mean over tokens"
    last = hidden if hidden is not None or not maps else maps[-1]
    if isinstance(last, Tensor) and last.ndim == 4:
        return last.mean((2, 3)), "mean over the last map"
    names = ", ".join(getattr(outputs, "keys", lambda: ())()) or type(outputs).__name__
    raise ValueError(f"its outputs ({names}) hold no features of an image; embed yourself and pass --features")
