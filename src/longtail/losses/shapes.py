"""Shape and dtype checks of every loss call; values are checked only inside `longtail.checks.strict()`."""

from __future__ import annotations

import torch
from torch import Tensor

from longtail.facts import checks


def check_call(
    logits: Tensor, targets: Tensor, sample_weight: Tensor | None, num_classes: int | None, ignore_index: int
) -> None:
    """Check the tensors of one call of a loss.

    Raises:
        TypeError: not a tensor; logits that are not floating-point; targets of an unusable dtype.
        ValueError: shapes that do not fit; integer (N, C) targets, which are multi-hot; in strict mode, bad
            values.
    """
    _check_tensor("logits", logits)
    _check_tensor("targets", targets)
    _check_logits(logits, num_classes)
    _check_targets(logits, targets)
    if sample_weight is not None:
        _check_tensor("sample_weight", sample_weight)
        _check_sample_weight(sample_weight, logits)
    if not torch.compiler.is_compiling() and checks.is_strict():
        checks.finite(logits, "logits")
        checks.targets(targets, logits.shape[1], ignore_index=ignore_index)
        if sample_weight is not None:
            checks.sample_weight(sample_weight)


def _check_tensor(name: str, value: object) -> None:
    if not isinstance(value, Tensor):
        raise TypeError(f"{name} must be a tensor, got {type(value).__name__}; use torch.as_tensor({name})")


def _check_logits(logits: Tensor, num_classes: int | None) -> None:
    if not logits.is_floating_point():
        raise TypeError(f"logits must be floating point, got {logits.dtype}; pass the network's raw outputs")
    if logits.ndim < 2:
        raise ValueError(
            f"logits must have shape (N, C) or (N, C, d1..dk), got {tuple(logits.shape)}; "
            "add a batch dimension with logits[None]"
        )
    if num_classes is not None and logits.shape[1] != num_classes:
        raise ValueError(
            f"logits must have {num_classes} classes in dimension 1, as the loss was built for, got shape "
            f"{tuple(logits.shape)}; build the loss with the counts of these classes, longtail.class_counts(labels)"
        )


def _check_targets(logits: Tensor, targets: Tensor) -> None:
    of_index = (logits.shape[0], *logits.shape[2:])
    if targets.dtype == torch.bool or targets.is_complex():
        raise TypeError(f"targets must be class indices or probabilities, got {targets.dtype}; use targets.long()")
    if targets.is_floating_point():
        if targets.shape != logits.shape:
            raise ValueError(
                f"targets as probabilities must have the logits' shape {tuple(logits.shape)}, got "
                f"{tuple(targets.shape)}; class indices are integers: use targets.long()"
            )
    elif targets.shape == logits.shape:
        raise ValueError(
            f"targets as integers must be class indices {of_index}, got shape {tuple(targets.shape)}, which is "
            "multi-hot; pass targets.argmax(1), or probabilities whose rows sum to 1"
        )
    elif targets.shape != of_index:
        column = targets.shape == (*of_index, 1)
        fix = "use targets.squeeze(-1)" if column else "pass one class index per example"
        raise ValueError(f"targets as class indices must have shape {of_index}, got {tuple(targets.shape)}; {fix}")


def _check_sample_weight(weight: Tensor, logits: Tensor) -> None:
    of_index = (logits.shape[0], *logits.shape[2:])
    if weight.shape not in (of_index, of_index[:1]):
        raise ValueError(
            f"sample_weight must have shape ({of_index[0]},) or {of_index}, got {tuple(weight.shape)}; "
            "pass one weight per example"
        )


def check_progress(progress: float | Tensor | None) -> None:
    """Check that progress is a float in [0, 1] or a 0-dim tensor, whose value is not read."""
    if isinstance(progress, Tensor):
        if progress.ndim != 0:
            raise ValueError(
                f"progress must be a float or a 0-dim tensor, got shape {tuple(progress.shape)}; "
                "it is one number for the whole batch"
            )
    elif progress is not None and not 0 <= progress <= 1:
        raise ValueError(f"progress must be in [0, 1], got {progress}; pass epoch / epochs, not the epoch")
