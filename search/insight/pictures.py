"""Small pictures of images, as PNG in a data URI."""

from __future__ import annotations

import base64
import struct
import zlib

import numpy as np
from numpy.typing import NDArray

MAX_SIDE = 48
"""Pixels; larger images are averaged down."""
_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_GREY, _COLOUR = 0, 2
_DARK = 128

Pixels = NDArray[np.uint8]


def data_uris(images: Pixels) -> list[str]:
    """Return images as data URIs.

    Args:
        images: Shape (images, channels, height, width); of other than 1 or 3 channels the first
            is shown. Where all are dark they are brightened alike.
    """
    brightest = int(images.max(initial=0))
    if 0 < brightest < _DARK:
        images = (images.astype(np.float64) * (255 / brightest)).round().astype(np.uint8)
    shown = [image if len(image) in (1, 3) else image[:1] for image in images]
    files = [base64.b64encode(png(_averaged(image))).decode("ascii") for image in shown]
    return [f"data:image/png;base64,{file}" for file in files]


def png(image: Pixels) -> bytes:
    """Return an image of 1 or 3 channels as a PNG file (ISO/IEC 15948), 8 bits a channel."""
    channels, height, width = image.shape
    lines = np.moveaxis(image, 0, -1).reshape(height, width * channels)
    unfiltered = np.hstack([np.zeros((height, 1), np.uint8), lines])  # filter 0 begins each line
    kind = _COLOUR if channels == 3 else _GREY
    header = struct.pack(">IIBBBBB", width, height, 8, kind, 0, 0, 0)
    chunks = (b"IHDR", header), (b"IDAT", zlib.compress(unfiltered.tobytes(), 9)), (b"IEND", b"")
    return _SIGNATURE + b"".join(_chunk(name, body) for name, body in chunks)


def _chunk(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def _averaged(image: Pixels) -> Pixels:
    step = -(-max(image.shape[1:]) // MAX_SIDE)
    if step == 1:
        return image
    rows, columns = (np.arange(0, size, step) for size in image.shape[1:])
    summed = np.add.reduceat(np.add.reduceat(image.astype(np.float64), rows, 1), columns, 2)
    ones = np.ones(image.shape[1:])
    counts = np.add.reduceat(np.add.reduceat(ones, rows, 0), columns, 1)
    return (summed / counts).round().astype(np.uint8)
