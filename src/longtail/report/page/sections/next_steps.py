"""What follows from the verdict: the command that trains the method which was shown to help, or plain training."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import Any

from longtail.report.page.elements import joined, paragraphs
from longtail.report.page.page import Page, Row, Section
from longtail.report.page.templating import fill
from longtail.report.printable import shown

WITH_VALUE = {
    "--methods", "--method", "--seeds", "--seed", "--folds", "--metric", "--target-prior", "--baseline", "--tune",
    "--jobs", "--budget", "--evaluations", "--out",
}  # fmt: skip
"""Options of `compare`, or of both verbs, that the command below sets anew or has no use for."""
DECIDING = {"--objective", "--cost", "--positive", "--select"}
"""Options of both verbs that mean less to one model on every row than to a comparison."""
BEST_TEST = "best-test"
FLAGS = {"--json", "--dry-run", "--report", "--importance"}


def section(page: Page) -> Section | None:
    """None without a verdict: then nothing follows."""
    verdict, gain = page.summary.get("verdict"), page.summary.get("gain")
    if page.is_run or verdict is None or gain is None:
        return None
    chosen = gain["method"] if gain["shown"] else page.reference
    said = _shown_to_help(page, chosen) if gain["shown"] else _nothing_shown(page)
    asked = page.summary.get("question") or {}
    prior = asked.get("target_prior") is not None  # what was measured under it is no estimate of the trained model
    command = training_command(page.summary.get("command"), chosen, page.summary["data"]["name"], quoted=not prior)
    parts = [paragraphs(said)]
    if command is not None:
        parts.append(paragraphs([f"To train {shown(chosen, longest=80)} on every row, the test part included:"]))
        parts.append(fill("commands.html", lines=[command], versions={}))
    return Section("next", "What to do next", joined(parts))


def _shown_to_help(page: Page, chosen: str) -> list[str]:
    name = shown(chosen, longest=80)
    said = [f"Use {name}: it is shown to beat {shown(page.reference)} on these test examples."]
    corrected = _winning_without_training(page)
    if corrected is not None and corrected["method"] != chosen and _not_beaten_by_training(page):
        said.append(
            f"{shown(corrected['method'], longest=80)} is shown to beat {shown(page.reference)}, too, and corrects the "
            "scores of a model that is trained already; no method that trains anew is shown to beat it."
        )
    return said


def _nothing_shown(page: Page) -> list[str]:
    said = [f"Stay with {shown(page.reference)}: no method is shown to beat it."]
    asked = page.summary.get("question") or {}
    tried = asked.get("decided_for") or any("threshold" in row["key"] for row in page.rows)
    if page.summary.get("task") == "supervised" and page.reference == "ce" and not tried:
        said.append(
            "Where mistakes do not cost alike, a threshold for each class, chosen on validation rows, is next to try "
            "(ce-threshold, with --val 0.2)."
        )
    if len(page.summary["seeds"]) == 1:
        said.append("With one seed, only test examples are in the intervals; more seeds (--seeds 5) tell more.")
    return said


def _winning_without_training(page: Page) -> Row | None:
    winners = page.summary["verdict"]["winners"]
    return next((row for row in page.rows if row["method"] in winners and not row["retrains"]), None)


def _not_beaten_by_training(page: Page) -> bool:
    """Whether it was asked if training anew beats corrected scores, and nothing was shown to."""
    retraining = page.summary.get("retraining")
    return retraining is not None and not retraining["winners"]


def training_command(command: Any, method: str, name: str, quoted: bool = True) -> str | None:
    """Return the command that trains a method on every row of the data that were compared on.

    Args:
        command: that of the comparison, as its summary has it.
        method: a spec.
        name: of the data, after which a comparison without --out names its folder.
        quoted: whether the estimate of the comparison is one of the trained model.

    Returns:
        a line for a shell; None where the comparison was no command of a shell, or was not recorded.
    """
    words = _words(command)
    kept, dropped, waiting = list[str](), {"--out": f"runs/{name}"}, ""
    for word in words[2:]:
        option, given, value = word.partition("=")
        if waiting:
            dropped[waiting], waiting = word, ""
        elif option in WITH_VALUE | DECIDING and given:
            dropped[option] = value
        elif option in WITH_VALUE | DECIDING:
            waiting = option
        elif option not in FLAGS:
            kept.append(word)
    if words[:2] != ["longtail", "compare"]:
        return None
    kept += _deciding(dropped, any(word.partition("=")[0] == "--val" for word in kept))
    as_trained = quoted and dropped.get("--select") != BEST_TEST
    estimate = ["--comparison", dropped["--out"]] if as_trained else []
    return shlex.join(["longtail", "train", *kept, "--method", method, "--all", *estimate])


def _deciding(dropped: Mapping[str, str], val: bool) -> list[str]:
    """Return by what one model decides, and which epoch it keeps: what a comparison only measured is left out.

    Test rows, which there are none of, choose no epoch. A model decides by its objective or by costs; the class that
    only the metric meant is none of its options. What folds chose needs validation rows here.
    """
    objective, cost, select = (dropped.get(name) for name in ("--objective", "--cost", "--select"))
    if objective is not None and objective.strip() != "cost":
        cost = None
    again = {"--objective": objective, "--cost": cost}
    if objective is not None or cost is not None:
        again["--positive"] = dropped.get("--positive")
    if objective is not None and not val:
        again["--val"] = "0.2"
    again["--select"] = None if select == BEST_TEST else select
    return [word for name, value in again.items() if value is not None for word in (name, value)]


def _words(command: Any) -> list[str]:
    try:
        return shlex.split(command) if isinstance(command, str) else []
    except ValueError:  # a call of Python, or a quote that nothing closes
        return []
