"""Classifiers with kernels for given columns, and the training data that they refuse."""

from __future__ import annotations

from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray

from longtail.data import Part
from longtail.facts.kernel_arguments import KERNELS, WIDTH
from longtail.facts.knobs import Choice
from longtail.methods.estimators.classifiers import (
    MOST_CELLS,
    Columns,
    logistic_misfit,
    scaled_and_one_hot,
    size_misfit,
)

FOLDS = 5
MOST_ROWS = 20_000
"""Most training rows for an SVM, which is fitted six times: its matrix of kernels, and so its time, grows with the
square of the rows or faster."""
MOST_PAIRS = 300
"""Most classes for an SVM, which compares each with each."""
MOST_KERNEL_ROWS = 200_000
"""Most training rows for kernel logistic regression: 500 features of each are 0.8 GB, and a fit has copies of them."""

Kernel = Annotated[str, Choice(KERNELS)]
Gamma = Annotated[float | str, WIDTH]


def kernel_logistic(
    columns: Columns, seed: int, targets: NDArray[np.int64], *, C: float, gamma: float | str, kernel: str
) -> Any:
    """Build kernel logistic regression on scaled numbers and one-hot codes, unfitted."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    from longtail.classical.kernel_root import KernelRoot

    return make_pipeline(
        _dense(columns, len(targets)),
        KernelRoot(kernel=kernel, gamma=gamma, random_state=seed),
        LogisticRegression(C=C, max_iter=1000, random_state=seed),
    )


def svm(columns: Columns, seed: int, targets: NDArray[np.int64], *, C: float, gamma: float | str, kernel: str) -> Any:
    """Build an SVM with Platt's probabilities on scaled numbers and one-hot codes, unfitted."""
    from sklearn.calibration import CalibratedClassifierCV
    from sklearn.pipeline import make_pipeline
    from sklearn.svm import SVC

    from longtail.classical.folds import DealtFolds

    machine = SVC(C=C, gamma=gamma, kernel=kernel)
    calibrated = CalibratedClassifierCV(machine, method="sigmoid", cv=DealtFolds(FOLDS), ensemble=False)
    return make_pipeline(_dense(columns, len(targets)), calibrated)


def svm_misfit(data: Part) -> str | None:
    """Return why an SVM cannot learn from these rows, or None."""
    if len(data) > MOST_ROWS:
        return (
            f"takes at most {MOST_ROWS:,} training rows (time grows with their square), got {len(data):,}; leave it "
            "out, or take kernel-logistic"
        )
    if len(data.classes) > MOST_PAIRS:
        return (
            f"takes at most {MOST_PAIRS} classes (a machine for each pair), got {len(data.classes)}; leave it out, or "
            "take kernel-logistic"
        )
    return size_misfit(data)


def kernel_logistic_misfit(data: Part) -> str | None:
    """Return why kernel logistic regression cannot learn from these rows, or None."""
    if len(data) > MOST_KERNEL_ROWS:
        return (
            f"takes at most {MOST_KERNEL_ROWS:,} training rows (each has 500 features), got {len(data):,}; leave it "
            "out, or take logistic or trees"
        )
    return logistic_misfit(data) or size_misfit(data)


def _dense(columns: Columns, rows: int) -> Any:
    """Return the first step, with rows that are not sparse: kernels of support vectors that can be saved."""
    width = columns.numeric + sum(min(size, rows) for size in columns.categories)
    if rows * width > MOST_CELLS:
        raise ValueError(
            f"kernels take at most {MOST_CELLS:,} numbers of training rows with their codes in columns, "
            f"got {rows:,} x {width:,}; leave out columns of many categories, or take trees"
        )
    step = scaled_and_one_hot(columns)
    return step.set_params(sparse_threshold=0) if columns.scaled else step
