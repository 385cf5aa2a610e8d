"""scikit-learn's classifiers as methods: they see a table as it is, and are runs like any other."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from torch import Tensor

from longtail.data import Examples, Splits, load
from longtail.data.mapped import MappedExamples
from longtail.engine import Recipe
from longtail.engine.default_recipe import default_recipe
from longtail.engine.randomness import derived
from longtail.methods import method, methods
from longtail.methods.entries import ESTIMATORS
from longtail.runs.predictor import Predictor
from longtail.runs.run import Run
from longtail.runs.train import Fit, train

pytest.importorskip("skops.io")
pd = pytest.importorskip("pandas")

SIZES = (9, 301)
CLASSES = ("common", "rare", "rarest")


def frame(size: int, seed: int) -> tuple[Any, Tensor]:
    """Two numbers, a column of 8 categories and one of 300; the class follows the first category and a number."""
    g = np.random.default_rng(seed)
    small, large = g.integers(0, 8, size), g.integers(0, 300, size)
    if seed == 0:
        large[:300] = np.arange(300)  # training rows have them all
    number = g.normal(size=size)
    score = number + small * 3 % 8 * 0.6 + 0.5 * g.normal(size=size)
    y = np.digitize(score, [3.0, 4.5])
    columns = {
        "a": number,
        "b": g.normal(5, 3, size),
        "c": np.array(list("stuvwxyz"))[small],
        "d": [f"k{i}" for i in large],
    }
    return pd.DataFrame(columns), torch.from_numpy(y)


def table(size: int = 500) -> Splits:
    from longtail.data.prepare.table import TablePreparation

    rows, y = frame(size, 0)
    other, z = frame(200, 1)
    preparation = TablePreparation.fit(rows)
    assert (preparation.numeric, preparation.categories) == (2, SIZES)
    parts = [Examples(preparation(x), t, CLASSES) for x, t in ((rows, y), (other, z))]
    return Splits("table", parts[0], parts[1], preparation=preparation, facts={"rows": size})


TABLE = table()


def one_hot(inputs: Tensor) -> Any:
    """Numbers beside indicators of codes, by hand: code j of a column of `size` codes is the j-th of `size` columns."""
    codes = inputs[:, 2:].long()
    return np.concatenate([inputs[:, :2], *(np.eye(s)[codes[:, k]] for k, s in enumerate(SIZES))], axis=1)


def logs(run: Run) -> Tensor:
    return run.predictions()["scores"]


def floored(probs: Any) -> Any:
    return np.log(np.maximum(probs, 1e-12))


class TestOnATable:
    def test_logistic_regression_is_scikit_learns_on_numbers_and_one_hot_codes(self, tmp_path: Path) -> None:
        run = train("logistic(C=0.5)", TABLE, folder=tmp_path)
        own = LogisticRegression(C=0.5, max_iter=1000).fit(one_hot(TABLE.train.inputs), TABLE.train.targets)
        expected = floored(own.predict_proba(one_hot(TABLE.test.inputs)))
        np.testing.assert_allclose(logs(run).numpy(), expected, atol=2e-3)

    @pytest.mark.parametrize("weight", [None, "balanced"])
    def test_trees_are_scikit_learns_with_small_columns_of_codes_as_categories(
        self, tmp_path: Path, weight: Any
    ) -> None:
        name = "trees(max_iter=20)" if weight is None else "trees-cw(max_iter=20)"
        run = train(name, TABLE, folder=tmp_path, seed=3)
        seed = derived(3, 0, 0, "global") % 2**32
        own = HistGradientBoostingClassifier(
            max_iter=20, categorical_features=[2], random_state=seed, class_weight=weight, early_stopping=False
        ).fit(TABLE.train.inputs.double().numpy(), TABLE.train.targets.numpy())
        expected = floored(own.predict_proba(TABLE.test.inputs.double().numpy()))
        np.testing.assert_allclose(logs(run).numpy(), expected, atol=1e-4)
        as_numbers = own.set_params(categorical_features=None).fit(
            TABLE.train.inputs.double().numpy(), TABLE.train.targets.numpy()
        )
        assert not np.allclose(floored(as_numbers.predict_proba(TABLE.test.inputs.double().numpy())), expected)

    def test_an_unknown_category_is_answered(self, tmp_path: Path) -> None:
        rows, _ = frame(3, 2)
        rows.loc[0, "c"], rows.loc[1, "d"] = "new", None
        for key in ("logistic", "trees(max_iter=3)"):
            run = train(key, TABLE, folder=tmp_path / key)
            found = run.predictor.predict_proba(rows)
            assert found.shape == (3, 3)
            assert found.sum(1).tolist() == pytest.approx([1, 1, 1])

    @pytest.mark.slow
    def test_a_saved_model_predicts_the_same_bytes_in_a_new_process_and_a_moved_folder(self, tmp_path: Path) -> None:
        code = (
            "import sys, test_estimators as t; from longtail.engine import Predictor;"
            "sys.stdout.buffer.write(Predictor.load(sys.argv[1]).scores(t.TABLE.test.inputs).numpy().tobytes())"
        )
        run = train("trees-posthoc(max_iter=3)", TABLE, folder=tmp_path / "one")
        (tmp_path / "one").rename(tmp_path / "two")
        command = [sys.executable, "-c", code, str(tmp_path / "two")]
        found = subprocess.run(command, capture_output=True, check=True, cwd=Path(__file__).parent)
        expected = run.__class__.load(tmp_path / "two").predictions()["scores"]
        assert found.stdout == expected.numpy().tobytes()

    def test_two_runs_write_the_same_model(self, tmp_path: Path) -> None:
        one, other = (train("trees(max_iter=3)", TABLE, folder=tmp_path / name).folder for name in ("one", "other"))
        assert (one / "model.safetensors").read_bytes() == (other / "model.safetensors").read_bytes()

    def test_no_file_of_a_run_is_a_pickle(self, tmp_path: Path) -> None:
        train("trees(max_iter=3)", TABLE, folder=tmp_path)
        suffixes = {path.suffix for path in tmp_path.rglob("*") if path.is_file()}
        assert suffixes == {".json", ".jsonl", ".safetensors", ".skops", ""}
        assert not [p for p in tmp_path.rglob("*") if p.is_file() and p.read_bytes()[:2] == b"\x80\x04"]

    def test_a_model_that_was_exchanged_for_something_else_is_refused(self, tmp_path: Path) -> None:
        run = train("logistic", TABLE, folder=tmp_path)
        meta = json.loads((tmp_path / "meta.json").read_text())
        assert meta["network"] == {"name": "estimator", "num_classes": 3}
        predictor = run.predictor
        predictor.network.fitted = torch.frombuffer(bytearray(b"not an archive"), dtype=torch.uint8)
        predictor.save(tmp_path)
        with pytest.raises(ValueError, match="the saved estimator is damaged"):
            Predictor.load(tmp_path)


class TestRows:
    def test_sample_weights_count(self, tmp_path: Path) -> None:
        times = torch.arange(len(TABLE.train)) % 3
        rows = torch.repeat_interleave(torch.arange(len(times)), times)
        weighted = replace(TABLE, train=replace(TABLE.train, sample_weight=times.float()))
        copied = replace(TABLE, train=TABLE.train.take(rows))
        for key in ("logistic", "logistic-cw"):
            one, other = (
                logs(train(key, splits, folder=tmp_path / f"{key}-{name}", recipe=default_recipe(TABLE)))
                for name, splits in (("weighted", weighted), ("copied", copied))
            )
            np.testing.assert_allclose(one.numpy(), other.numpy(), atol=5e-3)

    def test_features_are_scaled_as_the_networks_scale_them(self, tmp_path: Path) -> None:
        g = np.random.default_rng(0)
        x, y = g.normal(size=(90, 3)), np.repeat([0, 1, 2], (60, 20, 10))
        x[:, 0] += y
        found = [
            logs(train("logistic", load(x * scale, y), folder=tmp_path / str(scale), recipe=Recipe(epochs=1)))
            for scale in (1, 1000)
        ]
        torch.testing.assert_close(found[0], found[1], atol=1e-3, rtol=1e-3)

    def test_large_data_stop_early_by_the_seed_unless_a_class_has_one_row(self, tmp_path: Path) -> None:
        g = np.random.default_rng(0)
        y = (np.arange(10_500) % 7 == 0).astype(int)
        x = torch.from_numpy(g.normal(size=(len(y), 2)) + y[:, None]).float()
        rows = Examples(x, torch.from_numpy(y), ("a", "b"))
        many = Splits("many", rows, rows.take(torch.arange(50)))
        recipe = Recipe(epochs=1, model="mlp")
        one, other = (
            logs(train("trees(max_iter=3)", many, folder=tmp_path / f"{seed}", seed=seed, recipe=recipe))
            for seed in (0, 1)
        )
        assert not one.equal(other)
        lonely = replace(rows, targets=rows.targets.index_fill(0, torch.tensor([3]), 2), classes=("a", "b", "c"))
        single = replace(many, train=lonely, test=lonely.take(torch.arange(50)))
        one, other = (
            logs(train("trees(max_iter=3)", single, folder=tmp_path / f"single-{seed}", seed=seed, recipe=recipe))
            for seed in (0, 1)
        )
        assert one.equal(other)


class TestRefusals:
    def many(self, classes: int, values: int = 1, rows: int = 0) -> Examples:
        size = max(rows, classes)
        names = tuple(f"{j:05}" for j in range(classes))
        return Examples(torch.zeros(1, values).expand(size, values), torch.arange(size) % classes, names)

    @pytest.mark.parametrize("key", ["trees", "trees-cw", "trees-posthoc"])
    def test_trees_of_ten_thousand_classes(self, key: str, tmp_path: Path) -> None:
        rows = self.many(10_000)
        message = rf"method '{key}' takes at most 200 classes \(a tree for each and iteration\), got 10000; leave it"
        with pytest.raises(ValueError, match=message):
            methods(f"ce,{key}", data=rows)
        with pytest.raises(ValueError, match="takes at most 200 classes"):
            list(Fit(key, Splits("many", rows, rows), recipe=Recipe(epochs=1, model="mlp")))
        assert method(key).refuses(self.many(200)) is None

    def test_logistic_regression_of_too_many_scores(self) -> None:
        message = "'logistic' takes at most 100,000,000 training rows x classes, got 200,000,000; leave it out"
        with pytest.raises(ValueError, match=message):
            methods("logistic", data=self.many(10_000, rows=20_000))
        assert method("logistic").refuses(self.many(10_000)) is None

    def test_large_images_and_rows_that_are_not_in_memory(self) -> None:
        for key in ESTIMATORS:
            most, values = ("4,096", 5000) if key.startswith("logistic") else ("1,024", 3072)
            why = rf"'{key}' takes at most {most} values an example, got {values:,}; leave"
            with pytest.raises(ValueError, match=why):
                methods(key, data=self.many(3, values=values))
            image = replace(self.many(3), inputs=torch.zeros(3, 3, 32, 32))
            with pytest.raises(ValueError, match=rf"'{key}' takes at most 1,024 values an example, got 3,072; leave"):
                methods(key, data=image)
            behind = MappedExamples([], torch.arange(3), ("a", "b", "c"), identity="x")  # type: ignore[arg-type]
            with pytest.raises(ValueError, match=rf"'{key}' needs all training rows in memory, got rows that are"):
                methods(key, data=behind)

    def test_presets_leave_out_what_does_not_fit_and_say_so(self, caplog: pytest.LogCaptureFixture) -> None:
        found = {m.key for m in methods("quick", table=True, task="supervised", data=self.many(300))}
        assert found & set(ESTIMATORS) == {"logistic", "logistic-cw", "logistic-posthoc"}
        assert "methods trees, trees-cw, trees-posthoc: each takes at most 200 classes (a tree for " in caplog.text
        assert caplog.text.count("left out") == 1

    @pytest.mark.parametrize(
        ("spec", "message"),
        {
            "logistic(C=0)": "C must be > 0, got 0",
            "trees(learning_rate=1.5)": r"learning_rate must be in \(0, 1\], got 1.5",
            "trees(max_iter=0)": r"max_iter must be an integer in \[1, 10000\], got 0",
            "trees(max_leaf_nodes=1)": r"max_leaf_nodes must be an integer in \[2, 65535\], got 1",
            "trees-cw(depth=3)": "has no knob 'depth'; it accepts trees-cw",
            "trees-posthoc(tau=-1.0)": "tau must be >= 0, got -1.0",
        }.items(),
    )
    def test_knobs_out_of_range(self, spec: str, message: str) -> None:
        with pytest.raises(ValueError, match=message):
            method(spec)


class TestTheRecipeOfATable:
    def test_embeds_codes_and_scales_nothing_again(self) -> None:
        recipe = default_recipe(TABLE)
        assert recipe.model == "tabular"
        assert recipe.model_args == {"numeric": 2, "categories": [9, 301]}
        network: Any = recipe.network(TABLE.train)
        assert network.standardize(TABLE.test.inputs).equal(TABLE.test.inputs)
        recipe.check(TABLE.train)

    def test_has_larger_batches_for_larger_tables(self) -> None:
        def sized(size: int, **changes: Any) -> tuple[int, int]:
            rows = torch.arange(size) % 500
            recipe = default_recipe(replace(TABLE, train=TABLE.train.take(rows)), **changes)
            return recipe.batch_size, recipe.epochs

        assert sized(500) == (32, 56)
        assert sized(5_000) == (128, 22)
        assert sized(19_999) == (128, 20)
        assert (sized(20_000), sized(100_000)) == ((512, 22), (512, 20))
        assert sized(20_000, batch_size=64, epochs=3) == (64, 3)

    def test_keeps_what_the_user_changed(self) -> None:
        recipe = default_recipe(TABLE, model="auto", lr=0.01, model_args={"hidden": [8]})
        assert recipe.lr == 0.01
        assert recipe.model_args == {"hidden": [8], "numeric": 2, "categories": [9, 301]}
        assert default_recipe(TABLE, model="tabular", epochs=None) == default_recipe(TABLE)

    def test_refuses_networks_that_take_codes_for_numbers(self) -> None:
        with pytest.raises(ValueError, match="model must be tabular for a table with columns of categories, got 'mlp'"):
            default_recipe(TABLE, model="mlp")

    def test_lets_numbers_go_through_any_network(self) -> None:
        preparation: Any = type("Numbers", (), {"kind": "table", "numeric": 2, "categories": ()})()
        numbers = replace(TABLE, preparation=preparation)
        assert default_recipe(numbers, model="linear").model_args == {}
        assert default_recipe(numbers).model_args == {"numeric": 2, "categories": []}

    @pytest.mark.slow
    def test_trains_every_kind_of_method(self, tmp_path: Path) -> None:
        recipe = default_recipe(TABLE, epochs=8)
        for key in ("ce", "ldam-drw", "cb-focal"):
            scores = train(key, TABLE, folder=tmp_path / key, recipe=recipe).scores
            assert scores["accuracy"] > 0.7, key
