"""The rows that a long-tailed cut leaves out: kept only when asked for, and out of reach of every training."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from longtail.data import Splits, TrainingSet, load
from longtail.data.read import cifar
from longtail.engine import Recipe
from longtail.methods import method

RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(240, 3)).astype(np.float32), np.repeat([0, 1, 2], 80)


def rows(part: Any) -> set[tuple[float, ...]]:
    return {tuple(row) for row in part.inputs.flatten(1).tolist()}


@pytest.mark.parametrize("val", [None, 0.25])
def test_are_the_training_rows_that_are_in_no_part(val: float | None) -> None:
    plain, kept = load(X, Y, ratio=10, val=val), load(X, Y, ratio=10, val=val, keep_cut=True)
    assert plain.cut_rows is None
    assert kept.cut_rows is not None
    assert kept.train.inputs.equal(plain.train.inputs)  # type: ignore[union-attr]
    parts = [part for part in (kept.train, kept.test, kept.cut_rows, kept.val) if part is not None]
    assert sum(map(len, parts)) == 240
    assert set.union(*map(rows, parts)) == {tuple(row) for row in X.tolist()}
    whole = kept.class_counts + kept.cut_rows.class_counts + (0 if kept.val is None else kept.val.class_counts)
    assert whole.tolist() == [60, 60, 60]


def test_are_labelled_and_belong_to_the_identity() -> None:
    kept = load(X, Y, ratio=10, keep_cut=True)
    assert kept.cut_rows is not None
    truth = {tuple(row): int(label) for row, label in zip(X.tolist(), Y, strict=True)}
    for row, label in zip(kept.cut_rows.inputs.tolist(), kept.cut_rows.targets.tolist(), strict=True):  # type: ignore[union-attr]
        assert truth[tuple(row)] == label
    other = replace(kept, cut_rows=kept.cut_rows.take(torch.arange(5)))
    assert len({kept.hash, other.hash, load(X, Y, ratio=10).hash}) == 3


def test_of_digits_and_of_uncut_data() -> None:
    digits = load("digits", keep_cut=True)
    assert digits.cut_rows is not None
    assert len(digits.train) + len(digits.cut_rows) + len(digits.test) == 1797
    assert not rows(digits.cut_rows) & rows(digits.test)
    assert load(X, Y, keep_cut=True).cut_rows is None
    assert load(X, Y, ratio=1, keep_cut=True).cut_rows is None


def test_of_cifar(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tiny_cifar = pytest.importorskip("tests.tiny_cifar")
    monkeypatch.setitem(cifar.SOURCES, "cifar10", tiny_cifar.TINY)
    tiny_cifar.write(tmp_path, "train", 20)
    tiny_cifar.write(tmp_path, "test", 3, seed=1)
    kept = load("cifar10", data_dir=tmp_path, ratio=10, keep_cut=True)
    assert kept.cut_rows is not None
    assert (kept.class_counts + kept.cut_rows.class_counts).tolist() == [20] * 10
    assert not rows(kept.cut_rows) & rows(kept.train)
    assert kept.cut_rows.augment == kept.train.augment, "features of full rows are augmented alike"


def test_of_a_table_are_prepared_as_its_training_rows() -> None:
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(X, columns=list("abc")).assign(kind=np.where(X[:, 0] > 0, "u", "v"), label=Y)
    kept = load(frame, label="label", ratio=10, keep_cut=True)
    assert kept.cut_rows is not None
    assert kept.cut_rows.input_shape == kept.train.input_shape


def test_go_with_no_rows_without_labels_of_the_same_source() -> None:
    with pytest.raises(
        ValueError, match=r"^keep_cut .* cannot go with labeled \(--labeled\), .*; leave one of them out"
    ):
        load("digits", labeled=0.2, keep_cut=True)


@pytest.mark.parametrize("spec", ["ce", "simclr", "crt", "simclr(t=0.5)"])
@pytest.mark.parametrize("probe", ["linear", "full-linear"])
def test_no_stage_is_given_them_but_a_probe_on_full_rows(spec: str, probe: str) -> None:
    kept: Splits = load(X, Y, ratio=10, keep_cut=True)
    given = TrainingSet.of(kept)
    assert given.cut is kept.cut_rows
    for stage in method(spec).stages(Recipe(epochs=4, probe=probe)):
        seen: list[TrainingSet] = []

        def build(data: TrainingSet, previous: Any, seen: list[TrainingSet] = seen) -> Any:
            seen.append(data)
            raise KeyError

        with pytest.raises(KeyError):
            replace(stage, build=build).built(given, None)
        assert (seen[0].cut is not None) == (stage.name == "probe" and probe == "full-linear"), stage.name
        assert len(seen[0].labeled) == len(kept.train)
