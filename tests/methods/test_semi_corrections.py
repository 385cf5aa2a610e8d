"""ABC, CReST, CReST+, SimPro and cRT over every host: the host bit for bit without strength, and applied with it."""

from __future__ import annotations

import math
from functools import cache
from typing import Any

import pytest
import torch
from tests.methods.test_semi_hosts import HOSTS, ROWS
from torch import Tensor

from longtail.data import Examples, TrainingSet
from longtail.data.label_kinds import unlabeled
from longtail.engine import Recipe, Training
from longtail.methods import method

RECIPE = Recipe(epochs=4, batch_size=8, lr=0.05, model="convnet", model_args={"width": 2})
WITHOUT = {
    "abc": "weight=0",
    "crest": "generations=1",
    "crest-plus": "generations=1",
    "simpro": "tau=0",
    "crt": "more=0",
}
"""Correction -> without strength."""
WITH = {"crest": "generations=2", "crest-plus": "generations=2", "abc": "confidence=0.3"}
"""Of two epochs each."""


def over(correction: str, host: str, knobs: str = "") -> str:
    return f"{correction}(base={host!r}{', ' * bool(knobs)}{knobs})"


@cache
def trained(spec: str) -> Training:
    training = Training(method(spec).stages(RECIPE), ROWS)
    list(training)
    return training


def scores(spec: str) -> Tensor:
    learner = trained(spec).learner.eval()
    assert ROWS.unlabeled is not None
    return learner.predict(ROWS.unlabeled.inputs)


@pytest.mark.parametrize("host", HOSTS)
@pytest.mark.parametrize("correction", WITHOUT)
class TestEveryPair:
    def test_without_strength_it_is_the_host_bit_for_bit(self, host: str, correction: str) -> None:
        spec = over(correction, host, WITHOUT[correction])
        state, other = (trained(one).learner.state_dict() for one in (spec, host))
        assert state.keys() == other.keys()
        assert all(value.equal(other[name]) for name, value in state.items())
        assert scores(spec).equal(scores(host))
        assert method(spec).prior is method(host).prior

    def test_with_strength_it_is_applied_to_training_and_prediction(self, host: str, correction: str) -> None:
        spec = over(correction, host, WITH.get(correction, ""))
        assert not scores(spec).equal(scores(host))
        state, other = (trained(one).learner.state_dict() for one in (spec, host))
        moved = {name for name, value in state.items() if name in other and not value.equal(other[name])}
        if correction == "crt":
            assert moved >= {"network.head.weight", "network.head.bias"}
        else:
            assert moved >= {"network.head.weight", "average.head.weight"}
            assert any(name.startswith("network.body") for name in moved)

    @pytest.mark.slow
    def test_it_acts_in_every_generation_and_under_another_correction(self, host: str, correction: str) -> None:
        if correction in ("crest", "crest-plus", "crt"):
            spec = over(correction, over("abc", host, WITH["abc"]), WITH.get(correction, ""))
            plain = over(correction, host, WITH.get(correction, ""))
        else:
            spec = over(correction, over("crest", host, WITH["crest"]), WITH.get(correction, ""))
            plain = over("crest", host, WITH["crest"])
        assert not scores(spec).equal(scores(plain))


