"""Steps for rare classes, with weights of rows, in other neighbourhoods: each against plain loops in float64."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from tests.updates import steps_by_hand as hand
from tests.updates.test_sam import batch, network, same, stepped
from torch import Tensor, nn

from longtail import losses
from longtail.facts.types import Batch
from longtail.instance_weights import ABSGD
from longtail.learners import SupervisedLearner
from longtail.losses import CrossEntropyLoss
from longtail.updates import SAM, ByClass, ByRow, Descend, ImbSAM

ROWS = batch(torch.float64)
X, Y = ROWS["inputs"].tolist(), ROWS["targets"].tolist()  # type: ignore[union-attr]
N, LR = len(Y), 0.3
EVEN = [1 / N] * N


def small() -> SupervisedLearner:
    """The network of `steps_by_hand`."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(hand.D, hand.H), nn.Tanh(), nn.Linear(hand.H, hand.C)).double()
    return SupervisedLearner(model, CrossEntropyLoss())


def flat(learner: SupervisedLearner) -> list[float]:
    return [float(v) for p in learner.network.parameters() for v in p.detach().flatten()]


def after(update: Any, learner: SupervisedLearner | None = None, rows: Batch = ROWS) -> list[float]:
    learner = small() if learner is None else learner
    update(learner, rows, torch.optim.SGD(learner.parameters(), lr=LR), 0.0)
    return flat(learner)


def mean_gradient(w: list[float]) -> list[float]:
    return hand.gradient(w, X, Y, EVEN)


