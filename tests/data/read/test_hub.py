"""Data sets of the hub by name: what load_dataset is asked for, and what becomes of its answer. No network here."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pytest

from longtail.data.read import optional_packages
from longtail.data.read.hub import hub_pool
from pictures import image


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LONGTAIL_CACHE", str(tmp_path / "cache"))


def png(seed: int) -> dict[str, Any]:
    file = io.BytesIO()
    image(seed).save(file, "PNG")
    return {"bytes": file.getvalue(), "path": None}


def images(seeds: list[int], labels: list[Any], names: tuple[str, ...] = ("wolf", "ant"), **more: Any) -> Any:
    features = {"photo": datasets.Image(), "animal": datasets.ClassLabel(names=list(names))}
    features |= {key: datasets.Value("string") for key in more}
    rows = {"photo": [png(s) for s in seeds], "animal": labels, **more}
    return datasets.Dataset.from_dict(rows, features=datasets.Features(features))


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Sets what the hub answers, and returns the calls."""
    calls: list[Any] = []

    def answer(found: Any) -> list[Any]:
        def load_dataset(*args: Any, **kwargs: Any) -> Any:
            calls.append((args, kwargs))
            if isinstance(found, Exception):
                raise found
            return found

        monkeypatch.setattr(datasets, "load_dataset", load_dataset)
        monkeypatch.setattr(optional_packages, "_answers", lambda hub: True)
        return calls

    return answer


def test_images_with_declared_parts(hub: Any) -> None:
    calls = hub(
        datasets.DatasetDict(train=images([0, 1, 2], [1, 0, 1]), validation=images([3], [0]), extra=images([9], [0]))
    )
    pool = hub_pool("some/animals", config="small", size=16)
    assert calls == [(("some/animals",), {"name": "small"})]  # nothing that would let remote code run
    assert pool.classes == ("wolf", "ant")
    assert pool.targets.tolist() == [1, 0, 1, 0]
    assert pool.parts.tolist() == ["train", "train", "train", "val"]
    assert np.array_equal(pool.rows.inputs[3].permute(1, 2, 0), np.asarray(image(3)))
    assert any("extra" in note for note in pool.notes)
    assert pool.preparation.kind == "images"


def test_a_single_part_is_the_whole_and_columns_come_by_name(hub: Any) -> None:
    rows = images([0, 1, 2], [0, 1, 1], who=["x", "y", "x"], w=["1", "2", "0.5"], s=["train", "test", "train"])
    hub(datasets.DatasetDict(test=rows))
    pool = hub_pool("some/animals", size=16, group="who", weight="w", split="s")
    assert pool.groups.tolist() == [0, 1, 0]
    assert pool.sample_weight.tolist() == [1, 2, 0.5]
    assert pool.parts.tolist() == ["train", "test", "train"]


def test_rows_that_do_not_fit_in_memory_are_the_same(hub: Any) -> None:
    hub(datasets.DatasetDict(train=images([0, 1, 2], [0, 1, 1])))
    held, mapped = (hub_pool("some/animals", size=16, share=share) for share in (0.25, 0.0))
    assert next(mapped.rows.chunks(3)).equal(held.rows.inputs)


def test_a_bad_image_is_named_by_its_row(hub: Any) -> None:
    rows = images([0, 1, 2], [0, 1, 1]).cast_column("photo", datasets.Image(decode=False))
    rows = rows.map(lambda row, i: {**row, "photo": {"bytes": b"x", "path": None} if i == 1 else row["photo"]},
                    with_indices=True)  # fmt: skip
    hub(datasets.DatasetDict(train=rows.cast_column("photo", datasets.Image())))
    with pytest.raises(ValueError, match=r"1 of 3 images cannot be decoded: 'row 1'"):
        hub_pool("some/animals", size=16)
    assert hub_pool("some/animals", size=16, skip_bad=True).targets.tolist() == [0, 1]


