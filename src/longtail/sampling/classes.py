"""Samplers that draw a class, then one of its rows.

Set-up is one counting sort of the labels, and a draw costs log C, not log N, so tens of millions of rows work.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from typing import Annotated, Any, final

import numpy as np
import torch
from torch import Tensor

from longtail.facts.class_weights import BETA, Beta, effective_number
from longtail.facts.counts import encode
from longtail.facts.knobs import Knob, Range
from longtail.facts.schedules import Schedule, at
from longtail.sampling.rows import RowSampler

CHUNK = 1 << 16
"""Rows drawn at a time; the draws of a seed depend on it, so it never changes."""

Power = Annotated[Knob, Range(open_low=True, open_high=True)]


class ClassSampler(RowSampler):
    """Draws a class by `class_probabilities`, then one of its rows, uniformly; both with replacement.

    Args:
        labels: whatever `longtail.class_counts` reads, N rows. A class without rows is never drawn.
        num_samples: rows in an epoch, N by default.
        seed, rank, world_size: see `RowSampler`.
    """

    def __init__(
        self,
        labels: Any,
        *,
        num_samples: int | None = None,
        seed: int = 0,
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        indices, names = encode(labels)
        size = len(indices) if num_samples is None else num_samples
        super().__init__(size, seed=seed, rank=rank, world_size=world_size)
        self.num_rows = len(indices)
        rows, edges = _rows_by_class(indices, len(names))
        self._rows, self._first = torch.from_numpy(rows), torch.from_numpy(edges[:-1])
        self.class_counts = torch.from_numpy(np.diff(edges))

    @abstractmethod
    def class_probabilities(self, progress: float | None = None) -> Tensor:
        """(C,) float64, summing to 1; 0 for a class without rows."""

    def chunks(self, progress: float | None, generator: torch.Generator) -> Iterator[Tensor]:
        """Pieces of at most CHUNK rows."""
        edges = self.class_probabilities(progress).cumsum(0)
        edges = edges / edges[-1]
        for start in range(0, self.num_samples, CHUNK):
            shape = (2, min(CHUNK, self.num_samples - start))
            u, v = torch.rand(shape, dtype=torch.float64, generator=generator)
            # right: an empty class has no width to fall into
            drawn = torch.searchsorted(edges, u, right=True)
            within = (v * self.class_counts[drawn]).long()
            yield self._rows[self._first[drawn] + within].long()


@final
class PowerSampler(ClassSampler):
    """P(class j) proportional to n_j^q: q = 1 draws as the data are, 0 uniformly over classes.

    A Schedule for q moves with progress (progressively balanced sampling); -1 is the reversed sampler of BBN.
    Kang et al. 2020, "Decoupling Representation and Classifier", eq. 1.
    """

    def __init__(
        self,
        labels: Any,
        *,
        q: Power,
        num_samples: int | None = None,
        seed: int = 0,
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        Range(open_low=True, open_high=True).check("q", q)
        super().__init__(labels, num_samples=num_samples, seed=seed, rank=rank, world_size=world_size)
        self.q: float | Schedule = q

    def class_probabilities(self, progress: float | None = None) -> Tensor:
        """n_j^q / sum_k n_k^q."""
        return _power(self.class_counts, at(self.q, progress, "q"))


@final
class ClassBalancedSampler(ClassSampler):
    """P(class j) = 1 / C over the classes that have rows: every class is drawn equally often."""

    def class_probabilities(self, progress: float | None = None) -> Tensor:
        """The same for every class that has rows."""
        return _power(self.class_counts, 0.0)


@final
class SquareRootSampler(ClassSampler):
    """P(class j) proportional to sqrt(n_j). Mahajan et al. 2018, section 2.2; Kang et al. 2020, q = 1/2."""

    def class_probabilities(self, progress: float | None = None) -> Tensor:
        """sqrt(n_j) / sum_k sqrt(n_k)."""
        return _power(self.class_counts, 0.5)


@final
class ProgressiveSampler(ClassSampler):
    """P(class j) = (1 - p) n_j / N + p / C at progress p: as the data are at first, class-balanced at the end.

    Kang et al. 2020, "Decoupling Representation and Classifier", progressively balanced sampling; C counts the classes
    that have rows.
    """

    def class_probabilities(self, progress: float | None = None) -> Tensor:
        """The mixture at this progress, which is required."""
        if progress is None:
            raise TypeError("ProgressiveSampler needs progress; call set_epoch(epoch, progress=epoch / epochs)")
        return (1 - progress) * _power(self.class_counts, 1.0) + progress * _power(self.class_counts, 0.0)


@final
class EffectiveNumberSampler(ClassSampler):
    """P(class j) proportional to n_j / E_j, E_j = (1 - beta^n_j) / (1 - beta).

    The re-sampling rule in the code of LDAM: each example is drawn with a weight (1 - beta) / (1 - beta^n_y).
    beta = 0 draws as the data are, beta -> 1 uniformly over classes; so does beta = 0.9999 nearly, while
    n << 10^4.
    """

    def __init__(
        self,
        labels: Any,
        *,
        beta: Beta = BETA,
        num_samples: int | None = None,
        seed: int = 0,
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        Range(0, 1, open_high=True).check("beta", beta)
        super().__init__(labels, num_samples=num_samples, seed=seed, rank=rank, world_size=world_size)
        self.beta = beta

    def class_probabilities(self, progress: float | None = None) -> Tensor:
        """n_j / E_j, normalised."""
        n = self.class_counts
        mass = n * effective_number(n, self.beta, zero_count="mask", dtype=torch.float64)
        return mass / mass.sum()


def _rows_by_class(indices: np.ndarray, num_classes: int) -> tuple[np.ndarray, np.ndarray]:
    """Return row numbers sorted by class (stable), and the bounds of every class in them (C + 1,)."""
    from scipy.sparse import csr_array

    # the one-hot matrix of the labels by columns: SciPy transposes by counting, in linear time
    size = len(indices)
    narrow = np.int32 if size < 2**31 else np.int64
    one_hot = csr_array(
        (np.ones(size, np.int8), indices.astype(narrow, copy=False), np.arange(size + 1, dtype=narrow)),
        shape=(size, num_classes),
    )
    by_class = one_hot.tocsc()
    return by_class.indices, by_class.indptr.astype(np.int64)


def _power(counts: Tensor, q: float) -> Tensor:
    # n^q as exp(q log n) through a softmax: no overflow, and an empty class has probability 0 for every q
    logits = torch.where(counts > 0, q * counts.double().clamp(min=1).log(), -torch.inf)
    return torch.softmax(logits, 0)
