"""Every method has its paper's constants, checked against plain loops over the paper's equation."""

from __future__ import annotations

import math

import pytest
import torch
from tests.methods.paper_losses import COUNTS, EXPECTED, LOGITS, effective, nll, scaled
from torch import Tensor, nn

from longtail.data import Examples, TrainingSet
from longtail.engine import Recipe
from longtail.learners import SupervisedLearner
from longtail.methods import method
from longtail.models.heads import CosineClassifier

TARGETS = torch.repeat_interleave(torch.arange(3), torch.tensor(COUNTS))
DATA = Examples(torch.randn(135, 4, generator=torch.Generator().manual_seed(0)), TARGETS, ("a", "b", "c"))


def built(spec: str, epochs: int = 200) -> tuple[SupervisedLearner, Examples]:
    (stage,) = method(spec).stages(Recipe(epochs=epochs))
    torch.manual_seed(0)
    learner, data, _ = stage.build(TrainingSet(DATA), None)
    assert isinstance(learner, SupervisedLearner)
    assert isinstance(data, Examples)
    return learner, data


def losses(spec: str, progress: float = 0.0) -> list[float]:
    """Per example, for one example of each class."""
    learner, _ = built(spec)
    logits = torch.tensor(LOGITS, dtype=torch.float64)
    found: Tensor = learner.loss.per_example(logits, torch.arange(3), progress=progress)
    return found.tolist()


@pytest.mark.parametrize("key", EXPECTED)
def test_the_loss_before_any_switch(key: str) -> None:
    assert losses(key) == pytest.approx(EXPECTED[key], rel=1e-9)


@pytest.mark.parametrize("key", ["ce-drw", "focal-drw", "ldam-drw", "m-drw", "mm-drw", "mm-ldam-drw"])
def test_re_weighting_begins_at_epoch_160_of_200_with_effective_numbers(key: str) -> None:
    assert losses(key, 159 / 200) == pytest.approx(EXPECTED[key], rel=1e-9)
    weighted = [w * loss for w, loss in zip(effective(0.9999), EXPECTED[key], strict=True)]
    for epoch in (160, 180, 199):
        assert losses(key, epoch / 200) == pytest.approx(weighted, rel=1e-9)


def test_vector_scaling_is_truncated_and_weighted_by_the_prior_to_minus_nu_from_epoch_160_of_200() -> None:
    raw = [(n / 135) ** -0.15 for n in COUNTS]
    late = [3 * w / sum(raw) * scaled(y, 0.0, 1.0) for y, w in enumerate(raw)]
    assert losses("vs-tla-adrw", 159 / 200) == pytest.approx(EXPECTED["vs"], rel=1e-9)
    assert losses("vs-tla-adrw", 160 / 200) == pytest.approx(late, rel=1e-9)


def test_a_test_prior_enters_margins_weights_and_the_prior_of_the_scores() -> None:
    test = (1, 4, 2)
    ratios = [(m / n) ** 0.25 for m, n in zip(test, COUNTS, strict=True)]
    expected = [nll([30 * (z - 0.5 * ratios[y] / max(ratios) * (j == y)) for j, z in enumerate(LOGITS[y])], y)
                for y in range(3)]  # fmt: skip
    assert losses(f"ldam(test_prior={test})") == pytest.approx(expected, rel=1e-9)
    assert losses(f"ldam-drw(test_prior={test})", 0.79) == pytest.approx(expected, rel=1e-9)
    weights = [w * m for w, m in zip(effective(), test, strict=True)]
    found = losses(f"ldam-drw(test_prior={test})", 0.8)
    assert found == pytest.approx([w * loss for w, loss in zip(weights, expected, strict=True)], rel=1e-9)
    prior = method(f"ldam-drw(test_prior={test})").prior
    assert prior is not None
    assert prior(DATA.class_counts).tolist() == pytest.approx([n * w for n, w in zip(COUNTS, weights, strict=True)])
    why = method("ldam(test_prior=(1, 2))").refuses(DATA)
    assert why == "method 'ldam' needs 3 numbers in test_prior, one per class, got 2; order them as the classes are"


def test_binary_vector_scaling_refuses_three_classes() -> None:
    why = method("vs(binary=True)").refuses(DATA)
    assert why == "method 'vs' with binary=True is for two classes, got 3; leave binary out"


def test_the_papers_text_has_inverse_frequencies() -> None:
    raw = [1 / n for n in COUNTS]
    expected = [3 * w / sum(raw) * loss for w, loss in zip(raw, EXPECTED["ldam-drw"], strict=True)]
    assert losses("ldam-drw(class_weight='inverse')", 0.9) == pytest.approx(expected, rel=1e-9)


def test_the_rarest_class_has_the_margin_of_a_half() -> None:
    cosines = torch.zeros(3, 3, dtype=torch.float64)
    learner, _ = built("ldam")
    found = learner.loss.per_example(cosines, torch.arange(3))
    # equal cosines: loss = log(1 + 2 e^(30 margin))
    margins = [math.log((math.exp(loss) - 1) / 2) / 30 for loss in found.tolist()]
    assert margins[2] == pytest.approx(0.5, rel=1e-9)
    assert margins == pytest.approx([0.5 * (5 / n) ** 0.25 for n in COUNTS], rel=1e-9)


COSINE = ("ldam", "ldam-drw", "m-drw", "mm", "mm-drw", "mm-ldam-drw")
HINGES = ("ldam-hg", "ldam-hg-drs", "hg-drs")


@pytest.mark.parametrize("key", [*COSINE, *HINGES])
def test_margins_stand_on_a_cosine_head_and_the_scale_in_the_scores(key: str) -> None:
    learner, _ = built(key)
    assert isinstance(learner.network.head, CosineClassifier)
    logits = learner.network(DATA.inputs).logits.detach()
    assert float(logits.abs().max()) <= 1 + 1e-6
    assert torch.allclose(learner.predict(DATA.inputs), (30 if key in COSINE else 1) * logits)


