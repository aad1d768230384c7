"""Pictures are PNG files that hold the image."""

import base64
import struct
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from search.insight.pictures import MAX_SIDE, data_uris

PREFIX = "data:image/png;base64,"


def decoded(uri: str) -> NDArray[np.uint8]:
    """Return (channels, height, width) of a PNG without filters, its checksums checked."""
    file = base64.b64decode(uri.removeprefix(PREFIX), validate=True)
    assert file[:8] == b"\x89PNG\r\n\x1a\n"
    chunks, at = {}, 8
    while at < len(file):
        (size,) = struct.unpack(">I", file[at : at + 4])
        name, body = file[at + 4 : at + 8], file[at + 8 : at + 8 + size]
        assert struct.unpack(">I", file[at + 8 + size : at + 12 + size])[0] == zlib.crc32(
            name + body
        )
        chunks[name] = body
        at += 12 + size
    assert list(chunks) == [b"IHDR", b"IDAT", b"IEND"]
    width, height, depth, kind, *rest = struct.unpack(">IIBBBBB", chunks[b"IHDR"])
    assert (depth, rest) == (8, [0, 0, 0])
    channels = {0: 1, 2: 3}[kind]
    lines = np.frombuffer(zlib.decompress(chunks[b"IDAT"]), np.uint8).reshape(height, -1)
    assert not lines[:, 0].any()
    return np.moveaxis(lines[:, 1:].reshape(height, width, channels), -1, 0)


@given(st.integers(0, 999), st.sampled_from([1, 3]), st.integers(1, 48), st.integers(1, 48))
@settings(max_examples=25)
def test_a_small_image_is_kept_pixel_for_pixel(
    seed: int, channels: int, height: int, width: int
) -> None:
    image = np.random.default_rng(seed).integers(0, 256, (1, channels, height, width), np.uint8)
    image[0, 0, 0, 0] = 255
    (uri,) = data_uris(image)
    assert np.array_equal(decoded(uri), image[0])


def test_a_large_image_is_averaged_down() -> None:
    image = np.full((1, 3, 224, 130), 200, np.uint8)
    (uri,) = data_uris(image)
    small = decoded(uri)
    assert max(small.shape) <= MAX_SIDE
    assert np.unique(small).tolist() == [200]


@pytest.mark.parametrize("channels", [2, 4])
def test_of_other_numbers_of_channels_the_first_is_shown(channels: int) -> None:
    image = np.arange(channels, dtype=np.uint8)[None, :, None, None] * np.ones(
        (1, 1, 5, 5), np.uint8
    )
    image[0, 0] = 255
    (uri,) = data_uris(image)
    assert np.unique(decoded(uri)).tolist() == [255]


def test_dark_images_are_brightened_alike() -> None:
    images = np.stack([np.full((1, 8, 8), level, np.uint8) for level in (0, 8, 16)])
    assert [int(decoded(uri).max()) for uri in data_uris(images)] == [0, 128, 255]
    assert decoded(data_uris(np.zeros((1, 1, 8, 8), np.uint8))[0]).max() == 0
