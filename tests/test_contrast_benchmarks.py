"""What the benchmarks of encoders time does run, without the packages that it is compared with."""

from __future__ import annotations

import sys

import pytest
import torch
from benchmarks import contrast, contrast_peers

pytestmark = pytest.mark.slow


def test_steps_and_views_run() -> None:
    for stepper in (
        contrast.simclr_step(2, "float32", "cpu"),
        contrast.floor(2, "bfloat16", "cpu", passes=2),
        contrast.views_alone(2, "cpu"),
        contrast.our_view(torch.uint8, "cpu"),
        contrast_peers.our_step("cpu", places=1024, rows=True),
    ):
        stepper()


def test_without_lightly_nothing_is_measured(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["contrast_peers"])
    monkeypatch.setattr(contrast_peers, "find_spec", lambda name: None)
    contrast_peers.main()
    assert capsys.readouterr().out.startswith("lightly is not installed")
