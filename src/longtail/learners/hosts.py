"""Hosts: the losses of the methods that compare two views, see `pair.Host`."""

from __future__ import annotations

from typing import final

from torch import Tensor, nn

from longtail.facts.knobs import Knob
from longtail.facts.schedules import at
from longtail.facts.types import Batch, Progress
from longtail.functional import focal_nt_xent, moclr, negative_cosine, nt_xent, supervised_contrast
from longtail.learners.branches import Seen, Shared
from longtail.learners.pair import Compared


@final
class NTXent(nn.Module):
    """SimCLR: each projection must find its partner among all others of the batch, `functional.nt_xent`.

    Args:
        t: temperature > 0, scheduled or not.
    """

    momentum = None
    symmetric = True

    def __init__(self, t: Knob = 0.2) -> None:
        super().__init__()
        self.t = t

    def forward(self, compared: Compared, batch: Batch, t: Progress, progress: Progress) -> Tensor:
        """Return the losses (B,)."""
        return nt_xent(compared.first.logits, compared.other.logits, t)


@final
class FocalNTXent(nn.Module):
    """Focal SimCLR: anchors that find their partner easily weigh less, `functional.focal_nt_xent`.

    Args:
        t: temperature > 0, scheduled or not.
        gamma: >= 0, scheduled or not; 0 is `NTXent`.
    """

    momentum = None
    symmetric = True

    def __init__(self, t: Knob = 0.2, gamma: Knob = 2.0) -> None:
        super().__init__()
        self.t, self.gamma = t, gamma

    def forward(self, compared: Compared, batch: Batch, t: Progress, progress: Progress) -> Tensor:
        """Return the losses (B,)."""
        gamma = at(self.gamma, progress, "gamma")
        return focal_nt_xent(compared.first.logits, compared.other.logits, t, gamma)


@final
class SupCon(nn.Module):
    """SupCon: rows of a class attract each other, `functional.supervised_contrast`; the batch must have labels.

    Args:
        t: temperature > 0, scheduled or not.
    """

    momentum = None
    symmetric = True

    def __init__(self, t: Knob = 0.1) -> None:
        super().__init__()
        self.t = t

    def forward(self, compared: Compared, batch: Batch, t: Progress, progress: Progress) -> Tensor:
        """Return the losses (B,)."""
        return supervised_contrast(compared.first.logits, compared.other.logits, batch["targets"], t)


@final
class MoCLR(nn.Module):
    """MoCLR: each view must find the average's other view of its row among those of the batch, `functional.moclr`.

    Args:
        t: temperature > 0, scheduled or not.
        momentum: of the average, in [0, 1], scheduled or not.
    """

    symmetric = True

    def __init__(self, t: Knob = 0.2, momentum: Knob = 0.99) -> None:
        super().__init__()
        self.t, self.momentum = t, momentum

    def forward(self, compared: Compared, batch: Batch, t: Progress, progress: Progress) -> Tensor:
        """Return the losses (B,), the sum of the two directions."""
        return moclr(*_both(compared), t, index=batch["index"])


@final
class SimSiam(nn.Module):
    """SimSiam: the predicted projection of each view nears the other one's, which has no gradient.

    l_i = (-cos(p1_i, z2_i) - cos(p2_i, z1_i)) / 2, p = predictor(z)

    Args:
        predictor: projections (N, P) -> (N, P).
        passes: how the projections of the two views pass through it, see `branches.Shared`.
    """

    t = None
    momentum = None
    symmetric = True

    def __init__(self, predictor: nn.Module, passes: str = "split") -> None:
        super().__init__()
        self.predictor, self.passes = predictor, Shared(passes)

    def forward(self, compared: Compared, batch: Batch, t: None, progress: Progress) -> Tensor:
        """Return the losses (B,), the mean of the two directions."""
        z1, z2 = compared.first.logits, compared.other.logits
        p1, p2 = _predicted(self.passes, self.predictor, z1, z2)
        return (negative_cosine(p1, z2.detach()) + negative_cosine(p2, z1.detach())) / 2


@final
class BYOL(nn.Module):
    """BYOL: the predicted projection of each view nears the average's projection of the other one.

    l_i = |p1_i - k2_i|^2 + |p2_i - k1_i|^2, p = predictor(z), rows of length 1

    Args:
        predictor: projections (N, P) -> (N, P).
        momentum: of the average, in [0, 1], scheduled or not.
        passes: how the projections of the two views pass through the predictor, see `branches.Shared`.
    """

    t = None
    symmetric = True

    def __init__(self, predictor: nn.Module, momentum: Knob = 0.99, passes: str = "split") -> None:
        super().__init__()
        self.predictor, self.momentum, self.passes = predictor, momentum, Shared(passes)

    def forward(self, compared: Compared, batch: Batch, t: None, progress: Progress) -> Tensor:
        """Return the losses (B,), the sum of the two directions."""
        (z1, z2), (k1, k2) = _both(compared)
        p1, p2 = _predicted(self.passes, self.predictor, z1, z2)
        return 4 + 2 * (negative_cosine(p1, k2) + negative_cosine(p2, k1))


def _both(compared: Compared) -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
    """Return the projections of both views by the network, and by its average."""
    first, second, first_key, second_key = compared
    assert second is not None
    assert first_key is not None
    assert second_key is not None
    return (first.logits, second.logits), (first_key.logits, second_key.logits)


def _predicted(passes: Shared, predictor: nn.Module, z1: Tensor, z2: Tensor) -> tuple[Tensor, Tensor]:
    seen: Seen = passes(predictor, (z1, z2))
    first, second = seen
    assert first is not None
    assert second is not None
    return first.logits, second.logits
