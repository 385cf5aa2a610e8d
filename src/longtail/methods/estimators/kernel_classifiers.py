"""Classifiers with kernels for given columns, and the training data that they refuse."""

from __future__ import annotations

from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray

from longtail.data import Part
from longtail.facts.knobs import Choice, Range
from longtail.facts.messages import quoted
from longtail.methods.estimators.classifiers import Columns, logistic_misfit, scaled_and_one_hot, size_misfit

KERNELS = ("rbf", "linear", "poly")
FOLDS = 5
MOST_ROWS = 20_000
"""Most training rows for an SVM: one core fitted 10,000 rows of 20 numbers in 1.6 s, 20,000 in 6.3 s, and it is fitted
six times; its matrix of kernels grows with the square of the rows."""
MOST_PAIRS = 300
"""Most classes for an SVM, which compares each with each."""
MOST_KERNEL_ROWS = 200_000
"""Most training rows for kernel logistic regression: features of 100,000 rows took 2.6 GB and their fit 20 s."""
MOST_CELLS = 200_000_000
"""Most numbers of the training rows with their codes spread into columns, 1.6 GB."""


class WidthChoice(Choice):
    """The width of a kernel: a word or a number > 0."""

    def __str__(self) -> str:
        return '"scale", "auto" or a number > 0'

    def check(self, name: str, value: Any) -> None:
        """Raise ValueError or TypeError, naming the knob, where it is neither."""
        if isinstance(value, str):
            if value not in self.words:
                raise ValueError(f"{name} must be {self}, got {quoted(value)}; choose one of these")
        else:
            Range(0, open_low=True, open_high=True).check(name, value)


Kernel = Annotated[str, Choice(KERNELS)]
Gamma = Annotated[float | str, WidthChoice(("scale", "auto"))]


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
