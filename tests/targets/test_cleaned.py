"""Labels corrected once an epoch: what is taught in each phase, by loops; what is frozen, counted, refused."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from tests.functional import prototype_formulas as formulas
from torch import Tensor

from longtail.data import Examples
from longtail.facts.types import Batch, Outputs
from longtail.targets import Cleaned

N, C = 30, 3
CLASSES = ("a", "b", "c")


def rows(weight: Tensor | None = None) -> Examples:
    generator = torch.Generator().manual_seed(0)
    targets = torch.tensor([0] * 15 + [1] * 9 + [2] * 6)
    return Examples(torch.randn(N, 4, generator=generator), targets, CLASSES, sample_weight=weight)


def passes(number: int) -> list[Outputs]:
    """What the network says before each epoch: features near the classes, some near another one."""
    found, y = [], rows().targets
    for epoch in range(number):
        generator = torch.Generator().manual_seed(epoch)
        near = (y + (torch.rand(N, generator=generator) < 0.25)) % C
        features = torch.randn(N, 4, generator=generator) + 3 * torch.eye(4)[near]
        found.append(Outputs(torch.randn(N, C, generator=generator), features))
    return found


class Loops:
    """The same by loops over rows, in Python's floats."""

    def __init__(self, **knobs: float) -> None:
        self.erm, self.ncm, self.given, self.start, self.m = 0.4, 0.2, 0.2, 0.4, 0.6
        self.at, self.surrogate = 1.0, 0.5
        vars(self).update(knobs)
        self.frozen: list[int] | None = None
        self.averages: list[Any] = []

    def epoch(self, shown: Outputs, progress: float) -> tuple[list[list[float]], list[int] | None, list[bool]]:
        assert shown.features is not None
        y: list[int] = rows().targets.tolist()
        z, clean = formulas.judged(shown.features.double().tolist(), y, C)
        new = [shown.logits.tolist(), z]
        if self.averages:
            self.averages = [
                [[self.m * a + (1 - self.m) * b for a, b in zip(*pair, strict=True)] for pair in zip(*two, strict=True)]
                for two in zip(self.averages, new, strict=True)
            ]
        else:
            self.averages = new
        a, b = ([max(range(C), key=row.__getitem__) for row in average] for average in self.averages)
        hot = [[float(k == y[i]) for k in range(C)] for i in range(N)]
        if progress < min(self.start, self.at):
            return hot, None, clean
        present = [y[i] if clean[i] else a[i] for i in range(N)]
        if progress >= self.at:
            self.frozen = self.frozen or present
            present = self.frozen
        taught = []
        for i in range(N):
            if progress >= self.at:
                q = [(1 - self.surrogate) * (hot[i][k] if clean[i] else 1 / C) for k in range(C)]
                q[present[i]] += self.surrogate
            elif clean[i]:
                q = hot[i]
            else:
                q = [(1 - self.erm - self.ncm - self.given) / C] * C
                for label, mass in ((a[i], self.erm), (b[i], self.ncm), (y[i], self.given)):
                    q[label] += mass
            taught.append(q)
        return taught, [present.count(k) for k in range(C)], clean


@pytest.mark.parametrize(
    "knobs",
    [
        {},
        {"at": 0.8},
        {"erm": 0.1, "ncm": 0.7, "given": 0.05, "momentum": 0.0},
        {"at": 0.5, "surrogate": 0.3, "start": 0.2},
        {"start": 1.0, "at": 0.5},
    ],
)
def test_every_phase_is_the_loop(knobs: dict[str, float]) -> None:
    targets = Cleaned(rows().targets, C, **knobs)
    loops = Loops(**{"m" if name == "momentum" else name: value for name, value in knobs.items()})
    index, seen = torch.arange(N), set()
    for epoch, shown in enumerate(passes(10)):
        counts = targets.refresh_with(lambda shown=shown: shown, rows(), epoch / 10)
        taught, expected, clean = loops.epoch(shown, epoch / 10)
        q, weight = targets(Batch(inputs=index, index=index.flip(0), targets=rows().targets.flip(0)), shown, epoch / 10)
        torch.testing.assert_close(targets.labels, torch.tensor(taught), rtol=1e-5, atol=1e-6)
        if epoch / 10 < loops.at:
            torch.testing.assert_close(q.flip(0), targets.labels)
            assert weight is None if loops.at >= 1 else weight.eq(1).all()
        assert (None if counts is None else counts.tolist()) == expected
        of_class = [sum(c for c, k in zip(clean, rows().targets.tolist(), strict=True) if k == j) for j in range(C)]
        assert targets.epoch_record() == {"clean": sum(clean), "clean_per_class": of_class}
        seen.add(tuple(clean))
    assert len(seen) > 5  # the judgement is a new one in every epoch


def test_the_labels_are_frozen_and_the_judgement_is_not() -> None:
    targets = Cleaned(rows().targets, C, at=0.5)
    found = []
    for epoch, shown in enumerate(passes(6)):
        targets.refresh_with(lambda shown=shown: shown, rows(), epoch / 6)
        found.append((targets.frozen.clone(), targets.clean.clone()))
    assert (found[2][0] == -1).all()
    assert all(frozen.equal(found[3][0]) for frozen, _ in found[3:])
    assert (found[3][0] >= 0).all()
    assert not found[3][1].equal(found[5][1])


