"""An exported model gives the numbers of predict: as a module, as torch's file and as ONNX."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import longtail as lt
from engine_toys import RECIPE, gaussians
from longtail import posthoc
from longtail.learners import FittedEstimator
from longtail.runs import export_files
from longtail.runs.exported import Exported, export
from longtail.runs.predictor import Predictor

DATA = gaussians()
CLASSES = DATA.classes
COUNTS = DATA.class_counts


def trained(**options: Any) -> Predictor:
    torch.manual_seed(0)
    network = RECIPE.network(DATA)
    network.standardize.fit(DATA.inputs)  # type: ignore[union-attr, operator]
    network.head.weight.data.mul_(4.0)  # type: ignore[union-attr, operator]
    return Predictor(network, CLASSES, COUNTS, **options)


def fitted(rule: Any, predictor: Predictor) -> Any:
    if hasattr(rule, "read"):
        rule.read(predictor.network, predictor.scale)
    return rule.fit(predictor.scores(DATA.inputs), DATA.targets) if hasattr(rule, "fit") else rule


def decided(model: Exported) -> Tensor:
    return model(DATA.inputs)[1].argmax(1)


@pytest.mark.parametrize("scale", [1.0, 7.0])
@pytest.mark.parametrize("link", ["softmax", "sigmoid"])
@pytest.mark.parametrize("prior", [None, "uniform", [0.5, 0.3, 0.2]])
def test_the_module_has_the_numbers_of_predict(scale: float, link: str, prior: Any) -> None:
    source = torch.full((3,), 1 / 3)
    predictor = trained(scale=scale, link=link, prior=source)
    scores = predictor.scores(DATA.inputs)
    probabilities, ours = export(predictor, target_prior=prior)(DATA.inputs)
    assert torch.allclose(probabilities.double(), predictor.probabilities(scores, prior), atol=1e-5)
    expected = scores if prior is None else predictor.probabilities(scores, prior)
    assert ours.argmax(1).equal(expected.argmax(1))
    if prior is None:
        assert torch.allclose(ours, scores, atol=1e-5)


@pytest.mark.parametrize(
    "make",
    [
        lambda: posthoc.LogitAdjustment(COUNTS, tau=1.5),
        lambda: posthoc.PluginThreshold(COUNTS),
        lambda: posthoc.TunedLogitAdjustment(COUNTS),
        lambda: posthoc.TauNormalization(COUNTS, tau=0.7),
        lambda: posthoc.TunedTauNormalization(COUNTS),
        lambda: posthoc.ThresholdMoving(COUNTS, cost=[[0, 1, 2], [3, 0, 1], [9, 9, 0]]),
    ],
)
def test_every_rule_that_a_file_may_name(make: Any) -> None:
    predictor = trained()
    predictor.posthoc = fitted(make(), predictor)
    expected = predictor.adjusted(predictor.scores(DATA.inputs))
    ours = export(predictor)(DATA.inputs)[1]
    assert torch.allclose(ours.double(), expected.double(), atol=1e-5)


DECISIONS: list[dict[str, Any]] = [
    {"cost": [[0, 1, 1], [5, 0, 1], [20, 20, 0]]},
    {"cost": [[0, 1, 1], [5, 0, 1], [20, 20, 0]], "rule": "row-sums"},
    {"objective": "macro_f1"},
    {"objective": "recall>=0.9", "positive": 2},
    {"thresholds": {CLASSES[2]: 0.1}},
    {"thresholds": [0.6, 0.2, 0.0]},
]


@pytest.mark.parametrize("arguments", DECISIONS, ids=lambda given: ",".join(given))
def test_every_decision_of_one_row(arguments: dict[str, Any]) -> None:
    predictor = trained()
    logs = predictor.calibrated(predictor.scores(DATA.inputs))
    predictor.decision = posthoc.Decision(CLASSES, **arguments).fit(logs, DATA.targets)
    expected = predictor.decided(predictor.scores(DATA.inputs)).argmax(1)
    assert decided(export(predictor)).equal(expected)
    assert not expected.equal(logs.argmax(1))  # else nothing was tested
    if predictor.decision.chosen_by_fit:
        for ask in (export, Predictor.predictions):  # as predict refuses it
            with pytest.raises(ValueError, match=r"target_prior \(--target-prior\) does not go with thresholds"):
                ask(*((predictor,) if ask is export else (predictor, DATA.inputs)), target_prior="uniform")
        return
    for prior in ("uniform", "training"):  # decided under a target prior, too
        moved, made = predictor.predictions(DATA.inputs, target_prior=prior), export(predictor, target_prior=prior)
        assert [CLASSES[j] for j in decided(made).tolist()] == list(moved.labels)
        assert made.rule == moved.rule
    assert not decided(made).equal(moved.probabilities.argmax(1))


@pytest.mark.parametrize("name", ["TemperatureScaling", "VectorScaling", "IsotonicCalibration"])
def test_every_calibration(name: str) -> None:
    predictor = trained()
    before = export(predictor)(DATA.inputs)[0]
    logs = predictor.calibrated(predictor.scores(DATA.inputs))
    predictor.calibration = getattr(posthoc, name)(num_classes=3).fit(logs, DATA.targets)
    probabilities = export(predictor)(DATA.inputs)[0]
    expected = predictor.probabilities(predictor.scores(DATA.inputs))
    assert torch.allclose(probabilities.double(), expected, atol=1e-5)
    assert not torch.allclose(probabilities, before, atol=1e-3)


def test_a_number_of_alarms_is_no_function_of_one_row() -> None:
    predictor = trained()
    predictor.decision = posthoc.Decision(CLASSES, objective="alarms<=10", positive=2)
    for prior in (None, "uniform"):
        with pytest.raises(
            ValueError, match=r"decision cannot be exported, since it is no function of one row .*decided together"
        ):
            export(predictor, target_prior=prior)


def test_a_classifier_of_scikit_learn_is_refused_with_the_way_out() -> None:
    predictor = Predictor(FittedEstimator(3), CLASSES, COUNTS)
    with pytest.raises(ValueError, match=r"classifier of scikit-learn, no network .* train a method with a network"):
        export(predictor)


def test_the_copy_does_not_follow_the_model() -> None:
    predictor = trained()
    before = export(predictor)(DATA.inputs)[0]
    model = export(predictor)
    with torch.no_grad():
        predictor.network.head.weight.zero_()  # type: ignore[union-attr, operator]
    assert model(DATA.inputs)[0].equal(before)
    assert not any(p.requires_grad for p in model.parameters())


def test_bfloat16_is_computed_in_float32_where_asked() -> None:
    predictor = trained()
    predictor.network.precision = "bfloat16"  # type: ignore[assignment]
    half, full = export(predictor), Exported(predictor, float32=True)
    scores = predictor.scores(DATA.inputs)
    assert half(DATA.inputs)[1].equal(scores)
    assert not full(DATA.inputs)[1].equal(scores)
    described = export_files.description(predictor, full, DATA.inputs[:2], ".onnx")
    assert "in bfloat16" in described["notes"][0]


@pytest.mark.slow
@pytest.mark.parametrize("suffix", [".onnx", ".pt2"])
def test_files_have_the_numbers_of_predict(tmp_path: Path, suffix: str) -> None:
    predictor = trained(scale=3.0, posthoc=posthoc.LogitAdjustment(COUNTS), prior=torch.full((3,), 1 / 3))
    path = tmp_path / f"m{suffix}"
    if suffix == ".onnx":
        pytest.importorskip("onnxscript", reason="longtail[onnx] is not installed")
    described = export_files.write(predictor, path)
    scores = predictor.scores(DATA.inputs)
    wanted = (predictor.probabilities(scores).float().numpy(), predictor.adjusted(scores).numpy())
    if suffix == ".onnx":
        runtime = pytest.importorskip("onnxruntime")
        session = runtime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
        (given,) = session.get_inputs()
        assert (given.name, given.shape[1:]) == ("inputs", described["inputs"]["shape"][1:])
        found = session.run(list(export_files.OUTPUTS), {"inputs": DATA.inputs.numpy()})
    else:
        found = [one.numpy() for one in torch.export.load(path).module()(DATA.inputs)]
    for ours, theirs in zip(found, wanted, strict=True):
        assert np.abs(ours - theirs).max() < 1e-5
    assert json.loads(Path(f"{path}.json").read_text()) == described
    assert described["classes"] == list(CLASSES)
    assert "whatever made the tensors" in described["not_in_the_file"][0]


class ByValue(nn.Module):
    def forward(self, inputs: Tensor) -> Tensor:
        return inputs[:, :3] if float(inputs.sum()) > 0 else inputs[:, 1:4]


@pytest.mark.slow
def test_a_network_that_cannot_be_traced_is_refused(tmp_path: Path) -> None:
    network = ByValue()
    network.builder = {"input_shape": [8]}  # type: ignore[assignment]
    with pytest.raises(ValueError, match=r"cannot be exported as a graph .* use lt.export\(folder\)"):
        export_files.write(Predictor(network, CLASSES, COUNTS), tmp_path / "m.pt2")
    assert not list(tmp_path.iterdir())


def test_what_cannot_be_written_is_refused_before_the_model_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ValueError, match=r"--out must be a file that ends in .onnx or .pt2, got '.*m.pt'"):
        export_files.check_target(tmp_path / "m.pt")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ModuleNotFoundError, match=r"needs onnx; install longtail\[onnx\], or write .pt2"):
        export_files.check_target(tmp_path / "m.onnx")
    with pytest.raises(ValueError, match="does not say what shape its inputs have"):
        export_files.example_inputs(Predictor(ByValue(), CLASSES, COUNTS))


@pytest.mark.parametrize("calibrated", ["TemperatureScaling", "IsotonicCalibration"])
@pytest.mark.parametrize("prior", [None, "uniform"])
def test_prior_calibration_and_decision_together(calibrated: str, prior: Any) -> None:
    predictor = trained(scale=2.0, prior=torch.full((3,), 1 / 3))
    scores = predictor.scores(DATA.inputs)
    logs = predictor.calibrated(scores)
    predictor.calibration = getattr(posthoc, calibrated)(num_classes=3).fit(logs, DATA.targets)
    predictor.decision = posthoc.Decision(CLASSES, cost=[[0, 1, 1], [6, 0, 1], [20, 2, 0]])
    probabilities, decides = export(predictor, target_prior=prior)(DATA.inputs)
    assert torch.allclose(probabilities.double(), predictor.probabilities(scores, prior), atol=1e-5)
    assert decides.argmax(1).equal(predictor.decision(predictor.probabilities(scores, prior).log()).argmax(1))
    found = predictor.predictions(DATA.inputs, target_prior=prior)
    assert [CLASSES[j] for j in decides.argmax(1).tolist()] == list(found.labels)
    assert export(predictor, target_prior=prior).rule == found.rule
    assert not decides.argmax(1).equal(probabilities.argmax(1))  # else the decision was not tested


def test_a_target_prior_beside_chosen_thresholds_is_refused_as_in_predict() -> None:
    predictor = trained()
    logs = predictor.calibrated(predictor.scores(DATA.inputs))
    predictor.decision = posthoc.Decision(CLASSES, objective="macro_f1").fit(logs, DATA.targets)
    with pytest.raises(ValueError, match="does not go with thresholds that were chosen on validation rows"):
        export(predictor, target_prior="uniform")


def test_a_calibration_that_depends_on_values_is_refused_for_files(tmp_path: Path) -> None:
    y = np.arange(60) % 3
    X = np.random.default_rng(0).normal(size=(60, 2)).astype("float32") + y[:, None]
    recipe = lt.engine.Recipe(epochs=1, model="linear")
    list(lt.fit("ce", X, y, val=0.3, folder=tmp_path / "m", calibrate="vector", recipe=recipe))
    with pytest.raises(ValueError, match="is calibrated by VectorScaling, which depends on values") as error:
        export_files.write(lt.load(tmp_path / "m"), tmp_path / "model.pt2")
    assert "\n" not in str(error.value)
    assert not (tmp_path / "model.pt2").exists()
