"""What people pass by mistake in Python is refused by us, in one short line."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

import longtail as lt

WRONG: dict[str, tuple[Callable[[], Any], str]] = {
    "a ratio without end": (lambda: lt.profiles.long_tail(100, 10, math.inf), "ratio"),
    "a size without end": (lambda: lt.profiles.long_tail(math.inf, 10, 10.0), "must be"),  # type: ignore[arg-type]
    "a head of no name": (lambda: lt.heads.swap_head(nn.Linear(2, 3), lt.heads.CosineClassifier, name=""), "name"),
    "a word for a model": (lambda: lt.heads.swap_head("", lt.heads.CosineClassifier), "model"),  # type: ignore[arg-type]
    "a list of features": (lambda: lt.heads.CosineClassifier(2, 3)([[1.0, 2.0]]), "features"),
    "a tensor for a number": (lambda: lt.class_weights.effective_number([3, 2], torch.tensor([0.9, 0.9])), "beta"),
    "identifiers": (lambda: lt.class_counts([2026010100017, 20_000_000]), "identifiers"),
    "a schedule of one number": (lambda: lt.method("absgd(lam=switch(0.8))"), "switch"),
    "a page of text": (lambda: lt.method("x" * 9000), "unknown method"),
}


@pytest.mark.parametrize(("call", "word"), WRONG.values(), ids=WRONG)
def test_is_refused_in_one_short_line(call: Callable[[], Any], word: str) -> None:
    with pytest.raises((ValueError, TypeError)) as caught:
        call()
    line = str(caught.value)
    assert word in line
    assert "\n" not in line
    assert len(line) < 600
    assert "longtail" in str(caught.traceback[-1].path), "raised by somebody else"
