"""Data in: digits, array files, arrays and frames; what cannot be learnt from is refused in one line."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from tests.cases import cases

from longtail.data import Examples, Splits, held_out, load


def blobs(counts: tuple[int, ...] = (40, 20, 10), dim: int = 4) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(0)
    y = np.repeat(np.arange(len(counts)), counts)
    return generator.normal(size=(len(y), dim)) + 3 * y[:, None], y


class TestDigits:
    def test_are_long_tailed_with_a_balanced_test_part(self) -> None:
        splits = load("digits")
        assert splits.class_counts.tolist() == [100, 64, 41, 27, 17, 11, 7, 4, 3, 2]
        assert splits.test.class_counts.tolist() == [74] * 10
        assert splits.train.inputs.shape == (276, 1, 8, 8)
        assert float(splits.train.inputs.max()) == 1.0

    def test_train_and_test_share_no_image(self) -> None:
        splits = load("digits", ratio=1)
        both = torch.cat([splits.train.inputs, splits.test.inputs]).flatten(1)
        assert len(torch.unique(both, dim=0)) == len(both)

    def test_step_profile_and_ratio(self) -> None:
        assert load("digits", ratio=10, profile="step").class_counts.tolist() == [100] * 5 + [10] * 5

    def test_hash_moves_with_the_data_and_with_nothing_else(self) -> None:
        assert load("digits").hash == load("digits").hash
        assert load("digits").hash != load("digits", ratio=49).hash


class TestHeldOut:
    def test_singletons_stay(self) -> None:
        targets = torch.tensor([0] * 10 + [1] * 2 + [2])
        stay, held = held_out(targets, 0.2)
        assert sorted([*stay.tolist(), *held.tolist()]) == list(range(13))
        assert torch.bincount(targets[held], minlength=3).tolist() == [2, 1, 0]

    @pytest.mark.parametrize("share", [0.01, 0.5, 0.99])
    def test_no_class_leaves_training_and_every_other_is_tested(self, share: float) -> None:
        targets = torch.tensor([0] * 50 + [1] * 3 + [2] * 2)
        stay, held = held_out(targets, share)
        assert set(targets[stay].tolist()) == set(targets[held].tolist()) == {0, 1, 2}

    @pytest.mark.parametrize("share", [0.0, 1.0, -0.1, 2])
    def test_a_share_outside_is_refused(self, share: float) -> None:
        with pytest.raises(ValueError, match=r"must be in \(0, 1\).*try 0\.2"):
            held_out(torch.tensor([0, 0, 1]), share)

    def test_validation_keeps_the_singleton_in_training_and_says_what_is_not_measured(self) -> None:
        X, y = blobs((30, 10, 1))
        splits = load(X, y, val=0.2)
        assert splits.val is not None
        assert splits.class_counts[2] == 1
        assert splits.val.class_counts.tolist()[2] == splits.test.class_counts.tolist()[2] == 0
        assert any("cannot be measured: 2" in note for note in splits.notes)


class TestArrays:
    def test_tensors_arrays_and_lists_give_the_same_data(self) -> None:
        X, y = blobs()
        X = X.astype(np.float32)
        hashes = {load(a, b).hash for a, b in ((X, y), (torch.tensor(X), torch.tensor(y)), (X.tolist(), y.tolist()))}
        assert len(hashes) == 1

    def test_string_labels_are_sorted_names(self) -> None:
        X, y = blobs()
        splits = load(X, np.array(["cat", "ant", "bee"])[y])
        assert splits.classes == ("ant", "bee", "cat")

    @pytest.mark.parametrize(
        ("shape", "expected"),
        [((60, 5), (5,)), ((60, 8, 8), (1, 8, 8)), ((60, 8, 9, 3), (3, 8, 9)), ((60, 8, 8, 1), (1, 8, 8))],
    )
    def test_features_and_images(self, shape: tuple[int, ...], expected: tuple[int, ...]) -> None:
        y = np.arange(60) % 3
        assert load(np.random.default_rng(0).random(shape), y).train.inputs.shape[1:] == expected

    def test_bytes_stay_bytes_for_images_and_widen_for_features(self) -> None:
        y = np.arange(60) % 3
        images = np.random.default_rng(0).integers(0, 255, (60, 8, 8), dtype=np.uint8)
        assert load(images, y).train.inputs.dtype == torch.uint8
        assert load(images.reshape(60, 64), y).train.inputs.dtype == torch.float32

    def test_a_ratio_makes_the_training_part_long_tailed(self) -> None:
        X, y = blobs((80, 80, 80))
        counts = load(X, y, ratio=10).class_counts
        assert counts.tolist() == [60, 18, 6]

    def test_frames_by_label_column_alike(self) -> None:
        X, y = blobs()
        frame = pd.DataFrame(X.astype(np.float32), columns=list("abcd")).assign(kind=np.array(["u", "v", "w"])[y])
        assert load(frame, "kind").hash == load(frame, label="kind").hash
        beside = load(frame.drop(columns="kind"), frame["kind"])
        assert beside.train.inputs.equal(load(frame, "kind").train.inputs)
        # a frame is a table: its columns are scaled by the training rows, which is what arrays are not
        plain = load(X.astype(np.float32), frame["kind"]).train.inputs.double()
        scaled = (plain - plain.mean(0)) / plain.std(0, correction=0)
        torch.testing.assert_close(load(frame, "kind").train.inputs.double(), scaled, rtol=1e-5, atol=1e-5)


BAD_ARRAYS = {
    "empty": (np.empty((0, 3)), np.empty(0, dtype=int), "must not be empty"),
    "different length": (np.ones((5, 2)), [0, 1, 0, 1], "same length, got 5 and 4"),
    "one class": (np.ones((5, 2)), [0] * 5, "at least two classes"),
    "negative label": (np.ones((4, 2)), [0, -1, 1, 1], "labels must be >= 0, got -1"),
    "class without examples": (np.ones((40, 2)), [0, 2] * 20, "training example, got none of class '1'"),
    "float labels": (np.ones((4, 2)), [0.5, 1.0, 1.0, 0.5], "labels must be integers or strings"),
    "NaN": (np.array([[1.0], [np.nan]] * 20), [0, 1] * 20, "must be finite, got NaN"),
    "strings": (np.array([["a"], ["b"]] * 20), [0, 1] * 20, "features must be numbers"),
    "five dimensions": (np.ones((40, 2, 2, 2, 2)), [0, 1] * 20, r"features must have shape \(N, D\)"),
    "no two alike": (np.ones((3, 2)), [0, 1, 2], "nothing can be held out"),
}


@cases("case", BAD_ARRAYS.values(), ids=BAD_ARRAYS.keys())
def test_bad_arrays_are_one_clear_line(case: tuple) -> None:
    X, y, message = case
    with pytest.raises((ValueError, TypeError), match=message) as found:
        load(X, y)
    assert "\n" not in str(found.value)


class TestFrames:
    def test_categories_and_missing_cells_are_prepared(self) -> None:
        frame = pd.DataFrame({"size": [1.0, None, 3, 4] * 5, "colour": list("rgbr") * 5, "y": [0, 1, 0, 1] * 5})
        splits = load(frame, "y")
        assert splits.preparation is not None
        assert splits.preparation.names == ("size", "size is missing", "colour")
        assert bool(torch.isfinite(splits.train.inputs).all())

    def test_an_unknown_label_column_lists_the_columns(self) -> None:
        with pytest.raises(ValueError, match=r"label \(--label\) must be a column, got 'z'; columns are 'size', 'y'"):
            load(pd.DataFrame({"size": [1.0], "y": [0]}), "z")

    def test_labels_are_named_once(self) -> None:
        with pytest.raises(TypeError, match="name the labels twice"):
            load(pd.DataFrame({"size": [1.0], "y": [0]}), [0], label="y")


class TestOptions:
    @pytest.mark.parametrize(
        ("source", "options", "message"),
        [
            ("digits", {"size": 8}, r"size \(--size\) is not read for digits, got 8; leave it out"),
            ("cifar10", {"label": "y"}, r"label \(--label\) is not read for cifar10"),
            (
                np.ones((4, 2)),
                {"delimiter": ";"},
                r"delimiter \(--delimiter\) is not read for arrays, got ';'; it is for: table",
            ),
            ("digits", {"features": Path("x.npz")}, r"features \(--features\) is not read for digits, got 'x.npz'"),
            (
                np.ones((4, 2)),
                {"features": Path("x.npz")},
                r"\(--features\) is not read for arrays, got 'x.npz'; it is",
            ),
            (
                "digits",
                {"val": 1.5},
                r"val \(--val\) must be in \(0, 1\), the share that is held out, got 1.5; try 0.2",
            ),
            (np.ones((4, 2)), {"colour": 1}, "colour is not read for arrays"),
        ],
    )
    def test_an_option_that_would_do_nothing_is_refused(self, source: object, options: dict, message: str) -> None:
        labels = None if isinstance(source, str) else [0, 1, 0, 1]
        with pytest.raises((ValueError, TypeError), match=message):
            load(source, labels, **options)

    def test_groups_and_parts_of_arrays(self) -> None:
        X, y = blobs()
        group = np.arange(len(y)) // 2
        splits = load(X, y, group=group)
        rows = {tuple(x.tolist()) for x in splits.test.inputs}
        tested = {
            int(g)
            for x, g in zip(torch.tensor(X, dtype=torch.float32), group, strict=True)
            if tuple(x.tolist()) in rows
        }
        assert len(splits.test) == 2 * len(tested)
        parts = np.where(np.arange(len(y)) % 3 == 0, "test", "train")
        assert len(load(X, y, split=parts).test) == int((parts == "test").sum())


class TestFiles:
    def test_npz_under_both_names_and_with_declared_parts(self, tmp_path: Path) -> None:
        X, y = blobs()
        np.savez(tmp_path / "a.npz", X=X, y=y)
        np.savez(tmp_path / "b.npz", features=X, labels=y)
        assert load(tmp_path / "a.npz").train.inputs.equal(load(tmp_path / "b.npz").train.inputs)
        np.savez(tmp_path / "c.npz", X=X, y=y, X_val=X[::7], y_val=y[::7], X_test=X[::5], y_test=y[::5])
        splits = load(tmp_path / "c.npz", val=0.5)
        assert splits.val is not None
        assert (len(splits.train), len(splits.val), len(splits.test)) == (70, 10, 14)

    def test_a_declared_part_may_lack_classes_without_shifting_the_names(self, tmp_path: Path) -> None:
        X, y = blobs()
        names = np.array(["a", "b", "c"])[y]
        np.savez(tmp_path / "d.npz", X=X, y=names, X_test=X[y == 2], y_test=names[y == 2])
        splits = load(tmp_path / "d.npz")
        assert splits.test.targets.unique().tolist() == [2]

    def test_npy_beside_its_labels(self, tmp_path: Path) -> None:
        X, y = blobs()
        np.save(tmp_path / "X.npy", X)
        np.save(tmp_path / "labels.npy", y)
        assert len(load(tmp_path / "X.npy", label="labels.npy").classes) == 3
        with pytest.raises(ValueError, match="holds features only; name the file of its labels with --label"):
            load(tmp_path / "X.npy")

    def test_pickled_objects_are_refused_and_never_loaded(self, tmp_path: Path) -> None:
        marker = tmp_path / "ran"

        class Bomb:
            def __reduce__(self) -> tuple:
                return (open, (str(marker), "w"))

        np.save(tmp_path / "X.npy", np.array([Bomb()], dtype=object), allow_pickle=True)
        np.savez(tmp_path / "X.npz", X=np.array([Bomb()], dtype=object), y=np.array([0]), allow_pickle=True)
        np.save(tmp_path / "y.npy", np.array([0]))
        for name in ("X.npy", "X.npz"):
            with pytest.raises(ValueError, match="pickled objects, which are refused"):
                load(tmp_path / name, label="y.npy")
        (tmp_path / "raw.npy").write_bytes(b"\x80\x04K\x01.")  # a bare pickle under the name of an array
        with pytest.raises(ValueError, match="pickled objects, which are refused"):
            load(tmp_path / "raw.npy", label="y.npy")
        assert not marker.exists()

    @pytest.mark.parametrize(
        ("arrays", "message"),
        [
            ({"a": [1], "b": [2]}, r"must hold X \(or features\) and y \(or labels\), got a, b"),
            ({"X": [[1.0]], "y": [0], "X_test": [[1.0]]}, "must declare both X_test and y_test"),
        ],
    )
    def test_missing_arrays_are_named(self, tmp_path: Path, arrays: dict, message: str) -> None:
        np.savez(tmp_path / "x.npz", **{k: np.array(v) for k, v in arrays.items()})
        with pytest.raises(ValueError, match=message):
            load(tmp_path / "x.npz")

    def test_a_truncated_file_is_one_line(self, tmp_path: Path) -> None:
        X, y = blobs()
        np.savez(tmp_path / "x.npz", X=X, y=y)
        whole = (tmp_path / "x.npz").read_bytes()
        (tmp_path / "x.npz").write_bytes(whole[: len(whole) // 2])
        with pytest.raises(ValueError, match="cannot be read as an array file"):
            load(tmp_path / "x.npz")

    @pytest.mark.parametrize(
        ("name", "message"),
        [
            ("digit", "did you mean 'digits'"),
            ("nowhere", "neither a known name nor"),
            ("no.npz", "does not exist"),
        ],
    )
    def test_unknown_names(self, name: str, message: str) -> None:
        with pytest.raises(ValueError, match=message):
            load(name)


class TestExamples:
    def test_an_epoch_visits_every_row_once_and_keeps_the_last_partial_batch(self) -> None:
        X, y = blobs()
        data = load(X, y).train.drawn(16)
        batches = list(data.batches(0.0, torch.Generator().manual_seed(1)))
        assert [len(b["targets"]) for b in batches] == [16] * (len(data) // 16) + [len(data) % 16]
        assert len(batches) == data.steps()
        assert sorted(torch.cat([b["index"] for b in batches]).tolist()) == list(range(len(data)))

    def test_batches_hold_the_rows_that_their_index_names(self) -> None:
        X, y = blobs()
        data = load(X, y, sample_weight=np.arange(70)).train
        for batch in data.batches(0.0, torch.Generator().manual_seed(1)):
            assert batch["inputs"].equal(data.inputs[batch["index"]])
            assert data.sample_weight is not None
            assert batch["sample_weight"].equal(data.sample_weight[batch["index"]])

    @pytest.mark.parametrize(("weight", "got"), [("w", "'w'"), (np.array(["1"] * 70), "values of type <U1")])
    def test_sample_weights_that_are_no_numbers(self, weight: object, got: str) -> None:
        with pytest.raises(ValueError, match=rf"sample_weight must be one number per row, got {got}; name a column"):
            load(*blobs(), sample_weight=weight)

    def test_splits_pass_through(self) -> None:
        splits = load("digits")
        assert load(splits).hash == splits.hash
        assert isinstance(splits.train, Examples)
        assert isinstance(load(splits, val=0.2), Splits)
