"""Methods that learn weights on a meta set: which rows they train on, what they refuse, and what a table says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tests.methods.task_data import splits

import longtail as lt
from longtail.catalogue.meta_set import lent_and_kept
from longtail.data import Together, TrainingSet, load
from longtail.engine import Built, Recipe
from longtail.facts.class_weights import effective_number
from longtail.methods import method
from longtail.updates import MetaResidual, Reweight

RECIPE = Recipe(epochs=2, batch_size=16, model="mlp", model_args={"hidden": (8,)})
KEYS = ("l2rw", "mwn", "meta")
ROWS = TrainingSet.of(splits("supervised"))
"""30, 15 and 6 rows."""


def built(spec: str, recipe: Recipe = RECIPE) -> Built:
    return method(spec).stages(recipe)[0].built(ROWS, None)


@pytest.mark.parametrize("key", KEYS)
class TestEach:
    def test_the_meta_set_is_out_of_the_rows_that_the_base_is_built_on(self, key: str) -> None:
        data: Any = built(key).data
        assert isinstance(data, Together)
        assert data.meta is not None
        assert data.meta.class_counts.tolist() == [10, 7, 3]
        assert data.main.class_counts.tolist() == [20, 8, 3]
        both = torch.cat([data.meta.inputs, data.main.inputs])
        assert len(both.unique(dim=0)) == len(ROWS.labeled)

    def test_batches_of_the_meta_set_are_balanced(self, key: str) -> None:
        data = built(f"{key}(meta_batch=300)").data
        drawn = [batch["meta"] for batch in data.batches(0.0, torch.Generator().manual_seed(0))]
        assert {len(part["targets"]) for part in drawn} == {300}
        shares = torch.bincount(torch.cat([part["targets"] for part in drawn])) / (300 * len(drawn))
        torch.testing.assert_close(shares, torch.full((3,), 1 / 3), atol=0.06, rtol=0)
        assert not drawn[0]["index"].equal(drawn[1]["index"])

    def test_counts_and_prior_are_those_of_the_rows_that_stay(self, key: str) -> None:
        rest = torch.tensor([20.0, 8.0, 3.0]).double()
        prior = method(f"{key}(base='ldam')").prior
        assert prior is not None
        weight = effective_number(rest, 0.9999, dtype=torch.float64) if key == "meta" else 1.0
        torch.testing.assert_close(prior(ROWS.class_counts), rest * weight)
        balanced = method(f"{key}(base='cb-rs')").prior
        assert balanced is not None
        assert len(balanced(ROWS.class_counts).unique()) == 1

    @pytest.mark.parametrize("base", ["ldam-drw", "cb-rs", "focal", "logit-adjusted", "over-rs", "ride"])
    def test_goes_with_losses_samplers_and_schedules(self, key: str, base: str) -> None:
        recipe = Recipe(epochs=1, batch_size=16, model="mlp", model_args={"hidden": (8, 8)})
        found = lt.fit(f"{key}(base={base!r})", splits("supervised"), recipe=recipe)
        (record,) = list(found)
        assert np.isfinite(record["loss"])
        assert len(record["mean_weights"]) == 3

    def test_a_compiled_network_is_refused_where_a_step_ahead_goes_through_it(self, key: str) -> None:
        compiled = Recipe(compile=True, model="mlp")
        why = method(key).refuses_recipe(compiled, ROWS.labeled)
        assert why is not None
        assert "compile must be off, since a compiled network has no such derivative" in why
        assert method(f"{key}(last_layer=True)").refuses_recipe(compiled, ROWS.labeled) is None

    def test_a_classifier_that_is_not_trained_has_no_last_layer(self, key: str) -> None:
        with pytest.raises(ValueError, match="last_layer must be False for a base whose classifier is not trained"):
            built(f"{key}(base='etf-dr', last_layer=True)")

    @pytest.mark.parametrize(
        ("knobs", "message"),
        [
            ("every=0", "every must be an integer >= 1, got 0"),
            ("per_class=0", "per_class must be an integer >= 1, got 0"),
            ("meta_batch=0", "meta_batch must be an integer >= 1, got 0"),
            ("base='fixmatch'", "'fixmatch', which is semi-supervised"),
            ("base='proden'", "'proden', which is partial"),
            ("base='trees'", "'trees', whose training is not one of gradient steps"),
            ("base='absgd'", "'absgd', which weighs its examples already"),
            ("base='sam'", "'sam', which takes steps of its own kind already"),
            ("base='mixup'", "'mixup', which mixes its examples already"),
        ],
    )
    def test_what_cannot_be_is_refused_by_name(self, key: str, knobs: str, message: str) -> None:
        with pytest.raises(ValueError, match=message):
            method(f"{key}({knobs})")

    def test_steps_that_do_not_all_look_ahead_say_that_they_are_not_captured(self, key: str) -> None:
        assert method(f"{key}(every=2)").stages(RECIPE)[0].eager
        assert bool(method(key).stages(RECIPE)[0].eager) == (key == "meta")

    def test_strong_augmentation_of_the_training_rows(self, key: str) -> None:
        data: Any = built(key, Recipe(epochs=2, batch_size=16, model="mlp", augmentation="strong")).data
        assert data.main.views == ("strong",)


def test_the_residual_has_class_weights_unless_the_base_re_balances() -> None:
    def class_weight(spec: str) -> Any:
        update: Any = built(spec).update
        assert isinstance(update, Reweight)
        assert isinstance(update.weighting, MetaResidual)
        return update.weighting.class_weight

    torch.testing.assert_close(class_weight("meta"), effective_number(torch.tensor([20, 8, 3]), 0.9999))
    for base in ("ldam-drw", "cb-rs", "logit-adjusted"):
        assert class_weight(f"meta(base={base!r})") is None, base


def test_a_table_says_which_classes_are_in_the_meta_set_and_in_training(tmp_path: Path) -> None:
    x = np.random.default_rng(0).normal(size=(60, 4))
    y = np.array(["common"] * 40 + ["some"] * 16 + ["once"] * 4)
    pool = load(x, y)
    once = pool.train.targets == pool.classes.index("once")
    kept = torch.cat([torch.nonzero(~once).flatten(), torch.nonzero(once).flatten()[:1]])
    note = lent_and_kept(pool.train.take(kept))
    assert note == "meta sets contain the only training row of 1 class, which is trained on, too: 'once'"
    assert lent_and_kept(pool.train) is None
    assert [note(ROWS.labeled) for note in method("mwn(per_class=4)").notes] == [
        "methods with a meta set of 4 rows a class train on 40 of 51 rows",
        None,
    ]
    assert method("ce").notes == ()
    single = np.array(["common"] * 40 + ["some"] * 19 + ["once"])
    result = lt.compare(x, single, methods="ce,mwn", epochs=1, out=tmp_path / "out")
    assert "meta sets contain the only training row" in result.to_markdown()
    without = lt.compare(x, single, methods="ce,absgd", epochs=1, out=tmp_path / "without")
    assert "meta sets" not in without.to_markdown()
