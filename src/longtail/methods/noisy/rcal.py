"""RCAL: an encoder without labels, Gaussians of its classes, and a training that keeps to both."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated, Any

import torch
from torch import Tensor

from longtail import functional
from longtail.catalogue.compose import BaseMethod
from longtail.catalogue.encoders import encoder_base, encoder_stages, pretrained
from longtail.catalogue.features import row_features
from longtail.catalogue.implied import Implied
from longtail.catalogue.method import Check, Method
from longtail.catalogue.one_stage import stage_under
from longtail.catalogue.references import cited
from longtail.data import Part, TrainingSet
from longtail.data.rows import BatchedRows
from longtail.data.sampled import WithSamples
from longtail.engine import Built, Recipe, Stage
from longtail.facts.knobs import Choice, Length, NonNegativeFloat, PositiveFloat, Range, UnitFloat
from longtail.facts.learner import Learner
from longtail.functional.calibration import COVARIANCES, DIAGONAL, FULL, SHARED
from longtail.learners import SupervisedLearner
from longtail.learners.calibrated import Calibration, ClassGaussians, MeasuredEncoder
from longtail.learners.outliers import inliers

Base = Annotated[Method, BaseMethod(("mixup", "ce", "remix"), slots=("start", "update"), such=("mixup", "ce"))]
Host = Annotated[Method, encoder_base()]
Share = Annotated[float, Length(0, 1)]
Number = Annotated[int, Range(0, integer=True)]
Covariance = Annotated[str, Choice(COVARIANCES)]
MIXED: Any = "mixup"
MOCO: Any = "moco"
LARGEST = 2**25
"""Numbers of all covariances, which every checkpoint has: 128 MB."""
MOST = 8
"""Drawn features for each row of a batch at most; more of the same shares would change the mean by chance alone."""


def rcal(
    *,
    base: Base = MIXED,
    host: Host = MOCO,
    pretraining: Share = 1.0,
    neighbours: Number = 20,
    q: Number = 3,
    tau: PositiveFloat = 1.0,
    gamma: UnitFloat = 0.9,
    covariance: Covariance = FULL,
    shrinkage: UnitFloat = 0.1,
    sampled: NonNegativeFloat = 0.3,
    beta: NonNegativeFloat = 1.0,
) -> Method:
    """RCAL: noisy labels under a long tail, calibrated by the features of an encoder that never saw a label.

    loss = that of `host`, without labels; then that of `base` + beta mean_i ||f(x_i) - e(x_i)|| / s
    + sampled mean_m -log softmax(W z_m + b)_{c_m}, z_m drawn from N(mu_c, S_c), c_m from (n_max - n_c) / sum_k (n_max -
    n_k); for n_c < N / C: mu_c <- gamma mu_c + (1 - gamma) sum_k v_k mu_k, S_c alike.

    Three stages. (1) `host` without its probe, on all rows, for the share `pretraining` of the recipe's epochs; shared
    with ssp-contrast. (2) No epochs: its features e of the labelled rows, in evaluation mode and without augmentation;
    of every class the local outlier factor among min(`neighbours`, n_c // 2) neighbours leaves out rows (classes of
    fewer than five keep all), and mean and covariance are those of the rest. Tail classes, those of fewer rows than the
    mean, borrow from the `q` other classes with the nearest means: v_k = exp(-d_k / (tau d)), normalised, d_k the
    Euclidean distance of the means, d the mean of the q. (3) `base` from the encoder's body under a new head, with its
    own augmentation and sampler; default mixup. Its f is held near e by the distance, not squared, of the features as
    they are, in units of their spread s (root of the mean squared distance to their mean); e sees the inputs that f
    sees, mixed and augmented. A step draws B (C n_max / N - 1) features, at most 8 B, so that classes are equally
    frequent among rows and drawn features together.

    Each part can be left out by itself: base="ce" (no mixup), pretraining=0 (the network as initialised takes the
    encoder's place), neighbours=0 (outliers stay), q=0 (nothing is borrowed; gamma=1 alike), sampled=0 (no drawn
    features), beta=0 (no distance). With sampled=0 and beta=0 it is ssp-contrast(base, host), and with pretraining=0
    besides `base`. The paper's ablation leaves out mixup, distance, drawn features and encoder, one after the other.

    covariance: "full" (C D^2 numbers, refused beyond 2^25), "diagonal", or "shared" by all classes, which then borrow
    means alone. Each is shrunk to a sphere by `shrinkage`; that of a single row is 0.

    Zhang et al. 2023, representation calibration.

    Works: Labels are wrong and classes uneven at once, and the encoder learns features that tell the classes apart: it
    sees no label, so that its distances do not follow wrong ones. The authors report 69.8 % on CIFAR-10 at ratio 100
    with noise 0.4, 48.1 for ce.

    Breaks: Features that do not tell classes apart: outliers, neighbours and Gaussians are then those of something
    else. Drawn features are classified by labels as given; a rare class of which most labels are wrong has a Gaussian
    of other classes, unless the outliers are the wrong ones. Held near a network that was not trained (pretraining=0,
    beta > 0) it learns little: 20 % in place of 47 on noisy validation rows of digits. Beside the training of `base`
    there is that of the encoder, and in every step of the former a pass through it (beta > 0). Other kinds of step
    (`sam`) do not go over it.

    Paper and code: No code was released, and no text that we read has a constant. Ours are: neighbours, q, tau, gamma,
    beta, `sampled`, shrinkage and all of the scale (s, d), what a tail class is, how many features are drawn, that they
    count by their mean, and that covariances are blended as means. beta and `sampled` are the best of a search on
    validation rows of digits with wrong labels (benchmarks/results/noise/rcal-search.md), where none of the candidates
    is shown to differ from the best; it gave no reason for any gamma, q or tau.
    """
    how: dict[str, Any] = {"neighbours": neighbours, "q": q, "tau": tau, "gamma": gamma}
    how |= {"covariance": covariance, "shrinkage": shrinkage}
    keeps = beta > 0 or sampled > 0
    if pretraining == 0 and not keeps:
        return base
    both = (host, base) if pretraining > 0 else (base,)

    def before(recipe: Recipe) -> Sequence[Stage]:
        first: list[Stage] = []
        if pretraining > 0:
            shorter = replace(recipe, epochs=max(1, round(pretraining * recipe.epochs)))
            first += encoder_stages(host, shorter)
        return [*first, _measured(recipe, how)] if keeps else first

    started = pretrained(
        base,
        before,
        inputs=next((one.inputs for one in both if one.inputs != "any"), "any"),
        misfit=lambda rows: next(filter(None, (one.misfit(rows) for one in both if one.misfit)), None),
        checks=(*(check for one in both for check in one.checks), *([_small_enough(covariance)] if keeps else [])),
        notes=tuple(note for one in both for note in one.notes),
        prior=_with_samples(base.prior, sampled),
        reference=cited("zhang2023when"),
    )

    def stages(recipe: Recipe) -> Sequence[Stage]:
        made = list(started.stages(recipe))
        if not keeps:
            return made
        number = len(before(recipe))
        train = made[number]
        made[number] = replace(train, build=lambda data, previous: _kept(train, data, previous, beta, sampled))
        return made

    # kinds of step that take a loss apart by its rows would lose what stands beside these
    return replace(started, stages=stages, taken=started.taken | {"update"})


def _measured(recipe: Recipe, how: dict[str, Any]) -> Stage:
    """Return the stage of no epochs that computes the Gaussians of the encoder's features."""

    def build(data: TrainingSet, previous: Learner | None) -> Built:
        rows = data.labeled
        network = recipe.network(rows) if previous is None else copy.deepcopy(previous.inference().network)
        features = row_features(network.eval(), rows).cpu()
        gaussians = gaussians_of(features, rows.targets.cpu(), rows.class_counts.cpu(), rows.sample_weight, **how)
        return Built(MeasuredEncoder(network, gaussians), rows.drawn(recipe.batch_size))

    text = ", ".join(f"{name}={value!r}" for name, value in how.items())
    return replace(stage_under(recipe, "gaussians", f"class gaussians({text})", build, 0), preparatory=True)


