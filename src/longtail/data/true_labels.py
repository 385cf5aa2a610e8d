"""The data as they were before labels were hidden: what the same rows teach with their true labels."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

import torch
from torch import Tensor

from longtail.data.label_kinds import GIVEN
from longtail.data.mapped import MappedExamples
from longtail.data.rows import Examples
from longtail.data.simulate.parts import with_own_labels
from longtail.data.splits import Part, Splits
from longtail.data.training_set import TrainingSet


@dataclass(frozen=True, kw_only=True)
class TrueCounts(TrainingSet):
    """Rows as methods get them, with the true class counts (C,) of the training part beside."""

    clean_counts: Tensor


def with_true_counts(splits: Splits) -> TrueCounts:
    """Return the rows that training may use, under the labels that they have, with their true class counts.

    Raises:
        ValueError: the true labels are not known.
    """
    if splits.clean_counts is None:
        raise ValueError(
            "method 'oracle-la' learns from true class counts of rows whose labels are sets, got data whose true "
            "labels are unknown; simulate candidate sets on clean data with ambiguity (--ambiguity)"
        )
    return TrueCounts(splits.train, splits.unlabeled, splits.val, clean_counts=splits.clean_counts)


def with_true_labels(splits: Splits) -> Splits:
    """Return the data with all training rows, those without labels included, under their true labels.

    Validation and test part are the same.

    Raises:
        ValueError: the true labels are not known.
    """
    truth = splits.truth
    if truth is None:
        raise ValueError(
            "method 'oracle' learns from the true labels of rows whose labels are hidden, sets or wrong, got data "
            "whose true labels are unknown; simulate them on clean data with labeled (--labeled), ambiguity "
            "(--ambiguity) or noise (--noise)"
        )
    rows = splits.train if splits.unlabeled is None else _joined(splits.train, splits.unlabeled)
    facts = {**splits.facts, "labels": "true"}
    train = with_own_labels(replace(rows, targets=truth.to(rows.targets.device)))
    return replace(splits, train=train, unlabeled=None, truth=None, facts=facts)


def _joined(first: Part, second: Part) -> Part:
    """The rows of both parts, which come from one data set, with the targets of neither."""
    targets = torch.zeros(len(first) + len(second), dtype=torch.int64, device=first.targets.device)
    weight = None
    if first.sample_weight is not None and second.sample_weight is not None:
        weight = torch.cat([first.sample_weight, second.sample_weight])
    if isinstance(first, Examples) and isinstance(second, Examples):
        return replace(first, inputs=torch.cat([first.inputs, second.inputs]), targets=targets, sample_weight=weight)
    assert isinstance(first, MappedExamples)
    assert isinstance(second, MappedExamples)
    return replace(first, rows=torch.cat([_rows(first), _rows(second)]), targets=targets, sample_weight=weight)


def _rows(part: MappedExamples) -> Tensor:
    return torch.arange(len(part)) if part.rows is None else part.rows


class KnownLabels(NamedTuple):
    """Labels (N,) int64 of the training rows on the CPU: as given, the clean ones, and which of the given are wrong."""

    given: Tensor
    truth: Tensor
    wrong: Tensor


def known_labels(splits: Splits) -> KnownLabels | None:
    """Return given and clean labels of the training rows; None where the clean ones are unknown, or labels are sets."""
    if splits.truth is None or splits.train.kind != GIVEN:
        return None
    given = splits.train.targets.cpu()
    truth = splits.truth[: len(given)].cpu()
    return KnownLabels(given, truth, given != truth)
