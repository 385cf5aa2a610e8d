"""Noise as a text: what it means, its one canonical form, and what is refused."""

from __future__ import annotations

import re
from typing import Any

import pytest

from longtail.data.simulate.noise import KINDS, Noise, noise_of


@pytest.mark.parametrize("kind", KINDS)
def test_a_kind_and_a_rate_are_enough(kind: str) -> None:
    made = noise_of(f"{kind}:0.4")
    assert (made.kind, made.rate, made.counts, made.order) == (kind, 0.4, KINDS[kind], "imbalance-first")
    assert made.seed == (1 if kind in ("one-target", "two-targets") else 0)
    assert noise_of(made.text) == made
    assert made.text == f"{kind}:0.4"


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("symmetric:.40", "symmetric:0.4"),
        ("symmetric:0", "symmetric:0.0"),
        ("symmetric:0.4,counts=exact,seed=0,order=imbalance-first", "symmetric:0.4"),
        ("pair-flip:0.2, seed=7, counts=binomial", "pair-flip:0.2,counts=binomial,seed=7"),
        ("one-target:0.2,seed=1", "one-target:0.2"),
        ("asymmetric:0.4, cat = dog ,dog=cat", "asymmetric:0.4,cat=dog,dog=cat"),
        ("asymmetric:0.4,sequential=yes,map=similar", "asymmetric:0.4,map=similar,sequential=yes"),
        ("asymmetric:0.4,sequential=no", "asymmetric:0.4"),
        ("symmetric:0.4,order=noise-first", "symmetric:0.4,order=noise-first"),
    ],
)
def test_texts_that_mean_the_same_have_one_form(text: str, canonical: str) -> None:
    assert noise_of(text).text == canonical
    assert noise_of(noise_of(text)) == noise_of(canonical)
    assert isinstance(noise_of(text), Noise)


@pytest.mark.parametrize(
    ("value", "line"),
    [
        (0.4, 'must be a text such as "symmetric:0.4", got 0.4; write KIND:RATE'),
        ("0.4", "one of symmetric, uniform, asymmetric, pair-flip, one-target, two-targets, proportional, prior"),
        ("symetric:0.4", "got 'symetric'; did you mean 'symmetric'?"),
        ("symmetric", "must have a rate in [0, 1] after its kind, got 'symmetric' alone; try symmetric:0.2"),
        ("symmetric:1.1", "must have a rate in [0, 1] after its kind, got 'symmetric:1.1'"),
        ("symmetric:-0.1", "must have a rate in [0, 1]"),
        ("symmetric:nan", "must have a rate in [0, 1]"),
        ("symmetric:0.4,counts=exactly", "counts must be one of exact, per-class, equal, binomial, got 'exactly'"),
        ("symmetric:0.4,order=last", "order must be one of imbalance-first, noise-first, got 'last'"),
        ("symmetric:0.4,seed=-1", "seed must be an integer in [0, 2^32), got '-1'"),
        ("symmetric:0.4,seed=1.5", "seed must be an integer"),
        ("symmetric:0.4,binomial", "takes option=value after a comma, got 'binomial'"),
        ("symmetric:0.4,seed=1,seed=2", "takes every name once, got 'seed' twice"),
        ("symmetric:0.4,cat=dog", "symmetric takes only counts, order, seed, got 'cat=dog'"),
        ("symmetric:0.4,count=exact", "did you mean 'counts'?"),
        ("prior:0.4,map=similar", "prior takes only counts, order, seed, got 'map'"),
        ("asymmetric:0.4,map=next", "map must be one of similar, next-of-five, pair-of-five, two-groups, got 'next'"),
        ("asymmetric:0.4,a=b,map=similar", "takes CLASS=CLASS pairs or map, got both"),
        ("asymmetric:0.4,a=b,a=c", "takes every name once, got 'a' twice"),
        ("asymmetric:0.4,a=b,sequential=maybe", "sequential must be one of yes, no, got 'maybe'"),
        ("asymmetric:0.4,a=b,counts=equal,sequential=yes", "sequential=yes takes counts=per-class or binomial"),
        ("asymmetric:0.4,map=two-groups,sequential=yes", "sequential=yes takes one target a class"),
    ],
)  # fmt: skip
def test_refusals_are_one_line_with_a_way_out(value: Any, line: str) -> None:
    with pytest.raises((ValueError, TypeError), match=re.escape(line)) as caught:
        noise_of(value)
    message = str(caught.value)
    assert message.startswith("noise (--noise)")
    assert "\n" not in message
    assert "; " in message
