"""Map-style torch data sets as data: what they become, in memory or row by row, and what is refused."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from tests.cases import cases
from torch.utils.data import ConcatDataset, Dataset, IterableDataset, Subset, TensorDataset

import longtail as lt
from longtail.data import Examples, MappedExamples, load, pool
from longtail.data.read.images import memory
from longtail.engine import Recipe

Y = np.repeat([0, 1, 2], [24, 12, 8])
X = (np.random.default_rng(0).normal(size=(len(Y), 5)) + Y[:, None]).astype(np.float32)
PICTURES = np.random.default_rng(1).integers(0, 256, (len(Y), 40, 24, 3), dtype=np.uint8)


class Rows(Dataset[Any]):
    """A data set like torchvision's: labels in an attribute, a transform of the inputs."""

    def __init__(
        self,
        inputs: Any,
        labels: Any = Y,
        transform: Callable[[Any], Any] = torch.as_tensor,
        attribute: str = "targets",
        classes: list[str] | None = None,
    ) -> None:
        self.inputs, self.own, self.transform, self.reads = inputs, labels, transform, 0
        setattr(self, attribute, labels)
        if classes is not None:
            self.classes = classes

    def __len__(self) -> int:
        return len(self.inputs)

    def __getitem__(self, row: int) -> Any:
        self.reads += 1
        return self.transform(self.inputs[row]), self.own[row]


class Odd(Rows):
    """A data set whose rows are what `row` says."""

    def __init__(self, row: Callable[[int], Any], **changes: Any) -> None:
        super().__init__(X, **changes)
        self.row = row

    def __getitem__(self, row: int) -> Any:
        return self.row(row)


class Stream(IterableDataset[Any]):
    targets = Y

    def __iter__(self) -> Any:
        return iter(zip(X, Y, strict=True))


class Endless(Dataset[Any]):
    targets = Y

    def __getitem__(self, row: int) -> Any:
        return X[row], Y[row]


class Hidden(Rows):
    """Its labels are in its rows alone."""

    def __init__(self) -> None:
        super().__init__(X, attribute="classified")


SAME: list[Callable[[], Any]] = [
    lambda: Rows(X),
    lambda: Rows(X, Y.tolist(), attribute="labels"),
    lambda: Rows(X, torch.from_numpy(Y)),
    lambda: Rows(X, transform=np.asarray),
    lambda: Rows(X.astype(np.float64)),
    lambda: Subset(Rows(np.concatenate([X, X]), np.concatenate([Y, Y])), list(range(len(Y)))),
    lambda: ConcatDataset([Rows(X[:20], Y[:20]), Rows(X[20:], Y[20:])]),
]


@cases("made", SAME, ids=str)
def test_rows_in_memory_are_those_of_the_arrays(made: Callable[[], Any]) -> None:
    splits, arrays = load(made()), load(X, Y)
    assert isinstance(splits.train, Examples)
    assert splits.hash == arrays.hash
    assert splits.preparation == arrays.preparation


def test_names_of_classes_are_the_data_sets_own_or_given() -> None:
    named = Rows(X, classes=["a", "b", "c"])
    assert load(named).classes == load(Rows(X), classes=["a", "b", "c"]).classes == ("a", "b", "c")
    words = np.array(["a", "b", "c"])[Y]
    assert load(Rows(X, words)).hash == load(named).hash
    assert load(Hidden(), words).hash == load(named).hash


def test_class_counts_read_no_row() -> None:
    data = Rows(X)
    assert lt.class_counts(data).tolist() == lt.class_counts(Subset(data, range(len(Y)))).tolist() == [24, 12, 8]
    assert data.reads == 0


def test_group_and_split_are_arrays_beside_it() -> None:
    parts = np.where(np.arange(len(Y)) % 4 == 0, "test", "train")
    assert load(Rows(X), split=parts).hash == load(X, Y, split=parts).hash
    groups = np.arange(len(Y)) // 2
    assert load(Rows(X), group=groups).hash == load(X, Y, group=groups).hash
    with pytest.raises(ValueError, match=r"group must have one entry per row, 44, got shape \(2,\)"):
        load(Rows(X), group=[0, 1])


