"""The hosts of the catalogue: their networks, their batches, what they never see, and what is refused."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from tests.methods import task_data
from torch import nn

from longtail.catalogue.encoders import ENCODER_SLOTS
from longtail.catalogue.tasks import CONTEXT, METHOD, role
from longtail.data import Splits, TrainingSet, load
from longtail.engine import Recipe, Training
from longtail.learners.queue import MoCo
from longtail.methods import method
from longtail.models.heads import Projection

RECIPE = Recipe(epochs=2, batch_size=16, lr=0.2, model="mlp", model_args={"hidden": (8,)})
DATA = task_data.splits("self-supervised")
HOSTS = ("simclr", "focal-simclr", "moco", "moclr", "byol", "simsiam")
WITHOUT_TEMPERATURE = ("byol", "simsiam")


def built(spec: str, recipe: Recipe = RECIPE) -> Any:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return method(spec).stages(recipe)[0].build(TrainingSet.of(DATA), None)


def encoder(spec: str, data: Splits = DATA, recipe: Recipe = RECIPE) -> dict[str, torch.Tensor]:
    """The encoder's state after its stage."""
    training = Training(method(spec).stages(recipe), TrainingSet.of(data))
    list(training)
    return dict(training.state()["before"][0])


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return all(t.equal(other[name]) for name, t in one.items() if name.startswith("network.body."))


def kinds(part: nn.Module) -> str:
    short = {"Linear": "L", "BatchNorm1d": "N", "ReLU": "R"}
    return "".join(short[type(layer).__name__] for layer in part.get_submodule("layers").children())


class TestNetworks:
    @pytest.mark.parametrize(
        ("spec", "projector", "predictor", "dim"),
        [
            ("simclr", "LNRLN", None, 128),
            ("focal-simclr(dim=5)", "LNRLN", None, 5),
            ("moco", "LRL", None, 128),
            ("moclr", "LNRLN", None, 256),
            ("byol", "LNRL", "LNRL", 256),
            ("simsiam", "LNRLNRLN", "LNRL", 32),
            ("supcon", "LNRLN", None, 128),
        ],
    )
    def test_are_those_of_the_papers(self, spec: str, projector: str, predictor: str | None, dim: int) -> None:
        learner = built(spec).learner
        assert kinds(learner.network.head) == projector
        assert learner.network.head.out_features == dim
        assert (None if predictor is None else kinds(learner.host.predictor)) == predictor
        if predictor is not None:
            assert learner.host.predictor.out_features == dim

    def test_widths_follow_the_features(self) -> None:
        inside = [
            built(spec).learner.network.head.layers[0].out_features
            for spec in (
                "simclr",
                "moco",
                "moclr",
                "byol",
                "simsiam",
                "byol(hidden=7)",
                "moco(hidden=9)",
                "simsiam(dim=6)",
            )
        ]
        assert inside == [8, 8, 16, 16, 32, 7, 9, 6]
        predictors = [
            built(spec).learner.host.predictor.layers[0].out_features
            for spec in (
                "byol",
                "simsiam",
                "byol(hidden=7)",
                "byol(predictor=3)",
                "simsiam(dim=6)",
                "simsiam(hidden=5)",
            )
        ]
        assert predictors == [16, 8, 7, 3, 1, 5]

    def test_of_a_resnet_18_and_50_are_as_published(self) -> None:
        for features in (512, 2048):
            head = Projection(features, 0, dim=0, layers=3, last="plain", wider=4, most=2048)
            assert head.layers[0].out_features == head.out_features == 2048
        assert Projection(2048, 0, dim=256, wider=2).layers[0].out_features == 4096

    def test_last_norms(self) -> None:
        affine, plain, none = (Projection(6, 0, dim=4, last=last).layers for last in ("affine", "plain", "none"))
        assert (affine[-1].affine, plain[-1].affine) == (True, False)
        assert isinstance(none[-1], nn.Linear)
        assert none[-1].bias is not None
        assert plain[-2].bias is None
        with pytest.raises(ValueError, match=r'^last must be "affine" or "plain" or "none", got \'half\''):
            Projection(6, 0, last="half")

    def test_a_host_of_the_queue_has_the_width_of_the_projections(self) -> None:
        host = built("moco(queue=48, dim=5)").learner.host
        assert isinstance(host, MoCo)
        assert tuple(host.keys.shape) == (48, 5)


