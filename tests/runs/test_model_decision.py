"""The decision of a trained model: fitted on its validation rows, saved, exchanged without another training."""

import json

import numpy as np
import pytest
import torch
from sklearn.metrics import balanced_accuracy_score
from tests.cases import cases

from longtail.cli import run as command
from longtail.data import load
from longtail.methods import method
from longtail.posthoc import Decision
from longtail.posthoc.calibration import cross_calibrated
from longtail.runs import model_decision
from longtail.runs.predictor import Predictor
from longtail.runs.run import Run
from longtail.runs.scored import of_run

TRAIN = ["train", "rows.csv", "--label", "y", "--method", "logit-adjusted", "--epochs", "3", "--model", "linear"]
TRAIN += ["--val", "0.3", "--out", "model"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with rows.csv and a model trained on them, which decides for macro F1."""
    place = tmp_path_factory.mktemp("decided")
    chance = np.random.default_rng(0)
    y = np.repeat([0, 1, 2], [140, 60, 20])
    x = chance.normal(size=(220, 3)) + y[:, None]
    lines = [",".join([*(f"{v:.4f}" for v in row), ("ok", "odd", "fraud")[k]]) for row, k in zip(x, y, strict=True)]
    (place / "rows.csv").write_text("a,b,c,y\n" + "\n".join(lines) + "\n")
    return place


@pytest.fixture
def trained(folder, monkeypatch, capsys):
    monkeypatch.chdir(folder)
    assert command([*TRAIN, "--objective", "macro_f1"]) == 0
    return folder, capsys.readouterr().out


def epochs(folder):
    return (folder / "model" / "metrics.jsonl").stat().st_mtime_ns


def test_the_objective_is_chosen_saved_and_applied(trained, capsys):
    folder, out = trained
    assert "Decides: largest p x factor (" in out
    assert "cross-fitted in 5 folds" in out
    run = Run.load(folder / "model")  # every checksum holds
    entry = run.result["decision"]
    assert entry["found"]["objective"] == "macro_f1"
    val = of_run(run).val
    by_hand = Decision(run.classes, objective="macro_f1").fit(val.log_probs, val.targets)
    assert torch.equal(run.predictor.decision.offsets, by_hand.offsets)
    test = of_run(run).test
    said = 100 * balanced_accuracy_score(test.targets, by_hand(test.log_probs).argmax(1))  # no longer the method's rule
    assert f"balanced accuracy {said:.1f} %, " in out
    assert abs(said - 100 * run.scores["balanced_accuracy"]) > 0.1
    assert " as decided below, " in out
    assert entry["found"] == json.loads(json.dumps(by_hand.found))
    scores = run.predictions()["scores"]
    assert np.array_equal(run.predictor.decided(scores).argmax(1).numpy(), by_hand(test.log_probs).argmax(1))
    assert command(["predict", "model", "rows.csv", "--out", "p.csv"]) == 0
    assert "Rule: largest p x factor (" in capsys.readouterr().out
    predictor = Predictor.load(folder / "model")
    assert (folder / "p.csv").read_text().count("largest p x factor") == 220
    assert predictor.rule == entry["rule"]


def test_another_objective_is_no_other_training(trained, capsys, caplog):
    folder, _ = trained
    before = epochs(folder)
    assert command([*TRAIN, "--objective", "recall>=0.9"]) == 0  # of the rarest class
    out = capsys.readouterr().out
    assert "Decides: 'fraud' where p >= " in out
    assert " as decided below, " in out
    assert "the method's own rule" not in out  # one rule for the scores, not two
    assert "recall " in out
    assert epochs(folder) == before
    run = Run.load(folder / "model")
    assert run.result["decision"]["found"]["positive"] == "fraud"
    threshold = run.result["decision"]["found"]["threshold"]
    p = torch.tensor([[1 - t, 0.0, t] for t in (threshold["value"] * 0.99, threshold["value"] * 1.01)])
    order = [("ok", "odd", "fraud").index(name) for name in run.classes]
    assert run.predictor.decision(p[:, order].double().log()).argmax(1).tolist() == [
        run.classes.index("ok"), run.classes.index("fraud"),
    ]  # fmt: skip
    written = (folder / "model" / "run.json").stat().st_mtime_ns
    assert command([*TRAIN, "--objective", "recall>=0.9"]) == 0  # the same again writes nothing
    assert (folder / "model" / "run.json").stat().st_mtime_ns == written
    assert command([*TRAIN]) == 0  # and none takes it off
    assert "decides by its method's rule again" in caplog.text
    assert "decision" not in Run.load(folder / "model").result
    assert Run.load(folder / "model").predictor.decision is None
    assert epochs(folder) == before


def test_an_exchange_that_was_interrupted_is_made_good_without_another_training(trained, monkeypatch, capsys):
    folder, _ = trained
    trained_once = (folder / "model" / "metrics.jsonl").read_text()

    def interrupted(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(model_decision.manifest, "write", interrupted)
        with pytest.raises(KeyboardInterrupt):
            model_decision.attach(Run.load(folder / "model"), None)
    with pytest.raises(ValueError, match="was changed since the run was finished"):
        Run.load(folder / "model")
    assert command([*TRAIN, "--objective", "mcc"]) == 0
    assert Run.load(folder / "model").result["decision"]["found"]["objective"] == "mcc"
    assert (folder / "model" / "metrics.jsonl").read_text() == trained_once  # seconds of its epochs included


def test_costs_are_taken_under_the_target_prior_and_chosen_thresholds_are_not(trained, capsys):
    folder, _ = trained
    run = Run.load(folder / "model")
    (folder / "costs.csv").write_text(",odd,fraud,ok\nfraud,30,0,30\nok,1,1,0\nodd,0,2,5\n")
    shares = {"ok": 0.2, "odd": 0.2, "fraud": 0.6}
    text = ",".join(f"{name}={share}" for name, share in shares.items())
    assert (
        command(["predict", "model", "rows.csv", "--cost", "costs.csv", "--target-prior", text, "--out", "p.csv"]) == 0
    )
    capsys.readouterr()
    lines = [line.split(",") for line in (folder / "p.csv").read_text().splitlines()]
    columns = [lines[0].index(f"p({name})") for name in ("ok", "odd", "fraud")]
    cost = {"ok": (0, 5, 30), "odd": (1, 0, 30), "fraud": (1, 2, 0)}  # by what it is called
    for line in lines[1:]:
        p = [float(line[j]) for j in columns]
        spent = {name: sum(a * b for a, b in zip(p, cost[name], strict=True)) for name in cost}
        assert line[1] == min(spent, key=spent.get)
    assert "under the target prior" in lines[1][-2] or "under the target prior" in ",".join(lines[1])
    assert command(["predict", "model", "rows.csv", "--target-prior", text]) == 2
    err = capsys.readouterr().err
    assert "does not go with thresholds that were chosen on validation rows" in err
    assert "decide by cost (--cost)" in err
    assert err.count("\n") == 1
    assert Run.load(folder / "model").result["decision"] == run.result["decision"]  # predict changes nothing


def test_predict_chooses_on_the_validation_rows_of_the_folder(trained, capsys):
    folder, _ = trained
    assert command(["predict", "model", "rows.csv", "--objective", "alarms<=7", "--out", "p.csv"]) == 0
    assert "Rule: 'fraud' for the 7 rows with the highest p" in capsys.readouterr().out
    assert sum(line.split(",")[1] == "fraud" for line in (folder / "p.csv").read_text().splitlines()) == 7
    goal = ["--objective", "precision>=0.3", "--positive", "odd"]
    assert command(["predict", "model", "rows.csv", *goal, "--out", "p.csv"]) == 0
    assert "Rule: 'odd' where p >= " in capsys.readouterr().out


@cases(
    ("arguments", "message"),
    [
        (["--objective", "macro-f1"], "did you mean 'macro_f1'?"),
        (["--objective", "f1", "--positive", "frod"], "did you mean 'fraud'?"),
        (["--objective", "recall>=2"], "must be in (0, 1]"),
        (["--cost", "missed=-1"], "missed of cost must be a number >= 0"),
        (["--cost", "none.csv"], "must be a file of costs"),
        (["--cost", "missed=2", "--objective", "mcc"], "got cost and objective; pass one of them"),
        (["--positive", "fraud"], "is the class of an objective or of costs"),
    ],
)
def test_wrong_options_are_refused_before_training(arguments, message, folder, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(folder)
    new = [*TRAIN[:-1], str(tmp_path / "new"), *arguments]
    assert command(new) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert message in err
    assert err.count("\n") == 1
    assert not (tmp_path / "new").exists()


def test_what_cannot_be_decided_is_refused(trained, capsys, tmp_path):
    folder, _ = trained
    (folder / "model" / "validation.safetensors").rename(folder / "aside")
    assert command(["predict", "model", "rows.csv", "--objective", "mcc"]) == 2
    (folder / "aside").rename(folder / "model" / "validation.safetensors")
    assert "validation.safetensors is missing" in capsys.readouterr().err
    assert command(["predict", "model", "rows.csv", "--cost", "missed=2", "--out", "e.npz"]) == 2
    assert "are of decisions, and an .npz gets embeddings" in capsys.readouterr().err
    chance = torch.Generator().manual_seed(0)
    splits = load(torch.randn(60, 3, generator=chance), torch.arange(60) % 3, test=0.3)
    decision = model_decision.asked(splits.classes, splits.class_counts, goal="mcc")
    with pytest.raises(ValueError, match=r"got no validation part; add --val 0\.2"):
        model_decision.check(decision, method("ce"), splits)
    with pytest.raises(ValueError, match="trains an encoder; leave them out"):
        model_decision.check(decision, method("simclr"), splits)
    model_decision.check(
        model_decision.asked(splits.classes, splits.class_counts, cost="missed=3"), method("ce"), splits
    )


def test_beside_a_calibration_it_is_chosen_on_rows_that_did_not_calibrate_themselves(folder, monkeypatch):
    monkeypatch.chdir(folder)
    options = ["--calibrate", "isotonic", "--objective", "macro_f1", "--out", "calibrated"]
    assert command([*TRAIN[:-2], *options]) == 0
    run = Run.load(folder / "calibrated")
    val = of_run(run).val
    shared = {"num_classes": 3, "prior": run.predictor.training_prior}
    logs = cross_calibrated("isotonic", val.log_probs, val.targets, **shared)
    by_hand = Decision(run.classes, objective="macro_f1").fit(logs, val.targets)
    assert torch.equal(run.predictor.decision.offsets, by_hand.offsets)
    assert run.result["decision"]["found"] == json.loads(json.dumps(by_hand.found))
    seen = run.predictor.calibration(torch.from_numpy(val.log_probs))
    optimistic = Decision(run.classes, objective="macro_f1").fit(seen, val.targets)
    assert by_hand.found["value"] != optimistic.found["value"]
