"""What holds for every trial method: it trains, repeats, survives a kill, saves and loads, and is really applied."""

from __future__ import annotations

import ast
import inspect
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
import toys
from fixmatch_darp import Refined
from ride import apart
from sam_mwn import SAM
from simclr_ts_probe_ssp import nt_xent
from toys import RECIPE, SPLITS, TOYS

from longtail import losses
from longtail.data import TrainingSet, together
from longtail.engine import Built, Recipe, Stage, Training
from longtail.facts import knobs
from longtail.facts.schedules import switch
from longtail.learners import SupervisedLearner
from longtail.methods import method
from longtail.runs.predictor import Predictor
from longtail.runs.run import Run
from longtail.runs.train import train

PAUSES = {"crt": ("classifier", 1), "simclr": ("probe", 2), "simclr-ts": ("encoder", 4), "ssp": ("train", 3)}
"""Where a training is killed; in its one stage's third epoch, where no other place is named."""


def trained(spec: str, folder: Path, **options: Any) -> Run:
    options = {"recipe": RECIPE, "threads": 1, **options}
    return train(spec, SPLITS[method(spec).task], folder=folder, **options)


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Run]:
    """One run of every spec, made when it is first asked for."""
    root = tmp_path_factory.mktemp("runs")

    class Runs(dict[str, Run]):
        def __missing__(self, spec: str) -> Run:
            self[spec] = trained(spec, root / str(len(self)))
            return self[spec]

    return Runs()


def predictions(folder: Path) -> bytes:
    return (folder / "predictions.safetensors").read_bytes()


@pytest.mark.parametrize("key", TOYS)
class TestEveryTrial:
    def test_trains_every_epoch_of_its_stages_and_learns(self, runs: dict[str, Run], key: str) -> None:
        expected = [(s.name, e) for s in method(key).stages(RECIPE) for e in range(1, s.epochs + 1)]
        assert [(r["stage"], r["epoch"]) for r in runs[key].records] == expected
        assert all(np.isfinite(r["loss"]) for r in runs[key].records)
        assert runs[key].scores["balanced_accuracy"] > 0.4  # three classes, 25 steps

    def test_repeats_to_the_byte_and_another_seed_is_another(
        self, runs: dict[str, Run], key: str, tmp_path: Path
    ) -> None:
        torch.rand(3)  # the global generator stands elsewhere now
        trained(key, tmp_path / "again")
        assert predictions(tmp_path / "again") == predictions(runs[key].folder)
        trained(key, tmp_path / "other", seed=1)
        assert predictions(tmp_path / "other") != predictions(runs[key].folder)

    def test_what_it_saved_predicts_the_same(self, runs: dict[str, Run], key: str) -> None:
        arrays = runs[key].predictions()
        for predictor in (Run.load(runs[key].folder).predictor, Predictor.load(runs[key].folder)):
            scores = predictor.scores(SPLITS["supervised"].test.inputs)
            assert scores.equal(arrays["scores"])
            assert predictor.adjusted(scores).equal(arrays.get("adjusted_scores", arrays["scores"]))

    @pytest.mark.slow
    def test_killed_and_given_again_it_goes_on_and_ends_the_same(
        self, runs: dict[str, Run], key: str, tmp_path: Path
    ) -> None:
        out = tmp_path / "run"
        toys.kill(toys.run, key, out, PAUSES.get(key, ("train", 3)))
        before = (out / "metrics.jsonl").read_text()
        assert not (out / "run.json").exists()
        toys.finish(toys.run, key, out)
        assert (out / "metrics.jsonl").read_text().startswith(before)  # measured seconds included: it went on
        assert predictions(out) == predictions(runs[key].folder)

    def test_is_one_file_that_knows_no_other(self, key: str) -> None:
        for node in ast.walk(ast.parse(Path(inspect.getfile(TOYS[key])).read_text())):
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
            names += [str(node.module)] if isinstance(node, ast.ImportFrom) else []
            known = {"longtail", "torch", "collections", "dataclasses", "typing", "__future__"}
            assert {name.partition(".")[0] for name in names} <= known

    def test_every_knob_moves_the_text_of_its_training(self, key: str) -> None:
        plain = [stage.spec for stage in method(key).stages(RECIPE)]
        for name, knob in knobs.declared(TOYS[key]).items():
            if isinstance(knob.rule, knobs.Choice):
                fitting = {"fixmatch": "sam(base='fixmatch')", "proden": "sam(base='proden')", "ce": "focal"}
                value: Any = fitting.get(knob.default, "un")
            else:
                value = knob.default + 1 if isinstance(knob.default, int) else knob.default / 2
            other = method(f"{key}({name}={value!r})")
            assert [stage.spec for stage in other.stages(RECIPE)] != plain, name


