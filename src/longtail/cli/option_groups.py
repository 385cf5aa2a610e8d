"""Groups of options that several verbs take, declared once and passed on as one dict."""

from __future__ import annotations

import inspect
import shlex
from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any

from longtail.cli import options as o

Group = Mapping[str, tuple[Any, Any]]
"""option name -> (its typer annotation, its default)."""

DATA: Group = {
    "label": (o.Label, None),
    "unlabeled": (o.Unlabeled, None),
    "candidates": (o.Candidates, None),
    "split": (o.Split, None),
    "group": (o.Grouping, None),
    "weight": (o.Weight, None),
    "time": (o.Time, None),
    "drop_columns": (o.Drop, None),
    "missing": (o.Missing, None),
    "text_columns": (o.Text, None),
    "category_columns": (o.Category, None),
    "worksheet": (o.Worksheet, None),
    "delimiter": (o.Delimiter, None),
    "header": (o.Header, None),
    "size": (o.Size, None),
    "features": (o.Features, None),
    "backbone": (o.Backbone, None),
    "train_list": (o.TrainList, None),
    "val_list": (o.ValList, None),
    "test_list": (o.TestList, None),
    "skip_bad": (o.SkipBad, False),
    "mirror": (o.Mirror, True),
    "data_dir": (o.DataDir, None),
    "human_labels": (o.HumanLabels, None),
    "ratio": (o.Ratio, None),
    "profile": (o.Profile, "exp"),
    "largest": (o.Largest, None),
    "val": (o.Val, None),
    "labeled": (o.Labeled, None),
    "unlabeled_size": (o.UnlabeledSize, None),
    "unlabeled_ratio": (o.UnlabeledRatio, None),
    "ambiguity": (o.Ambiguity, None),
    "noise": (o.Noise, None),
    "relabel": (o.Relabel, None),
}
"""Reading and splitting DATA."""

TRAINING: Group = {
    "epochs": (o.Epochs, None),
    "numbers": (o.Numbers, None),
    "model": (o.Model, None),
    "augmentation": (o.Augmentation, None),
    "recipe": (o.Recipe, "common"),
    "precision": (o.Precision, None),
    "compile": (o.Compile, False),
    "capture": (o.Capture, True),
    "deterministic": (o.Deterministic, False),
    "probe": (o.Probe, None),
    "protocol": (o.Protocol, None),
    "pretrained": (o.Pretrained, None),
}
"""Training every method."""


RUNNING: Group = {
    "budget": (o.Budget, None),
    "out": (o.Out, None),
    "device": (o.Device, "cpu"),
    "jobs": (o.Jobs, None),
    "json": (o.Json, False),
    "dry_run": (o.DryRun, False),
}
"""Making several runs: where, for how long, how many at a time, and what is printed."""


def data_words(data: str, reading: Mapping[str, Any]) -> str:
    """DATA and its options as words for a shell, without options that have their default."""
    return shlex.join([data, *_words(DATA, reading)])


def training_words(training: Mapping[str, Any], changes: Mapping[str, Any]) -> str:
    """The training options as words for a shell, with further changes of the recipe's numbers."""
    from longtail.methods.tuning.space import recipe_changes

    numbers = {**recipe_changes(training["numbers"] or ""), **changes}
    text = ", ".join(f"{name}={value!r}" for name, value in numbers.items())
    epochs = None if "epochs" in changes else training["epochs"]
    return shlex.join(_words(TRAINING, {**training, "numbers": text or None, "epochs": epochs}))


def _words(group: Group, given: Mapping[str, Any]) -> list[str]:
    from longtail.data.read.options import FLAGS

    flags = {**FLAGS, "numbers": "--set"}
    words: list[str] = []
    for option, (_, default) in group.items():
        value, flag = given[option], flags.get(option, f"--{option.replace('_', '-')}")
        if value is None or value == default:
            continue
        if isinstance(value, bool):
            words.append(f"--no-{option}" if not value else f"--{option.replace('_', '-')}")
        else:
            values = value if isinstance(value, list) else [value]
            words += [w for one in values for w in (flag, f"{one:.15g}" if isinstance(one, float) else str(one))]
    return words


def with_options(**groups: Group) -> Callable[[Callable[..., int]], Callable[..., int]]:
    """Replace the parameters of a verb that are named after groups by the options of these groups.

    The verb declares one parameter for every group, and receives a dict of its options in its place.
    """

    def decorate(verb: Callable[..., int]) -> Callable[..., int]:
        own = inspect.signature(verb, eval_str=True).parameters
        shown: list[inspect.Parameter] = []
        kind = inspect.Parameter.POSITIONAL_OR_KEYWORD  # of all, so that groups may stand anywhere
        for name, parameter in own.items():
            for option, (annotation, default) in groups.get(name, {}).items():
                shown.append(inspect.Parameter(option, kind, default=default, annotation=annotation))
            if name not in groups:
                shown.append(parameter.replace(kind=kind))

        @wraps(verb)
        def wrapper(**given: Any) -> int:
            gathered = {name: {option: given.pop(option) for option in group} for name, group in groups.items()}
            return verb(**given, **gathered)

        wrapper.__signature__ = inspect.Signature(shown, return_annotation=int)  # type: ignore[attr-defined]
        wrapper.__annotations__ = {p.name: p.annotation for p in shown} | {"return": int}
        return wrapper

    return decorate


def data_options(reading: Mapping[str, Any]) -> dict[str, Any]:
    """The options of DATA as `data.load` takes them: numbers in place of their text."""
    from longtail.data.simulate import parsed

    simulated = {name: reading[name] for name in ("labeled", "unlabeled_ratio", "ambiguity")}
    numbers = {name: None if text is None else parsed(name, text) for name, text in simulated.items()}
    return {**reading, **numbers, **_dropped(reading["drop_columns"])}


def _dropped(named: list[str] | None) -> dict[str, Any]:
    """What --drop names: columns, and at most one file of suspects, which ends in .csv.

    Raises:
        ValueError: several files.
    """
    files = [name for name in named or () if name.endswith(".csv")]
    if len(files) > 1:
        raise ValueError(f"--drop must name one file of suspects at most, got {', '.join(files)}; join them")
    columns = [name for name in named or () if name not in files]
    return {"drop_columns": columns or None, "drop_rows": files[0] if files else None}


def recipe_options(training: Mapping[str, Any]) -> dict[str, Any]:
    """The training options as `Recipe` names them, checked."""
    kind = o.recipe_kind(training["recipe"])
    options = {name: value for name, value in training.items() if name not in ("recipe", "numbers")}
    if training["numbers"]:
        from longtail.methods.tuning.space import recipe_changes

        numbers = recipe_changes(training["numbers"])
        if "epochs" in numbers and options["epochs"] is not None:
            raise ValueError(f"epochs is given twice, by --epochs and --set, got {training['numbers']!r}; give it once")
        options |= numbers
    # what has its default leaves the choice to the recipe
    switches = {"compile": False, "capture": True, "deterministic": False}
    return {**options, "kind": kind, **{name: None for name, usual in switches.items() if training[name] is usual}}
