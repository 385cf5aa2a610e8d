"""`longtail predict`: a trained model on new data."""

from __future__ import annotations

from collections import Counter
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Annotated, Any

import typer

from longtail.cli import decision_options as d
from longtail.cli import options as o
from longtail.cli.terminal import print_json, print_lines, write_table

NAMED = 10
"""How many skipped images are named on the terminal."""
LISTED = 20
"""Of how many classes an estimated share is printed."""


def predict(
    model: Annotated[Path, typer.Argument(help="The folder that longtail train wrote (its --out).")],
    data: Annotated[
        str, typer.Argument(help="Rows like those of the training: a table, a folder of images, .npz, .npy.")
    ],
    out: Annotated[
        Path | None,
        typer.Option(
            help="A .csv or .parquet file; without it, CSV on standard output. An .npz gets embeddings: X and files."
        ),
    ] = None,
    target_prior: d.TargetPrior = None,
    objective: d.Objective = None,
    cost: d.Cost = None,
    positive: d.Positive = None,
    raw: Annotated[bool, typer.Option("--raw", help="Probabilities without the correction for the prior.")] = False,
    sets: d.Sets = None,
    worksheet: o.Worksheet = None,
    explain: Annotated[
        bool, typer.Option("--explain", help="Of logistic* and trees*: the columns that moved each prediction's score.")
    ] = False,
    top: Annotated[int | None, typer.Option(help="How many columns --explain names (3).")] = None,
    delimiter: o.Delimiter = None,
    header: o.Header = None,
    skip_bad: o.SkipBad = False,
    backbone: o.ModelBackbone = None,
    device: o.Device = "cpu",
    json: o.Json = False,
) -> int:
    """Predict DATA with the model in MODEL: class names, probabilities, and the rule that decided.

    Probabilities refer to the training prior. With --target-prior they refer to that prior, and the most probable class
    under it is predicted; --target-prior estimate takes it from DATA, with an interval for every class. With --sets 0.9
    the column `set`, a JSON list of class names, holds the true class of 90 % of the rows of each class that has enough
    validation rows; the others are named. An --out that ends in .npz gets no predictions but the features of the
    network's last layer, for an encoder trained without labels as for any other; --features reads them.

    With --explain, every row has the score of its predicted class and the three columns (--top) that moved it furthest
    from the mean score of the training rows, with their values and contributions; of all columns, these add up to the
    difference. The score is the classifier's own, before any rule, calibration or prior: of two classes the log-odds.

    --cost or --objective decide in place of the model's own rule; an objective is chosen on the validation rows of the
    training (its --val). Costs are taken under --target-prior; thresholds that were chosen do not go with it.

    Example: longtail predict runs/model claims-new.csv --out predicted.csv
    """
    if raw and target_prior is not None:
        raise ValueError("--raw leaves out the correction that --target-prior asks for; give one of them")
    from longtail.data.prepare.new_rows import rows
    from longtail.facts.paths import check_not_data
    from longtail.facts.set_ranks import exact_level
    from longtail.runs import explained, model_decision
    from longtail.runs.class_sets import check as check_sets
    from longtail.runs.embeddings import SUFFIX
    from longtail.runs.predictions import check_target
    from longtail.runs.predictor import Predictor

    if json and out is None:
        raise ValueError("--json prints a summary of what is in a file; name the file with --out")
    embedding = out is not None and out.suffix == SUFFIX
    if embedding and (objective or cost or positive):
        raise ValueError(
            "--objective, --cost and --positive are of decisions, and an .npz gets embeddings; write a .csv"
        )
    if embedding and (raw or target_prior is not None or sets is not None):
        raise ValueError(
            "--raw, --target-prior and --sets are of probabilities, and an .npz gets embeddings; write a .csv"
        )
    if embedding and explain:
        raise ValueError("--explain is of predictions, and an .npz gets embeddings; write a .csv")
    if top is not None and (top < 1 or not explain):
        raise ValueError(f"--top must be at least 1 and goes with --explain, got {top}; add --explain or leave it out")
    if sets is not None:
        exact_level(sets, "--sets")
    target = out if embedding or out is None else check_target(out)
    if target is not None:
        check_not_data(target, data)
    new_prior = prior(target_prior)
    predictor = Predictor.load(model, backbone=backbone, device=o.device(device))
    model_decision.override(predictor, model, cost=cost, goal=objective, positive=positive)
    if sets is not None:
        check_sets(predictor, sets, "--sets")
    if explain:
        explained.contributions_by(predictor)
    check_kind(data, predictor.preparation)
    new = rows(data, predictor.preparation, delimiter=delimiter, header=header, worksheet=worksheet)
    if embedding and target is not None:
        return _embed(predictor, new, target, skip_bad=skip_bad, json=json)
    with embedding_shown(predictor.preparation, "predicting"):
        predictions = predictor.predictions(new, target_prior=new_prior, raw=raw, skip_bad=skip_bad, sets=sets)
    if explain:
        predictions = explained.beside(predictions, predictor, new, explained.TOP if top is None else top)
    for note in (*predictions.notes, *_skipped_note(predictions.missing, len(predictions), "prediction")):
        print_lines(f"longtail: note: {note}", error=True)
    if target is None:
        write_table(predictions.csv())
        return 0
    _write(predictions, target)
    counts = Counter(predictions.labels)
    if json:
        print_json({
            "out": str(target), "rows": len(predictions), "predicted": {c: counts[c] for c in predictions.classes},
            "rule": predictions.rule, "prior": predictions.prior, "notes": list(predictions.notes),
            "skipped": predictions.missing, **({"sets": predictions.set_summary} if predictions.set_summary else {}),
            **({} if predictions.estimated is None else {"estimated_prior": predictions.estimated.to_json()}),
        })  # fmt: skip
        return 0
    from longtail.report.printable import shown

    ranked = sorted(((c, counts[c]) for c in predictions.classes if counts[c]), key=lambda pair: -pair[1])
    listed = ", ".join(f"{shown(name)} {count}" for name, count in ranked[:8]) + (" ..." if len(ranked) > 8 else "")
    skipped = f"; {len(predictions.skipped)} skipped" if predictions.skipped else ""
    raw_text = "raw, not corrected for a prior"
    probabilities = raw_text if predictions.prior == "raw" else f"under the prior: {predictions.prior}"
    print_lines(f"{len(predictions)} rows: {listed}{skipped}")
    if summary := predictions.set_summary:
        size, empty = summary["mean_size"], summary["empty"]
        print_lines(f"Sets at {summary['level']:g}: {size:.2f} classes on average, {empty} empty")
    if predictions.estimated is not None:
        print_lines("\n".join(_estimate(predictions.estimated)))
    print_lines(f"Rule: {predictions.rule}. Probabilities: {probabilities}.\nFile: {target}")
    return 0


