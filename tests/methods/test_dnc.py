"""dnc: its stages, what each is built from, that corrections reach every encoder, and resuming it anywhere."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from tests.cases import cases
from tests.methods import task_data
from torch import nn

from longtail.catalogue.encoders import over_encoders
from longtail.data import TrainingSet
from longtail.data.divided import Divided
from longtail.engine import Recipe, Training
from longtail.learners.divided import DistilledLearner, DividedLearner
from longtail.methods import method

RECIPE = Recipe(epochs=10, batch_size=16, lr=0.1, model="mlp", model_args={"hidden": (8,), "dropout": 0.2})
SPLITS = task_data.splits("self-supervised")
DATA = TrainingSet.of(SPLITS)


def learners(spec: str = "dnc", data: TrainingSet = DATA) -> list[Any]:
    """What each stage has trained."""
    found: list[Any] = []

    def watched(stage: Any) -> Any:
        def build(rows: TrainingSet, previous: Any) -> Any:
            built = stage.build(rows, previous)
            found.append(built.learner)
            return built

        return replace(stage, build=build)

    list(Training([watched(stage) for stage in method(spec).stages(RECIPE)], data))
    return found


@cases(("spec", "epochs", "lengths"), [
    ("dnc", 1000, [200, 0, 600, 200, 0]),
    ("dnc", 5, [1, 0, 3, 1, 0]),
    ("dnc", 1, [1, 0, 1, 1, 0]),
    ("dnc(first=1, experts=0.5, distillation=0.1)", 100, [100, 0, 50, 10, 0]),
    ("dnc(base='rwsam')", 10, [2, 0, 6, 2, 0]),
])  # fmt: skip
def test_has_four_stages_and_a_probe_of_shares_of_the_epochs(spec: str, epochs: int, lengths: list[int]) -> None:
    stages = method(spec).stages(Recipe(epochs=epochs))
    assert [stage.name for stage in stages] == ["encoder", "clusters", "experts", "distilled", "probe"]
    assert [stage.epochs for stage in stages] == lengths


def test_the_first_stage_is_the_bases_own_and_shared_with_it() -> None:
    first, *_ = method("dnc(base='simclr(t=0.5)')").stages(RECIPE)
    own, _ = method("simclr(t=0.5)").stages(replace(RECIPE, epochs=2))
    assert (first.spec, first.epochs) == (own.spec, own.epochs)


def test_every_expert_sees_the_rows_of_its_cluster_and_every_row_has_one() -> None:
    encoder, clusters, *_ = found = learners("dnc(clusters=3)")
    divided: Any = found[2]
    assert isinstance(clusters, DividedLearner)
    assert len(clusters.experts) == 0
    assignment = clusters.assignment
    assert assignment.shape == (len(DATA.labeled),)
    assert sorted(assignment.unique().tolist()) == [0, 1, 2] == list(range(len(divided.experts)))
    stage = method("dnc(clusters=3)").stages(RECIPE)[2]
    built = stage.build(DATA, clusters)
    assert isinstance(built.data, Divided)
    for k, part in enumerate(built.data.parts):
        assert part.inputs.equal(DATA.labeled.inputs[assignment == k])  # type: ignore[attr-defined]
        assert part.views == ("contrast", "contrast")  # type: ignore[attr-defined]
    learner: Any = built.learner
    fresh = [expert.network.body[1].weight for expert in learner.experts]
    assert not fresh[0].equal(fresh[1])
    for expert in learner.experts:
        assert expert.network.standardize.mean.equal(encoder.network.standardize.mean)
    assert learner.network is not clusters.network
    for name, value in encoder.network.state_dict().items():
        assert clusters.network.state_dict()[name].equal(value), name


def test_clusters_are_of_the_hidden_layer_in_evaluation_mode(monkeypatch: pytest.MonkeyPatch) -> None:
    from longtail.methods.selfsup import divided

    seen: list[torch.Tensor] = []

    def noting(hidden: torch.Tensor, number: int, seed: int) -> torch.Tensor:
        seen.append(hidden)
        return torch.arange(len(hidden)) % number

    monkeypatch.setattr(divided, "clustered", noting)
    encoder = learners("dnc(clusters=2)")[0].eval()
    first, norm, *_ = encoder.network.head.layers
    expected = norm(first(encoder.network.features(DATA.labeled.inputs))).relu()
    torch.testing.assert_close(seen[0], expected)


def test_the_last_network_learns_from_copies_of_what_was_trained() -> None:
    encoder, _, experts, distilled, probe = learners("dnc(clusters=2)")
    assert isinstance(distilled, DistilledLearner)
    for teacher, trained in zip([distilled.base, *distilled.experts], [encoder, *experts.experts], strict=True):
        for name, value in teacher.state_dict().items():
            assert value.equal(trained.network.state_dict()[name]), name
    assert probe.network.body.state_dict()["1.weight"].equal(distilled.network.body.state_dict()["1.weight"])


class Never(nn.Module):
    """An auxiliary loss that notes the rows that it is given."""

    def __init__(self, rows: int) -> None:
        super().__init__()
        self.rows = rows
        self.register_buffer("seen", torch.zeros(rows))

    def forward(self, compared: Any, batch: Any, progress: Any) -> Any:
        self.seen[batch["index"]] = 1  # type: ignore[index]
        return compared.first.logits.sum(1) * 0, {}


def test_a_correction_reaches_the_first_encoder_and_every_expert_with_its_own_rows() -> None:
    def change(built: Any, data: TrainingSet) -> Any:
        assert len(data.labeled) == len(built.data)
        return built._replace(learner=built.learner.varied(auxiliary=Never(len(built.data))))

    corrected = over_encoders(method("dnc(clusters=3)"), "surrogate", change).named("toy", "toy")
    assert {"surrogate", "experts"} <= corrected.taken
    training = Training(corrected.stages(RECIPE), DATA)
    list(training)
    encoder, _, experts, distilled = training.state()["before"]
    assert encoder["auxiliary.seen"].tolist() == [1.0] * len(DATA.labeled)
    sizes = experts["assignment"].bincount().tolist()
    assert [experts[f"experts.{k}.auxiliary.seen"].tolist() for k in range(3)] == [[1.0] * size for size in sizes]
    assert not any("auxiliary" in name for name in distilled)


@cases(("one", "other"), [
    ("rwsam(base='dnc')", "dnc(base=\"rwsam(base='moclr')\")"),
    ("rwsam(base='dnc', rho=0)", "dnc"),
])  # fmt: skip
def test_a_correction_over_it_is_it_over_the_correction(one: str, other: str) -> None:
    states = [learners(spec)[-1].state_dict() for spec in (one, other)]
    assert all(value.equal(states[1][name]) for name, value in states[0].items())


def test_rows_without_labels_take_part_and_steps_may_be_set() -> None:
    splits = task_data.splits("semi-supervised")
    data = TrainingSet.of(splits)
    found = learners("dnc(clusters=2)", data)
    assert len(found[1].assignment) == len(splits.train) + len(splits.unlabeled)  # type: ignore[arg-type]
    stages = method("dnc(clusters=2)").stages(replace(RECIPE, steps=7))
    built = stages[2].built(data, found[1])
    assert len(list(built.data.draws(0.0, torch.Generator().manual_seed(0)))) == 7


@pytest.mark.slow
@pytest.mark.parametrize("spec", ["dnc", "rwsam(base='dnc', refresh=0.5)"])
def test_resumed_after_every_epoch_it_ends_the_same(spec: str) -> None:
    """In every stage, and between two: what one of the cuts lost, the end would show."""
    stages = method(spec).stages(RECIPE)
    whole = Training(stages, DATA)
    list(whole)
    state = None
    for _ in range(10):
        resumed = Training(stages, DATA, resume=state)
        next(resumed)
        state = resumed.state()
    assert list(resumed) == []
    for one, other in zip(resumed.state()["before"], whole.state()["before"], strict=True):
        assert all(value.equal(other[name]) for name, value in one.items())
    assert all(v.equal(whole.learner.state_dict()[n]) for n, v in resumed.learner.state_dict().items())


def test_clusters_that_were_stored_are_not_made_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """A resumed training goes on with the clusters that it began with, whatever k-means would find now."""
    from longtail.methods.selfsup import divided

    stages = method("dnc").stages(RECIPE)
    whole, begun = Training(stages, DATA), Training(stages, DATA)
    list(whole)
    for _ in range(4):
        next(begun)
    monkeypatch.setattr(divided, "clustered", lambda hidden, number, seed: torch.arange(len(hidden)) % 2)
    resumed = Training(stages, DATA, resume=begun.state())
    list(resumed)
    assert all(v.equal(whole.learner.state_dict()[n]) for n, v in resumed.learner.state_dict().items())


@cases(("spec", "why"), [
    ("dnc(base='dnc')", "base must be .*, got 'dnc', which trains experts of its own already"),
    ("dnc(base='random-encoder')", "base must be .*, got 'random-encoder', whose training is not one of gradient"),
    ("dnc(clusters=0)", "clusters must be an integer >= 1, got 0"),
    ("dnc(first=0)", r"first must be in \(0, 1\], got 0"),
])  # fmt: skip
def test_what_does_not_fit_is_refused(spec: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        method(spec)
