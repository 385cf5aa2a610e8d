"""One bad input: how it is made, and what it is a mutation of."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

Files = Callable[[Path], None]
LONG = 9000


@dataclass(frozen=True)
class Case:
    """A bad input beside its good twin: a command line in a folder that `files` fills, or a call of the API."""

    kind: str
    name: str
    bad: list[str] | Callable[[], Any]
    good: list[str] | Callable[[], Any]
    files: Files = lambda folder: None
    good_files: Files = lambda folder: None

    def __str__(self) -> str:
        return f"{self.kind}: {self.name}"[:200]


def arrays(counts: tuple[int, ...] = (40, 16, 8)) -> dict[str, np.ndarray]:
    y = np.repeat(np.arange(len(counts)), counts)
    return {"X": np.random.default_rng(0).normal(size=(len(y), 3)) + y[:, None], "y": y}


def good_npz(folder: Path) -> None:
    np.savez(folder / "good.npz", **arrays())


def junk(rng: random.Random) -> str:
    """A word that means nothing, of any length and with any characters."""
    alphabet = rng.choice(["abcxyz", "é한🙂", "\x1b[31m\u202e\u200b", "'\"`$;", " \t", "0", "../", "%s{}"])
    return "q" + "".join(rng.choice(alphabet) for _ in range(rng.choice([1, 3, 20, LONG])))


def not_a_number(rng: random.Random) -> Any:
    """What stands where a number belongs, in Python."""
    import torch

    return rng.choice(
        [
            lambda: "3",
            lambda: junk(rng),
            lambda: [1, 2],
            lambda: torch.ones(3, 3),
            lambda: torch.tensor(2.0),
            lambda: np.ones((40, 40)),
            dict,
            lambda: object(),
            lambda: True,
            lambda: 3j,
            lambda: b"1",
            lambda: list(range(LONG)),
            lambda: float("nan"),
            lambda: -(10**400),
        ]
    )()
