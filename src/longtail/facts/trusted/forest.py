"""The trees of a gradient boosting as a few arrays, checked before trees are built from them.

scikit-learn does not check indices when it walks a tree: a forged tree would read outside of its arrays. It also has
one object per tree, thousands of them; four arrays are smaller and load much faster.
"""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
from numpy.typing import NDArray

WORDS = 8
"""A set of categories has 256 bits: 8 words of 32."""
KEYS = {"nodes", "sizes", "sets", "set_sizes", "width"}


def packed(estimator: Any) -> Any:
    """Return a copy of a fitted HistGradientBoostingClassifier with its trees as arrays; anything else unchanged.

    The copy lacks what fitting alone needs: the random generator and the sets over bins.
    """
    if not _boosting(estimator):
        return estimator
    trees = [tree for iteration in estimator._predictors for tree in iteration]
    result = copy.copy(estimator)
    result._feature_subsample_rng = None
    result._predictors = {
        "nodes": np.concatenate([tree.nodes for tree in trees]),
        "sizes": np.array([len(tree.nodes) for tree in trees], dtype=np.int64),
        "sets": np.concatenate([tree.raw_left_cat_bitsets for tree in trees]),
        "set_sizes": np.array([len(tree.raw_left_cat_bitsets) for tree in trees], dtype=np.int64),
        "width": len(estimator._predictors[0]),
    }
    return result


def unpacked(estimator: Any) -> Any:
    """Return the estimator that `packed` was given.

    Raises:
        ValueError: a tree points outside of itself, of the columns or of the sets of categories.
    """
    if not _boosting(estimator):
        return estimator
    from sklearn.ensemble._hist_gradient_boosting.common import PREDICTOR_RECORD_DTYPE
    from sklearn.ensemble._hist_gradient_boosting.predictor import TreePredictor

    parts = estimator._predictors
    if not isinstance(parts, dict) or parts.keys() != KEYS:
        raise ValueError("its trees are missing")
    nodes, sets = np.asarray(parts["nodes"]), np.ascontiguousarray(parts["sets"])
    if nodes.dtype != PREDICTOR_RECORD_DTYPE or sets.dtype != np.uint32 or sets.shape[1:] != (WORDS,):
        raise ValueError("its trees have other fields")
    sizes, set_sizes = (_lengths(parts[name], len(of)) for name, of in (("sizes", nodes), ("set_sizes", sets)))
    width = parts["width"]
    if len(sizes) != len(set_sizes) or type(width) is not int or width < 1 or len(sizes) % width:
        raise ValueError("its trees do not add up")
    _check(nodes, sizes, set_sizes, _categorical(estimator))
    none = np.zeros((0, WORDS), dtype=np.uint32)
    trees = [
        TreePredictor(tree, none, chosen)
        for tree, chosen in zip(
            np.split(nodes, np.cumsum(sizes)[:-1]), np.split(sets, np.cumsum(set_sizes)[:-1]), strict=True
        )
    ]
    estimator._predictors = [trees[i : i + width] for i in range(0, len(trees), width)]
    return estimator


def _boosting(estimator: Any) -> bool:
    return type(estimator).__name__ == "HistGradientBoostingClassifier" and hasattr(estimator, "_predictors")


def _lengths(values: Any, total: int) -> NDArray[np.int64]:
    sizes = np.asarray(values)
    if sizes.dtype != np.int64 or sizes.ndim != 1 or (sizes < 0).any() or int(sizes.sum()) != total:
        raise ValueError("its trees do not add up")
    return sizes


def _categorical(estimator: Any) -> NDArray[np.bool_]:
    """(D,) which columns are categorical, checked against every other statement of D."""
    mapper = estimator._bin_mapper
    categorical = np.asarray(mapper.is_categorical_)
    if categorical.dtype.kind not in "bu" or categorical.ndim != 1:
        raise ValueError("its columns have no kinds")
    if not len(categorical) == len(mapper.bin_thresholds_) == estimator.n_features_in_:
        raise ValueError("its trees are for another number of columns")
    if estimator._preprocess_X(np.zeros((1, len(categorical))), reset=False).shape != (1, len(categorical)):
        raise ValueError("its columns are prepared for other trees")
    return categorical.astype(bool)


def _check(
    nodes: NDArray[Any], sizes: NDArray[np.int64], set_sizes: NDArray[np.int64], categorical: NDArray[np.bool_]
) -> None:
    """Check that the children of every inner node come after it in its own tree, so that every walk ends at a leaf."""
    if (sizes < 1).any():
        raise ValueError("it has an empty tree")
    tree = np.repeat(np.arange(len(sizes)), sizes)
    place = np.arange(len(nodes)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    inner = nodes["is_leaf"] == 0
    nodes, tree, place = nodes[inner], tree[inner], place[inner]
    for child in (nodes["left"].astype(np.int64), nodes["right"].astype(np.int64)):
        if ((child <= place) | (child >= sizes[tree])).any():
            raise ValueError("a node of its trees points outside of its tree")
    column = nodes["feature_idx"]
    if ((column < 0) | (column >= len(categorical))).any():
        raise ValueError("a node of its trees points to a column that does not exist")
    by_set = nodes["is_categorical"] != 0
    if (by_set & ~categorical[column]).any() or (nodes["bitset_idx"].astype(np.int64) >= set_sizes[tree])[by_set].any():
        raise ValueError("a node of its trees points to categories that do not exist")
