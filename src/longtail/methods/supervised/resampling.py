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

    Rare examples are seen many times over, so it over-fits them; see ce-drs. (In LDAM's released code the
    sampler is built and never used.)
    """
    make = sampling.ClassBalancedSampler if sampler == "balanced" else sampling.EffectiveNumberSampler
    stages = one_stage(lambda counts: losses.CrossEntropyLoss(), draw=make)
    return Method(stages, cited("shen2016relay"), prior=uniform if sampler == "balanced" else effective(BETA))


def sqrt_rs() -> Method:
    """Square-root re-sampling: P(class j) proportional to sqrt(n_j), with replacement; N draws an epoch.

    P(class j) = sqrt(n_j) / sum_k sqrt(n_k).

    Half-way between plain and class-balanced sampling. Mahajan et al. 2018, section 2.2.
    """
    stages = one_stage(lambda counts: losses.CrossEntropyLoss(), draw=sampling.SquareRootSampler)
    return Method(stages, cited("mahajan2018exploring"), prior=power(0.5))
