"""How probable it is that each label is wrong, given what K trainings said of its row: the rule of `longtail labels`.

    P(true = j | x, y) ~ softmax(log p(x) / t)_j T_jy,      T_jk = P(given = k | true = j)

p are out-of-sample probabilities, t one temperature and T one matrix for all rows. T is estimated by expectation and
maximisation: its row j is the mean of P(true = j | x, y) over the rows given each label, with `PRIOR_ROWS` further rows
of the shrunk matrix

    S_jk = (1 - e) [j = k] + e (1/2 1/(C - 1) + 1/2 n_k / (N - n_j)) [j != k],      e = share of wrong labels so far

so that a class of few rows has the noise of all classes, half of it uniform and half of it proportional to class sizes,
and a large class its own. t is the smallest for which the log-likelihood sum_i ln (q(x_i) T)_{y_i} of the given labels,
q the softmax above, is within `NATS` of the largest: probabilities that were trained on wrong labels repeat the noise,
so that t = 1 and T = I explain the labels nearly as well as a sharper q and wrong labels do, and the maximum alone
would often find no noise. Where labels are right, t < 1 is far less likely than 1 and is not taken.

Where margins were recorded, the mean margin a (AUM) is a second witness: ln odds of a right label +=
ln N(a; mu_right, s) - ln N(a; mu_wrong, s), with both means by given label, each with `MARGIN_ROWS` rows at the mean
over all labels, and one s. The label is a suspect where its probability of being wrong is above 1/2. That is another
threshold on p_y for every class: what p_y must exceed depends on T and so on how often other classes get this label.

Nothing is a suspect where the probabilities say nothing of the labels; any rule would else call every class but one
wrong. They say something where the labels are likelier under this model than under their shares, and where
sum_i ln (1/2 + 1/2 p_{y_i}(x_i) / mean of p_{y_i}) is larger than for 95 % of random orders of the labels. Each column
has its own mean there: how probable a class is everywhere proves nothing.

Our own design. What it finds beside cleanlab's rules: `benchmarks/results/suspects`.
"""

from __future__ import annotations

from statistics import NormalDist
from typing import NamedTuple

import numpy as np

from longtail.labels.confident import Floats, Ints

PRIOR_ROWS = 200.0
"""Rows of every class's line of T that are the shrunk matrix."""
MARGIN_ROWS = 10.0
"""Rows of every label's two mean margins that are those over all labels."""
TEMPERATURES = (0.25, 0.35, 0.5, 0.7, 1.0, 1.4, 2.0)
"""Above 2 the probabilities say little, and T takes their place: with two classes its lines can then be exchanged."""
NATS = NormalDist().inv_cdf(0.975) ** 2 / 2
"""1.92, what the 95 % interval of one parameter gives up of the largest log-likelihood."""
ORDERS, LEVEL = 199, 0.05
"""Random orders of the labels, and the largest share of them that may fit as well: a test at 5 %."""
STEPS = 50
"""Steps of expectation and maximisation."""
FLOOR, TIE = 1e-6, 1e-9
RATES = (0.02, 0.6)
"""The estimated share of wrong labels stays inside of these: with none at all no row could ever be a suspect."""


class Posterior(NamedTuple):
    """What is believed of N labels.

    Args:
        wrong: (N,) probability that the label is wrong.
        classes: (N, C) probabilities of the true class; without the margins.
        noise: (C, C), T.
        temperature: t.
        informed: whether the probabilities say anything of the labels.
    """

    wrong: Floats
    classes: Floats
    noise: Floats
    temperature: float
    informed: bool


