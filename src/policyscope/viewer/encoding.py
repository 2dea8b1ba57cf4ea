"""How maps and screens travel to the page: a byte a value, screens as lossless sheets.

A map's values are stored as signed square roots: byte = round(127 sign(x) sqrt(|x| / scale)), with a scale per state,
its largest absolute value. Maps have heavy tails (the largest value is often ten times the 99.5th percentile, which is
what is shown at full colour), and roots keep 40 of 127 levels below a tenth of the scale where an even division keeps
13. The page turns bytes back through a table of 256 entries, so that costs it nothing.
"""

from __future__ import annotations

import io
import math
import zlib
from dataclasses import dataclass

import numpy as np
from PIL import Image

from policyscope.storage import Array

LEVELS = 127
"""Of each sign."""

WIDEST = 16_383
"""Pixels that a side of a WebP picture may have."""


@dataclass(frozen=True)
class PackedMaps:
    """Maps of some states.

    Attributes:
        data: (n, h, w) int8, deflated without a header.
        scales: (n,) float32, the largest absolute value of each; 0 where all are zero.
    """

    data: bytes
    scales: Array


def pack_maps(maps: Array, levels: int = LEVELS) -> PackedMaps:
    """Packs maps.

    Args:
        maps: (n, h, w) float32, as they are stored: at the layer's own size.
        levels: Of each sign; fewer make smaller files (31: 60 %).
    """
    maps = np.nan_to_num(np.asarray(maps, np.float32), posinf=0.0, neginf=0.0)
    scales = np.abs(maps).max(axis=(1, 2), initial=0.0).astype(np.float32)
    shares = np.abs(maps) / np.where(scales > 0, scales, 1)[:, None, None]
    roots = np.rint(np.sqrt(shares) * levels) * (LEVELS / levels)
    signed = np.copysign(np.rint(roots), maps).astype(np.int8)
    return PackedMaps(deflated(signed.tobytes()), scales)


def unpack_maps(packed: PackedMaps, shape: tuple[int, int]) -> Array:
    """What the page sees of packed maps, (n, h, w) float32.

    Args:
        packed: As :func:`pack_maps` makes it.
        shape: Height and width.
    """
    signed = np.frombuffer(zlib.decompress(packed.data, -15), np.int8).reshape(-1, *shape).astype(np.float32)
    return np.copysign((signed / LEVELS) ** 2, signed) * packed.scales[:, None, None]


def deflated(data: bytes) -> bytes:
    """Bytes without a header, as the page's ``DecompressionStream("deflate-raw")`` takes them."""
    packer = zlib.compressobj(6, zlib.DEFLATED, -15)
    return packer.compress(data) + packer.flush()


@dataclass(frozen=True)
class Sheet:
    """Pictures of some states in one.

    Attributes:
        data: A lossless WebP file.
        columns: Pictures in a row of it; state i is in row i // columns and column i % columns.
    """

    data: bytes
    columns: int


def pack_pictures(pictures: Array) -> Sheet:
    """Packs pictures side by side.

    Args:
        pictures: (n, H, W) or (n, H, W, 3) uint8.

    Raises:
        ValueError: They are more than a sheet can hold.
    """
    count, height, width = pictures.shape[:3]
    columns = max(1, min(count, WIDEST // width, math.ceil(math.sqrt(count * height / width))))
    rows = math.ceil(count / columns)
    if rows * height > WIDEST:
        raise ValueError(f"{count} pictures of {height} x {width} do not fit into a sheet: pack fewer")
    sheet = np.zeros((rows * columns, *pictures.shape[1:]), np.uint8)
    sheet[:count] = pictures
    rest = pictures.shape[3:]
    joined = sheet.reshape(rows, columns, height, width, *rest).swapaxes(1, 2)
    image = Image.fromarray(np.ascontiguousarray(joined.reshape(rows * height, columns * width, *rest)))
    file = io.BytesIO()
    image.convert("RGB").save(file, "WEBP", lossless=True, quality=50, method=2)
    return Sheet(file.getvalue(), columns)
