"""Methods that take another kind of step: which classes are rare, what each stage gets, what is refused and when."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from tests.cases import cases
from tests.methods.task_data import splits_for

import longtail as lt
from longtail.data import TrainingSet
from longtail.engine import Recipe
from longtail.methods import explained, method
from longtail.methods.steps.rare import rare_classes
from longtail.updates import SAM, ByClass, Descend, ImbSAM

RECIPE = Recipe(epochs=2, batch_size=12, model="mlp", model_args={"hidden": (8,)})
KEYS = ("recover", "sam", "asam", "imbsam", "sam-a")


@cases(
    "counts, below, rare",
    [
        ([500, 60, 19, 5], 0, [2, 3]),
        ([500, 60, 20, 5], 20, [3]),
        ([5000, 2000, 800, 300, 100, 50], 0, [4, 5]),  # thirds by rank
        ([30, 4], 0, [1]),
        ([30, 4], 31, [0, 1]),
    ],
)
def test_rare_classes(counts: list[int], below: int, rare: list[int]) -> None:
    assert torch.nonzero(rare_classes(torch.tensor(counts), below)).flatten().tolist() == rare


def updates(spec: str) -> list[Any]:
    """The kind of step of each stage."""
    found = method(spec)
    data, previous, kinds = TrainingSet.of(splits_for(found, (14, 6, 4))), None, []
    for stage in found.stages(RECIPE):
        built = stage.build(data, previous)
        previous = built.learner
        kinds.append(built.update)
    return kinds


def test_imbsam_and_sam_a_read_the_class_counts() -> None:
    counts = splits_for(method("imbsam"), (14, 6, 4)).train.class_counts
    (imbsam,) = updates(f"imbsam(below={int(counts[0])})")
    assert isinstance(imbsam, ImbSAM)
    assert imbsam.tail.weights.tolist() == [0, 1, 1]
    (sam_a,) = updates("sam-a")
    assert isinstance(sam_a, SAM)
    assert isinstance(sam_a.ascent, ByClass)
    torch.testing.assert_close(sam_a.ascent.weights, 1 / counts.float())


@cases("key", ["imbsam", "sam-a"])
def test_a_stage_without_classes_takes_plain_steps(key: str) -> None:
    first, second = updates(f"{key}(base='ssp')")
    assert type(first) is Descend
    assert type(second) in (SAM, ImbSAM)
    assert [type(update) for update in updates("sam(base='ssp')")] == [SAM, SAM]


@cases(
    "spec, message",
    [
        ("sam(rho=-0.1)", "rho must be >= 0, got -0.1"),
        ("asam(eta=-1)", "eta must be >= 0"),
        ("imbsam(rho=-0.1)", "rho must be >= 0"),
        ("imbsam(weight=0)", "weight must be > 0"),
        ("imbsam(below=1.5)", "below must be an integer >= 0"),
        ("sam-a(statistics='last')", 'statistics must be "first" or "both"'),
        ("recover(a=0)", r"a must be in \(0, 1\]"),
        ("recover(lam=-5)", "lam must be > 0"),
        *(
            (f"{key}(base='fixmatch')", "base .*must be a supervised method.*which is semi")
            for key in KEYS
            if "asam" != key != "sam"
        ),
        *((f"{key}(base='trees')", "base .*whose training is not one of gradient steps") for key in KEYS),
        *((f"{key}(base='sam')", "which takes steps of its own kind already") for key in KEYS),
        ("recover(base='absgd')", "which weighs its examples already"),
    ],
)
def test_what_does_not_fit_is_refused_when_the_spec_is_read(spec: str, message: str) -> None:
    with pytest.raises((ValueError, TypeError), match=message):
        method(spec)


def test_a_tail_without_classes_is_refused_before_training() -> None:
    x, y = torch.randn(40, 3), torch.arange(40) % 2
    message = (
        r"method 'imbsam\(below=20\)': below must leave a class in the tail, got 20, and the smallest has \d+ rows"
    )
    with pytest.raises(ValueError, match=message):
        lt.fit("imbsam(below=20)", torch.cat([x, x]), torch.cat([y, y]), recipe=RECIPE)


@cases("key", KEYS)
def test_explain_says_the_cost_of_a_step_and_when_it_is_worth_it(key: str) -> None:
    facts = explained(key)
    assert "Cost: two forward and " in facts["body"]
    assert facts["works"]
    assert facts["eager"] == {}  # its steps are captured
