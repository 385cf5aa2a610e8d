"""What a method refuses in some fold alone is said before anything is trained."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from longtail.comparison import prepare
from longtail.comparison.fold_parts import training_parts
from longtail.comparison.notes import notes
from longtail.comparison.plan import plan
from longtail.data import Examples
from longtail.data.pool import Pool
from longtail.data.simulate import Simulation
from longtail.data.split.folds import Folds

K = 3


def pool(sizes: tuple[int, ...], seed: int = 0, groups: bool = False) -> Pool:
    g = np.random.default_rng(seed)
    y = np.repeat(np.arange(len(sizes)), sizes)
    g.shuffle(y)
    inputs = torch.from_numpy((g.normal(size=(len(y), 3)) + y[:, None]).astype(np.float32))
    rows = Examples(inputs, torch.from_numpy(y), tuple("abcd"[: len(sizes)]))
    codes = np.arange(len(y)) // 2 if groups else None
    return Pool("toy", rows, rows.targets, rows.classes, facts={"source": "toy"}, groups=codes)


def fewest(folds: Folds) -> list[int]:
    """Training rows of the last class in each fold of seed 0."""
    return [int(folds.splits(0, fold).train.class_counts[-1]) for fold in range(K)]


def alone_in_a_later_fold() -> Pool:
    """Two rows of a class, of which the first fold trains on both and another on one."""
    tried = (pool((most, 17, 2)) for most in range(40, 60))
    return next(found for found in tried if fewest(Folds(found, K)) == [2, 1, 1])


@pytest.mark.parametrize("options", [{}, {"val": 0.25}])
@pytest.mark.parametrize("groups", [False, True])
def test_they_have_the_labels_of_the_training_parts(groups: bool, options: Any) -> None:
    folds = Folds(pool((40, 17, 8), groups=groups), K, **options)
    found = training_parts(folds, folds.splits(0, 0).train, range(2))
    assert list(found) == [f"fold {fold} of seed {seed}" for seed in range(2) for fold in range(K)][1:]
    for name, part in found.items():
        own = folds.splits(int(name[-1]), int(name[5])).train
        assert part.targets.tolist() == own.targets.tolist()
        assert part.input_shape == own.input_shape
        assert part.classes == own.classes


def test_weighted_rows_and_changed_labels_have_none() -> None:
    folds = Folds(pool((40, 17, 8)), K)
    first = folds.splits(0, 0).train
    weighted = Examples(first.inputs, first.targets, first.classes, torch.ones(len(first)))
    assert training_parts(folds, weighted, range(2)) == {}
    assert training_parts(Folds(pool((40, 17, 8)), K, simulation=Simulation(labeled=0.5)), first, range(2)) == {}


class TestAClassOfOneRowInALaterFold:
    MESSAGE = (
        "method 'logistic-smote' needs two training rows or more of every class that it raises, to interpolate "
        "between, got 1 of class 'c'; leave it out, add rows or drop the class, or take logistic-over, which repeats "
        "rows (in the training part of fold 1 of seed 0)"
    )

    def options(self, tmp_path: Path) -> dict[str, Any]:
        pytest.importorskip("imblearn")
        return {"folds": K, "seeds": 1, "out": tmp_path / "out", "model": "linear", "epochs": 1}

    def test_a_named_method_is_refused(self, tmp_path: Path) -> None:
        with pytest.raises(ValueError) as error:
            prepare(alone_in_a_later_fold(), methods="ce,logistic-smote", **self.options(tmp_path))
        assert str(error.value) == self.MESSAGE

    def test_a_preset_leaves_it_out(self, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
        prepared = prepare(alone_in_a_later_fold(), methods="practice", **self.options(tmp_path))
        keys = [one.key for one in prepared.methods]
        assert "logistic-smote" not in keys
        assert "balanced-forest" in keys
        assert f"{self.MESSAGE}; left out" in caplog.text

    def test_enough_rows_in_all_folds_are_taken_and_noted(self, tmp_path: Path) -> None:
        data = pool((40, 17, 3))
        assert min(fewest(Folds(data, K))) == 2
        planned = plan(prepare(data, methods="logistic-smote", **self.options(tmp_path)))
        assert any(note.startswith("SMOTE with k_neighbors=5 interpolates classes of fewer") for note in notes(planned))
