"""SoLar in numpy: labels with class totals, the selection, the loss of a step, and what is stored."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from tests.methods import task_data

from longtail.engine import Recipe
from longtail.facts.types import Batch, Mixed, Outputs
from longtail.learners import SolarLearner
from longtail.methods import method
from longtail.models import Network, Standardize
from longtail.runs.train import train
from longtail.targets import Assigned
from longtail.updates import Descend

ROWS, CLASSES = 24, 3
GENERATOR = torch.Generator().manual_seed(0)
SETS = torch.rand(ROWS, CLASSES, generator=GENERATOR) < 0.6
SETS[torch.arange(ROWS), torch.randint(CLASSES, (ROWS,), generator=GENERATOR)] = True
PRIOR = torch.tensor([0.5, 0.3, 0.2])


def softmax(z: np.ndarray) -> np.ndarray:
    powers = np.exp(z - z.max(-1, keepdims=True))
    return np.asarray(powers / powers.sum(-1, keepdims=True))


def believed(z: np.ndarray, sets: np.ndarray) -> np.ndarray:
    inside = softmax(z) * sets
    return np.asarray(inside / inside.sum(1, keepdims=True))


def scaled(p: np.ndarray, totals: np.ndarray) -> np.ndarray:
    """Alternating scaling to the end: rows to 1, columns to the totals."""
    for _ in range(20000):
        p = p * (totals / p.sum(0))
        p = p / p.sum(1, keepdims=True)
    return p


class TestLabels:
    def test_have_the_class_totals_with_those_of_past_batches(self) -> None:
        targets = Assigned(SETS, 16, shares=PRIOR)
        logits = torch.randn(ROWS, CLASSES, generator=GENERATOR, dtype=torch.float64)
        for rows in (torch.arange(8), torch.arange(8, 16)):
            given = Batch(inputs=logits, index=rows, targets=SETS[rows])
            targets.observe(given, Outputs(logits[rows]), 0.0)
        labels = targets.assign(logits[16:], SETS[16:])
        p = believed(logits.numpy(), SETS.numpy()) ** 3
        expected = scaled(p, ROWS * PRIOR.double().numpy())
        np.testing.assert_allclose(labels.numpy(), expected[16:], atol=1e-5)

    def test_are_of_the_batch_alone_until_the_queue_is_full(self) -> None:
        targets = Assigned(SETS, 100, shares=PRIOR)
        logits = torch.randn(ROWS, CLASSES, generator=GENERATOR, dtype=torch.float64)
        given = Batch(inputs=logits, index=torch.arange(8), targets=SETS[:8])
        targets.observe(given, Outputs(logits[:8] + 5), 0.0)
        expected = scaled(believed(logits.numpy(), SETS.numpy()) ** 3, ROWS * PRIOR.double().numpy())
        np.testing.assert_allclose(targets.assign(logits, SETS).numpy(), expected, atol=1e-5)

    def test_that_no_candidates_allow_are_on_the_candidates_all_the_same(self) -> None:
        sets = torch.tensor([[1, 1, 0], [1, 0, 0], [1, 0, 0], [0, 1, 0]]).bool()  # the third class has no row
        targets = Assigned(sets, 0, shares=PRIOR)
        labels = targets.assign(torch.zeros(4, 3), sets)
        assert not (labels[~sets] > 0).any()
        torch.testing.assert_close(labels.sum(1), torch.ones(4))
        nothing = Assigned(sets, 0, shares=torch.tensor([0.0, 0.0, 1.0])).assign(torch.zeros(4, 3), sets)
        torch.testing.assert_close(nothing, sets / sets.sum(1, keepdim=True))

    def test_shares_move_to_the_likeliest_candidates(self) -> None:
        targets = Assigned(SETS, 0, shares=PRIOR)
        logits = torch.randn(ROWS, CLASSES, generator=GENERATOR)
        weight = torch.rand(ROWS, generator=GENERATOR)
        targets.renew(logits, SETS, 0.25, weight)
        best = np.where(SETS.numpy(), logits.numpy(), -np.inf).argmax(1)
        counts = np.bincount(best, weights=weight.numpy(), minlength=CLASSES)
        expected = 0.75 * PRIOR.numpy() + 0.25 * counts / counts.sum()
        np.testing.assert_allclose(targets.epoch_record()["prior"], expected, rtol=1e-6)

    def test_the_queue_has_the_last_rows(self) -> None:
        targets = Assigned(SETS, 10)
        logits = torch.randn(ROWS, CLASSES, generator=GENERATOR)
        for rows in torch.arange(ROWS).split(7):
            targets.observe(Batch(inputs=logits, index=rows, targets=SETS[rows]), Outputs(logits[rows]), 0.0)
        kept = {tuple(row) for row in targets.queue.tolist()}
        assert kept == {tuple(row) for row in targets.confidence[-10:].tolist()}
        assert int(targets.stored) == ROWS


@pytest.mark.parametrize("mixup", [False, True])
@pytest.mark.parametrize("weighted", [False, True])
def test_a_step_is_the_papers(mixup: bool, weighted: bool) -> None:
    torch.manual_seed(0)
    head: Any = torch.nn.Linear(2, CLASSES)
    network = Network(Standardize(2), torch.nn.Identity(), head).double()
    targets = Assigned(SETS, 0, shares=PRIOR)
    learner = SolarLearner(network, targets, eta=0.9, rho=(0.2, 0.6), tau=0.9, ramp=0.5, mixup=mixup)
    weak, strong = (torch.randn(ROWS, 2, generator=GENERATOR, dtype=torch.float64) for _ in range(2))
    partner = torch.randperm(ROWS, generator=GENERATOR)
    share = torch.tensor(0.3, dtype=torch.float64)
    given = Batch(inputs=(weak, strong), index=torch.arange(ROWS), targets=SETS)
    given["mixing"] = Mixed(partner, share, torch.tensor(0.0))
    weight = torch.ones(ROWS, dtype=torch.float64)
    if weighted:
        weight = torch.rand(ROWS, generator=GENERATOR, dtype=torch.float64)
        given["sample_weight"] = weight
    w, b, s = head.weight.detach().numpy(), head.bias.detach().numpy(), weight.numpy()

    def answer(x: Any) -> np.ndarray:
        return np.asarray(x.numpy() @ w.T + b)

    def entropy(q: np.ndarray, z: np.ndarray) -> np.ndarray:
        return np.asarray(-(q * np.log(softmax(z))).sum(1))

    first = (SETS / SETS.sum(1, keepdim=True)).double().numpy()
    plain = entropy(first, answer(weak))
    y = scaled(believed(answer(weak), SETS.numpy()) ** 3, ROWS * PRIOR.double().numpy())
    grown = 0.25 / 0.5
    rho, eta, losses = 0.2 + 0.4 * grown, 0.9 * grown, entropy(y, answer(weak))
    chosen = (y * softmax(answer(weak))).sum(1) > 0.9
    for j in range(CLASSES):
        rows = np.flatnonzero(y.argmax(1) == j)
        chosen[rows[losses[rows].argsort()][: max(math.ceil(ROWS * float(PRIOR[j]) * rho), 1)]] = True
    assert 0 < chosen.sum() < ROWS
    expected = np.average(losses[chosen], weights=s[chosen])
    expected += np.average(entropy(y, answer(strong))[chosen], weights=s[chosen])
    if mixup:
        own = np.flatnonzero(chosen)
        other = np.array([i for i in partner.tolist() if chosen[i]])
        blend = 0.7 * weak[own] + 0.3 * weak[other]
        mixed = entropy(0.7 * y[own] + 0.3 * y[other], answer(blend))
        expected += np.average(mixed, weights=0.7 * s[own] + 0.3 * s[other])
    expected = eta * expected + (1 - eta) * np.average(plain[~chosen], weights=s[~chosen])
    step = Descend()(learner, given, torch.optim.SGD(learner.parameters(), lr=0.1), 0.25)
    assert step.loss.item() == pytest.approx(expected, rel=1e-5)
    assert float(step.log["confident"]) == pytest.approx(chosen.mean())
    learner.after_update(given, step, 0.25)
    before = believed(weak.numpy() @ w.T + b, SETS.numpy())
    assert targets.confidence.shape == before.shape


def test_in_the_first_epoch_all_rows_learn_from_their_predictions() -> None:
    network = Network(Standardize(2), torch.nn.Identity(), torch.nn.Linear(2, CLASSES))
    learner = SolarLearner(network, Assigned(SETS, 0))
    weak, strong = torch.randn(2, ROWS, 2, generator=GENERATOR)
    given = Batch(inputs=(weak, strong), index=torch.arange(ROWS), targets=SETS)
    first = SETS / SETS.sum(1, keepdim=True)
    expected = -(first * network(weak).logits.log_softmax(1)).sum(1).mean()
    torch.testing.assert_close(learner.training_step(given, 0.0).loss, expected)


def test_without_strength_it_is_proden_and_each_part_counts(tmp_path: Any) -> None:
    recipe = Recipe(epochs=6, batch_size=16, lr=0.2, model="mlp", model_args={"hidden": (8,)})
    data = task_data.splits("partial")

    def of(spec: str) -> torch.Tensor:
        return train(spec, data, folder=tmp_path / spec, recipe=recipe).predictions()["scores"]

    plain = of("proden")
    torch.testing.assert_close(of("solar(eta=0, estimation=0)"), plain, rtol=1e-4, atol=1e-4)
    found = [
        plain,
        *map(of, ["solar", "solar(estimation=0.4)", "solar(mixup=False)", "solar(queue=2)", "solar(tau=0.5)"]),
    ]
    assert not any(torch.allclose(one, other, rtol=1e-3) for i, one in enumerate(found) for other in found[:i])


@pytest.mark.parametrize(("epochs", "estimated"), [(1, 1), (5, 1), (20, 2)])
def test_the_estimate_lasts_an_epoch_at_least_unless_it_is_left_out(epochs: int, estimated: int) -> None:
    recipe = Recipe(epochs=epochs)
    stages = {
        spec: [(s.name, s.epochs) for s in method(spec).stages(recipe)] for spec in ("solar", "solar(estimation=0)")
    }
    assert stages["solar"] == [("estimate", estimated), ("train", epochs)]
    assert stages["solar(estimation=0)"] == [("train", epochs)]
