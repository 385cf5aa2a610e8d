"""CReST and CReST+: self-training in generations that adopts more predicted labels of rare classes than of others."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Any

from longtail.catalogue.compose import BaseMethod
from longtail.catalogue.generations import in_generations
from longtail.catalogue.method import SELF, Method
from longtail.catalogue.references import cited
from longtail.catalogue.tasks import SEMI_SUPERVISED
from longtail.data import TrainingSet
from longtail.engine import Built
from longtail.facts.knobs import Range, UnitFloat
from longtail.methods.semi.hosts import FIXMATCH, HOSTS
from longtail.targets import Aligned, Alignment

Base = Annotated[Method, BaseMethod(HOSTS, slots=("generations",), task=SEMI_SUPERVISED, such=HOSTS[:1])]
PLUS = BaseMethod(HOSTS, slots=("generations", "targets"), task=SEMI_SUPERVISED, such=HOSTS[:1])
PlusBase = Annotated[Method, PLUS]
Generations = Annotated[int, Range(1, integer=True)]
Root = Annotated[float, Range(0, open_low=True)]


def crest(*, base: Base = FIXMATCH, generations: Generations = 6, root: Root = 3.0) -> Method:
    """CReST: `base` is trained several times, and labels more rows for the next time, mostly of rare classes.

    loss = that of `base`, whose labelled rows in generation g > 1 are the labelled rows and S_g
    S_g = of the m_k rows without labels that generation g - 1 takes for class k, the floor(m_k mu_k) most confident
    mu_k = (n_(C+1-l) / n_(1))^(1/root), l the rank of class k by its labelled count, n_(1) >= n_(2) >= ...

    The predictions are those of the moving average, without augmentation. All of the smallest class is adopted, of the
    largest the share (n_min / n_max)^(1/root); root=inf adopts all rows. S_g is chosen anew in each generation, from
    all rows without labels, which `base` also gets as before. A generation begins with a new network, average,
    optimiser and schedule. The recipe's epochs are shared out over the generations, at least one for each, so that all
    methods of a table make equally many steps. generations=1 is `base`.

    Wei et al. 2021.

    Works: The network's predictions of rare classes are few and mostly right, though it misses many rows of these
    classes (precision is high where recall is low), and rows without labels have the labels' class shares.

    Breaks: Each generation has a part of the epochs, so that a short training is short of steps in all of them. Over a
    base with parts that begin late (darp, abc, simpro, mixmatch, remixmatch) generations too short for these, of one
    epoch say, are refused before training. Wrong labels that were adopted are taught as if they were given. With other
    class shares of the rows without labels the rates are those of the wrong classes.

    Paper and code: The paper has the exponent 1/3, their code root = 3. Rates by the counts of the labelled rows, as in
    the paper; the code computes them from the ratio by which its data were made, and takes the index of a class for its
    rank. Their generations are whole trainings (64 epochs of 1024 steps; 6 in the README, 15 by default, each of the
    same length), and their rows without labels include the labelled ones.
    """
    stages = in_generations(base, generations, root, SELF)
    return replace(base, stages=stages, taken=base.taken | {"generations"}, reference=cited("wei2021crest"))


def crest_plus(
    *, base: PlusBase = FIXMATCH, generations: Generations = 6, root: Root = 3.0, last: UnitFloat = 0.5
) -> Method:
    """CReST+: CReST whose guessed labels are also moved towards class shares, more equal ones in every generation.

    loss = as in crest, with the soft labels y of `base` replaced by y_k (s_k + e) / (m_k + e) / sum, e = 1e-6
    s_k = n_k^t / sum_j n_j^t, t = 1 - (1 - last) g / (G - 1) in generation g = 0, ..., G - 1

    n are the counts of the rows that are labelled from the start, m is the mean of y over the latest 128 batches. So
    the first generation has the shares of the labels, and the last ones nearly their square root. The predictions that
    choose rows are not aligned. Of mixmatch the sharpened labels are aligned, of remixmatch those that it has aligned
    to the labels' shares itself. generations=1 is `base`, without alignment.

    Wei et al. 2021, progressive distribution alignment.

    Works: As crest; that guesses favour frequent classes is corrected within each generation, too.

    Breaks: As crest. Rows without labels that have other shares than the labels are taught wrong ones.

    Paper and code: Their window of 128 batches starts with uniform shares and does not contain the present batch; ours
    has only batches seen, the present one among them. For mixmatch theirs is aligned before it is sharpened.
    """

    def change(number: int, built: Built, data: TrainingSet) -> Built:
        learner: Any = built.learner
        t = 1 - (1 - last) * number / (generations - 1)
        return built._replace(learner=learner.varied(targets=Aligned(Alignment(data.given_counts.double() ** t))))

    stages = in_generations(base, generations, root, SELF, change)
    taken = base.taken | {"generations", "targets"}
    return replace(base, stages=stages, taken=taken, reference=cited("wei2021crest"))