@pytest.mark.parametrize(
    ("strengthless", "base", "full"),
    [
        ("sam(rho=0)", "ce", "sam"),
        ("sam(base='ldam-drw', rho=0)", "ldam-drw", "sam(base='ldam-drw')"),
        ("sam(base='absgd(lam=5)', rho=0)", "absgd(lam=5)", "sam(base='absgd(lam=5)')"),
        ("sam(base='eg(persistent=True)', rho=0)", "eg(persistent=True)", "sam(base='eg(persistent=True)')"),
        ("sam(base='small-loss', rho=0)", "small-loss", "sam(base='small-loss')"),
        ("sam(base='fixmatch', rho=0)", "fixmatch", "sam(base='fixmatch')"),
        ("sam(base='darp', rho=0)", "darp", "sam(base='darp')"),
        ("sam(base='records', rho=0)", "records", "sam(base='records')"),
        ("sam(base='simclr', rho=0)", "simclr", "sam(base='simclr')"),
        ("sam(base='crt', rho=0)", "crt", "sam(base='crt')"),
        ("sam(base='ride', rho=0)", "ride", "sam(base='ride')"),
        ("fixmatch(threshold=2)", "fixmatch(consistency=0)", "fixmatch"),
        ("darp(start=1)", "fixmatch", "darp"),
        ("records(tau=0)", "proden", "records"),
        ("simclr-ts(low=0.2, high=0.2)", "simclr", "simclr-ts"),
        ("ride(experts=1, at=1)", "ldam", "ride(experts=2, at=1)"),
        ("absgd(base='ride', lam=inf)", "ride", "absgd(base='ride')"),
    ],
)
def test_without_strength_it_is_its_base_bit_for_bit_and_with_it_not(
    runs: dict[str, Run], strengthless: str, base: str, full: str
) -> None:
    plain = runs[base].predictions()["scores"]
    assert runs[strengthless].predictions()["scores"].equal(plain)
    assert not runs[full].predictions()["scores"].equal(plain)


def by_hand(build: Any, task: str, recipe: Recipe = RECIPE) -> Training:
    stage = Stage("train", "by hand", build, recipe.epochs, recipe.make_optimizer, recipe.learning_rate)
    training = Training([stage], TrainingSet.of(SPLITS[task]))
    list(training)
    return training


def test_one_expert_is_ldam_with_deferred_weights_divided_by_the_batch(runs: dict[str, Run]) -> None:
    def build(data: TrainingSet, previous: Any) -> Built:
        knobs = {"class_weight": "effective", "reweight": switch(0.8, 0.0, 1.0), "normalize": "batch"}
        network = RECIPE.network(data.labeled, "cosine")
        learner = SupervisedLearner(network, losses.LDAMLoss(data.class_counts, **knobs))
        return Built(learner, data.labeled.drawn(RECIPE.batch_size))

    learner = by_hand(build, "supervised").learner.eval()
    assert learner.predict(SPLITS["supervised"].test.inputs).equal(runs["ride(experts=1)"].predictions()["scores"])