@pytest.mark.parametrize("spec", ["focal-simclr", "moco(queue=32)", "moclr", "byol", "simsiam"])
def test_never_sees_a_label(spec: str) -> None:
    shuffled = DATA.train.targets[torch.randperm(len(DATA.train), generator=torch.Generator().manual_seed(0))]
    other = replace(DATA, train=replace(DATA.train, targets=shuffled))
    assert same(encoder(spec), encoder(spec, other))


@pytest.mark.parametrize(
    ("one", "other", "equal"),
    [
        ("focal-simclr(gamma=0)", "simclr", True),
        ("focal-simclr", "simclr", False),
        ("moco(t=cycle(0.2, 0.2, 2))", "moco", True),
        ("moco(decay=cosine(0.99, 0.99))", "moco", True),
        ("moco(decay=cosine(0.1, 1.0))", "moco", False),
        ("moco(queue=16)", "moco", False),
        ("moclr(decay=linear(0.99, 0.99))", "moclr", True),
        ("moclr(decay=0.5)", "moclr", False),
        ("byol(decay=cosine(0.5, 1.0))", "byol", False),
        ("byol(passes='joint')", "byol", False),
        ("simsiam(passes='joint')", "simsiam", False),
        ("supcon(t=0.2)", "supcon", False),
    ],
)
def test_a_knob_without_strength_changes_nothing_and_with_it_something(one: str, other: str, equal: bool) -> None:
    assert same(encoder(one), encoder(other)) == equal


def test_an_average_that_does_not_stay_is_the_network_and_one_that_stays_its_start() -> None:
    now, start = encoder("byol(decay=0)"), built("byol(decay=1)").learner
    parameters = [name for name, _ in start.network.named_parameters()]
    assert all(now[f"average.{name}"].equal(now[f"network.{name}"]) for name in parameters)
    stays = encoder("byol(decay=1)")
    begun = Training([replace(method("byol(decay=1)").stages(RECIPE)[0], epochs=0)], TrainingSet.of(DATA))
    list(begun)
    before = begun.learner.state_dict()
    assert all(stays[f"average.{name}"].equal(before[f"network.{name}"]) for name in parameters)
    assert not all(stays[f"network.{name}"].equal(before[f"network.{name}"]) for name in parameters)


def test_the_queue_holds_the_rows_of_the_last_steps() -> None:
    rows = encoder("moco(queue=16)")["host.rows"].tolist()
    assert len(set(rows)) == 16  # an epoch's last rows, over the seam
    assert set(rows) <= set(range(len(DATA.train)))
    many = encoder("moco")["host.rows"]
    assert int((many >= 0).sum()) == RECIPE.epochs * len(DATA.train)


class TestBatches:
    @pytest.mark.parametrize("spec", [*HOSTS, "supcon", "moclr(passes='joint')"])
    @pytest.mark.parametrize("model", ["mlp", "convnet"])
    def test_the_last_one_may_have_a_single_row(self, spec: str, model: str) -> None:
        images = model == "convnet"
        data = task_data.splits("self-supervised", shape=(1, 8, 8) if images else (4,))
        size = len(data.train) - 1
        args: dict[str, Any] = {"width": 2} if images else {"hidden": (8,)}
        recipe = replace(RECIPE, epochs=1, batch_size=size, model=model, model_args=args, lr=0.01)
        training = Training(method(spec).stages(recipe), TrainingSet.of(data))
        (record,) = list(training)
        assert record["examples"] == size + 1
        assert torch.tensor(record["loss"]).isfinite()

    def test_of_one_row_are_refused(self) -> None:
        with pytest.raises(ValueError, match="batch_size must be an integer >= 2, got 1"):
            replace(RECIPE, batch_size=1)

    def test_must_fill_the_queue(self) -> None:
        assert method("moco").refuses_recipe(RECIPE, DATA.train) is None
        why = method("moco(queue=100)").refuses_recipe(RECIPE, DATA.train)
        assert why == (
            "method 'moco(queue=100)': queue must be a multiple of the batch size, 16, got 100; take queue=96"
        )
        why = method("moco(queue=7)").refuses_recipe(RECIPE, DATA.train)
        assert why is not None
        assert why.endswith("got 7; take queue=16")

    def test_a_queue_of_more_places_than_half_of_the_rows_is_noted(self) -> None:
        (note,) = method("moco(queue=48)").notes
        assert note(DATA.train) is not None
        assert "queue of 48 places is larger than half of the" in str(note(DATA.train))
        (note,) = method("moco(queue=16)").notes
        assert note(DATA.train) is None