def posterior(labels: Ints, probabilities: Floats, aum: Floats | None = None) -> Posterior:
    """Return what is believed of every label.

    Args:
        labels: (N,) int64 in [0, C).
        probabilities: (N, C), out of sample, under the class shares of the labels.
        aum: (N,), the mean margin of every row; None where it was not recorded.
    """
    order = np.argsort(labels, kind="stable")
    grouped, ordered = labels[order], probabilities[order]
    fits = [_fitted(grouped, _tempered(ordered, t)) for t in TEMPERATURES]
    highest = max(likelihood for likelihood, _ in fits)
    best = next(i for i, (likelihood, _) in enumerate(fits) if likelihood >= highest - NATS)
    noise = fits[best][1]
    believed = _believed(labels, _tempered(probabilities, TEMPERATURES[best]), noise)
    by_shares = float(np.log(np.bincount(labels)[labels] / len(labels)).sum())
    informed = highest > by_shares and _beats_random_orders(labels, probabilities)
    right = np.clip(believed[np.arange(len(labels)), labels], 1e-9, 1 - 1e-9)
    odds = np.log(right) - np.log1p(-right)
    if aum is not None:
        known = np.isfinite(aum)  # a sampler may never have drawn a row
        odds[known] += _margin_odds(labels[known], aum[known], right[known], len(noise))
    return Posterior(1 / (1 + np.exp(odds)), believed, noise, TEMPERATURES[best], informed)


def _beats_random_orders(labels: Ints, probabilities: Floats) -> bool:
    """Return whether the probabilities fit the labels better than they fit them in most random orders."""
    lift = probabilities / np.maximum(probabilities.mean(0), FLOOR)
    lift += 1.0
    gains = np.log(lift, out=lift)  # less ln 2, which changes no order
    rows, generator = np.arange(len(labels)), np.random.RandomState(0)
    found = float(gains[rows, labels].sum()) - TIE * len(labels)
    as_good = sum(float(gains[rows, generator.permutation(labels)].sum()) >= found for _ in range(ORDERS))
    return (1 + as_good) / (1 + ORDERS) <= LEVEL


def _tempered(probabilities: Floats, temperature: float) -> Floats:
    powers = np.clip(probabilities, FLOOR, None) ** (1 / temperature)
    scaled: Floats = powers / powers.sum(1, keepdims=True)
    return scaled


def _fitted(labels: Ints, q: Floats) -> tuple[float, Floats]:
    """Return the log-likelihood of the labels, which ascend, and T (C, C)."""
    size = q.shape[1]
    spread = _spread(labels, size)
    present, starts = np.unique(labels, return_index=True)
    blocks = list(zip(present.tolist(), np.split(q, starts[1:]), strict=True))  # the rows of a label share T's column
    noise = _shrunk(0.1, spread)
    for _ in range(STEPS):
        totals = np.zeros((size, size))  # (true, given)
        for k, rows in blocks:
            totals[:, k] = noise[:, k] * ((1 / (rows @ noise[:, k])) @ rows)
        rate = float(np.clip(1 - np.trace(totals) / len(labels), *RATES))
        noise = totals + PRIOR_ROWS * _shrunk(rate, spread)
        noise /= noise.sum(1, keepdims=True)
    return sum(float(np.log(rows @ noise[:, k]).sum()) for k, rows in blocks), noise


def _believed(labels: Ints, q: Floats, noise: Floats) -> Floats:
    joint = q * noise[:, labels].T
    scaled: Floats = joint / joint.sum(1, keepdims=True)
    return scaled


def _spread(labels: Ints, size: int) -> Floats:
    """Return (C, C): where wrong labels of each class go, before anything is known; rows sum to 1."""
    counts = np.bincount(labels, minlength=size).astype(np.float64)
    others = np.maximum(len(labels) - counts, 1.0)[:, None]
    spread = 0.5 / (size - 1) + 0.5 * counts[None] / others
    np.fill_diagonal(spread, 0.0)
    scaled: Floats = spread / spread.sum(1, keepdims=True)
    return scaled


def _shrunk(rate: float, spread: Floats) -> Floats:
    matrix: Floats = (1 - rate) * np.eye(len(spread)) + rate * spread
    return matrix


def _margin_odds(labels: Ints, aum: Floats, right: Floats, size: int) -> Floats:
    """Return (N,): the log ratio of the margin's densities under a right and a wrong label."""
    distances, variance = [], 0.0
    for weight in (right, 1 - right):
        mean = (weight * aum).sum() / weight.sum()
        sums = np.bincount(labels, weights=weight * aum, minlength=size) + MARGIN_ROWS * mean
        means = sums / (np.bincount(labels, weights=weight, minlength=size) + MARGIN_ROWS)
        distances.append((aum - means[labels]) ** 2)
        variance += float((weight * distances[-1]).sum()) / len(aum)
    odds: Floats = (distances[1] - distances[0]) / (2 * max(variance, 1e-12))
    return odds
