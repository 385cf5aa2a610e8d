"""How many numbers a column of text needs where classes are rare: made text, logistic regression, post-hoc adjusted.

Ten classes of 400 to 4 rows; a cell has about 29 of 3,000 words that follow Zipf's law, and each of them is, with
chance 0.12, one of the six words of its class instead. Balanced accuracy on 60 rows of each class, and the mean recall
of the four rarest.

    python -m benchmarks.text_numbers --out benchmarks/results/own-data/text-numbers.json
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression

from benchmarks.command import argument_parser, save
from benchmarks.machine import facts
from longtail.data.prepare.texts import SPREAD, WORD, Text

ROWS = (400, 240, 140, 85, 50, 30, 18, 11, 7, 4)
TESTED = 60
RAREST = 4


def made(seed: int, rows: Sequence[int]) -> tuple[list[str], NDArray[np.int64]]:
    """Return cells and their classes."""
    draw = np.random.default_rng(seed)
    chance = 1 / np.arange(1, 3001)
    words = np.array([f"w{k:04d}" for k in range(3000)], dtype=object)
    cells = []
    for j, n in enumerate(rows):
        own = np.array([f"c{j}x{k}" for k in range(6)], dtype=object)
        for _ in range(n):
            cell = words[draw.choice(3000, draw.poisson(25) + 4, p=chance / chance.sum())]
            replaced = draw.random(len(cell)) < 0.12
            cell[replaced] = draw.choice(own, replaced.sum())
            cells.append(" ".join(cell))
    return cells, np.repeat(np.arange(len(rows)), rows)


def projected(cells: list[str], tested: list[str], most: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the numbers of `Text` for both."""
    text = Text.fit("made", cells, most)
    return text(cells), text(tested)


def frequent(cells: list[str], tested: list[str], most: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the tf-idf weights of the terms in the most cells, centred and scaled as those of `Text`."""
    terms = TfidfVectorizer(token_pattern=WORD, ngram_range=(1, 2), min_df=2, sublinear_tf=True)
    weights = terms.fit_transform(cells)
    kept = np.argsort(-np.asarray((weights > 0).sum(axis=0)).ravel(), kind="stable")[:most]
    first, second = weights[:, kept].toarray(), terms.transform(tested)[:, kept].toarray()
    center = first.mean(axis=0)
    scale = np.sqrt(SPREAD / ((first - center) ** 2).sum(axis=1).mean())
    return (first - center) * scale, (second - center) * scale


def recalls(train: NDArray[np.float64], y: NDArray[np.int64], test: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the recall of each class, of logistic regression with its prior taken out."""
    fitted = LogisticRegression(max_iter=500).fit(train, y)
    decided = (fitted.decision_function(test) - np.log(np.bincount(y))).argmax(axis=1)
    right = decided.reshape(len(np.bincount(y)), -1) == np.arange(len(np.bincount(y)))[:, None]
    return np.asarray(right.mean(axis=1))


def measured(draws: int, rows: Sequence[int] = ROWS) -> dict[str, tuple[float, float]]:
    """Return (balanced accuracy, recall of the rarest) by way, the mean over draws."""
    ways = {f"{most} numbers": (projected, most) for most in (32, 64, 128, 256)}
    ways |= {f"{most} most frequent terms": (frequent, most) for most in (64, 128, 256, 1024)}
    found: dict[str, list[NDArray[np.float64]]] = {way: [] for way in ways}
    for seed in range(draws):
        (cells, y), (tested, _) = made(seed, rows), made(1000 + seed, [TESTED] * len(rows))
        for way, (numbers, most) in ways.items():
            train, test = numbers(cells, tested, most)
            found[way].append(recalls(train, y, test))
    return {way: (float(np.mean(each)), float(np.mean([one[-RAREST:] for one in each]))) for way, each in found.items()}


def main() -> None:
    parser = argument_parser(__doc__, "own-data/text-numbers.json")
    parser.add_argument("--draws", type=int, default=5)
    given = parser.parse_args()
    found = measured(given.draws)
    for way, (balanced, rarest) in found.items():
        print(f"{way:>25}: balanced accuracy {balanced:.3f}, the {RAREST} rarest {rarest:.3f}")
    ways = {way: {"balanced_accuracy": balanced, "rarest": rarest} for way, (balanced, rarest) in found.items()}
    save(given.out, {"machine": facts(), "draws": given.draws, "rows": ROWS, "tested": TESTED, "ways": ways})


if __name__ == "__main__":
    main()
