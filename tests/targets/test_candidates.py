"""PRODEN's step by hand: what is taught, what is stored, and when."""

from __future__ import annotations

import pytest
import torch
from tests.functional import partial_and_contrast_formulas as formulas

from longtail.facts.types import Batch, Outputs
from longtail.learners import SupervisedLearner
from longtail.losses import CrossEntropyLoss
from longtail.targets import Confidences
from longtail.updates import Descend

CANDIDATES = torch.tensor([[1, 1, 0], [1, 0, 0], [1, 1, 1], [0, 1, 1], [1, 0, 1]]).bool()


def batch(rows: list[int]) -> Batch:
    inputs = torch.randn(5, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    index = torch.tensor(rows)
    return Batch(inputs=inputs[index], index=index, targets=CANDIDATES[index])


def test_two_steps_of_proden_by_hand() -> None:
    torch.manual_seed(0)
    network = torch.nn.Linear(2, 3, dtype=torch.float64)
    learner = SupervisedLearner(network, CrossEntropyLoss(), targets=Confidences(CANDIDATES))
    optimizer = torch.optim.SGD(learner.parameters(), lr=0.5)
    q = [[c / sum(row) for c in row] for row in CANDIDATES.int().tolist()]
    w, b = network.weight.tolist(), network.bias.tolist()
    for rows in ([0, 2, 3], [3, 4, 1, 0]):
        given = batch(rows)
        step = Descend()(learner, given, optimizer, 0.0)
        learner.after_update(given, step, 0.0)
        x = given["inputs"].tolist()
        z = [[w[k][0] * v[0] + w[k][1] * v[1] + b[k] for k in range(3)] for v in x]
        losses = [formulas.proden_loss(z[i], q[row]) for i, row in enumerate(rows)]
        assert step.loss.item() == pytest.approx(sum(losses) / len(rows), rel=1e-6)
        # the gradient of sum_k q_k (-log p_k) in z is p - q; confidences from before the step
        slopes = [[p - c for p, c in zip(formulas.softmax(z[i]), q[row], strict=True)] for i, row in enumerate(rows)]
        for k in range(3):
            b[k] -= 0.5 * sum(s[k] for s in slopes) / len(rows)
            for d in range(2):
                w[k][d] -= 0.5 * sum(s[k] * v[d] for s, v in zip(slopes, x, strict=True)) / len(rows)
        for i, row in enumerate(rows):
            q[row] = formulas.proden_update(z[i], CANDIDATES[row].tolist())
        torch.testing.assert_close(network.weight, torch.tensor(w, dtype=torch.float64), rtol=1e-6, atol=1e-7)
        torch.testing.assert_close(network.bias, torch.tensor(b, dtype=torch.float64), rtol=1e-6, atol=1e-7)
        torch.testing.assert_close(learner.targets.confidence, torch.tensor(q), rtol=1e-5, atol=1e-6)


def test_rc_updates_by_the_logits_after_the_step_and_batch_norms_record_one_pass() -> None:
    torch.manual_seed(0)
    norm = torch.nn.BatchNorm1d(2, dtype=torch.float64)
    network = torch.nn.Sequential(norm, torch.nn.Linear(2, 3, dtype=torch.float64))
    learner = SupervisedLearner(network, CrossEntropyLoss(), targets=Confidences(CANDIDATES, second_pass=True))
    optimizer = torch.optim.SGD(learner.parameters(), lr=0.5)
    given, rows = batch([0, 2, 3]), [0, 2, 3]
    step = Descend()(learner, given, optimizer, 0.0)
    with learner.held():
        after = network(given["inputs"]).tolist()
    learner.after_update(given, step, 0.0)
    expected = [formulas.proden_update(z, CANDIDATES[row].tolist()) for z, row in zip(after, rows, strict=True)]
    torch.testing.assert_close(learner.targets.confidence[rows], torch.tensor(expected), rtol=1e-6, atol=1e-6)
    assert step.outputs is not None
    before = [
        formulas.proden_update(z, CANDIDATES[i].tolist())
        for z, i in zip(step.outputs.logits.tolist(), rows, strict=True)
    ]
    assert (torch.tensor(before) - torch.tensor(expected)).abs().max() > 0.01
    assert norm.num_batches_tracked is not None
    assert int(norm.num_batches_tracked) == 1
    torch.testing.assert_close(norm.running_mean, 0.1 * given["inputs"].mean(0))


def test_a_row_without_a_candidate_is_refused() -> None:
    with pytest.raises(ValueError, match="candidates must name at least one class a row, got none in row 1; leave it"):
        Confidences(torch.tensor([[True, False], [False, False]]))


def test_confidences_are_uniform_until_the_first_update() -> None:
    targets, given = Confidences(CANDIDATES, start=0.5), batch([0, 3])
    outputs = Outputs(torch.tensor([[5.0, 0.0, 0.0], [0.0, 5.0, 0.0]]))
    for progress in (0.0, 0.49):
        targets.observe(given, outputs, progress)
        assert targets(given, outputs, progress)[0].tolist() == [[0.5, 0.5, 0.0], [0.0, 0.5, 0.5]]
    targets.observe(given, outputs, 0.5)
    assert targets(given, outputs, 0.5)[0].max(1).values.min() > 0.99
    assert targets.confidence[2].tolist() == pytest.approx([1 / 3] * 3), "other rows stay"


def test_a_candidate_that_underflowed_comes_back_and_no_row_loses_all() -> None:
    targets, given = Confidences(CANDIDATES), batch([0, 3])
    targets.observe(given, Outputs(torch.tensor([[500.0, -500.0, 0.0], [9e3, -9e3, -9.5e3]])), 0.0)
    assert targets.confidence[0].tolist() == [1.0, 0.0, 0.0]
    assert targets.confidence[3].tolist() == [0.0, 1.0, 0.0]
    targets.observe(given, Outputs(torch.zeros(2, 3)), 0.0)
    assert targets.confidence[[0, 3]].tolist() == [[0.5, 0.5, 0.0], [0.0, 0.5, 0.5]]
