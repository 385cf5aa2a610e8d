"""Mixed examples over any base: two rows become one, with two labels and a coefficient."""

from __future__ import annotations

from typing import Annotated

from longtail.catalogue.compose import PLAIN, BaseMethod, corrected, has_place, with_mixing
from longtail.catalogue.method import Method
from longtail.catalogue.references import cited
from longtail.facts.knobs import Choice, PositiveFloat, Range, UnitFloat

Base = Annotated[Method, BaseMethod(slots=("mixing",))]
Place = Annotated[str, Choice(("random", "input", "stage-1", "stage-2", "features"))]
Ratio = Annotated[float, Range(1, open_high=True)]


def mixup(*, base: Base = PLAIN, alpha: PositiveFloat = 1.0) -> Method:
    """Mixup of the inputs: every example is blended with another one of its batch, and so are their losses.

    loss = l L(y_a) + (1 - l) L(y_b) at x = l x_a + (1 - l) x_b, l from Beta(alpha, alpha) once a batch; L that of base.

    x_b are the rows of the batch in random order. Inputs are blended after standardisation; for a table, codes are
    blended as their embeddings. L may be any loss, with its weights and margins: `mixup(base="ldam-drw")`. Instance
    weights that depend on the class or the row take that of the larger part.

    Zhang et al. 2018.

    Works: As regularisation where rows are few or the network fits them without error, and a blend of two inputs is
    meaningful. In the Bag of Tricks (Zhang et al. 2021, CIFAR-10 at ratio 100) its error is 25.9 %, that of ce 28.1 %.

    Breaks: It ignores class sizes: most rows are blended with frequent classes. A small network that does not fit its
    training rows fits them less.

    Paper and code: In the code, as here, l is drawn once a batch. The long-tailed benchmarks have alpha = 1.
    """
    return corrected(base, "mixing", with_mixing(alpha), reference=cited("zhang2018mixup"))


def manifold_mixup(*, base: Base = PLAIN, alpha: PositiveFloat = 1.0, place: Place = "random") -> Method:
    """Manifold mixup: the values of a hidden layer are blended, at a layer drawn anew for every batch.

    loss = l L(y_a) + (1 - l) L(y_b) with h = l h_a + (1 - l) h_b at one layer, l from Beta(alpha, alpha) once a batch.

    The layers are the input, the ends of the network's stages (the groups of blocks of a residual network, the first
    block of a convnet, the layers of an mlp) and the features that enter the head. `place` names one; place="input" is
    mixup. In a network of your own they are the input and the features. A place that the network lacks is refused
    before training.

    Verma et al. 2019.

    Works: As mixup, where a blend of hidden values is more meaningful than one of inputs. In the Bag of Tricks (Zhang
    et al. 2021, CIFAR-10 at ratio 100) its error is 24.8 %, that of mixup 25.9 %.

    Breaks: As mixup, it ignores class sizes. On CIFAR-100 at ratio 100 it is behind mixup there, 60.1 against 59.2 %.

    Paper and code: The paper draws the layer for every batch, our default. The Bag of Tricks has one fixed layer: a
    stage, the pooled features or the input of the classifier.
    """
    change, check = with_mixing(alpha, place), has_place(place)
    return corrected(base, "mixing", change, check=check, reference=cited("verma2019manifold"))


def remix(*, base: Base = PLAIN, alpha: PositiveFloat = 1.0, kappa: Ratio = 3.0, tau: UnitFloat = 0.5) -> Method:
    """Remix: inputs are blended as by mixup, and the label goes to the rarer class where the counts differ enough.

    loss = k L(y_a) + (1 - k) L(y_b) at x = l x_a + (1 - l) x_b; k = 0 where n_a / n_b >= kappa and l < tau, k = 1 where
    n_a / n_b <= 1 / kappa and 1 - l < tau, k = l elsewhere.

    tau = 0 is mixup. Chou et al. 2020.

    Works: As mixup, with decision boundaries moved towards the frequent classes. In the Bag of Tricks (Zhang et al.
    2021, CIFAR-100 at ratio 100) its error is 58.6 %, that of mixup 59.2 %.

    Breaks: With tau near 1 blends that are almost wholly of the frequent class get the rare label. On CIFAR-10 at ratio
    100 it is behind mixup there, 26.6 against 25.9 %.

    Paper and code: The Bag of Tricks has kappa = 3 and tau = 0.5, our defaults. We have read no code of the authors.
    """
    change = with_mixing(alpha, remix=(kappa, tau))
    return corrected(base, "mixing", change, reference=cited("chou2020remix"))
