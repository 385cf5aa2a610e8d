"""AUM from a training loop, by hand; threshold samples; what one training records changes nothing else."""

import math
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import longtail as lt
from longtail.data import Examples, TrainingSet, load
from longtail.data.split.folds import Folds
from longtail.data.split.search import pool_of_training_part
from longtail.engine import Recipe, Training
from longtail.labels import Margins, below_threshold, threshold_samples
from longtail.labels.out_of_sample import out_of_sample
from longtail.labels.recorded import margins_in, recorded
from longtail.learners import SupervisedLearner
from longtail.methods import method
from longtail.runs.fit import Fit

TINY = Recipe(model="mlp", model_args={"hidden": [8]}, epochs=4, batch_size=16)


def blobs(seed: int = 0) -> Examples:
    generator = torch.Generator().manual_seed(seed)
    targets = torch.tensor([0] * 30 + [1] * 12 + [2] * 6)
    inputs = torch.randn(48, 5, generator=generator) + 2 * F.one_hot(targets, 5)
    return Examples(inputs, targets, ("a", "b", "c"))


def by_hand(steps: list[tuple[list[int], list[list[float]], list[int]]], n: int) -> tuple[list[float], list[float]]:
    """Mean margin and mean loss of every row over all steps, one row at a time."""
    margins: list[list[float]] = [[] for _ in range(n)]
    losses: list[list[float]] = [[] for _ in range(n)]
    for index, logits, labels in steps:
        for row, z, y in zip(index, logits, labels, strict=True):
            margins[row].append(z[y] - max(v for j, v in enumerate(z) if j != y))
            losses[row].append(math.log(sum(math.exp(v) for v in z)) - z[y])
    return [sum(m) / len(m) for m in margins], [sum(m) / len(m) for m in losses]


class TestOwnLoop:
    def test_the_mean_margin_of_a_training_is_that_by_hand(self) -> None:
        data, network = blobs(), nn.Linear(5, 3)
        optimizer = torch.optim.SGD(network.parameters(), 0.1)
        margins, steps = lt.labels.Margins(len(data)), []
        for epoch in range(3):
            order = torch.randperm(48, generator=torch.Generator().manual_seed(epoch))
            for index in order.split(16):
                logits, labels = network(data.inputs[index]), data.targets[index]
                margins.update(index, logits.detach(), labels)
                steps.append((index.tolist(), logits.double().tolist(), labels.tolist()))
                optimizer.zero_grad()
                F.cross_entropy(logits, labels).backward()
                optimizer.step()
        aum, loss = by_hand(steps, 48)
        torch.testing.assert_close(margins.aum(), torch.tensor(aum, dtype=torch.float64))
        torch.testing.assert_close(margins.loss(), torch.tensor(loss, dtype=torch.float64))
        assert margins.measured.tolist() == [3] * 48

    def test_a_row_may_be_visited_twice_in_a_batch_or_never(self) -> None:
        margins = Margins(3)
        logits = torch.tensor([[1.0, 0.0, 0.5], [0.0, 2.0, 0.5], [3.0, 0.0, 0.0]])
        margins.update(torch.tensor([0, 0, 1]), logits, torch.tensor([0, 0, 1]))
        assert margins.aum()[:2].tolist() == [(0.5 - 2.0) / 2, -3.0]
        assert margins.negative.tolist() == [1, 1, 0]
        assert math.isnan(margins.aum()[2])

    def test_its_state_goes_on(self) -> None:
        first, second = Margins(4), Margins(4)
        first.update(torch.arange(4), torch.randn(4, 3), torch.tensor([0, 1, 2, 0]))
        second.load_state_dict(first.state_dict())
        assert torch.equal(first.aum(), second.aum())

    def test_no_rows_are_refused(self) -> None:
        with pytest.raises(ValueError, match="n must be >= 1, got 0"):
            Margins(0)


class TestThresholdSamples:
    def test_runs_draw_disjoint_rows(self) -> None:
        labels = torch.zeros(103, dtype=torch.int64)
        runs = [threshold_samples(labels, 10, run=run, seed=3) for run in range(10)]
        assert all(len(rows) == 10 for rows in runs)
        assert len(torch.cat(runs).unique()) == 100

    def test_a_row_is_named_if_it_is_below_the_99th_percentile_in_every_run_that_counts(self) -> None:
        aum = torch.arange(200, dtype=torch.float64)
        first, second = torch.arange(0, 200, 2), torch.arange(1, 200, 2)
        named = below_threshold([aum, aum], [first, second])
        # run 1: more than one of 100 samples above, so below 196; run 2: below 197; its own samples do not count
        expected = [
            all(sum(s > i for s in samples) > 1 for samples in (range(0, 200, 2), range(1, 200, 2)) if i not in samples)
            for i in range(200)
        ]
        assert named.tolist() == expected
        assert not below_threshold([aum], [torch.arange(200)]).any()  # no run counts

    def test_too_few_rows_or_too_many_runs_are_refused(self) -> None:
        with pytest.raises(ValueError, match="threshold samples need a row per class"):
            threshold_samples(torch.zeros(3), 5)
        with pytest.raises(ValueError, match=r"a run in \[0, 5\), got 10 rows, run 5"):
            threshold_samples(torch.zeros(10), 5, run=5)


