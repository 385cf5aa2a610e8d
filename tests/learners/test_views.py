"""Two views and their blends by hand: the loss, its gradient, what the targets see, and what strength means."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from tests.functional import partial_and_contrast_formulas as formulas

from longtail.facts.types import Batch, Mixed, Outputs
from longtail.functional import consistent_candidates
from longtail.learners import ViewsLearner
from longtail.models import Network, Standardize
from longtail.targets import Confidences
from longtail.updates import Descend

CANDIDATES = torch.tensor([[1, 1, 0], [1, 0, 0], [1, 1, 1], [0, 1, 1], [1, 0, 1]]).bool()
PARTNER, SHARE = torch.tensor([2, 0, 3, 1]), 0.3
ROWS = [0, 2, 3, 4]


def criterion(views: Any, q: Any, candidates: Any, progress: Any) -> Any:
    return consistent_candidates(views, q, candidates)


def batch(mixing: bool) -> Batch:
    generator = torch.Generator().manual_seed(0)
    weak, strong = (torch.randn(4, 2, generator=generator, dtype=torch.float64) for _ in range(2))
    index = torch.tensor(ROWS)
    given = Batch(inputs=(weak, strong), index=index, targets=CANDIDATES[index])
    if mixing:
        given["mixing"] = Mixed(PARTNER, torch.tensor(SHARE, dtype=torch.float64), torch.tensor(0.0))
    return given


def learner(mixup: float = 0.0, start: float = 0.0) -> ViewsLearner:
    torch.manual_seed(0)
    head: Any = torch.nn.Linear(2, 3)
    network = Network(Standardize(2), torch.nn.Identity(), head).double()
    return ViewsLearner(network, criterion, Confidences(CANDIDATES), mixup=mixup, start=start)


def by_hand(one: ViewsLearner, given: Batch, mixup: float) -> float:
    head: Any = one.network.head
    w, b = head.weight.detach().numpy(), head.bias.detach().numpy()
    views = np.stack([view.numpy() for view in given["inputs"]], 1)  # (B, V, D)
    q = (CANDIDATES / CANDIDATES.sum(1, keepdim=True)).numpy()[ROWS].astype(np.float64)
    sets = CANDIDATES.numpy()[ROWS]
    rows = zip((views @ w.T + b).tolist(), q.tolist(), sets.tolist(), strict=True)
    total = np.mean([formulas.corr_loss(*row, 1.0) for row in rows])
    if mixup:
        larger = max(SHARE, 1 - SHARE)
        partner = PARTNER.numpy()
        blended = larger * views + (1 - larger) * views[partner]
        q = larger * q + (1 - larger) * q[partner]
        sets = sets | sets[partner]
        rows = zip((blended @ w.T + b).tolist(), q.tolist(), sets.tolist(), strict=True)
        total += mixup * np.mean([formulas.corr_loss(*row, 1.0) for row in rows])
    return float(total)


@pytest.mark.parametrize("mixup", [0.0, 0.7])
def test_a_step_is_the_papers(mixup: float) -> None:
    one, given = learner(mixup), batch(mixup > 0)
    expected = by_hand(one, given, mixup)
    head: Any = one.network.head
    w, b = head.weight.detach().clone(), head.bias.detach().clone()
    step = Descend()(one, given, torch.optim.SGD(one.parameters(), lr=0.1), 0.0)
    one.after_update(given, step, 0.0)
    assert step.loss.item() == pytest.approx(expected, rel=1e-6)
    views = [(view @ w.T + b).tolist() for view in given["inputs"]]
    for i, row in enumerate(ROWS):
        q = formulas.corr_update([views[0][i], views[1][i]], CANDIDATES[row].tolist())
        assert one.targets.confidence[row].tolist() == pytest.approx(q, rel=1e-5)
    assert one.targets.confidence[1].tolist() == [1.0, 0.0, 0.0], "other rows stay"


def test_the_targets_see_the_mean_over_the_views_without_the_blends() -> None:
    seen: list[Outputs] = []
    one, given = learner(0.5), batch(True)
    one.targets.register_forward_pre_hook(lambda module, arguments: seen.append(arguments[1]))
    one.training_step(given, 0.0)
    weak, strong = given["inputs"]
    torch.testing.assert_close(seen[0].features, (weak + strong) / 2)
    torch.testing.assert_close(seen[0].logits, one.network.head((weak + strong) / 2))
    assert not seen[0].logits.requires_grad


def test_blends_count_from_start_on() -> None:
    without = learner().training_step(batch(False), 0.4).loss
    for progress in (0.4, torch.tensor(0.4)):
        torch.testing.assert_close(learner(0.7, start=0.5).training_step(batch(True), progress).loss, without)
    for progress in (0.5, torch.tensor(0.5)):
        assert learner(0.7, start=0.5).training_step(batch(True), progress).loss > without + 0.1


@pytest.mark.parametrize("mixup", [0.0, 0.7])
def test_a_row_of_weight_two_is_two_rows(mixup: float) -> None:
    one, given = learner(mixup), batch(mixup > 0)
    weight = torch.tensor([2.0, 1.0, 1.0, 1.0])
    weighted = one.training_step(Batch(**given, sample_weight=weight), 0.0).loss
    losses = one.training_step(given, 0.0).losses
    assert losses is not None
    plain = (losses * weight).sum() / 5
    if not mixup:
        torch.testing.assert_close(weighted, plain)
    else:
        assert weighted > plain
