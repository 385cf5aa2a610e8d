"""Predictions of a model on new rows: class names, probabilities, and the decision rule."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from longtail.data.prepare import new_rows
from longtail.facts import files
from longtail.facts.messages import quoted
from longtail.facts.spreadsheet import cells as guarded
from longtail.runs import class_sets, priors
from longtail.runs.estimated_prior import EstimatedPrior, estimate
from longtail.runs.explained import TOP, Explained

if TYPE_CHECKING:
    from longtail.runs.predictor import Predictor

SUFFIXES = (".csv", ".parquet")


@dataclass(frozen=True)
class Predictions:
    """Predictions for M of N rows; the others were skipped.

    Args:
        labels: the M predicted class names.
        probabilities: (M, C) float64, rows summing to 1, columns in the order of `classes`.
        classes: the C class names.
        rule: the decision rule, in words.
        prior: the class prior that the probabilities refer to, in words.
        rows: the names of the N rows (paths of images), or None where they are numbered.
        notes: sentences on what is new in the rows, compared with the training data.
        skipped: row -> the reason why it has no prediction.
        sets: for each of the M rows the class names in its set, the most probable first; None where none were asked.
        set_summary: of the sets, for JSON: level, mean size, how many are empty, and by class whether the level is
            promised, by how many calibration rows (`n`) of how many that it needs.
        estimated: the class prior of the rows, where it was estimated from them.
        explained: which columns moved the score of the predicted class, where that was asked; `columns` has the first
            `top` of them.
    """

    labels: tuple[str, ...]
    probabilities: Tensor
    classes: tuple[str, ...]
    rule: str
    prior: str
    rows: tuple[str, ...] | None = None
    notes: tuple[str, ...] = ()
    skipped: dict[int, str] = field(default_factory=dict)
    sets: tuple[tuple[str, ...], ...] | None = None
    set_summary: dict[str, Any] = field(default_factory=dict)
    estimated: EstimatedPrior | None = None
    explained: Explained | None = None
    top: int = TOP

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def missing(self) -> dict[str, str]:
        """Name of a skipped row -> the reason."""
        return {str(row) if self.rows is None else self.rows[row]: why for row, why in self.skipped.items()}

    @property
    def columns(self) -> dict[str, list[Any]]:
        """The table by columns: row (or file), prediction, its probability, p(class) for every class, rule, prior.

        With sets there is a column `set`, a list of class names; contributions come last. A skipped row has its name
        and, in the column of the rule, the reason; its other cells are None.
        """
        values = self.probabilities.tolist()
        place = {name: j for j, name in enumerate(self.classes)}
        predicted = [row[place[label]] for row, label in zip(values, self.labels, strict=True)]
        size = len(self)
        columns: dict[str, list[Any]] = {"prediction": list(self.labels), "probability": predicted}
        columns |= {f"p({name})": [row[j] for row in values] for j, name in enumerate(self.classes)}
        columns |= {"rule": [self.rule] * size, "prior": [self.prior] * size}
        columns |= {} if self.sets is None else {"set": [list(names) for names in self.sets]}
        columns |= {} if self.explained is None else self.explained.columns(self.top)
        for row, why in sorted(self.skipped.items()):  # ascending, since each insertion moves the rows after it
            for name, cells in columns.items():
                cells.insert(row, f"skipped: {why}" if name == "rule" else None)
        numbers = list(range(size + len(self.skipped)))
        return {"row": numbers} | columns if self.rows is None else {"file": list(self.rows)} | columns

    def frame(self) -> Any:
        """Return the table as a pandas frame."""
        import pandas

        return pandas.DataFrame(self.columns)

    def csv(self) -> str:
        """Return the table as CSV text, its numbers with all digits; sets are JSON lists, as names may have commas.

        Control characters of names are escaped, and a name that a spreadsheet would run (`=cmd`) stands after ';
        parquet and `frame` have the names as they are.
        """
        out = io.StringIO()
        writer = csv.writer(out, lineterminator="\n")
        columns = self.columns
        if "set" in columns:
            named = columns["set"]
            columns["set"] = [None if one is None else json.dumps(one, ensure_ascii=False) for one in named]
        writer.writerow(guarded(list(columns)))
        writer.writerows(guarded(list(line)) for line in zip(*columns.values(), strict=True))
        return out.getvalue()

    def write(self, path: str | Path) -> None:
        """Write .csv or .parquet, in one step."""
        target = check_target(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        if target.suffix == ".csv":
            files.write_text(target, self.csv())
            return
        arrow, parquet = _pyarrow()
        buffer = io.BytesIO()
        parquet.write_table(arrow.table(self.columns), buffer)
        files.write_bytes(target, buffer.getvalue())


def predictions(
    predictor: Predictor,
    data: Any,
    *,
    target_prior: Any = None,
    raw: bool = False,
    skip_bad: bool = False,
    sets: Any = None,
) -> Predictions:
    """Return what a model predicts for raw rows; see `Predictor.predictions`."""
    if raw and target_prior is not None:
        raise ValueError(
            "raw (--raw) leaves out the correction that target_prior (--target-prior) asks for; give one of them"
        )
    if target_prior is not None:
        check_prior(predictor.decision, target_prior)
    if sets is not None:
        class_sets.check(predictor, sets)
    estimated = isinstance(target_prior, str) and target_prior == priors.ESTIMATE
    given = None if estimated else target_prior
    _, prior = priors.target(given, predictor.classes, predictor.class_counts.cpu())
    read = new_rows.read(data, predictor.preparation, skip_bad=skip_bad)
    scores = predictor.scores(read.inputs)
    found = estimate(predictor, scores) if estimated else None
    if found is not None:
        given, prior = found.prior, found.words
    probabilities = predictor.probabilities(scores, given, raw=raw).cpu()
    decided, rule = _decided(predictor, scores, probabilities, None if target_prior is None else prior)
    labels = tuple(predictor.classes[j] for j in decided.argmax(1).tolist())
    notes = (
        *getattr(predictor.preparation, "unfamiliar", lambda rows: ())(data),
        *new_rows.labels_beside(data, predictor.label, read.names, predictor.classes),
        *(() if found is None else found.notes),
    )
    stated = "raw" if raw else prior if predictor.calibration is None else f"{prior}; {predictor.calibration.words}"
    made = Predictions(
        labels, probabilities, predictor.classes, rule, stated, read.names, notes, read.skipped, estimated=found
    )
    if sets is None:
        return made
    names, summary, said = class_sets.predicted(predictor, scores, probabilities, sets)
    return replace(made, sets=names, set_summary=summary, notes=(*notes, *said))


def _decided(predictor: Predictor, scores: Tensor, probabilities: Tensor, prior: str | None) -> tuple[Tensor, str]:
    """Return scores of which the largest decides, and the rule in words; `prior` in words where a target is given.

    Costs, given thresholds and numbers of alarms are taken under the target prior.
    """
    decision = predictor.decision
    if prior is None:
        return predictor.decided(scores), predictor.rule
    rule = rule_under(predictor, prior)
    return probabilities if decision is None else torch.as_tensor(decision(probabilities.log())), rule


def rule_under(predictor: Predictor, prior: str) -> str:
    """Return the decision rule under a target prior in words."""
    if predictor.decision is None:
        return f"highest probability under the target prior ({prior})"
    return f"{predictor.decision.words}, under the target prior ({prior})"


def check_prior(decision: Any, target: Any) -> None:
    """Raise ValueError for a target prior beside a decision whose thresholds were chosen on rows with other shares."""
    if getattr(decision, "chosen_by_fit", False):
        raise ValueError(
            f"target_prior (--target-prior) does not go with thresholds that were chosen on validation rows with other "
            f"class shares ({getattr(decision, 'objective', '')}), got {quoted(target)}; leave it out, or decide by "
            "cost (--cost)"
        )


def check_target(path: str | Path) -> Path:
    """Return the path of a file that `Predictions.write` can write.

    Raises:
        ValueError: another ending, or a folder.
        ModuleNotFoundError: parquet without longtail[data].
    """
    target = Path(path)
    if target.suffix not in SUFFIXES or target.is_dir():
        raise ValueError(f"--out must be a file that ends in {' or '.join(SUFFIXES)}, got {str(path)!r}; rename it")
    if target.suffix == ".parquet":
        _pyarrow()
    return target


def _pyarrow() -> Any:
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError:
        raise ModuleNotFoundError("writing parquet needs pyarrow; install longtail[data], or write .csv") from None
    return pyarrow, parquet
