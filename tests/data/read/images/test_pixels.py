"""How one image becomes bytes: every rule against values worked out by hand or by other means."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.cases import cases

PIL = pytest.importorskip("PIL.Image")
pytest.importorskip("datasets")

from longtail.data.read.images.pixels import MAX_PIXELS, BadImage, pixels, quiet  # noqa: E402

RANDOM = np.random.default_rng(0)
COLOUR = RANDOM.integers(0, 256, (8, 8, 3), dtype=np.uint8)


def encoded(image: Any, kind: str = "PNG", **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def png(width: int, height: int, depth: int, colour: int, rows: bytes, *more: tuple[bytes, bytes]) -> bytes:
    """A PNG written by hand: what Pillow itself could not write, or would write by its own rules."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    chunks = (chunk(b"IHDR", header), *(chunk(*c) for c in more), chunk(b"IDAT", zlib.compress(rows)))
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks) + chunk(b"IEND", b"")


def test_an_image_of_the_size_stays_as_it_is_to_the_byte() -> None:
    for kind in ("PNG", "BMP", "TIFF", "PPM"):
        assert np.array_equal(pixels(encoded(PIL.fromarray(COLOUR), kind), 8), COLOUR), kind


def test_grey_becomes_three_equal_channels() -> None:
    grey = COLOUR[..., 0]
    assert np.array_equal(pixels(encoded(PIL.fromarray(grey)), 8), np.repeat(grey[..., None], 3, axis=2))


def test_black_and_white_becomes_0_and_255() -> None:
    bits = COLOUR[..., 0] > 127
    assert np.array_equal(pixels(encoded(PIL.fromarray(bits)), 8)[..., 1], bits * np.uint8(255))


def test_a_palette_is_looked_up() -> None:
    image = PIL.new("P", (4, 4), 1)
    image.putpalette([0, 0, 0, 10, 20, 30])
    assert pixels(encoded(image), 4).reshape(-1, 3).tolist() == [[10, 20, 30]] * 16


@pytest.mark.parametrize(("alpha", "wanted"), [(0, 255), (255, 40), (51, 212)])
def test_transparency_is_laid_over_white(alpha: int, wanted: int) -> None:
    rgba = PIL.new("RGBA", (4, 4), (40, 40, 40, alpha))  # 40 a + 255 (1 - a), a = alpha / 255
    assert set(pixels(encoded(rgba), 4).ravel().tolist()) == {wanted}
    grey = PIL.new("LA", (4, 4), (40, alpha))
    assert set(pixels(encoded(grey), 4).ravel().tolist()) == {wanted}


def test_a_transparent_colour_of_a_palette_and_of_grey_is_white() -> None:
    image = PIL.new("P", (4, 4), 1)
    image.putpalette([0, 0, 0, 10, 20, 30])
    assert set(pixels(encoded(image, transparency=1), 4).ravel().tolist()) == {255}
    assert set(pixels(encoded(PIL.new("L", (4, 4), 9), transparency=9), 4).ravel().tolist()) == {255}
    assert set(pixels(encoded(PIL.new("L", (4, 4), 9), transparency=8), 4).ravel().tolist()) == {9}


def test_cmyk_is_not_taken_for_rgba() -> None:
    image = PIL.new("CMYK", (4, 4), (255, 0, 0, 0))
    assert pixels(encoded(image, "TIFF"), 4)[0, 0].tolist() == [0, 255, 255]


def test_sixteen_bit_grey_is_scaled_and_not_clipped() -> None:
    values = [0, 128, 129, 257, 32768, 65535, 65406, 1000] * 2
    rows = b"".join(b"\0" + struct.pack(">4H", *values[i : i + 4]) for i in range(0, 16, 4))
    found = pixels(png(4, 4, 16, 0, rows), 4)
    assert found[..., 0].ravel().tolist() == [round(v / 257) for v in values]
    assert (found == found[..., :1]).all()
    tiff = PIL.fromarray(np.array(values, dtype=np.uint16).reshape(4, 4))
    assert np.array_equal(pixels(encoded(tiff, "TIFF"), 4), found)


def test_a_transparent_sixteen_bit_grey_is_white() -> None:
    rows = b"".join(b"\0" + struct.pack(">4H", 500, 500, 0, 0) for _ in range(4))
    found = pixels(png(4, 4, 16, 0, rows, (b"tRNS", struct.pack(">H", 500))), 4)
    assert found[0, :, 0].tolist() == [255, 255, 0, 0]


def test_a_sixteen_bit_portable_graymap_is_scaled_too() -> None:
    data = b"P5 4 4 65535\n" + struct.pack(">16H", *([32768] * 16))
    assert set(pixels(data, 4).ravel().tolist()) == {128}


@pytest.mark.parametrize("value", [-1, 65536])
def test_wider_integers_are_refused(value: int) -> None:
    image = PIL.fromarray(np.full((4, 4), value, dtype=np.int32))
    with pytest.raises(BadImage, match="beyond 16 bits"):
        pixels(encoded(image, "TIFF"), 4)


def test_floating_point_pixels_are_refused() -> None:
    with pytest.raises(BadImage, match="no stated range"):
        pixels(encoded(PIL.fromarray(np.full((4, 4), 0.5, dtype=np.float32)), "TIFF"), 4)


TURNED = {
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.transpose(1, 0, 2),
    6: lambda a: np.rot90(a, -1),
    7: lambda a: a[::-1, ::-1].transpose(1, 0, 2),
    8: lambda a: np.rot90(a),
}  # what the EXIF standard says to do for display, in array terms


