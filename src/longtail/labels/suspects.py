"""`suspects`: the rows of the training part whose label is probably wrong."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from longtail.catalogue.method import Method
from longtail.catalogue.tasks import SUPERVISED
from longtail.comparison.input_data import load_search
from longtail.comparison.output_folder import make_output_folder
from longtail.comparison.preparation import DATA_OPTIONS, RECIPE_OPTIONS
from longtail.data.label_kinds import GIVEN
from longtail.data.mapped import MappedExamples
from longtail.data.rows import Examples
from longtail.data.split.folds import Folds, check_folds
from longtail.engine.default_recipe import default_recipe
from longtail.facts import checks
from longtail.facts.labels import encoded
from longtail.facts.messages import quoted
from longtail.labels.judge import judged
from longtail.labels.out_of_sample import Evidence, out_of_sample
from longtail.labels.result import Suspects
from longtail.labels.sheet import check_images
from longtail.methods.registry import method as resolve
from longtail.metrics.inputs import checked_labels, checked_probabilities, checked_scores

IMAGES, ROWS = "ce", "logistic"
"""What is trained by default: a network on images, logistic regression on tables and features."""
UNREAD = ("val", "labeled", "unlabeled_size", "unlabeled_ratio", "ambiguity", "test", "keep_cut")
"""Options of data that make no sense here; of these, `test` has its default."""


def suspects(
    data: Any = None,
    y: Any = None,
    *,
    probabilities: Any = None,
    labels: Any = None,
    classes: Sequence[str] | None = None,
    method: str | Method | None = None,
    folds: int = 5,
    seed: int = 0,
    work: str | Path | None = None,
    device: str = "cpu",
    pictures: bool = False,
    **options: Any,
) -> Suspects:
    """Return the rows whose label is probably wrong, worst first, and what can be said of every class.

    Without `probabilities`, a method is trained `folds` times on the training rows of the data, each time without
    those of one fold; the test part is neither read nor judged. What is concluded: `posterior`.

        lt.labels.suspects("claims.csv", label="fraud").to_csv("suspects.csv")
        lt.compare("claims.csv", label="fraud", drop_rows="suspects.csv")

    Args:
        data, y: as in `lt.compare`.
        probabilities: (N, C) out-of-sample class probabilities of your own, under the class shares of the labels, in
            place of data; nothing is trained then.
        labels: (N,), where probabilities are given: indices in [0, C), or names that `classes` has.
        classes: the C class names.
        method: a method or its spec; by default ce for images and logistic for tables and features. Methods that train
            a network by steps on one label a row record margins, others do not.
        folds: K >= 2 trainings.
        seed: of the partition, of initialisation and of order.
        work: a folder for the trainings; the same call goes on there. None uses a temporary folder.
        device: where to train.
        pictures: refuse data that are no images before anything is trained, since a sheet of pictures is wanted.
        options: of data and of the recipe, as in `lt.compare`; noise="symmetric:0.2" puts wrong labels on the training
            rows, and the result says which of them were found.

    Raises:
        ValueError, TypeError: one line naming the argument, the rule, the value and the way out.
    """
    if probabilities is not None:
        if data is not None or y is not None or labels is None:
            raise ValueError("probabilities go with labels and without data; pass probabilities=p, labels=y")
        trained = {"method": (method, None), "work": (work, None), "folds": (folds, 5), "seed": (seed, 0),
                   "device": (device, "cpu")}  # fmt: skip
        if given := [*(name for name, (value, usual) in trained.items() if value != usual), *options]:
            raise ValueError(
                f"{given[0]} is not read where probabilities are given, and nothing is trained; leave it out"
            )
        return _of_probabilities(probabilities, labels, classes)
    if labels is not None:
        raise ValueError("labels go with probabilities; pass the labels of data as its second argument, y")
    if data is None:
        raise ValueError("data must be given, or probabilities and labels; as in suspects(X, y)")
    check_folds(folds)
    checks.whole("seed (--seed)", seed, "0 is usual", low=0, high=2**32 - 1)
    chosen = None if method is None else _trainable(method)
    recipe_options = _checked(options, classes)
    examined = load_search(
        data, y, folds, {**options, **({} if classes is None else {"classes": classes})}, any_time=True
    )
    assert isinstance(examined, Folds)
    if examined.kind != GIVEN:
        raise ValueError(
            "labels must be one a row, got sets of candidates (--candidates); leave these data as they are"
        )
    first = examined.splits(seed, 0)
    if pictures:
        check_images(first.train)
    if chosen is None:
        chosen = resolve(IMAGES if len(first.train.input_shape) == 3 else ROWS)
    recipe = default_recipe(first, **recipe_options)
    recipe.check(first.train)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="longtail-")) if work is None else work)
        make_output_folder(folder, "--work")
        evidence = out_of_sample(chosen, examined, folder=folder, recipe=recipe, seed=seed, device=device)
    return _of_folds(examined, evidence, chosen.spec)


def _of_folds(folds: Folds, evidence: Evidence, spec: str) -> Suspects:
    pool = folds.pool
    every = np.arange(len(pool))
    index = every if pool.index is None else pool.index.numpy()
    files = None if pool.origin is None else [place.file for place in pool.origin.places(index)]
    truth = None if pool.truth is None else pool.truth.numpy()
    result = judged(
        pool.targets.numpy(), evidence, pool.classes, index=index, files=files, truth=truth, name=pool.name,
        method=f"{spec} in {folds.k} folds",
    )  # fmt: skip
    return replace(result, source=pool.rows if isinstance(pool.rows, Examples | MappedExamples) else None)


def _of_probabilities(probabilities: Any, labels: Any, classes: Sequence[str] | None) -> Suspects:
    try:
        scores = checked_scores(probabilities)
        checked = checked_probabilities(scores, True)
    except ValueError as error:
        rule = str(error).removeprefix("scores ").replace(" where probabilities=True", "").partition("; ")[0]
        raise ValueError(
            f"probabilities {rule}; pass out-of-sample class probabilities, such as the softmax of logits"
        ) from None
    if classes is not None and len(classes) != scores.shape[1]:
        raise ValueError(f"classes must name the {scores.shape[1]} columns of probabilities, got {len(classes)} names")
    given, names = encoded(labels, classes)
    if names is None:
        names = list(map(str, range(scores.shape[1])))
    if len(names) != scores.shape[1]:
        raise ValueError(
            f"probabilities must have one column per class, got {scores.shape[1]} for {len(names)} classes; pass "
            "classes= in the order of the columns"
        )
    targets = checked_labels(given, len(scores), scores.shape[1], "labels")
    return judged(targets, Evidence(checked, np.zeros(len(targets), dtype=np.int64)), names)


def _trainable(method: str | Method) -> Method:
    chosen = resolve(method)
    if chosen.task != SUPERVISED or chosen.needs_val or chosen.needs_truth or chosen.search is not None:
        raise ValueError(
            f"method must learn from one label a row, without validation rows or true labels, got {chosen.spec!r}; "
            "try ce or logistic"
        )
    return replace(chosen, posthoc=None)


def _checked(options: dict[str, Any], classes: Sequence[str] | None) -> dict[str, Any]:
    """Check the names of the options, take those of the recipe out, and return them."""
    known = (*DATA_OPTIONS, *RECIPE_OPTIONS)
    for name, value in options.items():
        if name not in known:
            raise TypeError(f"unknown option {quoted(name)}; known are those of lt.compare for data and recipe")
        if name in UNREAD and value is not None and value is not False:
            raise ValueError(
                f"{name} is not read by labels, which validates every training row that has a label, got "
                f"{quoted(value)}; leave it out"
            )
    recipe = {name: options.pop(name) for name in RECIPE_OPTIONS if name in options}
    if recipe.get("pretrained") is not None:
        from longtail.runs.pretrained import pretrained_body

        recipe["pretrained"] = pretrained_body(recipe["pretrained"])
    return recipe
