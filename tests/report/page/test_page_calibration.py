"""The section on probabilities: words, numbers, diagrams, and what it says where there are too few rows."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from page_summaries import EVIL, Parsed, full

from longtail.comparison.diagnostics.reliability import Judged, reliability
from longtail.report import page
from longtail.report.page.page import Page
from longtail.report.page.sections.calibration import by_chance, section


def state(sharpness: float) -> dict[str, Any]:
    rng = np.random.default_rng(0)
    p = rng.dirichlet([1.0, 1.0, 1.0], 500)
    y = (p.cumsum(1) < rng.random((500, 1))).sum(1)
    sharp = p**sharpness
    return reliability([Judged(sharp / sharp.sum(1, keepdims=True), y, np.ones(500))], 2)


def entry(**changes: Any) -> dict[str, Any]:
    made = {"class": "c", "tested": 120.0, "before": state(3.0), "corrected": state(2.0), "after": state(1.0),
            "method": ["temperature", "vector"], "fitted_on": "validation", "rows": 200}  # fmt: skip
    return made | changes


def with_entries(**changes: Any) -> dict[str, Any]:
    made = full()
    for row in made["rows"]:
        row["calibration"] = entry(**changes)
    return made


def test_a_test_part_of_other_shares_is_said_with_the_error_for_these() -> None:
    apart = {"distance": 0.41, "ece": 0.0234, "log_loss": 0.5, "brier": 0.2}
    text = html(with_entries(shifted=apart))
    assert "The class shares of the test part are not those of training: 41.0 % of the rows" in text
    assert "ECE is 2.3 of ldam, 2.3 of ce; longtail predict --target-prior" in text
    assert "ECE, for the shares of the test part" in text
    for entries in ({}, {"shifted": None}):
        assert "shares of the test part" not in html(with_entries(**entries))


def html(summary: dict[str, Any]) -> str:
    made = section(Page(summary))
    assert made is not None
    return str(made.html)


def test_the_error_before_and_after_is_in_words_and_in_a_table() -> None:
    text, one = html(with_entries()), entry()
    before, corrected, after = (f"{100 * one[s]['ece']:.1f}" for s in ("before", "corrected", "after"))
    assert float(before) > float(corrected) > float(after)
    sentence = (
        f"ldam: confidence is off the share of right decisions by {corrected} points (ECE) ({before} as its scores "
        f"say), and by {after} once calibrated: temperature or vector, fitted on 200 validation rows."
    )
    assert sentence in text
    assert f"{one['after']['log_loss']:.3f}" in text
    assert f"{one['corrected']['brier']:.3f}" in text
    assert text.count("<svg") == 2  # the best and the reference
    assert "Reliability of ldam" in text
    assert "Reliability of ce" in text
    assert "Reliability of mixup" not in text
    bins = one["after"]["bins"]
    assert f"{100 * bins[-1]['observed']:.1f}" in text
    marks = sum(len(one[s][kind]) for s in ("before", "corrected", "after") for kind in ("bins", "rare_bins"))
    drawn = text[text.index("<svg") : text.index("</svg>")]
    shapes = drawn.count("<circle") + drawn.count("<polygon")
    assert shapes == marks + 3  # those of the legend


def test_a_kind_of_probabilities_has_one_colour_and_small_bins_are_not_joined() -> None:
    three, two = html(with_entries()), html(with_entries(before=state(2.0)))
    for text in (three, two):
        legend = text[: text.index(">calibrated</text>")]
        assert legend[legend.rindex("class=") :].startswith('class="mark s3"')
    small = state(1.0)
    small["bins"] = [{"predicted": p, "observed": p, "share": s} for p, s in ((0.4, 0.1), (0.6, 0.5), (0.8, 0.4))]
    text = html(with_entries(after=small, before=small, corrected=small))  # 25 test rows: 2.5, 12.5 and 10 of them
    line = text[text.index("<polyline points=") :]
    assert line[: line.index("/>")].count(",") == 2


def test_scores_for_the_training_prior_are_drawn_once_and_without_rows_nothing_is_calibrated() -> None:
    same = entry(before=state(2.0), after=None, method=None, fitted_on=None, rows=None)
    text = html(with_entries(**same))
    assert "as its scores say" not in text
    assert "neither validation rows nor folds to calibrate on: run again with --val 0.2, or --folds 5." in text
    drawn = text[text.index("<svg") : text.index("</svg>")]
    assert "as the scores say" not in drawn
    assert "for the training prior" in drawn
    assert "fitted on 90 rows of other folds" in html(with_entries(fitted_on="folds", rows=90))


def test_few_test_rows_are_said_with_what_arises_by_chance() -> None:
    assert "The rarest class, c, has 12 test rows, fewer than 30: the curve" in html(with_entries(tested=12.0))
    assert "The rarest class" not in html(with_entries())
    bins = [{"predicted": 0.3, "observed": 0.0, "share": 0.25}, {"predicted": 0.8, "observed": 0.0, "share": 0.75}]
    rng, n, mean = np.random.default_rng(0), 400, []
    for _ in range(2000):
        shares = [rng.binomial(int(n * b["share"]), b["predicted"]) / (n * b["share"]) for b in bins]
        mean.append(sum(b["share"] * abs(s - b["predicted"]) for b, s in zip(bins, shares, strict=True)))
    assert by_chance(bins, n) == pytest.approx(float(np.mean(mean)), rel=0.05)
    assert math.isnan(by_chance(bins, 0))


def test_the_section_is_part_of_the_page_and_escapes_names() -> None:
    summary = with_entries(**{"class": EVIL})
    parsed = Parsed(page.render(summary))
    assert "calibration" in [value for _, name, value in parsed.attributes if name == "id"]
    assert "script" not in parsed.tags
    assert section(Page(full())) is None
