"""The arguments that all losses share, declared once, and the full signature of a loss."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, TypedDict, get_type_hints

import numpy as np
from torch import Tensor

from longtail.facts.knobs import Choice, Fraction, UnitFloat
from longtail.losses.reduction import Normalize, Reduction

ClassWeight = (
    Annotated[str, Choice(("inverse", "sqrt", "effective"), others=(Tensor, Mapping, list, tuple, np.ndarray))]
    | Tensor
    | Mapping[str, float]
    | Sequence[float]
    | None
)
ZeroCount = Annotated[str | float, Choice(("error", "mask"), others=(int, float))]


class Common(TypedDict, total=False):
    """The arguments of every loss besides its own knobs, see `Loss`."""

    class_weight: ClassWeight
    reweight: Fraction
    normalize: Normalize
    label_smoothing: UnitFloat
    ignore_index: int
    reduction: Reduction
    zero_count: ZeroCount
    classes: Sequence[str] | None


DEFAULTS: dict[str, Any] = {
    "class_weight": None,
    "reweight": 1.0,
    "normalize": "weights",
    "label_smoothing": 0.0,
    "ignore_index": -100,
    "reduction": "mean",
    "zero_count": "error",
    "classes": None,
}


def full_signature(loss: type, normalize: str) -> inspect.Signature:
    """Return the full signature of a loss: its own knobs, then the common arguments with its own `normalize`."""
    hints = get_type_hints(loss.__init__, include_extras=True)  # type: ignore[misc]
    own = [
        parameter.replace(annotation=hints.get(parameter.name, parameter.annotation))
        for parameter in list(inspect.signature(loss.__init__).parameters.values())[1:]  # type: ignore[misc]
        if parameter.kind is not parameter.VAR_KEYWORD
    ]
    common_hints = get_type_hints(Common, include_extras=True)
    common = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=common_hints[name])
        for name, default in {**DEFAULTS, "normalize": normalize}.items()
    ]
    return inspect.Signature([*own, *common])


def refuse_unknown(loss: type, given: Mapping[str, Any]) -> None:
    """Raise TypeError for an argument that the loss does not have, with its nearest match."""
    for name in given:
        if name not in DEFAULTS:
            known = [p for p in inspect.signature(loss).parameters if p != "class_counts"]
            near = difflib.get_close_matches(name, known, n=1)
            hint = f"did you mean {near[0]}?" if near else f"it takes {', '.join(known)}"
            raise TypeError(f"{loss.__name__} has no argument {name!r}; {hint}")
