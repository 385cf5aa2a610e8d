"""What follows from the verdict: the command that trains the method which was shown to help, or plain training."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from itertools import pairwise
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
FLAGS = {"--json", "--dry-run", "--report"}


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
    if page.summary.get("task") == "supervised" and page.reference == "ce" and len(page.classes) > 1:
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
        elif option in WITH_VALUE and given:
            dropped[option] = value
        elif option in WITH_VALUE:
            waiting = option
        elif option not in FLAGS:
            kept.append(word)
    if words[:2] != ["longtail", "compare"]:
        return None
    decides = _values(kept, "--objective") or _values(kept, "--cost")
    if not decides:  # the class that only a metric means
        kept = _without(kept, "--positive")
    if _values(kept, "--objective") not in ([], ["cost"]):  # costs that only the metric counts
        kept = _without(kept, "--cost")
    if _values(kept, "--objective") and "--folds" in dropped:  # which need no validation rows
        kept += ["--val", "0.2"]
    estimate = ["--comparison", dropped["--out"]] if quoted else []
    return shlex.join(["longtail", "train", *kept, "--method", method, "--all", *estimate])


def _values(words: Sequence[str], option: str) -> list[str]:
    """The values of an option, given as its next word or after "="."""
    after = [value for word, value in pairwise(words) if word == option]
    return after + [word.partition("=")[2] for word in words if word.startswith(f"{option}=")]


def _without(words: Sequence[str], option: str) -> list[str]:
    """The words without an option and its value."""
    left = [i for i, word in enumerate(words) if word == option]
    return [w for i, w in enumerate(words) if i not in left and i - 1 not in left and not w.startswith(f"{option}=")]


def _words(command: Any) -> list[str]:
    try:
        return shlex.split(command) if isinstance(command, str) else []
    except ValueError:  # a call of Python, or a quote that nothing closes
        return []
