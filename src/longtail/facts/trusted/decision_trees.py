"""All decision trees of a model as one set of arrays, checked before trees are built from them.

scikit-learn does not check indices when it walks a tree: a forged tree would read outside of its arrays. The arrays
hold what prediction needs: for inner nodes the children, the column, the threshold and the side of missing values; for
leaves the values. Impurities and counts of rows are left out, so that a loaded tree has no feature importances.

Thresholds are kept as the largest float32 that is not above them: trees compare them with float32 numbers alone, so
that every row takes the same way. Children are kept as distances from their parent.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

KINDS = {
    "sizes": np.int64,  # (T,) nodes of each tree
    "columns": np.int64,  # (T,) inputs of each tree
    "classes": np.int64,  # (T,) values of a node of each tree
    "inner": np.uint8,  # bits: whether a node has children
    "left": np.int32,  # of inner nodes: child - node - 1
    "right": np.int32,
    "column": np.int32,
    "threshold": np.float32,
    "missing": np.uint8,  # bits of inner nodes: whether missing values go to the left
    "filled": np.uint8,  # bits of leaves and their values: whether a value is other than 0
    "values": np.float64,  # those values
}
Table = dict[str, NDArray[Any]]
LEAF, NO_COLUMN = -1, -2


class Trees:
    """Collects the trees of a model; equal places in the model share one."""

    def __init__(self) -> None:
        self.known: list[Any] = []
        self.number: dict[int, int] = {}

    def add(self, tree: Any) -> int:
        """Return the number of a tree.

        Raises:
            ValueError: it predicts more than one target.
        """
        if tree.n_outputs != 1:
            raise ValueError("a saved tree must predict one target")
        if id(tree) not in self.number:
            self.number[id(tree)] = len(self.known)
            self.known.append(tree)
        return self.number[id(tree)]

    def table(self) -> Table:
        """Return the arrays of all trees."""
        parts = [_arrays(tree) for tree in self.known]
        joined = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
        for name in ("inner", "missing", "filled"):
            joined[name] = np.packbits(joined[name])
        return {name: joined[name].astype(kind) for name, kind in KINDS.items()}


def _arrays(tree: Any) -> Table:
    state = tree.__getstate__()
    nodes, values = state["nodes"], state["values"][:, 0]
    inner = nodes["left_child"] != LEAF
    at, split, leaves = np.flatnonzero(inner), nodes[inner], values[~inner]
    return {
        "sizes": np.array([len(nodes)]),
        "columns": np.array([tree.n_features]),
        "classes": np.array([values.shape[1]]),
        "inner": inner,
        "left": split["left_child"] - at - 1,
        "right": split["right_child"] - at - 1,
        "column": split["feature"],
        "threshold": _at_or_below(split["threshold"]),
        "missing": split["missing_go_to_left"] != 0,
        "filled": (leaves != 0).ravel(),
        "values": leaves[leaves != 0],
    }


def _at_or_below(numbers: NDArray[np.float64]) -> NDArray[np.float32]:
    """The largest float32 that is not above each number."""
    with np.errstate(over="ignore"):
        near = numbers.astype(np.float32)
    return np.where(near > numbers, np.nextafter(near, np.float32(-np.inf)), near)


def built(table: Any) -> list[Any]:
    """Return the trees of a table.

    Raises:
        ValueError: the arrays do not fit together, or a node points outside of its tree or of the columns.
    """
    if not isinstance(table, dict) or table.keys() != KINDS.keys():
        raise ValueError("its trees are missing")
    table = {name: np.asarray(part) for name, part in table.items()}
    if any(table[name].dtype != kind or table[name].ndim != 1 for name, kind in KINDS.items()):
        raise ValueError("its trees have other fields")
    sizes, columns, classes = table["sizes"], table["columns"], table["classes"]
    if not len(sizes) == len(columns) == len(classes) or any((one < 1).any() for one in (sizes, columns, classes)):
        raise ValueError("its trees do not add up")
    if max(map(int, sizes), default=0) > 2**31 or max(map(int, classes), default=0) > 2**31:
        raise ValueError("its trees are too large")
    inner = _bits(table["inner"], sum(map(int, sizes)))
    tree = np.repeat(np.arange(len(sizes)), sizes)
    leaves = np.bincount(tree[~inner], minlength=len(sizes))
    table |= {"inner": inner, "missing": _bits(table["missing"], int(inner.sum()))}
    table["filled"] = _bits(table["filled"], sum(int(n) * int(c) for n, c in zip(leaves, classes, strict=True)))
    if len(table["values"]) != table["filled"].sum():
        raise ValueError("its trees do not add up")
    return list(_walkable(table, tree, leaves))


def _bits(packed: NDArray[np.uint8], count: int) -> NDArray[np.bool_]:
    if len(packed) != -(-count // 8):
        raise ValueError("its trees do not add up")
    return np.unpackbits(packed, count=count).astype(bool)


def _walkable(table: Table, tree: NDArray[np.int64], leaves: NDArray[np.int64]) -> Iterator[Any]:
    """Check that children lie behind their one parent in its tree, so that every walk ends at a leaf."""
    from sklearn.tree._tree import NODE_DTYPE

    sizes, inner = table["sizes"], table["inner"]
    at = np.flatnonzero(inner)
    if any(len(table[name]) != len(at) for name in ("left", "right", "column", "threshold")):
        raise ValueError("its trees do not add up")
    ends = np.cumsum(sizes)
    left, right = (at + 1 + table[name].astype(np.int64) for name in ("left", "right"))
    for child in (left, right):
        if ((child <= at) | (child >= ends[tree[at]])).any():
            raise ValueError("a node of its trees points outside of its tree")
    parents = np.bincount(np.concatenate([left, right]), minlength=len(inner))
    parents[ends - sizes] += 1  # the roots have none
    if (parents != 1).any():
        raise ValueError("a node of its trees has other than one parent")
    if ((table["column"] < 0) | (table["column"] >= table["columns"][tree[at]])).any():
        raise ValueError("a node of its trees points to a column that does not exist")
    start = (ends - sizes)[tree[at]]
    nodes = np.zeros(len(inner), dtype=NODE_DTYPE)
    for name, empty, value in (
        ("left_child", LEAF, left - start),
        ("right_child", LEAF, right - start),
        ("feature", NO_COLUMN, table["column"]),
        ("threshold", NO_COLUMN, table["threshold"]),
        ("missing_go_to_left", 0, table["missing"]),
    ):
        nodes[name] = empty
        nodes[name][at] = value
    return _objects(table, nodes, leaves, _depths(left, right, at, ends - sizes, tree))


def _depths(
    left: NDArray[np.int64], right: NDArray[np.int64], at: NDArray[np.int64], roots: NDArray[np.int64],
    tree: NDArray[np.int64],
) -> NDArray[np.int64]:  # fmt: skip
    """(T,) the depth of each tree; buffers of scikit-learn have this length, so that no file may state it."""
    place = np.full(len(tree), -1)
    place[at] = np.arange(len(at))
    depths, level, depth = np.zeros(len(roots), dtype=np.int64), place[roots], 0
    while len(level := level[level >= 0]):
        depth += 1
        depths[tree[at[level]]] = depth
        level = place[np.concatenate([left[level], right[level]])]
    return depths


def _objects(table: Table, nodes: NDArray[Any], leaves: NDArray[np.int64], depths: NDArray[np.int64]) -> Iterator[Any]:
    from sklearn.tree._tree import Tree

    node = bit = value = 0
    for size, columns, classes, ends, depth in zip(
        table["sizes"], table["columns"], table["classes"], leaves, depths, strict=True
    ):
        filled = table["filled"][bit : bit + ends * classes]
        at_leaves = np.zeros(ends * classes)
        count = int(filled.sum())
        at_leaves[filled] = table["values"][value : value + count]
        values = np.zeros((size, 1, classes))
        values[~table["inner"][node : node + size], 0] = at_leaves.reshape(ends, classes)
        tree = Tree(int(columns), np.array([classes], dtype=np.intp), 1)
        own = nodes[node : node + size]
        tree.__setstate__({"max_depth": int(depth), "node_count": int(size), "nodes": own, "values": values})
        yield tree
        node, bit, value = node + size, bit + ends * classes, value + count
