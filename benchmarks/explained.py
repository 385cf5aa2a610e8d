"""How long contributions of columns take: boosted trees of 20 columns, 1,000 rows, one core, in seconds of its time.

python -m benchmarks.explained --out benchmarks/results/classical/explained.json
"""

from __future__ import annotations

import time

import numpy as np
import torch

import longtail as lt
from benchmarks.command import argument_parser, save
from benchmarks.machine import facts

COLUMNS, CLASSES = 20, 5


def seconds(rows: int) -> dict[str, float]:
    """Return what the contributions to the scores of one class take, and to those of the predicted ones of each row."""
    draw = np.random.default_rng(0)
    y = draw.choice(CLASSES, 5000, p=[0.5, 0.25, 0.15, 0.06, 0.04])
    x = draw.normal(size=(len(y), COLUMNS)) + 0.7 * y[:, None] * (np.arange(COLUMNS) < 5)
    model = lt.LongTailClassifier("trees").fit(x, y)
    new = x[draw.permutation(len(y))[:rows]]
    found = {}
    for name, of in (("one class", "0"), ("every class", None)):
        model.predictor_.explain(new[:10], "0")  # the paths of the trees are read once
        begun = time.process_time()
        for one in [of] if of else map(str, range(CLASSES)):
            model.predictor_.explain(new, one)
        found[name] = round(time.process_time() - begun, 1)
    return found


def main() -> None:
    parser = argument_parser(__doc__, "classical/explained.json")
    given = parser.parse_args()
    torch.set_num_threads(1)
    found = seconds(1000)
    print(found)
    save(given.out, {"machine": facts(), "rows": 1000, "columns": COLUMNS, "seconds": found})


if __name__ == "__main__":
    main()
