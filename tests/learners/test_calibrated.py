"""The loss beside that of the rows: the distance to the encoder, and the cross-entropy of drawn features."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from tests.cases import cases
from tests.functional import rcal_formulas as formulas

from longtail import losses
from longtail.facts.types import Batch
from longtail.learners import SupervisedLearner
from longtail.learners.calibrated import Calibration, ClassGaussians, MeasuredEncoder
from longtail.models import build


def network(seed: int) -> Any:
    torch.manual_seed(seed)
    return build("mlp", input_shape=(4,), num_classes=3, hidden=(5,)).double()


def gaussians() -> ClassGaussians:
    generator = torch.Generator().manual_seed(5)
    means, root = (torch.randn(*shape, generator=generator) for shape in ((3, 5), (3, 5, 5)))
    return ClassGaussians(means, root, torch.tensor(2.5)).double()


def batch(weight: bool = False) -> Batch:
    generator = torch.Generator().manual_seed(6)
    found = Batch(
        inputs=torch.randn(6, 4, generator=generator).double(),
        index=torch.arange(6),
        targets=torch.tensor([0, 1, 2, 0, 1, 0]),
        samples=(torch.tensor([2, 1, 2, 0]), torch.randn(4, 5, generator=generator)),
    )
    if weight:
        found["sample_weight"] = torch.tensor([1.0, 2.0, 0.0, 1.0, 3.0, 1.0])
    return found


def expected(learner: Any, encoder: Any, given: Any, beta: float, sampled: float) -> float:
    f, e = learner.network.features(given["inputs"]).tolist(), encoder.features(given["inputs"]).tolist()
    w = given["sample_weight"].tolist() if "sample_weight" in given else [1.0] * len(f)
    total = sum(k * formulas.distance(a, b) for k, a, b in zip(w, f, e, strict=True)) / sum(w) / 2.5
    parts, (classes, noise) = learner.beside.gaussians, given["samples"]
    weight, bias = learner.network.head.weight.tolist(), learner.network.head.bias.tolist()
    terms = []
    for c, eps in zip(classes.tolist(), noise.tolist(), strict=True):
        root = parts.root[c].tolist()
        z = [m + sum(a * b for a, b in zip(row, eps, strict=True)) for m, row in zip(parts.means[c].tolist(), root, strict=True)]  # fmt: skip # noqa: E501
        logits = [sum(a * b for a, b in zip(row, z, strict=True)) + own for row, own in zip(weight, bias, strict=True)]
        terms.append(formulas.cross_entropy(logits, c))
    return float(beta * total + sampled * sum(terms) / len(terms))


@cases(("beta", "sampled", "weight"), [(0.5, 2.0, False), (0.5, 0.0, True), (0.0, 2.0, True)])
def test_it_is_the_formula_added_to_the_loss_of_the_rows(beta: float, sampled: float, weight: bool) -> None:
    plain = SupervisedLearner(network(0), losses.CrossEntropyLoss())
    encoder = network(1)
    beside = Calibration(gaussians(), encoder if beta else None, beta=beta, sampled=sampled)
    learner, given = plain.varied(beside=beside), batch(weight)
    step, before = learner.training_step(given, 0.0), plain.training_step(given, 0.0)
    assert (step.loss - before.loss).item() == pytest.approx(expected(learner, encoder, given, beta, sampled))
    assert step.losses is not None
    assert step.losses.equal(before.losses)  # type: ignore[arg-type]


def test_its_gradient_is_that_of_the_network_alone() -> None:
    learner = SupervisedLearner(
        network(0), losses.CrossEntropyLoss(), beside=Calibration(gaussians(), network(1), beta=0.5, sampled=1.0)
    )
    given, weight = batch(), dict(learner.named_parameters())["network.head.weight"]

    def loss(values: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = torch.func.functional_call(learner, {"network.head.weight": values}, (given, 0.0)).loss
        return found

    assert torch.autograd.gradcheck(loss, weight)
    learner.training_step(given, 0.0).loss.backward()  # type: ignore[no-untyped-call]
    trained = {name for name, p in learner.named_parameters() if p.grad is not None}
    assert trained == {name for name, _ in learner.named_parameters() if name.startswith("network.")}
    (group,) = learner.trainable()
    assert len(group["params"]) == 4


def test_features_equal_to_those_of_the_encoder_have_no_distance_and_a_finite_gradient() -> None:
    learner = SupervisedLearner(
        network(0), losses.CrossEntropyLoss(), beside=Calibration(gaussians(), network(0), beta=0.5, sampled=0.0)
    )
    plain = SupervisedLearner(network(0), losses.CrossEntropyLoss())
    for one in (learner, plain):
        one.training_step(batch(), 0.0).loss.backward()  # type: ignore[no-untyped-call]
    for (name, p), q in zip(learner.network.named_parameters(), plain.network.parameters(), strict=True):
        assert p.grad is not None
        assert p.grad.equal(q.grad), name  # type: ignore[arg-type]


def test_a_sigmoid_loss_classifies_drawn_features_by_sigmoids() -> None:
    logits = network(0).head(gaussians()(*batch()["samples"]))
    beside = Calibration(gaussians(), None, beta=0.0, sampled=1.0, scale=2.0, link="sigmoid")
    learner = SupervisedLearner(network(0), losses.CrossEntropyLoss(), beside=beside)
    plain = SupervisedLearner(network(0), losses.CrossEntropyLoss())
    more = learner.training_step(batch(), 0.0).loss - plain.training_step(batch(), 0.0).loss
    one_hot = torch.nn.functional.one_hot(batch()["samples"][0], 3).double()
    by_class = torch.nn.functional.binary_cross_entropy_with_logits(2 * logits, one_hot, reduction="none")
    torch.testing.assert_close(more, by_class.sum(1).mean())


def test_the_encoder_stays_in_evaluation_mode() -> None:
    torch.manual_seed(0)
    encoder = build("convnet", input_shape=(8, 8), num_classes=3, width=4)
    beside = Calibration(gaussians(), encoder, beta=1.0, sampled=0.0)
    learner = SupervisedLearner(network(0), losses.CrossEntropyLoss(), beside=beside).train()
    assert learner.network.training
    assert not any(module.training for module in encoder.modules())
    assert not any(p.requires_grad for p in encoder.parameters())
    measured = MeasuredEncoder(encoder, gaussians()).train()
    assert not measured.training
    assert not measured.trainable()
    with pytest.raises(RuntimeError, match="nothing to train"):
        measured.training_step(batch(), 0.0)
