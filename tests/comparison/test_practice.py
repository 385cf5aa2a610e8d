"""The preset practice: what it has on which data."""

from __future__ import annotations

import numpy as np
import pytest

from longtail.comparison.preparation import Prepared, prepare
from longtail.methods.presets import ON_FEATURES, PRACTICE

pd = pytest.importorskip("pandas")
G = np.random.default_rng(0)
X, Y = G.normal(size=(120, 3)), np.repeat(["a", "b"], [90, 30])


def keys(prepared: Prepared) -> list[str]:
    return [one.key for one in prepared.methods]


def test_on_a_table_with_a_validation_part_it_is_all_of_its_methods() -> None:
    frame = pd.DataFrame(X, columns=list("pqr")).assign(kind=Y)
    prepared = prepare(frame, "kind", methods="practice", val=0.2)
    assert keys(prepared) == list(PRACTICE)
    assert prepared.recipe.model_args.get("hidden") != []


def test_without_one_it_says_what_is_left_out_and_how_to_have_it(caplog: pytest.LogCaptureFixture) -> None:
    frame = pd.DataFrame(X, columns=list("pqr")).assign(kind=Y)
    assert keys(prepare(frame, "kind", methods="practice")) == [key for key in PRACTICE if key != "trees-threshold"]
    assert (
        "method 'trees-threshold' needs a validation part, got none; add --val 0.2 (val=0.2); left out" in caplog.text
    )


def test_on_embeddings_it_has_the_preset_for_these_and_its_linear_recipe() -> None:
    prepared = prepare(X.astype(np.float32), Y, methods="practice", val=0.2)
    assert keys(prepared) == [*PRACTICE, *(key for key in ON_FEATURES if key not in PRACTICE)]
    assert (prepared.recipe.model, prepared.recipe.lr) == ("linear", 0.01)


def test_on_images_it_is_the_networks_and_one_line(caplog: pytest.LogCaptureFixture) -> None:
    images = G.integers(0, 256, (120, 40, 40, 3), dtype=np.uint8)
    assert keys(prepare(images, Y, methods="practice", val=0.2)) == ["ce", "logit-adjusted"]
    assert caplog.text.count("left out") == 1


def test_on_the_digits_it_has_the_usual_network() -> None:
    prepared = prepare("digits", methods="practice", val=0.2)
    assert keys(prepared) == [key for key in PRACTICE if key != "logistic-smote"]  # a class of one row is left
    assert prepared.recipe.model != "linear"
