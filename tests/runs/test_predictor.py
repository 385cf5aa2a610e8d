"""What is saved predicts as what was trained, to the byte; nothing but longtail's own parts is built from a file."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from forging import forged
from torch import nn

from engine_toys import RECIPE, Net, gaussians
from longtail import posthoc
from longtail.runs.predictor import Predictor

DATA = gaussians()


def trained(**options: object) -> Predictor:
    torch.manual_seed(0)
    network = RECIPE.network(DATA)
    network.body[1].weight.data.mul_(1.5)  # type: ignore[index, union-attr, operator]
    return Predictor(network, DATA.classes, DATA.class_counts, **options)  # type: ignore[arg-type]


@pytest.mark.parametrize("rule", [None, posthoc.LogitAdjustment, posthoc.TunedLogitAdjustment])
@pytest.mark.parametrize(("scale", "link"), [(1.0, "softmax"), (30.0, "softmax"), (1.0, "sigmoid")])
def test_saved_and_loaded_gives_the_same_bytes(tmp_path: Path, rule: type | None, scale: float, link: str) -> None:
    made = None if rule is None else rule(DATA.class_counts)
    predictor = trained(scale=scale, link=link, posthoc=made)
    if isinstance(made, posthoc.TunedLogitAdjustment):
        made.fit(predictor.scores(DATA.inputs), DATA.targets)
    predictor.save(tmp_path)
    loaded = Predictor.load(tmp_path)
    assert not loaded.training
    scores, again = predictor.scores(DATA.inputs), loaded.scores(DATA.inputs)
    assert again.numpy().tobytes() == scores.numpy().tobytes()
    assert scores.dtype == torch.float32
    assert loaded.adjusted(again).equal(predictor.adjusted(scores))
    assert loaded.log_probabilities(again).equal(predictor.log_probabilities(scores))
    assert loaded.predict(DATA.inputs) == predictor.predict(DATA.inputs)
    assert set(loaded.predict(DATA.inputs)) <= set(DATA.classes)


def test_a_constant_that_was_chosen_is_saved(tmp_path: Path) -> None:
    predictor = trained(posthoc=posthoc.LogitAdjustment(DATA.class_counts, tau=2.5))
    predictor.save(tmp_path)
    loaded, scores = Predictor.load(tmp_path), torch.zeros(1, 3)
    assert loaded.adjusted(scores).equal(predictor.adjusted(scores))
    assert not loaded.adjusted(scores).equal(posthoc.LogitAdjustment(DATA.class_counts)(scores))


def test_probabilities_sum_to_one_under_either_link() -> None:
    scores = torch.tensor([[2.0, -1.0, 0.5], [50.0, -50.0, 0.0]])
    for link in ("softmax", "sigmoid"):
        logs = trained(link=link).log_probabilities(scores)
        assert logs.dtype == torch.float64
        assert logs.exp().sum(1).tolist() == pytest.approx([1, 1], abs=1e-12)
    sigmoids = [1 / (1 + 2.718281828459045**-z) for z in (2.0, -1.0, 0.5)]
    expected = [s / sum(sigmoids) for s in sigmoids]
    assert trained(link="sigmoid").log_probabilities(scores)[0].exp().tolist() == pytest.approx(expected, abs=1e-12)


def test_batches_of_another_size_decide_the_same() -> None:
    predictor = trained()
    assert torch.allclose(predictor.scores(DATA.inputs, 7), predictor.scores(DATA.inputs), atol=1e-6)


def test_a_rule_of_unknown_name_is_refused(tmp_path: Path) -> None:
    trained().save(tmp_path)
    forged(tmp_path, lambda meta: meta.update(posthoc="nn.Module"))
    with pytest.raises(ValueError, match=r"post-hoc rule must be one of LogitAdjustment, .*, got 'nn.Module'"):
        Predictor.load(tmp_path)


def test_a_network_of_unknown_name_is_refused(tmp_path: Path) -> None:
    trained().save(tmp_path)
    forged(tmp_path, lambda meta: meta["network"].update(name="os.system"))
    with pytest.raises(ValueError, match=r"name must be one of linear, mlp, convnet.*, got 'os.system'"):
        Predictor.load(tmp_path)


def test_a_network_of_ones_own_must_be_handed_in(tmp_path: Path) -> None:
    predictor = Predictor(Net(), DATA.classes, DATA.class_counts)
    predictor.save(tmp_path)
    with pytest.raises(ValueError, match="is not one of longtail's; pass network= to load it"):
        Predictor.load(tmp_path)
    loaded = Predictor.load(tmp_path, network=Net())
    assert loaded.scores(DATA.inputs).equal(predictor.scores(DATA.inputs))


def test_an_empty_folder_and_a_damaged_model_are_one_line(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"holds no finished model \(meta.json is missing\)"):
        Predictor.load(tmp_path)
    trained().save(tmp_path)
    whole = (tmp_path / "model.safetensors").read_bytes()
    (tmp_path / "model.safetensors").write_bytes(whole[:50])
    with pytest.raises(ValueError, match=r"model.safetensors in .* was changed since the model was saved") as found:
        Predictor.load(tmp_path)
    assert "\n" not in str(found.value)
    (tmp_path / "model.safetensors").write_bytes(whole)
    (tmp_path / "meta.json").write_text("{")
    with pytest.raises(ValueError, match=r"meta.json is damaged"):
        Predictor.load(tmp_path)


def test_scoring_is_in_eval_mode_whatever_mode_it_was_left_in() -> None:
    predictor = Predictor(Net().train(), DATA.classes, DATA.class_counts)
    assert predictor.scores(DATA.inputs).equal(predictor.scores(DATA.inputs))
    assert isinstance(predictor.network, nn.Module)
