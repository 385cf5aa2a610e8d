"""`--noise` as it is typed: train, compare, inspect, tune and reproduce."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.tiny_cifar import tiny_cifar

from longtail.cli import run

Capture = pytest.CaptureFixture[str]
SHORT = ["--epochs", "1", "--model", "linear"]
NOISE = ["--noise", "symmetric:0.4"]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def table(here: Path) -> str:
    generator, y = np.random.default_rng(0), np.repeat([0, 1, 2], [48, 24, 12])
    lines = [f"{a:.4f},{b:.4f},{('cat', 'dog', 'owl')[j]}" for (a, b), j in zip(
        generator.normal(size=(84, 2)) + y[:, None], y, strict=True)]  # fmt: skip
    (here / "pets.csv").write_text("\n".join(["a,b,label", *lines]))
    return "pets.csv"


def told(capsys: Capture, *words: str) -> Any:
    capsys.readouterr()
    code = run(list(words))
    out, err = capsys.readouterr()
    assert code == 0, err
    return out


def test_train_writes_it_into_the_identity(here: Path, capsys: Capture) -> None:
    told(capsys, "train", "digits", *NOISE, *SHORT, "--method", "ce", "--out", "m")
    config = json.loads(Path("m/config.json").read_text())
    assert config["data"]["facts"]["noise"] == "symmetric:0.4"
    assert config["data"]["class_counts"] == [100, 64, 41, 27, 17, 11, 7, 4, 3, 2]  # clean, for the groups
    code = run(["train", "digits", "--noise", "symmetric:0.2", *SHORT, "--method", "ce", "--out", "m"])
    out, err = capsys.readouterr()
    assert (code, out) == (2, "")
    assert err.count("\n") == 1


def test_compare_shows_the_oracle_beside_the_verdict(here: Path, capsys: Capture) -> None:
    words = ["compare", "digits", *NOISE, *SHORT, "--methods", "ce,logit-adjusted", "--seeds", "2", "--jobs", "1"]
    found = json.loads(told(capsys, *words, "--json"))
    rows = {row["method"]: row for row in found["rows"]}
    assert set(rows) == {"ce", "logit-adjusted", "oracle"}
    assert rows["oracle"]["role"] == "context"
    assert [row["method"] for row in found["rows"] if row["role"] == "reference"] == ["ce"]
    named = [*found["verdict"]["winners"], *found["verdict"]["undecided"]]
    assert "oracle" not in named
    assert any(note.startswith("noise=symmetric:0.4: 110 of 276 labels are wrong") for note in found["data"]["notes"])
    text = told(capsys, *words)
    assert "oracle" in text
    assert "110 of 276 labels are wrong (39.9 %)" in text


def test_without_noise_there_is_no_oracle(here: Path, capsys: Capture) -> None:
    found = json.loads(told(capsys, "compare", "digits", *SHORT, "--methods", "ce,ldam", "--dry-run", "--json"))
    assert "oracle" not in json.dumps(found)
    code = run(["compare", "digits", "--methods", "ce,oracle", *SHORT])
    err = capsys.readouterr().err
    assert code == 2
    assert "method 'oracle' needs true labels beside hidden or wrong ones, got data without" in err
    assert "--noise symmetric:0.4" in err


def test_compare_in_folds(table: str, capsys: Capture) -> None:
    words = ["compare", table, "--noise", "asymmetric:0.25,cat=dog,dog=cat", "--folds", "3", *SHORT[:2]]
    found = json.loads(told(capsys, *words, "--methods", "ce", "--seeds", "1", "--jobs", "1", "--json"))
    assert {row["method"] for row in found["rows"]} >= {"ce", "oracle"}
    assert found["data"]["class_counts"] == [48, 24, 12]
    (note,) = (note for note in found["data"]["notes"] if note.startswith("noise="))
    assert note.startswith("noise=asymmetric:0.25,cat=dog,dog=cat: 18 of 84 labels are wrong (21.4 %)")


def test_inspect_shows_wrong_labels_by_class(table: str, capsys: Capture) -> None:
    words = ["inspect", table, "--noise", "asymmetric:0.5,cat=dog"]
    found = json.loads(told(capsys, *words, "--json"))
    noise, counts = found["label_noise"], found["class_counts"]
    assert (noise["noise"], noise["rows"]) == ("asymmetric:0.5,cat=dog", sum(counts))
    cat, dog, owl = noise["classes"]
    moved = counts[0] // 2
    assert (cat["true"], cat["given"], cat["wrong"], cat["lost"]) == (counts[0], counts[0] - moved, 0, moved)
    assert (dog["given"], dog["wrong"], dog["from"]) == (counts[1] + moved, moved, {"cat": moved})
    assert dog["share_wrong"] == pytest.approx(moved / (counts[1] + moved))
    assert (owl["wrong"], owl["lost"], owl["from"], owl["share_wrong"]) == (0, 0, {}, 0.0)
    assert noise["wrong"] == moved
    assert noise["rate"] == pytest.approx(noise["expected_rate"]) == pytest.approx(moved / sum(counts))
    text = told(capsys, *words)
    assert "Wrong labels by class" in text
    line = next(line for line in text.splitlines() if line.startswith("dog ") and "cat" in line)
    assert line.split()[-2:] == ["cat:", str(moved)]
    assert f"   longtail compare {table} --noise asymmetric:0.5,cat=dog --methods " in text
    plain = json.loads(told(capsys, "inspect", table, "--json"))
    assert plain["label_noise"] is None
    assert plain["class_counts"] == counts


def test_inspect_of_many_classes_and_noise_first(here: Path, capsys: Capture) -> None:
    X, y = np.zeros((600, 2), dtype=np.float32), np.repeat(np.arange(20), 30)
    np.savez("many.npz", X=X + np.arange(600)[:, None], y=y)
    words = ["inspect", "many.npz", "--ratio", "2", "--noise", "symmetric:0.3,order=noise-first"]
    noise = json.loads(told(capsys, *words, "--json"))["label_noise"]
    assert noise["expected_rate"] is None
    assert len(noise["classes"]) == 20
    text = told(capsys, *words)
    assert "the 12 of 20 classes with most wrong labels" in " ".join(text.split())
    assert "others: " in text
    assert "expected over all draws" not in text


def test_tune_chooses_on_wrong_labels(table: str, capsys: Capture) -> None:
    asked = ["tune", table, "--method", "ce", "--vary", "lr=[0.01,0.1]", *SHORT, *NOISE, "--jobs", "1", "--json"]
    told(capsys, *asked, "--val", "0.3", "--out", "a")
    told(capsys, *asked, "--inner-folds", "2", "--out", "b")
    for folder in "ab":
        config = json.loads(Path(folder, "config.json").read_text())
        assert config["data"]["facts"]["noise"] == "symmetric:0.4"


@pytest.mark.slow
def test_reproduce_by_name_and_by_option(here: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    tiny_cifar(here, monkeypatch)
    short = ["--methods", "ce", "--epochs", "1", "--evaluations", "1", "--jobs", "1", "--data-dir", "data", "--json"]
    named = json.loads(told(capsys, "reproduce", "cifar10-lt-10-noise-proportional-0.3", *short))
    assert named["benchmark"] == "cifar10-lt-10-noise-proportional-0.3"
    assert named["data"]["facts"]["noise"] == "proportional:0.3"
    again = json.loads(told(capsys, "reproduce", "cifar10-lt-10", "--noise", "proportional:0.3", *short))
    assert again == named
    whole = json.loads(told(capsys, "reproduce", "cifar10-noise-asymmetric-0.4", *short))
    assert whole["data"]["facts"]["ratio"] == 1.0
    assert whole["data"]["class_counts"] == [20] * 10


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["compare", "digits", "--noise", "symmetric:1.5"], "noise (--noise) must have a rate in [0, 1]"),
        (["train", "digits", "--noise", "symetric:0.5"], "did you mean 'symmetric'?"),
        (["inspect", "digits", "--noise", "asymmetric:0.5,3=15"], "must name classes of the data, got '15'"),
        (["compare", "digits", *NOISE, "--ambiguity", "0.3"], "cannot go with ambiguity (--ambiguity)"),
        (
            ["tune", "digits", "--method", "ce", "--val", "0.2", "--vary", "lr=[1,2]", "--noise", "x"],
            "must be one of symm",
        ),
        (["compare", "digits", "--noise", "asymmetric:1,9=0"], "got none of class '9' by asymmetric:1.0,9=0"),
        (["reproduce", "cifar10", *NOISE, "--noise", "symmetric:0.4,seed=1"], "must be KIND:RATE and given once"),
        (["reproduce", "cifar10-noise-symmetric-0.4", *NOISE], "must be KIND:RATE and given once"),
        (["reproduce", "cifar10-noise-symetric-0.4"], "did you mean 'symmetric'?"),
        (["reproduce", "cifar10-noise-symmetric-4"], "must have a rate in [0, 1]"),
        (["reproduce", "cifar1-noise-symmetric-0.4"], "with noise as in cifar10-lt-10-noise-proportional-0.1 and"),
        (["reproduce", "cifar100-lt-20-noise-prior-0.15"], "no number is published for"),
    ],
)
def test_refusals_are_one_line(here: Path, capsys: Capture, words: list[str], line: str) -> None:
    code = run(words)
    out, err = capsys.readouterr()
    assert (code, out) == (2, "")
    assert err.count("\n") == 1, err
    assert line in err
