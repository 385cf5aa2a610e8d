"""Decode one image to size x size x 3 bytes, by rules that do not depend on the image.

1. EXIF orientation is applied; EXIF that cannot be read counts as none. Colour profiles are not applied.
2. Of an animated image the first frame is taken.
3. Grey, palette, CMYK and other modes become RGB; transparency is laid over white.
4. 16-bit grey is scaled to 8 bits, round(v / 257), never clipped; 16-bit colour keeps its high byte. Integers
   beyond 16 bits and floating-point pixels have no stated range and are refused.
5. Another size than size x size: the longer side is cropped centrally, then resized with an antialiased bicubic
   filter. An image of that size is not changed.
6. More than MAX_PIXELS pixels are refused before they are decoded (a decompression bomb).
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from longtail.data.read.optional_packages import package

if TYPE_CHECKING:
    from PIL.Image import Image

RULES = 1
"""To be increased when a rule above changes: images decoded under another number are decoded again."""

MAX_PIXELS = 89_478_485
"""Width times height; Pillow warns from here on (a quarter of a gibibyte in RGB)."""

FORMATS = ("PNG", "JPEG", "BMP", "GIF", "WEBP", "TIFF", "PPM", "JPEG2000")
"""Formats to try, whatever the name of the file; those that run other programs (EPS, WMF) are not among them."""

ORIENTATION = 0x0112


class BadImage(ValueError):
    """The content of one image is wrong; the message says how, in a few words."""


def pixels(source: Any, size: int) -> np.ndarray:
    """Return (size, size, 3) uint8 of one image, by the rules above.

    Args:
        source: a path, the bytes of a file, or an image that Pillow has opened (its current frame is decoded).
        size: height and width of the result.

    Raises:
        BadImage: corrupt, truncated, no image, too many pixels, pixels without a stated range.
        OSError: with an errno: the file cannot be read at all.
    """
    fitted: np.ndarray = _read(source, lambda image: _fitted(image, size))
    return fitted


def full_size(source: Any) -> Image:
    """Return one image in RGB, at its own size, by the rules above but the fifth; arguments and errors as `pixels`."""
    whole: Image = _read(source, lambda image: image.copy())
    return whole


def _read(source: Any, use: Callable[[Image], Any]) -> Any:
    image = package("PIL.Image")
    try:
        if isinstance(source, image.Image):
            return use(_rgb(_upright(_allowed(source))))
        with image.open(_content(source), formats=FORMATS) as opened:
            return use(_rgb(_upright(_allowed(opened))))
    except BadImage:
        raise
    except Exception as error:  # a damaged file makes decoders raise anything
        if isinstance(error, OSError) and error.errno is not None:
            raise
        raise BadImage(_reason(error)) from None


@contextmanager
def quiet() -> Iterator[None]:
    """Suppress Pillow's warnings: the rules above cover what they warn of. Filters are not per thread."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _content(source: Any) -> BinaryIO:
    data = source if isinstance(source, bytes) else Path(source).read_bytes()
    if not data:
        raise BadImage("empty, 0 bytes")
    return io.BytesIO(data)


def _allowed(image: Image) -> Image:
    if image.width * image.height > MAX_PIXELS:
        raise BadImage(f"{image.width} x {image.height} pixels, more than {MAX_PIXELS}; scale it down")
    image.load()
    return image


def _upright(image: Image) -> Image:
    from PIL.Image import Transpose

    transposes = {
        2: Transpose.FLIP_LEFT_RIGHT, 3: Transpose.ROTATE_180, 4: Transpose.FLIP_TOP_BOTTOM, 5: Transpose.TRANSPOSE,
        6: Transpose.ROTATE_270, 7: Transpose.TRANSVERSE, 8: Transpose.ROTATE_90,
    }  # fmt: skip
    try:
        orientation = image.getexif().get(ORIENTATION)
    except Exception:  # damaged EXIF beside sound pixels
        orientation = None
    transpose = transposes.get(orientation) if isinstance(orientation, int) else None
    return image if transpose is None else image.transpose(transpose)


def _rgb(image: Image) -> Image:
    from PIL import Image as pillow

    if image.mode == "F":
        raise BadImage("floating-point pixels, which have no stated range; save it with 8 or 16 bits")
    if image.mode == "I" or image.mode.startswith("I;"):
        image = _eight_bits(image)
    transparent = image.mode in ("LA", "PA", "RGBA", "RGBa") or "transparency" in image.info
    if transparent or (image.palette is not None and image.palette.mode.endswith("A")):
        rgba = image.convert("RGBA")
        image = pillow.new("RGBA", rgba.size, "white")
        image.alpha_composite(rgba)
    return image if image.mode == "RGB" else image.convert("RGB")


def _eight_bits(image: Image) -> Image:
    from PIL import Image as pillow

    values = np.asarray(image).astype(np.int64)
    if values.min() < 0 or values.max() > 65535:
        raise BadImage("integers beyond 16 bits, which have no stated range; save it with 8 or 16 bits")
    scaled = (values * 255 + 32767) // 65535
    clear = image.info.get("transparency")
    if isinstance(clear, int):
        scaled[values == clear] = 255
    return pillow.fromarray(scaled.astype(np.uint8))


def _fitted(image: Image, size: int) -> np.ndarray:
    from PIL import ImageOps
    from PIL.Image import Resampling

    if image.size != (size, size):
        image = ImageOps.fit(image, (size, size), method=Resampling.BICUBIC)
    return np.array(image, dtype=np.uint8)


def _reason(error: Exception) -> str:
    if type(error).__name__ == "UnidentifiedImageError":
        return "not an image that can be read"
    if type(error).__name__ == "DecompressionBombError":
        return f"more than {MAX_PIXELS} pixels; scale it down"
    return (str(error).splitlines() or [""])[0][:80] or type(error).__name__