@pytest.mark.parametrize("key", sorted(set(EXPECTED) - {*COSINE, *HINGES}))
def test_all_others_have_a_linear_head(key: str) -> None:
    learner, _ = built(key)
    assert type(learner.network.head) is nn.Linear


@pytest.mark.parametrize("key", ["sigmoid-ce", "cb-focal"])
def test_sigmoids_start_at_one_in_c_and_their_bias_does_not_decay(key: str) -> None:
    learner, _ = built(key)
    bias = learner.network.head.bias
    assert bias.tolist() == pytest.approx([-math.log(2)] * 3)  # type: ignore[union-attr, operator]
    assert torch.sigmoid(bias).tolist() == pytest.approx([1 / 3] * 3)  # type: ignore[arg-type]
    assert learner.loss.link == "sigmoid"
    decayed, free = learner.trainable()
    assert [id(p) for p in free["params"]] == [id(bias)]
    assert free["weight_decay"] == 0.0
    assert id(bias) not in {id(p) for p in decayed["params"]}


@pytest.mark.parametrize("key", sorted(set(EXPECTED) - {"sigmoid-ce", "cb-focal"}))
def test_all_others_decay_every_parameter(key: str) -> None:
    learner, _ = built(key)
    (group,) = learner.trainable()
    assert len(group["params"]) == len(list(learner.parameters()))


def shares(spec: str, progress: float) -> list[float]:
    """Classes' shares of what 40 epochs visit."""
    _, data = built(spec)
    seen = torch.zeros(3)
    for epoch in range(40):
        for batch in data.batches(progress, torch.Generator().manual_seed(epoch)):
            seen += torch.bincount(batch["targets"], minlength=3)
    assert float(seen.sum()) == 40 * 135  # N draws an epoch
    return (seen / seen.sum()).tolist()


AS_THEY_ARE = [n / 135 for n in COUNTS]
ROOTS = [math.sqrt(n) / sum(math.sqrt(m) for m in COUNTS) for n in COUNTS]
EFFECTIVE = [n * w / sum(m * v for m, v in zip(COUNTS, effective(), strict=True))
             for n, w in zip(COUNTS, effective(), strict=True)]  # fmt: skip


@pytest.mark.parametrize(
    ("spec", "progress", "expected"),
    [
        ("ce", 0.5, AS_THEY_ARE),
        ("cb-rs", 0.0, [1 / 3] * 3),
        ("cb-rs(sampler='effective')", 0.0, EFFECTIVE),
        ("sqrt-rs", 0.0, ROOTS),
        ("ce-drs", 159 / 200, AS_THEY_ARE),
        ("ce-drs", 160 / 200, [1 / 3] * 3),
        ("ce-drs(at=0.5)", 0.5, [1 / 3] * 3),
        ("ldam-hg", 0.9, AS_THEY_ARE),
        *(
            (key, at, shares)
            for key in ("hg-drs", "ldam-hg-drs")
            for at, shares in ((0.79, AS_THEY_ARE), (0.8, [1 / 3] * 3))
        ),
    ],
)
def test_what_an_epoch_visits(spec: str, progress: float, expected: list[float]) -> None:
    # 5400 draws: a share's standard error is at most 0.0068
    assert shares(spec, progress) == pytest.approx(expected, abs=0.028)


def test_plain_epochs_visit_every_example_once() -> None:
    for spec in ("ce", "ce-drs"):
        _, data = built(spec)
        rows = torch.cat([b["index"] for b in data.batches(0.5, torch.Generator().manual_seed(0))])
        assert sorted(rows.tolist()) == list(range(135))


@pytest.mark.parametrize(("spec", "tau"), [("logit-adjusted-posthoc", 1.0), ("logit-adjusted-posthoc(tau=2)", 2.0)])
def test_after_training_the_prior_is_taken_off(spec: str, tau: float) -> None:
    make = method(spec).posthoc
    assert make is not None
    adjusted = make(DATA.class_counts)(torch.tensor(LOGITS, dtype=torch.float64))
    expected = [[v - tau * math.log(n / 135) for v, n in zip(z, COUNTS, strict=True)] for z in LOGITS]
    # up to a shift that is common to all classes, which decides nothing
    for found, wanted in zip(adjusted.tolist(), expected, strict=True):
        assert [v - found[0] for v in found] == pytest.approx([v - wanted[0] for v in wanted], rel=1e-6)


def test_the_threshold_is_chosen_on_validation_data_between_0_and_3() -> None:
    make = method("ce-threshold").posthoc
    assert make is not None
    assert method("ce-threshold").needs_val
    rule = make(DATA.class_counts)
    generator = torch.Generator().manual_seed(0)
    # scores of a head that knows nothing but the prior twice over: tau = 2 undoes it
    targets = torch.arange(3).repeat(300)
    scores = torch.randn(900, 3, generator=generator) * 0.3
    scores[torch.arange(900), targets] += 1.0
    scores += 2.0 * torch.log(torch.tensor(COUNTS) / 135)
    rule.fit(scores, targets)  # type: ignore[operator]
    moved = rule(scores)
    hits = [(moved[targets == j].argmax(1) == j).float().mean().item() for j in range(3)]
    plain = [(scores[targets == j].argmax(1) == j).float().mean().item() for j in range(3)]
    assert sum(hits) / 3 > 0.9 > sum(plain) / 3
    assert 0 <= float(rule.tau) <= 3  # type: ignore[arg-type]
    assert float(rule.tau) == pytest.approx(2.0, abs=0.4)  # type: ignore[arg-type]
