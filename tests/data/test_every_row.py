"""Every row is for training: none is held out, declared parts are joined, and what is withheld is said."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from longtail import data
from longtail.data.every_row import VAL_SHARE, load_every_row

DRAW = np.random.default_rng(0)
Y = np.repeat([0, 1, 2], [30, 12, 6])
X = DRAW.normal(size=(48, 3)) + Y[:, None]


def test_no_row_is_held_out() -> None:
    whole = load_every_row(X, Y)
    assert len(whole.train) == 48
    assert whole.every_row
    assert whole.val is None
    assert torch.equal(whole.train.inputs, torch.from_numpy(X).float())
    assert whole.class_counts.tolist() == [30, 12, 6]
    assert whole.facts["test"] == 0
    assert whole.notes[-1].startswith("all 48 rows are for training, none is withheld; there is no test part")
    assert not data.load(X, Y).every_row
    assert whole.hash != data.load(X, Y).hash


def test_validation_rows_are_withheld_where_the_method_needs_them_or_a_share_is_asked() -> None:
    needed, asked = load_every_row(X, Y, needs_val=True), load_every_row(X, Y, val=0.5)
    assert needed.facts["val"] == VAL_SHARE
    assert needed.val is not None
    assert asked.val is not None
    assert (len(needed.train) + len(needed.val), len(asked.val)) == (48, 24)
    assert "39 of 48 rows are for training, 9 are withheld for validation" in needed.notes[-1]


@pytest.mark.parametrize("needs_val", [False, True])
def test_declared_parts_are_joined_but_for_validation_rows_that_are_needed(needs_val: bool) -> None:
    frame = pd.DataFrame(X, columns=list("abc")).assign(y=Y, part=np.tile(["train", "train", "val", "test"], 12))
    whole = load_every_row(frame, "y", split="part", needs_val=needs_val)
    assert len(whole.train) == (36 if needs_val else 48)
    assert (0 if whole.val is None else len(whole.val)) == (12 if needs_val else 0)
    assert whole.train_rows is not None
    assert whole.train_rows.tolist() == [i for i in range(48) if not (needs_val and i % 4 == 2)]
    # a table's numbers are scaled by all rows that are trained on
    assert abs(float(whole.train.inputs.mean(0).abs().max())) < 1e-5


def test_data_in_parts_are_joined() -> None:
    parts = data.load("digits")
    whole = load_every_row("digits")
    assert len(whole.train) == len(parts.train) + len(parts.test)
    assert torch.equal(whole.train.inputs[: len(parts.train)], parts.train.inputs)
    assert torch.equal(whole.train.targets[len(parts.train) :], parts.test.targets)
    assert whole.train_rows is not None
    assert len(set(whole.train_rows.tolist())) == len(whole.train)
    with_val = load_every_row(data.load("digits", val=0.2), needs_val=True)
    assert with_val.val is not None
    assert len(with_val.train) + len(with_val.val) == len(whole.train)


def test_candidate_sets_keep_their_form() -> None:
    whole = load_every_row("digits", ambiguity=0.3)
    assert whole.train.kind == "candidates"
    assert whole.truth is not None
    assert bool(whole.train.targets[torch.arange(len(whole.train)), whole.truth].all())
    assert whole.train.targets[-1].sum() == 1  # a test row has its class alone


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"test": 0.2}, r"test cannot go with every_row \(--all\), which holds no row out, got 0.2"),
        ({"val": 1.5}, r"val \(--val\) must"),
        ({"data_dir": "x"}, r"data_dir \(--data-dir\) is read for cifar10 and cifar100; leave it out"),
    ],
)
def test_refusals(options: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        load_every_row(X, Y, **options)


def test_an_empty_test_part_is_refused_where_it_was_not_asked_for() -> None:
    whole = load_every_row(X, Y)
    with pytest.raises(ValueError, match="the test part must not be empty"):
        data.Splits("x", whole.train, whole.test).checked()