def test_a_transform_is_applied_as_it_is() -> None:
    scaled = load(Rows(PICTURES, transform=lambda picture: torch.from_numpy(picture).permute(2, 0, 1) / 255))
    assert isinstance(scaled.train, Examples)
    assert scaled.train.input_shape == (3, 40, 24)
    assert scaled.train.augment is None
    assert scaled.train.inputs.dtype == torch.float32
    assert 0.9 < float(scaled.train.inputs.max()) <= 1.0


class TestImages:
    data = Rows(PICTURES, transform=Image.fromarray)

    def test_they_are_decoded_as_those_of_a_folder(self, tmp_path: Path) -> None:
        for row, label in enumerate(Y):
            (tmp_path / str(label)).mkdir(exist_ok=True)
            Image.fromarray(PICTURES[row]).save(tmp_path / str(label) / f"{row:03d}.png")
        ours, folder = pool(self.data), pool(tmp_path)
        assert isinstance(ours.rows, Examples)
        assert isinstance(folder.rows, Examples)
        assert torch.equal(ours.rows.inputs, folder.rows.inputs)
        assert ours.rows.augment == folder.rows.augment
        assert ours.preparation == folder.preparation
        assert set(folder.notes) >= set(ours.notes)

    def test_size_and_mirror(self) -> None:
        rows = pool(self.data, size=8, mirror=False).rows
        assert isinstance(rows, Examples)
        assert rows.input_shape == (3, 8, 8)
        assert rows.augment is None

    def test_a_model_of_them_predicts_image_files(self, tmp_path: Path) -> None:
        fit = lt.fit("ce", self.data, folder=tmp_path / "run", recipe=Recipe(epochs=1, model="linear"))
        assert len(list(fit)) == 1
        Image.fromarray(PICTURES[0]).save(tmp_path / "one.png")
        assert lt.load(tmp_path / "run").predict(tmp_path / "one.png")[0] in ("0", "1", "2")


