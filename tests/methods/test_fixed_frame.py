"""ETF classifier with dot regression: a frame that is never trained, its losses, and what it refuses."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tests.cases import cases
from tests.losses import loss_formulas as formulas
from tests.methods.test_decoupling import DATA, INPUTS, RECIPE, TARGETS, trained
from torch import nn

import longtail as lt
from longtail.cli import run
from longtail.data import Splits, load
from longtail.engine import Recipe
from longtail.learners import SupervisedLearner
from longtail.methods import method
from longtail.models.heads import FrameClassifier
from longtail.runs.predictor import load as load_model
from longtail.runs.train import Fit, train


def built(spec: str) -> SupervisedLearner:
    (stage,) = method(spec).stages(RECIPE)
    torch.manual_seed(0)
    learner = stage.build(DATA, None).learner
    assert isinstance(learner, SupervisedLearner)
    return learner


def by_hand(learner: SupervisedLearner, loss: str, scale: float) -> float:
    """Mean loss of all rows, from the features, in plain loops."""
    network: Any = learner.network
    total = 0.0
    for h, y in zip(network.features(INPUTS).double().tolist(), TARGETS.tolist(), strict=True):
        length = math.sqrt(math.fsum(a * a for a in h))
        z = [math.fsum(a * b for a, b in zip(h, m, strict=True)) / length for m in network.head.weight.tolist()]
        if loss == "dr":
            total += formulas.dot_regression(z, y, scale)
        else:
            total += formulas.cross_entropy([scale * v for v in z], y)
    return total / len(TARGETS)


@cases("loss", ["dr", "ce"])
@cases("scale", [1.0, 12.0])
def test_its_loss_is_the_formula_on_cosines_with_the_frame(scale: float, loss: str) -> None:
    learner = built(f"etf-dr(loss={loss!r}, scale={scale})").eval()
    logits = learner.network(INPUTS).logits.detach().double()
    assert float(learner.loss(logits, TARGETS)) == pytest.approx(by_hand(learner, loss, scale), rel=1e-6)
    if loss == "ce":
        torch.testing.assert_close(learner.loss(logits, TARGETS), nn.functional.cross_entropy(scale * logits, TARGETS))
    torch.testing.assert_close(learner.predict(INPUTS), scale * learner.network(INPUTS).logits)


def test_the_frame_is_the_definition_follows_from_the_seed_and_is_never_trained(tmp_path: Path) -> None:
    first, last = built("etf-dr").network, trained("etf-dr").network
    frame = last.head.weight
    torch.testing.assert_close(frame @ frame.T, 1.5 * torch.eye(3) - 0.5)
    assert frame.shape == (3, 6)
    assert not any("head" in name for name, _ in first.named_parameters())
    splits = load(INPUTS.numpy(), TARGETS.numpy())
    saved = {}
    for seed in (0, 1):
        for place in ("one", "again"):
            folder = tmp_path / f"{place}-{seed}"
            train("etf-dr", splits, folder=folder, recipe=RECIPE, seed=seed)
            saved[place, seed] = load_model(folder).network.head.weight
        assert saved["one", seed].equal(saved["again", seed])
    assert not saved["one", 0].equal(saved["one", 1])


def test_batch_norm_and_rescaling_are_off_unless_asked_for() -> None:
    plain, full = built("etf-dr"), built("etf-dr(batch_norm=True, rescale=True)")
    assert isinstance(plain.network.head, FrameClassifier)
    assert not list(plain.network.head.parameters())
    assert [name for name, _ in full.network.head.named_parameters()] == ["norm.weight", "norm.bias"]
    assert not plain.loss.rescale
    assert full.loss.rescale
    balanced = method("etf-dr(rescale=True)")
    assert method("etf-dr").prior is None
    assert balanced.prior is not None
    assert balanced.prior(DATA.labeled.class_counts).unique().numel() == 1
    with pytest.raises(ValueError, match=r"rescale must be False with loss=\"ce\", got True; it is part of loss"):
        method("etf-dr(loss='ce', rescale=True)")


def test_under_mixup_both_labels_have_their_own_rescaled_losses() -> None:
    spec = "mixup(base='etf-dr(batch_norm=True, rescale=True)')"
    (stage,) = method(spec).stages(RECIPE)
    torch.manual_seed(0)
    learner, data, _ = stage.build(DATA, None)
    (batch, *_) = data.batches(0.0, torch.Generator().manual_seed(0))
    step = learner.training_step(batch, 0.0)
    mixed, targets = batch["mixing"], batch["targets"]
    z = step.outputs.logits
    rows = torch.bincount(targets, minlength=3)
    factors = len(targets) / ((rows > 0).sum() * rows)
    own, other = ((z.gather(1, y[:, None])[:, 0] - 1) ** 2 / 2 * factors[y] for y in (targets, targets[mixed.partner]))
    torch.testing.assert_close(step.losses, mixed.share * own + (1 - mixed.share) * other)


@cases("base", ["drw(base='etf-dr')", "mixup(base='etf-dr')", "crt(base='etf-dr')", "absgd(base='etf-dr')"])
def test_it_composes(base: str) -> None:
    assert not trained(base).predict(INPUTS).equal(trained("etf-dr").predict(INPUTS))


@cases(
    "spec, why",
    [
        ("drw(base='etf-dr(rescale=True)')", "which re-balances its classes already"),
        ("lws(base='etf-dr')", "which has no linear head to take up"),
        ("tau-norm(base='etf-dr')", "which has no linear head to take up"),
    ],
)
def test_what_it_has_no_room_for_is_refused(spec: str, why: str) -> None:
    with pytest.raises(ValueError, match=f"base must be .*, {why}; choose one of longtail methods"):
        method(spec)


SIZES = (30, 20, 14, 10, 8, 6)
NARROW = Recipe(epochs=2, batch_size=16, model="mlp", model_args={"hidden": (8, 4)})
WHY = (
    "frame 'simplex' of 6 classes must have at least 5 features, got 4; choose a wider network with --model (model=, "
    "model_args=), or frame='tight'"
)


def six() -> Splits:
    y = np.repeat(np.arange(6), SIZES)
    return load(np.random.default_rng(0).normal(size=(len(y), 4)) + y[:, None], y)


class TestRefusedBeforeTraining:
    def test_more_classes_than_the_frame_has_room_for(self, tmp_path: Path) -> None:
        rows = six()
        for spec in ("etf-dr", "drw(base='etf-dr')", "crt(base='mixup(base=\"etf-dr\")')"):
            found = method(spec)
            assert found.refuses_recipe(NARROW, rows.train) == f"method {found.spec!r}: {WHY}"
            with pytest.raises(ValueError, match="must have at least 5 features, got 4; "):
                Fit(spec, rows, recipe=NARROW)
        out = tmp_path / "out"
        options: dict[str, Any] = {"model": "mlp", "epochs": 1, "out": out, "seeds": 1}
        with pytest.raises(ValueError, match=r"^method 'etf-dr': frame 'simplex' of 6 classes"):
            lt.compare(*xy(rows), methods=["ce", "etf-dr"], model_args={"hidden": (8, 4)}, **options)
        assert not out.exists()

    def test_one_feature_less_than_classes_is_enough_and_the_tight_frame_has_room_for_more(self) -> None:
        wide = Recipe(epochs=2, batch_size=16, model="mlp", model_args={"hidden": (5,)})
        for spec, recipe in (("etf-dr", wide), ("etf-dr(frame='tight')", NARROW)):
            assert method(spec).refuses_recipe(recipe, six().train) is None
            assert np.isfinite([record["loss"] for record in Fit(spec, six(), recipe=recipe)]).all()
        thin = Recipe(epochs=2, batch_size=16, model="mlp", model_args={"hidden": (1,)})
        text = method("etf-dr(frame='tight')").refuses_recipe(thin, six().train)
        assert text is not None
        assert "must have at least 2 features, got 1; choose a wider network with --model" in text

    def test_a_network_without_parameters_before_its_last_layer(self) -> None:
        linear = Recipe(epochs=2, batch_size=16, model="linear")
        rows = load(INPUTS.numpy(), TARGETS.numpy()).train
        why = "network must have parameters before its last layer, which is fixed, got none; choose another network"
        assert method("etf-dr").refuses_recipe(linear, rows) == f"method 'etf-dr': {why}"
        assert method("etf-dr(batch_norm=True)").refuses_recipe(linear, rows) is None

    def test_a_network_of_ones_own(self) -> None:
        rows = six()

        def why(make: Any, spec: str = "etf-dr") -> str | None:
            return method(spec).refuses_recipe(Recipe(epochs=1).with_network(make, rows.train), rows.train)

        def narrow(num_classes: int) -> nn.Module:
            return nn.Sequential(nn.Linear(4, 4), nn.Tanh(), nn.Linear(4, num_classes))

        assert WHY in str(why(narrow))
        assert why(narrow, "etf-dr(frame='tight')") is None
        assert why(lambda num_classes: nn.Sequential(nn.Linear(4, 9), nn.Tanh(), nn.Linear(9, num_classes))) is None
        frozen = why(
            lambda num_classes: nn.Sequential(nn.Linear(4, 9).requires_grad_(False), nn.Linear(9, num_classes))
        )
        assert "network must have parameters before its last layer" in str(frozen)

    def test_in_one_line_from_the_shell(self, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
        x, y = xy(six())
        np.savez(tmp_path / "features.npz", X=x[:, :3], y=y)
        command = ["compare", str(tmp_path / "features.npz"), "--methods", "ce,etf-dr", "--model", "linear"]
        assert run([*command, "--out", str(tmp_path / "out")]) == 2
        text = capsys.readouterr().err
        assert text.startswith("longtail: error: method 'etf-dr': frame 'simplex' of 6 classes must have at least 5 ")
        assert text.count("\n") == 1


def xy(rows: Splits) -> tuple[Any, Any]:
    return next(rows.train.chunks(10_000)).numpy(), rows.train.targets.numpy()
