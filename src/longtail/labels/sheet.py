"""A picture sheet: the worst suspects as images with given and likely label, in one HTML file without other files."""

from __future__ import annotations

import base64
import html
import struct
import zlib
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from longtail.data.mapped import MappedExamples
from longtail.data.rows import Examples
from longtail.labels.found import Found, Suspect

TOP = 60
"""Suspects on a sheet by default."""
CHUNK = 256
"""Images read at once."""
STYLE = (
    "body{font:14px sans-serif;margin:1.5em;color:#222}"
    "main{display:grid;grid-template-columns:repeat(auto-fill,minmax(170px,1fr));gap:14px}"
    "figure{margin:0;padding:8px;border:1px solid #ddd}"
    "img{width:100%;aspect-ratio:1;object-fit:contain;image-rendering:pixelated;background:#f4f4f4}"
    "figcaption{font-size:12px;overflow-wrap:anywhere}b{color:#d1495b}i{color:#2f6690;font-style:normal}"
)


def sheet(result: Found, top: int = TOP) -> str:
    """Return the page.

    Raises:
        ValueError: the data are no images, or the result was made of probabilities.
    """
    rows = check_images(result.source)
    worst = result.top(top)
    figures = "".join(map(_figure, worst, _pictures(rows, _positions(result, worst))))
    title = html.escape(f"{len(worst)} of {len(result.rows)} suspects of {result.name or 'the data'}")
    head = f'<meta charset="utf-8"><title>{title}</title><style>{STYLE}</style>'
    told = html.escape("The given label in red, the likely one in blue; worst first.")
    body = f"<h1>{title}</h1><p>{told}</p><main>{figures}</main>"
    return f"<!doctype html><html><head>{head}</head><body>{body}</body></html>\n"


def check_images(rows: Examples | MappedExamples | None) -> Examples | MappedExamples:
    """Return rows that are images.

    Raises:
        ValueError: they are not, or there are none.
    """
    if rows is None or len(rows.input_shape) != 3 or rows.input_shape[0] not in (1, 3):
        raise ValueError("sheet (--sheet) shows suspects as pictures, and these data are no images; leave it out")
    return rows


def png(pixels: NDArray[np.uint8]) -> bytes:
    """Return an image (H, W) or (H, W, 3) as a PNG file."""
    height, width = pixels.shape[:2]
    kind = 0 if pixels.ndim == 2 else 2  # grey or colour
    lines = b"".join(b"\0" + line.tobytes() for line in np.ascontiguousarray(pixels))

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    size = struct.pack(">IIBBBBB", width, height, 8, kind, 0, 0, 0)
    parts = (chunk(b"IHDR", size), chunk(b"IDAT", zlib.compress(lines)), chunk(b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def _positions(result: Found, worst: Sequence[Suspect]) -> Tensor:
    place = {int(row): i for i, row in enumerate(result.index)}
    return torch.tensor([place[one.row] for one in worst], dtype=torch.int64)


def _pictures(rows: Examples | MappedExamples, positions: Tensor) -> list[bytes]:
    """Return the images of these rows as PNG files."""
    return [png(_pixels(image)) for part in rows.read(torch.split(positions, CHUNK)) for image in part]


def _pixels(image: Tensor) -> NDArray[np.uint8]:
    """Return (C, H, W) as bytes; numbers that are no bytes go from the smallest to the largest."""
    values = image.cpu()
    if values.dtype != torch.uint8:
        low, high = values.amin(), values.amax()
        values = ((values - low) / (high - low).clamp(min=1e-12) * 255).round().to(torch.uint8)
    array: NDArray[np.uint8] = values.numpy()
    return array[0] if len(array) == 1 else array.transpose(1, 2, 0)


def _figure(one: Suspect, picture: bytes) -> str:
    source = f"data:image/png;base64,{base64.b64encode(picture).decode()}"
    given, likely, why = (html.escape(text) for text in (one.given, one.likely, one.why))
    where = html.escape(one.file or f"row {one.row}")
    caption = f"<b>{given}</b> &rarr; <i>{likely}</i> ({one.score:.2f})<br>{where}<br>{why}"
    return f'<figure><img src="{source}" alt="{where}"><figcaption>{caption}</figcaption></figure>'
