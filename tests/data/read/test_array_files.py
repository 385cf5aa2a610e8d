"""Array files: whatever is wrong with one, the line is ours, and never advises to load a pickle."""

import io
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from tests.cases import cases
from torch.utils.data import Subset, TensorDataset

import longtail as lt
from longtail.data import load, pool
from longtail.data.read.images.embeddings import stored


def archive() -> bytes:
    written = io.BytesIO()
    draw = np.random.default_rng(0)
    np.savez_compressed(written, X=draw.normal(size=(60, 3)), y=np.arange(60) % 3)
    return written.getvalue()


BAD = {
    "bytes": (bytes(range(1, 255)), "it does not begin as one does"),
    "text": (b"X,y\n1,2\n", "it does not begin as one does"),
    "nothing": (b"", "empty, 0 bytes"),
    "half": (archive()[:400], "damaged or cut short"),
    "scrambled": (archive()[:80] + bytes(200) + archive()[280:], "damaged or cut short"),
}


@pytest.mark.parametrize("case", BAD)
def test_a_bad_archive_is_named_in_our_words(tmp_path: Path, case: str) -> None:
    data, why = BAD[case]
    path = tmp_path / "x.npz"
    path.write_bytes(data)
    for read in (load, stored):
        with pytest.raises(
            ValueError, match=rf"x\.npz.* cannot be read as an array file \({why}\); save it again"
        ) as at:
            read(path)
        assert "pickle" not in str(at.value)
        assert "\n" not in str(at.value)


def test_no_damage_makes_another_error(tmp_path: Path) -> None:
    whole, draw = archive(), np.random.default_rng(1)
    path = tmp_path / "x.npz"
    said = []
    for _ in range(60):
        broken = bytearray(whole)
        for at in draw.integers(0, len(whole), 6):
            broken[at] = draw.integers(0, 256)
        path.write_bytes(bytes(broken))
        try:
            load(path)
        except (ValueError, TypeError) as error:
            said.append(str(error))
    assert len(said) > 40
    assert not [line for line in said if "allow_pickle" in line or "\n" in line]


def test_a_link_that_leads_back_to_itself_or_to_nothing_is_named(tmp_path: Path) -> None:
    for name in ("loop", "loop.npz", "loop.csv"):
        (tmp_path / name).symlink_to(tmp_path / name)
        with pytest.raises(ValueError, match=rf"{name}' is a symbolic link to itself; remove or correct"):
            load(tmp_path / name)
    (tmp_path / "gone").symlink_to(tmp_path / "nothing")
    with pytest.raises(ValueError, match="gone' is a symbolic link to nothing; check the path"):
        load(tmp_path / "gone")


X = np.random.default_rng(0).normal(size=(60, 3)).astype(np.float32)
Y = np.repeat(np.arange(3), (30, 20, 10))


@cases("features", ["X", "features", "embeddings", "embedding", "images", "inputs", "data", "x"])
@cases("labels", ["y", "labels", "targets", "label", "target", "Y"])
def test_arrays_are_known_by_what_people_call_them(tmp_path: Path, features: str, labels: str) -> None:
    np.savez(tmp_path / "a.npz", **{features: X, labels: Y[:, None].astype(float)})
    splits = load(tmp_path / "a.npz")
    assert splits.class_counts.tolist() == [22, 15, 8]
    assert stored(tmp_path / "a.npz")[0].tolist() == X.tolist()


def test_parts_go_by_the_name_of_the_training_part(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", x_train=X, y_train=Y, x_test=X[::2], y_test=Y[::2])
    splits = load(tmp_path / "a.npz")
    assert (len(splits.train), len(splits.test)) == (60, 30)
    np.savez(tmp_path / "a.npz", embeddings=X, labels=Y, embeddings_test=X[::2])
    with pytest.raises(ValueError, match="both embeddings_test and labels_test, got only one of them"):
        load(tmp_path / "a.npz")


def test_arrays_that_may_be_meant_are_not_guessed_at(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    np.savez(path, embeddings=X, images=X, y=Y)
    for read in (load, stored):
        with pytest.raises(
            ValueError, match=r"a\.npz must hold one array of features, got embeddings and images; save"
        ):
            read(path)
    np.savez(path, X=X, y=Y, embeddings=X, images=X)  # ours come first
    assert load(path).class_counts.sum() == 45
    np.savez(path, z=X, y=Y)
    with pytest.raises(
        ValueError, match=r"X \(or features\) and y \(or labels\), got z, y; save .* embeddings, images, data"
    ):
        load(path)


def test_label_names_the_array_of_labels(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    np.savez(path, X=X, y=Y, species=Y.astype(str))
    assert load(path, label="species").classes == ("0", "1", "2")
    with pytest.raises(ValueError, match=r"must be an array of a\.npz, got 'kind'; it holds X, y, species"):
        load(path, label="kind")


def test_group_names_an_array_of_the_archive(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    np.savez(path, X=X, y=Y, patient=[f"p{k // 2}" for k in range(60)])
    groups = pool(path, group="patient").groups
    assert groups is not None
    assert (groups[::2] == groups[1::2]).all()
    assert len(set(groups.tolist())) == 30
    with pytest.raises(ValueError, match=r"group must be an array of a\.npz, got 'who'; save it beside X and y"):
        load(path, group="who")
    np.save(tmp_path / "X.npy", X)
    with pytest.raises(ValueError, match=r"group must be an array of an \.npz, got 'who' for X\.npy"):
        load(tmp_path / "X.npy", label="y.npy", group="who")


def test_what_people_pass_first_is_read(tmp_path: Path) -> None:
    wanted = load(X, Y).hash
    whole = TensorDataset(torch.from_numpy(X), torch.from_numpy(Y))
    shuffled = torch.randperm(60).tolist()
    back = np.argsort(shuffled).tolist()
    given = [
        (X, Y[:, None]),
        (X, Y.astype(float)),
        (torch.from_numpy(X), torch.from_numpy(Y)[:, None].float()),
        (whole,),
        (Subset(TensorDataset(*(t[shuffled] for t in whole.tensors)), back),),
        (Subset(Subset(whole, range(60)), list(range(60))),),
    ]
    assert [load(*one).hash for one in given] == [wanted] * len(given)
    frame = pd.DataFrame(X, columns=["a", "b", "c"])
    assert load(frame, Y[:, None]).hash == load(frame, Y).hash
    pictures = np.random.default_rng(1).integers(0, 255, (60, 8, 7, 3), dtype=np.uint8)
    assert load(TensorDataset(torch.from_numpy(pictures).permute(0, 3, 1, 2), whole.tensors[1])).hash == (
        load(pictures, Y).hash
    )


def test_another_number_of_tensors_is_refused() -> None:
    tensors = torch.from_numpy(X), torch.from_numpy(Y)
    with pytest.raises(TypeError, match="labels cannot be given beside a TensorDataset, which has its own"):
        load(TensorDataset(*tensors), Y)
    data = TensorDataset(*tensors, *tensors)
    for source in (data, Subset(data, [0, 1])):
        with pytest.raises(
            TypeError, match="data must be a TensorDataset of inputs and labels, got one of 4; pass the"
        ):
            load(source)


def test_compare_and_fit_take_a_tensor_dataset() -> None:
    data = TensorDataset(torch.from_numpy(X), torch.from_numpy(Y))
    same = lt.compare(X, Y, methods="ce", seeds=1, epochs=1).rows[0]["mean"]
    assert lt.compare(data, methods="ce", seeds=1, epochs=1).rows[0]["mean"] == same
    assert next(lt.fit("ce", data))["epoch"] == 1
