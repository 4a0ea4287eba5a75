"""From a syntax tree to units whose spans tile the file.

Every node on a level becomes a unit whatever its kind, with the comments that touch it above and the one behind it on
its line. Positions only ever move forward, and each unit begins where the one before ended: hence the tiling.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from intarsia.code.languages import words
from intarsia.code.members import bounds
from intarsia.code.naming import describe, import_key, import_name, is_import, naming
from intarsia.code.outline import Unit
from intarsia.code.roles import (
    ATTACHED,
    CALL,
    COMMENT,
    CONTAINER,
    IMPORT,
    PLAIN,
    SEPARATOR,
    TOKEN,
    TRANSPARENT,
    WRAPPER,
    roles,
)

if TYPE_CHECKING:
    from tree_sitter import Node

MAX_DEPTH = 40
MAX_NODES = 50_000  # on one level; of source a megabyte has some thousands
MAX_INDENT = 500
_INDENT = b" \t\f\v\r"
_BOM = b"\xef\xbb\xbf"
_REST_OF_LINE = re.compile(rb"[ \t\f\v\r]*(?:\n|\Z)")
_BLANK = re.compile(rb"\s*")
_BLANK_LINE = re.compile(rb"\n[ \t\f\v\r]*\n")
_BLOCKS = words("javascript typescript tsx ruby php")  # languages that define by calls


class Splitter:
    """One file's bytes and tree, turned into units."""

    def __init__(self, data: bytes, language: str) -> None:
        self.data = data
        self.size = len(data)
        self.has_blocks = language in _BLOCKS
        self.python = language == "python"
        self.go = language == "go"
        self.ruby = language == "ruby"
        self.roles = roles(language)
        self.names = naming(language)
        self.seen: dict[str, int] = {}

    def split(self, root: Node) -> tuple[list[Unit], int]:
        """The units, and where the tail begins; all is tail when there are too many."""
        if root.child_count > MAX_NODES:
            return [], 0
        first = len(_BOM) if self.data.startswith(_BOM) else 0
        units = Level(self, first, len(self.data), "", 0).tile(root.children)
        if not units:
            return [], 0
        units[0].start = 0
        return units, units[-1].end

    def end_of_line(self, position: int, high: int) -> int:
        """Behind the newline when only blanks come before it, else `position`, also where a line has just ended."""
        if position and self.data[position - 1] == 10:
            return position
        found = _REST_OF_LINE.match(self.data, position, high)
        return found.end() if found else position

    def start_of_line(self, position: int) -> int:
        """The start of the line when only blanks stand between, else `position`; lines can be as long as the file."""
        before = self.data[max(0, position - MAX_INDENT) : position]
        kept = before.rstrip(_INDENT)
        start = position - len(before) + len(kept)
        if not kept:
            return start if start == 0 else position
        return start if kept[-1] == 10 or (start == len(_BOM) and kept == _BOM) else position

    def is_reexport(self, node: Node) -> bool:
        """`export … from "…"`."""
        return self.names.kind(node) == "export_statement" and node.child_by_field_name("source") is not None

    def is_group(self, node: Node) -> bool:
        return any(self.data.startswith(b"(", child.start_byte) for child in node.children)

    def key(self, prefix: str, part: str) -> str:
        key = prefix + part
        count = self.seen[key] = self.seen.get(key, 0) + 1
        return key if count == 1 else f"{key}#{count}"

    def unwrap(self, node: Node, role: int) -> tuple[Node, int]:
        """The definition inside of decorators, `export`, `template <…>`."""
        if role == WRAPPER and self.is_reexport(node):
            return node, IMPORT
        while role == WRAPPER or (role == TRANSPARENT and self.go and not self.is_group(node)):
            inner = self.names.field(node, self.names.wrapped) or _last_named(node)
            if inner is None or inner.end_byte <= inner.start_byte:
                break
            node, role = inner, self.roles[inner.kind_id]
        return node, role


