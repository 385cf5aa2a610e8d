"""Data with wrong labels: where they are, what training can reach of the clean ones, identity, order, refusals."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tests.tiny_cifar import tiny_cifar

from longtail.comparison.input_data import load_folds, load_search
from longtail.data import Examples, MappedExamples, Splits, TrainingSet, load, noisy
from longtail.data.read.images import labelled_images
from longtail.data.simulate import simulation
from longtail.data.split.folds import Folds
from longtail.data.true_labels import with_true_labels
from longtail.engine import Recipe
from longtail.runs.train import Fit

DIGITS = torch.tensor([100, 64, 41, 27, 17, 11, 7, 4, 3, 2])
NOISE = "symmetric:0.4"
CLASSES = ("a", "b", "c")


def clean(size: int = 120) -> tuple[np.ndarray, np.ndarray]:
    y = np.repeat([0, 1, 2], [size // 2, size // 3, size - size // 2 - size // 3])
    return np.random.default_rng(0).normal(size=(size, 2)) + y[:, None], y


def mapped(classes: tuple[str, ...] = CLASSES) -> tuple[Splits, np.ndarray, np.ndarray]:
    """Rows read one by one, with their clean labels in the data set, in a training, validation and test part."""
    X, y = clean()
    pairs = [(torch.from_numpy(row), int(label)) for row, label in zip(X, y, strict=True)]
    part = MappedExamples(pairs, torch.from_numpy(y), classes, identity="pairs")
    rows = torch.randperm(len(y), generator=torch.Generator().manual_seed(0))
    return Splits("pairs", part.take(rows[:70]), part.take(rows[70:95]), part.take(rows[95:])), X, y


def own_labels(part: Any, X: np.ndarray, y: np.ndarray) -> torch.Tensor:
    """The clean labels of a part's rows, recovered from their inputs."""
    by_input = {row.tobytes(): label for row, label in zip(X.astype(np.float32), y, strict=True)}
    inputs = torch.cat(list(part.chunks(100))) if isinstance(part, MappedExamples) else part.inputs
    return torch.tensor([by_input[row.numpy().tobytes()] for row in inputs.float()])


def wrong(splits: Splits) -> int:
    assert splits.truth is not None
    return int((splits.train.targets != splits.truth).sum())


