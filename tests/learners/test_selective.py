"""Sel-CL's learner: its step, its choice of pairs and its queues, written out in loops; the labels of Sel-CL+."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest
import torch
from tests.cases import cases
from tests.functional import selection_formulas as formulas
from torch import Tensor, nn

from longtail.data import Examples, together
from longtail.data.views.mixing import Mixing
from longtail.facts.types import Batch, Mixed
from longtail.learners.confident_pairs import ConfidentPairs, PairQueue
from longtail.learners.fine_tuned import CorrectedLearner
from longtail.learners.queue import MoCo
from longtail.learners.selective import SelectiveLearner
from longtail.models import Network, Standardize
from longtail.sampling.flagged import Flagged

D, F, C, P, B, N = 3, 4, 3, 3, 5, 18
T, SHARE = 0.3, 0.75
G = torch.Generator().manual_seed(0)
LABELS = torch.arange(N) % 7 % C
INPUTS = torch.eye(3).double()[LABELS] + 0.8 * torch.randn(N, D, generator=G).double()
Rows = list[list[float]]
SUPPORTED: list[bool] = []
"""Whether the rows of the steps by hand had a confident partner."""


def learner(warmup: float = 0.2, queue_from: float = 0.5, **more: Any) -> SelectiveLearner:
    torch.manual_seed(0)
    network = Network(Standardize(D), nn.Sequential(nn.Linear(D, F), nn.Tanh()), nn.Linear(F, C))
    pairs = ConfidentPairs(LABELS, C, P, k=4, beta=0.6)
    parts = (nn.Linear(F, P), MoCo(7, P, T, 0.9), pairs, PairQueue(12, P, C))
    return SelectiveLearner(network, *parts, warmup=warmup, queue_from=queue_from, **more).double().train()


def batch(number: int = 0) -> Batch:
    g = torch.Generator().manual_seed(number)
    rows, second = torch.randperm(N, generator=g)[:B], torch.randperm(N, generator=g)[:B]

    def of(rows: Tensor) -> Batch:
        views = tuple(INPUTS[rows] + 0.1 * torch.randn(B, D, generator=g).double() for _ in range(2))
        mixing = Mixed(torch.randperm(B, generator=g), torch.tensor(SHARE), torch.tensor(0.0))
        return Batch(inputs=views, index=rows, targets=LABELS[rows], mixing=mixing)

    return Batch(**of(rows), second=of(second))


def passed(network: Any, projection: Any, view: Tensor, partner: Tensor | None = None) -> tuple[Rows, Rows]:
    """Logits and projections, mixed at the inputs where there are partners; all weights as they are in the state."""
    x = view.tolist()
    if partner is not None:
        x = [[SHARE * a + (1 - SHARE) * b for a, b in zip(x[i], x[j], strict=True)] for i, j in enumerate(partner)]

    def linear(layer: Any, rows: Rows) -> Rows:
        w, b = layer.weight.tolist(), layer.bias.tolist()
        return [[sum(m * v for m, v in zip(line, row, strict=True)) + c for line, c in zip(w, b, strict=True)]
                for row in rows]  # fmt: skip

    h = [[math.tanh(v) for v in row] for row in linear(network.body[0], x)]
    return linear(network.head, h), linear(projection, h)


def softmax(z: list[float]) -> list[float]:
    total = sum(math.exp(v) for v in z)
    return [math.exp(v) / total for v in z]


def together_by_hand(one: SelectiveLearner, i: int, j: int) -> bool:
    pairs = one.pairs
    near = sum(a * b for a, b in zip(pairs.bank[i].tolist(), pairs.bank[j].tolist(), strict=True)) >= float(
        pairs.threshold
    )
    return int(LABELS[i]) == int(LABELS[j]) and (near or bool(pairs.confident[i] & pairs.confident[j]))


def by_hand(one: SelectiveLearner, rows: Any, progress: float) -> float:
    """The loss of the step, from the state as it is."""
    net, proj, (mean, mean_proj) = one.network, one.projection, one.average
    index, partner = rows["index"].tolist(), rows["mixing"].partner
    q, k = passed(net, proj, rows["inputs"][0])[1], passed(mean, mean_proj, rows["inputs"][1])[1]
    keys = [(key, row) for key, row in zip(one.host.keys.tolist(), one.host.rows.tolist(), strict=True) if row >= 0]
    alone = []
    for i, row in enumerate(index):
        terms = [formulas.cosine(q[i], k[i]) / T, *(formulas.cosine(q[i], key) / T for key, r in keys if r != row)]
        alone.append(math.log(sum(math.exp(v) for v in terms)) - terms[0])
    if progress < one.warmup:
        return sum(alone) / B
    seen = [passed(net, proj, view, partner) for view in rows["inputs"]]
    z, p = seen[0][1] + seen[1][1], [softmax(v) for v in seen[0][0] + seen[1][0]]
    of, minor = index * 2, [index[j] for j in partner] * 2
    pools = [(z, p, of, [[a != b for b in range(2 * B)] for a in range(2 * B)])]
    if progress >= one.queue_from:
        others = one.queue.rows.tolist()
        pools.append((one.queue.keys.tolist(), one.queue.shares.tolist(), others, [[r >= 0 for r in others]] * (2 * B)))
    rows_loss, supported, similarity = [0.0] * B, [False] * B, 0.0
    for candidates, probabilities, others, allowed in pools:

        def positive(row: int, others: list[int] = others) -> list[bool]:
            return [r >= 0 and (row == r or together_by_hand(one, row, r)) for r in others]

        masks = ([positive(row) for row in of], [positive(row) for row in minor])
        terms = formulas.contrast(z, candidates, *masks, SHARE, allowed, T)
        for i, row in enumerate(index):
            if any(r >= 0 and r != row and together_by_hand(one, row, r) for r in others):
                supported[i] = True
                rows_loss[i] += (terms[i] + terms[i + B]) / 2
        parts = formulas.similarity(p, probabilities, *masks, SHARE, allowed)
        similarity += sum(parts) / len(parts)
    contrast = sum(c if known else u for c, u, known in zip(rows_loss, alone, supported, strict=True)) / B
    SUPPORTED.extend(supported)
    second = rows["second"]
    y, mate, classified = second["targets"].tolist(), second["mixing"].partner.tolist(), 0.0
    for view in second["inputs"]:
        for i, logits in enumerate(passed(net, proj, view, second["mixing"].partner)[0]):
            s = softmax(logits)
            classified -= (SHARE * math.log(s[y[i]]) + (1 - SHARE) * math.log(s[y[mate[i]]])) / (2 * B)
    return contrast + one.lambda_c * classified + one.lambda_s * similarity


@cases("progress", [0.0, 0.2, 0.6])
def test_the_step_is_that_of_the_formulas(progress: float) -> None:
    """After steps that have filled the queues; before the warm-up is over, after it, and with the queue of pairs."""
    one = learner(lambda_c=0.7, lambda_s=0.4)
    SUPPORTED.clear()
    optimizer = torch.optim.SGD(one.trainable(), lr=0.3)
    data: Any = together(Examples(INPUTS, LABELS, ("a", "b", "c")).drawn(B))
    for number in range(4):
        one.start_epoch(data, progress)
        rows = batch(number)
        expected = by_hand(one, rows, progress)
        step: Any = one.training_step(rows, progress)
        assert step.loss.item() == pytest.approx(expected, rel=1e-9), number
        assert step.losses.shape == (B,)
        optimizer.zero_grad()
        step.loss.backward()
        optimizer.step()
        one.after_update(rows, step, progress)
    assert (one.queue.rows >= 0).all()
    assert one.pairs.confident.all() == (progress < one.warmup)
    assert len(set(SUPPORTED)) == (0 if progress < one.warmup else 2)  # some had one and some had none
    moved = one.network.get_parameter("head.weight").grad is not None
    assert moved == (progress >= one.warmup)


def test_averages_and_queues_follow() -> None:
    one = learner()
    before = [p.clone() for p in one.average.parameters()]
    kept: list[tuple[list[float], list[float], int]] = []
    for number in range(3):
        rows: Any = batch(number)
        step = one.training_step(rows, 0.0)
        network, projection = one.average
        for view in rows["inputs"]:
            logits, z = passed(network, projection, view, rows["mixing"].partner)
            kept += [(key, softmax(v), row) for key, v, row in zip(z, logits, rows["index"].tolist(), strict=True)]
        with torch.no_grad():
            for p in [*one.network.parameters(), *one.projection.parameters()]:
                p.add_(0.5)
        one.after_update(rows, step, 0.0)
    now = [*one.network.parameters(), *one.projection.parameters()]
    for mean, old, value in zip(one.average.parameters(), before, now, strict=True):
        start = value.detach() - 1.5
        expected = old
        for step_number in (1, 2, 3):
            expected = 0.9 * expected + 0.1 * (start + 0.5 * step_number)
        torch.testing.assert_close(mean.detach(), expected)
        assert not mean.requires_grad
    # 30 rows into 12 places, ten at a time: places 6 to 11 and then 0 to 5 have the last ones
    last = [kept[place + 24 if place < 6 else place + 12] for place in range(12)]
    for place, (key, shares, row) in enumerate(last):
        length = math.sqrt(sum(v * v for v in key))
        assert one.queue.rows[place].item() == row
        assert one.queue.keys[place].tolist() == pytest.approx([v / length for v in key], rel=1e-9)
        assert one.queue.shares[place].tolist() == pytest.approx(shares, rel=1e-9)


def test_the_choice_is_by_the_network_in_evaluation_mode_and_begins_after_the_warm_up() -> None:
    one = learner()
    data: Any = together(Examples(INPUTS, LABELS, ("a", "b", "c")).drawn(B))
    one.start_epoch(data, 0.1)
    assert one.pairs.confident.all()
    assert not one.pairs.bank.any()
    one.start_epoch(data, 0.2)
    assert one.training
    features = passed(one.network, one.projection, INPUTS)[1]
    assert one.pairs.confident.tolist() == formulas.confident(features, LABELS.tolist(), C, 4, 0.5)
    assert not one.pairs.confident.all()
    chosen = one.pairs.confident.tolist()
    assert float(one.pairs.threshold) == pytest.approx(formulas.threshold(features, LABELS.tolist(), chosen, 0.6))
    everyone = torch.arange(N)
    found = one.pairs.together(everyone, torch.cat([everyone, torch.tensor([-1])]))
    assert found[:, :N].tolist() == [[together_by_hand(one, i, j) for j in range(N)] for i in range(N)]
    assert not found[:, N].any()
    assert one.epoch_record()["confident_rows"] == [
        sum(c and y == j for c, y in zip(chosen, LABELS, strict=True)) for j in range(C)
    ]


def test_rows_of_the_second_source_are_those_that_are_confident_at_the_start_of_the_epoch() -> None:
    flags = torch.zeros(N, dtype=torch.bool)
    draw = Flagged(lambda: flags, 200)
    flags[[3, 8, 11]] = True
    rows = draw.draw(0.0, torch.Generator().manual_seed(0))
    assert set(rows.tolist()) == {3, 8, 11}
    assert len(rows) == 200
    assert rows.equal(draw.draw(0.5, torch.Generator().manual_seed(0)))


@cases("progress, b", [(0.0, 0.0), (0.42, 0.0), (0.43, 0.2), (0.9, 0.2)])
def test_labels_are_corrected_from_their_start_on(progress: float, b: float) -> None:
    network: Any = learner().network
    one = CorrectedLearner(network, 3 / 7)
    data = replace(
        Examples(INPUTS, LABELS, ("a", "b", "c")).drawn(6, views=("weak", "plain")), mixing=Mixing(1.0, larger=True)
    )
    rows: Any = next(data.batches(progress, torch.Generator().manual_seed(0)))
    share, partner, y = float(rows["mixing"].share), rows["mixing"].partner.tolist(), rows["targets"].tolist()
    assert share >= 0.5
    logits = network(share * rows["inputs"][0] + (1 - share) * rows["inputs"][0][partner]).logits.tolist()
    guesses = [formulas.first_largest(z) for z in network(rows["inputs"][1]).logits.tolist()]
    assert guesses != y
    expected = []
    for i, z in enumerate(logits):
        log_p = [math.log(v) for v in softmax(z)]
        h = [(1 - b) * -log_p[y[j]] + b * -log_p[guesses[j]] for j in (i, partner[i])]
        expected.append(share * h[0] + (1 - share) * h[1])
    step = one.training_step(rows, progress)
    assert step.losses is not None
    assert step.losses.tolist() == pytest.approx(expected, rel=1e-6)
    assert step.loss.item() == pytest.approx(sum(expected) / 6, rel=1e-6)
