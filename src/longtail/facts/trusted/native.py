"""Fitted objects whose compiled code trusts its arrays: each is checked after loading and before use.

NumPy checks every index; libsvm, scikit-learn's walks of trees, its votes of neighbours and SciPy's sparse matrices do
not. A forged archive could make them read outside of their arrays.
"""

from __future__ import annotations

from typing import Any

import numpy as np

KERNELS = ("linear", "poly", "rbf", "sigmoid")
METRICS = ("minkowski", "euclidean", "l2", "manhattan", "l1", "cityblock", "chebyshev")


def check_forest(forest: Any) -> None:
    """A forest checks the number of columns once, and its trees then trust it.

    Raises:
        ValueError: a tree is for another number of columns.
    """
    from sklearn.tree import DecisionTreeClassifier

    if "estimators_" not in vars(forest):
        return
    if not isinstance(forest.estimators_, list) or not forest.estimators_:
        raise ValueError("its trees are missing")
    for tree in forest.estimators_:
        if not isinstance(tree, DecisionTreeClassifier) or tree.tree_.n_features != forest.n_features_in_:
            raise ValueError("its trees are for another number of columns")


def check_boosting(boosting: Any) -> None:
    """Gradient boosting adds the values of its trees to the columns of an array without looking at its width.

    Raises:
        ValueError: a tree is for other columns or has several values, or the first predictions have another width.
    """
    from sklearn.tree import DecisionTreeRegressor

    if "estimators_" not in vars(boosting):
        return
    trees, columns = boosting.estimators_, boosting.n_features_in_
    if not isinstance(trees, np.ndarray) or trees.ndim != 2 or trees.dtype != object or not trees.size:
        raise ValueError("its trees are missing")
    for tree in trees.flat:
        if not isinstance(tree, DecisionTreeRegressor) or tree.tree_.n_features != columns:
            raise ValueError("its trees are for another number of columns")
        if tree.tree_.max_n_classes != 1:
            raise ValueError("its trees have other fields")
    if type(columns) is not int or boosting._raw_predict_init(np.zeros((1, columns))).shape != (1, trees.shape[1]):
        raise ValueError("its trees are for another number of classes")


def check_support_vectors(svm: Any) -> None:
    """libsvm takes the sizes of its arrays from one another.

    Raises:
        ValueError: the sizes disagree, or the kernel is none of libsvm's own.
    """
    if "support_vectors_" not in vars(svm):
        return
    if svm._sparse is not False or svm.kernel not in KERNELS or svm._impl != type(svm)._impl:
        raise ValueError("its support vectors are of another kind")
    vectors, counts = svm.support_vectors_, svm._n_support
    arrays = (svm.support_, vectors, counts, svm._dual_coef_, svm._intercept_, svm._probA, svm._probB)
    if not all(isinstance(array, np.ndarray) for array in arrays):
        raise ValueError("its support vectors are missing")
    if vectors.ndim != 2 or not vectors.size or counts.ndim != 1 or counts.dtype.kind != "i" or len(counts) < 2:
        raise ValueError("its support vectors have other fields")
    total, pairs = len(vectors), len(counts) * (len(counts) - 1) // 2
    fits = (
        vectors.shape[1] == svm.n_features_in_
        and (counts >= 0).all()
        and sum(map(int, counts)) == total
        and svm.support_.shape == (total,)
        and svm._dual_coef_.shape == (len(counts) - 1, total)
        and svm._intercept_.shape == (pairs,)
        and svm._probA.shape == svm._probB.shape
        and svm._probA.shape in ((0,), (pairs,))
    )
    if not fits:
        raise ValueError("its support vectors do not add up")


def check_neighbors(votes: Any) -> None:
    """Votes count the class of a row as a place of an array, and the search takes the width from the rows.

    Raises:
        ValueError: a row has no class or another width, or the distance is of another kind.
    """
    if "_fit_X" not in vars(votes):
        return
    named = (votes.metric, votes.effective_metric_)
    if any(name not in METRICS for name in named) or votes.metric_params is not None:
        raise ValueError("its distance is of another kind")
    rows, classes, options = votes._fit_X, votes._y, votes.effective_metric_params_
    if not isinstance(options, dict) or not options.keys() <= {"p"}:
        raise ValueError("its distance is of another kind")
    if not all(isinstance(array, np.ndarray) for array in (rows, classes, votes.classes_)):
        raise ValueError("its rows are missing")
    if rows.ndim != 2 or rows.dtype.kind != "f" or classes.dtype != np.intp or votes.outputs_2d_ is not False:
        raise ValueError("its rows have other fields")
    fits = (
        rows.shape == (votes.n_samples_fit_, votes.n_features_in_)
        and classes.shape == (len(rows),)
        and votes.classes_.ndim == 1
        and ((classes >= 0) & (classes < len(votes.classes_))).all()
        and isinstance(votes.n_neighbors, (int, np.integer))
        and 1 <= votes.n_neighbors <= len(rows)
    )
    if not fits:
        raise ValueError("its rows do not add up")


def build_search_tree(votes: Any) -> None:
    """Build the tree in which neighbours are searched from the checked rows; its own nodes are never read.

    Raises:
        ValueError: the neighbours are searched in another way.
    """
    from sklearn.neighbors import BallTree, KDTree

    kinds = {"kd_tree": KDTree, "ball_tree": BallTree}
    if "_fit_X" not in vars(votes):
        return
    if votes._fit_method != "brute" and votes._fit_method not in kinds:
        raise ValueError("its neighbours are searched in another way")
    make, options = kinds.get(votes._fit_method), votes.effective_metric_params_
    rows, leaf = votes._fit_X, votes.leaf_size
    votes._tree = None if make is None else make(rows, leaf, metric=votes.effective_metric_, **options)


def check_one_hot(encoder: Any) -> None:
    """One-hot codes become places in a sparse matrix, whose users do not look whether they are inside.

    Raises:
        ValueError: the widths are not those of the categories, or categories are not in order.
    """
    if "categories_" not in vars(encoder):
        return
    categories, dropped = encoder.categories_, encoder._drop_idx_after_grouping
    if encoder._infrequent_enabled is not False:
        raise ValueError("it joins rare categories, which is not read")
    if not isinstance(categories, list) or not all(isinstance(one, np.ndarray) and one.ndim == 1 for one in categories):
        raise ValueError("its categories have other fields")
    drops = [None] * len(categories) if dropped is None else list(dropped)
    if len(drops) != len(categories) or not all(
        drop is None or 0 <= int(drop) < len(one) for drop, one in zip(drops, categories, strict=True)
    ):
        raise ValueError("its categories do not add up")
    widths = [len(one) - (drop is not None) for one, drop in zip(categories, drops, strict=True)]
    if encoder._n_features_outs != widths or encoder.n_features_in_ != len(widths):
        raise ValueError("its categories do not add up")
    for one in categories:
        known = one[:-1] if one.dtype.kind == "f" and len(one) and np.isnan(one[-1]) else one
        if one.dtype.kind != "O" and not (known[1:] > known[:-1]).all():
            raise ValueError("its categories are not in order")
