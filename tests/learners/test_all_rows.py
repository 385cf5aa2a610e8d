"""A pass over all rows: what the network says of them as they are; nothing of it changes, and targets get it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from tests.learners.test_supervised import Deep
from torch import Tensor, nn

from longtail.data import Examples, together
from longtail.facts.types import Batch, Outputs, Progress
from longtail.learners import SupervisedLearner
from longtail.learners import all_rows as module
from longtail.learners.all_rows import all_outputs
from longtail.losses import CrossEntropyLoss, LDAMLoss
from longtail.targets import Given


def rows(number: int = 11) -> Examples:
    generator = torch.Generator().manual_seed(0)
    targets = torch.arange(number) % 3
    return Examples(torch.randn(number, 4, generator=generator), targets, ("a", "b", "c"))


def test_it_is_the_evaluated_network_row_by_row_in_any_chunks(monkeypatch: Any) -> None:
    network, data = Deep(), rows()
    network(data.inputs)  # batch norm has seen something
    network.train()
    network.head.eval()  # a frozen part
    before = {name: value.clone() for name, value in network.state_dict().items()}
    monkeypatch.setattr(module, "CHUNK", 4)
    found = all_outputs(network, data)
    assert network.training
    assert network.body[1].training
    assert not network.head.training
    assert all(value.equal(before[name]) for name, value in network.state_dict().items())
    expected = network.eval()(data.inputs)
    torch.testing.assert_close(found.logits, expected.logits)
    torch.testing.assert_close(found.features, expected.features)
    assert not found.logits.requires_grad


def test_changed_views_and_further_sources_are_left_out() -> None:
    network, data = Deep(), rows()
    noisy = replace(data, augment=lambda x, generator: x + 100)
    expected = all_outputs(network, data).logits
    assert all_outputs(network, together(noisy, meta=rows(5))).logits.equal(expected)
    assert all_outputs(nn.Linear(4, 3), data).features is None


class Asking(Given):
    """Asks for the outputs from half of the training on, and answers with counts."""

    def __init__(self, counts: Tensor | None) -> None:
        super().__init__()
        self.counts, self.seen = counts, []  # type: ignore[var-annotated]

    def refresh_with(self, outputs: Any, rows: Any, progress: Progress) -> Tensor | None:
        assert isinstance(rows, Examples)
        if progress < 0.5:
            return None
        self.seen.append(outputs())
        return self.counts


class Counting(nn.Module):
    passes = 0

    def __init__(self) -> None:
        super().__init__()
        self.inner = Deep()

    def forward(self, x: Tensor) -> Outputs:
        self.passes += 1
        found: Outputs = self.inner(x)
        return found


def test_targets_that_ask_get_the_outputs_and_others_cost_no_pass() -> None:
    network, data = Counting(), rows()
    SupervisedLearner(network, CrossEntropyLoss()).start_epoch(data, 0.5)
    targets = Asking(None)
    learner = SupervisedLearner(network, CrossEntropyLoss(), targets=targets)
    learner.start_epoch(together(data, meta=rows(5)), 0.0)
    assert network.passes == 0
    learner.start_epoch(together(data, meta=rows(5)), 0.5)
    assert network.passes == 1
    assert targets.seen[0].logits.equal(all_outputs(network, data).logits)


def test_class_counts_that_they_answer_with_are_those_of_the_loss() -> None:
    data = rows()
    learner = SupervisedLearner(Deep(), LDAMLoss([5, 4, 2]), targets=Asking(torch.tensor([3, 7, 1])))
    address = learner.loss.class_counts.data_ptr()
    learner.start_epoch(data, 0.0)
    assert learner.loss.class_counts.tolist() == [5, 4, 2]
    learner.start_epoch(data, 0.5)
    assert learner.loss.class_counts.data_ptr() != address  # by which a CUDA graph knows
    batch = Batch(inputs=data.inputs, targets=data.targets, index=torch.arange(11))
    step = learner.training_step(batch, 0.5)
    expected = LDAMLoss([3, 7, 1])(step.outputs.logits, data.targets)
    torch.testing.assert_close(step.loss.detach(), expected)
    assert not torch.isclose(expected, LDAMLoss([5, 4, 2])(step.outputs.logits, data.targets))


def test_a_loss_without_counts_stays_without() -> None:
    learner = SupervisedLearner(Deep(), CrossEntropyLoss(), targets=Asking(torch.tensor([3, 7, 1])))
    learner.start_epoch(rows(), 0.5)
    assert learner.loss.class_counts is None


def test_of_soft_targets_a_step_names_the_likeliest_class() -> None:
    class Soft(Given):
        def forward(self, batch: Batch, outputs: Outputs, progress: Progress) -> tuple[Tensor, None]:
            return torch.tensor([[0.2, 0.5, 0.3], [0.7, 0.1, 0.2]]), None

    learner = SupervisedLearner(Deep(), CrossEntropyLoss(), targets=Soft())
    step = learner.training_step(Batch(inputs=rows(2).inputs, targets=rows(2).targets, index=torch.arange(2)), 0.0)
    assert step.targets is not None
    assert step.targets.tolist() == [1, 0]
