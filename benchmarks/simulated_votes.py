"""White wines whose quality three simulated tasters named: label cells with every grade that was named.

    python -m benchmarks.simulated_votes --table winequality-white.csv --out votes.csv

Each taster names the next grade above or below with probability 0.3, else the true one, which is in no set where all
three are wrong. The table is UCI's, without a header.
"""

from __future__ import annotations

import csv
import random
from pathlib import Path

from benchmarks.command import argument_parser

COLUMNS = [
    "acid", "volatile", "citric", "sugar", "chlorides", "free", "total", "density", "pH", "sulphates", "alcohol",
]  # fmt: skip
TASTERS, WRONG = 3, 0.3


def named(grades: list[str], true: str, draws: random.Random) -> list[str]:
    """Return the grade that each taster names."""
    i, votes = grades.index(true), []
    for _ in range(TASTERS):
        wrong = draws.random() < WRONG
        votes.append(grades[min(max(i + draws.choice((-1, 1)), 0), len(grades) - 1)] if wrong else true)
    return votes


def main() -> None:
    parser = argument_parser(__doc__)
    parser.add_argument("--table", type=Path, required=True)
    given = parser.parse_args()
    rows, draws, missed = list(csv.reader(given.table.read_text().splitlines())), random.Random(0), 0
    grades = sorted({row[-1] for row in rows})
    with given.out.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow([*COLUMNS, "quality"])
        for *values, true in rows:
            votes = named(grades, true, draws)
            missed += true not in votes
            writer.writerow([*values, "|".join(sorted(set(votes)))])
    print(f"{given.out}: {len(rows)} rows, {missed} of whose sets lack the true grade")


if __name__ == "__main__":
    main()
