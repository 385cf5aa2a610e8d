"""Re-sampling from the first epoch on."""

from __future__ import annotations

from typing import Annotated

from longtail import losses, sampling
from longtail.catalogue.implied import effective, power, uniform
from longtail.catalogue.method import Method, one_stage
from longtail.catalogue.references import cited
from longtail.facts.class_weights import BETA
from longtail.facts.knobs import Choice


def cb_rs(*, sampler: Annotated[str, Choice(("balanced", "effective"))] = "balanced") -> Method:
    """Class-balanced re-sampling: every class is drawn equally often, with replacement; N draws an epoch.

    P(class j) = 1 / C. sampler="effective" is the rule of LDAM's code, P(j) proportional to
    n_j (1 - beta) / (1 - beta^n_j) with beta 0.9999, which for n_j << 10^4 is nearly the same.

    Works: Features that are learnt already, or nearly so: at the end of training (ce-drs), or for the classifier alone
    (crt).

    Breaks: From the first epoch on, rare examples are seen many times over, so it over-fits them. In the Bag of Tricks
    (Zhang et al. 2021, CIFAR-100 at ratio 100) its error is 64.8 %, that of ce 62.3 %.

    Paper and code: In LDAM's code the sampler is built and never used. That of Kang et al. 2020 cycles through shuffled
    classes and the shuffled images of each; ours draws every example independently.
    """
    make = sampling.ClassBalancedSampler if sampler == "balanced" else sampling.EffectiveNumberSampler
    stages = one_stage(lambda counts: losses.CrossEntropyLoss(), draw=make)
    return Method(stages, cited("shen2016relay"), prior=uniform if sampler == "balanced" else effective(BETA))


def sqrt_rs() -> Method:
    """Square-root re-sampling: P(class j) proportional to sqrt(n_j), with replacement; N draws an epoch.

    P(class j) = sqrt(n_j) / sum_k sqrt(n_k).

    Mahajan et al. 2018, section 2.2.

    Works: As a compromise: half-way between plain and class-balanced sampling, rare examples are repeated less often
    than by cb-rs.

    Breaks: Half of the imbalance stays, on a logarithmic scale: a class with a hundredth of the rows is drawn a tenth
    as often. From the first epoch on it is no better than ce in the Bag of Tricks (Zhang et al. 2021, CIFAR at ratio
    100: errors of 28.6 against 28.1 % and 63.2 against 62.3 %).

    Paper and code: We have read no code of the paper. That of Kang et al. 2020 draws with the same probabilities.
    """
    stages = one_stage(lambda counts: losses.CrossEntropyLoss(), draw=sampling.SquareRootSampler)
    return Method(stages, cited("mahajan2018exploring"), prior=power(0.5))
