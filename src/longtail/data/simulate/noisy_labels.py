"""Noise on labels of one's own: `noisy` and `transition_matrix`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from longtail.data.simulate.noise import Noise, noise_of
from longtail.data.simulate.noise_draws import drawn_labels, expected_transition
from longtail.facts.counts import as_counts
from longtail.facts.identifiers import index_names
from longtail.facts.labels import encode


def noisy(labels: Any, noise: str, *, classes: Sequence[str] | None = None) -> Tensor:
    """Return labels with noise, the same for the same arguments.

    label ~ T[y], row y of `transition_matrix`, with exact counts unless the noise says counts=binomial

    Sources of the kinds: docs/guide/noisy-labels.md.

    Args:
        labels: (N,) class indices or names, in any form that `class_counts` takes.
        noise: as for --noise, KIND:RATE[,option=value...]: "symmetric:0.4", "asymmetric:0.3,cat=dog,seed=1".
        classes: the names of all classes in their order, where `labels` do not say.

    Returns:
        (N,) int64 class indices.

    Raises:
        ValueError, TypeError: as `class_counts`, an unknown kind, a rate outside of [0, 1], an unknown class, a class
            that would be left without rows.
    """
    made, (indices, names) = noise_of(noise), encode(labels, classes)
    return torch.from_numpy(checked_draw(indices, names, made))


def transition_matrix(noise: str, class_counts: Any, *, classes: Sequence[str] | None = None) -> Tensor:
    """Return the transition matrix (C, C) float64 that `noisy` has on average: rows are true classes, and sum to 1.

    T_ij = P(label = j | true class = i), over all draws; realised shares vary about it with the draws

    It is exact for the counts: with counts=exact of a symmetric noise, T_ii = 1 - trunc(r N)/N, not 1 - r.

    Args:
        noise: as for `noisy`; order=noise-first is not followed by its cut here.
        class_counts: (C,) rows of every class before noise.
        classes: the C class names; None names them "0", "1", ...

    Raises:
        ValueError, TypeError: as `noisy`; counts that are no whole numbers of at least two classes.
    """
    counts = as_counts(class_counts)
    whole = counts.long()
    if len(counts) < 2 or not torch.equal(whole.double(), counts):
        raise ValueError(
            f"class_counts must be whole numbers of rows of at least two classes, got {counts.tolist()[:5]}; count "
            "rows with lt.class_counts(labels)"
        )
    names = index_names(np.array([len(counts) - 1])) if classes is None else [str(name) for name in classes]
    if len(names) != len(counts):
        raise ValueError(f"classes must name the {len(counts)} classes of class_counts, got {len(names)}; name each")
    return torch.from_numpy(expected_transition(noise_of(noise), whole.numpy(), names))


def checked_draw(
    labels: np.ndarray, classes: Sequence[str], noise: Noise, like: np.ndarray | None = None
) -> np.ndarray:
    """Return labels with noise, as `drawn_labels`; `like` are given for rows beside those that are trained on.

    Raises:
        ValueError: a class that had rows is left without.
    """
    if len(classes) < 2:
        raise ValueError(f"noise (--noise) needs at least two classes, got only {classes[0]!r}; name all classes")
    drawn = drawn_labels(labels, classes, noise, like)
    if like is None:
        present = np.bincount(labels, minlength=len(classes)) > 0
        check_trained(torch.from_numpy(drawn), classes, noise.text, torch.from_numpy(present))
    return drawn


def check_trained(labels: Tensor, classes: Sequence[str], where: str, present: Tensor | None = None) -> None:
    """Raise ValueError where noise has left a class, of those that were `present` (C,) bool, without a row."""
    lacking = torch.bincount(labels, minlength=len(classes)) == 0
    if present is not None:
        lacking &= present
    if lacking.any():
        raise ValueError(
            f"noise (--noise) must leave every class a training row, got none of class "
            f"{classes[int(lacking.nonzero()[0])]!r} by {where}; lower the rate, try another seed as in seed=1, or "
            "keep more rows of the class"
        )