class Level:
    """The units of one container, or of the file, while they are being made from left to right.

    `position` is where the last unit ended. Comments and attributes wait, as [waiting, waiting_end), for what they
    belong to; `attribute` is where the first waiting attribute begins.
    """

    def __init__(self, splitter: Splitter, low: int, high: int, prefix: str, depth: int) -> None:
        self.splitter = splitter
        self.data = splitter.data
        self.low = self.position = low
        self.high = high
        self.prefix = prefix
        self.depth = depth
        self.units: list[Unit] = []
        self.waiting = self.waiting_end = self.attribute = -1

    def tile(self, nodes: list[Node]) -> list[Unit]:
        roles = self.splitter.roles
        high = self.high
        for node in nodes:
            start, end = node.start_byte, node.end_byte
            if end > high:
                end = high
            if start < self.position or end <= start:
                continue
            role = roles[node.kind_id]
            if role == COMMENT:
                self.comment(start, end)
            elif role == SEPARATOR:
                self.separator(start, end)
            elif role == ATTACHED:
                self.wait(start, end)
                self.attribute = start if self.attribute < 0 else self.attribute
            elif role != TOKEN:
                self.node(node, role, start, end)
        if self.waiting >= 0:
            self.flush()
        return self.units

    def comment(self, start: int, end: int) -> None:
        if self.units and self.waiting < 0 and self.is_trailing(start):
            self.extend(end)
            return
        if self.waiting >= 0 and self.attribute < 0 and self.is_apart(start):
            self.flush()
        self.wait(start, end)

    def separator(self, start: int, end: int) -> None:
        if self.units and self.waiting < 0 and not self.data[self.position : start].strip():
            self.extend(end)

    def wait(self, start: int, end: int) -> None:
        self.waiting = start if self.waiting < 0 else self.waiting
        self.waiting_end = end - 1 if self.data[end - 1] == 10 else end

    def node(self, node: Node, role: int, start: int, end: int) -> None:
        if self.waiting >= 0 and self.attribute < 0 and self.is_apart(start):
            self.flush()
        first = start if self.waiting < 0 else self.waiting
        core = self.core(first)
        head = core if self.waiting < 0 else self.attribute if self.attribute >= 0 else start
        self.waiting = self.attribute = -1
        unit = self.unit(node, role, core, end)
        unit.head = max(core, self.splitter.start_of_line(head)) if head > core else core
        self.add(unit)

    def core(self, first: int) -> int:
        """Where the text begins of what starts at `first`: at the start of its line, and behind nothing but blanks."""
        core = max(self.position, self.splitter.start_of_line(first))
        if core > self.position and self.data[self.position : core].strip():
            found = _BLANK.match(self.data, self.position)
            return found.end() if found else core
        return core

    def add(self, unit: Unit) -> None:
        unit.start = self.position
        self.units.append(unit)
        self.position = unit.end

    def flush(self) -> None:
        """The waiting comments belong to nothing: they are a unit of their own."""
        core = self.core(self.waiting)
        end = self.splitter.end_of_line(self.waiting_end, self.high)
        self.add(Unit("comment", "", self.splitter.key(self.prefix, "(comment)"), core, core, end, head=end))
        self.waiting = self.attribute = -1

    def is_apart(self, start: int) -> bool:
        """Whether a blank line parts what waits from what begins at `start`."""
        return _BLANK_LINE.search(self.data, self.waiting_end, start) is not None

    def is_trailing(self, start: int) -> bool:
        """Whether a comment stands behind the last unit on its line; in Python also below it, further indented."""
        position = self.position
        if self.data[position - 1] != 10 and self.data.find(b"\n", position, start) < 0:
            return True
        if not self.splitter.python:
            return False
        indent = start - self.data.rfind(b"\n", 0, start)
        core = self.units[-1].core
        own = len(self.data[core : core + 200]) - len(self.data[core : core + 200].lstrip(b" \t"))
        return indent - 1 > own

    def extend(self, end: int) -> None:
        """Let the last unit, and those that end with it, end further on."""
        end = self.splitter.end_of_line(end, self.high)
        unit, before = self.units[-1], self.position
        unit.end = self.position = end
        while unit.units and unit.close == before == unit.units[-1].end:
            unit.close = end
            unit = unit.units[-1]
            unit.end = end

    def unit(self, node: Node, role: int, core: int, end: int) -> Unit:
        splitter = self.splitter
        inner, role = splitter.unwrap(node, role)
        if role == TRANSPARENT and bounds(splitter, inner, role) is None:
            role = PLAIN
        kind = splitter.names.kind(inner)
        end = splitter.end_of_line(end, self.high)
        if role == IMPORT or (role == CALL and is_import(splitter.names, self.data, inner)):
            return self.import_(inner, kind, core, end)
        if splitter.python and kind == "string" and not self.units:
            return Unit("docstring", "", splitter.key(self.prefix, "(docstring)"), core, core, end)
        name, part, signature = describe(splitter.names, self.data, node, inner, kind)
        if role == TRANSPARENT:
            name = part = ""
        key = splitter.key(self.prefix, part or f"({kind})")
        unit = Unit(kind, name, key, core, core, end, signature)
        if role in (CONTAINER, TRANSPARENT, CALL) and self.depth < MAX_DEPTH:
            # What has no lasting name lends none to its members.
            self.open(unit, inner, role, f"{key}." if part else self.prefix)
        return unit

    def import_(self, node: Node, kind: str, core: int, end: int) -> Unit:
        name = import_name(self.splitter.names, self.data, node)
        unit = Unit("import", name, self.splitter.key("", import_key(name)), core, core, end)
        if kind == "import_declaration" and self.splitter.names.language == "go":
            self.open(unit, node, TRANSPARENT, self.prefix)
        return unit

    def below(self, nodes: list[Node], low: int) -> int:
        """Past the comment that stands on the line of a container's opening, as it speaks of the container."""
        for node in nodes:
            start, end = node.start_byte, node.end_byte
            if start >= low and end > start:
                comment = self.splitter.roles[node.kind_id] == COMMENT and self.data.find(b"\n", low, end) < 0
                return end if comment and self.splitter.end_of_line(end, self.high) > end else low
        return low

    def open(self, unit: Unit, node: Node, role: int, prefix: str) -> None:
        """Give the unit its members, if it can have any."""
        inside = bounds(self.splitter, node, role)
        if inside is None or len(inside.nodes) > MAX_NODES:
            return
        nodes, low, close = inside
        low = self.below(nodes, max(unit.core, low))
        close = max(low, min(close, unit.end))
        behind = self.splitter.end_of_line(low, close)
        low = behind if behind > low else max(unit.core, self.splitter.start_of_line(low))
        if close < unit.end:
            close = max(low, self.splitter.start_of_line(close))
        unit.units = Level(self.splitter, low, close, prefix, self.depth + 1).tile(nodes)
        unit.signature = 0
        unit.open = low
        unit.close = unit.units[-1].end if unit.units else low


def _last_named(node: Node) -> Node | None:
    children = node.named_children
    return children[-1] if children else None
