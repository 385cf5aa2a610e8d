"""The methods of a comparison: presets and specs, each method once, without those that do not fit the data."""

from __future__ import annotations

import difflib
import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from longtail.catalogue.method import Builders, Method
from longtail.catalogue.resolve import resolve, split_specs
from longtail.catalogue.tasks import SELF_SUPERVISED, role
from longtail.data import Part, TrainingSet
from longtail.engine import Recipe
from longtail.facts.messages import quoted

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Presets:
    """Names for lists of methods.

    Args:
        keys: preset -> its methods.
        extended: the presets that also have `with_val` where the data have a validation part, and `with_table` where
            they are a table.
        with_val, with_table: keys of methods.
        on_embeddings: preset -> keys that it also has where the data are embeddings.
    """

    keys: Mapping[str, tuple[str, ...]]
    extended: tuple[str, ...] = ()
    with_val: tuple[str, ...] = ()
    with_table: tuple[str, ...] = ()
    on_embeddings: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def of(self, name: str, *, val: bool = False, table: bool = False, embeddings: bool = False) -> tuple[str, ...]:
        """Return the methods of a preset."""
        keys = self.keys[name]
        if embeddings:
            keys += tuple(key for key in self.on_embeddings.get(name, ()) if key not in keys)
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
    embeddings: bool = False,
    task: str | None = None,
    data: TrainingSet | Part | None = None,
    truth: bool = False,
    recipe: Recipe | None = None,
    folds: Mapping[str, Part] | None = None,
) -> list[Method]:
    """Return the methods of a comparison, each once, in the order asked.

    Args:
        asked: a preset, specs separated by commas, or a list of either.
        builders: the catalogue, key -> builder.
        presets: the presets by name.
        val: whether the data will have a validation part; without one, presets leave out methods that need it and
            naming such a method is an error.
        table: whether the data are a table, for which "quick" and "all" include scikit-learn's classifiers.
        embeddings: whether they are an encoder's features, for which "practice" includes the preset for these.
        task: of the comparison, once the data are known: presets mean their methods of that task, and naming one that
            has no role in a comparison of it is an error.
        data: the training data, once known: presets leave out methods that do not fit them (too many classes
            for trees, say) and naming such a method is an error.
        truth: whether true labels are known where labels are missing or sets, once the data are known.
        recipe: of the trainings, once known: methods that it does not fit are treated in the same way.
        folds: name -> training part of each further fold, whose labels a method may refuse.

    Raises:
        ValueError: an unknown name or knob, no method at all, or a named method that does not fit these data.
    """
    chosen: dict[str, Method] = {}
    left_out: dict[str, dict[str, None]] = {}
    for item in split_specs(asked) if isinstance(asked, str) else asked:
        named = not (isinstance(item, str) and item in presets.keys)
        names: Iterable[str | Method] = (
            (item,) if named else presets.of(str(item), val=val, table=table, embeddings=embeddings)
        )
        _no_preset(item, builders, presets)
        for one in (resolve(name, builders) for name in names):
            if not named and task not in (None, one.task):
                continue
            reason = _misfit(one, val, task, data, truth, recipe) or _misfit_in(folds or {}, one)
            if reason is None:
                chosen.setdefault(one.spec, one)
            elif named:
                raise ValueError(reason)
            elif val or not one.needs_val or one.key in presets.keys[str(item)]:
                left_out.setdefault(reason.removeprefix(f"method {one.key!r} "), {})[one.key] = None
    for reason, keys in left_out.items():
        several = f"methods {', '.join(keys)}: each" if len(keys) > 1 else f"method {next(iter(keys))!r}"
        log.warning("%s %s; left out", several, reason)
    if not chosen:
        if task is not None and asked:
            raise ValueError(f"methods must not be empty, got none that is {task}; name methods in place of a preset")
        raise ValueError("methods must not be empty, got none; try quick")
    return list(chosen.values())


def _no_preset(item: str | Method, builders: Builders, presets: Presets) -> None:
    """Raise ValueError for a word that is no method but nearly a preset, with that preset."""
    if isinstance(item, str) and item.isidentifier() and item not in {*builders, *presets.keys}:
        known = [*presets.keys, *builders]
        near = next(iter(difflib.get_close_matches(item, known, n=1, cutoff=0.6)), None)
        if near in presets.keys:
            raise ValueError(f"unknown method {quoted(item)}; did you mean the preset {near}? see longtail methods")


def _misfit_in(folds: Mapping[str, Part], one: Method) -> str | None:
    """Return why it cannot learn from some fold's training part, though it can from the first one's."""
    for name, part in folds.items() if one.misfit is not None else ():
        if (reason := one.refuses(part)) is not None:
            return f"{reason} (in the training part of {name})"
    return None


def without_effect(methods: Iterable[Method], recipe: Recipe) -> list[str]:
    """Return a sentence for all methods alike of which a part never takes effect in so few epochs."""
    alike: dict[str, list[str]] = {}
    for one in methods:
        if (note := one.without_effect(recipe)) is not None:
            alike.setdefault(note, []).append(one.spec)
    return [f"{', '.join(specs)}: {note}" for note, specs in alike.items()]


def _misfit(
    one: Method,
    val: bool,
    task: str | None,
    data: TrainingSet | Part | None,
    truth: bool,
    recipe: Recipe | None,
) -> str | None:
    if one.needs_truth and data is not None and not truth:
        way_out = "change labels of clean data with --labeled 0.1, --ambiguity 0.3 or --noise symmetric:0.4, or drop it"
        return f"method {one.key!r} needs true labels beside hidden or wrong ones, got data without; {way_out}"
    if one.needs_val and not val:
        return f"method {one.key!r} needs a validation part, got none; add --val 0.2 (val=0.2)"
    rows = data if data is None or isinstance(data, TrainingSet) else TrainingSet(data)
    reason = None if rows is None else one.refuses(rows.labeled, rows.unlabeled)
    # a task that was requested does not follow from the rows, so what these lack is beside the point
    if (reason is None or task == SELF_SUPERVISED) and task is not None and role(task, one.task, one.spec) is None:
        reason = f"method {one.key!r} is {one.task} and has no part in a {task} comparison"
        asked = f'pass task="{SELF_SUPERVISED}" (--task {SELF_SUPERVISED}), or ' if one.task == SELF_SUPERVISED else ""
        return f"{reason}; {asked}see longtail methods --task {task}"
    if reason is None and recipe is not None and rows is not None:
        return one.refuses_recipe(recipe, rows.labeled)
    return reason
