"""`longtail predict`: a trained model on new data."""

from __future__ import annotations

import json as jsonlib
from collections import Counter
from pathlib import Path
from typing import Annotated, Any

import typer

from longtail.cli import options as o
from longtail.cli.terminal import as_it_is, say

NAMED = 10
"""Images that were skipped and are named on the terminal."""


def predict(
    model: Annotated[Path, typer.Argument(help="The folder that longtail train wrote (its --out).")],
    data: Annotated[
        str, typer.Argument(help="Rows like those of the training: a table, a folder of images, .npz, .npy.")
    ],
    out: Annotated[
        Path | None, typer.Option(help="A .csv or .parquet file; without it, CSV on standard output.")
    ] = None,
    target_prior: Annotated[
        str | None,
        typer.Option(help='Class shares where the model is used: training, uniform, "a=0.9,b=0.1" or a .json file.'),
    ] = None,
    raw: Annotated[bool, typer.Option("--raw", help="Probabilities without the correction for the prior.")] = False,
    delimiter: o.Delimiter = None,
    header: o.Header = None,
    skip_bad: o.SkipBad = False,
    json: o.Json = False,
) -> int:
    """Predict DATA with the model in MODEL: class names, probabilities, and the rule that decided.

    Probabilities refer to the training prior unless --target-prior says where the model is used; with it, the most
    probable class there is decided for.

    Example: longtail predict runs/model claims-new.csv --out predicted.csv
    """
    if raw and target_prior is not None:
        raise ValueError("--raw leaves out the correction that --target-prior asks for; give one of them")
    from longtail.data.prepare.new_rows import rows
    from longtail.facts.paths import check_not_data
    from longtail.runs.predictions import check_target
    from longtail.runs.predictor import Predictor

    if json and out is None:
        raise ValueError("--json prints a summary of what is in a file; name the file with --out")
    target = None if out is None else check_target(out)
    if target is not None:
        check_not_data(target, data)
    wanted = prior(target_prior)
    predictor = Predictor.load(model)
    _check_kind(data, predictor.preparation)
    found = predictor.predictions(
        rows(data, predictor.preparation, delimiter=delimiter, header=header),
        target_prior=wanted, raw=raw, skip_bad=skip_bad,
    )  # fmt: skip
    for note in (*found.notes, *_skipped(found)):
        say(f"longtail: note: {note}", error=True)
    if target is None:
        as_it_is(found.csv())
        return 0
    _write(found, target)
    counted = {name: Counter(found.labels)[name] for name in found.classes}
    told: dict[str, Any] = {"out": str(target), "rows": len(found), "predicted": counted, "rule": found.rule,
                            "prior": found.prior, "notes": list(found.notes), "skipped": found.missing}  # fmt: skip
    if json:
        print(jsonlib.dumps(told, indent=2))
        return 0
    shown = ", ".join(f"{name} {count}" for name, count in sorted(counted.items(), key=lambda kv: -kv[1])[:8] if count)
    more = " ..." if sum(map(bool, counted.values())) > 8 else ""
    say(f"{len(found)} rows: {shown}{more}" + (f"; {len(found.skipped)} skipped" if found.skipped else ""))
    say(f"Rule: {found.rule}. Probabilities: {_told(found.prior)}.\nFile: {target}")
    return 0


def _check_kind(data: str, preparation: Any) -> None:
    """Whether a file could be an image, where the model knows images; other kinds are checked where they are read."""
    from longtail.data.read.tables.sources import is_table

    path = Path(data)
    arrays = path.suffix.lower() in (".npz", ".npy")
    if getattr(preparation, "kind", None) == "images" and path.is_file() and (arrays or is_table(path)):
        raise ValueError(f"the model was trained on images, got {data!r}; pass a folder of images or an image file")


def _skipped(found: Any) -> list[str]:
    """Says how many rows were skipped and names them; where they are many, the output names them all."""
    if not found.skipped:
        return []
    count, total = len(found.skipped), len(found) + len(found.skipped)
    told = ", ".join(f"{name!r} ({why})" for name, why in list(found.missing.items())[:NAMED])
    told += f" and {count - NAMED} more, which the output names" if count > NAMED else ""
    return [f"{count} of {total} images could not be decoded and have no prediction: {told}"]


def _write(found: Any, target: Path) -> None:
    try:
        found.write(target)
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise ValueError(f"--out {target} cannot be written ({reason}); name a file in another folder") from None


def _told(prior: str) -> str:
    return "raw, not corrected for a prior" if prior == "raw" else f"under the prior: {prior}"


def prior(text: str | None) -> Any:
    """A target prior from the command line: a word, a .json file of {class: share}, or class=share pairs."""
    if text is None or text in ("training", "uniform"):
        return text
    if text.endswith(".json"):
        from longtail.facts import json_documents
        from longtail.facts.paths import regular

        try:
            found = json_documents.parse(regular(text, "--target-prior").read_bytes())
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or error
            raise ValueError(
                f"--target-prior {text} cannot be read ({reason}); write {{class: share}} as JSON"
            ) from None
        if not isinstance(found, dict):
            raise ValueError(f"--target-prior {text} must hold {{class: share}}, got a {type(found).__name__}")
        return found
    pairs = [pair.rpartition("=") for pair in text.split(",")]
    if not all(name and sign for name, sign, _ in pairs):
        raise ValueError(
            f'--target-prior must be training, uniform, a .json file or shares such as "a=0.9,b=0.1", got {text!r}; '
            "for class names with a comma use a .json file"
        )
    found = {name.strip(): share for name, _, share in pairs}
    if len(found) < len(pairs):
        raise ValueError(f"--target-prior must name every class once, got {text!r}; leave out what is there twice")
    return found
