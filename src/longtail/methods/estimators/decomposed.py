"""Local decomposition (COG, COG-OS) under logistic regression, as methods."""

from __future__ import annotations

from functools import partial
from typing import Annotated, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from longtail.catalogue.method import Method
from longtail.catalogue.references import cited
from longtail.facts.knobs import PositiveFloat, Range
from longtail.methods.estimators import classifiers
from longtail.methods.estimators.build import estimator
from longtail.methods.estimators.classifiers import Columns

Clusters = Annotated[int, Range(1, 100, integer=True)]
CLUSTERS = 10


def logistic_cog(*, clusters: Clusters = CLUSTERS, C: PositiveFloat = 1.0) -> Method:
    """COG: k-means cuts each large class into clusters, and logistic regression learns these.

    P(y | x) = sum of softmax(W x + b)_k over the clusters k of class y.

    Class i has max(1, min(round(n_i / n_min), clusters, floor(n_i / 5))) of them; clusters=1 is logistic.

    Wu, Xiong and Chen 2010.

    Works: A large class lies in several places and planes can tell these from the rare class, not the whole class.

    Breaks: Clusters that mean nothing add weights to fit. A class that bends without falling into pieces is cut
    anywhere. k-means draws its starts.

    Paper and code: K(i) is the user's in the paper, and no code was found: the rule is ours. The paper has SVMs and
    decides the class of the predicted cluster; here the largest sum decides, as in every method that gives
    probabilities (`lt.classical.LocalDecomposition` has both).
    """
    return _decomposed("logistic-cog", C, clusters)


def logistic_cog_os(*, clusters: Clusters = CLUSTERS, C: PositiveFloat = 1.0) -> Method:
    """COG-OS: as COG, and the rows of rare classes count as often as makes them the size of a cluster.

    P(y | x) = sum of softmax(W x + b)_k over the clusters k of class y.

    Class j that stays whole counts r_j = max(1, round(m / n_j)) times, m the median planned size n_i / K(i) of the
    clusters of the others, whose numbers are those of logistic-cog.

    Wu, Xiong and Chen 2010.

    Works: As logistic-cog, where large classes are more than `clusters` times larger than the rarest, so that clusters
    alone leave a difference.

    Breaks: As logistic-cog; and the copies weigh single rows of a rare class. Its probabilities assume the shares that
    copies make, r_j n_j.

    Paper and code: r(j) is the user's in the paper, and no code was found: the rule is ours. The decision is that of
    logistic-cog.
    """
    return _decomposed("logistic-cog-os", C, clusters, oversample="auto", prior=partial(_copied, int(clusters)))


def _decomposed(name: str, C: float, clusters: int, oversample: str | None = None, **options: Any) -> Method:
    make = partial(_cog, C=C, clusters=int(clusters), oversample=oversample)
    text = f"{name}(C={float(C)},clusters={int(clusters)})"
    return estimator(text, "logistic", make, classifiers.logistic_misfit, cited("wu2010local"), **options)


def _cog(
    columns: Columns, seed: int, targets: NDArray[np.int64], *, C: float, clusters: int, oversample: str | None
) -> Any:
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    from longtail.classical.local_decomposition import LocalDecomposition

    model = LogisticRegression(C=C, max_iter=1000, random_state=seed)
    cut = LocalDecomposition(model, clusters=clusters, oversample=oversample, decide="class", random_state=seed)
    return make_pipeline(classifiers.scaled_and_one_hot(columns), cut)


def _copied(clusters: int, counts: Tensor) -> Tensor:
    """Return r_j n_j, the sizes of the classes with their copies."""
    from longtail.classical.local_decomposition import planned_clusters, planned_copies

    sizes = counts.double().cpu().numpy()
    return torch.from_numpy(sizes * planned_copies(sizes, planned_clusters(sizes, clusters)))
