"""Checks: every finding has a stable code, which says how it was detected, why it matters and what to do."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch

import longtail.inspection
from longtail.cli import run
from longtail.data import load
from longtail.inspection import inspection
from longtail.inspection.checks import CHECKS, checked_codes, checks

SRC = Path(longtail.inspection.__file__).parent


def copied() -> dict[str, object]:
    x = torch.randn(40, 3, generator=torch.Generator().manual_seed(0))
    x[20:] = x[:20]
    splits = load(x, torch.arange(40) % 2, test=0.5)
    return inspection(splits)


def test_every_code_is_used_and_every_used_code_is_known() -> None:
    used = {c for f in ("findings.py", "hidden_findings.py") for c in re.findall(r"LT\d{3}", (SRC / f).read_text())}
    assert used == set(CHECKS)


def test_codes_are_numbered_in_order_since_they_are_stable() -> None:
    assert list(CHECKS) == [f"LT{k:03d}" for k in range(1, len(CHECKS) + 1)]


def test_a_check_says_what_was_found_how_and_what_to_do() -> None:
    document = copied()
    codes = {check["code"]: check for check in document["checks"]}  # type: ignore[attr-defined]
    assert "20 rows are copies" in codes["LT002"]["found"][0]
    assert all(codes["LT002"][key] for key in ("title", "detected", "why", "do"))
    said = [sentence for check in codes.values() for sentence in check["found"]]
    assert sorted(said) == sorted(document["findings"])  # type: ignore[call-overload]


def test_errors_come_first() -> None:
    found = checks([("LT020", "few"), ("LT008", "constant"), ("LT004", "leak"), ("LT001", "torn")])
    assert [check["code"] for check in found] == ["LT001", "LT004", "LT020", "LT008"]


def test_an_ignored_code_is_left_out_and_said() -> None:
    x = torch.randn(40, 3, generator=torch.Generator().manual_seed(0))
    x[20:] = x[:20]
    splits = load(x, torch.arange(40) % 2, test=0.5)
    document = inspection(splits, ignore=["lt002"])
    assert document["ignored"] == ["LT002"]
    assert not any("copies" in sentence for sentence in document["findings"])
    assert "LT002" not in [check["code"] for check in document["checks"]]


def test_an_unknown_code_is_refused_with_the_nearest() -> None:
    with pytest.raises(ValueError, match=r"codes from LT001 to LT021, got 'LT099'; did you mean LT01"):
        checked_codes(["LT099"])


def test_the_command_prints_codes_and_ignores_them(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    file = tmp_path / "few.csv"
    file.write_text("a,y\n" + "".join(f"{k * k % 17}.5,{'ab'[k % 2]}\n" for k in range(20)))
    assert run(["inspect", str(file), "--label", "y"]) == 0
    assert "LT020 " in capsys.readouterr().out
    assert run(["inspect", str(file), "--label", "y", "--ignore", "LT020,LT002"]) == 0
    assert "LT020 " not in capsys.readouterr().out
    assert run(["inspect", str(file), "--label", "y", "--ignore", "few"]) == 2
    assert "--ignore must be a comma list of codes" in capsys.readouterr().err
