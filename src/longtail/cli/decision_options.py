"""Options on metrics, costs, thresholds, probabilities and sets, each declared once."""

from __future__ import annotations

from typing import Annotated

import typer

Metric = Annotated[
    str,
    typer.Option(
        help="balanced_accuracy, accuracy, macro_f1, weighted_f1, g_mean, mcc, precision, worst_class, "
        "average_precision, roc_auc, log_loss, brier, ece, classwise_ece or cost; of --positive: positive_recall, "
        "positive_precision, positive_f1, positive_average_precision, positive_roc_auc, precision@recall=0.9, "
        "recall@precision=0.5."
    ),
]
Positive = Annotated[
    str | None,
    typer.Option(help="The class that metrics and objectives of one class mean. Default: the rarest."),
]
Cost = Annotated[
    str | None,
    typer.Option(help='What errors cost: "missed=10,false=1", or a .csv file, a row for every true class.'),
]
Objective = Annotated[
    str | None,
    typer.Option(
        help='What decisions are made for, on validation rows: balanced_accuracy, macro_f1, "fbeta(2)", "recall>=0.9", '
        '"precision>=0.8", "alarms<=100", ...'
    ),
]
TargetPrior = Annotated[
    str | None,
    typer.Option(
        help='Class shares where the model is used: training, uniform, "a=0.9,b=0.1", a .json file, or estimate, from '
        "the rows that are predicted."
    ),
]
GivenPrior = Annotated[
    str | None,
    typer.Option(help='Class shares where the model is used: training, uniform, "a=0.9,b=0.1" or a .json file.'),
]
Calibrate = Annotated[
    str | None,
    typer.Option(help="Calibrate the probabilities on the validation part: temperature, vector, isotonic or auto."),
]
Sets = Annotated[
    float | None,
    typer.Option(help="Predict sets of classes too, which have the true class of every class in this share, as 0.9."),
]
