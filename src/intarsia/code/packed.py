"""Outlines as bytes, to be kept beside the contents that they are of."""

from __future__ import annotations

from functools import cache
from hashlib import blake2b
from pathlib import Path

import msgspec
from msgspec import Struct

from intarsia.code.outline import Outline, Unit

_MADE_BY = ("languages", "members", "naming", "outline", "packed", "renewed", "roles", "splitter", "window")


class Packed(Struct, frozen=True, array_like=True):
    """`made_by` tells by which code: another one may see other units in the same text."""

    made_by: str
    size: int
    language: str
    units: list[Unit]
    end: int
    broken: bool


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Packed).decode


def pack(outline: Outline) -> bytes | None:
    """None for a file that is one unit, as that is made again at once."""
    if outline.language is None:
        return None
    return _encode(Packed(_made_by(), len(outline.data), outline.language, outline.units, outline.end, outline.broken))


def unpack(packed: bytes, data: bytes) -> Outline | None:
    """None for what other code packed, or what is not of this text."""
    try:
        found = _decode(packed)
    except msgspec.MsgspecError:
        return None
    if found.made_by != _made_by() or found.size != len(data):
        return None
    return Outline(data, found.language, found.units, found.end, found.broken)


@cache
def _made_by() -> str:
    here = Path(__file__).parent
    sources = b"".join((here / f"{name}.py").read_bytes() for name in _MADE_BY)
    return blake2b(sources, digest_size=6).hexdigest()
