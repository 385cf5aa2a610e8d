"""How often the interval of an estimated class prior holds the true one, over simulated data sets.

Three classes, x ~ N(mean, 1). A model that is twice too confident under the training prior is calibrated by a
temperature on validation rows of that prior, and the prior of unlabelled rows is estimated. Once it has shifted, once
it has not; with the validation rows in the bootstrap, and with the unlabelled rows alone. Coverage is that of class
intervals of level 0.9, whose standard error is given for independent data sets.
"""

from __future__ import annotations

from math import sqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.command import argument_parser, save
from benchmarks.machine import facts
from longtail.posthoc import TemperatureScaling, estimate_prior_interval

TRAINING, SHIFTED = (0.7, 0.2, 0.1), (0.1, 0.3, 0.6)
SEPARATIONS = {"apart": (-2.5, 0.0, 3.0), "overlapping": (-1.5, 0.0, 2.0)}
LEVEL, SHARPNESS = 0.9, 2.0
Floats = NDArray[np.float64]


def drawn(
    prior: tuple[float, ...], means: Floats, n: int, rng: np.random.Generator
) -> tuple[Floats, NDArray[np.int64]]:
    """Return scores of the model, under the training prior, and classes."""
    y = rng.choice(3, n, p=prior)
    x = rng.normal(size=n) + means[y]
    return SHARPNESS * (-((x[:, None] - means) ** 2) / 2 + np.log(TRAINING)), y


def covered(name: str, prior: tuple[float, ...], rows: int, labelled: int, repetitions: int) -> dict[str, Any]:
    """Return coverage and mean width of the class intervals, of both bootstraps."""
    means, held = np.array(SEPARATIONS[name]), np.zeros((2, 3))
    widths = np.zeros((2, 3))
    for seed in range(repetitions):
        rng = np.random.default_rng(seed)
        (scores, _), (v, y) = drawn(prior, means, rows, rng), drawn(TRAINING, means, labelled, rng)
        both = estimate_prior_interval(
            scores, TRAINING, validation=(v, y), calibrate="temperature", level=LEVEL, resamples=100, seed=seed
        )
        mended = TemperatureScaling(3).fit(v, y, prior=TRAINING)
        alone = estimate_prior_interval(mended(scores), TRAINING, level=LEVEL, resamples=100, seed=seed)
        for i, one in enumerate((both, alone)):
            held[i] += (one.low <= prior) & (one.high >= prior)
            widths[i] += one.high - one.low
    kinds = ("with_validation_rows", "unlabelled_rows_alone")
    return {
        "classes": name, "prior": list(prior), "rows": rows, "validation_rows": labelled,
        **{
            kind: {"coverage": (held[i] / repetitions).tolist(), "mean_width": (widths[i] / repetitions).tolist()}
            for i, kind in enumerate(kinds)
        },
    }  # fmt: skip


def main() -> None:
    parser = argument_parser(__doc__, "decisions/prior-intervals.json")
    parser.add_argument("--repetitions", type=int, default=200, help="simulated data sets of each kind")
    given = parser.parse_args()
    found = [
        covered(name, prior, rows, labelled, given.repetitions)
        for name in SEPARATIONS
        for prior in (SHIFTED, TRAINING)
        for rows, labelled in ((100, 150), (1000, 150))
    ]
    error = sqrt(LEVEL * (1 - LEVEL) / given.repetitions)
    save(given.out, {
        "command": f"python -m benchmarks.prior_intervals --repetitions {given.repetitions}",
        "level": LEVEL, "standard_error": error, "found": found, "machine": facts(),
    })  # fmt: skip
    for one in found:
        both, alone = one["with_validation_rows"]["coverage"], one["unlabelled_rows_alone"]["coverage"]
        print(one["classes"], one["prior"], one["rows"], "with validation", both, "alone", alone)


if __name__ == "__main__":
    main()