def test_fixmatch_without_consistency_is_plain_training_on_the_labelled_rows(tmp_path: Path) -> None:
    calm = Recipe(epochs=5, batch_size=16, lr=0.2, model="mlp", model_args={"hidden": (8,)})
    run = trained("fixmatch(consistency=0, decay=0)", tmp_path, recipe=calm)

    def build(data: TrainingSet, previous: Any) -> Built:
        assert data.unlabeled is not None
        learner = SupervisedLearner(calm.network(data.labeled), losses.CrossEntropyLoss())
        steps = data.unlabeled.drawn(calm.batch_size).steps()
        return Built(learner, together(data.labeled.drawn(calm.batch_size), steps=steps))

    learner = by_hand(build, "semi-supervised", calm).learner.eval()
    # one pass for three parts adds in another order
    torch.testing.assert_close(
        learner.predict(SPLITS["supervised"].test.inputs), run.predictions()["scores"], rtol=1e-4, atol=1e-4
    )


class TestFormulas:
    def test_sam_descends_with_the_gradient_of_the_worst_point(self) -> None:
        rows = SPLITS["supervised"].train
        torch.manual_seed(0)
        learner = SupervisedLearner(torch.nn.Linear(4, 3), losses.CrossEntropyLoss())
        batch = rows.batch(torch.arange(20))
        w = learner.network.weight.detach().clone().requires_grad_(), learner.network.bias.detach().clone()
        bias = w[1].requires_grad_()

        def grads(weight: torch.Tensor, bias: torch.Tensor) -> tuple[torch.Tensor, ...]:
            return torch.autograd.grad(F.cross_entropy(F.linear(batch["inputs"], weight, bias), batch["targets"]), w)

        first = grads(*w)
        scale = 0.5 / torch.cat([g.flatten() for g in first]).norm()
        worst = grads(*(p + scale * g for p, g in zip((w[0], bias), first, strict=True)))
        SAM(0.5)(learner, batch, torch.optim.SGD(learner.parameters(), lr=0.1), 0.0)
        torch.testing.assert_close(learner.network.weight, w[0] - 0.1 * worst[0])
        torch.testing.assert_close(learner.network.bias, bias - 0.1 * worst[1])

    def test_refined_pseudo_labels_have_the_expected_class_totals(self) -> None:
        torch.manual_seed(0)
        targets = Refined(None, 60, torch.tensor([40, 20, 8]), start=0.0, period=1, keep=2.0)
        targets.seen.copy_(torch.randn(60, 3).softmax(1))
        found = targets.solved()
        torch.testing.assert_close(found.sum(1), torch.ones(60))
        torch.testing.assert_close(found.double().sum(0), targets.totals, rtol=1e-4, atol=1e-3)

    def test_nt_xent_is_the_partner_among_all_others(self) -> None:
        torch.manual_seed(0)
        first, second = torch.randn(2, 5, 4).unbind()
        z = F.normalize(torch.cat([first, second]), dim=1).double()
        each = []
        for i in range(10):
            others = [float((z[i] @ z[j] / 0.3).exp()) for j in range(10) if j != i]
            each.append(-np.log(float((z[i] @ z[(i + 5) % 10] / 0.3).exp()) / sum(others)))
        expected = torch.tensor(each).view(2, 5).mean(0)
        torch.testing.assert_close(nt_xent(first, second, 0.3).double(), expected, rtol=1e-5, atol=1e-5)

    def test_experts_are_measured_from_their_mean(self) -> None:
        torch.manual_seed(0)
        z, temperature = torch.randn(6, 3, 4), torch.tensor([1.0, 0.9, 0.8, 0.7])
        mean = (z.mean(1) / temperature).softmax(1)
        each = [
            F.kl_div((e / temperature).log_softmax(1), mean, reduction="none").sum(1) * 0.85**2 for e in z.unbind(1)
        ]
        torch.testing.assert_close(apart(z, temperature), torch.stack(each).sum(0))
