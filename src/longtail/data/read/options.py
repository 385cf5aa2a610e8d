"""The options of each kind of data; any other is refused rather than silently ignored."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from longtail.facts.messages import quoted

COLUMNS = ("label", "split", "group", "weight")
BACKBONE = ("backbone", "device")
TASKS = ("unlabeled", "candidates")
OF_TABLES = ("time", "missing", "drop_columns", "text_columns", "category_columns")
OF_CIFAR = ("data_dir", "human_labels")
LISTS = ("train_list", "val_list", "test_list")
ALLOWED = {
    "table": (*COLUMNS, *TASKS, *OF_TABLES, "worksheet", "delimiter", "header"),
    "images": (*COLUMNS, *TASKS, "size", "skip_bad", "mirror", "features", "workers", *BACKBONE, *LISTS),
    "Clothing1M": ("label", "size", "skip_bad", "mirror", "workers", *BACKBONE, *LISTS),
    "hub": (*COLUMNS, "drop_columns", "size", "skip_bad", "mirror", "workers", *BACKBONE),
    "parquet of images": (*COLUMNS, "size", "skip_bad", "mirror", "workers", *BACKBONE),
    "array file": ("label", "group", "unlabeled"),
    "arrays": ("group", "split", *TASKS),
    "data set": ("group", "split", *TASKS, "size", "mirror", "workers"),
    "frame": (*COLUMNS, *TASKS, *OF_TABLES),
}
"""Kind of data -> its options."""
IDLE = {
    "size": "which reads images at their own size",
    "features": "which computes the features",
    "mirror": "which embeds every image as it is",
    "workers": "which reads every image once",
}
"""What a backbone leaves nothing to do for."""
DEFAULTS = {"mirror": True, "skip_bad": False}
FLAGS = {o: f"--{o.replace('_', '-')}" for known in ALLOWED.values() for o in known if o not in ("workers", "device")}
FLAGS |= {"mirror": "--no-mirror", "header": "--header, --no-header", "drop_columns": "--drop"}
FLAGS |= {"text_columns": "--text", "category_columns": "--category"}


def refuse(kind: str, allowed: Sequence[str], given: Mapping[str, Any], source: str = "") -> None:
    """Refuse an option of another kind of data: ValueError, or TypeError for what is no option at all."""
    for option, value in given.items():
        if option not in allowed:
            what = f"{kind} ({source})" if source else kind
            readers = [k for k, known in ALLOWED.items() if option in known]
            near = difflib.get_close_matches(option, {o for known in ALLOWED.values() for o in known}, n=1)
            way = f"it is for: {', '.join(readers)}" if readers else f"did you mean {near[0]!r}?" if near else "drop it"
            line = f"{flag(option)} is not read for {what}, got {given_as(value)}; {way}"
            raise (ValueError if readers else TypeError)(line)


def check_backbone(given: Mapping[str, Any]) -> None:
    """Raise ValueError where an option goes with a backbone alone, or does nothing beside one."""
    if "backbone" not in given:
        if "device" in given:
            got = given_as(given["device"])
            raise ValueError(f"device is where a backbone runs, got {got} and no backbone; add it or leave both out")
        return
    for option, why in IDLE.items():
        if option in given:
            raise ValueError(
                f"{flag(option)} cannot go with backbone (--backbone), {why}, got {given_as(given[option])}; leave one "
                "of them out"
            )


def flag(option: str) -> str:
    """An option by its name in Python and, where the command line has it, its flag."""
    return f"{option} ({FLAGS[option]})" if option in FLAGS else option


def given_as(value: Any) -> str:
    """A value as the user wrote it: a path is its text."""
    return quoted(str(value) if isinstance(value, Path) else value)
