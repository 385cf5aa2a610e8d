"""FixMatch: consistency between a weak and a strong view of rows without labels."""

from __future__ import annotations

from torch import nn

from longtail.catalogue.method import Method
from longtail.data import TrainingSet
from longtail.facts.knobs import NonNegativeFloat, PositiveFloat, UnitFloat
from longtail.learners.fixmatch import FixMatch
from longtail.methods.semi.hosts import Count, host
from longtail.targets import Confident, Guess


def fixmatch(
    *,
    threshold: NonNegativeFloat = 0.95,
    consistency: NonNegativeFloat = 1.0,
    mu: Count = 2,
    temperature: PositiveFloat = 1.0,
    decay: UnitFloat = 0.999,
) -> Method:
    """FixMatch: the strong view learns the class that the network is confident of in the weak view.

    loss = 1/B sum_b CE(z_b, y_b) + consistency 1/(mu B) sum_u [max_k q_uk >= threshold] CE(z'_u, argmax_k q_uk)

    B labelled rows and mu B rows without labels a step. q = softmax(z / temperature) of the weak view of u, without a
    gradient; z' (mu B, C) the logits of its strong view. The second mean is over all rows, those below the threshold
    included. Labelled rows and both views go through the network in one pass, so that batch norms have the statistics
    of all; a moving average of the parameters, with the batch norms' statistics of the network, predicts.

    Images: the weak view is what supervised training does (crop and flip, or nothing), the strong view adds three
    RandAugment operations of random magnitude and cutout of up to half the side. Rows of a table: 30 % of the columns
    take the values of other rows. Features: noise of half their deviation. The last two are ours.

    Sohn et al. 2020, eq. 2-4.

    Works: Rows without labels are of the same classes, the network is right where it is confident, and the views do not
    change the class.

    Breaks: On a long tail pseudo-labels favour the frequent classes, more than plain training does (DARP, ABC, CReST).
    Where no row reaches the threshold the rows without labels teach nothing.

    Paper and code: Theirs: mu = 7, B = 64, 2^20 steps of SGD with Nesterov momentum, learning rate 0.03 with decay
    cos(7 pi k / 16 K). mu = 2 is that of USB, whose long-tailed results are compared with. As in USB: one strong view,
    one pass for labelled rows and both views, rows without labels apart from the labelled ones (theirs include them),
    RandAugment of random magnitude. In DARP's code, from which ABC's derives: two strong views, the
    weak one in a pass of its own, mu = 1, labelled rows among the others, a fixed magnitude, Adam, and a decay of all
    weights and statistics by 4e-5 a step; for CIFAR-10 at ratio 100, 1500 and 3000 rows, it has 71.5 %, USB 76.7.
    Differences of the common recipe: its length and learning rate, so that every method of a comparison makes equally
    many steps of one kind (recipe "own" is USB's); crops are padded with 0 (USB's by reflection); the average's factor
    is min(decay, (1 + t) / (10 + t)) at step t, since a training of a thousand steps would otherwise end near its
    start.
    """

    def parts(data: TrainingSet, network: nn.Module) -> tuple[nn.Module, nn.Module, nn.Module]:
        return FixMatch(consistency), Guess(temperature), Confident(threshold)

    return host("fixmatch", "sohn2020fixmatch", parts, views=lambda rows: ("weak", "strong"), mu=mu, decay=decay)
