"""Nothing resamples before the split: what every fit receives, and a leaky pipeline that is caught."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from tests.methods.resampled_rows import OWN, RESAMPLED, fitted, learner, rows
from torch import Tensor

from longtail.data import Examples, Splits
from longtail.learners import estimator
from longtail.methods.entries import CATALOG
from longtail.methods.presets import CLASSICAL

imblearn = pytest.importorskip("imblearn")
from imblearn.over_sampling import SMOTE, BorderlineSMOTE, RandomOverSampler  # noqa: E402


class TestNothingResamplesBeforeTheSplit:
    """Rows that are tested or validated have 1 in a column where others have 0: a copy keeps it, and a new row between
    one of them and another has more than 0."""

    MARK = 3

    def marked(self, resample: Callable[[Any, Any], Any] | None = None) -> Splits:
        """A split with marks; `resample` is applied to all rows before it, as nobody should."""
        whole = rows((60, 30, 16))
        held_out = torch.arange(len(whole)) % 4 == 0
        x = torch.cat([whole.inputs, held_out.float().unsqueeze(1)], dim=1)
        # a tested row of the rarest class is a copy of one that is trained on, but for the mark
        x[-2, : self.MARK] = x[-3, : self.MARK] = x[-4, : self.MARK]
        if resample is None:
            train, test = (self.part(whole, x[r], whole.targets[r]) for r in (~held_out, held_out))
        else:
            found, targets = (torch.from_numpy(np.asarray(one)) for one in resample(x.numpy(), whole.targets.numpy()))
            apart = torch.arange(len(found)) % 4 == 0
            train, test = (self.part(whole, found[r].float(), targets[r]) for r in (~apart, apart))
        return Splits("marked", train, test)

    @staticmethod
    def part(like: Examples, inputs: Tensor, targets: Tensor) -> Examples:
        return replace(like, inputs=inputs, targets=targets)

    @staticmethod
    def received(key: str, splits: Splits, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
        """Every table that the whole classifier, then a sampler, a tree, a boosting or a regression in it is given."""
        from imblearn.base import SamplerMixin
        from sklearn.tree import BaseDecisionTree

        from longtail.classical.smote import SmallClassSMOTE

        found: list[Any] = []

        def spied(plain: Any) -> Any:
            def call(self: Any, X: Any, *arguments: Any, **options: Any) -> Any:
                found.append(np.array(X))
                return plain(self, X, *arguments, **options)

            return call

        places = (
            (estimator, "fit_logged"), (SamplerMixin, "fit_resample"), (SmallClassSMOTE, "fit_resample"),
            (BaseDecisionTree, "_fit"), (HistGradientBoostingClassifier, "fit"), (LogisticRegression, "fit"),
        )  # fmt: skip
        with monkeypatch.context() as patch:
            for place, name in places:
                patch.setattr(place, name, spied(getattr(place, name)))
            fitted(key, splits.train)
        return found

    @pytest.mark.parametrize("key", sorted({key for key in (*CLASSICAL, "logistic", "trees") if key in CATALOG}))
    def test_in_any_wrapper(self, key: str, monkeypatch: pytest.MonkeyPatch) -> None:
        splits = self.marked()
        assert splits.test.inputs[:, self.MARK].min() == 1
        small = {"easy-ensemble": "easy-ensemble(n_estimators=2)", "self-paced": "self-paced(n_estimators=4)"}
        whole, *inside = self.received(small.get(key, key), splits, monkeypatch)
        assert whole.tolist() == splits.train.inputs.double().tolist()  # each row once
        if key in (*OWN, "logistic", "trees"):  # kernels have other columns inside
            assert inside
            assert all((table[:, self.MARK] == 0).all() for table in inside)
        if key in RESAMPLED:  # the sampler comes first and gets the training rows, each once
            assert len(inside[0]) == len(splits.train)
            assert len(np.unique(inside[0].round(6), axis=0)) == len(np.unique(whole.round(6), axis=0))

    @pytest.mark.parametrize(
        "sampler", [SMOTE(random_state=0), RandomOverSampler(random_state=0), BorderlineSMOTE(random_state=0)]
    )
    def test_resampling_before_the_split_would_be_seen(self, sampler: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        leaky = self.marked(sampler.fit_resample)
        found = self.received("logistic-smote", leaky, monkeypatch)
        assert any((table[:, self.MARK] > 0).any() for table in found)

    def test_no_held_out_rows_of_boosting_are_copies(self) -> None:
        """Beyond 10,000 rows boosting holds out a tenth to stop early; copies would be in both parts."""
        train = rows((9_000, 1_500))
        for key, stops in (("trees-over", False), ("trees-smote", False), ("trees-under(ratio=0.17)", True)):
            made = learner(key, train)
            estimator = made.make(0, train.targets.numpy())
            last = estimator.steps[-1][1]
            assert last.early_stopping == ("auto" if stops else False), key
