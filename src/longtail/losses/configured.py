"""The constructor of a loss: its knobs, checked in one place, and the counts or labels of its classes."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Self, Unpack

import torch
from torch import Tensor

from longtail.facts import class_weights, knobs
from longtail.facts.arrays import as_dict
from longtail.facts.counts import as_counts, class_names
from longtail.facts.counts import class_counts as count_classes
from longtail.facts.schedules import Schedule, at
from longtail.facts.types import Progress
from longtail.losses.constants import ClassConstants
from longtail.losses.reduction import check_normalize
from longtail.losses.signature import DEFAULTS, Common, full_signature, refuse_unknown


class Configured(ClassConstants):
    """The arguments of a loss: its own knobs, from its constructor, and the common ones of `signature`.

    `DIVIDES_BY` is the loss's default for `normalize`.
    """

    DIVIDES_BY: ClassVar[str] = "weights"

    class_weight: Tensor | None
    outside: Tensor | None
    reweight: float | Schedule
    normalize: str | float | Tensor
    label_smoothing: float
    ignore_index: int
    reduction: str
    zero_count: str | float
    classes: Sequence[str] | None
    weighed: bool
    """Whether classes have weights that differ, or do not count."""
    all_weighed: bool
    """Whether every class has a weight above 0, so that the weights of a batch do not sum to 0."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls.__signature__ = full_signature(cls, cls.DIVIDES_BY)  # type: ignore[attr-defined]

    def __init__(self, class_counts: Any = None, own: Mapping[str, Any] | None = None, /, **common: Unpack[Common]):
        super().__init__()
        refuse_unknown(type(self), common)
        values = {**DEFAULTS, "normalize": self.DIVIDES_BY, **common}
        by_key = as_dict(values["class_weight"], "class_weight")
        values["class_weight"] = values["class_weight"] if by_key is None else by_key
        self._own = tuple(own or {})
        knobs.check(type(self), {**(own or {}), **values})
        check_normalize(values["normalize"])
        self._weight_given = values.pop("class_weight")
        for name, value in {**(own or {}), **values}.items():
            setattr(self, name, value)
        self._scheduled = tuple(n for n in (*self._own, "reweight") if isinstance(getattr(self, n), Schedule))
        counts = None if class_counts is None else as_counts(class_counts, classes=values["classes"])
        _check_names(self.classes, counts)
        given = next((v for v in (counts, self._weight_given) if isinstance(v, Tensor)), None)
        self._compute(counts, given.device if given is not None else torch.get_default_device())

    @classmethod
    def from_labels(cls, labels: Any, *, num_classes: int | None = None, **arguments: Any) -> Self:
        """Build the loss from training labels: their counts, and their names as `classes`."""
        classes = arguments.pop("classes", None)
        counts = count_classes(labels, num_classes, classes)
        names = classes if classes is not None else class_names(labels)
        # a class that no label has is named by its index
        arguments["classes"] = [*names, *map(str, range(len(names), len(counts)))]
        return cls(counts, **arguments)

    @classmethod
    def from_dataset(cls, dataset: Any, *, num_classes: int | None = None, **arguments: Any) -> Self:
        """Build the loss from a training set, whose labels are read without decoding an input."""
        return cls.from_labels(dataset, num_classes=num_classes, **arguments)

    def reweighed(self, class_weight: Any, counts: Any, reweight: float | Schedule = 1.0) -> Self:
        """Return the same loss with another class weight; the mean is divided as before.

        Args:
            class_weight, reweight: as in the constructor.
            counts: n (C,), for a named weight.

        Raises:
            ValueError: it has a class weight already, or an argument breaks its rule.
        """
        if self.class_weight is not None:
            raise ValueError(f"loss must be one without class weights, got {self!r}; choose another one")
        knobs.check(type(self), {"class_weight": class_weight, "reweight": reweight})
        other = copy.deepcopy(self)
        other._weight_given, other.reweight = class_weight, reweight
        other._scheduled = tuple(n for n in (*self._own, "reweight") if isinstance(getattr(other, n), Schedule))
        other._compute(as_counts(counts, classes=self.classes), self.buffer_device())
        return other

    def statistics(self, counts: Tensor | None) -> dict[str, Tensor]:
        """Slot: return constants (C,), float64, which `losses` reads by `self.constant(name, logits)`."""
        return {}

    def constants(self, counts: Tensor | None) -> Mapping[str, Tensor | None]:
        """Return class weight, `outside` (classes whose targets do not count), and the loss's own statistics."""
        weight = class_weights.resolve(self._weight_given, counts, classes=self.classes, zero_count=self.zero_count)
        return {"class_weight": weight, "outside": None, **self.statistics(counts)}

    def _compute(self, counts: Tensor | None, device: torch.device) -> None:
        super()._compute(counts, device)
        weight = self._exact.get("class_weight")
        self.weighed = weight is not None or "outside" in self._exact
        self.all_weighed = weight is None or bool((weight > torch.finfo(torch.float32).tiny).all())
        self._size = self._num_classes()

    def counted(self, counts: Tensor | None) -> Tensor:
        """Return the counts, for statistics that need them."""
        if counts is None:
            name = type(self).__name__
            raise ValueError(f"{name} needs class_counts, got None; pass longtail.class_counts(labels)")
        return counts

    def knob(self, name: str, progress: Progress | None) -> Any:
        """Return the value of a knob at `progress`."""
        return at(getattr(self, name), progress, name)

    def _num_classes(self) -> int | None:
        known = self.class_counts if self.class_counts is not None else self.class_weight
        return None if known is None else len(known)

    def extra_repr(self) -> str:
        """The number of classes, the loss's own knobs, and what differs from the defaults."""
        size = self._num_classes()
        shown = [] if size is None else [f"{size} classes"]
        shown += [f"{name}={_abbreviated(getattr(self, name))}" for name in self._own]
        given = {name: getattr(self, name) for name in DEFAULTS} | {"class_weight": self._weight_given}
        default = {**DEFAULTS, "normalize": self.DIVIDES_BY, "classes": self.classes}
        shown += [f"{name}={_abbreviated(v)}" for name, v in given.items() if not _is_default(v, default[name])]
        return ", ".join(shown)


def _check_names(classes: Sequence[str] | None, counts: Tensor | None) -> None:
    if classes is not None and counts is not None and len(classes) != len(counts):
        raise ValueError(f"classes must name all {len(counts)} classes, got {len(classes)} names; see class_counts")


def _abbreviated(value: Any) -> str:
    return f"<{tuple(value.shape)}>" if isinstance(value, Tensor) else repr(value)


def _is_default(value: Any, default: Any) -> bool:
    return value is default or (isinstance(value, str | int | float) and bool(value == default))