def gaussians_of(
    features: Tensor,
    targets: Tensor,
    counts: Tensor,
    weight: Tensor | None = None,
    *,
    neighbours: int,
    q: int,
    tau: float,
    gamma: float,
    covariance: str,
    shrinkage: float,
) -> ClassGaussians:
    """Return the Gaussians of rows without outliers, those of classes of fewer rows than the mean blended with others.

    Args:
        features: (N, D), on the CPU, as all other tensors.
        targets: (N,).
        counts: (C,) of the rows, outliers included.
        weight: (N,) or None; a row of weight k counts as k rows, one of weight 0 not at all.
        neighbours, q, tau, gamma, covariance, shrinkage: as of `rcal`.
    """
    w = torch.ones(len(targets)) if weight is None else weight.cpu()
    h, y, w = features[w > 0], targets[w > 0], w[w > 0]
    stay = inliers(h, y, neighbours)
    means, own = functional.class_gaussians(
        h[stay], y[stay], len(counts), weight=w[stay], covariance=covariance, shrinkage=shrinkage
    )
    shares = functional.borrowed_shares(means, counts < counts.double().mean(), q, tau)
    blended = own if covariance == SHARED else functional.calibrated(own, shares, gamma)
    root = functional.covariance_root(blended, diagonal=covariance == DIAGONAL)
    return ClassGaussians(functional.calibrated(means, shares, gamma), root, functional.feature_spread(h))


