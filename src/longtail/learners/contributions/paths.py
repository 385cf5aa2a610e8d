"""A tree of scikit-learn's histogram boosting as paths: which splits lead to each leaf, and who passes them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from longtail import functional

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
VALUES = 1 << 18
"""Leaves x players x rows worked on at once: a few megabytes."""


@dataclass(frozen=True)
class Splits:
    """The inner nodes of a tree: which rows go left.

    Args:
        column: (J,) of the rows that each node reads.
        threshold: (J,) rows up to it go left.
        missing_left: (J,) whether rows without a value do.
        sets: {node: ((256,) whether a category goes left, (256,) whether training knew it)} of splits by category.
    """

    column: Ints
    threshold: Floats
    missing_left: NDArray[np.bool_]
    sets: dict[int, tuple[NDArray[np.bool_], NDArray[np.bool_]]]

    def left(self, x: Floats) -> NDArray[np.bool_]:
        """Return (J, N) which of the rows x (N, D) would go left at every node."""
        values = x.T[self.column]
        left = values <= self.threshold[:, None]
        unknown = np.isnan(values)
        for node, (goes, known) in self.sets.items():
            codes = np.where(unknown[node] | (values[node] < 0) | (values[node] >= len(known)), -1, values[node])
            place = codes.astype(np.int64)
            unknown[node] = (place < 0) | ~known[place]
            left[node] = goes[place]
        return np.where(unknown, self.missing_left[:, None], left)


@dataclass(frozen=True)
class Paths:
    """The leaves of a tree as games between players; players are columns, or groups of them.

    Args:
        splits: of the inner nodes.
        value: (L,) of the leaves.
        player: (L, M) the players on the path of each leaf, then 0 where it has fewer.
        share: (L, M) the product of the shares of training rows that went the leaf's way at the player's splits; 1
            where there is no player.
        edges: for the first, second, ... split of a player on a path: places in (L M,), inner nodes, and whether the
            path goes left there.
    """

    splits: Splits
    value: Floats
    player: Ints
    share: Floats
    edges: list[tuple[Ints, Ints, NDArray[np.bool_]]]

    @property
    def expected(self) -> float:
        """The value with no column known: the mean over the rows that the tree was grown on."""
        return float(self.value @ self.share.prod(1))

    def add_contributions(self, x: Floats, out: Tensor) -> None:
        """Add the Shapley values of this tree for rows x (N, D) to out (P, N)."""
        size = max(1, VALUES // max(self.player.size, 1))
        places = torch.from_numpy(self.player.ravel())
        absent, value = torch.from_numpy(self.share)[:, :, None], torch.from_numpy(self.value)[:, None, None]
        for start in range(0, len(x), size):
            rows = x[start : start + size]
            left = self.splits.left(rows)
            passed = np.ones((self.player.size, len(rows)), dtype=bool)
            for place, node, goes_left in self.edges:
                passed[place] &= left[node] == goes_left[:, None]
            present = torch.from_numpy(passed).double().reshape(*self.player.shape, len(rows))
            found = functional.product_shapley(present, absent) * value
            out[:, start : start + size].index_add_(0, places, found.flatten(0, 1))


def paths(tree: Any, players: Ints, known: tuple[Any, Ints]) -> Paths:
    """Read the paths of a tree.

    Args:
        tree: a TreePredictor; its child nodes come after their parents.
        players: (D,) the player of each column that the tree splits by.
        known: of its classifier's bin mapper: the sets of categories that training had, and each column's place there.

    Raises:
        ValueError: a node that no training row reached, by which nothing can be weighted.
    """
    nodes = tree.nodes
    inner = np.flatnonzero(nodes["is_leaf"] == 0)
    place_of = np.zeros(len(nodes), dtype=np.int64)
    place_of[inner] = np.arange(len(inner))
    counts = nodes["count"].astype(np.float64)
    if (counts <= 0).any():
        raise ValueError("a node of the model's trees has no training rows, so its predictions cannot be explained")
    steps: dict[int, list[tuple[int, bool, float]]] = {0: []}  # node -> (inner node, left, share) from the root
    for node in inner.tolist():
        before = steps.pop(node)
        for child, is_left in ((int(nodes["left"][node]), True), (int(nodes["right"][node]), False)):
            steps[child] = [*before, (node, is_left, counts[child] / counts[node])]
    leaves = sorted(steps)
    column = nodes["feature_idx"].astype(np.int64)
    on_path = [list(dict.fromkeys(int(players[column[node]]) for node, _, _ in steps[leaf])) for leaf in leaves]
    width = max(map(len, on_path))
    player, share = np.zeros((len(leaves), width), dtype=np.int64), np.ones((len(leaves), width))
    edges: list[list[tuple[int, int, bool]]] = []
    for row, (leaf, present) in enumerate(zip(leaves, on_path, strict=True)):
        player[row, : len(present)] = present
        seen = dict.fromkeys(present, 0)
        for node, is_left, part in steps[leaf]:
            one = int(players[column[node]])
            slot = present.index(one)
            share[row, slot] *= part
            if seen[one] == len(edges):
                edges.append([])
            edges[seen[one]].append((row * width + slot, int(place_of[node]), is_left))
            seen[one] += 1
    return Paths(_splits(tree, nodes[inner], known), nodes["value"][leaves].copy(), player, share, _arrays(edges))


def _arrays(edges: list[list[tuple[int, int, bool]]]) -> list[tuple[Ints, Ints, NDArray[np.bool_]]]:
    columns = ([np.asarray(values) for values in zip(*some, strict=True)] for some in edges)
    return [(place.astype(np.int64), node.astype(np.int64), left.astype(bool)) for place, node, left in columns]


def _splits(tree: Any, inner: Any, known: tuple[Any, Ints]) -> Splits:
    bitsets, place = known
    column = inner["feature_idx"].astype(np.int64)
    sets = {
        int(node): (_bits(tree.raw_left_cat_bitsets[inner["bitset_idx"][node]]), _bits(bitsets[place[column[node]]]))
        for node in np.flatnonzero(inner["is_categorical"])
    }
    return Splits(column, inner["num_threshold"].copy(), inner["missing_go_to_left"].astype(bool), sets)


def _bits(words: Any) -> NDArray[np.bool_]:
    """Return (256,) whether each category is in a set of 8 words of 32 bits."""
    numbers = np.arange(32 * len(words))
    found: NDArray[np.bool_] = (np.asarray(words)[numbers // 32] >> (numbers % 32).astype(np.uint32) & 1).astype(bool)
    return found
