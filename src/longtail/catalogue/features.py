"""Features of training rows, for what is fitted on them in one go: means, probes."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from typing import Any

import torch
from torch import Tensor

from longtail.data import Part
from longtail.facts.learner import Learner
from longtail.models.heads import NearestClassMean

CHUNK = 1024
"""Rows whose features are computed at a time."""


@torch.no_grad()
def row_features(network: Any, rows: Part) -> Tensor:
    """Return the inputs of the head (N, D) of all rows, in the network's present mode and on its device."""
    return torch.cat(list(_by_chunks(network, rows)))


@torch.no_grad()
def hidden_features(network: Any, rows: Part) -> Tensor:
    """Return what enters the last layer of a head that projects (N, hidden), of all rows, as `row_features`."""
    return torch.cat([network.head.hidden(h) for h in _by_chunks(network, rows)])


def _by_chunks(network: Any, rows: Part) -> Iterator[Tensor]:
    device = next(chain(network.parameters(), network.buffers())).device  # a linear model's features have no parameters
    return (network.features(x.to(device)) for x in rows.chunks(CHUNK))


@torch.no_grad()
def predicted(learner: Learner, rows: Part) -> tuple[Tensor, Tensor]:
    """Return the likeliest class (N,) of every row and its probability (N,), on the CPU, without augmentation.

    Computed in chunks, in evaluation mode.
    """
    device, mode = next(learner.parameters()).device, learner.training
    learner.eval()
    largest = [learner.predict(x.to(device)).softmax(1).max(1) for x in rows.chunks(CHUNK)]
    learner.train(mode)
    return torch.cat([one.indices for one in largest]).cpu(), torch.cat([one.values for one in largest]).cpu()


@torch.no_grad()
def row_probabilities(learner: Learner, rows: Part) -> Tensor:
    """Return the probabilities (N, C), float64 on the CPU, of every row, as `predicted`."""
    device, mode = next(learner.parameters()).device, learner.training
    learner.eval()
    found = [learner.predict(x.to(device)).double().softmax(1).cpu() for x in rows.chunks(CHUNK)]
    learner.train(mode)
    return torch.cat(found)


def class_means(network: Any, rows: Part) -> Tensor:
    """Return the mean input of the head in every class (C, D), computed as by `row_features`.

    A row of weight k counts as k rows.

    Raises:
        ValueError: a class without rows.
    """
    h = row_features(network, rows)
    head = NearestClassMean(h.shape[1], len(rows.classes), features="un").to(h.device)
    return head.fit(h, rows.targets, rows.sample_weight).means
