"""What the index knows of one content: its units, and the names that each of them uses."""

from __future__ import annotations

import re
from collections import defaultdict
from itertools import count
from zlib import crc32

from msgspec import Struct

from intarsia.code.languages import language_of
from intarsia.code.names.links import imported
from intarsia.code.names.mentions import Text
from intarsia.code.outline import Outline, Unit, outline

_IDENTIFIER = re.compile(r"[^\W\d][\w$]*[?!]?")
_NOT_DEFINING = frozenset({"import", "comment", "call", "call_expression", "ERROR", "file"})


class Row(Struct, array_like=True, gc=False):
    """A unit, from its first line to its last, from 1. `words` are positions in the record's names. Of the two hashes
    that of the signature heeds neither blanks nor the comments above, and that of the body is 0 where there is none."""

    key: str
    name: str
    kind: str
    line: int
    last: int
    signature: int
    body: int
    words: tuple[int, ...]

    @property
    def defines(self) -> bool:
        """Whether others can use the unit by its name."""
        return bool(_IDENTIFIER.fullmatch(self.name)) and self.kind not in _NOT_DEFINING


class Record(Struct, array_like=True, gc=False):
    """What is known of one content. Of `names`, those after a dot begin with one; `imports` are dotted."""

    language: str
    lines: int
    names: tuple[str, ...]
    units: tuple[Row, ...]
    imports: frozenset[str]


def record_of(path: str, data: bytes) -> Record | None:
    """None when the language is not known."""
    language = language_of(path, data)
    return None if language is None else recorded(outline(data, language), language)


def recorded(source: Outline, language: str) -> Record:
    return _Reader(source, language).record()


class _Reader:
    def __init__(self, source: Outline, language: str) -> None:
        self.source = source
        self.language = language
        self.names = defaultdict[bytes, int](count().__next__)
        self.imports: set[str] = set()
        self.text = Text(source.data, language)

    def record(self) -> Record:
        data, line, position, rows = self.source.data, 1, 0, list[Row]()
        for unit in self.source.walk():
            line += data.count(b"\n", position, unit.core)
            position = unit.core
            rows.append(self.row(unit, line))
        return Record(
            self.language,
            data.count(b"\n") + (not data.endswith(b"\n") and bool(data)),
            tuple(name.decode(errors="replace") for name in self.names),
            tuple(rows),
            frozenset(self.imports),
        )

    def row(self, unit: Unit, line: int) -> Row:
        data = self.source.data
        body = unit.open if unit.units is not None else unit.signature or unit.end
        found = self.used(unit)
        return Row(
            unit.key,
            unit.name,
            unit.kind,
            line,
            line + data.count(b"\n", unit.core, unit.end - 1),
            crc32(b" ".join(data[unit.head or unit.core : body].split())),
            0 if unit.units is not None or body == unit.end else crc32(data[body : unit.end]),
            tuple(map(self.names.__getitem__, found)),
        )

    def used(self, unit: Unit) -> set[bytes]:
        """Names in the unit, but not in its members."""
        data = self.source.data
        if unit.kind == "comment":
            return set()
        if unit.kind == "import":
            self.imports |= imported(data[unit.head or unit.core : unit.end], self.language)
            return self.text.words(unit.head or unit.core, unit.end)
        if unit.units is None:
            return self.text.mentions(unit.core, unit.end)
        footer = self.text.mentions(unit.close, unit.end) if unit.end - unit.close > 2 else set()
        return self.text.mentions(unit.core, unit.open) | footer
