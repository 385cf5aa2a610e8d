"""gh over encoders: where it is refused, what it changes, and what its records say."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from tests.cases import cases
from tests.methods import task_data

from longtail.cli import run as command
from longtail.data import TrainingSet
from longtail.engine import Recipe, Training
from longtail.learners import PairLearner
from longtail.learners.geometric import GeometricHarmonization
from longtail.methods import method
from longtail.methods.entries import CATALOG

RECIPE = Recipe(epochs=4, batch_size=16, lr=0.2, model="mlp", model_args={"hidden": (8,)})
DATA = task_data.splits("self-supervised")


def trained(spec: str) -> tuple[Training, list[dict[str, Any]]]:
    training = Training(method(spec).stages(RECIPE)[:1], TrainingSet.of(DATA))
    return training, list(training)


class TestTooManyClasses:
    @cases(
        "spec, most, base",
        [
            ("gh(classes=130)", 129, "'simclr'"),
            ("gh(base='simclr(dim=7)', classes=9)", 8, r"'simclr\(dim=7\)'"),
            ("gh(base=\"sam(base='simclr(dim=7)')\", classes=9)", 8, r"\"sam\(base='simclr\(dim=7\)'\)\""),
            ("simclr-gh(dim=7, classes=9)", 8, r"'simclr\(dim=7\)'"),
        ],
    )
    def test_are_refused_when_the_spec_is_resolved(self, spec: str, most: int, base: str) -> None:
        rule = rf"classes must be at most dim \+ 1 = {most} for the projections of {base}, got \d+; lower classes"
        with pytest.raises(ValueError, match=rule):
            method(spec)

    def test_as_many_as_dimensions_and_one_more_are_legal(self) -> None:
        learner: Any = (
            method("gh(base='simclr(dim=7)', classes=8)").stages(RECIPE)[0].build(TrainingSet.of(DATA), None)[0]
        )
        frame = learner.auxiliary.frame.double()
        wanted = torch.full((8, 8), -1 / 7, dtype=torch.float64).fill_diagonal_(1.0)
        torch.testing.assert_close(frame @ frame.T, wanted, rtol=0, atol=1e-6)

    def test_from_the_shell_in_one_line(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        line = ["train", "digits", "--method", "gh(classes=200)", "--out", str(tmp_path)]
        assert command(line) == 2
        error = capsys.readouterr().err.splitlines()
        assert error[-1].startswith("longtail: error: classes must be at most dim + 1 = 129 for the projections of")

    def test_of_an_encoder_that_does_not_say_its_width_are_refused_when_it_is_built(self) -> None:
        base = replace(method("simclr(dim=7)"), projects=None)
        stage = CATALOG["gh"](base=base).stages(RECIPE)[0]
        with pytest.raises(ValueError, match=r"^classes must be at most dim \+ 1 = 8 for the projections of NTXent"):
            stage.build(TrainingSet.of(DATA), None)


def test_every_encoder_says_how_wide_its_projections_are() -> None:
    """So that too many classes are refused before training."""
    for key in CATALOG:
        found = method(key)
        if found.refuses_slots("surrogate") is None and found.task == "self-supervised":
            assert found.projects is not None, key
            learner: Any = found.stages(RECIPE)[0].build(TrainingSet.of(DATA), None).learner
            assert isinstance(learner, PairLearner)
            network: Any = learner.network
            said = found.projects if isinstance(found.projects, int) else found.projects(network.head.in_features)
            assert network.head.out_features == said, key


def test_another_name_is_the_same_training() -> None:
    one, other = (method(spec).stages(RECIPE)[0].spec for spec in ("gh", "simclr-gh"))
    assert one == other
    assert one != method("simclr").stages(RECIPE)[0].spec
    assert method("gh").twin == method("simclr-gh").twin == "simclr"


def test_it_is_the_base_until_it_begins_and_its_prior_is_in_the_records() -> None:
    (_, plain), (training, harmonized) = trained("simclr"), trained("gh(classes=10)")
    losses = [[record["loss"] for record in records] for records in (plain, harmonized)]
    assert losses[0][:2] == losses[1][:2]
    assert losses[1][2] > losses[0][2]
    first, *_, last = [record["surrogate_largest"] for record in harmonized]
    assert first == pytest.approx(0.1)
    assert last > 0.1
    state = training.learner.state_dict()
    assert state["auxiliary.stored"].shape == (len(DATA.train), 10)
    assert state["auxiliary.seen"].all()
    assert float(state["auxiliary.prior"].sum()) == pytest.approx(1)


def test_it_gathers_rows_around_its_vertices() -> None:
    """After training with much of it, a row's two largest logits are further apart than without."""

    def lead(spec: str) -> float:
        (stage, _) = method(spec).stages(RECIPE)
        training = Training([stage], TrainingSet.of(DATA))
        list(training)
        learner: Any = training.learner.eval()
        torch.manual_seed(0)
        frame = method("gh(classes=6)").stages(RECIPE)[0].build(TrainingSet.of(DATA), None)[0].auxiliary.frame
        if isinstance(learner.auxiliary, GeometricHarmonization):
            frame = learner.auxiliary.frame
        with torch.no_grad():
            z = learner.network(DATA.train.inputs).logits  # type: ignore[union-attr]
        top = torch.nn.functional.normalize(z @ frame.T, dim=1).topk(2).values
        return float((top[:, 0] - top[:, 1]).mean())

    assert lead("gh(classes=6, weight=5, start=0, ramp=0)") > 1.2 * lead("simclr")


@cases("key", ["focal-simclr", "moco(queue=32)", "moclr", "byol", "simsiam(dim=16)"])
def test_it_acts_over_every_host(key: str) -> None:
    """Each step has its loss beside the host's, with a gradient."""
    classes = 10
    (stage, _) = method(f"gh(base={key!r}, classes={classes}, start=0, ramp=0)").stages(RECIPE)
    torch.manual_seed(0)
    learner, rows, _ = stage.build(TrainingSet.of(DATA), None)
    assert isinstance(learner, PairLearner)
    batch = next(iter(rows.batches(0.0, torch.Generator().manual_seed(0))))
    step = learner.training_step(batch, 0.0)
    assert step.outputs is not None
    more = step.losses - step.outputs.extra["losses"]
    assert float(more.detach().mean()) > 0.1
    assert torch.autograd.grad(more.sum(), learner.network.head.parameters(), allow_unused=True)[0].abs().sum() > 0


def test_where_their_width_follows_from_that_of_the_features_too_many_classes_are_refused_before_training() -> None:
    narrow = method("gh(base='simsiam')")
    why = narrow.refuses_recipe(RECIPE, DATA.train)
    assert why is not None
    assert "classes must be at most dim + 1 = 33 for the projections of 'simsiam', got 100; lower classes" in why
    assert method("gh(base='simsiam', classes=33)").refuses_recipe(RECIPE, DATA.train) is None
