"""Mixed examples: who is mixed with whom, at which layer, and the loss of two labels under any loss."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from scipy.stats import beta, kstest
from tests.cases import cases
from torch import Tensor, nn

from longtail import losses
from longtail.data import Examples, TrainingSet, load
from longtail.data.views import CropFlip, Mixing
from longtail.engine import Built, Recipe
from longtail.engine.due_step import DueStep
from longtail.engine.pack import signature
from longtail.facts.schedules import switch
from longtail.facts.types import Batch, Mixed
from longtail.learners import SupervisedLearner
from longtail.learners.mixing import Mixer
from longtail.methods import method
from longtail.models import build
from longtail.models.bodies.stages import places
from longtail.models.own.build import OwnBody

SIZES = (60, 25, 9)
RECIPE = Recipe(epochs=5, batch_size=16, model="mlp", model_args={"hidden": (8, 6)})


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def rows(weights: bool = False) -> Examples:
    rng = np.random.default_rng(0)
    y = np.repeat(np.arange(3), SIZES)
    found = load(rng.normal(size=(len(y), 4)) + y[:, None], y, test=0.2).train
    assert isinstance(found, Examples)
    return replace(found, sample_weight=torch.rand(len(found), generator=generator())) if weights else found


def built(spec: str, data: Examples | None = None, recipe: Recipe = RECIPE, stage: int = 0) -> Built:
    torch.manual_seed(0)
    return method(spec).stages(recipe)[stage].build(TrainingSet(rows() if data is None else data), None)


class TestPairs:
    """The random part of a batch."""

    def test_every_batch_has_a_permutation_and_one_share(self) -> None:
        data = replace(rows(), mixing=Mixing(0.4), batch_size=16)
        batches = list(data.batches(0.0, generator()))
        for batch in batches:
            mixed = batch["mixing"]
            assert sorted(mixed.partner.tolist()) == list(range(len(batch["index"])))
            assert mixed.share.ndim == mixed.layer.ndim == 0
        assert len({float(batch["mixing"].share) for batch in batches}) == len(batches)

    @cases("alpha", [0.2, 1.0, 3.0])
    def test_shares_are_from_beta(self, alpha: float) -> None:
        share = Mixing(alpha).draw(5000, (), generator())[0].double().numpy()
        assert kstest(share, beta(alpha, alpha).cdf).pvalue > 1e-3
        assert kstest(share, beta(alpha + 1, alpha).cdf).pvalue < 1e-6

    def test_rows_and_augmentation_are_those_of_a_training_without_mixing(self) -> None:
        images = torch.randint(256, (40, 3, 8, 8), generator=generator(), dtype=torch.uint8)
        plain = Examples(images, torch.arange(40) % 3, ("a", "b", "c"), batch_size=16, augment=CropFlip())
        mixed = replace(plain, mixing=Mixing())
        for ours, theirs in zip(mixed.batches(0.0, generator(3)), plain.batches(0.0, generator(3)), strict=True):
            assert torch.equal(ours["index"], theirs["index"])
            assert torch.equal(ours["inputs"], theirs["inputs"])  # type: ignore[arg-type]
            assert "mixing" not in theirs

    @cases("alpha", [0.0, -1.0, float("inf")])
    def test_a_bad_alpha_is_refused(self, alpha: float) -> None:
        with pytest.raises(ValueError, match="alpha must be > 0"):
            Mixing(alpha)


LOSSES: dict[str, tuple[str, Any]] = {
    "ce": ("ce", lambda n: losses.CrossEntropyLoss()),
    "smoothing": ("label-smoothing(eps=0.2)", lambda n: losses.CrossEntropyLoss(label_smoothing=0.2)),
    "label-aware": ("label-aware-smoothing", lambda n: losses.LabelAwareSmoothingLoss(n)),
    "focal": ("focal", lambda n: losses.FocalLoss()),
    "ldam-drw": (
        "ldam-drw",
        lambda n: losses.LDAMLoss(n, class_weight="effective", reweight=switch(0.8, 0.0, 1.0)),
    ),
    "logit-adjusted": ("logit-adjusted", lambda n: losses.LogitAdjustedLoss(n)),
    "influence": (
        "influence-balanced",
        lambda n: losses.InfluenceBalancedLoss(
            n, balance=switch(0.5, 0.0, 1.0), class_weight="inverse", reweight=switch(0.5, 0.0, 1.0)
        ),
    ),
}


def per_row(loss: losses.Loss, outputs: Any, y: Tensor, s: Tensor | None, p: float) -> tuple[Tensor, Tensor]:
    """The weighted loss of every row and what it is divided by, from one row at a time."""
    one = [
        loss.terms(
            outputs.logits[i : i + 1],
            y[i : i + 1],
            features=outputs.features[i : i + 1],
            sample_weight=None if s is None else s[i : i + 1],
            progress=p,
        )
        for i in range(len(y))
    ]
    by_weight = loss.normalize == "weights"
    divisors = [share if omega is None or not by_weight else omega for _, omega, share in one]
    return torch.cat([terms[0] for terms in one]), torch.cat(divisors).to(outputs.logits.dtype)


@cases("weights", [False, True])
@cases("p", [0.0, 0.9])
@pytest.mark.parametrize("name", LOSSES)
def test_any_loss_is_mixed_of_two_labels(name: str, p: float, weights: bool) -> None:
    base, make = LOSSES[name]
    data = rows(weights)
    made = built(f"mixup(base={base!r}, alpha=2.0)", data)
    batch = next(iter(made.data.batches(0.0, generator())))
    step = made.learner.training_step(batch, p)
    partner, share, _ = batch["mixing"]
    network: Any = made.learner.network  # type: ignore[attr-defined]
    x = network.standardize(batch["inputs"])
    features = network.body(share * x + (1 - share) * x[partner])
    outputs = type("Outputs", (), {"logits": network.head(features), "features": features})
    loss, y, s = make(data.class_counts), batch["targets"], batch.get("sample_weight")
    of_a, by_a = per_row(loss, outputs, y, s, p)
    of_b, by_b = per_row(loss, outputs, y[partner], None if s is None else s[partner], p)
    expected = share * of_a + (1 - share) * of_b
    torch.testing.assert_close(step.losses, expected)
    torch.testing.assert_close(step.loss, expected.sum() / (share * by_a + (1 - share) * by_b).sum())


class TestPlaces:
    """Where values are mixed."""

    def outputs(self, place: str, layer: float, share: float = 0.3) -> tuple[Tensor, Tensor]:
        """Logits of the learner, and by hand with the mixing after so many stages."""
        made = built(f"manifold-mixup(place={place!r})")
        batch = next(iter(made.data.batches(0.0, generator())))
        partner = batch["mixing"].partner
        batch["mixing"] = Mixed(partner, torch.tensor(share), torch.tensor(layer))
        network: Any = made.learner.network  # type: ignore[attr-defined]
        number = int(layer * 3) if place == "random" else network.places.index(place)

        def mix(x: Tensor, k: int) -> Tensor:
            return share * x + (1 - share) * x[partner] if k == number else x

        flatten, first, relu, second, _ = network.body
        x = mix(network.standardize(batch["inputs"]), 0)
        x = mix(relu(first(flatten(x))), 1)
        x = mix(relu(second(x)), 2)
        step = made.learner.training_step(batch, 0.0)
        assert step.outputs is not None
        torch.testing.assert_close(step.outputs.features, x)
        return step.outputs.logits, network.head(x)

    @cases(("place", "layer"), [("input", 0.9), ("stage-1", 0.9), ("features", 0.1)])
    def test_one_place(self, place: str, layer: float) -> None:
        torch.testing.assert_close(*self.outputs(place, layer))

    @cases("layer", [0.0, 0.34, 0.99])
    def test_a_place_drawn_for_the_batch(self, layer: float) -> None:
        torch.testing.assert_close(*self.outputs("random", layer))

    def test_a_share_of_one_is_the_network_as_it_is(self) -> None:
        made = built("manifold-mixup")
        batch = next(iter(made.data.batches(0.0, generator())))
        batch["mixing"] = batch["mixing"]._replace(share=torch.ones(()))
        step = made.learner.training_step(batch, 0.0)
        assert step.outputs is not None
        assert torch.equal(step.outputs.logits, made.learner.network(batch["inputs"]).logits)  # type: ignore[attr-defined]

    def test_codes_are_mixed_as_embeddings(self) -> None:
        network = build("tabular", input_shape=[3], num_classes=2, numeric=1, categories=[4, 5], hidden=[6])
        inputs = torch.tensor([[0.5, 1, 2], [-1.0, 3, 4]])
        mixed = Mixed(torch.tensor([1, 0]), torch.tensor(0.3), torch.zeros(()))
        encoder, layers = network.body  # type: ignore[misc]
        x = encoder(network.standardize(inputs))
        expected = network.head(layers(0.3 * x + 0.7 * x.flip(0)))
        torch.testing.assert_close(network(inputs, Mixer(2, 0).change(mixed)).logits, expected)

    def test_every_row_may_have_a_share_of_its_own(self) -> None:
        with torch.random.fork_rng():
            network = build("convnet", input_shape=[8, 8], num_classes=2).eval()
        inputs = torch.randn(3, 8, 8, generator=generator())
        partner, share = torch.tensor([1, 2, 0]), torch.tensor([0.9, 0.3, 1.0])
        expected = torch.stack([s * x + (1 - s) * inputs[j] for s, x, j in zip(share, inputs, partner, strict=True)])
        changed = network(inputs, Mixer(2, 0).change(Mixed(partner, share, torch.zeros(()))))
        torch.testing.assert_close(changed.logits, network(expected).logits)

    @cases(
        ("name", "shape", "places"),
        [
            ("linear", (4,), ("input", "features")),
            ("mlp", (4,), ("input", "stage-1", "features")),
            ("convnet", (8, 8), ("input", "stage-1", "features")),
            ("resnet32", (3, 8, 8), ("input", "stage-1", "stage-2", "features")),
            ("wide_resnet", (3, 8, 8), ("input", "stage-1", "stage-2", "features")),
        ],
    )
    def test_a_network_has_the_places_between_its_stages(
        self, name: str, shape: tuple[int, ...], places: tuple[str, ...]
    ) -> None:
        network = build(name, input_shape=shape, num_classes=3).eval()
        assert network.places == places
        inputs = torch.randn(4, *shape, generator=generator())
        unmixed = Mixed(torch.arange(4), torch.tensor(0.3), torch.tensor(0.5))
        for place in (None, *range(len(places))):
            changed = network(inputs, Mixer(len(places), place).change(unmixed))
            torch.testing.assert_close(changed.logits, network(inputs).logits)

    def test_float16_bodies_are_mixed_too(self) -> None:
        recipe = replace(RECIPE, precision="float16")
        made = built("manifold-mixup(place='stage-1')", recipe=recipe)
        batch = next(iter(made.data.batches(0.0, generator())))
        made.learner.training_step(batch, 0.0).loss.backward()  # type: ignore[no-untyped-call]
        network: Any = made.learner.network  # type: ignore[attr-defined]
        assert all(p.grad is not None and p.grad.isfinite().all() for p in network.body.parameters())


def remix_by_hand(n_a: int, n_b: int, share: float, kappa: float, tau: float) -> float:
    if n_a / n_b >= kappa and share < tau:
        return 0.0
    if n_a / n_b <= 1 / kappa and 1 - share < tau:
        return 1.0
    return share


@cases("share", [0.0, 0.2, 0.49, 0.5, 0.51, 0.8, 1.0])
def test_remix_gives_the_label_to_the_rarer_class(share: float) -> None:
    counts = torch.tensor([90, 30, 29, 3])
    a, b = torch.cartesian_prod(torch.arange(4), torch.arange(4)).unbind(1)
    for kappa, tau in ((3.0, 0.5), (1.0, 0.9), (10.0, 0.5), (3.0, 0.0)):
        mixer = Mixer(2, 0, counts=counts, kappa=kappa, tau=tau)
        partner = torch.cat([torch.arange(16, 32), torch.arange(16)])
        mixed = Mixed(partner, torch.tensor(share), torch.zeros(()))
        batch = Batch(inputs=torch.zeros(32, 1), index=torch.arange(32), mixing=mixed)
        pair = mixer.pair(batch, torch.cat([a, b]), None, 0.0)
        expected = [remix_by_hand(int(counts[i]), int(counts[j]), share, kappa, tau) for i, j in zip(a, b, strict=True)]
        assert pair.own[:16].tolist() == pytest.approx(expected)


def test_remix_is_mixup_without_a_threshold() -> None:
    ours, theirs = built("remix(tau=0.0)"), built("mixup")
    batch = next(iter(theirs.data.batches(0.0, generator())))
    assert torch.equal(ours.learner.training_step(batch, 0.0).loss, theirs.learner.training_step(batch, 0.0).loss)


def trained(spec: str, steps: int = 4) -> Tensor:
    """The loss after some steps of every stage."""
    data, previous = TrainingSet(rows()), None
    for stage in method(spec).stages(RECIPE):
        torch.manual_seed(0)
        made = stage.build(data, previous)
        optimizer = stage.start(made.learner)
        for batch in list(made.data.batches(0.9, generator()))[:steps]:
            last = made.update(made.learner, batch, optimizer, 0.9).loss
        previous = made.learner
    return last.detach()


@cases(
    "spec",
    [
        "absgd(base='mixup')", "mixup(base='absgd')", "term(base='mixup')", "mixup(base='eg(persistent=True)')",
        "sam(base='mixup')", "mixup(base='sam')", "mixup(base='ride')", "crt(base='mixup')", "mixup(base='crt')",
        "mixup(base='over-rs')", "remix(base='cb-rs')", "manifold-mixup(base='ldam-drw')", "mixup(base='seql')",
        "mixup(base=\"drs(base='label-smoothing')\")", "drw(base='mixup')", "mixup(base='sigmoid-ce')",
    ],
)  # fmt: skip
def test_it_composes(spec: str) -> None:
    assert trained(spec).isfinite()


def test_weights_take_the_label_of_the_larger_part() -> None:
    made = built("mixup(base='term(t=2.0)')")
    batch = next(iter(made.data.batches(0.0, generator())))
    partner = batch["mixing"].partner
    seen: list[Tensor] = []
    learner: Any = made.learner
    learner.weights.register_forward_pre_hook(lambda _, args, kwargs: seen.append(kwargs["targets"]), with_kwargs=True)
    for share in (0.6, 0.4):
        batch["mixing"] = batch["mixing"]._replace(share=torch.tensor(share))
        learner.training_step(batch, 0.0)
    assert torch.equal(seen[0], batch["targets"])
    assert torch.equal(seen[1], batch["targets"][partner])


def test_a_mixed_step_is_not_packed_with_others() -> None:
    for spec, packed in (("ce", True), ("mixup", False)):
        made = built(spec)
        optimizer = method(spec).stages(RECIPE)[0].start(made.learner)
        batch = next(iter(made.data.batches(0.0, generator())))
        assert (signature(DueStep(made, batch, optimizer, 0.0)) is not None) == packed


@cases(
    ("spec", "message"),
    [
        ("mixup(base='remix')", "base must be a supervised method .*which mixes its examples already"),
        ("mixup(base='fixmatch')", "which is semi-supervised"),
        ("mixup(base='trees')", "whose training is not one of gradient steps"),
        ("mixup(alpha=0.0)", "alpha must be > 0"),
        ("remix(kappa=0.5)", "kappa must be >= 1"),
        ("remix(tau=1.5)", r"tau must be in \[0, 1\]"),
        ("manifold-mixup(place='stage-9')", 'place must be "random" or "input"'),
    ],
)
def test_what_cannot_be_mixed_is_refused_by_name(spec: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        method(spec)


def test_a_place_that_the_network_lacks_is_named_before_training() -> None:
    with pytest.raises(
        ValueError, match="place must be one of random, input, stage-1, features for this network, got 'stage-2'"
    ):
        built("manifold-mixup(place='stage-2')")


def test_a_network_of_ones_own_has_two_places() -> None:
    assert places(OwnBody(nn.Linear(3, 2))) == ("input", "features")


def test_the_learner_keeps_its_mixing_when_varied() -> None:
    learner = built("mixup").learner
    assert isinstance(learner, SupervisedLearner)
    assert learner.varied(no_decay=()).mixing is learner.mixing
