"""SSP by contrast: any encoder of the catalogue first, then any method from all layers but the classifier."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from tests.cases import cases

from longtail.data import Examples, TrainingSet
from longtail.data.label_kinds import unlabeled
from longtail.engine import Recipe, Training
from longtail.methods import method

TARGETS = torch.repeat_interleave(torch.arange(3), torch.tensor([30, 14, 6]))


def rows(*shape: int) -> TrainingSet:
    inputs = torch.randn(len(TARGETS), *shape, generator=torch.Generator().manual_seed(0))
    return TrainingSet(Examples(inputs, TARGETS, ("a", "b", "c")))


@cases(("shape", "spec"), [
    ((6,), "ssp-contrast"),
    ((8, 8), "ssp-contrast(base='ldam-drw')"),
    ((3, 8, 8), "ssp-contrast(host='simclr(t=0.5)', base='crt')"),
    ((6,), "ssp-contrast(host='rwsam', base='absgd')"),
])  # fmt: skip
def test_the_base_starts_from_the_encoder_of_the_host_for_features_and_images(
    shape: tuple[int, ...], spec: str
) -> None:
    recipe, data = Recipe(epochs=2, batch_size=16), rows(*shape)
    stages = method(spec).stages(recipe)
    host = method(spec).knobs.values["host"]  # type: ignore[union-attr]
    assert [stage.spec for stage in stages[:1]] == [stage.spec for stage in method(host).stages(recipe)[:1]]
    training = Training(stages[:1], data)
    list(training)
    encoder: Any = training.learner
    learner: Any = stages[1].build(data, encoder).learner
    for name, value in encoder.network.state_dict().items():
        if not name.startswith("head."):
            assert learner.network.state_dict()[name].equal(value), name
    assert learner.network.head.out_features == 3


@cases(("spec", "names", "epochs"), [
    ("ssp-contrast", ["encoder", "train"], [100, 100]),
    ("ssp-contrast(pretraining=0.25)", ["encoder", "train"], [25, 100]),
    ("ssp-contrast(pretraining=0.001, base='crt')", ["encoder", "train", "classifier"], [1, 100, 15]),
])  # fmt: skip
def test_both_have_the_full_recipe(spec: str, names: list[str], epochs: list[int]) -> None:
    stages = method(spec).stages(Recipe(epochs=100))
    assert [stage.name for stage in stages] == names
    assert [stage.epochs for stage in stages] == epochs


def test_rows_without_labels_take_part_in_the_first_training_alone() -> None:
    data = rows(6)
    both = TrainingSet(data.labeled, Examples(torch.randn(20, 6), unlabeled(20), data.classes))
    first, second = method("ssp-contrast").stages(Recipe(epochs=2))
    built = first.build(both, None)
    assert len(built.data) == len(TARGETS) + 20
    assert len(second.build(both, built.learner).data) == len(TARGETS)


@cases(("spec", "why"), [
    ("ssp-contrast(host='random-encoder')", "host must be .*, got 'random-encoder', whose training is not one of"),
    ("ssp-contrast(host='ce')", "host must be .*, got 'ce', which is supervised"),
    ("ssp-contrast(base='ssp')", "base must be .*, got 'ssp', which starts from the network of another training"),
    ("ssp-contrast(pretraining=0)", r"pretraining must be in \(0, 1\)|pretraining must be"),
])  # fmt: skip
def test_what_does_not_fit_is_refused(spec: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        method(spec)


def test_what_a_table_says_of_the_host_is_said_of_it_too() -> None:
    (note,) = (one(rows(4).labeled) for one in method("ssp-contrast(host='moco')").notes)
    assert note is not None
    assert note.startswith("moco's queue of 4096 places is larger than half of the 50 labelled rows")