def close(ours: list[float], theirs: list[float]) -> None:
    torch.testing.assert_close(torch.tensor(ours), torch.tensor(theirs), rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("eta", [0.0, 0.01])
@pytest.mark.parametrize("biases", [False, True])
def test_asam(eta: float, biases: bool) -> None:
    w = flat(small())
    scale = [abs(v) + eta if biases or i in hand.WEIGHTS else 1.0 for i, v in enumerate(w)]
    worst = hand.climbed(w, mean_gradient(w), 0.5, scale)
    close(after(SAM(0.5, adaptive=True, eta=eta, biases=biases)), hand.descended(w, mean_gradient(worst), LR))


def test_weight_decay_in_the_ascent() -> None:
    learner = small()
    w = flat(learner)
    optimizer = torch.optim.SGD(learner.parameters(), lr=LR, weight_decay=0.1)
    SAM(0.5, decay=True)(learner, ROWS, optimizer, 0.0)
    worst = hand.climbed(w, [g + 0.1 * v for g, v in zip(mean_gradient(w), w, strict=True)], 0.5)
    close(flat(learner), hand.descended(w, [g + 0.1 * v for g, v in zip(mean_gradient(worst), w, strict=True)], LR))


WEIGHTS = torch.tensor([1 / 8, 1 / 3, 1.0])


@pytest.mark.parametrize(
    ("ascent", "weights"),
    [(ByClass(WEIGHTS), WEIGHTS[ROWS["targets"]]), (ByRow(torch.arange(20.0)), torch.arange(12.0))],
)
def test_an_ascent_on_weighted_rows(ascent: Any, weights: Tensor) -> None:
    """SAM-A and rwSAM."""
    w = flat(small())
    worst = hand.climbed(w, hand.gradient(w, X, Y, (weights / 7).tolist()), 0.5)  # whatever the common factor
    close(after(SAM(0.5, ascent=ascent)), hand.descended(w, mean_gradient(worst), LR))


def test_rows_and_not_positions_are_weighted() -> None:
    order = torch.tensor([5, 2, 9])
    rows = Batch(inputs=ROWS["inputs"][order], targets=ROWS["targets"][order], index=order)  # type: ignore[call-overload]
    weights = torch.rand(12)
    by_position = Batch({**rows, "index": torch.arange(3)})  # type: ignore[typeddict-item]
    theirs = after(SAM(0.5, ascent=ByRow(weights[order])), rows=by_position)
    assert after(SAM(0.5, ascent=ByRow(weights)), rows=rows) == theirs


TAIL = torch.tensor([False, True, False])


@pytest.mark.parametrize("weight", [1.0, 2.0])
def test_imbsam(weight: float) -> None:
    w = flat(small())
    head, tail = ([(y != 1) / N for y in Y], [(y == 1) / N for y in Y])
    worst = hand.climbed(w, hand.gradient(w, X, Y, tail), 0.5)
    parts = zip(hand.gradient(w, X, Y, head), hand.gradient(worst, X, Y, tail), strict=True)
    close(after(ImbSAM(TAIL, 0.5, weight=weight)), hand.descended(w, [a + weight * b for a, b in parts], LR))


def test_imbsam_is_sam_where_all_classes_are_rare_and_plain_where_none_is_in_the_batch() -> None:
    learner = SupervisedLearner(network(dropout=0.4), CrossEntropyLoss())
    assert same(stepped(learner, ImbSAM(torch.ones(3, dtype=torch.bool), 0.2)), stepped(learner, SAM(0.2)))
    absent = ImbSAM(torch.tensor([False, False, False, True]), 0.2)
    assert same(stepped(learner, absent), stepped(learner, Descend()))


@pytest.mark.parametrize("weights", [None, "absgd"])
@pytest.mark.parametrize("class_weight", [None, "inverse"])
def test_the_parts_are_those_of_the_learners_own_loss(weights: str | None, class_weight: str | None) -> None:
    """With rho = 0 the two parts add up to it, however it is weighted and divided."""
    counts = torch.tensor([20, 10, 5])
    loss = CrossEntropyLoss(counts, class_weight=class_weight) if class_weight else CrossEntropyLoss()
    learner = SupervisedLearner(network(), loss, weights=None if weights is None else ABSGD(2.0))
    plain, parts = stepped(learner, Descend()), stepped(learner, ImbSAM(TAIL, 0.0))
    for name, value in plain.items():
        torch.testing.assert_close(parts[name], value, rtol=1e-5, atol=1e-6)


UPDATES = {
    "sam": lambda **options: SAM(0.5, **options),
    "sam-a": lambda **options: SAM(0.5, ascent=ByClass(WEIGHTS), **options),
    "imbsam": lambda **options: ImbSAM(TAIL, 0.5, **options),
}


@pytest.mark.parametrize("update", UPDATES.values(), ids=UPDATES)
def test_norm_layers_stay_where_they_are_on_request(update: Any) -> None:
    seen: dict[bool, Tensor] = {}
    for norms in (True, False):
        model = network()
        learner = SupervisedLearner(model, CrossEntropyLoss())
        factors: list[Tensor] = []
        model.register_forward_pre_hook(lambda m, x, f=factors: f.append(m[1].weight.detach().clone()))  # type: ignore[misc, index]
        stepped_model = copy.deepcopy(learner)
        update(norms=norms)(stepped_model, batch(), torch.optim.SGD(stepped_model.parameters(), lr=0.1), 0.0)
        seen[norms] = factors[1] - factors[0]
        assert not stepped_model.network.get_parameter("1.weight").equal(model.get_parameter("1.weight"))  # it learns
    assert seen[True].abs().sum() > 0
    assert seen[False].abs().sum() == 0


@pytest.mark.parametrize("update", UPDATES.values(), ids=UPDATES)
def test_batch_norms_record_the_first_pass_or_both(update: Any) -> None:
    learner = SupervisedLearner(network(), CrossEntropyLoss())
    plain, first, both = (stepped(learner, u, 1) for u in (Descend(), update(), update(statistics="both")))
    assert [int(s["network.1.num_batches_tracked"]) for s in (plain, first, both)] == [1, 1, 2]
    assert first["network.1.running_mean"].equal(plain["network.1.running_mean"])
    assert not both["network.1.running_mean"].equal(plain["network.1.running_mean"])
    assert both["network.0.weight"].equal(first["network.0.weight"])  # batch statistics in either


def test_an_overflow_does_not_reach_the_statistics_of_the_second_pass() -> None:
    learner = SupervisedLearner(network(), CrossEntropyLoss())
    learner.network.get_parameter("0.weight").register_hook(lambda g: g * float("inf"))
    SAM(0.5, statistics="both")(learner, batch(), _sgd(learner), 0.0)
    assert learner.network.get_buffer("1.running_mean").isfinite().all()


def _sgd(learner: SupervisedLearner) -> torch.optim.SGD:
    return torch.optim.SGD(learner.parameters(), lr=0.1)


def test_parameters_are_restored_where_the_second_pass_fails() -> None:
    learner = small()
    before, calls = flat(learner), []

    def fails(module: Any, inputs: Any) -> None:
        calls.append(1)
        if len(calls) == 2:
            raise RuntimeError("as planned")

    learner.network.register_forward_pre_hook(fails)
    with pytest.raises(RuntimeError, match="as planned"):
        after(SAM(0.5), learner)
    assert flat(learner) == before


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: SAM(-0.1), "rho must be >= 0, got -0.1"),
        (lambda: SAM(0.1, eta=0.1), "eta must be 0 where adaptive is False, got 0.1; pass adaptive=True"),
        (lambda: SAM(0.1, adaptive=True, eta=-1.0), "eta must be >= 0"),
        (lambda: SAM(0.1, statistics="last"), 'statistics must be "first" or "both", got \'last\''),
        (lambda: ImbSAM(torch.zeros(3, dtype=torch.bool)), r"tail must be bool \(C,\) and name a class at least"),
        (lambda: ImbSAM(torch.ones(3)), r"tail must be bool \(C,\)"),
        (lambda: ImbSAM(TAIL, weight=0.0), "weight must be > 0, got 0.0"),
        (lambda: ByClass(torch.tensor([1.0, -1.0])), "weights must be numbers >= 0, one per class"),
        (lambda: ByRow(torch.tensor([1.0, -1.0])), "weights must be numbers >= 0, one per training row"),
    ],
)
def test_what_is_out_of_range_is_refused(make: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()


def test_soft_targets_are_weighed_by_their_likeliest_class() -> None:
    soft = torch.full((12, 3), 0.2).scatter(1, batch()["targets"].unsqueeze(1), 0.6)
    rows = Batch({**batch(), "targets": soft})  # type: ignore[typeddict-item]
    learner = SupervisedLearner(network(), losses.CrossEntropyLoss())
    step = SAM(0.1, ascent=ByClass(WEIGHTS))(learner, rows, _sgd(learner), 0.0)
    assert step.targets is not None
    assert step.targets.equal(batch()["targets"])
