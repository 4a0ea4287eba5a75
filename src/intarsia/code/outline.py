"""The outline of a source file: an ordered tree of units whose spans tile the file exactly.

Measured facts behind the rules: design/code.md.
"""

from __future__ import annotations

from collections.abc import Iterator

from msgspec import Struct

from intarsia.code.languages import parse
from intarsia.code.recent import Recent


class Unit(Struct, gc=False, array_like=True):
    """A symbol, an import, a comment or a statement, as offsets in the file's bytes.

    [start, core) is the blank lead; [core, end) the comments, decorators and attributes that touch the node, the node,
    its separator and its trailing comment. The comments above end at `head`. `signature` is where the body or the value
    begins, or 0. A container has `units`: its header is [core, open), its footer [close, end). For keys see naming.py;
    `name` is empty where nothing is named.
    """

    kind: str
    name: str
    key: str
    start: int
    core: int
    end: int
    signature: int = 0
    units: list[Unit] | None = None
    open: int = 0
    close: int = 0
    head: int = 0

    @property
    def lasting(self) -> bool:
        """Whether it lends its name to its members."""
        return bool(self.name) and self.kind != "import"


class Outline(Struct):
    """Of `data`: top-level `units` tile [0, end), and [end, len(data)) is the tail.

    `language` is None where the whole file is one unit. `broken` says that the grammar found an error.
    """

    data: bytes
    language: str | None
    units: list[Unit]
    end: int
    broken: bool = False

    def tiles(self) -> Iterator[bytes]:
        """The file, in pieces: leads, leaves, and headers and footers of containers."""
        yield from _tiles(self.data, self.units)
        yield self.data[self.end :]

    def walk(self) -> Iterator[Unit]:
        """All units, containers before their members."""
        yield from _walk(self.units)

    def find(self, key: str) -> Unit | None:
        return next((unit for unit in self.walk() if unit.key == key), None)

    def text(self, unit: Unit) -> bytes:
        """The unit without its blank lead."""
        return self.data[unit.core : unit.end]


def outline(data: bytes, language: str | None) -> Outline:
    """Never raises: a file of no known language, or too large or too slow to parse, is one unit."""
    from intarsia.code.splitter import Splitter

    tree = parse(data, language) if language is not None else None
    if tree is None or language is None:
        return whole(data)
    root = tree.root_node
    units, end = Splitter(data, language).split(root)
    if not units and data.removeprefix(b"\xef\xbb\xbf").strip():
        return whole(data)
    return Outline(data, language, units, end, broken=root.has_error)


def recall(data: bytes, language: str | None) -> Outline:
    """The outline, made anew only where it is not one of those made last. It is others' too: not to be changed."""
    return _recent(data, language) or whole(data)


def recalled(data: bytes, language: str | None) -> Outline | None:
    """The outline, if it is one of those made last."""
    return _recent.known(data, language)


def remember(made: Outline) -> Outline:
    """Have an outline recalled that was made in another way."""
    if made.language is not None:
        _recent.learn(made, made.data, made.language)
    return made


def whole(data: bytes) -> Outline:
    """The file as one unit."""
    size = len(data)
    return Outline(data, None, [Unit("file", "", "", 0, 0, size)] if data else [], size)


def _split(data: bytes, language: str | None) -> Outline | None:
    made = outline(data, language)
    return made if made.language is not None else None


_recent = Recent(_split)


def _tiles(data: bytes, units: list[Unit]) -> Iterator[bytes]:
    for unit in units:
        yield data[unit.start : unit.core]
        if unit.units is None:
            yield data[unit.core : unit.end]
        else:
            yield data[unit.core : unit.open]
            yield from _tiles(data, unit.units)
            yield data[unit.close : unit.end]


def _walk(units: list[Unit]) -> Iterator[Unit]:
    for unit in units:
        yield unit
        if unit.units is not None:
            yield from _walk(unit.units)
