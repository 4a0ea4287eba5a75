"""What a session may want of a file, each as the text it wants it to be and the text it had in mind."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, Protocol

from msgspec import structs

from intarsia.code.outline import Outline, Unit
from intarsia.code.touched import Change, touched
from intarsia.errors import Conflict, InputError, NotFound
from intarsia.workspace.joining import shape_of

_OFFSETS = ("start", "core", "head", "end", "signature", "open", "close")

Seen = tuple[bytes | None] | None
"""What the session believes the file to be; None if it never looked, (None,) if there was no file."""
Where = Literal["after", "before", "into"]


class NotSeen(Conflict):
    """The session wants to write a whole file that it never looked at."""

    code = "not_seen"


@dataclass(frozen=True)
class Proposal:
    """`wanted` is made from `base`. `believed`: what the session takes the file for afterwards, None if unclear.

    `follows_disk`: the base is the file as it is, so on another one the edit comes to something else.
    """

    base: bytes | None
    wanted: bytes | None
    believed: Seen
    follows_disk: bool


class Edit(Protocol):
    def propose(self, path: str, disk: bytes | None, seen: Seen) -> Proposal:
        """Raises InputError or NotSeen for what can't be done."""
        ...


@dataclass(frozen=True)
class Write:
    """The whole file, made from the version that the session saw last."""

    content: bytes | None

    def propose(self, path: str, disk: bytes | None, seen: Seen) -> Proposal:
        if seen is None and disk is not None:
            raise NotSeen(
                f"You have not read {path}, so what you would overwrite is not known.",
                hint=f"intarsia read {path}, then write it; or change a part: intarsia edit {path}",
                path=path,
            )
        base = seen[0] if seen else None
        return Proposal(base, self.content, (self.content,), follows_disk=False)


@dataclass(frozen=True)
class Delete:
    """The file as it is, gone."""

    def propose(self, path: str, disk: bytes | None, seen: Seen) -> Proposal:
        if disk is None:
            raise NotFound(f"There is no file {path}.")
        return Proposal(disk, None, (None,), follows_disk=True)


@dataclass(frozen=True)
class Splice:
    """A change of a part: `make` gives the new text of the file, and raises InputError where it can't be made."""

    make: Callable[[str, bytes], bytes]

    def propose(self, path: str, disk: bytes | None, seen: Seen) -> Proposal:
        if disk is None:
            raise NotFound(f"There is no file {path}.", hint=f"Make it: intarsia write {path}")
        return Proposal(disk, self.make(path, disk), self._believed(path, seen), follows_disk=True)

    def _believed(self, path: str, seen: Seen) -> Seen:
        """The same change of what the session saw; where that can't be made, it has to look again before it writes."""
        if seen is None or seen[0] is None:
            return None
        try:
            return (self.make(path, seen[0]),)
        except InputError:
            return None


def exchange(old: bytes, new: bytes, *, everywhere: bool = False) -> Splice:
    """Replace `old`, which stands in the file once, or any number of times with `everywhere`."""
    if not old:
        raise InputError("The text to replace is empty.")

    def make(path: str, data: bytes) -> bytes:
        before, after = _in_lines_of(data, old), _in_lines_of(data, new)
        count = data.count(before)
        if count == 0:
            raise NotFound(f"{path} does not contain that text.", hint=f"See how it is now: intarsia read {path}")
        if count > 1 and not everywhere:
            raise InputError(
                f"{path} contains that text {count} times.", hint="Give more of what is around it, or --all."
            )
        return data.replace(before, after)

    return Splice(make)


def insertion(text: bytes, where: Where, symbol: str) -> Splice:
    """Put `text`, with its own indentation, beside a symbol or at the end of a container."""
    if not text.strip():
        raise InputError("There is no text to insert.")

    def make(path: str, data: bytes) -> bytes:
        shape = shape_of(path, data)
        unit = _unit(path, shape, symbol)
        if where == "into" and unit.units is None:
            raise InputError(f"{symbol} has no members.", hint=f"intarsia code outline {path}")
        at = {"after": unit.end, "before": unit.core, "into": unit.close}[where]
        neighbours = _siblings(shape, unit) if where != "into" else (unit.units or [])
        made = data[:at] + _set_off(data, at, text, where, neighbours) + data[at:]
        _require_place(path, shape, made, symbol, where)
        return made

    return Splice(make)


def import_of(statement: bytes) -> Splice:
    """Add an import line, unless it is there, after those that are there."""
    line = statement.strip()
    if not line or b"\n" in line:
        raise InputError("An import is one line.")

    def make(path: str, data: bytes) -> bytes:
        if any(existing.strip() == line for existing in data.split(b"\n")):
            return data
        shape = shape_of(path, data)
        at = _place_of_imports(shape, line)
        before = b"" if not at or data[:at].endswith(b"\n") else eol_of(data)
        return data[:at] + before + line + eol_of(data) + data[at:]

    return Splice(make)


