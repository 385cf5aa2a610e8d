"""Probes against scikit-learn and on problems whose answer is known."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler, normalize
from torch import Tensor, nn

from longtail.engine import Recipe
from longtail.learners.probe_fits import fit_linear
from longtail.learners.probe_protocols import check_used
from longtail.learners.probes import PROBES, few_shot_rows, probe
from longtail.models.build import HEADS
from longtail.models.heads import Neighbours

COUNTS = (60, 25, 9, 4)


def clusters(distance: float, counts: tuple[int, ...] = COUNTS, seed: int = 0, width: int = 6) -> tuple[Tensor, Tensor]:
    """Gaussian classes around directions at right angles, `distance` from zero; one feature is constant."""
    generator = torch.Generator().manual_seed(seed)
    targets = torch.repeat_interleave(torch.arange(len(counts)), torch.tensor(counts))
    features = torch.randn(len(targets), width, generator=generator) + distance * torch.eye(width)[targets]
    features[:, -1] = 1.0
    return features, targets


def probed(name: str, train: tuple[Tensor, Tensor], test: Tensor, weight: Tensor | None = None) -> Tensor:
    one, size = probe(name), int(train[1].max()) + 1
    if (rows := one.rows(train[1], size)) is not None:
        train = (train[0][rows], train[1][rows])
    kind, arguments = one.head(len(train[0]))
    head = HEADS[kind](train[0].shape[1], size, **arguments)
    one.fit(head, *train, weight)
    with torch.no_grad():
        scores: Tensor = head(test)
    return scores


@pytest.mark.parametrize(
    ("name", "k", "raw"),
    [("knn-10", 10, False), ("knn-1", 1, False), ("knn-5-raw", 5, True), ("few-shot-knn-3", 3, False)],
)
def test_neighbours_are_those_of_scikit_learn(name: str, k: int, raw: bool) -> None:
    (x, y), (new, _) = clusters(2.0), clusters(2.0, (30, 30, 30, 30), 1)
    scores = probed(name, (x, y), new)
    if name.startswith("few"):
        x, y = (part[few_shot_rows(y, 4)] for part in (x, y))
    known, asked = (x, new) if raw else (normalize(x), normalize(new))
    reference = KNeighborsClassifier(k, algorithm="brute").fit(known, y)
    np.testing.assert_allclose(scores.exp(), np.maximum(reference.predict_proba(asked), 1e-12), atol=1e-6)
    assert scores.argmax(1).tolist() == reference.predict(asked).tolist()


def test_features_as_they_are_are_compared_by_distance_not_by_direction() -> None:
    x, y = torch.tensor([[1.0, 1.0], [30.0, 31.0]]), torch.tensor([0, 1])
    assert probed("knn-1-raw", (x, y), torch.tensor([[2.0, 1.0], [29.0, 32.0]])).argmax(1).tolist() == [0, 1]
    # far from zero, where the difference of squares has no digits left
    far = torch.tensor([[1e4, 0.0], [1e4 + 0.02, 0.0]])
    assert probed("knn-1-raw", (far, y), far + torch.tensor([[0.005, 0.0], [-0.005, 0.0]])).argmax(1).tolist() == [0, 1]


def test_equal_votes_go_to_the_first_class_and_k_is_at_most_the_rows() -> None:
    x, y = torch.tensor([[0.0, 1.0], [1.0, 0.0], [1.0, 0.1], [0.1, 1.0]]), torch.tensor([1, 0, 1, 0])
    head = Neighbours(2, 3, rows=4, k=10)
    head.fit(x, y)
    assert head.k == 4
    scores = head(torch.tensor([[1.0, 0.5]]))
    assert scores.exp()[0].tolist() == pytest.approx([0.5, 0.5, 0.0], abs=1e-6)
    assert scores.argmax(1).tolist() == [0]
    # features are compared by direction
    assert head(torch.tensor([[70.0, 35.0]])).equal(scores)


@pytest.mark.parametrize("counts", [COUNTS, (30, 12)])
def test_the_linear_probe_is_scikit_learns_logistic_regression(counts: tuple[int, ...]) -> None:
    (x, y), (new, _) = clusters(1.0, counts), clusters(1.0, (20,) * len(counts), 1)
    reference = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000)).fit(x.double(), y)
    found = probed("linear", (x, y), new).double().softmax(1)
    np.testing.assert_allclose(found, reference.predict_proba(new.double()), atol=1e-5)


def test_its_gradient_is_zero() -> None:
    x, y = clusters(1.0)
    head = nn.Linear(6, 4)
    fit_linear(head, x, y)
    std = x.std(0, correction=0).double()
    std[-1] = 1.0
    z = (x.double() - x.double().mean(0)) / std
    w = (head.weight.detach().double() * std).requires_grad_()
    b = (head.bias.detach().double() + head.weight.detach().double() @ x.double().mean(0)).requires_grad_()
    loss = nn.functional.cross_entropy(z @ w.T + b, y, reduction="sum") + w.square().sum() / 2
    slopes = torch.autograd.grad(loss, (w, b))
    assert max(float(g.abs().max()) for g in slopes) < 0.02


def test_a_row_of_weight_two_is_two_rows() -> None:
    (x, y), (new, _) = clusters(1.0), clusters(1.0, (5, 5, 5, 5), 1)
    weight = torch.where(torch.arange(len(y)) < 9, 2.0, 1.0)
    weighted = probed("linear", (x, y), new, weight)
    twice = probed("linear", (torch.cat([x, x[:9]]), torch.cat([y, y[:9]])), new)
    torch.testing.assert_close(weighted, twice, rtol=1e-2, atol=2e-2)
    assert not torch.allclose(weighted, probed("linear", (x, y), new), atol=0.1)


@pytest.mark.parametrize("name", [*PROBES, "svm", "adam", "few-shot-10-svm", "knn-5-raw"])
def test_classes_far_apart_are_told_and_noise_is_not(name: str) -> None:
    counts = (60, 25, 15, 12)  # of ten neighbours a class of fewer rows is outvoted, however near
    for distance, low, high in ((20.0, 1.0, 1.0), (0.0, 0.05, 0.5)):
        new, truth = clusters(distance, (50,) * 4, 1)
        right = probed(name, clusters(distance, counts), new).argmax(1) == truth
        balanced = torch.stack([right[truth == j].float().mean() for j in range(4)]).mean()
        assert low <= float(balanced) <= high


def test_few_shots_are_equally_many_rows_of_each_class_drawn_by_a_seed() -> None:
    _, y = clusters(1.0)
    rows = few_shot_rows(y, 4)
    assert y[rows].bincount().tolist() == [4] * 4
    assert rows.equal(few_shot_rows(y, 4))
    assert not rows.equal(few_shot_rows(y, 4, seed=1))
    x, new = clusters(1.0)[0], clusters(1.0, (9,) * 4, 1)[0]
    head = nn.Linear(6, 4)
    fit_linear(head, x[rows], y[rows])
    assert probed("few-shot", (x, y), new).equal(head(new).detach())


def test_few_shots_of_k_are_all_rows_of_a_class_that_has_fewer() -> None:
    _, y = clusters(1.0)
    rows = few_shot_rows(y, 4, shots=9)
    assert y[rows].bincount().tolist() == [9, 9, 9, 4]
    assert len(set(rows.tolist())) == len(rows)
    draws = [probe("few-shot-5x3").rows(y, 4, draw) for draw in range(3)]
    assert draws[0] is not None
    assert draws[0].equal(few_shot_rows(y, 4, 0, 5))
    assert len({tuple(found.tolist()) for found in draws if found is not None}) == 3
    assert probe("few-shot-10").note(COUNTS) == "2 of 4 classes have fewer than 10 rows"
    assert probe("few-shot-4").note(COUNTS) is None
    assert probe("few-shot").note(COUNTS) is None


def test_neighbours_say_where_there_are_fewer() -> None:
    few = [5.0, 3.0, 2.0]
    assert probe("knn-10").note(few) is None
    assert probe("knn-11").note(few) == "all 10 rows vote, which are fewer"
    assert probe("few-shot-3-knn-9").note(few) == "all 8 rows vote, which are fewer"
    assert probe("few-shot-knn-6").note(few) is None
    assert probe("few-shot-knn-7").note(few) == "all 6 rows vote, which are fewer"


def test_a_probe_where_there_is_none() -> None:
    with pytest.raises(ValueError, match=r"^probe \(--probe\) must be left out .*, got 'knn-1' for a partial task"):
        check_used("knn-1", "ours", "partial")
    with pytest.raises(ValueError, match=r"^protocol \(--protocol\) must be left out .*, got 'gh' for a partial task"):
        check_used("linear", "gh", "partial")
    check_used("linear", "ours", "supervised")
    check_used("knn-1", "gh", "self-supervised")


def test_the_default_probe_is_no_part_of_a_recipes_identity() -> None:
    assert "probe" not in Recipe().to_json()
    assert "protocol" not in Recipe().to_json()
    assert Recipe(probe="knn-1").to_json()["probe"] == "knn-1"
    assert Recipe(protocol="gh").to_json()["protocol"] == "gh"
    assert Recipe(probe="few-shot-linear").probe == "few-shot"
