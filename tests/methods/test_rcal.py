"""RCAL: its stages, its statistics against loops, and each part of the ablation switched off."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from tests.cases import cases
from tests.functional import rcal_formulas as formulas
from tests.learners.test_outliers import planted
from tests.methods import task_data

from longtail import functional
from longtail.data import Examples, TrainingSet
from longtail.data.sampled import WithSamples
from longtail.engine import Recipe, Training, state_files
from longtail.learners.calibrated import MeasuredEncoder
from longtail.learners.outliers import inliers
from longtail.methods import method
from longtail.methods.noisy.rcal import gaussians_of

RECIPE = Recipe(epochs=3, batch_size=16, model="mlp", model_args={"hidden": (8,)})
COUNTS = (40, 20, 8)
SPLITS = task_data.splits("supervised", COUNTS)
DATA = TrainingSet.of(SPLITS)
STATISTICS: Any = {"neighbours": 5, "q": 2, "tau": 0.7, "gamma": 0.6, "covariance": "full", "shrinkage": 0.2}
State = dict[str, Any]


def trained(spec: str, data: TrainingSet = DATA, **options: Any) -> Training:
    training = Training(method(spec).stages(RECIPE), data, **options)
    list(training)
    return training


def network(training: Training) -> State:
    found = training.learner.state_dict()
    return {name: value for name, value in found.items() if name.startswith("network.")}


def same(one: State, other: State) -> bool:
    return one.keys() == other.keys() and all(
        value.equal(other[name]) if isinstance(value, torch.Tensor) else value == other[name]
        for name, value in one.items()
    )


def last_built(spec: str) -> Any:
    """What the last stage trains, before its first step; the new head is always the same."""
    *before, last = method(spec).stages(RECIPE)
    training = Training(before, DATA)
    list(training)
    torch.manual_seed(0)
    return last.build(DATA, training.learner)


class TestItsStages:
    def test_the_encoder_is_that_of_ssp_contrast_and_the_statistics_have_no_epochs(self) -> None:
        stages = method("rcal").stages(RECIPE)
        assert [(stage.name, stage.epochs) for stage in stages] == [("encoder", 3), ("gaussians", 0), ("train", 3)]
        assert stages[0].spec == method("ssp-contrast(host='moco')").stages(RECIPE)[0].spec
        assert stages[0].spec == method("moco").stages(RECIPE)[0].spec
        shorter = method("rcal(pretraining=0.5, base='crt', host='dnc')").stages(replace(RECIPE, epochs=10))
        assert [stage.epochs for stage in shorter] == [1, 0, 3, 1, 0, 10, 2]

    def test_the_statistics_are_shared_by_what_differs_afterwards(self, tmp_path: Path) -> None:
        trained("rcal", store=tmp_path, owner="first")
        again = trained("rcal(beta=0.5, base='ce')", store=tmp_path, owner="second")
        assert again.reused == ["first", "first"]
        alone = trained("rcal(beta=0.5, base='ce')")
        assert same(again.learner.state_dict(), alone.learner.state_dict())
        assert trained("rcal(q=1)", store=tmp_path, owner="third").reused == ["first"]

    def test_the_gaussians_are_those_of_the_features_of_the_frozen_encoder(self) -> None:
        first, second, _ = method("rcal(neighbours=5, q=2, tau=0.7, gamma=0.6, shrinkage=0.2)").stages(RECIPE)
        training = Training([first], DATA)
        list(training)
        encoder: Any = training.learner
        before = state_files.cloned(encoder.state_dict())
        measured: Any = second.build(DATA, encoder).learner
        features = encoder.network.eval().features(DATA.labeled.inputs)  # type: ignore[union-attr]
        found = gaussians_of(features, DATA.labeled.targets, torch.tensor(COUNTS), **STATISTICS)
        assert same(measured.gaussians.state_dict(), found.state_dict())
        assert same(encoder.state_dict(), before)

    def test_classes_are_equally_frequent_among_rows_and_drawn_features(self) -> None:
        built = last_built("rcal")
        assert isinstance(built.data, WithSamples)
        chances, per_row = formulas.missing(COUNTS)
        assert built.data.chances.tolist() == pytest.approx(chances)
        assert built.data.number == round(16 * per_row)
        assert built.data.width == 8

    def test_equal_counts_miss_nothing(self) -> None:
        data = TrainingSet.of(task_data.splits("supervised", (10, 10, 10)))
        learner: Any = trained("rcal", data).learner
        assert learner.beside.sampled == 0
        counts = torch.tensor([10.0, 10.0, 10.0])
        assert method("rcal").prior(counts).tolist() == [10, 10, 10]  # type: ignore[misc]


@cases("covariance", ["full", "diagonal", "shared"])
def test_the_statistics_against_loops(covariance: str) -> None:
    """Outliers by scikit-learn (tests/learners/test_outliers.py); means, covariances and what is borrowed by hand."""
    generator = torch.Generator().manual_seed(3)
    counts = (30, 10, 4, 1)
    targets = torch.repeat_interleave(torch.arange(4), torch.tensor(counts))
    features = planted()[:, :2].double() + targets[:, None]
    weight = torch.randint(0, 3, (45,), generator=generator).double()
    weight[-1] = 2.0
    sums = [float(weight[c == targets].sum()) for c in range(4)]
    how = {**STATISTICS, "covariance": covariance}
    found = gaussians_of(features, targets, torch.tensor(sums), weight, **how).double()
    kept = inliers(features[weight > 0], targets[weight > 0], 5)
    h, y, w = (values[weight > 0][kept] for values in (features, targets, weight))
    groups = [(h[c == y].tolist(), w[c == y].tolist()) for c in range(4)]
    own = [formulas.of_class(rows, k, 0.2) for rows, k in groups]
    heads = [c for c in range(4) if sums[c] >= sum(sums) / 4]
    assert heads == [0]
    means, matrices = [m for m, _ in own], [[v for line in r for v in line] for _, r in own]
    for c in range(4):
        from_ = {} if c in heads else formulas.shares(means, c, heads, 2, 0.7)
        mean = formulas.blended(means, c, from_, 0.6) if from_ else means[c]
        matrix = formulas.blended(matrices, c, from_, 0.6) if from_ else matrices[c]
        if covariance == "shared":
            matrix = [v for line in formulas.pooled(groups, 0.2) for v in line]
        root = found.root[0 if covariance == "shared" else c]
        square = torch.diag(root.square()) if covariance == "diagonal" else root @ root.T
        wanted = torch.tensor(matrix).reshape(2, 2).double()
        assert found.means[c].tolist() == pytest.approx(mean, rel=1e-5)
        torch.testing.assert_close(square, torch.diag(wanted.diagonal()) if covariance == "diagonal" else wanted,
                                   rtol=1e-4, atol=1e-5)  # fmt: skip
    assert float(found.spread) == pytest.approx(formulas.spread(features[weight > 0].tolist()), rel=1e-6)


class TestAblation:
    """Each part by itself, off to the bit."""

    @cases(("spec", "host"), [
        ("rcal(sampled=0, beta=0)", "ssp-contrast(base='mixup', host='moco')"),
        ("rcal(sampled=0, beta=0, base='ce', host='simclr')", "ssp-contrast"),
        ("rcal(sampled=0, beta=0, base='ce', pretraining=0.4)", "ssp-contrast(host='moco', pretraining=0.4)"),
        ("rcal(sampled=0, beta=0, pretraining=0)", "mixup"),
        ("rcal(sampled=0, beta=0, pretraining=0, base='ldam-drw')", "ldam-drw"),
    ])  # fmt: skip
    def test_without_what_it_adds_it_is_its_host(self, spec: str, host: str) -> None:
        one, other = trained(spec), trained(host)
        assert same(one.learner.state_dict(), other.learner.state_dict())
        assert [r["loss"] for r in one._records] == [r["loss"] for r in other._records]
        counts = torch.tensor(COUNTS)
        priors = [None if found.prior is None else found.prior(counts).tolist() for found in map(method, (spec, host))]
        assert priors[0] == priors[1]

    def test_without_borrowing(self) -> None:
        nobody = trained("rcal(q=0)").learner.state_dict()
        assert same(nobody, trained("rcal(gamma=1)").learner.state_dict())
        plain = trained("rcal").learner.state_dict()
        assert plain["beside.gaussians.means"][0].equal(nobody["beside.gaussians.means"][0])
        for part in ("means", "root"):
            assert not plain[f"beside.gaussians.{part}"][2].equal(nobody[f"beside.gaussians.{part}"][2])
        features = planted()
        targets = torch.repeat_interleave(torch.arange(3), torch.tensor([30, 10, 5]))
        how = {**STATISTICS, "q": 0}
        found = gaussians_of(features, targets, torch.tensor([30, 10, 5]), **how)
        kept = inliers(features, targets, 5)
        means, own = functional.class_gaussians(features[kept], targets[kept], 3, shrinkage=0.2)
        assert found.means.equal(means.float())
        assert found.root.equal(functional.covariance_root(own).float())

    def test_without_the_outlier_filter(self) -> None:
        features = planted()
        targets = torch.repeat_interleave(torch.arange(3), torch.tensor([30, 10, 5]))
        assert not inliers(features, targets, 5).all()
        how = {**STATISTICS, "neighbours": 0, "q": 0}
        found = gaussians_of(features, targets, torch.tensor([30, 10, 5]), **how)
        means, own = functional.class_gaussians(features, targets, 3, shrinkage=0.2)
        assert found.means.equal(means.float())
        assert found.root.equal(functional.covariance_root(own).float())
        assert not found.means.equal(gaussians_of(features, targets, torch.tensor([30, 10, 5]), **STATISTICS).means)

    def test_without_drawn_features_no_batch_has_any(self) -> None:
        built, plain = last_built("rcal(sampled=0)"), last_built("ssp-contrast(base='mixup', host='moco')")
        batches = [next(found.data.batches(0.0, torch.Generator().manual_seed(1))) for found in (built, plain)]
        assert batches[0].keys() == batches[1].keys()
        assert batches[0]["inputs"].equal(batches[1]["inputs"])
        step, other = (found.learner.training_step(batches[0], 0.0) for found in (built, plain))
        distance = step.loss - other.loss  # of features from where they began: 0 before the first step
        assert distance.item() == pytest.approx(0.0, abs=1e-6)

    def test_without_the_distance_there_is_no_encoder(self) -> None:
        learner: Any = trained("rcal(beta=0)").learner
        assert learner.beside.encoder is None
        assert not [name for name in learner.state_dict() if "encoder" in name]
        assert trained("rcal").learner.beside.encoder is not None  # type: ignore[union-attr]

    def test_without_mixup_batches_are_not_mixed(self) -> None:
        for base, mixed in (("mixup", True), ("ce", False)):
            (batch, *_) = last_built(f"rcal(base={base!r})").data.batches(0.0, torch.Generator().manual_seed(1))
            assert ("mixing" in batch) is mixed

    def test_without_pretraining_the_network_as_initialised_is_measured(self) -> None:
        stages = method("rcal(pretraining=0)").stages(RECIPE)
        assert [stage.name for stage in stages] == ["gaussians", "train"]
        training = Training(stages[:1], DATA)
        assert list(training) == []
        measured: Any = training.learner
        built: Any = stages[1].build(DATA, measured).learner
        for name, value in measured.network.state_dict().items():
            assert name.startswith("head.") or built.network.state_dict()[name].equal(value), name

    def test_each_part_matters(self, tmp_path: Path) -> None:
        plain = network(trained("rcal", store=tmp_path))
        for knob in ("base='ce'", "pretraining=0", "q=0", "sampled=0", "beta=0", "covariance='shared'",
                     "covariance='diagonal'", "shrinkage=0.5", "gamma=0.2", "sampled=1", "beta=0.1"):  # fmt: skip
            assert not same(network(trained(f"rcal({knob})", store=tmp_path)), plain), knob


def test_what_it_left_is_not_changed_by_the_last_stage() -> None:
    stages = method("rcal").stages(RECIPE)
    training = Training(stages[:2], DATA)
    list(training)
    measured = training.learner
    assert isinstance(measured, MeasuredEncoder)
    before = state_files.cloned(measured.state_dict())
    built: Any = stages[2].build(DATA, measured)
    for p in built.learner.beside.encoder.parameters():
        p.data += 1
    built.learner.beside.gaussians.means += 1
    assert same(measured.state_dict(), before)


@cases(("sampled", "base"), [(1.0, "mixup"), (0.5, "ce"), (2.0, "balanced-softmax")])
def test_its_prior_is_that_of_rows_and_drawn_features(sampled: float, base: str) -> None:
    counts, below = torch.tensor(COUNTS), method(base).prior
    own = [n / sum(COUNTS) for n in COUNTS] if below is None else [1 / 3] * 3
    chances, _ = formulas.missing(COUNTS)
    expected = [p + sampled * q for p, q in zip(own, chances, strict=True)]
    found = method(f"rcal(sampled={sampled}, base={base!r})").prior
    assert found is not None
    assert found(counts).tolist() == pytest.approx(expected)


@pytest.mark.parametrize(
    ("shape", "model"),
    [
        ((1, 8, 8), {"model": "convnet", "model_args": {"width": 4}}),
        ((6,), {"model": "linear"}),
        ((4,), {"model": "tabular", "model_args": {"numeric": 2, "categories": (5, 3), "hidden": (8,)}}),
    ],
)
def test_images_features_and_tables(shape: tuple[int, ...], model: Any) -> None:
    """What f and e see is the same, mixed embeddings of categories too: they begin at a distance of 0."""
    inputs = torch.randn(50, *shape, generator=torch.Generator().manual_seed(0))
    if model["model"] == "tabular":
        inputs[:, 2:] = (inputs[:, 2:].abs() * 2).floor().clamp(max=2)
    targets = torch.repeat_interleave(torch.arange(3), torch.tensor([30, 14, 6]))
    data = TrainingSet(Examples(inputs, targets, ("a", "b", "c")))
    *before, last = method("rcal").stages(Recipe(epochs=1, batch_size=16, **model))
    training = Training([*before, last], data)
    assert all(record["loss"] == record["loss"] for record in training)
    built: Any = last.build(data, training_of(before, data).learner)
    batch = next(built.data.batches(0.0, torch.Generator().manual_seed(0)))
    assert "mixing" in batch
    found = built.learner.eval()  # both without the batch's own statistics
    without = found.varied(beside=None).eval().training_step(batch, 0.0).loss
    distance = found.training_step(batch, 0.0).loss - without - samples_alone(found, batch)
    assert distance.item() == pytest.approx(0.0, abs=1e-5)


def training_of(stages: Any, data: TrainingSet) -> Training:
    training = Training(stages, data)
    list(training)
    return training


def samples_alone(learner: Any, batch: Any) -> torch.Tensor:
    classes, noise = batch["samples"]
    loss: torch.Tensor = functional.cross_entropy(
        learner.network.head(learner.beside.gaussians(classes, noise)), classes
    )
    return learner.beside.sampled * loss.mean()  # type: ignore[no-any-return]
