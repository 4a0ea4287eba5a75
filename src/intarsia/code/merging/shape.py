"""How a text file is written apart from its lines: byte order mark, line ends, newline at its end.

A side may change these for the whole file while the other edits lines, so they merge for themselves, and the lines
are compared without them.
"""

from __future__ import annotations

from typing import TypeVar

from msgspec import Struct

BOM = b"\xef\xbb\xbf"
Value = TypeVar("Value")


class Shape(Struct, frozen=True):
    """`eol` is `\\n`, `\\r\\n`, or None where a file has both; `ended` whether the last line has its newline."""

    bom: bool
    eol: bytes | None
    ended: bool


class Plain(Struct, frozen=True):
    """Three versions written alike, and the shape that their merge is to have."""

    base: bytes
    ours: bytes
    theirs: bytes
    shape: Shape | None


def plain(base: bytes, ours: bytes, theirs: bytes) -> Plain:
    """The three as they are where they are written alike, else brought to one form."""
    shapes = [shape(data) for data in (base, ours, theirs)]
    if shapes[0] == shapes[1] == shapes[2] and shapes[0].ended:
        return Plain(base, ours, theirs, None)
    eol, unify = _line_ends(*(s.eol for s in shapes))
    bom, ended = (_choice(*(getattr(s, name) for s in shapes)) for name in ("bom", "ended"))
    return Plain(_bare(base, unify), _bare(ours, unify), _bare(theirs, unify), Shape(bom, eol, ended))


def shape(data: bytes) -> Shape:
    newlines, returns = data.count(b"\n"), data.count(b"\r\n")
    eol = b"\n" if not returns else b"\r\n" if returns == newlines else None
    return Shape(data.startswith(BOM), eol, data.endswith(b"\n") or not data)


def is_binary(data: bytes) -> bool:
    return b"\0" in data


def restored(data: bytes, shape: Shape | None) -> bytes:
    """What was merged, written in its shape."""
    if shape is None:
        return data
    if not shape.ended and not (shape.eol is None and data.endswith(b"\r\n")):
        data = data.removesuffix(b"\n")
    if shape.eol == b"\r\n":
        data = data.replace(b"\n", b"\r\n")
    return BOM + data if shape.bom else data


def _choice(base: Value, ours: Value, theirs: Value) -> Value:
    return theirs if ours == base else ours


def _line_ends(base: bytes | None, ours: bytes | None, theirs: bytes | None) -> tuple[bytes | None, bool]:
    """The line end to write, and whether lines are to be compared without theirs.

    Where files mix both, lines keep the ends they have, unless a side brought the whole file to one.
    """
    if None not in (base, ours, theirs):
        return _choice(base, ours, theirs), True
    whole = {end for end in (ours, theirs) if end is not None and end != base}
    return (whole.pop(), True) if len(whole) == 1 else (None, False)


def _bare(data: bytes, unify: bool) -> bytes:
    data = data.removeprefix(BOM)
    if unify:
        data = data.replace(b"\r\n", b"\n")
    return data if data.endswith(b"\n") or not data else data + b"\n"
