"""From the columns of a table to the tensor a network is trained on: fitted on training rows, saved with the model."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor

from longtail.data.prepare.columns import CATEGORIES, USED, Column, column, values
from longtail.data.read.tables.table import Table
from longtail.data.views.policies import table_policy
from longtail.data.views.types import Policy

FILE = "preparation.skops"
log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class TablePreparation:
    """Feature columns -> (N, D) float32: `numeric` numbers first, then one integer code per categorical column.

    Numbers, truth values (0, 1) and dates (seconds since 1970) have missing cells replaced by the training rows'
    median and are scaled to mean 0 and standard deviation 1, (x - mean) / sd over training rows; a column 0/1 follows
    for each of them in which a training row misses. Codes are 1..k for the training rows' categories in sorted order
    and 0 for a missing or unknown one. Rows count once each here, whatever their weight.

    Args:
        columns: each feature column in the training frame's order, including those that are not used.
        transformer: the fitted scikit-learn ColumnTransformer.
        names: of the D output columns.
    """

    columns: tuple[Column, ...]
    transformer: Any
    names: tuple[str, ...]

    kind = "table"

    @classmethod
    def fit(cls, frame: Any) -> Self:
        """Learn kinds, medians, means, deviations and categories from these rows, which are the training rows.

        Raises:
            ValueError: no column to learn from, or one that cannot be read (see `column`).
        """
        frame = _frame(frame)
        columns = tuple(column(str(name), frame[name]) for name in frame.columns)
        used = [c for c in columns if c.kind in USED]
        if not used:
            why = "; ".join(c.note for c in columns[:3]) or "the table has no other column than its label"
            raise ValueError(f"a table must have a feature column to learn from, got none ({why}); add columns")
        typed = _typed(used, frame)
        numbers = [c.name for c in used if c.kind != "category"]
        missing = [name for name in numbers if bool(typed[name].isna().any())]
        codes = [c for c in used if c.kind == "category"]
        transformer = _transformer(numbers, missing, codes).fit(typed)
        names = (*numbers, *(f"{name} is missing" for name in missing), *(c.name for c in codes))
        return cls(columns, transformer, names)

    @property
    def categories(self) -> tuple[int, ...]:
        """Number of codes of each code column, code 0 included."""
        return tuple(len(c.categories) + 1 for c in self.columns if c.kind == "category")

    @property
    def numeric(self) -> int:
        """Number of the D output columns that are numbers; they come first."""
        return len(self.names) - len(self.categories)

    @property
    def policy(self) -> Policy:
        """The views of prepared rows: what is changed together comes from one column of the table."""
        numbers = [c.name for c in self.columns if c.kind in USED and c.kind != "category"]
        missing = [numbers.index(name.removesuffix(" is missing")) for name in self.names[len(numbers) : self.numeric]]
        return table_policy([*range(len(numbers)), *missing, *range(len(numbers), len(numbers) + len(self.categories))])

    @cached_property
    def notes(self) -> tuple[str, ...]:
        """Sentences on columns."""
        return tuple(c.note for c in self.columns if c.note)

    def __call__(self, raw: Any) -> Tensor:
        """The inputs (N, D) of a `Table` or frame; columns that training did not have are ignored.

        Raises:
            ValueError: a column of training is missing, or holds another kind of cells; named.
        """
        frame = _frame(raw)
        used = [c for c in self.columns if c.kind in USED]
        absent = [c.name for c in used if c.name not in frame.columns]
        if absent:
            shown = ", ".join(map(repr, absent[:5])) + (f" and {len(absent) - 5} more" if len(absent) > 5 else "")
            raise ValueError(
                f"data must have the columns of training, got none called {shown}; "
                f"it has {', '.join(map(str, list(frame.columns)[:8])) or 'no columns'}; add or rename them, or say "
                "whether the first line is a header (--header, --no-header)"
            )
        if len(frame) == 0:
            return torch.empty(0, len(self.names))
        typed = _typed(used, frame)
        for note in _unknown(used, typed):
            log.info(note)
        block = np.asarray(self.transformer.transform(typed), dtype=np.float64)
        block[:, self.numeric :] += 1  # the encoder gives -1 to what it does not know
        with np.errstate(over="ignore"):
            inputs = np.ascontiguousarray(block, dtype=np.float32)
        _check(inputs, self.names)
        return torch.from_numpy(inputs)

    def unfamiliar(self, raw: Any) -> tuple[str, ...]:
        """A sentence on every column of these rows with categories that training did not have, as a wrong file has.

        Columns whose rarest categories share one code anyway (`CATEGORIES`) are passed over.
        """
        frame = _frame(raw)
        codes = [c for c in self.columns if c.kind == "category"]
        return tuple(_unknown(codes, _typed(codes, frame))) if len(frame) and codes else ()

    def to_json(self) -> dict[str, Any]:
        """Plain JSON; the fitted numbers are in `blobs`."""
        columns = [
            {"name": c.name, "kind": c.kind, "categories": list(c.categories), "note": c.note} for c in self.columns
        ]
        return {"kind": self.kind, "columns": columns, "names": list(self.names)}

    def blobs(self) -> dict[str, bytes]:
        """The scikit-learn transformer in skops form."""
        from longtail.facts import trusted

        return {FILE: trusted.dumps(self.transformer)}

    @classmethod
    def from_json(cls, description: dict[str, Any], blobs: Mapping[str, bytes]) -> Self:
        """Restore what `to_json` and `blobs` returned; nothing in it is executed.

        Raises:
            ValueError: a description that is not one of ours, or a file of types that are not trusted.
        """
        from sklearn.compose import ColumnTransformer

        from longtail.facts import trusted

        try:
            columns = tuple(
                Column(str(c["name"]), c["kind"], tuple(map(str, c["categories"])), str(c["note"]))
                for c in description["columns"]
            )
            names, data = tuple(map(str, description["names"])), blobs[FILE]
        except (KeyError, TypeError) as error:
            raise ValueError(
                f"the table preparation of this model is damaged ({error}); save the model again"
            ) from None
        transformer = trusted.loads(data, "the table preparation")
        restored = cls(columns, transformer, names)
        if not isinstance(transformer, ColumnTransformer) or not restored._fits():
            raise ValueError("the table preparation of this model does not fit its description; save the model again")
        return restored

    def _fits(self) -> bool:
        """Whether the transformer fits these columns."""
        used = [c for c in self.columns if c.kind in USED]
        encoder = self.transformer.named_transformers_.get("codes")
        known = [len(c) + 1 for c in encoder.categories_] if encoder is not None else []
        return (
            list(self.transformer.feature_names_in_) == [c.name for c in used]
            and known == list(self.categories)
            and self.names[self.numeric :] == tuple(c.name for c in used if c.kind == "category")
        )


def _frame(raw: Any) -> Any:
    frame = raw.frame if isinstance(raw, Table) else raw
    if not hasattr(frame, "columns") or not hasattr(frame, "iloc"):
        raise TypeError(f"a table must be a pandas frame, got {type(raw).__name__}; name its columns as in training")
    if all(isinstance(name, str) for name in frame.columns):
        return frame
    return frame.set_axis([str(name) for name in frame.columns], axis=1)


def _typed(used: list[Column], frame: Any) -> Any:
    """The used columns as float64 and, for categories, as strings."""
    import pandas

    data = {c.name: values(c, frame[c.name]) for c in used}
    return pandas.DataFrame({n: v.to_numpy(dtype=object) if hasattr(v, "to_numpy") else v for n, v in data.items()})


def _transformer(numbers: list[str], missing: list[str], codes: list[Column]) -> Any:
    from sklearn.compose import ColumnTransformer
    from sklearn.impute import MissingIndicator, SimpleImputer
    from sklearn.pipeline import Pipeline
    from sklearn.preprocessing import OrdinalEncoder, StandardScaler

    scaled = Pipeline([("impute", SimpleImputer(strategy="median")), ("scale", StandardScaler())])
    encoder = OrdinalEncoder(
        categories=[np.array(c.categories, dtype=object) for c in codes],
        handle_unknown="use_encoded_value",
        unknown_value=-1,
    )
    steps = [
        ("numbers", scaled, numbers),
        ("missing", MissingIndicator(features="all"), missing),
        ("codes", encoder, [c.name for c in codes]),
    ]
    return ColumnTransformer([step for step in steps if step[2]], sparse_threshold=0.0)


def _unknown(used: list[Column], typed: Any) -> list[str]:
    notes = []
    for c in used:
        if c.kind == "category" and len(c.categories) < CATEGORIES:
            unknown = ~typed[c.name].isin((*c.categories, ""))
            if unknown.any():
                notes.append(
                    f"column {c.name!r}: {int(unknown.sum())} of {len(typed)} rows have a category that training did "
                    f"not have, such as {typed[c.name][unknown].iloc[0]!r}"
                )
    return notes


def _check(inputs: np.ndarray, names: tuple[str, ...]) -> None:
    wrong = ~np.isfinite(inputs)
    if wrong.any():
        name = names[int(np.flatnonzero(wrong.any(0))[0])]
        raise ValueError(
            f"column {name!r} holds numbers too far from those of training to be scaled; correct its cells"
        )
