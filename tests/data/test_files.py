"""Array files: whatever is wrong with one, the line is ours, and never advises to load a pickle."""

import io
from pathlib import Path

import numpy as np
import pytest

from longtail.data import load
from longtail.data.images.features import stored


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
        with pytest.raises(ValueError, match=rf"{name}' is a symbolic link that leads back to itself; remove or mend"):
            load(tmp_path / name)
    (tmp_path / "gone").symlink_to(tmp_path / "nothing")
    with pytest.raises(ValueError, match="gone' is a symbolic link to nothing; check the path"):
        load(tmp_path / "gone")
