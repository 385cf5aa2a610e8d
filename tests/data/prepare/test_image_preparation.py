"""What travels with a model takes what it was trained on and refuses the rest by name."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from longtail.data.prepare.images import FeaturePreparation, ImagePreparation
from longtail.data.prepare.preparation import Preparation
from pictures import PIL, folder, image, put

SMALL = ImagePreparation(8)


def refused(preparation: Preparation, raw: Any, *words: str) -> None:
    with pytest.raises((ValueError, TypeError)) as caught:
        preparation(raw)
    assert "\n" not in str(caught.value)
    for word in words:
        assert word in str(caught.value), str(caught.value)


@pytest.mark.parametrize("given", [SMALL, FeaturePreparation((3, 8, 8), "uint8"), FeaturePreparation((5,), "float32")])
def test_a_round_trip_through_json(given: Preparation) -> None:
    description = json.loads(json.dumps(given.to_json()))
    assert description["kind"] == given.kind
    assert type(given).from_json(description, given.blobs()) == given


def test_other_decoding_rules_are_refused() -> None:
    with pytest.raises(ValueError, match="rules 1, got 2"):
        ImagePreparation.from_json({"kind": "images", "size": 8, "rules": 2}, {})


class TestImages:
    def test_a_folder_at_any_depth_in_the_order_of_paths(self, tmp_path: Path) -> None:
        folder(tmp_path, {"": 2, "z/deep": 1, "b": 1}, size=(8, 8))
        (tmp_path / "notes.txt").write_text("x")
        assert SMALL.paths(tmp_path) == ["0.png", "1.png", "b/0.png", "z/deep/0.png"]
        wanted = [np.asarray(PIL.open(tmp_path / path)).transpose(2, 0, 1) for path in SMALL.paths(tmp_path)]
        found = SMALL(tmp_path)
        assert found.dtype == torch.uint8
        assert np.array_equal(found.numpy(), np.stack(wanted))
        assert SMALL([tmp_path / path for path in SMALL.paths(str(tmp_path))]).equal(found)
        assert SMALL(str(tmp_path / "b" / "0.png")).equal(found[2:3])

    def test_arrays_tensors_and_opened_images(self) -> None:
        opened = [image(0, (8, 8)), image(1, (8, 8))]
        array = np.stack([np.asarray(i) for i in opened])
        wanted = torch.from_numpy(array).permute(0, 3, 1, 2)
        for raw in (array, torch.from_numpy(array), wanted, opened, tuple(opened)):
            assert SMALL(raw).equal(wanted)
        assert SMALL(opened[1]).equal(wanted[1:])
        grey = SMALL(array[..., 0])
        assert grey.shape == (2, 3, 8, 8)
        assert all(grey[:, k].equal(wanted[:, 0]) for k in range(3))

    def test_the_image_that_was_passed_is_not_changed(self) -> None:
        opened = image(0, (20, 9))
        before = opened.tobytes()
        SMALL(opened)
        assert (opened.tobytes(), opened.size) == (before, (9, 20))

    def test_arrays_of_another_size_dtype_or_mode_are_refused(self) -> None:
        refused(SMALL, np.zeros((2, 9, 8, 3), np.uint8), "(N, 8, 8, 3)", "(2, 9, 8, 3)")
        refused(SMALL, np.zeros((2, 8, 8, 4), np.uint8), "(2, 8, 8, 4)")
        refused(SMALL, np.zeros((2, 64), np.uint8), "(2, 64)")
        refused(SMALL, np.zeros((2, 8, 8, 3), np.float32), "uint8")
        refused(SMALL, np.zeros((2, 8, 8, 3), np.uint16), "uint8")
        refused(SMALL, torch.zeros(2, 3, 8, 8), "uint8", "float32")
        refused(SMALL, np.array(["a.png"]), "list of paths")

    def test_what_is_no_image_is_refused(self, tmp_path: Path) -> None:
        refused(SMALL, tmp_path, "no image")
        refused(SMALL, tmp_path / "gone.png", "gone.png", "not a file")
        refused(SMALL, [], "list")
        refused(SMALL, [3], "paths or opened images", "int")
        refused(SMALL, None, "NoneType")
        put(tmp_path / "a.png")
        (tmp_path / "b.png").write_bytes(b"x")
        refused(SMALL, tmp_path, "1 of 2 images", "'b.png'")


class TestFeatures:
    flat = FeaturePreparation((5,), "float32")

    def test_arrays_and_their_files_as_they_were_trained(self, tmp_path: Path) -> None:
        X = np.random.default_rng(0).normal(size=(4, 5))
        np.save(tmp_path / "a.npy", X)
        np.savez(tmp_path / "b.npz", X=X, files=["a"] * 4)
        np.savez(tmp_path / "c.npz", features=X)
        wanted = torch.from_numpy(X).float()
        for raw in (X, X.tolist(), wanted, tmp_path / "a.npy", str(tmp_path / "b.npz"), tmp_path / "c.npz"):
            assert self.flat(raw).equal(wanted)

    def test_images_in_arrays_come_channels_first(self) -> None:
        X = np.random.default_rng(0).integers(0, 256, (4, 8, 8, 3), dtype=np.uint8)
        assert FeaturePreparation((3, 8, 8), "uint8")(X).equal(torch.from_numpy(X).permute(0, 3, 1, 2))

    def test_other_shapes_dtypes_and_values_are_refused(self, tmp_path: Path) -> None:
        refused(self.flat, np.zeros((4, 6)), "(5,)", "(6,)")
        refused(FeaturePreparation((3, 8, 8), "uint8"), np.zeros((4, 8, 8, 3)), "uint8", "float32")
        refused(FeaturePreparation((1, 8, 8), "float32"), np.zeros((4, 8, 8), np.uint8), "float32", "uint8")
        refused(self.flat, np.full((4, 5), np.nan), "finite")
        refused(self.flat, np.array([["a"] * 5]), "numbers")
        refused(self.flat, tmp_path / "gone.npz", "gone.npz", "does not exist")

    def test_pickled_and_damaged_files_are_refused(self, tmp_path: Path) -> None:
        np.save(tmp_path / "a.npy", np.array([{}, 1], dtype=object), allow_pickle=True)
        np.savez(tmp_path / "b.npz", y=np.zeros(3))
        (tmp_path / "c.npz").write_bytes(b"PK\x03\x04broken")
        (tmp_path / "d.npy").write_bytes(b"")
        refused(self.flat, tmp_path / "a.npy", "a.npy", "pickled objects, which are refused")
        refused(self.flat, tmp_path / "c.npz", "c.npz", "cannot be read", "damaged or cut short")
        refused(self.flat, tmp_path / "d.npy", "d.npy", "cannot be read", "empty, 0 bytes")
        refused(self.flat, tmp_path / "b.npz", "array X")
