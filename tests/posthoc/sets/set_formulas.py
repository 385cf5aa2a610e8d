"""Conformal sets by class in plain loops, from the papers: lists, exact fractions and nothing of longtail."""

import math
from fractions import Fraction


def lac(probs, c):
    return 1 - probs[c]


def aps(probs, c):
    """Own probability and that of all classes before it in the order of falling probability, ties by index.

    As 1 minus the others, so that it is exactly 1 for the last class in every row.
    """
    order = sorted(range(len(probs)), key=lambda j: (-probs[j], j))
    return 1 - math.fsum(probs[j] for j in order[order.index(c) + 1 :])


SCORES = {"lac": lac, "aps": aps}


def split_set(score, calibration, labels, level, probs):
    """The classes in the set of one row, by the k-th smallest score of each class."""
    inside = []
    for c in range(len(probs)):
        scores = sorted(score(p, c) for p, y in zip(calibration, labels, strict=True) if y == c)
        k = math.ceil((len(scores) + 1) * Fraction(str(level)))
        q = scores[k - 1] if k <= len(scores) else math.inf
        if score(probs, c) <= q:
            inside.append(c)
    return inside


def p_value(score, calibration, labels, probs, c):
    """(#{s_i >= s} + 1) / (n_c + 1), exact."""
    scores = [score(p, c) for p, y in zip(calibration, labels, strict=True) if y == c]
    return Fraction(sum(s >= score(probs, c) for s in scores) + 1, len(scores) + 1)


def cross_set(score, out_of_fold, labels, folds, level, by_model):
    """The classes in the set of one row, whose probabilities by model f are by_model[f]."""
    inside = []
    for c in range(len(by_model[0])):
        count = rows = 0
        for p, y, f in zip(out_of_fold, labels, folds, strict=True):
            if y == c:
                rows += 1
                count += score(p, c) >= score(by_model[f], c)
        if Fraction(count + 1, rows + 1) > 1 - Fraction(str(level)):
            inside.append(c)
    return inside


def beta_binomial(m, a, b):
    """P(X = x) from factorials; a and b are whole."""

    def beta(p, q):
        return Fraction(math.factorial(p - 1) * math.factorial(q - 1), math.factorial(p + q - 1))

    return [math.comb(m, x) * beta(x + a, m - x + b) / beta(a, b) for x in range(m + 1)]
