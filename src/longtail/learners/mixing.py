"""Mixed examples: two rows of a step become one, with two labels and a coefficient, under any loss."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol, final

import torch
from torch import Tensor, nn

from longtail import functional
from longtail.facts.types import Batch, Mixed, Outputs, Progress, as_outputs

Terms = tuple[Tensor, Tensor | None, Tensor]
Evaluate = Callable[[Tensor, Tensor | None], Terms]
"""(targets (B,), weight (B,) or None) -> losses, weights and shares of the rows (B,), as `Loss.terms`."""


class Pair(NamedTuple):
    """The labels of mixed examples: `own` is the coefficient (B,) of a row's own label, its partner has the rest.

    `targets`, `weight` and `rows` (their numbers in the training part) are those of the rows, then of their partners.
    """

    own: Tensor
    targets: tuple[Tensor, Tensor]
    weight: tuple[Tensor | None, Tensor | None]
    rows: tuple[Tensor, Tensor]

    def nearest(self, values: tuple[Tensor, Tensor]) -> Tensor:
        """Return the value (B,) of the row or of its partner, whichever has the larger coefficient."""
        return torch.where(self.own >= 0.5, *values)

    def mixed(self, evaluate: Evaluate) -> Terms:
        """Return own l(y_a) + (1 - own) l(y_b), and the weights and shares mixed alike."""
        (a, w_a, s_a), (b, w_b, s_b) = (evaluate(y, s) for y, s in zip(self.targets, self.weight, strict=True))
        own = self.own.to(a.dtype)

        def mix(of_own: Tensor, of_partner: Tensor) -> Tensor:
            return own * of_own + (1 - own) * of_partner

        return mix(a, b), None if w_a is None or w_b is None else mix(w_a, w_b), mix(s_a, s_b)


class Mixing(Protocol):
    """How the rows of a step are mixed in pairs: the network's outputs, and the labels that they are compared with."""

    def outputs(self, network: Any, batch: Batch, progress: Progress) -> Outputs:
        """Return the network's outputs (B, C) for the mixed examples."""
        ...

    def pair(self, batch: Batch, targets: Tensor, weight: Tensor | None, progress: Progress) -> Pair:
        """Return the labels of the mixed examples, of rows with these targets (B,) and weights (B,) or None."""
        ...


@final
class Mixer(nn.Module):
    """Pairs of rows of one batch (`batch["mixing"]`), mixed at one place of the network.

    x = l x_a + (1 - l) x_b; the loss is k L(y_a) + (1 - k) L(y_b), k = l or, with counts, `functional.remix_share`.

    Args:
        places: the number of places of the network (`models.network.Network.places`).
        place: the number of one, or None for one of all at random, another in every batch.
        counts: (C,) for remix; None for k = l.
        kappa: >= 1, the ratio of counts from which on the rarer class may get the whole label.
        tau: in [0, 1].
    """

    counts: Tensor | None

    def __init__(
        self, places: int, place: int | None = 0, *, counts: Tensor | None = None, kappa: float = 3.0, tau: float = 0.5
    ) -> None:
        super().__init__()
        self.places, self.place, self.kappa, self.tau = places, place, kappa, tau
        self.register_buffer("counts", None if counts is None else counts.float(), persistent=False)

    def change(self, mixed: Mixed) -> Mixture:
        """Return the change of the hidden values of a batch."""
        return Mixture(mixed, self.place, self.places)

    def outputs(self, network: Any, batch: Batch, progress: Progress) -> Outputs:
        """Return the outputs of the network, changed on the way."""
        return as_outputs(network(batch["inputs"], self.change(batch["mixing"])))

    def pair(self, batch: Batch, targets: Tensor, weight: Tensor | None, progress: Progress) -> Pair:
        """Return the labels (B,) of the mixed examples, and the sample weights (B,) of their rows."""
        mixed, index = batch["mixing"], batch["index"]
        partner = mixed.partner
        own = mixed.share.expand(len(partner))
        if self.counts is not None:
            of_rows = self.counts[targets]
            own = functional.remix_share(mixed.share, of_rows, of_rows[partner], self.kappa, self.tau)
        weights = (weight, None if weight is None else weight[partner])
        return Pair(own, (targets, targets[partner]), weights, (index, index[partner]))


@dataclass(frozen=True)
class Mixture:
    """x -> l x + (1 - l) x[partner] at one place, which may be drawn; a tensor says which, so that nothing waits."""

    mixed: Mixed
    place: int | None
    places: int

    def acts(self, place: int) -> bool:
        """Whether values at this place may be mixed."""
        return self.place is None or place == self.place

    def __call__(self, x: Tensor, place: int) -> Tensor:
        """Return the mixed values, of the same dtype."""
        if not self.acts(place):
            return x
        partner, share, layer = self.mixed
        if self.place is None:
            share = torch.where((layer * self.places).long() == place, share, 1.0)
        if share.ndim:  # each row's own
            share = share.reshape(-1, *[1] * (x.ndim - 1))
        return share * x + (1 - share) * x.index_select(0, partner)
