"""A body for tables: scaled numbers as they are, integer codes through embeddings, then fully connected layers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial
from typing import final

import torch
from torch import Tensor, nn

from longtail.facts.knobs import Range
from longtail.models.bodies.small import Body, Shape, mlp

WIDEST = 50
"""The most dimensions that one column's embedding has."""


def tabular(
    shape: Shape,
    *,
    numeric: int | None = None,
    categories: Sequence[int] = (),
    hidden: Sequence[int] = (128, 128),
    dropout: float = 0.0,
    branches: int = 1,
    narrow: float = 1.0,
    late: bool = False,
) -> Body:
    """`mlp` on the numbers of a row and the embeddings of its codes; without categories it is the `mlp`.

    Args:
        shape: (D,), D = numeric + len(categories); without categories any shape, which is flattened.
        numeric: how many columns, the first ones, are numbers; by default all that have no entry in `categories`.
        categories: for each of the other columns how many codes it has: 0 for a category that training did not know or
            that is missing, 1 .. size - 1 for the others.
        hidden, dropout, branches, narrow, late: as in `mlp`; hidden=() is a linear model of numbers and embeddings.
    """
    Range(0, 1, open_high=True).check("dropout", dropout)
    for size in categories:
        Range(1, integer=True).check("categories", size)
    numbers = math.prod(shape) - len(categories) if numeric is None else numeric
    Range(0, integer=True).check("numeric", numbers)
    if numbers + len(categories) != math.prod(shape) or (categories and len(shape) != 1):
        raise ValueError(
            f"input_shape must be (D,) with D = numeric + len(categories) = {numbers + len(categories)}, got {shape}; "
            "build the network for the table's own columns"
        )
    perceptron = partial(mlp, hidden=hidden, dropout=dropout, branches=branches, narrow=narrow, late=late)
    if not categories:
        return perceptron(shape)
    encoder = NumbersAndCodes(numbers, [int(size) for size in categories])
    layers, features = perceptron((encoder.width,))
    return nn.Sequential(encoder, layers), features


@final
class NumbersAndCodes(nn.Module):
    """(N, numeric + K) -> (N, numeric + sum of widths): the K columns of codes become embeddings.

    A column of `size` codes has min(50, round(1.6 size^0.56)) dimensions (the rule of fastai's tabular models, with a
    lower cap). Its rows start at N(0, 1 / width), so that it enters with the weight of one scaled number; code 0 starts
    at zero, the middle of the others, and is learnt where training rows have it. A code outside [0, size) counts as 0.

    Args:
        numeric: columns of numbers, which come first.
        categories: the sizes of the K columns of codes.
    """

    encodes = True
    sizes: Tensor

    def __init__(self, numeric: int, categories: Sequence[int]) -> None:
        super().__init__()
        self.numeric = numeric
        self.register_buffer("sizes", torch.tensor(categories), persistent=False)
        self.embeddings = nn.ModuleList(nn.Embedding(size, embedding_width(size)) for size in categories)
        for table in self.embeddings:
            weight = table.weight
            assert isinstance(weight, Tensor)
            nn.init.normal_(weight, std=weight.shape[1] ** -0.5)
            nn.init.zeros_(weight[0])
        self.width = numeric + sum(map(embedding_width, categories))

    def forward(self, x: Tensor) -> Tensor:
        """Numbers as they are, then one embedding after the other."""
        codes = known_codes(x[:, self.numeric :], self.sizes)
        embedded = [table(column) for table, column in zip(self.embeddings, codes.unbind(1), strict=True)]
        return torch.cat([x[:, : self.numeric], *embedded], dim=1)

    def extra_repr(self) -> str:
        """Return the arguments for `repr`."""
        return f"numeric={self.numeric}"


def embedding_width(size: int) -> int:
    """Dimensions of the embedding of a column with `size` codes."""
    return min(WIDEST, round(1.6 * math.pow(size, 0.56)))


def known_codes(columns: Tensor, sizes: Tensor) -> Tensor:
    """Codes (..., K) of K columns as int64; one outside [0, size) is 0."""
    codes = columns.round().long()
    return torch.where((codes >= 0) & (codes < sizes), codes, 0)
