"""Class shares of rows without labels by a trained model: by brute force, on each kind of data, and what is refused."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

import longtail as lt
from longtail.cli import run
from longtail.data import Splits, load, pool, split
from longtail.data.label_kinds import unlabeled
from longtail.data.rows import Examples
from longtail.engine.default_recipe import default_recipe
from longtail.inspection import inspection
from longtail.inspection.advice import ESTIMATED
from longtail.report import class_shares as report
from longtail.runs.predictor import Predictor

CLASSES = ("a", "b", "c")
LABELS, OTHERS = (0.7, 0.2, 0.1), (0.1, 0.3, 0.6)
Capture = pytest.CaptureFixture[str]


def rows(shares: tuple[float, ...], count: int, seed: int, spread: float = 1.2) -> tuple[Tensor, Tensor]:
    """Return Gaussian rows (count, 3) around the unit vectors and their classes, by exact shares."""
    labels = torch.arange(3).repeat_interleave(torch.tensor([round(share * count) for share in shares]))
    noise = torch.randn(len(labels), 3, generator=torch.Generator().manual_seed(seed))
    return spread * torch.eye(3)[labels] + noise, labels


def gaussians(without: tuple[float, ...], *, spread: float = 1.2, labelled: int = 1000) -> Splits:
    (X, y), (test, known) = rows(LABELS, labelled, 0, spread), rows(LABELS, 1000, 1, spread)
    rest = Examples(rows(without, 3000, 2, spread)[0], unlabeled(3000), CLASSES)
    return Splits("g", Examples(X, y, CLASSES), Examples(test, known, CLASSES), unlabeled=rest)


def bayes(prior: tuple[float, ...], *, spread: float = 1.2, classes: tuple[str, ...] = CLASSES) -> Predictor:
    """Return the model whose probabilities are the true ones under a prior."""
    network, order = nn.Linear(3, 3), [CLASSES.index(name) for name in classes]
    with torch.no_grad():
        network.weight.copy_(spread * torch.eye(3)[order])
        network.bias.copy_(torch.tensor(prior).log()[order])
    counts = torch.tensor([round(1000 * LABELS[j]) for j in order])
    return Predictor(network, classes, counts, prior=torch.tensor(prior)[order])


def by_brute_force(model: Predictor, X: np.ndarray) -> dict[str, np.ndarray]:
    """The three shares in NumPy, from the weights of the network."""
    weight, bias = (p.detach().double().numpy() for p in model.network.parameters())
    scores = np.exp(X.astype(np.float64) @ weight.T + bias)
    p = scores / scores.sum(1, keepdims=True)
    prior, training = model.prior.numpy(), model.class_counts.numpy() / model.class_counts.sum().item()
    under_training = p * training / prior
    under_training /= under_training.sum(1, keepdims=True)
    estimate = prior
    for _ in range(1000):
        q = p * estimate / prior
        estimate = (q / q.sum(1, keepdims=True)).mean(0)
    argmax = np.bincount(under_training.argmax(1), minlength=3) / len(X)
    return {"mean_probability": under_training.mean(0), "argmax": argmax, "em": estimate}


class TestNumbers:
    @pytest.mark.parametrize("prior", [LABELS, (1 / 3, 1 / 3, 1 / 3)])
    def test_are_those_of_brute_force_whatever_the_prior_of_the_model(self, prior: tuple[float, ...]) -> None:
        data, model = gaussians(OTHERS), bayes(prior)
        found = inspection(data, model=model)["class_shares"]
        expected = by_brute_force(model, data.unlabeled.inputs.numpy())  # type: ignore[union-attr]
        assert found["shares"]["labels"] == pytest.approx(LABELS)
        for key, share in expected.items():
            assert found["shares"][key] == pytest.approx(share, abs=1e-4), key
            assert found["distances"][key] == pytest.approx(np.abs(share - LABELS).sum() / 2, abs=1e-4), key
        assert (found["rows"], found["converged"], found["shares"]["truth"]) == (3000, True, None)

    def test_em_finds_other_shares_and_the_model_itself_is_drawn_to_its_training(self) -> None:
        found = inspection(gaussians(OTHERS), model=bayes(LABELS))["class_shares"]
        truth = np.abs(np.subtract(OTHERS, LABELS)).sum() / 2
        assert found["distances"]["em"] == pytest.approx(truth, abs=0.05)
        assert found["distances"]["mean_probability"] < truth - 0.1
        assert found["tested"] < 0.05
        assert found["verdict"] == "differ"

    def test_equal_shares_agree_and_chance_is_small_for_many_rows(self) -> None:
        found = inspection(gaussians(LABELS), model=bayes(LABELS))["class_shares"]
        assert found["verdict"] == "agree"
        assert 0.005 < found["by_chance"] < 0.05

    def test_a_model_that_is_wrong_on_the_test_rows_says_nothing(self) -> None:
        found = inspection(gaussians(LABELS), model=bayes((0.98, 0.01, 0.01)))["class_shares"]
        assert found["verdict"] == "agree"  # another prior, stated by the model, is no error
        wrong = Predictor(bayes(LABELS).network, CLASSES, torch.tensor([700, 200, 100]), prior=torch.ones(3))
        found = inspection(gaussians(LABELS), model=wrong)["class_shares"]
        assert found["tested"] > 0.1
        assert found["verdict"] == "unclear"

    @pytest.mark.parametrize("without", [LABELS, OTHERS])
    def test_a_model_that_cannot_tell_the_classes_apart_says_nothing(self, without: tuple[float, ...]) -> None:
        found = inspection(gaussians(without), model=bayes(LABELS, spread=0.0))["class_shares"]
        assert found["distances"]["em"] == pytest.approx(0, abs=1e-6)  # the shares of its training, of any rows
        assert found["tested"] == pytest.approx(np.abs(np.subtract((1 / 6, 2 / 6, 3 / 6), LABELS)).sum() / 2, abs=2e-3)
        assert found["verdict"] == "unclear"

    def test_few_rows_are_unclear_by_chance(self) -> None:
        data = gaussians(LABELS)
        few = replace(data.unlabeled, inputs=data.unlabeled.inputs[-5:], targets=unlabeled(5))  # type: ignore
        found = inspection(replace(data, unlabeled=few), model=bayes(LABELS))["class_shares"]
        assert found["by_chance"] > 0.3
        assert found["shares"]["em"] != found["shares"]["labels"]

    def test_another_order_of_the_classes_changes_nothing(self) -> None:
        found, turned = (
            inspection(gaussians(OTHERS), model=bayes(LABELS, classes=order))["class_shares"]
            for order in (CLASSES, CLASSES[::-1])
        )
        assert turned["tested"] == pytest.approx(found["tested"], abs=1e-6)
        for key in report.COLUMNS:
            assert turned["shares"][key] == (None if key == "truth" else pytest.approx(found["shares"][key], abs=1e-6))

    def test_of_hidden_labels_the_truth_stands_beside(self) -> None:
        data = gaussians(OTHERS)
        truth = torch.cat([data.train.targets, rows(OTHERS, 3000, 2)[1]])
        found = inspection(replace(data, truth=truth), model=bayes(LABELS))["class_shares"]
        assert found["shares"]["truth"] == pytest.approx(OTHERS)
        assert found["distances"]["truth"] == pytest.approx(0.6)

    def test_a_model_of_other_training_rows_is_not_tested(self) -> None:
        model = bayes(LABELS)
        model.class_counts += 1
        found = inspection(gaussians(OTHERS), model=model)["class_shares"]
        assert (found["tested"], found["verdict"]) == (None, "unclear")

    def test_without_a_model_there_are_none(self) -> None:
        assert inspection(gaussians(OTHERS))["class_shares"] is None


class TestAdvice:
    @pytest.mark.parametrize(
        ("without", "command", "why"),
        [
            (OTHERS, """--methods 'quick,logit-adjusted,fixmatch-darp(totals="em")'""", "other class shares than"),
            (LABELS, "--methods quick,logit-adjusted", 'it is reasonable that fixmatch-darp takes these (totals="lab'),
        ],
    )
    def test_says_which_totals_to_compare(self, without: tuple[float, ...], command: str, why: str) -> None:
        document = inspection(gaussians(without), data="a.npz", model=bayes(LABELS))
        (step,) = (step for step in document["advice"] if step["about"] == "compare")
        assert step["command"] == f"longtail compare a.npz {command}"
        assert why in step["why"].replace("takes these for theirs", "takes these")
        differ = [line for line in document["findings"] if "other class shares than the labels" in line]
        assert len(differ) == (without == OTHERS)
        assert json.loads(json.dumps(document, allow_nan=False)) == document

    def test_the_method_that_it_adds_exists(self) -> None:
        assert lt.method(ESTIMATED).spec == "fixmatch-darp(totals='em')"


class TestOutput:
    def test_fits_80_columns_and_has_the_classes_that_differ_most(self) -> None:
        names = [f"a rather long name of class {j}" for j in range(30)]
        labels, em = np.full(30, 1 / 30), np.full(30, 1 / 30)
        em[5], em[6] = 0.0, 2 / 30
        found = {
            "shares": {key: list(labels) for key in report.COLUMNS} | {"em": list(em)},
            "distances": {"mean_probability": 0.0, "argmax": 0.0, "em": 1 / 30, "truth": 0.0},
            "by_chance": 0.01, "tested": None, "converged": False, "notes": ["a note"],
        }  # fmt: skip
        lines = report.table(found, names, ascii_only=True)
        assert max(map(len, lines)) <= 80
        assert len(lines) == 14
        assert any(line.split()[-5:] == ["3.3", "3.3", "3.3", "0.0", "3.3"] for line in lines)
        assert lines[-1].split() == ["distance", "to", "the", "labels", "0.000", "0.000", "0.033", "0.000"]
        text = " ".join(report.sentences(found, names))
        for part in ("the 12 of 30 classes", "is not known", "EM did not converge", "a note"):
            assert part in text


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Data of every kind with rows without labels, and a model of each, trained for a moment."""
    folder = tmp_path_factory.mktemp("kinds")
    draw = np.random.default_rng(0)

    def frame(counts: tuple[int, ...]) -> pandas.DataFrame:
        label = np.repeat(["a", "b"], counts)
        number = (label == "b") * 3.0 + draw.normal(size=len(label))
        colour = np.where(draw.random(len(label)) < 0.8, np.where(label == "b", "red", "blue"), "green")
        return pandas.DataFrame({"number": number, "colour": colour, "label": label})

    frame((60, 20)).to_csv(folder / "t.csv", index=False)
    rest = frame((10, 30)).drop(columns="label")
    rest.loc[0, "colour"] = "new"
    rest.to_csv(folder / "rest.csv", index=False)
    for name, count, colour in (("photos/a", 12, 200), ("photos/b", 8, 20), ("more", 6, 20)):
        (folder / name).mkdir(parents=True)
        for i in range(count):
            pixels = np.clip(colour + draw.integers(-20, 20, (8, 8, 3)), 0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(folder / name / f"{i}.png")
    X, y = rows(LABELS, 100, 3, 3.0)
    np.savez(folder / "f.npz", X=X.numpy(), y=np.array(CLASSES)[y.numpy()])
    np.savez(folder / "rest.npz", X=rows(OTHERS, 50, 4, 3.0)[0].numpy())
    kinds = {
        "t": ((folder / "t.csv",), {"label": "label", "unlabeled": folder / "rest.csv"}),
        "p": ((folder / "photos",), {"unlabeled": folder / "more", "size": 8}),
        "f": ((folder / "f.npz",), {"unlabeled": folder / "rest.npz"}),
    }
    for name, (source, options) in kinds.items():
        data = load(*source, **options)
        list(lt.fit("ce", data, recipe=default_recipe(data, epochs=1), folder=folder / name))
    return folder


OPTIONS = {
    "t": ["t.csv", "--label", "label", "--unlabeled", "rest.csv"],
    "p": ["photos", "--unlabeled", "more", "--size", "8"],
    "f": ["f.npz", "--unlabeled", "rest.npz"],
}


class TestKindsOfData:
    @pytest.mark.parametrize("kind", OPTIONS)
    def test_are_predicted_as_new_rows_are(
        self, here: Path, kind: str, monkeypatch: pytest.MonkeyPatch, capsys: Capture
    ) -> None:
        monkeypatch.chdir(here)
        assert run(["inspect", *OPTIONS[kind], "--model", kind, "--json"]) == 0
        found = json.loads(capsys.readouterr().out)["class_shares"]
        model = lt.load(here / kind)
        new: Any = {"t": "rest.csv", "p": "more", "f": "rest.npz"}[kind]
        new = pandas.read_csv(new) if kind == "t" else new
        expected = model.predictions(new, target_prior="training")
        assert found["rows"] == len(expected)
        assert found["shares"]["mean_probability"] == pytest.approx(expected.probabilities.mean(0).tolist())
        predicted = [expected.labels.count(name) / len(expected) for name in expected.classes]
        assert found["shares"]["argmax"] == pytest.approx(predicted)
        assert found["tested"] is not None
        assert any("'new'" in note for note in found["notes"]) == (kind == "t")

    def test_a_model_of_another_split_of_a_table_predicts_raw_rows(self, here: Path) -> None:
        options = {"label": "label", "unlabeled": here / "rest.csv"}
        read = pool(here / "t.csv", **options)
        found = inspection(read, split(read, test=0.5), model=here / "t")["class_shares"]
        expected = lt.load(here / "t").predictions(pandas.read_csv(here / "rest.csv"), target_prior="training")
        assert found["shares"]["mean_probability"] == pytest.approx(expected.probabilities.mean(0).tolist())
        assert found["tested"] is None

    def test_are_printed_with_the_rules_for_ci(
        self, here: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
    ) -> None:
        monkeypatch.chdir(here)
        assert run(["inspect", *OPTIONS["t"], "--model", "t", "--fail-on", "ratio>2"]) == 1
        out, err = capsys.readouterr()
        assert err.startswith("longtail: rule broken: ratio>2")
        assert "Class shares of the 40 rows without labels, by the model" in out
        assert out.index("distance to the labels") < out.index("What to do, in this order")


class TestRefused:
    @pytest.mark.parametrize(
        ("words", "message"),
        [
            ([*OPTIONS["f"][:1], "--model", "f"], "predicts rows without labels, got data that have none; name them"),
            ([*OPTIONS["f"], "--model", "nowhere"], "model 'nowhere' is not a folder; name the folder"),
            ([*OPTIONS["f"], "--model", "photos"], "photos holds no finished model (meta.json is missing)"),
            ([*OPTIONS["f"], "--model", "t"], "must have the classes of the data, got no class 'c'"),
            ([*OPTIONS["p"], "--model", "t"], "was trained on a table, got images; pass a model of such data"),
            ([*OPTIONS["t"], "--model", "p"], "was trained on images, got a table; pass a model of such data"),
            ([*OPTIONS["p"][:3], "--model", "p"], "was trained on images of size 8, got 32; pass size=8 (--size)"),
            (["t.csv", "--label", "label", "--labeled", "0.5", "--model", "t"],
             "must be trained on the training rows of this table, since rows whose labels were hidden"),
        ],
    )  # fmt: skip
    def test_in_one_line(
        self, here: Path, words: list[str], message: str, monkeypatch: pytest.MonkeyPatch, capsys: Capture
    ) -> None:
        monkeypatch.chdir(here)
        assert run(["inspect", *words]) == 2
        out, err = capsys.readouterr()
        assert (out, err.count("\n")) == ("", 1)
        assert err.startswith("longtail: error: ")
        assert message in err

    def test_rows_of_another_size(self) -> None:
        model = Predictor(nn.Linear(5, 3), CLASSES, torch.tensor([7, 2, 1]), preparation=load(
            torch.randn(30, 5), np.repeat(CLASSES, 10)).preparation)  # fmt: skip
        with pytest.raises(ValueError, match=r"^model \(--model\) does not fit the rows without labels: features must"):
            inspection(gaussians(OTHERS), model=model)

    def test_an_encoder_without_a_classifier(self) -> None:
        encoder = Predictor(nn.Linear(3, 16), CLASSES, torch.tensor([7, 2, 1]))
        with pytest.raises(ValueError, match=r"^model \(--model\) must have a classifier, got an encoder with 16 "):
            inspection(gaussians(OTHERS), model=encoder)
