"""The options that several verbs share, each declared once."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

import typer

from longtail.cli.table_options import Category as Category
from longtail.cli.table_options import Delimiter as Delimiter
from longtail.cli.table_options import Header as Header
from longtail.cli.table_options import Missing as Missing
from longtail.cli.table_options import Text as Text
from longtail.cli.table_options import Time as Time
from longtail.cli.table_options import Worksheet as Worksheet

Data = Annotated[
    str,
    typer.Argument(
        help="A folder of images, a .csv, .tsv, .xlsx, .jsonl, .parquet (of images, too), .npz (X and y) or .npy "
        "(with --label), "
        "hub:owner/name, hub:owner/name/config, or digits, cifar10, cifar100."
    ),
]
DataDir = Annotated[
    Path | None,
    typer.Option(
        help="For cifar10 and cifar100: the folder with train-*.parquet and test-*.parquet, or with the original files."
    ),
]
HumanLabels = Annotated[
    Path | None,
    typer.Option(
        help="For cifar10 and cifar100: CIFAR-N's file, CIFAR-10_human.pt or .npy; --label worse, aggregate, random1, "
        "random2, random3 or, of cifar100, noisy names the labels that training images get."
    ),
]
Ratio = Annotated[
    float | None,
    typer.Option(help="Make the training part long-tailed: largest class / smallest class (digits: 50, cifar: 100)."),
]
Profile = Annotated[str, typer.Option(help="Shape of the tail that --ratio makes: exp or step.")]
Largest = Annotated[
    int | None,
    typer.Option(help="Training rows of the largest class after the cut of --ratio (by default as many as there are)."),
]
Val = Annotated[float | None, typer.Option(help="Share of the training part withheld for validation, as in 0.2.")]
Label = Annotated[
    str | None,
    typer.Option(help="Column of the labels (without a header: its number, or last); file of labels beside an .npy."),
]
Unlabeled = Annotated[
    str | None,
    typer.Option(
        help="Training rows without labels: a folder of images, a table without the label column, an .npz with X; "
        "or same: the rows of DATA with an empty label, y = -1, or in a folder unlabeled/."
    ),
]
Candidates = Annotated[
    str | None,
    typer.Option(help='A label names several classes, one of them the true one, separated by this text: "|" for a|b.'),
]
Labeled = Annotated[
    str | None,
    typer.Option(
        help="Simulate few labels: the share of the training rows that keep their label (0.1), or the labelled rows of "
        "the largest class (500)."
    ),
]
UnlabeledSize = Annotated[
    int | None,
    typer.Option(help="Rows without labels of their largest class, drawn from what is not labelled (by default all)."),
]
UnlabeledRatio = Annotated[
    str | None,
    typer.Option(help="Imbalance ratio of the rows without labels (1, 100), or reversed."),
]
Ambiguity = Annotated[
    str | None,
    typer.Option(
        help="Simulate candidate sets: the chance of every other class to be a candidate (0.3), higher within its "
        "superclass (superclass:0.3, for cifar100), or of the next class alone (pair:0.3)."
    ),
]
Noise = Annotated[
    str | None,
    typer.Option(
        help="Wrong labels for training and validation rows, KIND:RATE: symmetric:0.4, proportional:0.3, "
        "pair-flip:0.2, asymmetric:0.4,cat=dog,dog=cat; further kinds and options: docs/guide/noisy-labels.md. "
        "The test part keeps its labels."
    ),
]
Task = Annotated[
    str | None,
    typer.Option(help="self-supervised: encoders trained without labels. Any other task follows from the data."),
]
Split = Annotated[str | None, typer.Option(help="Column with the words train, val or test.")]
Grouping = Annotated[str | None, typer.Option("--group", help="Column of groups that are never split between parts.")]
Weight = Annotated[str | None, typer.Option(help="Column of sample weights; a row of weight k counts as k rows.")]
Drop = Annotated[
    list[str] | None,
    typer.Option(
        "--drop",
        help="A column that is no feature, such as a row number; or the .csv of longtail labels, whose rows are left "
        "out of the training part (in Python drop_columns= and drop_rows=); may be repeated.",
    ),
]
Relabel = Annotated[
    Path | None,
    typer.Option(help="The .csv of longtail labels: give its training rows the likely label."),
]
Size = Annotated[int | None, typer.Option(help="Height and width that images are resized to, once (32).")]
Features = Annotated[
    Path | None, typer.Option(help="Embeddings in place of pixels: .npz with X and files (paths in the image folder).")
]
Backbone = Annotated[
    Path | None,
    typer.Option(
        help="A local folder of a pretrained model of transformers: its features stand in place of pixels, computed "
        "once by its own preprocessing. Nothing is downloaded, no code in the folder is run."
    ),
]
ModelBackbone = Annotated[
    Path | None,
    typer.Option("--backbone", help="Where the backbone of the model is now, if no longer where it was in training."),
]
TrainList = Annotated[
    Path | None,
    typer.Option(
        help='Training images by a list, "relative/path.jpg 17" a line: paths in DATA, class indices from 0, as '
        "ImageNet-LT, Places-LT and iNaturalist have them."
    ),
]
ValList = Annotated[Path | None, typer.Option(help="Validation images by a list; needs --train-list.")]
TestList = Annotated[Path | None, typer.Option(help="Test images by a list; needs --train-list.")]
SkipBad = Annotated[
    bool, typer.Option("--skip-bad", help="Leave out images that cannot be decoded, counted and named.")
]
Mirror = Annotated[
    bool, typer.Option("--mirror/--no-mirror", help="Whether mirrored images are good training images (not for text).")
]
Compile = Annotated[bool, typer.Option("--compile", help="Compile the network with torch.compile (for a GPU).")]
Capture = Annotated[
    bool, typer.Option("--capture/--no-capture", help="On a GPU, run each training step as one CUDA graph.")
]
Deterministic = Annotated[
    bool,
    typer.Option("--deterministic", help="The same bytes every time on a GPU, too (slower); a CPU has them anyway."),
]
Folds = Annotated[
    int | None, typer.Option(help="Repeated cross-validation: every example is tested once a seed. For small data.")
]
Epochs = Annotated[int | None, typer.Option(help="Passes over the training part (by default enough for its size).")]
Model = Annotated[
    str | None,
    typer.Option(
        help="Network: auto (by the inputs), tabular, linear, mlp, convnet, resnet32 (cifar's default), resnet18, -34, "
        "-50, -101 or -152 (as in resnet50; from 96 pixels on with ImageNet's stem), densenet, wide_resnet, sce-cnn, "
        "coteaching-cnn or preact-resnet18."
    ),
]
Numbers = Annotated[
    str | None, typer.Option("--set", help='Numbers of the recipe: "lr=0.05, weight_decay=5e-4" (tune chooses them).')
]
Device = Annotated[str, typer.Option(help="Where to train: cpu or cuda.")]
Recipe = Annotated[
    str, typer.Option(help="common: one recipe for all methods; own: with each paper's changes, not comparable.")
]
Augmentation = Annotated[
    str | None, typer.Option(help="Of training rows: usual (the default) or strong (RandAugment and cutout on images).")
]
Precision = Annotated[
    str | None, typer.Option(help="auto (by the hardware), float32, bfloat16 or float16 (by default: auto for cifar).")
]
Probe = Annotated[
    str | None,
    typer.Option(
        help="Self-supervised: the probe of the verdict, linear by default: [full-][few-shot[-K]-]CLASSIFIER"
        "[@once|@live], CLASSIFIER one of linear, svm, sgd, adam, knn-K, knn-K-raw; full-: all rows before the cut."
    ),
]
Pretrained = Annotated[
    Path | None,
    typer.Option(help="A run folder: every network starts from the layers of its encoder, under a new head."),
]
Protocol = Annotated[
    str | None,
    typer.Option(help="Self-supervised: the probes of a paper: sdclr, bcl, gh or ts (longtail explain simclr)."),
]
Evaluations = Annotated[
    int, typer.Option(help="How often the test part is evaluated during a training; decides nothing, costs time.")
]
Select = Annotated[
    str,
    typer.Option(
        help="Which epoch counts: last; val, the best on validation rows (--val); best-test, the best on the test "
        "rows, as many papers did, whose numbers are optimistic."
    ),
]
Tracker = Annotated[
    str | None,
    typer.Option(
        help="tensorboard, mlflow or wandb, or one of these with a place, as in tensorboard:runs/board: gets every "
        "epoch and the scores as well."
    ),
]
Budget = Annotated[str | None, typer.Option(help="Start no further run after this time: 90s, 10m, 1h.")]
Jobs = Annotated[
    int | None,
    typer.Option(
        help="Worker processes (by default one per core). On a GPU: runs at once at most, side by side in one process "
        "(by default as many as make it faster)."
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON, and nothing else, on standard output.")]
DryRun = Annotated[bool, typer.Option(help="Check everything, print what would run and how long, and stop.")]
Out = Annotated[Path | None, typer.Option(help="Output folder; the same command resumes there.")]

_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0}


def recipe_kind(recipe: str) -> str:
    """The kind of recipe, checked: common or own."""
    if recipe not in ("common", "own"):
        raise ValueError(f"--recipe must be common or own, got {recipe!r}; choose one of these")
    return recipe


def seconds(budget: str | None) -> float | None:
    """A time such as 90s, 10m or 1.5h in seconds."""
    if budget is None:
        return None
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([smh])", budget.strip())
    if match is None or float(match[1]) <= 0:
        raise ValueError(f"--budget must be a time such as 90s, 10m or 1.5h, got {budget!r}; write --budget 10m")
    return float(match[1]) * _UNITS[match[2]]


def device(name: str) -> str:
    """The device, checked to be available."""
    import torch

    kind = name.split(":")[0]
    if kind not in ("cpu", "cuda"):
        raise ValueError(f"--device must be cpu or cuda, got {name!r}; choose one of these")
    if kind == "cuda" and not torch.cuda.is_available():
        raise ValueError(f"--device {name} is not available to this build of torch; use --device cpu")
    return name