class TestRecorded:
    def train(self, resume: dict[str, Any] | None = None, *, plain: bool = False) -> Training:
        chosen = method("ce") if plain else recorded(method("ce"))
        return Training(chosen.stages(TINY), TrainingSet(blobs()), seed=1, resume=resume)

    def test_the_margins_of_a_training_are_those_of_its_own_passes(self, monkeypatch: pytest.MonkeyPatch) -> None:
        steps, original = [], SupervisedLearner.training_step

        def noted(self: Any, batch: Any, progress: Any) -> Any:
            step = original(self, batch, progress)
            assert self.training
            steps.append((batch["index"].tolist(), step.outputs.logits.double().tolist(), batch["targets"].tolist()))
            return step

        monkeypatch.setattr(SupervisedLearner, "training_step", noted)
        training = self.train()
        list(training)
        aum, loss = by_hand(steps, 48)
        margins = margins_in(training.learner.state_dict())
        assert margins is not None
        torch.testing.assert_close(margins.aum(), torch.tensor(aum, dtype=torch.float64))
        torch.testing.assert_close(margins.loss(), torch.tensor(loss, dtype=torch.float64))

    def test_the_training_is_the_same_to_the_byte(self) -> None:
        plain, with_margins = self.train(plain=True), self.train()
        list(plain), list(with_margins)
        for name, value in plain.learner.network.state_dict().items():  # type: ignore[union-attr, operator]
            assert torch.equal(value, with_margins.learner.state_dict()[f"network.{name}"]), name

    def test_an_interrupted_training_ends_with_the_same_records(self) -> None:
        whole, first = self.train(), self.train()
        list(whole)
        next(first), next(first)
        resumed = self.train(first.state())
        list(resumed)
        ends = [margins_in(one.learner.state_dict()) for one in (whole, resumed)]
        assert ends[0] is not None
        assert ends[1] is not None
        for name, value in ends[0].state_dict().items():
            assert torch.equal(value, ends[1].state_dict()[name]), name

    def test_methods_without_steps_or_with_mixed_rows_record_nothing(self) -> None:
        for spec in ("logistic", "mixup"):
            chosen = recorded(method(spec))
            training = Training(chosen.stages(TINY), TrainingSet(blobs()), seed=1)
            list(training)
            assert margins_in(training.learner.state_dict()) is None, spec


class TestOutOfSample:
    def folds(self) -> Folds:
        return Folds(pool_of_training_part(load(blobs().inputs.numpy(), blobs().targets.numpy())), 3)

    def test_every_row_is_predicted_by_the_training_that_did_not_see_it(self, tmp_path: Path) -> None:
        folds = self.folds()
        evidence = out_of_sample(method("ce"), folds, folder=tmp_path, recipe=TINY)
        assert evidence.margins is not None
        for j in range(3):
            rows = torch.from_numpy(evidence.fold) == j
            fit = Fit("ce", folds.splits(0, j), recipe=TINY)
            list(fit)
            logits: Tensor = fit.learner.eval().predict(folds.splits(0, j).test.inputs)  # type: ignore[union-attr]
            expected = logits.double().softmax(1)
            torch.testing.assert_close(torch.from_numpy(evidence.probabilities)[rows], expected, rtol=1e-5, atol=1e-6)
            assert torch.from_numpy(evidence.margins)[rows, j].isnan().all()
        assert (evidence.measured == 2 * TINY.epochs).all()

    def test_killed_and_started_again_it_ends_with_the_same_evidence_and_trains_nothing_twice(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        folds = self.folds()
        whole = out_of_sample(method("ce"), folds, folder=tmp_path / "whole", recipe=TINY)
        begun = Fit(recorded(method("ce")), folds.splits(0, 0), recipe=TINY, folder=tmp_path / "work" / "fold-0")
        next(begun), next(begun)
        begun.close()
        again = out_of_sample(method("ce"), folds, folder=tmp_path / "work", recipe=TINY)
        monkeypatch.setattr(Training, "_one_epoch", lambda *_: pytest.fail("it trained again"))
        third = out_of_sample(method("ce"), folds, folder=tmp_path / "work", recipe=TINY)
        for other in (again, third):
            assert other.probabilities.tobytes() == whole.probabilities.tobytes()
            assert other.margins is not None
            assert whole.margins is not None
            assert other.margins.tobytes() == whole.margins.tobytes()


@pytest.mark.parametrize(("rows", "logits", "labels"), [(2, (1, 3), 1), (1, (1, 3), 2), (1, (1, 1), 1), (1, (3,), 1)])
def test_a_batch_of_other_shapes_is_refused_by_name(rows: int, logits: tuple[int, ...], labels: int) -> None:
    with pytest.raises(ValueError, match=r"^index, logits and labels must have shapes \(B,\), \(B, C\) and \(B,\)"):
        Margins(5).update(torch.arange(rows), torch.zeros(logits), torch.zeros(labels, dtype=torch.int64))