class TestRowByRow:
    @pytest.fixture(autouse=True)
    def little_memory(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(memory, "memory", lambda: 4 * X.nbytes - 1)

    def test_batches_are_those_in_memory(self, monkeypatch: pytest.MonkeyPatch) -> None:
        mapped = pool(Rows(X)).rows
        assert isinstance(mapped, MappedExamples)
        monkeypatch.setattr(memory, "memory", lambda: 4 * X.nbytes)
        whole = pool(Rows(X)).rows
        assert isinstance(whole, Examples)
        order = torch.arange(len(Y)).flip(0).split(7)
        assert all(torch.equal(a, b) for a, b in zip(mapped.read(order), whole.read(order), strict=True))

    def test_the_hash_is_of_every_value(self) -> None:
        changed = X.copy()
        changed[30, 2] += 1e-3
        assert load(Rows(X)).hash == load(Rows(X)).hash != load(Rows(changed)).hash

    def test_workers_give_the_same(self) -> None:
        assert load(Rows(X), workers=1).hash == load(Rows(X)).hash

    def test_a_comparison(self) -> None:
        result = lt.compare(Rows(X), methods="ce", seeds=1, epochs=2, jobs=1, model="linear")
        assert result.ok
        arrays = lt.compare(X, Y, methods="ce", seeds=1, epochs=2, jobs=1, model="linear")
        assert result.rows[0]["mean"] == arrays.rows[0]["mean"]


def ragged(row: int) -> tuple[torch.Tensor, int]:
    return torch.zeros(5 if row < 20 else 6), int(Y[row])


def failing(row: int) -> Any:
    raise OSError("disk gone")


REFUSED: list[tuple[Callable[[], Any], type[Exception], str]] = [
    (Stream, TypeError, "must be a map-style data set.*got Stream, an IterableDataset; collect its rows"),
    (Endless, TypeError, "got Endless, a data set without __len__; collect its rows"),
    (Hidden, TypeError, "labels of a Hidden cannot be found without decoding.*pass the labels themselves"),
    (lambda: Rows(X, Y[:-1]), ValueError, "data must have one label per row, 44, got 43"),
    (lambda: Odd(lambda row: {"x": X[row]}), ValueError, r"row 0 of Odd cannot be read \(TypeError: it is a dict, not"),
    (lambda: Odd(lambda row: (X[row], 0, 0)), ValueError, r"it is a tuple of 3, not \(inputs, label\)\); data must"),
    (lambda: Odd(failing), ValueError, r"row 0 of Odd cannot be read \(OSError: disk gone\)"),
    (lambda: Odd(lambda row: ("text", Y[row])), ValueError, "row 0 cannot be read .*its inputs are a str, no tensor"),
    (
        lambda: Odd(lambda row: (torch.zeros(4, 8, 8), Y[row])),
        ValueError,
        r"inputs \(4, 8, 8\) are not \(D,\), \(H, W\)",
    ),
    (lambda: Odd(lambda row: (torch.zeros(()), Y[row])), ValueError, r"inputs \(\) are not \(D,\)"),
    (lambda: Odd(ragged), ValueError, r"row 20 must be like the first, \(5,\).*got \(6,\)"),
    (lambda: Odd(lambda row: (X[row], np.eye(3)[Y[row]])), ValueError, r"its label has shape \(3,\), it is not one"),
    (lambda: Odd(lambda row: (X[row], 2)), ValueError, "row 0 has label 2, targets say 0"),
    (lambda: Odd(lambda row: (X[row] * np.nan, Y[row])), ValueError, "row 0 must be finite, got NaN"),
    (
        lambda: Rows(X, transform=lambda x: torch.from_numpy(x) + torch.rand(5)),
        ValueError,
        "leave random changes out of",
    ),
    (lambda: Rows(X, transform=lambda x: x + random.random()), ValueError, "same inputs whenever a row is read"),
    (lambda: Rows(X[:0], Y[:0]), ValueError, "labels must not be empty"),
]


@cases(("made", "error", "message"), REFUSED, ids=str)
def test_what_is_refused_is_one_line(made: Callable[[], Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message) as raised:
        load(made())
    assert "\n" not in str(raised.value)


def test_options_of_other_data_are_refused() -> None:
    with pytest.raises(ValueError, match=r"label \(--label\) is not read for a data set"):
        load(Rows(X), label="y")


def test_reading_moves_no_generator() -> None:
    before = torch.get_rng_state()
    load(Rows(X, transform=lambda x: (torch.rand(1), torch.from_numpy(x))[1]))
    assert torch.equal(torch.get_rng_state(), before)


class Plain(Dataset[Any]):
    """Rows that are inputs alone, or whatever `row` makes of them."""

    def __init__(self, inputs: Any, row: Callable[[Any], Any] = torch.as_tensor) -> None:
        self.inputs, self.row = inputs, row

    def __len__(self) -> int:
        return len(self.inputs)

    def __getitem__(self, row: int) -> Any:
        return self.row(self.inputs[row])


class TestRowsWithoutLabels:
    some = np.where(np.arange(len(Y)) % 3 == 0, -1, Y)

    def test_missing_labels_are_those_of_arrays(self) -> None:
        data, arrays = load(Rows(X, self.some), unlabeled="same"), load(X, self.some, unlabeled="same")
        assert data.unlabeled is not None
        assert data.hash == arrays.hash
        words = [None if y < 0 else "abc"[y] for y in self.some]
        assert load(Rows(X, words), unlabeled="same").hash == load(X, words, unlabeled="same").hash
        with pytest.raises(ValueError, match=r'labels must be >= 0, got -1 in 15 of 44 rows; .*unlabeled="same"'):
            load(Rows(X, self.some))

    FURTHER: tuple[Callable[[], Any], ...] = (
        lambda: Plain(X[:7]),
        lambda: Plain(X[:7], lambda x: (torch.as_tensor(x),)),
        lambda: Plain(X[:7], lambda x: (x, 1)),
        lambda: TensorDataset(torch.from_numpy(X[:7])),
        lambda: X[:7],
    )

    @cases("made", FURTHER, ids=str)
    def test_further_rows_are_those_of_arrays(self, made: Callable[[], Any]) -> None:
        data, arrays = load(Rows(X), unlabeled=made()), load(X, Y, unlabeled=X[:7])
        assert isinstance(data.unlabeled, Examples)
        assert isinstance(arrays.unlabeled, Examples)
        assert torch.equal(data.unlabeled.inputs, arrays.unlabeled.inputs)
        assert torch.equal(data.train.targets, arrays.train.targets)
        assert data.notes == arrays.notes

    def test_a_tensor_dataset_beside_arrays(self) -> None:
        rest = torch.from_numpy(X[:7])
        assert load(X, Y, unlabeled=TensorDataset(rest)).hash == load(X, Y, unlabeled=rest).hash
        with pytest.raises(TypeError, match="beside arrays, got a Plain; stack its inputs, or pass the labelled"):
            load(X, Y, unlabeled=Plain(X[:7]))

    def test_row_by_row_they_are_the_same(self, monkeypatch: pytest.MonkeyPatch) -> None:
        whole = load(Rows(X), unlabeled=Plain(X[:7] + 1)).unlabeled
        monkeypatch.setattr(memory, "memory", lambda: 4 * X.nbytes)  # enough for the labelled rows alone
        mapped = load(Rows(X), unlabeled=Plain(X[:7] + 1))
        assert isinstance(mapped.train, MappedExamples)
        assert isinstance(mapped.unlabeled, MappedExamples)
        assert whole is not None
        assert torch.equal(next(mapped.unlabeled.chunks(99)), next(whole.chunks(99)))
        assert load(Rows(X), unlabeled=Plain(X[:7] + 2)).hash != mapped.hash

    def test_images(self) -> None:
        data = load(Rows(PICTURES, transform=Image.fromarray), unlabeled=Plain(PICTURES[:5], Image.fromarray))
        assert isinstance(data.unlabeled, Examples)
        assert data.unlabeled.input_shape == (3, 32, 32)
        assert data.unlabeled.augment == data.train.augment is not None  # type: ignore[union-attr]

    WRONG: tuple[tuple[Any, type[Exception], str], ...] = (
        (Plain(X[:7, :4]), ValueError, r"row 44 must be like the first, \(5,\).*got \(4,\)"),
        (X[:7, :4], ValueError, r"unlabeled rows \(--unlabeled\) must be like the labelled ones"),
        (Plain(X[:7], lambda x: torch.from_numpy(x) + torch.rand(5)), ValueError, "leave random changes out of"),
        (Stream(), TypeError, "got Stream, an IterableDataset"),
    )

    @cases(("unlabeled", "error", "message"), WRONG, ids=str)
    def test_what_is_refused(self, unlabeled: Any, error: type[Exception], message: str) -> None:
        with pytest.raises(error, match=message):
            load(Rows(X), unlabeled=unlabeled)

    def test_an_array_beside_images_is_refused(self) -> None:
        with pytest.raises(TypeError, match="unlabeled must be a data set of images, as the labelled rows are"):
            load(Rows(PICTURES, transform=Image.fromarray), unlabeled=PICTURES)


class TestCandidates:
    sets = np.eye(3, dtype=bool)[Y] | (np.arange(len(Y)) % 4 == 0)[:, None] & np.eye(3, dtype=bool)[(Y + 1) % 3]

    def test_they_are_those_of_arrays(self) -> None:
        arrays = load(X, candidates=self.sets)
        assert arrays.train.kind == "candidates"
        for targets in (self.sets, torch.from_numpy(self.sets)):
            assert load(Rows(X, targets)).hash == arrays.hash
        assert load(Rows(X), candidates=self.sets).hash == arrays.hash
        assert load(TensorDataset(torch.from_numpy(X), torch.from_numpy(self.sets))).hash == arrays.hash

    def test_cells_of_names(self) -> None:
        cells = np.array(["|".join(np.array(["a", "b", "c"])[row]) for row in self.sets])
        assert load(Rows(X, cells), candidates="|").hash == load(X, cells, candidates="|").hash

    def test_with_unlabeled_they_are_refused(self) -> None:
        with pytest.raises(ValueError, match="cannot go with candidate sets"):
            load(Rows(X, self.sets), unlabeled="same")
