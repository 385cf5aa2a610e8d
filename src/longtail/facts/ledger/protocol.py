"""How a number was obtained: the protocol of a source, and what sets it apart from another."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

SELECTED = ("last", "best-test", "val")
"""The final epoch; the best epoch on the test set; the best epoch on validation data."""
OURS = ("last", "best-test")
"""`longtail reproduce` has both."""
NOT_SAID = "not said"

PHRASES = {
    "network": "{}",
    "width": "width {}",
    "augmentation": "{}",
    "views": "{} views",
    "epochs": "{} epochs",
    "batch": "batch {}",
    "optimizer": "{}",
    "lr": "lr {}",
    "weight_decay": "weight decay {}",
    "schedule": "lr {}",
    "subset": "subset {}",
}
"""Field -> how a reason words its value; only these are compared, beside `select`."""


@dataclass(frozen=True)
class Protocol:
    """Training, selection and data of a source. Every field is text; empty is unknown, nothing is guessed.

    Args:
        key: name in protocols.csv.
        network, width: architecture, and channels of its stages, as in 16-32-64.
        augmentation: names joined by a comma, as in "crop, flip".
        views: augmented images made of each image in a step.
        epochs, batch: length of the (first stage of the) training, and examples a step.
        optimizer, lr, weight_decay, schedule: as in SGD (momentum 0.9), 0.1, 0.0002, "x0.01 at 80, 90 %" of the epochs.
        select: which epoch was reported, one of `SELECTED`.
        subset: which images of a class were used. "by seed 0": NumPy's legacy generator shuffles each class in turn.
        note: whatever else is known.
    """

    key: str
    network: str = ""
    width: str = ""
    augmentation: str = ""
    views: str = ""
    epochs: str = ""
    batch: str = ""
    optimizer: str = ""
    lr: str = ""
    weight_decay: str = ""
    schedule: str = ""
    select: str = ""
    subset: str = ""
    note: str = ""


def reasons(theirs: Protocol, ours: Protocol) -> list[str]:
    """Return why two numbers are not comparable, as in ["AutoAugment", "400 epochs", "subset not said"].

    Empty where everything is known and agrees. `ours.select` plays no part: we have the last and the best-test epoch.
    """
    differing, unknown = [], []
    for name, phrase in PHRASES.items():
        value, own = getattr(theirs, name), getattr(ours, name)
        if name == "width" and theirs.network != ours.network:
            continue  # of another network: no reason of its own
        if not value:
            unknown.append(name.replace("_", " "))
        elif value != own:
            differing.append(_augmented(value, own) if name == "augmentation" else _phrase(phrase, value))
    if not theirs.select:
        unknown.append("selection")
    elif theirs.select not in OURS:
        differing.append("selected on validation data")
    return [*differing, *([f"{', '.join(unknown)} {NOT_SAID}"] if unknown else [])]


def mark(reasons: Sequence[str]) -> str:
    """Return "=" without a reason, "?" where something is not said and nothing known to differ, else "≠"."""
    if not reasons:
        return "="
    return "?" if all(reason.endswith(NOT_SAID) for reason in reasons) else "≠"


def _phrase(phrase: str, value: str) -> str:
    """A value in words; one that brings its own unit, as in "13000 steps", stays as it is."""
    return value if phrase == "{} epochs" and not value.isdigit() else phrase.format(value)


def _augmented(value: str, own: str) -> str:
    """What they have and we lack; where that is nothing, what they lack."""
    theirs, ours = value.split(", "), own.split(", ")
    more = [name for name in theirs if name not in ours]
    return ", ".join(more) or ", ".join(f"no {name}" for name in ours if name not in theirs)
