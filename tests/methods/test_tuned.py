"""Methods that choose their training on validation rows: what they try, what they choose, and what they never read."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file

from longtail import compare
from longtail.catalogue.search import Candidate
from longtail.data import Splits, TrainingSet, load
from longtail.data.together import Together
from longtail.engine import Recipe
from longtail.engine.default_recipe import default_recipe
from longtail.engine.recipe import STRONG
from longtail.methods import method
from longtail.methods.registry import explained
from longtail.methods.tuning.tuned import settings
from longtail.runs.run import Run
from longtail.runs.train import Fit, train

RECIPE = Recipe(epochs=6, batch_size=8, model="mlp", model_args={"hidden": (8,)}, lr=0.05)
SMALL = "ce-tuned(weight_decay=(0.02, 0.5), dropout=(0.5,), smoothing=(0.2,))"


def gaussians(apart: float = 1.5) -> Splits:
    generator = np.random.default_rng(0)
    y = np.repeat(np.arange(3), (60, 30, 12))
    return load(generator.normal(size=(len(y), 4)) + apart * y[:, None], y, val=0.3)


SPLITS = gaussians()


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return train(SMALL, SPLITS, folder=tmp_path_factory.mktemp("tuned"), recipe=RECIPE)


def balanced_accuracy(folder: Path) -> float:
    """By numpy, from the scores of a run."""
    arrays = load_file(folder / "predictions.safetensors")
    right = arrays["scores"].argmax(1) == arrays["targets"]
    return float(np.mean([right[arrays["targets"] == j].mean() for j in np.unique(arrays["targets"])]))


def candidates(spec: str, splits: Splits, recipe: Recipe, metric: Any) -> list[Candidate]:
    """All that a method tries where the metric of a candidate is that function of it."""
    search = method(spec).search
    assert search is not None
    rounds, tried = search.rounds(recipe, splits.train), {}
    asked = next(rounds)
    while True:
        tried |= {one.text: one for one in asked}
        try:
            asked = rounds.send([metric(one) for one in asked])
        except StopIteration:
            assert len(tried) <= search.most(recipe, splits.train)
            return list(tried.values())


class TestWhatIsTried:
    def test_plain_training_on_features_weight_decay_then_dropout_then_smoothing(self) -> None:
        tried = candidates("ce-tuned", SPLITS, RECIPE, lambda one: one.changes.get("weight_decay", 0) == 5e-3)
        assert [one.text for one in tried] == [
            "ce",
            *(f"ce with weight_decay={decay}" for decay in ("5e-05", "0.001", "0.005", "0.02")),
            *(f"ce with dropout={share}, weight_decay=0.005" for share in (0.25, 0.5)),
            "label-smoothing(eps=0.1) with weight_decay=0.005",
        ]
        assert len(tried) == method("ce-tuned").search.most(RECIPE, SPLITS.train)  # type: ignore[union-attr]

    def test_plain_training_on_images_has_strong_augmentation_in_the_place_of_dropout(self) -> None:
        splits = load("digits", val=0.2)
        tried = candidates("ce-tuned", splits, default_recipe(splits), lambda one: 0.5)
        assert len(tried) == 7
        assert [one.text for one in tried[-2:]] == ["ce with augmentation='strong'", "label-smoothing(eps=0.1)"]

    def test_the_dropout_of_a_candidate_is_that_of_its_network(self) -> None:
        recipe = Candidate("ce", {"model_args": {"dropout": 0.25}}).under(RECIPE)
        assert recipe.model_args == {"hidden": (8,), "dropout": 0.25}
        rates = [m.p for m in recipe.network(SPLITS.train).modules() if isinstance(m, torch.nn.Dropout)]
        assert rates == [0.25]

    def test_explain_says_that_every_candidate_is_trained(self) -> None:
        assert explained("ce-tuned")["trains"] == "a network for each candidate of its search"
        assert explained("tuned(base='trees')")["trains"].endswith(" for each candidate of its search")

    @pytest.mark.parametrize("spec", ["ce", "bbn", "absgd"])
    def test_strong_augmentation_goes_with_a_number_of_steps_and_with_two_samplers(self, spec: str) -> None:
        splits = load("digits")
        recipe = default_recipe(splits, steps=5, augmentation=STRONG, model="resnet32")
        built = method(spec).stages(recipe)[0].built(TrainingSet.of(splits), None)
        data: Any = built.data
        assert data.steps() == 5
        parts = [part for part in (data.main, getattr(data.main, "main", None), data.second) if part is not None]
        assert all(part.views == (STRONG,) for part in parts if not isinstance(part, Together))

    def test_a_tuned_method_is_itself_first_and_then_drawn_from_the_ranges_of_its_knobs(self) -> None:
        tried = settings(method("absgd(lam=3.0)"), RECIPE, 40)
        assert len(tried) == 40
        assert tried[0] == Candidate("absgd(lam=3.0)")
        for one in tried[1:]:
            assert 5e-5 <= one.changes["weight_decay"] <= 2e-2
            assert 0.1 * RECIPE.lr <= one.changes["lr"] <= 2 * RECIPE.lr
            method(one.spec)  # every value is in its range

    @pytest.mark.parametrize("spec", ["crt", "lws", "mislas", "maxnorm", "los", "oltr", "absgd-decoupled", "ssp"])
    def test_no_trial_is_longer_than_another(self, spec: str) -> None:
        epochs = {
            tuple(stage.epochs for stage in method(one.spec).stages(RECIPE))
            for one in settings(method(spec), RECIPE, 20)
        }
        assert len(epochs) == 1

    def test_knobs_that_do_not_go_together_are_left_out(self) -> None:
        tried = settings(method("etf-dr(rescale=True)"), RECIPE, 20)
        assert 1 < len(tried) < 20
        assert all("loss='ce'" not in one.spec and "rescale=True" in one.spec for one in tried)

    def test_methods_with_equal_trials_have_the_same_draws_of_the_recipe(self) -> None:
        first, second = (settings(method(spec), RECIPE, 6) for spec in ("ce", "ldam-drw"))
        assert [one.changes for one in first] == [one.changes for one in second]
        assert settings(method("ce"), RECIPE, 3) == first[:3]

    def test_an_estimator_varies_its_own_knobs_alone(self) -> None:
        assert all(not one.changes for one in settings(method("logistic"), RECIPE, 5))


class TestWhatIsChosen:
    def test_the_best_candidate_by_hand(self, run: Run, tmp_path: Path) -> None:
        held = replace(SPLITS, test=SPLITS.val, val=None, test_rows=None)
        found = {row["candidate"]: row["balanced_accuracy"] for row in run.result["search"]["rows"]}
        assert len(found) == run.result["search"]["trainings"] == 5
        by_hand = {}
        for k, text in enumerate(found):
            spec, _, changed = text.partition(" with ")
            changes: dict[str, Any] = dict(pair.split("=") for pair in changed.split(", ") if pair)
            recipe = replace(
                RECIPE, weight_decay=float(changes.get("weight_decay", RECIPE.weight_decay)),
                model_args={**RECIPE.model_args, **({"dropout": 0.5} if "dropout" in changes else {})},
            )  # fmt: skip
            train(spec, held, folder=tmp_path / str(k), recipe=recipe)
            by_hand[text] = balanced_accuracy(tmp_path / str(k))
            train(spec, SPLITS, folder=tmp_path / f"{k}-tested", recipe=recipe)
        assert found == pytest.approx(by_hand)
        (chosen,) = run.result["search"]["chosen"]
        assert by_hand[chosen] == max(by_hand.values()) > min(by_hand.values())
        # and it is what predicts the test part
        again = tmp_path / f"{list(found).index(chosen)}-tested" / "predictions.safetensors"
        assert again.read_bytes() == (run.folder / "predictions.safetensors").read_bytes()

    def test_the_cost_is_that_of_all_candidates(self, run: Run) -> None:
        assert run.result["seconds"] > run.result["search"]["seconds"] > 0
        assert run.result["search"]["seconds"] == pytest.approx(
            sum(row["seconds"] for row in run.result["search"]["rows"])
        )

    def test_its_records_are_those_of_the_chosen_training_without_scores_of_validation_rows(self, run: Run) -> None:
        assert [(r["stage"], r["epoch"]) for r in run.records] == [("train", epoch) for epoch in range(1, 7)]
        assert not any("scores" in record for record in run.records)

    def test_another_test_part_changes_nothing_of_the_search(self, run: Run, tmp_path: Path) -> None:
        inputs, targets = torch.full_like(SPLITS.test.inputs, 1e6), SPLITS.test.targets * 0
        poisoned = replace(SPLITS.test, inputs=inputs, targets=targets)
        other = train(SMALL, replace(SPLITS, test=poisoned), folder=tmp_path, recipe=RECIPE)
        without = [{k: v for k, v in row.items() if k != "seconds"} for row in other.result["search"]["rows"]]
        assert without == [{k: v for k, v in row.items() if k != "seconds"} for row in run.result["search"]["rows"]]
        assert other.result["search"]["chosen"] == run.result["search"]["chosen"]
        assert (other.folder / "model.safetensors").read_bytes() == (run.folder / "model.safetensors").read_bytes()

    def test_interrupted_anywhere_it_ends_the_same(self, run: Run, tmp_path: Path) -> None:
        for cut in range(1, 36, 5):
            begun = Fit(SMALL, SPLITS, folder=tmp_path / str(cut), recipe=RECIPE)
            for _ in range(cut):
                next(begun)
            begun.close()
            assert not (tmp_path / str(cut) / "run.json").exists()
            gone_on = train(SMALL, SPLITS, folder=tmp_path / str(cut), recipe=RECIPE)
            assert (gone_on.folder / "predictions.safetensors").read_bytes() == (
                run.folder / "predictions.safetensors"
            ).read_bytes()
            assert gone_on.result["search"]["chosen"] == run.result["search"]["chosen"]

    def test_damaged_candidates_are_trained_again_and_a_finished_run_needs_none(self, run: Run, tmp_path: Path) -> None:
        folder = tmp_path / "run"
        shutil.copytree(run.folder, folder)
        shutil.rmtree(folder / "search")
        assert Run.load(folder).result == run.result
        shutil.rmtree(folder)
        shutil.copytree(run.folder, folder)
        (folder / "run.json").unlink()
        damaged = sorted((folder / "search").glob("*/predictions.safetensors"))
        damaged[0].write_bytes(b"damaged")
        (damaged[1].parent / "run.json").write_text("{}")
        (damaged[2].parent / "config.json").write_text("{")
        shutil.rmtree(damaged[3].parent)
        for stage in (folder / "stages").rglob("*.safetensors"):
            stage.write_bytes(b"damaged")
        again = train(SMALL, SPLITS, folder=folder, recipe=RECIPE)
        assert again.result["search"]["chosen"] == run.result["search"]["chosen"]
        for name in ("predictions.safetensors", "model.safetensors"):
            assert (folder / name).read_bytes() == (run.folder / name).read_bytes()

    def test_without_a_folder_it_trains_the_same(self, run: Run) -> None:
        fit = Fit(SMALL, SPLITS, recipe=RECIPE)
        assert len(list(fit)) == 6 * RECIPE.epochs  # five candidates, and the chosen one's records
        scores = torch.from_numpy(load_file(run.folder / "predictions.safetensors")["scores"])
        fit.learner.train(False)
        assert torch.allclose(fit.learner.predict(SPLITS.test.inputs), scores, atol=1e-5)

    def test_a_candidate_whose_loss_is_not_finite_is_not_chosen(self, tmp_path: Path, caplog: Any) -> None:
        spec = "ce-tuned(weight_decay=(1e30,), dropout=(0.0,), smoothing=(0.0,))"
        run = train(spec, SPLITS, folder=tmp_path, recipe=RECIPE)
        assert run.result["search"]["chosen"] == ["ce"]
        assert [row["balanced_accuracy"] for row in run.result["search"]["rows"]][1] is None
        assert "is not chosen: " in caplog.text

    def test_a_rule_and_its_knobs_are_tuned_with_the_training_they_share(self, tmp_path: Path) -> None:
        run = train("tuned(base='logit-adjusted-posthoc', trials=4)", SPLITS, folder=tmp_path, recipe=RECIPE)
        (chosen,) = run.result["search"]["chosen"]
        assert chosen.startswith("logit-adjusted-posthoc")
        assert "adjusted_scores" in run.predictions()


class TestTables:
    def test_a_table_faces_tuned_plain_training_and_says_its_cost(self) -> None:
        found = compare(SPLITS, methods=f"{SMALL},logit-adjusted", seeds=2, epochs=4, model="mlp", jobs=1)
        row = next(row for row in found.rows if row["key"] == "ce-tuned")
        assert row["search"]["trainings"] == [5, 5]
        assert len(row["search"]["chosen"]) == 2
        text = found.to_markdown().replace("\\", "")
        assert f"tuned plain training ({SMALL.replace(' ', '')})" in text.replace(" 0.", "0.").replace(", ", ",") or (
            "tuned plain training (ce-tuned(" in text
        )
        assert "the best of 5 trainings by balanced accuracy on validation rows" in text
        assert found.summary["tuned"]["sentence"].startswith(("Nothing is shown to beat tuned plain", "logit-adjusted"))

    def test_every_method_of_a_table_is_tuned_under_one_budget(self) -> None:
        found = compare(SPLITS, methods="ldam-drw,trees,trees-cw", seeds=1, epochs=3, model="mlp", jobs=1, tune=3)
        assert {row["key"] for row in found.rows} == {"tuned"}
        assert found.summary["reference"] == "tuned(trials=3)"
        by_method = {row["method"]: row for row in found.rows}
        assert by_method["tuned(base='trees-cw', trials=3)"]["twin"]["method"] == "tuned(base='trees', trials=3)"
        assert all(max(row["search"]["trainings"]) <= 3 for row in found.rows)
        assert by_method["tuned(base='ldam-drw', trials=3)"]["search"]["trainings"] == [3]
        assert "Tuned: every method, by at most 3 trainings a run, on the validation rows alone." in found.to_markdown()

    def test_folds_search_each_for_itself(self, tmp_path: Path) -> None:
        generator = np.random.default_rng(0)
        y = np.repeat(np.arange(2), (40, 20))
        x = generator.normal(size=(60, 3)) + y[:, None]
        found = compare(x, y, methods=SMALL, folds=3, val=0.2, seeds=1, epochs=2, model="mlp", jobs=1, out=tmp_path)
        row = next(row for row in found.rows if row["key"] == "ce-tuned")
        assert row["search"]["trainings"] == [15]
        assert len(row["search"]["chosen"]) == 3


class TestBadInput:
    @pytest.mark.parametrize(
        ("spec", "words"),
        [
            ("ce-tuned(weight_decay=(-1.0,))", "weight_decay must be >= 0"),
            ("ce-tuned(weight_decay=())", "weight_decay must be numbers >= 0.*, those to try, got"),
            ("ce-tuned(dropout=(1.0,))", r"dropout must be in \[0, 1\)"),
            ("tuned(trials=0)", r"trials must be an integer in \[1, 10000\]"),
            ("tuned(base='ce-threshold')", "which needs them; name the method below it"),
            ("tuned(base='ce-tuned')", "which searches itself; name the method below it"),
            ("absgd(base='ce-tuned')", "which searches for its own training; tune the corrected method"),
            ("tau-norm(base='tuned')", "which searches for its own training; tune the corrected method"),
        ],
    )
    def test_of_a_spec(self, spec: str, words: str) -> None:
        with pytest.raises((ValueError, TypeError), match=words):
            method(spec)

    def test_no_validation_rows(self) -> None:
        bare = load(SPLITS.train.inputs, SPLITS.train.targets)
        with pytest.raises(ValueError, match="method 'ce-tuned' needs a validation part, got none; add --val"):
            Fit("ce-tuned", bare)
        with pytest.raises(ValueError, match=r"tune needs a validation part, got none; add --val 0.2 \(val=0.2\)"):
            compare(bare, methods="ce", tune=4)

    def test_of_a_table(self) -> None:
        with pytest.raises(ValueError, match="tune must be an integer in"):
            compare(SPLITS, methods="ce", tune=1)
        with pytest.raises(ValueError, match="recipe must be common with tune"):
            compare(SPLITS, methods="ce", tune=4, kind="own")
        with pytest.raises(ValueError, match="recipe must be common for a search, got own"):
            compare(SPLITS, methods="ce-tuned", kind="own")
