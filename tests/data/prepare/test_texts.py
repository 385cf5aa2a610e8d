"""Columns of text: which they are, their tf-idf by hand, and that nothing of a forged file is executed."""

import json
import math
import re
from collections import Counter
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import safetensors.numpy
from benchmarks import text_numbers
from tests.cases import cases

pd = pytest.importorskip("pandas")
pytest.importorskip("pyarrow")

import longtail as lt  # noqa: E402
from longtail.data import pool as read_pool  # noqa: E402
from longtail.data.prepare.columns import column  # noqa: E402
from longtail.data.prepare.restored import restored  # noqa: E402
from longtail.data.prepare.table import TEXTS, TablePreparation  # noqa: E402
from longtail.data.prepare.texts import SIZE, SPREAD, Text, packed, unpacked  # noqa: E402
from longtail.inspection import inspection  # noqa: E402

WORDS = ["roof", "fire", "water", "storm", "night", "wind", "tree", "left", "door", "cash", "broke", "paid", "claim"]


def notes(n: int = 40, seed: int = 0) -> list[str]:
    draw = np.random.default_rng(seed)
    return [" ".join(draw.choice(WORDS, draw.integers(3, 9))) for _ in range(n)]


def frame(n: int = 40) -> Any:
    draw = np.random.default_rng(1)
    y = np.where(np.arange(n) % 4 == 0, "rare", "often")
    return pd.DataFrame({"size": draw.normal(size=n), "note": notes(n), "kind": draw.choice(["a", "b"], n), "y": y})


class TestWhich:
    @cases(
        ("cells", "kind"),
        [
            (notes(), "text"),
            ([*notes(20), *[""] * 60], "text"),
            ([*notes(20), "17", "2.5"], "text"),
            (notes(19), "category"),
            ([f"row {k}" for k in range(30)], "identifier"),
            (["one of few", "another of few"] * 20, "category"),
            ([f"{k} and so" for k in range(30)], "text"),
            (["2024-01-01", "2024-01-02"] * 20, "date"),
        ],
    )
    def test_is_text_of_several_words_that_mostly_differs(self, cells: list[str], kind: str) -> None:
        assert column("x", pd.Series(cells, dtype=str)).kind == kind

    def test_is_decided_by_all_rows_and_overruled(self) -> None:
        pool = read_pool(frame(), "y")
        assert pool.rows.text == ("note",)  # type: ignore[union-attr]
        few = TablePreparation.fit(pool.rows.take(lt.data.load(pool).train_rows[:10]))  # type: ignore[union-attr, index]
        assert [c.kind for c in few.columns] == ["number", "text", "category"]
        data = frame().assign(size=np.arange(40) % 5, kind=["car", "home"] * 20)
        asked = lt.data.load(data, "y", text_columns="kind", category_columns=["size"])
        assert [c.kind for c in asked.preparation.columns] == ["category", "text", "text"]  # type: ignore[union-attr]
        assert asked.facts["text_columns"] == ["kind"]
        assert asked.facts["category_columns"] == ["size"]
        assert asked.preparation(data.assign(size=[7.0, 1.0] * 20))[:, -1].unique().tolist() == [0, 2]  # type: ignore[misc]

    def test_whose_rows_share_no_words_is_left_out_or_refused(self) -> None:
        alone = pd.DataFrame({"a": [1.0, 2.0] * 15, "x": [f"a{k} b{k} c{k}" for k in range(30)]})
        found = TablePreparation.fit(alone)
        assert found.names == ("a",)
        assert "column 'x' was left out: it is text of which no two training rows share two words" in found.notes
        with pytest.raises(ValueError, match=r"column 'x' must have two words .* got none .*--category 'x'"):
            lt.data.load(alone.assign(y=["a", "b"] * 15), "y", text_columns="x")

    @cases(
        ("options", "line"),
        [
            ({"text_columns": "none"}, r"text_columns \(--text\) must be a column, got 'none'"),
            ({"category_columns": "y"}, r"category_columns \(--category\) must be another column than the label"),
            ({"text_columns": "note", "category_columns": "note"}, "cannot be both text_columns and category_columns"),
        ],
    )
    def test_what_cannot_be_asked_is_refused(self, options: dict[str, Any], line: str) -> None:
        with pytest.raises(ValueError, match=line):
            read_pool(frame(), "y", **options)
        with pytest.raises(TypeError, match=r"text_columns \(--text\) must be the name of a column"):
            read_pool(frame(), "y", text_columns=[1])

    def test_is_no_identifier_to_inspect(self) -> None:
        pool = read_pool(frame(), "y")
        document = inspection(pool, lt.data.load(pool))
        assert not document["columns"]["identifying"]


def by_hand(cells: list[str]) -> dict[str, dict[str, float]]:
    """Cell -> term -> weight, in plain loops: words and pairs in two cells or more, tf-idf of length 1."""
    found = []
    for cell in cells:
        words = re.findall(r"\w\w+", cell.lower())
        found.append(Counter(words) + Counter(f"{a} {b}" for a, b in pairwise(words)))
    rows = Counter(term for counts in found for term in counts)
    weights = {}
    for cell, counts in zip(cells, found, strict=True):
        own = {
            term: (1 + math.log(n)) * (math.log((1 + len(cells)) / (1 + rows[term])) + 1)
            for term, n in counts.items()
            if rows[term] >= 2
        }
        length = math.sqrt(sum(w * w for w in own.values()))
        weights[cell] = {term: w / length for term, w in own.items()}
    return weights