@cases("orientation", TURNED)
@cases("kind", ["PNG", "TIFF", "WEBP"])
def test_exif_orientation_is_applied_once(orientation: int, kind: str) -> None:
    exif = PIL.Exif()
    exif[0x0112] = orientation
    lossless = {"lossless": True} if kind == "WEBP" else {}
    data = encoded(PIL.fromarray(COLOUR), kind, exif=exif, **lossless)
    assert np.array_equal(pixels(data, 8), TURNED[orientation](COLOUR))


def test_the_orientation_of_a_jpeg_is_applied() -> None:
    exif = PIL.Exif()
    exif[0x0112] = 6
    left = np.zeros((16, 16, 3), dtype=np.uint8)
    left[:, :8] = 255
    found = pixels(encoded(PIL.fromarray(left), "JPEG", exif=exif, quality=100), 16)
    assert found[:6].min() > 200  # what was left is now above
    assert found[10:].max() < 50


def test_damaged_exif_counts_as_none() -> None:
    assert np.array_equal(pixels(encoded(PIL.fromarray(COLOUR), exif=b"Exif\0\0MM\0*\xff\xff\xff\xff"), 8), COLOUR)


@pytest.mark.parametrize("kind", ["GIF", "PNG", "WEBP", "TIFF"])
def test_of_an_animation_the_first_frame_is_taken(kind: str) -> None:
    frames = [PIL.new("RGB", (4, 4), c) for c in ("red", "lime", "blue")]
    lossless = {"lossless": True} if kind == "WEBP" else {}
    found = pixels(encoded(frames[0], kind, save_all=True, append_images=frames[1:], **lossless), 4)
    assert found.reshape(-1, 3).tolist() == [[255, 0, 0]] * 16


def test_the_longer_side_is_cropped_centrally() -> None:
    wide = np.zeros((8, 24, 3), dtype=np.uint8)
    wide[:, 8:16] = COLOUR
    assert np.array_equal(pixels(encoded(PIL.fromarray(wide)), 8), COLOUR)
    assert np.array_equal(pixels(encoded(PIL.fromarray(wide.transpose(1, 0, 2))), 8), COLOUR.transpose(1, 0, 2))


def test_shrinking_is_antialiased() -> None:
    stripes = np.zeros((64, 64, 3), dtype=np.uint8)
    stripes[:, ::2] = 255
    found = pixels(encoded(PIL.fromarray(stripes)), 8)  # plain bicubic sampling would give black or white
    assert 120 < found.min() <= found.max() < 136


@pytest.mark.parametrize("shape", [(1, 1), (1, 500), (500, 1), (3, 2)])
def test_tiny_and_very_long_images_are_brought_to_size(shape: tuple[int, int]) -> None:
    found = pixels(encoded(PIL.new("RGB", shape, (1, 2, 3))), 16)
    assert found.shape == (16, 16, 3)
    assert set(map(tuple, found.reshape(-1, 3).tolist())) == {(1, 2, 3)}


@cases("mode", ["1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBa", "CMYK", "YCbCr", "HSV", "I;16"])
def test_every_mode_becomes_rgb(mode: str) -> None:
    with quiet():
        assert pixels(PIL.new(mode, (5, 9)), 4).shape == (4, 4, 3)


class TestRefused:
    """Each by a BadImage of few words, whatever the decoder would have raised."""

    def refused(self, data: Any, reason: str) -> None:
        with quiet(), pytest.raises(BadImage, match=reason) as caught:
            pixels(data, 8)
        assert "\n" not in str(caught.value)
        assert len(str(caught.value)) < 120

    def test_an_empty_file(self) -> None:
        self.refused(b"", "0 bytes")

    def test_something_else_under_the_name_of_an_image(self, tmp_path: Path) -> None:
        (tmp_path / "a.png").write_text("<html></html>")
        self.refused(tmp_path / "a.png", "not an image")

    @pytest.mark.parametrize("kind", ["PNG", "JPEG", "BMP", "GIF", "WEBP", "TIFF", "PPM"])
    def test_a_truncated_one(self, kind: str) -> None:
        big = PIL.fromarray(RANDOM.integers(0, 256, (64, 64, 3), dtype=np.uint8))
        data = encoded(big, kind)
        self.refused(data[: len(data) // 2], "")

    def test_a_damaged_one(self) -> None:
        data = bytearray(encoded(PIL.fromarray(COLOUR)))
        data[data.index(b"IDAT") + 8] ^= 0xFF
        self.refused(bytes(data), "")

    @pytest.mark.parametrize("side", [10_000, 60_000])
    def test_a_decompression_bomb_before_it_is_decoded(self, side: int) -> None:
        assert side * side > MAX_PIXELS
        self.refused(png(side, side, 1, 0, b""), "more than 89478485")

    def test_a_postscript_file_which_would_run_a_program(self) -> None:
        self.refused(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\n%%EndComments\nshowpage\n", "not an image")

    def test_bytes_at_random_decode_or_are_refused(self) -> None:
        refusals = []
        for kind in ("PNG", "JPEG", "GIF", "TIFF", "WEBP", "BMP"):
            data = bytearray(encoded(PIL.fromarray(COLOUR), kind))
            for seed in range(40):
                broken, random = bytearray(data), np.random.default_rng(seed)
                for place in random.integers(0, len(data), 4):
                    broken[place] = int(random.integers(256))
                try:
                    with quiet():
                        assert pixels(bytes(broken), 8).shape == (8, 8, 3)
                except BadImage as error:
                    refusals.append(str(error))
        assert len(refusals) > 20
        assert not [line for line in refusals if "\n" in line]


def test_a_file_that_cannot_be_read_is_another_matter(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        pixels(tmp_path / "gone.png", 8)
