"""Bad rows without labels, candidate sets, class totals and simulations: one line before training, everywhere."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tests.cases import cases
from torch import Tensor
from torch.utils.data import Dataset

import longtail as lt
from longtail.cli import run
from longtail.data import Examples, Splits, load
from longtail.data.label_kinds import unlabeled as no_labels

Y = np.repeat(np.arange(3), (30, 12, 6))
X = (np.random.default_rng(0).normal(size=(len(Y), 4)) + Y[:, None]).astype(np.float32)
MORE = X[::2].copy()
SETS = np.eye(3, dtype=bool)[Y]
SETS[::4, 0] = True
SEMI = "fixmatch,mixmatch,remixmatch,darp,abc,crest,simpro"
PARTIAL = "cc,rc,lw,cavl,proden,corr,records,solar"


def with_value(value: Any, row: int = 3, *, of: np.ndarray = Y) -> np.ndarray:
    changed = of.copy()
    changed[row] = value
    return changed


def nan(array: np.ndarray) -> np.ndarray:
    return with_value(np.nan, of=array)


ARRAYS: dict[str, tuple[tuple[Any, ...], dict[str, Any], str]] = {
    "other columns": ((X, Y), {"unlabeled": MORE[:, :3]}, "unlabeled rows (--unlabeled) must be like the labelled"),
    "no rows": ((X, Y), {"unlabeled": MORE[:0]}, "unlabeled (--unlabeled): data must not be empty"),
    "one axis": ((X, Y), {"unlabeled": MORE[:, 0]}, "unlabeled (--unlabeled): features must have shape (N, D)"),
    "words": ((X, Y), {"unlabeled": MORE.astype(str)}, "unlabeled (--unlabeled): features must be numbers"),
    "a number": ((X, Y), {"unlabeled": 3}, "unlabeled (--unlabeled): features must have shape (N, D)"),
    "NaN": ((X, Y), {"unlabeled": nan(MORE)}, "features of the unlabelled part must be finite"),
    "none missing": ((X, Y), {"unlabeled": "same"}, 'unlabeled="same" (--unlabeled same) needs rows without a label'),
    "missing, not said": ((X, with_value(-1)), {}, "labels must be >= 0, got -1 in 1 of 48 rows"),
    "a label of no class": ((X, with_value(7)), {"classes": "abc"}, "labels must be below the number of classes 3"),
    "a label below -1": ((X, with_value(-2)), {"unlabeled": "same"}, "labels must be >= 0, got -2"),
    "all missing": ((X, np.full(48, -1)), {"unlabeled": "same"}, "labels must not be missing in every row"),
    "a class without labelled rows": (
        (X, np.where(Y == 2, -1, Y)), {"unlabeled": "same", "classes": "abc"},
        "every class must have a training example, got none of class 'c'",
    ),
    "an empty set": (
        (X,), {"candidates": with_value(False, of=SETS)},
        "candidates must name at least one candidate in every row, got an empty set in row 3",
    ),
    "a full set": (
        (X,), {"candidates": with_value(True, of=SETS)},
        "candidates must leave out at least one class in every row, got all 3 classes in row 3",
    ),
    "sets beside rows without labels": ((X,), {"candidates": SETS, "unlabeled": MORE}, "unlabeled (--unlabeled)"),
}  # fmt: skip


@cases("name", ARRAYS)
def test_arrays(name: str, tmp_path: Path) -> None:
    data, options, why = ARRAYS[name]
    options = {**options, "classes": list(options["classes"])} if "classes" in options else options
    methods = PARTIAL if "candidates" in options else SEMI
    for call in (
        lambda: load(*data, **options),
        lambda: lt.compare(*data, methods=methods, out=tmp_path / "out", **options),
        lambda: lt.fit(methods.split(",")[0], *data, folder=tmp_path / "out", **options),
    ):
        with pytest.raises((ValueError, TypeError)) as caught:
            call()
        assert why in str(caught.value)
        assert "\n" not in str(caught.value)
    assert not (tmp_path / "out").exists()


def part(inputs: Any = X, targets: Any = Y, classes: str = "abc") -> Examples:
    return Examples(torch.as_tensor(inputs), torch.as_tensor(targets), tuple(classes))


def rest(inputs: Any = MORE, classes: str = "abc") -> Examples:
    return part(inputs, no_labels(len(inputs)), classes)


WHOLE = Splits("rows", part(), part(), val=part(), unlabeled=rest())
SPLITS: dict[str, tuple[dict[str, Any], str]] = {
    "unlabelled columns": ({"unlabeled": rest(MORE[:, :3])}, "the unlabelled part must have the features of the"),
    "test columns": ({"test": part(X[:, :3])}, "the test part must have the features of the training part, got (3,)"),
    "validation columns": ({"val": part(X[:, :3])}, "the validation part must have the features of the training"),
    "type": ({"unlabeled": rest(MORE.astype(np.uint8))}, "the unlabelled part must have numbers of the type of the"),
    "other classes": ({"unlabeled": rest(classes="abx")}, "the unlabelled part must have the 3 classes of the training "
                      "part in their order, got 'x'"),
    "fewer classes": ({"unlabeled": rest(classes="ab")}, "in their order, got 2 classes"),
    "another order": ({"test": part(classes="acb")}, "in their order, got another order"),
    "a label of no class": ({"train": part(targets=with_value(3))}, "labels of the training part must be in 0 to 2"),
    "a missing label": ({"train": part(targets=with_value(-1))}, "labels of the training part must be in 0 to 2, one "
                        "number per class, got -1"),
    "a test label of no class": ({"test": part(targets=with_value(9))}, "labels of the test part must be in 0 to 2"),
    "no rows": ({"unlabeled": rest(MORE[:0])}, "the unlabelled part must not be empty"),
    "an empty set": ({"train": part(targets=with_value(False, of=SETS)), "unlabeled": None}, "must have a candidate"),
}  # fmt: skip


@cases("name", SPLITS)
def test_parts_that_do_not_fit_each_other(name: str) -> None:
    changes, why = SPLITS[name]
    WHOLE.checked()
    with pytest.raises(ValueError) as caught:
        lt.compare(replace(WHOLE, **changes), methods="ce")
    assert why in str(caught.value)
    assert "; " in str(caught.value)


class Rows(Dataset[tuple[Tensor, int]]):
    """A map-style data set."""

    def __init__(self, inputs: Any, targets: Any) -> None:
        self.inputs, self.targets = torch.as_tensor(inputs), targets

    def __len__(self) -> int:
        return len(self.targets)

    def __getitem__(self, row: int) -> tuple[Tensor, int]:
        return self.inputs[row], int(self.targets[row])


def test_a_data_set_of_no_rows_without_labels() -> None:
    with pytest.raises(ValueError, match="unlabeled must have a row, got a Rows of none; leave it out, or add rows"):
        load(Rows(X, Y), unlabeled=Rows(MORE[:0], Y[:0]))


TOTALS = {
    "(0, 0, 0)": "totals must not be all 0, got (0, 0, 0)",
    "(1, 2)": "totals must be one number per class, 3, got 2",
    "(1, 2, 3, 4)": "totals must be one number per class, 3, got 4",
    "(1, -2, 3)": "totals must be >= 0, got -2",
    "(1, inf, 3)": "totals must be >= 0 and finite, got inf",
    "(1, nan, 3)": "the value 'nan' in ",
    "(1e308, 1e308, 1)": "totals must have a finite sum, got",
    "()": "totals must be numbers >= 0, one per class, in any scale, got ()",
    "5": 'totals must be "labels", "em", "confusion" or numbers',
}
OVER = ("darp(totals={})", "darp(base='mixmatch', totals={})", "remixmatch-darp(totals={})",
        'crest(base="darp(totals={})")', "darp(base='crest', totals={})", 'crt(base="darp(totals={})")')  # fmt: skip


@cases("totals", TOTALS)
def test_class_totals_over_every_host_and_under_every_correction(totals: str) -> None:
    for number, spec in enumerate(OVER):
        with pytest.raises((ValueError, TypeError)) as caught:
            lt.comparison.prepare(X, Y, unlabeled=MORE, methods=[spec.format(totals)], model="linear")
        assert TOTALS[totals] in str(caught.value), number
        assert "\n" not in str(caught.value)


def npz(**arrays: Any) -> Callable[[Path], Any]:
    return lambda path: np.savez(path, **arrays)


SHELL: dict[str, tuple[Callable[[Path], Any], list[str], str]] = {
    "other columns": (npz(X=MORE[:, :3]), ["--unlabeled", "u.npz"], "unlabeled rows (--unlabeled) must be like the"),
    "renamed": (npz(Z=MORE), ["--unlabeled", "u.npz"], "unlabeled (--unlabeled): features 'u.npz' must hold"),
    "no rows": (npz(X=MORE[:0]), ["--unlabeled", "u.npz"], "unlabeled (--unlabeled): data must not be empty"),
    "with labels": (npz(X=MORE, y=Y[::2]), ["--unlabeled", "u.npz"], "unlabeled (--unlabeled) must hold X alone"),
    "inf": (npz(X=MORE * np.inf), ["--unlabeled", "u.npz"], "features of the unlabelled part must be finite"),
    "labeled 0": (npz(X=X), ["--labeled", "0"], "labeled (--labeled) must be a share of the rows in (0, 1)"),
    "labeled -1": (npz(X=X), ["--labeled", "-1"], "labeled (--labeled) must be a share of the rows in (0, 1)"),
    "labeled nan": (npz(X=X), ["--labeled", "nan"], "labeled (--labeled) must be a share of the rows in (0, 1)"),
    "labeled too many": (npz(X=X), ["--labeled", "31"], "labeled (--labeled) must be at most 22"),
    "labeled twice": (npz(X=MORE), ["--unlabeled", "u.npz", "--labeled", "0.5"], "labeled (--labeled) must be given"),
    "ambiguity 1": (npz(X=X), ["--ambiguity", "1"], "ambiguity (--ambiguity) must be a chance in [0, 1)"),
    "ambiguity -1": (npz(X=X), ["--ambiguity", "-1"], "ambiguity (--ambiguity) must be a chance in [0, 1)"),
    "ambiguity nan": (npz(X=X), ["--ambiguity", "nan"], "ambiguity (--ambiguity) must be a chance in [0, 1)"),
}  # fmt: skip


@cases("name", SHELL)
@pytest.mark.parametrize("verb", ["compare", "train"])
def test_from_the_shell(
    verb: str, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    write, options, why = SHELL[name]
    np.savez("d.npz", X=X, y=Y)
    write(tmp_path / "u.npz")
    partial = "--ambiguity" in options
    wanted = (
        ["--methods", PARTIAL if partial else SEMI] if verb == "compare" else ["--method", "cc" if partial else "abc"]
    )
    assert run([verb, "d.npz", *options, *wanted, "--out", "out"]) == 2
    error = capsys.readouterr().err.splitlines()
    assert error[-1].startswith("longtail: error: ")
    assert why in error[-1]
    assert not (tmp_path / "out").exists()
