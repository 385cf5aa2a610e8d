"""CReST: generations of equal length in all, what each of them is trained on, and CReST+'s shares."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from tests.cases import cases
from tests.data.test_mapped import Files
from tests.methods import task_data
from torch import Tensor

from longtail.data import Examples, MappedExamples, TrainingSet
from longtail.data.label_kinds import unlabeled
from longtail.engine import Recipe, Training
from longtail.facts.learner import Inference, Learner
from longtail.facts.types import Outputs
from longtail.methods import method
from longtail.sampling.self_training import rebalancing_rates

RECIPE = Recipe(epochs=7, batch_size=8, lr=0.1, model="mlp", model_args={"hidden": (8,)})
ROWS = TrainingSet.of(task_data.splits("semi-supervised", apart=2.0))
HOSTS = ["fixmatch", "mixmatch", "remixmatch"]


@cases(
    ("epochs", "generations", "lengths"),
    [(7, 3, [2, 2, 3]), (6, 6, [1] * 6), (12, 3, [4, 4, 4]), (3, 4, [1] * 4), (7, 1, [7])],
)
def test_the_recipes_epochs_are_shared_out(epochs: int, generations: int, lengths: list[int]) -> None:
    """With so many steps each as those of all other methods."""
    recipe = replace(RECIPE, epochs=epochs, steps=5)
    stages = method(f"crest(generations={generations})").stages(recipe)
    assert [stage.epochs for stage in stages] == lengths
    assert {stage.steps for stage in stages} == {5}
    assert len({stage.name for stage in stages}) == generations
    assert all(stage.lr(0.99) < stage.lr(0.5) for stage in stages if stage.epochs > 4)


def test_every_generation_has_the_whole_schedule() -> None:
    recipe = replace(RECIPE, epochs=60)
    for stage in method("crest(generations=3)").stages(recipe):
        alone = replace(recipe, epochs=20)
        assert [stage.lr(e / 20) for e in range(20)] == [alone.learning_rate(e / 20) for e in range(20)]


@pytest.mark.parametrize("host", HOSTS)
def test_a_generation_is_trained_anew_on_the_rows_that_the_one_before_chose(host: str) -> None:
    assert ROWS.unlabeled is not None
    first, second, third = method(f"crest(base={host!r}, generations=3, root=2.0)").stages(RECIPE)
    training = Training([first], ROWS)
    list(training)
    trained: Any = training.learner
    before = {name: value.clone() for name, value in trained.state_dict().items()}
    assert trained.training
    torch.manual_seed(1)
    built: Any = second.build(ROWS, trained)
    assert trained.training, "the learner of the stage before is as it was"
    assert all(value.equal(before[name]) for name, value in trained.state_dict().items())

    trained.eval()
    scores = trained.average(ROWS.unlabeled.inputs).logits.detach().double().softmax(1)
    counts, chosen = ROWS.class_counts, []
    rates = rebalancing_rates(counts, 2.0).tolist()
    labels = scores.argmax(1)
    for k in range(3):
        mine = sorted(torch.nonzero(labels == k).flatten().tolist(), key=lambda i: -scores[i, k].item())
        chosen += mine[: int(rates[k] * len(mine) + 1e-9)]
    rows, size = built.data.main, len(ROWS.labeled)
    assert 0 < len(chosen) < len(ROWS.unlabeled)
    assert rows.inputs[:size].equal(ROWS.labeled.inputs)
    assert rows.inputs[size:].equal(ROWS.unlabeled.inputs[sorted(chosen)])
    assert rows.targets.equal(torch.cat([ROWS.labeled.targets, labels[sorted(chosen)]]))
    assert built.data.unlabeled.inputs.equal(ROWS.unlabeled.inputs), "rows without labels are all of them, as before"

    torch.manual_seed(1)
    plain: Any = method(host).stages(RECIPE)[0].build(ROWS, None).learner
    weights = [name for name, _ in built.learner.network.named_parameters() if not name.startswith("standardize")]
    for name in weights:
        assert built.learner.network.get_parameter(name).equal(plain.network.get_parameter(name)), "a new network"
        assert built.learner.average.get_parameter(name).equal(plain.average.get_parameter(name)), "a new average"
    assert built.learner.steps == 0
    assert built.data.steps() == first.build(ROWS, None).data.steps() == -(-size // 8), "with more rows no more steps"
    # the next choice is made anew
    again: Any = third.build(ROWS, trained)
    assert again.data.main.targets.equal(rows.targets)


def test_above_all_it_is_rows_of_rare_classes_that_join() -> None:
    class Known(Learner):
        """Predicts each class for a third of the rows."""

        def __init__(self) -> None:
            super().__init__()
            self.weight = torch.nn.Parameter(torch.zeros(()))

        def training_step(self, batch: Any, progress: Any) -> Any: ...

        def inference(self) -> Inference:
            return Inference(lambda x: Outputs(10 * torch.eye(3)[(x[:, 0].long() % 3)]))  # type: ignore[arg-type]

    rows = Examples(torch.arange(300.0)[:, None], unlabeled(300), ("a", "b", "c"))
    labels = torch.repeat_interleave(torch.arange(3), torch.tensor([64, 8, 1]))
    data = TrainingSet(Examples(torch.zeros(73, 1), labels, ("a", "b", "c")), rows)
    built: Any = method("crest(generations=2)").stages(RECIPE)[1].build(data, Known())
    assert (built.data.class_counts - data.class_counts).tolist() == [25, 50, 100]


def test_weights_of_rows_and_rows_that_are_read_one_by_one() -> None:
    weight = torch.tensor([2.0, 1.0])
    labelled = replace(ROWS.labeled.take(torch.tensor([0, 1])), sample_weight=weight)
    joined = TrainingSet(labelled, ROWS.unlabeled).with_labels(torch.tensor([3, 5]), torch.tensor([1, 2])).labeled
    assert joined.sample_weight is not None
    assert joined.sample_weight.tolist() == [2.0, 1.0, 1.0, 1.0]
    assert joined.targets.tolist() == [*labelled.targets.tolist(), 1, 2]

    images = torch.randint(256, (12, 3, 4, 4), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    files = Files(images, labels=torch.zeros(12, dtype=torch.int64))  # whose own labels are others
    ours = MappedExamples(files, torch.zeros(4, dtype=torch.int64), ("a", "b"), identity="x", rows=torch.arange(4))
    rest = MappedExamples(files, unlabeled(8), ("a", "b"), identity="x", rows=torch.arange(4, 12))
    mapped = TrainingSet(ours, rest).with_labels(torch.tensor([1, 7]), torch.tensor([1, 0])).labeled
    batch = mapped.batch(torch.tensor([4, 5, 0]))
    assert isinstance(batch["inputs"], Tensor)
    assert batch["inputs"].equal(images[[5, 11, 0]])
    assert batch["targets"].tolist() == [1, 0, 0]
    with pytest.raises(ValueError, match="unlabeled rows must lie in memory where the labelled rows do"):
        method("crest").stages(RECIPE)[0].build(TrainingSet(ours, ROWS.unlabeled), None)


@pytest.mark.parametrize("base", ["remixmatch", "darp", "darp(totals='em')"])
def test_class_shares_are_those_of_the_labels_that_were_given(base: str) -> None:
    """Rows of rare classes that join are no reason to expect more of them among the rows without labels."""
    first, *_, last = method(f"crest(base={base!r}, generations=3)").stages(RECIPE)
    training = Training([first], ROWS)
    list(training)
    built: Any = last.build(ROWS, training.learner)
    counts = ROWS.class_counts.double()
    assert not torch.allclose(built.data.class_counts.double() / len(built.data), counts / counts.sum(), atol=0.01)
    if base == "remixmatch":
        torch.testing.assert_close(built.learner.guess.align.shares, (counts / counts.sum()).float())
    else:
        assert built.learner.targets.totals.equal(counts)


def test_rows_that_join_twice_leave_the_given_ones_as_they_were() -> None:
    once = ROWS.with_labels(torch.tensor([0, 3]), torch.tensor([2, 2]))
    twice = once.with_labels(torch.tensor([5]), torch.tensor([1]))
    assert ROWS.given_counts.equal(ROWS.class_counts)
    for data in (once, twice):
        assert data.given is ROWS.labeled
        assert data.given_counts.equal(ROWS.class_counts)
        assert not data.class_counts.equal(ROWS.class_counts)


def test_the_shares_of_crest_plus_become_more_equal() -> None:
    shares = ROWS.class_counts.double() / ROWS.class_counts.sum()
    stages = method("crest-plus(generations=3, last=0.25)").stages(RECIPE)
    previous: Learner | None = None
    for stage, t in zip(stages, (1.0, 0.625, 0.25), strict=True):
        learner: Any = stage.build(ROWS, previous).learner
        expected = shares**t / (shares**t).sum()
        torch.testing.assert_close(learner.targets.alignment.shares.double(), expected, rtol=1e-5, atol=1e-6)
        previous = learner
        q = torch.tensor([[0.5, 0.3, 0.2], [0.1, 0.1, 0.8]])
        aligned = q * (expected.float() + 1e-6) / (q.mean(0) + 1e-6)
        torch.testing.assert_close(
            learner.targets({}, q, Outputs(q[None]), 0.0), aligned / aligned.sum(1, keepdim=True), rtol=1e-4, atol=1e-5
        )


def test_a_choice_of_many_rows_needs_no_scores_of_all_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    """The network sees the rows without labels in chunks."""
    training = Training([method("crest(generations=2)").stages(RECIPE)[0]], ROWS)
    list(training)
    sizes: list[int] = []
    predict = Learner.predict
    monkeypatch.setattr(Learner, "predict", lambda self, x: (sizes.append(len(x)), predict(self, x))[1])
    monkeypatch.setattr("longtail.catalogue.features.CHUNK", 16)
    method("crest(generations=2)").stages(RECIPE)[1].build(ROWS, training.learner)
    assert ROWS.unlabeled is not None
    assert max(sizes) == 16
    assert sum(sizes) == len(ROWS.unlabeled)


def test_rows_that_are_read_one_by_one_give_the_same_training() -> None:
    images = torch.randint(256, (40, 3, 8, 8), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    labels, names = torch.arange(12) % 3, ("a", "b", "c")
    images[:12] //= 1 + labels[:, None, None, None].to(torch.uint8)
    files = Files(images, labels=torch.cat([labels, torch.zeros(28, dtype=torch.int64)]))
    own, others = torch.arange(12), torch.arange(12, 40)
    memory = TrainingSet(Examples(images[own], labels, names), Examples(images[others], unlabeled(28), names))
    mapped = TrainingSet(
        MappedExamples(files, labels, names, identity="x", rows=own),
        MappedExamples(files, unlabeled(28), names, identity="x", rows=others),
    )
    recipe = replace(RECIPE, epochs=2, model="convnet", model_args={"width": 2})
    states = []
    for data in (memory, mapped):
        training = Training(method("crest(generations=2)").stages(recipe), data)
        list(training)
        states.append(training.learner.state_dict())
    assert all(value.equal(states[1][name]) for name, value in states[0].items())
