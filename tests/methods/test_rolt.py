"""RoLT and RoLT-DRW: whole trainings by hand, resumed at every epoch, equal to their base where they teach nothing."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest
import torch
from tests.functional import prototype_formulas as formulas
from tests.methods import training_by_hand as hand
from torch import Tensor

from longtail.data import Examples, TrainingSet
from longtail.engine import Recipe, Training
from longtail.engine.randomness import generator
from longtail.methods import method

EPOCHS, C = 10, 3
RECIPE = Recipe(
    epochs=EPOCHS, batch_size=8, lr=0.1, weight_decay=1e-3, warmup=0, decay="cosine", model="mlp",
    model_args={"hidden": (6,)},
)  # fmt: skip


def noisy_rows(sizes: tuple[int, ...] = (16, 9, 6), wrong: int = 7) -> Examples:
    """Classes apart, of whose labels some are those of the next class."""
    drawn = torch.Generator().manual_seed(0)
    truth = torch.repeat_interleave(torch.arange(C), torch.tensor(sizes))
    inputs = torch.randn(len(truth), 4, generator=drawn, dtype=torch.float64) + 3 * torch.eye(4).double()[truth]
    labels = truth.clone()
    rows = torch.randperm(len(truth), generator=drawn)[:wrong]
    labels[rows] = (truth[rows] + 1) % C
    return Examples(inputs, labels, ("a", "b", "c"))


ROWS = noisy_rows()
Y: list[int] = ROWS.targets.tolist()
N = len(Y)


def trained(spec: str) -> tuple[dict[str, Any], Training, Any]:
    """A training in float64, the state of its learner before it, and its stage."""
    (stage,) = method(spec).stages(RECIPE)
    before: dict[str, Any] = {}

    def build(data: TrainingSet, previous: Any) -> Any:
        built = stage.build(data, previous)
        before.update({name: value.clone() for name, value in built.learner.double().state_dict().items()})
        return built

    training = Training([replace(stage, build=build)], TrainingSet(ROWS))
    assert len(list(training)) == EPOCHS
    return before, training, stage


class ByHand:
    """Judgement, averages, targets, counts and loss of a training, by loops."""

    def __init__(self, *, ldam: bool, drw: bool) -> None:
        self.ldam, self.drw = ldam, drw
        self.averages: list[Any] = []
        self.frozen: list[int] | None = None
        self.counts = [float(Y.count(k)) for k in range(C)]
        self.weights = [1.0] * C
        self.q = [[float(k == y) for k in range(C)] for y in Y]
        self.cleans: list[list[bool]] = []

    def features(self, state: Any, x: Tensor) -> Tensor:
        h = (x - state["network.standardize.mean"]) / state["network.standardize.std"]
        h = h @ state["network.body.1.weight"].T + state["network.body.1.bias"]
        return torch.where(h > 0, h, 0.0)

    def logits(self, state: Any, h: Tensor) -> Tensor:
        w = state["network.head.weight"]
        if not self.ldam:
            return h @ w.T + state["network.head.bias"]
        return (h / h.norm(dim=1, keepdim=True)) @ (w / w.norm(dim=1, keepdim=True)).T

    def before_epoch(self, state: Any, epoch: int) -> None:
        h = self.features(state, ROWS.inputs).detach()
        z, clean = formulas.judged(h.tolist(), Y, C)
        self.cleans.append(clean)
        new = [self.logits(state, h).detach().tolist(), z]
        self.averages = (
            [[[0.6 * a + 0.4 * b for a, b in zip(*r, strict=True)] for r in zip(*e, strict=True)] for e in
             zip(self.averages, new, strict=True)]
            if self.averages else new
        )  # fmt: skip
        if epoch < 4:
            return
        a, b = ([max(range(C), key=row.__getitem__) for row in average] for average in self.averages)
        present = [Y[i] if clean[i] else a[i] for i in range(N)]
        if self.drw and epoch >= 8:
            self.frozen = present = self.frozen or present
        for i in range(N):
            hot = [float(k == Y[i]) for k in range(C)]
            if self.frozen is not None:
                self.q[i] = [0.5 * (k == present[i]) + 0.5 * (hot[k] if clean[i] else 1 / C) for k in range(C)]
            elif clean[i]:
                self.q[i] = hot
            else:
                self.q[i] = [0.4 * (k == a[i]) + 0.2 * (k == b[i]) + 0.2 * hot[k] + 0.2 / C for k in range(C)]
        self.counts = [float(present.count(k)) for k in range(C)]
        if self.frozen is not None:
            inverse = [(1 - 0.9999) / (1 - 0.9999**n) for n in self.counts]
            self.weights = [w * C / sum(inverse) for w in inverse]

    def loss(self, state: Any, index: list[int]) -> Tensor:
        z = self.logits(state, self.features(state, ROWS.inputs[index]))
        largest = max(n**-0.25 for n in self.counts)
        margins = [0.5 * n**-0.25 / largest for n in self.counts]

        def each(row: Tensor, k: int) -> Tensor:
            if self.ldam:
                row = 30 * torch.stack([row[j] - margins[k] * (j == k) for j in range(C)])
            return hand.log_sum_exp(list(row)) - row[k]

        def mean(labels: list[int]) -> Tensor:
            w = [self.weights[k] for k in labels]
            return sum(a * each(row, k) for a, row, k in zip(w, z, labels, strict=True)) / sum(w)  # type: ignore[no-any-return]

        if self.frozen is not None:  # a mean for each of 1 + C labels, as the released code has it
            clean = self.cleans[-1]
            uniform = [mean([Y[i] if clean[i] else k for i in index]) for k in range(C)]
            return 0.5 * mean([self.frozen[i] for i in index]) + 0.5 / C * sum(uniform)  # type: ignore[no-any-return]
        terms = [self.q[i][k] * each(row, k) for row, i in zip(z, index, strict=True) for k in range(C)]
        return sum(terms) / len(index)  # type: ignore[no-any-return]


@pytest.mark.parametrize(
    ("spec", "ldam", "drw"),
    [
        ("rolt", False, False),
        ("rolt(base='ldam')", True, False),
        ("rolt-drw", False, True),
        ("rolt-drw(base='ldam')", True, True),
    ],
)
def test_a_whole_training_is_that_by_hand(spec: str, ldam: bool, drw: bool) -> None:
    before, training, stage = trained(spec)
    learner: Any = training.learner
    state = dict(before)
    names = [name for name, p in learner.named_parameters() if p.requires_grad]
    descent = hand.Descent(state, names, RECIPE.momentum, RECIPE.weight_decay)
    ours = ByHand(ldam=ldam, drw=drw)
    rows = ROWS.drawn(RECIPE.batch_size)
    for epoch in range(EPOCHS):
        ours.before_epoch(state, epoch)
        for drawn in rows.draws(epoch / EPOCHS, generator(0, 0, epoch, "order")):
            loss = ours.loss(state, drawn["index"].tolist())
            descent.step(descent.gradient(loss), stage.lr(epoch / EPOCHS))
    for name in names:
        torch.testing.assert_close(learner.state_dict()[name], state[name].detach(), rtol=1e-5, atol=1e-6, msg=name)
    torch.testing.assert_close(learner.targets.labels, torch.tensor(ours.q), rtol=1e-5, atol=1e-6)
    records = training.state()["records"]
    assert [record["clean"] for record in records] == [sum(clean) for clean in ours.cleans]
    assert len(set(map(tuple, ours.cleans))) > 1
    assert any(ours.q[i] != [float(k == Y[i]) for k in range(C)] for i in range(N))
    if ldam:
        assert learner.loss.class_counts.tolist() == ours.counts
        assert ours.counts != [Y.count(k) for k in range(C)]
    if drw:
        assert learner.targets.frozen.tolist() == ours.frozen
        torch.testing.assert_close(learner.targets.weights, torch.tensor(ours.weights))


def left(spec: str, data: TrainingSet, recipe: Recipe = RECIPE) -> dict[str, Tensor]:
    training = Training(method(spec).stages(recipe), data)
    list(training)
    return {name: value for name, value in training.learner.state_dict().items() if isinstance(value, Tensor)}


def same(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return one.keys() == other.keys() and all(value.equal(other[name]) for name, value in one.items())


PLAIN = TrainingSet(replace(ROWS, inputs=ROWS.inputs.float()))


@pytest.mark.parametrize("spec", ["rolt(base='ldam')", "rolt-drw(base='label-smoothing')"])
def test_resumed_after_any_epoch_it_ends_with_the_same_bytes(spec: str) -> None:
    stages = method(spec).stages(replace(RECIPE, epochs=5))
    whole = Training(stages, PLAIN)
    states = [whole.state() for _ in whole]
    assert len(states) == 5
    for state in states:
        again = Training(stages, PLAIN, resume=state)
        list(again)
        assert same(again.learner.state_dict(), whole.learner.state_dict())


@pytest.mark.parametrize("base", ["ce", "ldam-drw", "label-smoothing", "cb-rs"])
def test_where_rows_keep_their_label_it_is_its_base_bit_for_bit(base: str) -> None:
    recipe = replace(RECIPE, epochs=3)
    plain = left(base, PLAIN, recipe)
    for knobs in ("given=1, erm=0, ncm=0", "start=1"):
        found = left(f"rolt(base={base!r}, {knobs})", PLAIN, recipe)
        assert same({name: v for name, v in found.items() if not name.startswith("targets.")}, plain)
    full = left(f"rolt(base={base!r})", PLAIN, recipe)
    assert not full["network.head.weight"].equal(plain["network.head.weight"])


def test_drw_that_never_begins_is_rolt() -> None:
    recipe = replace(RECIPE, epochs=5)
    plain = left("rolt", PLAIN, recipe)
    assert same(left("rolt-drw(at=1)", PLAIN, recipe), plain)
    assert not left("rolt-drw", PLAIN, recipe)["network.head.weight"].equal(plain["network.head.weight"])


def test_a_method_over_it_learns_from_the_given_labels_in_a_second_stage() -> None:
    training = Training(method("crt(base='rolt')").stages(replace(RECIPE, epochs=3)), PLAIN)
    records = list(training)
    assert ["clean" in record for record in records] == [True] * 3 + [False] * (len(records) - 3)
    assert len(records) > 3


def test_rows_of_a_weight_count() -> None:
    weighted = TrainingSet(replace(PLAIN.labeled, sample_weight=torch.arange(1.0, N + 1)))
    training = Training(method("rolt-drw(base='ldam')").stages(replace(RECIPE, epochs=5)), weighted)
    list(training)
    assert float(training.learner.loss.class_counts.sum()) == N * (N + 1) / 2
    assert all(math.isfinite(record["loss"]) for record in training.state()["records"])


@pytest.mark.parametrize(
    ("spec", "why"),
    [
        ("rolt(erm=0.7)", r"erm \+ ncm \+ given must be at most 1, got 1.1; lower one of them"),
        ("rolt-drw(given=0.5)", r"erm \+ ncm \+ given must be at most 1, got 1.1; lower one of them"),
        ("rolt(ncm=1.2)", r"ncm must be in \[0, 1\], got 1.2"),
        ("rolt(momentum=1)", r"momentum must be in \[0, 1\), got 1"),
        ("rolt-drw(base='ce-drw')", "got 'ce-drw', which re-balances its classes already"),
        ("rolt(base='mixup')", "got 'mixup', which mixes its examples already"),
        ("rolt(base='absgd')", "got 'absgd', which weighs its examples already"),
        ("rolt(base='crt')", "got 'crt', which has no targets to take up"),
        ("mixup(base='rolt')", "got 'rolt', which mixes its examples already"),
        ("absgd(base='rolt')", "got 'rolt', which weighs its examples already"),
    ],
)
def test_what_does_not_go_together_is_refused(spec: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        method(spec)