def test_anything_else_is_handed_on_as_a_frame(hub: Any) -> None:
    features = datasets.Features({"x": datasets.Value("float32"), "y": datasets.ClassLabel(names=["no", "nan"])})
    train = datasets.Dataset.from_dict({"x": [1.0, 2.0], "y": [1, 0]}, features=features)
    test = datasets.Dataset.from_dict({"x": [3.0], "y": [1]}, features=features)
    hub(datasets.DatasetDict(train=train, test=test))
    seen: dict[str, Any] = {}

    def table(frame: Any, **options: Any) -> Any:
        seen.update(frame=frame, **options)
        return "a pool"

    assert hub_pool("some/table", table=table, weight="x") == "a pool"
    assert seen["frame"]["x"].tolist() == [1, 2, 3]
    assert seen["frame"]["y"].tolist() == ["nan", "no", "nan"]
    assert seen["frame"][seen["split"]].tolist() == ["train", "train", "test"]
    assert (seen["label"], seen["weight"], seen["group"], seen["name"]) == ("y", "x", None, "some/table")
    with pytest.raises(ValueError, match="no image column"):
        hub_pool("some/table")


def refused(name: str, *words: str, **options: Any) -> None:
    with pytest.raises(ValueError) as caught:
        hub_pool(name, size=16, **options)
    assert "\n" not in str(caught.value)
    for word in words:
        assert word in str(caught.value), str(caught.value)


def test_no_network_is_one_clear_line(hub: Any) -> None:
    hub(ConnectionError("Couldn't reach 'some/animals' on the Hub\n(a page of it)"))
    refused("some/animals", "hub:some/animals cannot be read", "ConnectionError", "the network")


def test_a_hub_that_does_not_answer_is_not_asked_again(hub: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def load_dataset(*args: Any, **kwargs: Any) -> Any:
        asked.append(datasets.config.HF_HUB_OFFLINE)
        raise ConnectionError("Offline mode is enabled")

    asked: list[bool] = []
    monkeypatch.setattr(datasets, "load_dataset", load_dataset)
    monkeypatch.setattr(optional_packages, "_answers", lambda hub: False)
    refused("some/animals", "hub:some/animals cannot be read (the hub is not reached", "check the name and the network")
    assert asked == [True]  # what was downloaded before is still read
    assert not datasets.config.HF_HUB_OFFLINE


@pytest.mark.parametrize("name", ["animals", "a/b/c", "../x", "some/..", "/etc/passwd", "https://x.y/z", "", "a b/c"])
def test_what_is_no_name_never_reaches_the_hub(hub: Any, name: str) -> None:
    calls = hub(AssertionError("asked"))
    refused(name, "owner/name", repr(name))
    assert not calls


def test_a_path_of_the_same_name_is_not_read_in_its_place(
    hub: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "some" / "animals").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    calls = hub(AssertionError("asked"))
    refused("some/animals", "is a path here")
    assert not calls


def test_columns_that_are_not_there_or_not_clear_are_refused(hub: Any) -> None:
    hub(datasets.DatasetDict(train=images([0, 1], [0, 1])))
    refused("some/animals", "'kind'", "'photo', 'animal'", label="kind")
    refused("some/animals", "'who'", group="who")
    hub(datasets.DatasetDict(train=images([0, 1], [0, 1]).remove_columns("animal")))
    refused("some/animals", "does not tell its label column")
    two = images([0, 1], [0, 1]).rename_column("photo", "other").remove_columns("animal")
    hub(datasets.DatasetDict(train=datasets.concatenate_datasets([images([0, 1], [0, 1]), two], axis=1)))
    refused("some/animals", "several image columns")
    hub(datasets.DatasetDict(train=images([0, 1], [0, -1])))
    refused("some/animals", "label column 'animal' must be filled", "'row 1' (1 such row)")
    hub(datasets.DatasetDict(train=images([0, 1], [0, 1]), test=images([0], [0], who=["x"])))
    refused("some/animals", "part test", "columns of the other parts")
    hub(datasets.DatasetDict(train=images([0, 1], [0, 1]), test=images([2], [0])))
    refused("some/animals", "declared once", "some/animals and column 'animal'", split="animal")
    hub(datasets.DatasetDict(a=images([0], [0]), b=images([1], [1])))
    refused("some/animals", "training part", "a, b")