class TestNumbers:
    def test_are_the_projected_weights_by_hand(self) -> None:
        cells = [*notes(30), "Fire fire FIRE roof"]
        text, weights = Text.fit("x", cells), by_hand(cells)
        assert set(text.terms) == {term for own in weights.values() for term in own}
        index = {term: j for j, term in enumerate(text.terms)}
        expected = []
        for cell in cells:
            row = [sum(w * text.components[k, index[t]] for t, w in weights[cell].items()) for k in range(text.size)]
            expected.append([(value - text.center[k]) * text.scale for k, value in enumerate(row)])
        np.testing.assert_allclose(text(cells), expected, atol=1e-12)
        spread = (text(cells) ** 2).sum(1).mean()
        assert spread == pytest.approx(SPREAD)
        assert np.allclose(text(cells).mean(0), 0)
        # the directions are the leading ones: the weights' best approximation of this rank
        full = np.zeros((len(cells), len(text.terms)))
        for i, cell in enumerate(cells):
            for term, w in weights[cell].items():
                full[i, index[term]] = w
        kept = np.linalg.norm(full @ text.components.T) ** 2
        assert kept >= 0.99 * (np.linalg.svd(full, compute_uv=False)[: text.size] ** 2).sum()

    def test_of_a_missing_cell_and_of_unknown_words_are_those_of_no_word(self) -> None:
        text = Text.fit("x", notes())
        found = text(["", "qqq zzz", "a b c", "roof"])
        np.testing.assert_array_equal(found[0], found[1])
        np.testing.assert_array_equal(found[0], found[2])
        np.testing.assert_allclose(found[0], -text.center * text.scale)
        assert not np.allclose(found[0], found[3])
        assert text([]).shape == (0, text.size)

    def test_are_at_most_so_many_and_the_same_every_time(self) -> None:
        many = [" ".join(f"w{j}" for j in np.random.default_rng(k).integers(0, 60, 12)) for k in range(200)]
        one, two = Text.fit("x", many), Text.fit("x", many)
        assert one.size == SIZE
        assert packed({"x": one}) == packed({"x": two})

    def test_stand_between_the_other_numbers_and_the_codes(self) -> None:
        data = frame().assign(size=lambda f: f["size"].where(f.index > 3))
        found = TablePreparation.fit(data.drop(columns="y"))
        size = found.texts["note"].size
        assert found.names == ("size", "size is missing", *(f"note text {k + 1}" for k in range(size)), "kind")
        assert (found.numeric, found.categories) == (2 + size, (3,))
        inputs = found(data)
        np.testing.assert_allclose(inputs[:, 2:-1].numpy(), found.texts["note"](data["note"]), rtol=1e-5, atol=1e-6)
        assert set(inputs[:, -1].tolist()) == {1.0, 2.0}
        view = found.policy["strong"]
        assert view.sources == (0, 0, *[1] * size, 2)  # type: ignore[attr-defined]

    def test_alone_are_a_table_too(self) -> None:
        found = TablePreparation.fit(frame()[["note"]])
        again = restored(found.to_json(), found.blobs())
        assert again is not None
        assert (found.numeric, found.categories) == (len(found.names), ())
        assert again(frame()).equal(found(frame()))

    def test_are_learnt_from_training_rows_alone(self) -> None:
        plain = lt.data.load(frame(), "y")
        assert plain.test_rows is not None
        other = frame()
        other.loc[plain.test_rows.tolist(), "note"] = "nothing of this is known"
        assert lt.data.load(other, "y").train.inputs.equal(plain.train.inputs)


class TestFile:
    def test_restores_the_same_numbers_for_new_rows(self) -> None:
        found = TablePreparation.fit(frame().drop(columns="y"))
        again = restored(json.loads(json.dumps(found.to_json())), found.blobs())
        assert again is not None
        new = frame(60).assign(note=notes(60, 5))
        assert again(new).equal(found(new))
        assert again(new.assign(note=17)).equal(found(new.assign(note="17")))

    @cases(
        "change",
        [
            lambda a: {**a, "0.terms": np.frombuffer(b'["a"]', np.uint8)},
            lambda a: {**a, "0.terms": np.frombuffer(b'{"__reduce__": 1}', np.uint8)},
            lambda a: {**a, "0.terms": np.frombuffer(b"cos\nsystem\n", np.uint8)},
            lambda a: {**a, "0.idf": a["0.idf"] * np.nan},
            lambda a: {**a, "0.components": a["0.components"][:, :-1].copy()},
            lambda a: {**a, "0.scale": a["0.scale"].astype(np.float32)},
            lambda a: {k: v for k, v in a.items() if k != "0.center"},
            lambda a: {**a, "names": np.frombuffer(b'["other"]', np.uint8)},
            lambda a: {**a, "names": np.frombuffer(b"3", np.uint8)},
        ],
    )
    def test_that_is_forged_is_refused(self, change: Any) -> None:
        found = TablePreparation.fit(frame().drop(columns="y"))
        arrays = change(safetensors.numpy.load(found.blobs()[TEXTS]))
        blobs = {**found.blobs(), TEXTS: safetensors.numpy.save(arrays)}
        with pytest.raises(ValueError, match=r"damaged|does not fit its description") as error:
            restored(found.to_json(), blobs)
        assert "\n" not in str(error.value)

    def test_that_is_none_or_absent_is_refused(self) -> None:
        found = TablePreparation.fit(frame().drop(columns="y"))
        with pytest.raises(ValueError, match="texts of the table preparation are damaged"):
            unpacked(b"\x80\x04cos\nsystem\n")
        with pytest.raises(ValueError, match="damaged"):
            restored(found.to_json(), {k: v for k, v in found.blobs().items() if k != TEXTS})


def test_the_measurement_of_how_many_numbers_runs() -> None:
    found = text_numbers.measured(1, (30, 10, 6, 4, 3))
    assert len(found) == 8
    assert found["64 numbers"][0] > found["64 most frequent terms"][0]