def check_kind(data: str, preparation: Any) -> None:
    """Refuse a table or an array for a model of images; other kinds are checked where they are read."""
    from longtail.data.read.tables.sources import is_table

    path = Path(data)
    arrays = path.suffix.lower() in (".npz", ".npy")
    if getattr(preparation, "kind", None) in ("images", "backbone") and path.is_file() and (arrays or is_table(path)):
        raise ValueError(f"the model was trained on images, got {data!r}; pass a folder of images or an image file")


def embedding_shown(preparation: Any, what: str) -> AbstractContextManager[Any]:
    """Progress on standard error where a backbone has to embed the images first; else nothing."""
    from longtail.cli import progress

    return progress.display(what, "rows") if getattr(preparation, "kind", None) == "backbone" else nullcontext()


def _embed(predictor: Any, new: Any, target: Path, *, skip_bad: bool, json: bool) -> int:
    """Write the embeddings of new rows and print how many there are."""
    from longtail.runs.embeddings import embed

    with embedding_shown(predictor.preparation, "embedding"):
        embeddings = embed(predictor, new, skip_bad=skip_bad)
    for note in _skipped_note(embeddings.skipped, len(embeddings), "embedding"):
        print_lines(f"longtail: note: {note}", error=True)
    _write(embeddings, target)
    size = embeddings.X.shape[1]
    if json:
        print_json({"out": str(target), "rows": len(embeddings), "features": size, "skipped": embeddings.skipped})
    else:
        print_lines(f"{len(embeddings)} rows: embeddings of {size} numbers\nFile: {target}")
    return 0


def _estimate(found: Any) -> list[str]:
    """The estimated prior in lines: what it is from, and a line per class; of many, the most frequent."""
    both = f" and {found.validation_rows} validation rows" if found.validation_rows else ""
    head = f"Class shares, estimated from these rows ({found.level:.0%} intervals over {found.rows} rows{both}):"
    lines = found.lines()
    if len(lines) <= LISTED:
        return [head, *lines]
    largest = found.prior.argsort(descending=True)[:LISTED].tolist()
    return [head, *(lines[j] for j in largest), f"  and {len(lines) - LISTED} more, which --json has"]


def _skipped_note(missing: dict[str, str], made: int, what: str) -> list[str]:
    """A sentence with the number of skipped rows and the first of their names; none where none was skipped."""
    if not missing:
        return []
    count, total = len(missing), made + len(missing)
    names = ", ".join(f"{name!r} ({why})" for name, why in list(missing.items())[:NAMED])
    names += f" and {count - NAMED} more, which the output names" if count > NAMED else ""
    return [f"{count} of {total} images could not be decoded and have no {what}: {names}"]


def _write(content: Any, target: Path) -> None:
    try:
        content.write(target)
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise ValueError(f"--out {target} cannot be written ({reason}); name a file in another folder") from None


def prior(text: str | None) -> Any:
    """A target prior from the command line: a word, a .json file of {class: share}, or class=share pairs."""
    if text is None or text in ("training", "uniform", "estimate"):
        return text
    if text.endswith(".json"):
        from longtail.facts import json_documents
        from longtail.facts.paths import regular

        try:
            shares = json_documents.parse(regular(text, "--target-prior").read_bytes())
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or error
            raise ValueError(
                f"--target-prior {text} cannot be read ({reason}); write {{class: share}} as JSON"
            ) from None
        if not isinstance(shares, dict):
            raise ValueError(f"--target-prior {text} must contain {{class: share}}, got a {type(shares).__name__}")
        return shares
    pairs = [pair.rpartition("=") for pair in text.split(",")]
    if not all(name and sign for name, sign, _ in pairs):
        raise ValueError(
            "--target-prior must be training, uniform, estimate, a .json file or shares such as "
            f'"a=0.9,b=0.1", got {text!r}; '
            "for class names with a comma use a .json file"
        )
    shares = {name.strip(): share for name, _, share in pairs}
    if len(shares) < len(pairs):
        raise ValueError(f"--target-prior must name every class once, got {text!r}; leave out the repeated name")
    return shares
