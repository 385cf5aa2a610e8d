"""Spec strings are read by a parser, have one canonical form, and are never evaluated."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any

import pytest
from tests.cases import cases

from longtail.catalogue.spec import canonical, folder_name, parse
from longtail.facts.schedules import Schedule, steps, switch, warmup
from longtail.methods import method

GOOD: dict[str, tuple[str, dict[str, Any]]] = {
    "ce": ("ce", {}),
    "  ce ": ("ce", {}),
    "ce()": ("ce", {}),
    "ldam(scale=20)": ("ldam", {"scale": 20}),
    "ldam( scale = 20 , max_margin=.5,)": ("ldam", {"scale": 20, "max_margin": 0.5}),
    "x(a=-1.5e-3)": ("x", {"a": -1.5e-3}),
    "x(a=inf, b=-inf)": ("x", {"a": math.inf, "b": -math.inf}),
    "x(a=True, b=False, c=None)": ("x", {"a": True, "b": False, "c": None}),
    "x(a='effective')": ("x", {"a": "effective"}),
    'ssp(base="ldam-drw(scale=20, at=0.5)")': ("ssp", {"base": "ldam-drw(scale=20, at=0.5)"}),
    "x(a=(1, 2.5))": ("x", {"a": (1, 2.5)}),
    "x(a=[1, 2.5])": ("x", {"a": (1, 2.5)}),
    "absgd(lam=switch(0.8, inf, 5.0))": ("absgd", {"lam": switch(0.8, math.inf, 5.0)}),
    "x(a=switch(at=0.8, before=0, after=1))": ("x", {"a": switch(0.8, 0.0, 1.0)}),
    "x(a=steps((0.5,), (1, 2)))": ("x", {"a": steps((0.5,), (1.0, 2.0))}),
    "x(a=warmup(5, 200))": ("x", {"a": warmup(5, 200)}),
}


@cases(("text", "expected"), GOOD.items(), ids=GOOD.keys())
def test_good_strings_are_read(text: str, expected: tuple[str, dict[str, Any]]) -> None:
    assert parse(text) == expected


BAD = {
    "": 'method must be "name" or "name(knob=value, ...)", got \'\'',
    "ldam drw": 'must be "name"',
    "ldam)(": 'must be "name"',
    "ldam(scale=20": 'must be "name"',
    "ldam(scale=20)x": 'must be "name"',
    "ldam(20)": "must be named",
    "ldam(**{'scale': 20})": "must be named",
    "ldam(scale=20) + ldam(scale=30)": "must be named",
    "ldam(scale=)": "cannot be read",
    "ldam(scale=20))": "cannot be read",
    "ldam(scale=" + "(" * 300 + "1" + ")" * 300 + ")": "cannot be read",
    "ldam(scale=" + "-" * 5000 + "1)": "cannot be read",
    "ldam(scale=1, scale=2)": "knob 'scale' is given twice",
    "ldam(scale=1+1)": "the value '1 + 1'",
    "ldam(scale=x)": "the value 'x'",
    "ldam(scale=math.inf)": "the value 'math.inf'",
    "ldam(scale={})": "the value '{}'",
    "ldam(scale=b'20')": "must be a number, a word in quotes, inf or a schedule",
    "ldam(scale=[i for i in (1, 2)])": "must be a number",
    "ldam(scale=lambda: 1)": "must be a number",
    "ldam(scale=swich(0.8, 0, 1))": "'swich' in .* is not a schedule; known are constant, cosine",
    "ldam(scale=switch(0.8))": r"must be switch\(at, before, after\), but: missing a required argument: 'before'",
    "ldam(scale=switch(8, 0, 1))": r"at must be in \[0, 1\], got 8",
}


@cases(("text", "message"), BAD.items(), ids=lambda x: x[:24])
def test_bad_strings_are_one_line(text: str, message: str) -> None:
    with pytest.raises(
        ValueError, match=message if ".*" in message or "\\" in message else re.escape(message)
    ) as parsed:
        parse(text)
    assert "\n" not in str(parsed.value)


@pytest.mark.parametrize("call", ["__import__('os').system('touch {0}')", "open('{0}', 'w')", "exec('1')", "print(1)"])
def test_nothing_is_evaluated(tmp_path: Path, call: str) -> None:
    marker = tmp_path / "ran"
    for text in (f"ldam(scale={call})", f"ldam(scale=switch({call}, 0, 1))", f"ldam(scale=[{call}])"):
        with pytest.raises(ValueError):
            parse(text.format(marker))
    assert not marker.exists()


SAME = [
    ("ce", "ce()", " ce "),
    (
        "ldam-drw(max_margin=0.3, scale=20.0)",
        "ldam-drw(scale=20,max_margin=0.3)",
        "ldam-drw(scale=20.0, max_margin=.3, at=0.8)",
    ),
    ("logit-adjusted", "logit-adjusted(tau=1)", "logit-adjusted(tau=1.0)"),
    ("ldam-drw(class_weight='inverse')", 'ldam-drw(class_weight="inverse")'),
]


@pytest.mark.parametrize("texts", SAME, ids=lambda t: t[0])
def test_one_method_has_one_text(texts: tuple[str, ...]) -> None:
    assert {method(t).spec for t in texts} == {texts[0]}
    assert method(method(texts[-1]).spec).spec == texts[0]  # it reads back


def test_canonical_sorts_knobs_drops_defaults_and_writes_numbers_as_their_default_is() -> None:
    assert canonical("x", {"b": 2, "a": 1, "c": 3}, {"a": 1.0, "b": 1.0, "c": 1}) == "x(b=2.0, c=3)"
    assert canonical("x", {"lam": switch(0.8, math.inf, 5.0)}, {"lam": 1.0}) == "x(lam=switch(0.8, inf, 5.0))"


def test_a_schedule_with_whole_numbers_is_the_same_schedule() -> None:
    texts = [canonical("x", parse(t)[1], {}) for t in ("x(a=switch(0.8, 0, 1))", "x(a=switch(0.8, 0.0, 1.0))")]
    assert texts[0] == texts[1] == "x(a=switch(0.8, 0.0, 1.0))"
    parsed = parse(texts[0])[1]["a"]
    assert isinstance(parsed, Schedule)


def test_the_folder_is_the_key_and_eight_hex_of_the_text() -> None:
    # sha256("ldam-drw(scale=20.0)"), computed with coreutils
    name = folder_name("ldam-drw", "ldam-drw(scale=20.0)")
    assert re.fullmatch(r"ldam-drw-[0-9a-f]{8}", name)
    assert name == "ldam-drw-b611c61d"
    assert folder_name("ldam-drw", "ldam-drw") != name
