"""What travels to the page in one piece: a JSON header and the bytes that it describes."""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping, Sequence
from typing import Any


def bundle(header: Mapping[str, Any], parts: Sequence[bytes]) -> bytes:
    """The header's length (uint32, little endian), the header with ``parts`` (their lengths), and the parts."""
    text = json.dumps({**header, "parts": [len(part) for part in parts]}, separators=(",", ":")).encode()
    return b"".join((struct.pack("<I", len(text)), text, *parts))


def unbundle(data: bytes) -> tuple[dict[str, Any], list[bytes]]:
    """The header and the parts of a bundle."""
    (length,) = struct.unpack_from("<I", data)
    header = json.loads(data[4 : 4 + length])
    parts, place = [], 4 + length
    for size in header["parts"]:
        parts.append(data[place : place + size])
        place += size
    return header, parts
