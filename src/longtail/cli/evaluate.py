"""`longtail evaluate`: score a saved model on new labelled data, against what was to be expected."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from longtail.cli import options as o
from longtail.cli.decision_options import Cost, Positive
from longtail.cli.terminal import print_json, print_lines


def evaluate(
    model: Annotated[Path, typer.Argument(help="The folder that longtail train wrote (its --out).")],
    data: Annotated[
        str,
        typer.Argument(help="New rows with labels: a table, a folder with one folder per class, .npz (X, y), .npy."),
    ],
    label: o.Label = None,
    out: Annotated[Path | None, typer.Option(help="A .json file for all numbers.")] = None,
    metric: Annotated[
        str | None, typer.Option(help="What the first sentence is about, such as macro_f1 or precision@recall=0.9.")
    ] = None,
    positive: Positive = None,
    cost: Cost = None,
    skip_unknown: Annotated[
        bool, typer.Option("--skip-unknown", help="Leave out rows of classes that the model does not know.")
    ] = False,
    worksheet: o.Worksheet = None,
    delimiter: o.Delimiter = None,
    header: o.Header = None,
    skip_bad: o.SkipBad = False,
    backbone: o.ModelBackbone = None,
    json: o.Json = False,
) -> int:
    """Score the model in MODEL on new labelled DATA: metrics and recall per class, each with its interval.

    Beside them stands what was to be expected: the scores of the model's own test rows, or for a model of every row
    (train --all) those of the comparison that chose its method. A difference is called one where its 95 % interval
    leaves out 0. Class shares are compared with those of training, and ECE shows whether probabilities still hold.

    Example: longtail evaluate runs/model claims-2027.csv --label fraud --out scores.json
    """
    from longtail.cli.predict import check_kind, embedding_shown
    from longtail.facts.files import write_json
    from longtail.facts.paths import check_not_data
    from longtail.metrics import metric as metric_of
    from longtail.report.new_scores import text
    from longtail.runs.predictor import Predictor

    if metric is not None:
        metric_of(metric)
    if out is not None:
        if out.suffix != ".json" or out.is_dir():
            raise ValueError(f"--out must be a file that ends in .json, got {str(out)!r}; rename it")
        check_not_data(out, data)
    predictor = Predictor.load(model, backbone=backbone)
    check_kind(data, predictor.preparation)
    costs: Any = None
    if cost is not None:
        from longtail.posthoc.decisions.costs import read_cost

        costs = read_cost(cost, predictor.classes, positive)
    with embedding_shown(predictor.preparation, "evaluating"):
        result = predictor.evaluate(
            data, label=label, metric=metric, positive=positive, cost=costs, skip_unknown=skip_unknown,
            skip_bad=skip_bad, delimiter=delimiter, header=header, worksheet=worksheet,
        )  # fmt: skip
    if out is not None:
        try:
            out.parent.mkdir(parents=True, exist_ok=True)
            write_json(out, result)
        except OSError as error:
            raise ValueError(f"--out {out} cannot be written ({error.strerror}); name another file") from None
    if json:
        print_json(result)
        return 0
    print_lines(text(result))
    if out is not None:
        print_lines(f"File: {out}")
    return 0