class TestDigits:
    def test_rows_are_the_same_with_other_labels(self) -> None:
        made, plain = load("digits", noise=NOISE), load("digits")
        assert torch.equal(made.train.inputs, plain.train.inputs)
        assert torch.equal(made.truth, plain.train.targets)
        assert torch.equal(made.train.targets, noisy(plain.train.targets, NOISE))
        assert wrong(made) == 110 == int(0.4 * 276)
        assert made.clean_counts.tolist() == DIGITS.tolist()
        assert made.class_counts.tolist() != DIGITS.tolist()

    def test_the_test_part_keeps_its_labels(self) -> None:
        made, plain = load("digits", noise=NOISE, val=0.2), load("digits", val=0.2)
        assert torch.equal(made.test.inputs, plain.test.inputs)
        assert torch.equal(made.test.targets, plain.test.targets)
        assert torch.equal(made.test_rows, plain.test_rows)

    def test_facts_and_note_say_so(self) -> None:
        made = load("digits", noise="pair-flip:.2,seed=3")
        assert made.facts["noise"] == "pair-flip:0.2,seed=3"
        (note,) = (note for note in made.notes if note.startswith("noise="))
        assert note.startswith(f"noise=pair-flip:0.2,seed=3: {wrong(made)} of 276 labels are wrong (")
        assert "validation rows alike; the test part keeps its clean labels" in note

    def test_identity(self) -> None:
        texts = [None, NOISE, "symmetric:.40", "symmetric:0.4,seed=1", "symmetric:0.4,counts=binomial", "uniform:0.4"]
        plain, first, same, *others = (load("digits", noise=text).hash for text in texts)
        assert first == same
        assert len({plain, first, *others}) == 5

    def test_validation_rows_have_it_too(self) -> None:
        whole, made = load("digits", noise=NOISE), load("digits", noise=NOISE, val=0.3)
        assert made.val is not None
        assert wrong(made) < wrong(whole)
        given = {row.numpy().tobytes(): int(j) for row, j in zip(whole.train.inputs, whole.train.targets, strict=True)}
        true = {row.numpy().tobytes(): int(j) for row, j in zip(whole.train.inputs, whole.truth, strict=True)}
        keys = [row.numpy().tobytes() for row in made.val.inputs]
        assert made.val.targets.tolist() == [given[key] for key in keys]
        missed = sum(given[key] != true[key] for key in keys)
        assert missed > 0
        assert missed + wrong(made) == wrong(whole)

    def test_imbalance_first_or_noise_first(self) -> None:
        first, then = load("digits", noise=NOISE), load("digits", noise=f"{NOISE},order=noise-first")
        assert first.clean_counts.tolist() == DIGITS.tolist()
        shape = then.class_counts.double() / then.class_counts.max()
        assert torch.allclose(shape, DIGITS.double() / 100, atol=0.03)
        assert then.clean_counts[9] > 3 * then.class_counts[9]
        assert 0.35 < wrong(then) / len(then.train) < 0.45
        rows = torch.cat([then.train.inputs, then.test.inputs]).flatten(1)
        assert len(rows.unique(dim=0)) == len(rows)
        assert torch.equal(then.test.inputs, first.test.inputs)

    def test_with_few_labels_on_those_that_are_given(self) -> None:
        made, plain = load("digits", noise=NOISE, labeled=0.5), load("digits", labeled=0.5)
        assert torch.equal(made.truth, plain.truth)
        assert wrong_labelled(made) == int(0.4 * len(made.train))
        assert torch.equal(made.unlabeled.inputs, plain.unlabeled.inputs)
        assert [note.split(":")[0] for note in made.notes] == [
            "labels were removed by labeled=0.5", f"noise={NOISE}".partition(":")[0],
        ]  # fmt: skip


def wrong_labelled(splits: Splits) -> int:
    return int((splits.train.targets != splits.truth[: len(splits.train)]).sum())


