"""The methods of a comparison: presets and specs, each method once, and what is left out or refused for these data."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from longtail.catalogue.method import Builders, Method
from longtail.catalogue.resolve import resolve, split
from longtail.catalogue.tasks import role
from longtail.data import Part, TrainingSet

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Presets:
    """Names for lists of methods.

    Args:
        keys: preset -> the methods it stands for.
        extended: the presets that are joined by `with_val` where there is a validation part, and by `with_table` where
            the data are a table.
        with_val, with_table: keys of methods.
    """

    keys: Mapping[str, tuple[str, ...]]
    extended: tuple[str, ...] = ()
    with_val: tuple[str, ...] = ()
    with_table: tuple[str, ...] = ()

    def of(self, name: str, *, val: bool = False, table: bool = False) -> tuple[str, ...]:
        """The methods behind a preset's name."""
        keys = self.keys[name]
        if name not in self.extended:
            return keys
        more = (self.with_val if val else ()) + (self.with_table if table else ())
        return keys + tuple(key for key in more if key not in keys)


def choose(
    asked: str | Iterable[str | Method],
    builders: Builders,
    presets: Presets,
    *,
    val: bool = False,
    table: bool = False,
    task: str | None = None,
    data: TrainingSet | Part | None = None,
) -> list[Method]:
    """The methods of a comparison, each once, in the order asked.

    Args:
        asked: a preset, specs separated by commas, or a list of either.
        builders: the catalogue, key -> builder.
        presets: what the presets' names stand for.
        val: whether a validation part will be there; without one, presets leave out methods that need it and
            naming such a method is an error.
        table: whether the data are a table, for which "quick" and "all" include scikit-learn's classifiers.
        task: of the comparison, once the data are there: presets mean their methods of that task, and naming one that
            has no part in a comparison of it is an error.
        data: what is trained on, once it is there: presets leave out methods that it does not fit (too many classes
            for trees, say) and naming such a method is an error.

    Raises:
        ValueError: an unknown name or knob, none at all, or a named method that these data do not fit.
    """
    found: dict[str, Method] = {}
    for item in split(asked) if isinstance(asked, str) else asked:
        named = not (isinstance(item, str) and item in presets.keys)
        names: Iterable[str | Method] = (item,) if named else presets.of(str(item), val=val, table=table)
        for one in (resolve(name, builders) for name in names):
            if not named and task not in (None, one.task):
                continue
            why = _unfit(one, val, task, data)
            if why is None:
                found.setdefault(one.spec, one)
            elif named:
                raise ValueError(why)
            elif not one.needs_val:
                log.warning("%s; left out", why)
    if not found:
        if task is not None and asked:
            raise ValueError(f"methods must not be empty, got none that is {task}; name methods in place of a preset")
        raise ValueError("methods must not be empty, got none; try quick")
    return list(found.values())


def _unfit(one: Method, val: bool, task: str | None, data: TrainingSet | Part | None) -> str | None:
    if one.needs_val and not val:
        return f"method {one.key!r} needs a validation part, got none; add --val 0.2 (val=0.2)"
    rows = data if data is None or isinstance(data, TrainingSet) else TrainingSet(data)
    why = None if rows is None else one.refuses(rows.labeled, rows.unlabeled)
    if why is None and task is not None and role(task, one.task, one.spec) is None:
        why = f"method {one.key!r} is {one.task} and has no part in a {task} comparison"
        return f"{why}; see longtail methods --task {task}"
    return why
