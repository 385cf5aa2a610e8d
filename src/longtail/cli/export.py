"""`longtail export`: a trained network as a file that runs without longtail."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from longtail.cli import options as o
from longtail.cli.terminal import print_json, print_lines


def export(
    model: Annotated[Path, typer.Argument(help="The folder that longtail train wrote (its --out).")],
    out: Annotated[Path, typer.Option(help="A file that ends in .onnx or .pt2 (torch.export).")],
    target_prior: Annotated[
        str | None,
        typer.Option(help='Class shares where the model is used: training, uniform, "a=0.9,b=0.1" or a .json file.'),
    ] = None,
    json: o.Json = False,
) -> int:
    """Write the network in MODEL as one file: prepared inputs in, probabilities and the scores that decide out.

    Standardisation, prior correction and the decision rule are in the file; decoding and resizing of images and the
    reading of a table's columns are not. The JSON file beside it names the classes, the inputs and what is missing.
    Trees and other classifiers of scikit-learn are no networks and are refused.

    Example: longtail export runs/model --out model.onnx
    """
    from longtail.cli.predict import prior
    from longtail.runs.export_files import check_target, write
    from longtail.runs.predictor import Predictor

    target = check_target(out)
    try:
        described = write(Predictor.load(model), target, prior(target_prior))
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise ValueError(f"--out {target} cannot be written ({reason}); name a file in another folder") from None
    if json:
        print_json({"out": str(target), "size": target.stat().st_size, **described})
        return 0
    inputs = described["inputs"]
    shape = " x ".join(map(str, inputs["shape"]))
    print_lines(
        f"In: {inputs['name']}, {shape}, {inputs['dtype']}. Out: probabilities and scores, a column for each of "
        f"{len(described['classes'])} classes.\nDecision: {described['decision']}.\n"
        f"Not in the file: {'; '.join(described['not_in_the_file'])}."
    )
    for note in described["notes"]:
        print_lines(f"Note: {note}.")
    print_lines(f"Files: {target}, {target.name}.json")
    return 0
