"""CIFAR: the hub's layout, the field's counts and subset, the cache, and what is refused."""

import multiprocessing
import os
from pathlib import Path

import numpy as np
import pytest
import torch

from longtail.data import load
from longtail.data.read import cache, cifar
from longtail.facts import profiles
from tiny_cifar import NAMES, TINY, datasets, png, save, write

REAL = Path(__file__).parents[4] / "shared" / "data"


@pytest.fixture
def tiny(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A small data set that passes for cifar10, and a cache folder of its own."""
    monkeypatch.setitem(cifar.SOURCES, "cifar10", TINY)
    monkeypatch.setenv("LONGTAIL_CACHE", str(tmp_path / "cache"))
    write(tmp_path / "data", "train", 20)
    write(tmp_path / "data", "test", 3, seed=1)
    return tmp_path / "data"


def test_counts_subset_and_names(tiny: Path) -> None:
    splits = load("cifar10", data_dir=tiny, ratio=10)
    assert splits.class_counts.tolist() == profiles.long_tail(20, 10, 10).tolist()
    assert splits.classes == tuple(NAMES)
    assert splits.test.class_counts.tolist() == [3] * 10
    assert splits.train.inputs.dtype == torch.uint8
    assert splits.train.inputs.shape[1:] == (3, 32, 32)


def test_images_are_decoded_to_their_very_pixels(tiny: Path, tmp_path: Path) -> None:
    pixels = np.random.default_rng(5).integers(0, 256, (10, 32, 32, 3), dtype=np.uint8)
    save(tiny / "test-00000-of-00001.parquet", [png(p) for p in pixels], np.arange(10), NAMES)
    assert np.array_equal(load("cifar10", data_dir=tiny, ratio=10).test.inputs.permute(0, 2, 3, 1).numpy(), pixels)


def test_training_images_are_augmented_and_test_images_are_not(tiny: Path) -> None:
    splits = load("cifar10", data_dir=tiny, ratio=10)
    batch = next(splits.train.batches(0.0, torch.Generator().manual_seed(0)))
    assert not batch["inputs"].equal(splits.train.inputs[batch["index"]])
    assert splits.test.augment is None


def test_the_images_hash_names_the_chosen_images_whatever_their_order() -> None:
    images = torch.randint(0, 256, (6, 3, 4, 4), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    labels = torch.arange(6)
    order = torch.tensor([3, 1, 5, 0, 2, 4])
    same = cache.images_hash(images[order], labels[order])
    assert cache.images_hash(images, labels) == same
    assert cache.images_hash(images, labels.flip(0)) != same
    assert cache.images_hash(images[:5], labels[:5]) != same


def test_another_file_order_chooses_other_images(tiny: Path) -> None:
    before = load("cifar10", data_dir=tiny, ratio=10).facts["images"]
    rows = datasets.Dataset.from_parquet(str(tiny / "train-00000-of-00001.parquet"), cache_dir=str(tiny / "hf"))
    rows.select(range(len(rows) - 1, -1, -1)).to_parquet(tiny / "train-00000-of-00001.parquet")
    assert load("cifar10", data_dir=tiny, ratio=10).facts["images"] != before


class TestCache:
    def test_the_second_load_reads_no_image(self, tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        first = load("cifar10", data_dir=tiny, ratio=10)
        monkeypatch.setattr(cifar, "_decode", lambda *a: pytest.fail("decoded again"))
        assert load("cifar10", data_dir=tiny, ratio=10).hash == first.hash

    @pytest.mark.parametrize("damage", ["truncated", "flipped", "empty", "other"])
    def test_a_damaged_cache_is_made_anew(self, tiny: Path, damage: str, monkeypatch: pytest.MonkeyPatch) -> None:
        first = load("cifar10", data_dir=tiny, ratio=10)
        path = next(cache.folder().glob("cifar10-train-*"))
        whole = path.read_bytes()
        changed = bytearray(whole)
        changed[-1] ^= 1
        path.write_bytes(
            {"truncated": whole[:-50], "flipped": bytes(changed), "empty": b"", "other": b"x" * 99}[damage]
        )
        assert load("cifar10", data_dir=tiny, ratio=10).hash == first.hash
        monkeypatch.setattr(cifar, "_decode", lambda *a: pytest.fail("the new cache was not used"))
        assert load("cifar10", data_dir=tiny, ratio=10).hash == first.hash

    def test_a_changed_source_is_decoded_again(self, tiny: Path) -> None:
        first = load("cifar10", data_dir=tiny, ratio=10)
        write(tiny, "train", 20, seed=9)
        assert load("cifar10", data_dir=tiny, ratio=10).hash != first.hash

    def test_a_cache_that_cannot_be_written_is_done_without(
        self, tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (tmp_path / "file").write_text("")
        monkeypatch.setenv("LONGTAIL_CACHE", str(tmp_path / "file" / "below"))
        assert len(load("cifar10", data_dir=tiny, ratio=10).train) > 0

    def test_what_a_killed_process_left_is_removed_once_it_is_old(self, tiny: Path) -> None:
        cache.folder().mkdir()
        old, young = (cache.folder() / f"{name}.tmp" for name in ("old", "young"))
        for path in (old, young):
            path.write_bytes(b"half")
        os.utime(old, (0, 0))
        load("cifar10", data_dir=tiny, ratio=10)
        assert not old.exists()
        assert young.exists()

    def test_two_processes_may_fill_it_at_once(self, tiny: Path, tmp_path: Path) -> None:
        context = multiprocessing.get_context("fork")
        queue = context.Queue()

        def read() -> None:
            queue.put(load("cifar10", data_dir=tiny, ratio=10).hash)
            queue.close()

        processes = [context.Process(target=read) for _ in range(2)]
        for process in processes:
            process.start()
        hashes = {queue.get(timeout=60) for _ in processes}
        for process in processes:
            process.join()
        assert len(hashes) == 1
        assert not list(cache.folder().glob("*.tmp"))


class TestRefused:
    def test_a_missing_or_wrong_folder(self, tiny: Path, tmp_path: Path) -> None:
        with pytest.raises(ValueError, match=r"--data-dir .* is not a folder"):
            load("cifar10", data_dir=tmp_path / "nowhere")
        (tmp_path / "empty").mkdir()
        with pytest.raises(ValueError, match=r"holds no train-\*\.parquet, which cifar10 needs"):
            load("cifar10", data_dir=tmp_path / "empty")

    def test_classes_of_another_data_set(self, tiny: Path) -> None:
        write(tiny, "train", 20, names=[f"thing {j}" for j in range(10)])
        with pytest.raises(ValueError, match="is not cifar10: it has 10 classes beginning with 'thing 0'"):
            load("cifar10", data_dir=tiny)

    def test_cifar10_for_cifar100(self, tiny: Path) -> None:
        with pytest.raises(ValueError, match="is not cifar100: columns img and fine_label are missing"):
            load("cifar100", data_dir=tiny)

    def test_images_of_another_size(self, tiny: Path) -> None:
        write(tiny, "train", 20, size=28)
        with pytest.raises(ValueError, match=r"image 0 of .* must be 32 x 32, got 28 x 28"):
            load("cifar10", data_dir=tiny)

    def test_an_image_that_does_not_decode(self, tiny: Path) -> None:
        good = png(np.zeros((32, 32, 3), dtype=np.uint8))
        save(tiny / "train-00000-of-00001.parquet", [good, good[:40], good], np.array([0, 1, 2]), NAMES)
        with pytest.raises(ValueError, match=r"image 1 of .* cannot be read"):
            load("cifar10", data_dir=tiny)

    def test_a_corrupt_parquet_file(self, tiny: Path) -> None:
        path = tiny / "train-00000-of-00001.parquet"
        path.write_bytes(path.read_bytes()[: os.path.getsize(path) // 2])
        with pytest.raises(ValueError) as found:
            load("cifar10", data_dir=tiny)
        assert "\n" not in str(found.value)
        assert "download" in str(found.value)

    def test_a_ratio_that_empties_a_class(self, tiny: Path) -> None:
        with pytest.raises(ValueError, match="class 'frog' would have no example at this ratio"):
            load("cifar10", data_dir=tiny, ratio=100)


@pytest.mark.slow
@pytest.mark.skipif(not (REAL / "cifar10").is_dir(), reason="the real images are not here")
def test_the_real_cifar10() -> None:
    splits = load("cifar10", data_dir=REAL / "cifar10", ratio=100)
    assert splits.class_counts.tolist() == [5000, 2997, 1796, 1077, 645, 387, 232, 139, 83, 50]
    assert splits.test.class_counts.tolist() == [1000] * 10
