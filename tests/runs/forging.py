"""Saved models as somebody else would change them: carelessly, or with every checksum made anew."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import longtail as lt
from longtail.cli import run
from longtail.data import load
from longtail.engine.default_recipe import default_recipe
from longtail.facts.json_documents import checksum
from longtail.runs.train import train

Meta = dict[str, Any]


def frame(rows: int = 60) -> pd.DataFrame:
    """A number, a category with a name that JSON escapes, and two classes."""
    draw = np.random.default_rng(0)
    rare = np.arange(rows) % 4 == 0
    return pd.DataFrame(
        {"amount": draw.normal(size=rows) + 2 * rare, "kind": draw.choice(["ä", "b,c", '"quoted"'], rows),
         "fraud": np.where(rare, "yes", "nö")}
    )  # fmt: skip


def trained_in(folder: Path) -> Path:
    """A model with a preparation and an estimator, both in skops form."""
    splits = load(frame(), "fraud")
    train("logistic-posthoc", splits, folder=folder, recipe=default_recipe(splits))
    return folder


def refused(folder: Path, capsys: pytest.CaptureFixture[str]) -> str:
    """The one line that `longtail predict` says, which is the one that `lt.load` raises."""
    with pytest.raises(ValueError, match=r".") as found:
        lt.load(folder)
    frame().to_csv(folder.parent / "new.csv", index=False)
    capsys.readouterr()
    assert run(["predict", str(folder), str(folder.parent / "new.csv")]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err == f"longtail: error: {found.value}\n"
    return err


def edited(folder: Path, change: Callable[[Meta], object]) -> None:
    """Change meta.json and nothing else."""
    meta = json.loads((folder / "meta.json").read_text())
    change(meta)
    (folder / "meta.json").write_text(json.dumps(meta))


def forged(folder: Path, change: Callable[[Meta], object] = lambda meta: None, **files: bytes) -> None:
    """Change meta.json and other files (a_b for a.b) and make all checksums fit."""

    def everything(meta: Meta) -> None:
        for name, data in files.items():
            path = folder / name.replace("_", ".")
            path.write_bytes(data)
            meta["files"][path.name] = hashlib.sha256(data).hexdigest()
        change(meta)
        meta["sha256"] = checksum(meta)

    edited(folder, everything)
