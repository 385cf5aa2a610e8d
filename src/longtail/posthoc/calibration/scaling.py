"""Calibrations as modules: what all have in common, and the temperature alone."""

from __future__ import annotations

from typing import Any, ClassVar, Self, final

import torch
from torch import Tensor

from longtail.facts.fixed_dtype import FixedDtype
from longtail.facts.knobs import Range
from longtail.posthoc.calibration.rows import Rows, checked_rows, normalised
from longtail.posthoc.calibration.temperature import inverse_temperature, tempered
from longtail.posthoc.corrections import T, apply_to


class Calibration(FixedDtype):
    """Log-probabilities -> calibrated log-probabilities (N, C); a temperature, which subclasses refine.

    Buffers, all float64: `inverse_temperature` (), `mixing` (), `size` () (the effective number of rows of the fit)
    and `counts` (C,) (its rows per class).
    """

    name: ClassVar[str]
    inverse_temperature: Tensor
    mixing: Tensor
    size: Tensor
    counts: Tensor

    def __init__(self, num_classes: int) -> None:
        super().__init__()
        Range(2, integer=True).check("num_classes", num_classes)
        self.num_classes = num_classes
        for buffer in ("inverse_temperature", "mixing", "size"):
            self.register_buffer(buffer, torch.tensor(torch.nan, dtype=torch.float64))
        self.register_buffer("counts", torch.full((num_classes,), torch.nan, dtype=torch.float64))
        self.fitted = False

    @property
    def arguments(self) -> dict[str, Any]:
        """The arguments of the constructor, as JSON."""
        return {"num_classes": self.num_classes}

    @property
    def temperature(self) -> float:
        """T; above 1 the probabilities were too confident."""
        return 1 / float(self.inverse_temperature)

    @torch.no_grad()
    def fit(self, log_probs: Any, targets: Any, *, sample_weight: Any = None, prior: Any = None) -> Self:
        """Fit to rows that the network was not trained on, a validation part.

        Args:
            log_probs: (N, C), tensor or array; logits do as well.
            targets: (N,) class indices.
            sample_weight: (N,) or None; a row of weight k counts as k rows.
            prior: (C,) class shares where the probabilities are used, which `log_probs` refer to already (see
                `shift_prior`): a row weighs prior_y / share_y, share the class shares of these rows. None: as they are.

        Raises:
            ValueError: no rows, log-probabilities that are not finite, a target outside [0, C), a prior that does
                not sum to 1.
        """
        return self.fit_rows(checked_rows(log_probs, targets, self.num_classes, sample_weight, prior))

    @torch.no_grad()
    def fit_rows(self, rows: Rows) -> Self:
        """Fit to rows that were checked."""
        b, share = inverse_temperature(rows), 1 / (rows.size + 1)
        self.inverse_temperature.fill_(b)
        self.mixing.fill_(share)
        self.size.fill_(rows.size)
        self.counts.copy_(rows.counts)
        self._refine(rows)
        self.fitted = True
        return self

    def forward(self, log_probs: T) -> T:
        """Return calibrated log-probabilities, normalised: a tensor or array as given, float32 or wider."""
        if not self.fitted:
            raise ValueError(
                "the calibration must be fitted before use; call fit(log_probs, targets) on validation data"
            )

        def calibrated(z: Tensor) -> Tensor:
            wide = normalised(z, self.num_classes)
            narrow = torch.float64 if z.dtype == torch.float64 else torch.float32
            return self._calibrated(wide).to(narrow)

        return apply_to(log_probs, calibrated)

    @property
    def words(self) -> str:
        """What it is and what it was fitted on, in words."""
        rows = int(self.counts.sum().round())
        return f"{self.name} scaling (T = {self.temperature:.3g}), fitted on {rows} validation row{'s' * (rows != 1)}"

    def _refine(self, rows: Rows) -> None:
        """Fit what a subclass adds; the temperature is there already."""

    def _calibrated(self, z: Tensor) -> Tensor:
        return self._tempered(z)

    def _tempered(self, z: Tensor) -> Tensor:
        return tempered(z, self.inverse_temperature.to(z.device), self.mixing.to(z.device))

    def _load_from_state_dict(self, *args: Any, **kwargs: Any) -> None:
        super()._load_from_state_dict(*args, **kwargs)
        self.fitted = not bool(torch.isnan(self.inverse_temperature))

    def extra_repr(self) -> str:
        """Return the arguments for `repr`."""
        return f"num_classes={self.num_classes}, T={self.temperature:.4g}"


@final
class TemperatureScaling(Calibration):
    """One temperature for all classes.

    p' = (1 - w) softmax(z / T) + w / C,   T = argmin of the log loss of softmax(z / T),   w = 1 / (n + 1)

    It makes confidence right on average and changes no decision. The uniform part keeps the loss finite where the rows
    of the fit are all classified rightly. n is the effective number of rows: with the weights r of a prior,
    (sum r)^2 / sum r^2.

    Args:
        num_classes: C.

    Reference: Guo et al. 2017, "On Calibration of Modern Neural Networks", section 4.2; the mixture is that of the
    package probmetrics.
    """

    name = "temperature"