def changes_of(path: str, proposal: Proposal, good: bytes | None) -> list[Change]:
    """The symbols that a proposal touches; `good` is the last version without errors, if the base has some."""
    if proposal.base == proposal.wanted:
        return []
    if proposal.base is None or proposal.wanted is None:
        return [Change("file", "")]
    return touched(_shape(path, proposal.base, good), proposal.wanted)


def symbols_between(path: str, before: bytes | None, after: bytes | None) -> list[str]:
    """The keys of what differs; empty for all of it."""
    if before is None or after is None:
        return []
    return sorted({change.key for change in touched(_shape(path, before, None), after) if change.key})


def eol_of(data: bytes) -> bytes:
    return b"\r\n" if b"\r\n" in data[: data.find(b"\n") + 1] else b"\n"


def _shape(path: str, data: bytes, good: bytes | None) -> Outline:
    shape = shape_of(path, data)
    if not shape.broken or good is None:
        return shape
    return shifted(shape_of(path, good), data)


def shifted(shape: Outline, data: bytes) -> Outline:
    """The same outline over a later version of the file: the units around what differs grew by it, all others moved."""
    old = shape.data
    low = _common(old, data)
    tail = _common(old[low:][::-1], data[low:][::-1])
    high, grown = len(old) - tail, len(data) - len(old)

    def at(place: int) -> int:
        return place if place <= low and place < high else place + grown if place >= high else low

    def move(unit: Unit) -> Unit:
        inner = None if unit.units is None else [move(member) for member in unit.units]
        return structs.replace(unit, units=inner, **{name: at(getattr(unit, name)) for name in _OFFSETS})

    return Outline(data, shape.language, [move(unit) for unit in shape.units], at(shape.end), broken=True)


def _common(a: bytes, b: bytes) -> int:
    """How many bytes both begin with."""
    low, high = 0, min(len(a), len(b))
    while low < high:
        middle = (low + high + 1) // 2
        if a[low:middle] == b[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low


def _in_lines_of(data: bytes, text: bytes) -> bytes:
    """Text with the line ends of the file: agents write `\\n` whatever the file has."""
    if eol_of(data) == b"\r\n" and b"\r\n" not in text:
        return text.replace(b"\n", b"\r\n")
    return text


def _unit(path: str, shape: Outline, symbol: str) -> Unit:
    unit = shape.find(symbol) if symbol else None
    if unit is None:
        raise NotFound(f"{path} has no symbol {symbol!r}.", hint=f"intarsia code outline {path}")
    return unit


def _siblings(shape: Outline, unit: Unit) -> list[Unit]:
    levels = [shape.units, *(other.units for other in shape.walk() if other.units is not None)]
    return next(level for level in levels if any(sibling is unit for sibling in level))


def _set_off(data: bytes, at: int, text: bytes, where: Where, neighbours: list[Unit]) -> bytes:
    """The text as whole lines, with as many blank lines around it as its neighbours have between them."""
    eol = eol_of(data)
    lines = _in_lines_of(data, text.strip(b"\r\n"))
    leads = [data[unit.start : unit.core].count(b"\n") for unit in neighbours[1:]]
    usual = max(leads, key=leads.count, default=int(b"\n" in lines))
    lead = eol * max(usual, len(text) - len(text.lstrip(b"\n")))
    before = b"" if not at or data[:at].endswith(b"\n") else eol
    if where == "before":
        return before + lines + eol + lead
    if where == "into" and not neighbours:
        lead = b""
    return before + lead + lines + (eol if data[:at].endswith(b"\n") or data[at:] else b"")


def _require_place(path: str, before: Outline, made: bytes, symbol: str, where: Where) -> None:
    """The text came where it was wanted: all that was there is as it was, and what is new is beside the symbol."""
    after = shape_of(path, made)
    container = symbol if where == "into" else symbol.rpartition(".")[0]
    old, new = {unit.key for unit in before.walk()}, {unit.key for unit in after.walk()}
    added = new - old
    if old - new or (after.broken and not before.broken):
        raise InputError(
            f"With that text {where} {symbol}, {path} can't be parsed as it should.",
            hint="Give whole definitions, indented as their neighbours are.",
        )
    for key in added:
        if container and not key.startswith(f"{container}."):
            raise InputError(
                f"{key} would not be part of {container}.", hint="Indent the text as its neighbours are indented."
            )


def _place_of_imports(shape: Outline, line: bytes) -> int:
    imports = [unit for unit in shape.units if unit.kind == "import"]
    if line.startswith(b"from __future__"):
        imports = [unit for unit in imports if shape.text(unit).startswith(b"from __future__")]
    if imports:
        return imports[-1].end
    at = 0
    for unit in shape.units:
        if unit.kind not in ("comment", "docstring", "package"):
            break
        at = unit.end
    return at
