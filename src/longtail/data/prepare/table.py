"""From the columns of a table to the tensor a network is trained on: fitted on training rows, saved with the model."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor

from longtail.data.prepare.columns import USED, Column
from longtail.data.prepare.fitted_columns import (
    plain_names,
    plain_transformer,
    typed_cells,
    typed_columns,
    unknown_categories,
)
from longtail.data.prepare.texts import Text, packed, unpacked
from longtail.data.read.tables.missing import blanked
from longtail.data.read.tables.table import Declared, Table
from longtail.data.views.policies import table_policy
from longtail.data.views.types import Policy

FILE, TEXTS, MISSING = "preparation.skops", "texts.safetensors", " is missing"
log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class TablePreparation:
    """Feature columns -> (N, D) float32: `numeric` numbers first, then one integer code per categorical column.

    Among the numbers, those of a text column come last: tf-idf of its words, projected (`prepare.texts`).

    Numbers, truth values (0, 1) and dates (seconds since 1970) have missing cells replaced by the training rows'
    median and are scaled to mean 0 and standard deviation 1, (x - mean) / sd over training rows; a column 0/1 follows
    for each of them in which a training row misses. Codes are 1..k for the training rows' categories in sorted order
    and 0 for a missing or unknown one. Rows count once each here, whatever their weight.

    Args:
        columns: each feature column in the training frame's order, including those that are not used.
        transformer: the fitted scikit-learn ColumnTransformer; None where all that is used is text.
        names: of the D output columns.
        texts: name -> how its words become numbers.
        missing: cells that mean missing, in new rows too.
    """

    columns: tuple[Column, ...]
    transformer: Any
    names: tuple[str, ...]
    texts: dict[str, Text] = field(default_factory=dict)
    missing: tuple[str, ...] = ()

    kind = "table"

    @classmethod
    def fit(cls, raw: Any) -> Self:
        """Learn kinds, medians, deviations, categories and words from a `Table` or frame, which are the training rows.

        Raises:
            ValueError: no column to learn from, or one that cannot be read (see `column`, `Text.fit`).
        """
        frame, declared = _frame(raw), raw.declared if isinstance(raw, Table) else Declared()
        columns, texts = typed_columns(frame, declared, raw.text if isinstance(raw, Table) else None)
        used = [c for c in columns if c.kind in USED]
        if not used:
            why = "; ".join(c.note for c in columns[:3]) or "the table has no other column than its label"
            raise ValueError(f"a table must have a feature column to learn from, got none ({why}); add columns")
        typed = typed_cells(used, frame)
        numbers = [c.name for c in used if c.kind not in ("category", "text")]
        missing = [name for name in numbers if bool(typed[name].isna().any())]
        codes = [c for c in used if c.kind == "category"]
        transformer = (
            plain_transformer(numbers, missing, codes).fit(typed[plain_names(used)]) if numbers or codes else None
        )
        words = (f"{name} text {k + 1}" for name, text in texts.items() for k in range(text.size))
        names = (*numbers, *(f"{name}{MISSING}" for name in missing), *words, *(c.name for c in codes))
        return cls(columns, transformer, names, texts, declared.missing)

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
        places = {name: place for place, name in enumerate(dict.fromkeys(self.owners))}
        return table_policy([places[name] for name in self.owners])

    @property
    def owners(self) -> tuple[str, ...]:
        """The column of the table that each of the D output columns is made from, by its place: names may mislead."""
        numbers = [c.name for c in self.columns if c.kind in USED and c.kind not in ("category", "text")]
        words = [name for name, text in self.texts.items() for _ in range(text.size)]
        indicators = self.names[len(numbers) : self.numeric - len(words)]
        missing = [name.removesuffix(MISSING) for name in indicators]
        return (*numbers, *missing, *words, *self.names[self.numeric :])

    @cached_property
    def notes(self) -> tuple[str, ...]:
        """Sentences on columns."""
        return tuple(c.note for c in self.columns if c.note)

    def __call__(self, raw: Any) -> Tensor:
        """The inputs (N, D) of a `Table` or frame; columns that training did not have are ignored.

        Raises:
            ValueError: a column of training is missing, or holds another kind of cells; named.
        """
        frame = self.without_markers(_frame(raw))
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
        typed = typed_cells(used, frame)
        for note in unknown_categories(used, typed):
            log.info(note)
        block = self._block(typed[plain_names(used)], typed)
        with np.errstate(over="ignore"):
            inputs = np.ascontiguousarray(block, dtype=np.float32)
        _check(inputs, self.names)
        return torch.from_numpy(inputs)

    def _block(self, plain: Any, typed: Any) -> np.ndarray:
        """The inputs (N, D) in float64: what the transformer makes of plain columns, texts before the codes."""
        words = [text(typed[name].tolist()) for name, text in self.texts.items()]
        if self.transformer is None:
            return np.concatenate(words, axis=1)
        block = np.asarray(self.transformer.transform(plain), dtype=np.float64)
        first = block.shape[1] - len(self.categories)
        block[:, first:] += 1  # the encoder gives -1 to what it does not know
        return np.concatenate([block[:, :first], *words, block[:, first:]], axis=1) if words else block

    def without_markers(self, frame: Any) -> Any:
        """The rows with empty cells for those that training was told to mean missing."""
        return blanked(frame, self.missing)[0]

    def unfamiliar(self, raw: Any) -> tuple[str, ...]:
        """A sentence on every column of these rows with categories that training did not have, as a wrong file has.

        Columns whose rarest categories share one code anyway (`CATEGORIES`) are passed over.
        """
        frame = self.without_markers(_frame(raw))
        codes = [c for c in self.columns if c.kind == "category"]
        return tuple(unknown_categories(codes, typed_cells(codes, frame))) if len(frame) and codes else ()

    def to_json(self) -> dict[str, Any]:
        """Plain JSON; the fitted numbers are in `blobs`."""
        columns = [
            {"name": c.name, "kind": c.kind, "categories": list(c.categories), "note": c.note} for c in self.columns
        ]
        declared = {"missing": list(self.missing)} if self.missing else {}
        return {"kind": self.kind, "columns": columns, "names": list(self.names), **declared}

    def blobs(self) -> dict[str, bytes]:
        """The scikit-learn transformer in skops form, and the words of texts as arrays."""
        from longtail.facts import trusted

        plain = {} if self.transformer is None else {FILE: trusted.dumps(self.transformer)}
        return {**plain, **({TEXTS: packed(self.texts)} if self.texts else {})}

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
            names, missing = tuple(map(str, description["names"])), tuple(map(str, description.get("missing", ())))
            plain = any(c.kind in USED and c.kind != "text" for c in columns)
            data = blobs[FILE] if plain else None
            texts = unpacked(blobs[TEXTS]) if any(c.kind == "text" for c in columns) else {}
        except (KeyError, TypeError) as error:
            raise ValueError(
                f"the table preparation of this model is damaged ({error}); save the model again"
            ) from None
        transformer = None if data is None else trusted.loads(data, "the table preparation")
        restored = cls(columns, transformer, names, texts, missing)
        if not (transformer is None or isinstance(transformer, ColumnTransformer)) or not restored._fits():
            raise ValueError("the table preparation of this model does not fit its description; save the model again")
        return restored

    def _fits(self) -> bool:
        """Whether the transformer fits these columns."""
        used = [c for c in self.columns if c.kind in USED]
        if list(self.texts) != [c.name for c in used if c.kind == "text"]:
            return False
        if self.transformer is None:
            return len(self.names) == sum(text.size for text in self.texts.values())
        encoder = self.transformer.named_transformers_.get("codes")
        known = [len(c) + 1 for c in encoder.categories_] if encoder is not None else []
        return (
            list(self.transformer.feature_names_in_) == plain_names(used)
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


def _check(inputs: np.ndarray, names: tuple[str, ...]) -> None:
    wrong = ~np.isfinite(inputs)
    if wrong.any():
        name = names[int(np.flatnonzero(wrong.any(0))[0])]
        raise ValueError(
            f"column {name!r} holds numbers too far from those of training to be scaled; correct its cells"
        )
