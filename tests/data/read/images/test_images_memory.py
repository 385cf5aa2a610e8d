"""Images that do not fit in memory train to the same bytes as those that do."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest
import torch

from longtail.data import Examples, MappedExamples, load
from longtail.data.pool import Pool
from longtail.data.read.images import memory
from longtail.data.read.images.image_folder import image_pool
from longtail.engine import Recipe
from longtail.runs.train import Fit
from pictures import folder, put

# torch finds more readers than cores worth a warning; CI may have one core
pytestmark = pytest.mark.filterwarnings("ignore:This DataLoader will create")


@pytest.fixture
def photos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LONGTAIL_CACHE", str(tmp_path / "cache"))
    root = folder(tmp_path / "photos", {"a": 20, "b": 9}, size=(20, 31))
    (root / "metadata.csv").write_text(
        "file_name,w\n" + "".join(f"a/{i}.png,{i}\n" for i in range(20)) + "".join(f"b/{i}.png,1\n" for i in range(9))
    )
    return root


def read(path: Path, share: float, **options: Any) -> Pool:
    return image_pool(path, size=16, weight="w", share=share, **options)


def digest(pool: Pool) -> str:
    running = hashlib.sha256()
    pool.rows.update_hash(running)
    return running.hexdigest()


@pytest.mark.parametrize("workers", [0, 2])
def test_both_give_the_same_batches_to_the_byte(photos: Path, workers: int) -> None:
    held, mapped = read(photos, 0.25), read(photos, 0.0, workers=workers)
    assert isinstance(held.rows, Examples)
    assert isinstance(mapped.rows, MappedExamples)
    assert mapped.ids == held.ids
    assert mapped.notes == held.notes
    assert mapped.facts == held.facts
    some = torch.tensor([28, 3, 7, 7, 21, 0, 14])
    for ours, theirs in ((mapped, held), (mapped.take(some), held.take(some))):
        pairs = list(zip(*(p.rows.batches(0.0, torch.Generator().manual_seed(3)) for p in (ours, theirs)), strict=True))
        assert pairs
        for left, right in pairs:
            assert set(left) == set(right) == {"inputs", "targets", "index", "sample_weight"}
            assert all(left[k].equal(right[k]) and left[k].dtype == right[k].dtype for k in left)


def test_a_bad_image_is_found_before_training_and_skipped_where_asked(photos: Path) -> None:
    (photos / "a" / "3.png").write_bytes(b"")
    with pytest.raises(ValueError, match=r"1 of 29 images cannot be decoded: 'a/3.png'"):
        read(photos, 0.0)
    held, mapped = (read(photos, share, skip_bad=True) for share in (0.25, 0.0))
    assert len(mapped) == 28
    assert mapped.ids == held.ids
    assert torch.cat(list(mapped.rows.chunks(5))).equal(held.rows.inputs)
    assert mapped.rows.sample_weight.equal(held.rows.sample_weight)


def test_an_image_that_breaks_later_is_named(photos: Path) -> None:
    pool = read(photos, 0.0)
    (photos / "a" / "3.png").write_bytes(b"x")
    with pytest.raises(ValueError, match=r"a/3.png: not an image"):
        list(pool.rows.chunks(50))


def test_they_are_looked_at_once(photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = len(read(photos, 0.0))
    monkeypatch.setattr("longtail.data.read.images.decode.decode", lambda *_, **__: pytest.fail("looked at again"))
    assert len(read(photos, 0.0)) == before


def test_the_identity_is_names_sizes_times_and_size_and_survives_a_move(photos: Path, tmp_path: Path) -> None:
    before = digest(read(photos, 0.0))
    assert digest(image_pool(photos, size=17, weight="w", share=0.0)) != before
    moved = photos.rename(tmp_path / "moved")
    assert digest(read(moved, 0.0)) == before
    put(moved / "a" / "3.png", seed=77, size=(20, 31))
    assert digest(read(moved, 0.0)) != before


def test_the_rule_is_a_share_of_all_memory(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(memory, "memory", lambda: 4 * 3 * 32 * 32 * 100)
    assert memory.fits_in_memory(100, 32)
    assert not memory.fits_in_memory(101, 32)
    assert not memory.fits_in_memory(1, 32, 0.0)


def test_memory_is_what_the_machine_has_or_the_container_allows(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(memory, "LIMITS", (str(tmp_path / "gone"), str(tmp_path / "limit")))
    (tmp_path / "limit").write_text("max\n")
    info = dict(line.split(":", 1) for line in Path("/proc/meminfo").read_text().splitlines())
    total = int(info["MemTotal"].split()[0]) * 1024
    assert memory.memory() == pytest.approx(total, rel=1e-3)
    (tmp_path / "limit").write_text("1000000\n")
    assert memory.memory() == 1_000_000


@pytest.mark.parametrize("method", ["fixmatch", "simclr"])
def test_rows_without_labels_train_to_the_same_bytes_from_disk(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    folder(tmp_path / "more", {"x": 12}, size=(20, 31))
    recipe = Recipe(epochs=2, batch_size=8, lr=0.05, model="mlp", model_args={"hidden": (8,)})
    scores = []
    for memory_size, kind in ((2**30, Examples), (1, MappedExamples)):
        monkeypatch.setattr(memory, "memory", lambda size=memory_size: size)
        splits = load(photos, unlabeled=tmp_path / "more", size=16)
        assert isinstance(splits.train, kind)
        assert isinstance(splits.unlabeled, kind)
        training = Fit(method, splits, recipe=recipe)
        assert [record["epoch"] for record in training][-1] >= 1
        scores.append(torch.cat([training.learner.predict(inputs) for inputs in splits.test.chunks(64)]))
    assert scores[0].equal(scores[1])