@pytest.mark.parametrize("spec", ["focal-simclr", "moco", "moclr", "supcon"])
def test_a_temperature_of_0_is_refused(spec: str) -> None:
    for t in ("0", "-0.1", "cycle(0.0, 1.0)"):
        with pytest.raises(ValueError, match=r"^t must be > 0, got "):
            method(f"{spec}(t={t})")


def test_methods_without_a_temperature_have_no_slot_for_it() -> None:
    for spec in HOSTS:
        free = spec not in WITHOUT_TEMPERATURE
        assert (method(spec).refuses_slots("temperature") is None) == free
        assert method(spec).slots == (ENCODER_SLOTS if free else ENCODER_SLOTS - {"temperature"})
        assert (built(spec).learner.host.t is not None) == free


class TestSupCon:
    def test_learns_from_the_labels_of_labelled_rows_alone(self) -> None:
        part = task_data.splits("semi-supervised")
        assert len(method("supcon").stages(RECIPE)[0].build(TrainingSet.of(part), None).data) == len(part.train)
        assert same(encoder("supcon", part), encoder("supcon", replace(part, unlabeled=None)))
        assert not same(encoder("supcon"), encoder("supcon(t=0.3)"))

    def test_is_a_supervised_method_and_context_among_encoders(self) -> None:
        assert method("supcon").task == "supervised"
        assert role("self-supervised", "supervised", "supcon") == CONTEXT
        assert role("supervised", "supervised", "supcon") == METHOD

    def test_no_correction_of_encoders_or_classifiers_takes_it(self) -> None:
        for spec in ("sam(base='supcon')", "absgd(base='supcon')", "crt(base='supcon')", "mixup(base='supcon')"):
            with pytest.raises(ValueError, match=r"^base must be .* got 'supcon', which has no "):
                method(spec)

    def test_another_augmentation_is_refused(self) -> None:
        why = method("supcon").refuses_recipe(replace(RECIPE, augmentation="strong"), DATA.train)
        assert why == (
            "method 'supcon': augmentation must be usual, as its views are its own, got strong; leave it out"
        )


@pytest.mark.parametrize("host", ["simclr", "focal-simclr", "moco", "moclr", "byol", "simsiam"])
def test_the_views_of_images_are_chosen_by_name_and_other_inputs_have_one_pair(host: str) -> None:
    digits = load("digits", ratio=50)
    found = method(f"{host}(views='byol')")
    recipe = Recipe(epochs=1, batch_size=64, model="convnet", model_args={"width": 2})
    assert found.refuses_recipe(recipe, digits.train) is None
    data = found.stages(recipe)[0].build(TrainingSet.of(digits), None).data
    assert data.views == ("contrast-byol-1", "contrast-byol-2")
    assert method(host).stages(recipe)[0].build(TrainingSet.of(digits), None).data.views == ("contrast", "contrast")
    table = load(digits.train.inputs.flatten(1).numpy(), digits.train.targets.numpy())
    why = found.refuses_recipe(Recipe(epochs=1, batch_size=64), table.train)
    assert why is not None
    assert "views must be cifar for inputs of this kind, got 'byol'; leave it out" in why