def test_a_state_that_is_loaded_after_any_epoch_goes_on_the_same() -> None:
    whole = Cleaned(rows().targets, C, at=0.8)
    for epoch, shown in enumerate(passes(5)):
        again = Cleaned(rows().targets, C, at=0.8)
        again.load_state_dict(whole.state_dict())
        for targets in (whole, again):
            counts = targets.refresh_with(lambda shown=shown: shown, rows(), epoch / 5)
            assert counts is None or counts.sum() == N
        assert all(value.equal(again.state_dict()[name]) for name, value in whole.state_dict().items())


@pytest.mark.parametrize("knobs", [{"start": 1.0}, {"erm": 0.0, "ncm": 0.0, "given": 1.0}])
def test_where_no_row_is_taught_otherwise_targets_are_the_given_labels_and_rows_are_judged(knobs: Any) -> None:
    targets = Cleaned(rows().targets, C, **knobs)
    batch = Batch(inputs=torch.zeros(2), index=torch.tensor([3, 29]), targets=torch.tensor([0, 2]))
    for epoch, shown in enumerate(passes(5)):
        assert targets.refresh_with(lambda shown=shown: shown, rows(), epoch / 5) is None
        assert targets(batch, shown, epoch / 10)[0] is batch["targets"]
    assert 0 < targets.epoch_record()["clean"] < N


def test_counts_are_of_weights_where_rows_have_them() -> None:
    weight = torch.arange(1.0, N + 1)
    targets = Cleaned(rows().targets, C, start=0.0)
    (shown,) = passes(1)
    counts = targets.refresh_with(lambda: shown, rows(weight), 0.0)
    present = torch.where(targets.clean, rows().targets, shown.logits.argmax(1))
    assert counts is not None
    assert counts.tolist() == [float(weight[present == k].sum()) for k in range(C)]
    assert targets.epoch_record()["clean"] == int(targets.clean.sum())


def test_smoothing_is_that_of_the_loss() -> None:
    plain, smooth = Cleaned(rows().targets, C, start=0.5), Cleaned(rows().targets, C, start=0.5, smoothing=0.3)
    for epoch, shown in enumerate(passes(2)):
        for targets in (plain, smooth):
            targets.refresh_with(lambda shown=shown: shown, rows(), epoch / 2)
        torch.testing.assert_close(smooth.labels, 0.7 * plain.labels + 0.1)


def test_classes_without_rows_and_rows_alone_do_no_harm() -> None:
    data = Examples(torch.randn(9, 4), torch.tensor([0] * 8 + [2]), ("a", "b", "c", "d"))
    targets = Cleaned(data.targets, 4, start=0.0)
    for seed in range(3):
        generator = torch.Generator().manual_seed(seed)
        shown = Outputs(torch.randn(9, 4, generator=generator), torch.randn(9, 5, generator=generator))
        targets.refresh_with(lambda shown=shown: shown, data, seed / 3)
    assert targets.labels.isfinite().all()
    torch.testing.assert_close(targets.labels.sum(1), torch.ones(9))
    assert (targets.ncm[:, [1, 3]] == -torch.inf).all()
    assert not targets.ncm.isnan().any()


def test_features_are_needed_and_so_is_a_network() -> None:
    targets = Cleaned(rows().targets, C)
    for features, got in ((None, "none"), (torch.zeros(N, 2, 2), r"shape \(30, 2, 2\)")):
        with pytest.raises(ValueError, match=rf"network must give features \(N, D\) of every row, got {got}; choose"):
            targets.refresh_with(lambda features=features: Outputs(torch.zeros(N, C), features), rows(), 0.0)
    with pytest.raises(TypeError, match="Cleaned needs the outputs of all rows, got none; let a SupervisedLearner"):
        targets.refresh(rows(), 0.0)
    assert "erm=0.4, ncm=0.2, given=0.2, start=0.4" in repr(targets)


@pytest.mark.parametrize("weighted", [False, True])
def test_class_weights_are_of_each_label_of_the_mixture_by_itself(weighted: bool) -> None:
    """sum_i w l / sum_i w for s and for each class k, of losses l(i, k) that are any numbers."""
    targets = Cleaned(rows().targets, C, at=0.0, surrogate=0.3, class_weight="inverse")
    (shown,) = passes(1)
    counts = targets.refresh_with(lambda: shown, rows(), 0.0)
    assert counts is not None
    w = [C / n / sum(1 / m for m in counts.tolist()) for n in counts.tolist()]
    index = torch.randperm(N, generator=torch.Generator().manual_seed(1))[:13]
    losses = torch.rand(13, C, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    v = torch.arange(13.0) if weighted else torch.ones(13)
    batch = Batch(inputs=index, index=index, targets=rows().targets[index])
    if weighted:
        batch["sample_weight"] = v
    y, s, clean = (values[index].tolist() for values in (rows().targets, targets.frozen, targets.clean))

    def mean(labels: list[int]) -> float:
        omega = [float(v[i]) * w[k] for i, k in enumerate(labels)]
        return sum(a * float(losses[i, k]) for i, (a, k) in enumerate(zip(omega, labels, strict=True))) / sum(omega)

    uniform = [mean([y[i] if clean[i] else k for i in range(13)]) for k in range(C)]
    expected = 0.3 * mean(s) + 0.7 * sum(uniform) / C
    q, weight = targets(batch, shown, 0.0)
    assert weight is not None
    torch.testing.assert_close(q.sum(1), torch.ones(13))
    found = (v * weight * (q * losses).sum(1)).sum() / (v * weight).sum()
    assert float(found) == pytest.approx(expected, rel=1e-5)
    assert float((v * weight).sum() / v.sum()) == pytest.approx(1, rel=1e-5)
    assert not all(clean)