def _kept(train: Stage, data: TrainingSet, previous: Learner | None, beta: float, sampled: float) -> Built:
    """Return what the base trains from the encoder, kept near to it and right on features that are drawn."""
    assert isinstance(previous, MeasuredEncoder)
    built = train.build(data, previous)
    learner, rows = built.learner, built.data
    if not isinstance(learner, SupervisedLearner) or not isinstance(rows, BatchedRows):
        raise ValueError("base must train a SupervisedLearner on labelled rows; choose another base")
    chances, per_row = functional.missing_rows(rows.class_counts.cpu())
    sampled = sampled if per_row > 0 else 0.0  # equal counts miss no rows
    beside = Calibration(
        copy.deepcopy(previous.gaussians),
        copy.deepcopy(previous.network) if beta > 0 else None,
        beta=beta,
        sampled=sampled,
        scale=learner.loss.logit_scale,
        link=learner.loss.link,
    )
    learner = learner.varied(beside=beside)
    if sampled == 0:
        return built._replace(learner=learner)
    number = max(1, round(min(per_row, MOST) * rows.batch_size))
    width = previous.gaussians.means.shape[1]
    return built._replace(learner=learner, data=WithSamples(rows, chances, number, width))  # type: ignore[arg-type]


def _with_samples(prior: Implied | None, sampled: float) -> Implied | None:
    """Return the shares of the classes among rows and drawn features, which count by the weight of their mean."""
    if sampled == 0:
        return prior

    def shares(counts: Tensor) -> Tensor:
        n = counts.double() if prior is None else prior(counts).double()
        chances, per_row = functional.missing_rows(counts)
        return n / n.sum() + sampled * chances.to(n.device) if per_row > 0 else n

    return shares


def _small_enough(covariance: str) -> Check:
    """Return the check that all covariances together are not too large."""

    def check(recipe: Recipe, rows: Part) -> str | None:
        width = getattr(getattr(recipe.sketch(rows), "head", None), "in_features", 0)
        numbers = {FULL: len(rows.classes) * width**2, DIAGONAL: 0, SHARED: width**2}[covariance]
        if numbers <= LARGEST:
            return None
        others = "'shared' or 'diagonal'" if width**2 <= LARGEST else "'diagonal'"
        return (
            f"covariance must be {others} for {len(rows.classes)} classes of {width} features, whose full covariances "
            f"have {numbers} numbers, more than {LARGEST}, got {covariance!r}; choose one of these"
        )

    return check
