"""Structured vector scaling: a factor and an offset for every class, shrunk towards the temperature."""

from __future__ import annotations

from typing import final

import torch
from torch import Tensor

from longtail.posthoc.calibration.rows import Rows
from longtail.posthoc.calibration.scaling import Calibration

FEW = 50.0
"""A class with fewer rows is shrunk more than the others, in proportion: its ridge is multiplied by 50 / rows."""
STEPS = 100
PRECISION, DECREMENT = 1e-12, 1e-15


@final
class VectorScaling(Calibration):
    """A factor and an offset for every class, after a temperature.

    p' = softmax((1 + v) z + b),   (v, b) = argmin log loss + sum_c lam_c (v_c^2 + b_c^2),
    lam_c = C / n max(1, 50 / n_c)

    z is the logarithm of `TemperatureScaling`, n the effective number of rows, n_c those of class c. It mends classes
    whose probability is too high or too low as a whole, which a temperature cannot. A class without rows is frozen: it
    keeps the probability that the temperature gives it, and C and the softmax are of the other classes.

    Args:
        num_classes: C.

    Reference: structured vector scaling of the package probmetrics (Berta et al. 2025); more shrinkage for classes of
    fewer than 50 rows, frozen classes and the effective number of rows are ours.
    """

    name = "vector"
    factors: Tensor
    offsets: Tensor

    def __init__(self, num_classes: int) -> None:
        super().__init__(num_classes)
        self.register_buffer("factors", torch.zeros(num_classes, dtype=torch.float64))
        self.register_buffer("offsets", torch.zeros(num_classes, dtype=torch.float64))

    def _refine(self, rows: Rows) -> None:
        self.factors.zero_()
        self.offsets.zero_()
        seen = rows.counts > 0
        number = int(seen.sum())
        if number < 2:
            return
        z = self._tempered(rows.log_probs)[:, seen]
        place = seen.cumsum(0) - 1
        ridge = number / rows.size * (FEW / rows.counts[seen]).clamp(min=1)
        factors, offsets = ridge_minimum(z, place[rows.targets], rows.weight, ridge)
        self.factors[seen] = factors.to(self.factors.device)
        self.offsets[seen] = offsets.to(self.offsets.device)

    def _calibrated(self, z: Tensor) -> Tensor:
        tempered, seen = self._tempered(z), (self.counts > 0).to(z.device)
        if int(seen.sum()) < 2:
            return tempered
        kept = tempered[:, seen]
        factors, offsets = self.factors.to(z.device)[seen], self.offsets.to(z.device)[seen]
        scaled = ((1 + factors) * kept + offsets).log_softmax(1)
        result = tempered.clone()
        result[:, seen] = scaled + kept.logsumexp(1, keepdim=True)  # what the frozen classes leave
        return result

    @property
    def words(self) -> str:
        """What it is and what it was fitted on, in words."""
        frozen = int((self.counts == 0).sum())
        note = f"; {frozen} class{'es' * (frozen != 1)} without rows as the temperature leaves them" if frozen else ""
        return super().words + note


def ridge_minimum(z: Tensor, targets: Tensor, weight: Tensor, ridge: Tensor) -> tuple[Tensor, Tensor]:
    """Return v and b (C,) with the smallest sum_i w_i (-log softmax((1 + v) z_i + b)_y) + sum_c lam_c (v_c^2 + b_c^2).

    The objective is strictly convex. Newton's steps, each by conjugate gradients on products with the Hessian, so that
    memory is O(N C); halved until the objective falls by enough.

    Args:
        z: (N, C) float64.
        targets: (N,).
        weight: w (N,), summing to 1.
        ridge: lam (C,) > 0.
    """
    theta = z.new_zeros(2, z.shape[1])
    value, p = _objective(theta, z, targets, weight, ridge)
    for _ in range(STEPS):
        apart = weight[:, None] * p
        apart[torch.arange(len(z)), targets] -= weight
        gradient = torch.stack([(z * apart).sum(0), apart.sum(0)]) + 2 * ridge * theta
        if float(gradient.abs().max()) <= PRECISION:
            break
        direction = _newton_direction(gradient, p, z, weight, ridge)
        slope, step = float((gradient * direction).sum()), 1.0
        if -slope <= DECREMENT:  # what is to gain is below rounding, and the step is as good as exact
            theta = theta + direction
            break
        while step > 1e-10:
            moved, moved_p = _objective(theta + step * direction, z, targets, weight, ridge)
            if moved <= value + 1e-4 * step * slope:
                break
            step /= 2
        else:  # rounding: no lower value is in reach
            break
        theta, value, p = theta + step * direction, moved, moved_p
    return theta[0], theta[1]


def _objective(
    theta: Tensor, z: Tensor, targets: Tensor, weight: Tensor, ridge: Tensor
) -> tuple[float, Tensor]:  # fmt: skip
    logs = ((1 + theta[0]) * z + theta[1]).log_softmax(1)
    loss = -(weight * logs.gather(1, targets[:, None])[:, 0]).sum()
    return float(loss + (ridge * theta.square()).sum()), logs.exp()


def _newton_direction(gradient: Tensor, p: Tensor, z: Tensor, weight: Tensor, ridge: Tensor) -> Tensor:
    """Return -H^-1 gradient (2, C) by conjugate gradients, preconditioned with the diagonal of H."""

    def product(d: Tensor) -> Tensor:
        moved = z * d[0] + d[1]
        q = weight[:, None] * p * (moved - (p * moved).sum(1, keepdim=True))
        return torch.stack([(z * q).sum(0), q.sum(0)]) + 2 * ridge * d

    spread = weight[:, None] * p * (1 - p)
    diagonal = torch.stack([(z.square() * spread).sum(0), spread.sum(0)]) + 2 * ridge
    x, residual = torch.zeros_like(gradient), -gradient
    searched = residual / diagonal
    size = float((residual * searched).sum())
    enough = 1e-16 * size
    for _ in range(2 * gradient.numel() + 50):
        ahead = product(searched)
        alpha = size / float((searched * ahead).sum())
        x, residual = x + alpha * searched, residual - alpha * ahead
        scaled = residual / diagonal
        new = float((residual * scaled).sum())
        if new <= enough:
            break
        searched, size = scaled + new / size * searched, new
    return x