class TestCifar:
    def test_both_orders(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        folder = tiny_cifar(tmp_path, monkeypatch)
        options: dict[str, Any] = {"data_dir": folder, "ratio": 10}
        plain, made = load("cifar10", **options), load("cifar10", noise="proportional:0.3", **options)
        assert made.facts["images"] == plain.facts["images"]
        assert torch.equal(made.truth, plain.train.targets)
        assert wrong(made) == int(0.3 * len(plain.train))
        then = load("cifar10", noise="asymmetric:0.4,order=noise-first", **options)
        assert then.facts["images"] != plain.facts["images"]
        counts = then.class_counts.tolist()  # of the noisy labels, by the profile
        assert counts == sorted(counts, reverse=True)
        assert counts[0] / counts[-1] >= 10
        assert wrong(then) > 0


class TestOwnData:
    @pytest.mark.parametrize("form", ["arrays", "images", "table"])
    @pytest.mark.parametrize("order", ["imbalance-first", "noise-first"])
    def test_truth_is_that_of_the_rows(self, form: str, order: str) -> None:
        X, y = clean(300)
        options: dict[str, Any] = {"ratio": 4, "val": 0.2, "noise": f"{NOISE},order={order}"}
        if form == "table":
            pandas = pytest.importorskip("pandas")
            source: Any = pandas.DataFrame({"a": X[:, 0], "b": X[:, 1], "y": np.array(CLASSES)[y]})
            made, plain = load(source, "y", **options), load(source, "y", ratio=4, val=0.2)
        else:
            X = X.astype(np.float32) if form == "arrays" else np.repeat(X, 32, 1).reshape(-1, 8, 8).astype(np.float32)
            made, plain = load(X, y, **options), load(X, y, ratio=4, val=0.2)
        if form == "arrays":
            assert torch.equal(made.truth, own_labels(made.train, X, y))
            assert made.val is not None
            assert (made.val.targets != own_labels(made.val, X, y)).any()
            assert torch.equal(made.test.targets, own_labels(made.test, X, y))
        assert torch.equal(made.test.targets, plain.test.targets)
        assert 0.3 < wrong(made) / len(made.train) < 0.5
        by = made.clean_counts if order == "imbalance-first" else made.class_counts
        assert (by >= plain.class_counts * 0.5).all()
        assert made.hash != plain.hash

    def test_a_declared_validation_part_has_it_by_the_training_sizes(self) -> None:
        X, y = clean(300)
        parts = np.where(np.arange(300) % 3 == 0, "val", np.where(np.arange(300) % 3 == 1, "test", "train"))
        pandas = pytest.importorskip("pandas")
        frame = pandas.DataFrame({"a": X[:, 0], "b": X[:, 1], "y": np.array(CLASSES)[y], "part": parts})
        made, plain = load(frame, "y", split="part", noise=NOISE), load(frame, "y", split="part")
        assert wrong(made) == int(0.4 * 100)
        assert int((made.val.targets != plain.val.targets).sum()) == int(0.4 * 100)
        assert torch.equal(made.test.targets, plain.test.targets)
        X, y = clean(60)
        whole = Splits("s", *(Examples(torch.tensor(X), torch.tensor(y), CLASSES) for _ in range(3)))
        split = load(whole, noise=NOISE)
        assert wrong(split) == 24 == int((split.val.targets != whole.val.targets).sum())
        assert not torch.equal(split.val.targets, split.train.targets)
        assert torch.equal(split.test.targets, whole.test.targets)

    @pytest.mark.parametrize("groups", [False, True])
    def test_folds_test_clean_labels_and_train_on_the_same_wrong_ones(self, groups: bool) -> None:
        X, y = clean(90)
        options: dict[str, Any] = {"noise": NOISE, "val": 0.2}
        if groups:
            pandas = pytest.importorskip("pandas")
            X_, y_ = pandas.DataFrame({"a": X[:, 0], "b": X[:, 1], "y": y.astype(str), "g": np.arange(90) // 2}), "y"
            options["group"] = "g"
        else:
            X_, y_ = X.astype(np.float32), y
        folds = load_folds(X_, y_, 3, options)
        assert int(folds.class_counts.sum()) == 90
        assert folds.clean_counts.tolist() == [45, 30, 15]
        assert folds.facts["noise"] == NOISE
        assert sum(note.startswith("noise=symmetric:0.4: 36 of 90") for note in folds.notes) == 1
        given: dict[bytes, set[int]] = {}
        for fold in range(3):
            made = folds.splits(0, fold)
            if not groups:
                assert torch.equal(made.truth, own_labels(made.train, X, y))
                assert torch.equal(made.test.targets, own_labels(made.test, X, y))
                for part in (made.train, made.val):
                    for row, label in zip(part.inputs, part.targets.tolist(), strict=True):
                        given.setdefault(row.numpy().tobytes(), set()).add(label)
            assert wrong(made) > 0
            assert made.truth is not None
            assert len(made.truth) == len(made.train)
        if not groups:
            assert all(len(labels) == 1 for labels in given.values())
        plain = {key: value for key, value in options.items() if key != "noise"}
        assert load_folds(X_, y_, 3, plain).hash != folds.hash
        assert load_folds(X_, y_, 3, {**options, "noise": f"{NOISE},seed=1"}).hash != folds.hash

    def test_hashes_of_folds_without_noise_do_not_know_of_it(self) -> None:
        assert "noise" not in repr(simulation(labeled=0.3))

    def test_a_search_validates_by_wrong_labels_too(self) -> None:
        X, y = clean(90)
        X = X.astype(np.float32)
        one = load_search(X, y, None, {"noise": NOISE, "val": 0.3})
        assert isinstance(one, Splits)
        assert (one.test.targets != own_labels(one.test, X, y)).any()
        folds = load_search(X, y, 3, {"noise": NOISE})
        assert isinstance(folds, Folds)
        tested = 0
        for fold in range(3):
            made = folds.splits(0, fold)
            tested += int((made.test.targets != own_labels(made.test, X, y)).sum())
            assert torch.equal(made.truth, own_labels(made.train, X, y))
        assert tested == int(0.4 * len(folds.pool))
        split = load_search("digits", None, 3, {"noise": NOISE})
        assert wrong(split.splits(0, 0)) > 0


@pytest.mark.parametrize("in_memory", [True, False])
def test_folders_of_images(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, in_memory: bool) -> None:
    """Three classes of grey images, each of a brightness of its own, which says what it truly is."""
    image = pytest.importorskip("PIL.Image")
    monkeypatch.setenv("LONGTAIL_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(labelled_images, "fits_in_memory", lambda *_: in_memory)
    true = {}
    for name, first, count in (("cat", 0, 40), ("dog", 80, 20), ("owl", 160, 10)):
        for value in range(first, first + count):
            path = tmp_path / "photos" / name / f"{value}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            image.fromarray(np.full((8, 8, 3), value, dtype=np.uint8)).save(path)
            true[value] = ("cat", "dog", "owl").index(name)
    reading: dict[str, Any] = {"size": 8, "mirror": False}
    made = load(tmp_path / "photos", noise=NOISE, val=0.2, **reading)
    folds = load_folds(tmp_path / "photos", None, 2, {"noise": NOISE, **reading})
    assert isinstance(folds, Folds)
    for splits in (made, folds.splits(0, 1)):
        assert isinstance(splits.train, Examples if in_memory else MappedExamples)
        parts = [part for part in (splits.train, splits.val, splits.test) if part is not None]
        for part in parts:
            values = [int(pixels.flatten()[0]) for pixels in torch.cat([*part.chunks(16)])]
            clean_labels = torch.tensor([true[value] for value in values])
            assert torch.equal(part.targets, clean_labels) == (part is splits.test)
            for batch in part.batches(0.0, torch.Generator().manual_seed(0)):
                assert torch.equal(batch["targets"], part.targets[batch["index"]])
            if part is splits.train:
                assert torch.equal(splits.truth, clean_labels)


class TestTraining:
    """What `build` gets has no way to the clean labels."""

    def test_the_training_set_has_no_truth(self) -> None:
        made = load("digits", noise=NOISE, val=0.2)
        assert TrainingSet.of(made).hash == TrainingSet.of(replace(made, truth=None)).hash
        assert made.hash == replace(made, truth=None).hash
        assert not hasattr(TrainingSet.of(made), "truth")

    @pytest.mark.parametrize("labeled", [None, 0.5])
    def test_rows_read_one_by_one_have_no_other_labels(self, labeled: float | None) -> None:
        whole, X, y = mapped()
        made = load(whole, noise=NOISE, labeled=labeled)
        for part in (made.train, made.val):
            assert isinstance(part, MappedExamples)
            assert (part.targets != own_labels(part, X, y)).any()
            assert torch.equal(torch.tensor([part.dataset[int(row)][1] for row in part.rows]), part.targets)
            reached = [part.dataset[row][1] for row in range(int(part.rows.max()) + 1)]
            assert sorted(j for j in reached if j >= 0) == sorted(part.targets.tolist())
            for batch in part.batches(0.0, torch.Generator().manual_seed(0)):
                assert torch.equal(batch["targets"], part.targets[batch["index"]])
        assert torch.equal(made.test.targets, own_labels(made.test, X, y))
        assert torch.equal(made.truth[: len(made.train)], own_labels(made.train, X, y))

    @pytest.mark.parametrize("labeled", [None, 0.5])
    def test_the_oracle_reads_the_true_ones(self, labeled: float | None) -> None:
        whole, X, y = mapped()
        for source in (whole, "digits"):
            made = load(source, noise=NOISE, labeled=labeled)
            true = with_true_labels(made)
            assert torch.equal(true.train.targets, made.truth)
            assert sum(len(batch["targets"]) for batch in true.train.batches(0.0, torch.Generator())) == len(made.truth)
            if source is whole:
                assert torch.equal(true.train.targets, own_labels(true.train, X, y))

    def test_a_method_learns_the_wrong_labels_and_the_oracle_does_not(self, tmp_path: Path) -> None:
        """Two classes far apart, nearly all labels exchanged: who learns from these is wrong on the test part."""
        X = np.concatenate([np.zeros((60, 2)), np.ones((60, 2))]).astype(np.float32) * 4
        X += np.random.default_rng(0).normal(size=X.shape).astype(np.float32) * 0.1
        made = load(X, np.repeat([0, 1], 60), noise="pair-flip:0.9")
        scores = {}
        for name in ("ce", "oracle"):
            run = Fit(name, made, folder=tmp_path / name, recipe=Recipe(epochs=12, batch_size=16, model="linear"))
            for _ in run:
                pass
            scores[name] = run.run.scores["accuracy"]
        assert scores == {"ce": 0.0, "oracle": 1.0}


class TestRefusals:
    @pytest.mark.parametrize(
        ("values", "line"),
        [
            ({"noise": "symmetric:2"}, "noise (--noise) must have a rate in [0, 1]"),
            ({"noise": "sym:0.2"}, "noise (--noise) must be one of"),
            ({"noise": 0.2}, "noise (--noise) must be a text"),
            ({"noise": NOISE, "ambiguity": 0.3}, "noise (--noise) puts wrong labels in place of right ones"),
            (
                {"noise": f"{NOISE},order=noise-first", "labeled": 0.3},
                "noise (--noise) order=noise-first cannot go with",
            ),
            ({"noise": NOISE, "keep_cut": True}, "keep_cut (a probe on full rows) cannot go with noise (--noise)"),
        ],
    )
    def test_of_values_come_before_data_are_read(self, values: dict[str, Any], line: str) -> None:
        with pytest.raises((ValueError, TypeError)) as caught:
            load("nowhere.npz", **values)
        assert str(caught.value).startswith(line)
        assert "\n" not in str(caught.value)

    def test_of_data(self) -> None:
        X, y = clean(90)
        first = f"{NOISE},order=noise-first"
        unknown = np.where(np.arange(90) % 3 == 0, -1, y)
        for call, line in (
            (lambda: load(X, y, noise="asymmetric:0.4,0=3"), "must name classes of the data, got '3'; known are 0, 1"),
            (lambda: load(X, y, noise="asymmetric:1,0=1"), "every class a training row, got none of class '0'"),
            (lambda: load(X, y, noise=first), "order=noise-first is followed by a long-tailed cut, and there is none"),
            (lambda: load(load(X, y), noise=first), "order=noise-first is followed by a long-tailed cut"),
            (lambda: load_folds(X, y, 3, {"noise": first}), "which folds (--folds) do not have; leave one of them out"),
            (lambda: load(X, unknown, unlabeled="same", noise=NOISE), "for data whose labels are all known"),
            (lambda: load(load(X, y, noise=NOISE), noise=NOISE), "for clean labels, got data whose labels were"),
        ):  # fmt: skip
            with pytest.raises(ValueError) as caught:
                call()
            assert str(caught.value).startswith("noise (--noise)")
            assert line in str(caught.value)
            assert "\n" not in str(caught.value)

    def test_a_class_that_a_fold_would_not_train_on(self) -> None:
        """Noise gives every row of class 2 but two another label; some fold tests both of these."""
        X = np.arange(120, dtype=np.float32).reshape(60, 2)
        y = np.repeat([0, 1, 2], [28, 28, 4])
        with pytest.raises(ValueError, match=r"got none of class '2' by fold \d of seed \d+; lower the rate"):
            load_folds(X, y, 2, {"noise": "asymmetric:0.5,2=0"}).check_noise(range(30))
        load_folds(X, y, 2, {"noise": "asymmetric:0.25,1=0"}).check_noise(range(3))