@pytest.mark.parametrize("host", HOSTS)
class TestEveryHost:
    def test_the_second_classifier_predicts_from_the_average(self, host: str) -> None:
        learner: Any = trained(over("abc", host, WITH["abc"])).learner.eval()
        assert ROWS.unlabeled is not None
        outputs = learner.average(ROWS.unlabeled.inputs)
        second = learner.auxiliary_average.head(outputs.features)
        assert learner.predict(ROWS.unlabeled.inputs).equal(second)
        assert not second.equal(outputs.logits)
        assert not learner.auxiliary_average.head.weight.equal(learner.auxiliary.head.weight)

    @pytest.mark.slow
    def test_crest_and_abc_are_one_training_in_either_order(self, host: str) -> None:
        """The rates are those of the labelled rows of a generation, whichever correction is outside."""
        inside = over("crest", over("abc", host, WITH["abc"]), WITH["crest"])
        outside = over("abc", over("crest", host, WITH["crest"]), WITH["abc"])
        assert scores(inside).equal(scores(outside))
        inside, outside = (
            over("crest", over("simpro", host), WITH["crest"]),
            over("simpro", over("crest", host, WITH["crest"])),
        )
        assert scores(inside).equal(scores(outside))

    @pytest.mark.slow
    @pytest.mark.parametrize("totals", ["labels", "em", "confusion"])
    def test_crest_and_darp_are_one_training_in_either_order(self, host: str, totals: str) -> None:
        knobs = f"totals={totals!r}, start=0.0, period=2"
        inside = over("crest", over("darp", host, knobs), WITH["crest"])
        outside = over("darp", over("crest", host, WITH["crest"]), knobs)
        assert scores(inside).equal(scores(outside))

    def test_the_priors_of_simpro_move_and_enter_loss_and_guesses(self, host: str) -> None:
        learner: Any = trained(over("simpro", host)).learner
        priors = learner.targets
        assert learner.loss.priors is priors
        counts = ROWS.class_counts.double()
        assert not torch.allclose(priors.mixture, counts / counts.sum())
        assert not torch.allclose(priors.unlabeled, torch.full_like(counts, 1 / 3))
        assert float(priors.mixture.sum()) == pytest.approx(1)
        assert float(priors.unlabeled.sum()) == pytest.approx(1)

    def test_crt_starts_from_the_average_and_sees_the_labelled_rows(self, host: str) -> None:
        *_, stage = method(over("crt", host)).stages(RECIPE)
        base: Any = trained(host).learner
        built: Any = stage.build(ROWS, base)
        for name, value in built.learner.network.body.state_dict().items():
            assert value.equal(base.average.body.state_dict()[name])
        assert not built.learner.network.body.state_dict()["0.weight"].equal(base.network.body.state_dict()["0.weight"])
        assert built.data.targets.equal(ROWS.labeled.targets)


@pytest.mark.parametrize("host", HOSTS)
@pytest.mark.parametrize("correction", ["darp", "abc", "simpro"])
@pytest.mark.parametrize("copies", [1, 20])
def test_one_row_without_a_label_or_copies_of_it_and_a_class_of_one_row(
    host: str, correction: str, copies: int
) -> None:
    """Fewer rows than a batch has, and no rate, prior or total that is not finite."""
    y = torch.tensor([0] * 12 + [1] * 5 + [2])
    x = torch.randn(19, 3, generator=torch.Generator().manual_seed(0))
    labeled = Examples(x[:18], y, ("a", "b", "c"))
    data = TrainingSet(labeled, Examples(x[18:].repeat(copies, 1), unlabeled(copies), labeled.classes))
    recipe = Recipe(epochs=2, batch_size=8, lr=0.05, model="mlp", model_args={"hidden": (4,)})
    assert method(over(correction, host)).refuses_recipe(recipe, labeled) is None
    training = Training(method(over(correction, host)).stages(recipe), data)
    assert all(math.isfinite(record["loss"]) for record in training)
    state: Any = training.learner.state_dict()
    assert all(value.isfinite().all() for value in state.values())
    if correction == "abc":
        assert state["auxiliary.rates"].tolist() == pytest.approx([1 / 12, 1 / 5, 1])
    if correction == "simpro":
        assert float(state["targets.unlabeled"].sum()) == pytest.approx(1)
    if correction == "darp":  # the totals are those of the labels, whatever the rows
        assert state["targets.refined"].sum(0).tolist() == pytest.approx(
            [copies * n / 18 for n in (12, 5, 1)], rel=1e-4
        )


@pytest.mark.parametrize(
    ("spec", "why"),
    [
        ("abc(base='ce')", "base must be a semi-supervised method .*, got 'ce', which is supervised"),
        ("abc(base='abc')", "which has an auxiliary classifier already"),
        ("crest(base='crest-plus')", "which trains in generations already"),
        ("crest-plus(base='simpro')", "which estimates its targets already"),
        ("simpro(base='crest-plus')", "which estimates its targets already"),
        ("abc(base=\"crt(base='fixmatch')\")", "which has no auxiliary to take up"),
        ("crest(base=\"ncm(base='fixmatch')\")", "which has no generations to take up"),
        ("crt(base=\"crt(base='fixmatch')\")", "which trains its classifier a second time already"),
        ("crt(base='cc')", "base must be a supervised or semi-supervised method .*, got 'cc', which is partial"),
        ("abc(weight=-1)", "weight must be >= 0 and finite, got -1|weight must be >= 0, got -1"),
        ("crest(generations=0)", "generations must be an integer >= 1, got 0"),
        ("crest(root=0)", "root must be > 0, got 0"),
        ("crest-plus(last=1.5)", r"last must be in \[0, 1\], got 1.5"),
        ("simpro(momentum=1)", r"momentum must be in \[0, 1\), got 1"),
    ],
)
def test_what_is_refused_before_training_in_one_line(spec: str, why: str) -> None:
    with pytest.raises(ValueError, match=why) as caught:
        method(spec)
    assert "\n" not in str(caught.value)
