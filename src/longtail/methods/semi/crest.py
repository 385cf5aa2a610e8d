"""CReST: self-training in generations that adopts more predicted labels of rare classes than of frequent ones."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

from longtail.catalogue.compose import BaseMethod
from longtail.catalogue.generations import in_generations
from longtail.catalogue.method import SELF, Method
from longtail.catalogue.references import cited
from longtail.catalogue.tasks import SEMI_SUPERVISED
from longtail.facts.knobs import Range
from longtail.methods.semi.abc import FIXMATCH, HOSTS

Base = Annotated[Method, BaseMethod(HOSTS, slots=("generations",), task=SEMI_SUPERVISED, such=HOSTS[:1])]
Generations = Annotated[int, Range(1, integer=True)]
Root = Annotated[float, Range(0, open_low=True)]


def crest(*, base: Base = FIXMATCH, generations: Generations = 6, root: Root = 3.0) -> Method:
    """CReST: `base` is trained several times, and labels more rows for the next time, most of them of rare classes.

    loss = that of `base`, whose labelled rows in generation g > 1 are the labelled rows and S_g
    S_g = of the m_k rows without labels that generation g - 1 takes for class k, the floor(m_k mu_k) most confident
    mu_k = (n_(C+1-l) / n_(1))^(1/root), l the rank of class k by its labelled count, n_(1) >= n_(2) >= ...

    The predictions are those of the moving average, without augmentation. All of the smallest class is adopted, of the
    largest the share (n_min / n_max)^(1/root); root=inf adopts all rows. S_g is chosen anew in each generation, from
    all rows without labels, which `base` also gets as before. A generation begins with a new network, average,
    optimiser and schedule. The recipe's epochs are shared out over the generations, at least one for each, so that all
    methods of a table make equally many steps. generations=1 is `base`.

    Wei et al. 2021, section 3.2.

    Works: The network's predictions of rare classes are few and mostly right, though it misses many rows of these
    classes (precision is high where recall is low), and rows without labels have the labels' class shares.

    Breaks: Each generation has a part of the epochs, so that a short training is short of steps in all of them. Wrong
    labels that were adopted are taught as if they were given. With other class shares of the rows without labels the
    rates are those of the wrong classes.

    Paper and code: The paper has the exponent 1/3, their code root = 3. Rates by the counts of the labelled rows, as in
    the paper; the code computes them from the ratio by which its data were made, and takes the index of a class for its
    rank. Their generations are whole trainings (64 epochs of 1024 steps; 6 in the README, 15 by default, each of the
    same length), and their rows without labels include the labelled ones.
    """
    stages = in_generations(base, generations, root, SELF)
    return replace(base, stages=stages, taken=base.taken | {"generations"}, reference=cited("wei2021crest"))
