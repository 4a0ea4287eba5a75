"""Import statements that name several things: the union of what two sides did to the list."""

from __future__ import annotations

import re

from msgspec import Struct

MAX_BYTES = 4096
_PYTHON = re.compile(rb"(\s*(?:from\s+\S+\s+)?import\s+)(\(?)([^()#\\;*]*)(\)?[ \t]*(?:#[^\n]*)?\s*)\Z")
_BRACES = re.compile(rb"([^{}]*)(\{)([^{}]*)(\}[^{}]*)\Z")
_BRACED = frozenset({"javascript", "typescript", "tsx", "rust", "php"})
_PYTHON_BLANK = re.compile(rb"#[^\n]*|\\\r?\n")
_BLANK = re.compile(rb"(?<![:\"'])//[^\n]*|/\*.*?\*/", re.DOTALL)
_WORD = re.compile(rb"[^\W\d]\w*")


class List(Struct, frozen=True):
    """`head` + `between` joined names + `tail`; `padding` is what stands between head and first name, `closing` between
    the last name and the tail."""

    head: bytes
    padding: bytes
    names: tuple[bytes, ...]
    between: bytes
    closing: bytes
    tail: bytes


def union(base: bytes, ours: bytes, theirs: bytes, language: str | None) -> bytes | None:
    """One statement with both sides' names; None where it is not a list of names, or they did not only change names."""
    lists = [_list(text, language) for text in (base, ours, theirs)]
    old, mine, other = lists
    if old is None or mine is None or other is None:
        return None
    layout = _layout(old, mine, other)
    names = _names(old.names, mine.names, other.names)
    if layout is None or not names:
        return None
    return _written(layout, names)


def sum_up(ours: bytes, theirs: bytes, language: str | None) -> bytes | None:
    """Like `union`, of two statements that both sides added for one module."""
    mine, other = _list(ours, language), _list(theirs, language)
    if mine is None or other is None or (mine.head, mine.tail.strip()) != (other.head, other.tail.strip()):
        return None
    common = tuple(name for name in mine.names if name in other.names)
    names = _names(common, mine.names, other.names)
    return None if names is None else _written(mine, names)


def module(text: bytes, language: str | None) -> bytes:
    """What a list of names is taken from, with all that stands around the list; empty where there is no list."""
    found = _list(text, language)
    if found is None or (language == "python" and not found.head.lstrip().startswith(b"from")):
        return b""
    return found.head + b"\0" + found.tail.strip()


def bound(text: bytes, language: str | None) -> set[bytes]:
    """The names that an import statement binds, as far as its text tells."""
    text = (_PYTHON_BLANK if language == "python" else _BLANK).sub(b" ", text)
    if language in ("c", "cpp") or (b"*" in text and b" as " not in text):
        return set()
    found = _list(text, language)
    names: tuple[bytes, ...] = (text.split(b" from ")[0],) if found is None else found.names
    if found is not None and b" from " in found.tail:
        names += tuple(name for name in found.head.split(b",") if not name.lstrip().startswith(b"import {"))
    is_dotted = language == "python" and text.lstrip().startswith(b"import")
    # `import a.b` of Python binds `a`, which any number of statements may do.
    own = [name for name in names if not (is_dotted and b" as " not in name)]
    return {words[-1] for name in own if (words := _WORD.findall(name))} - {b"import", b"type"}


def _written(layout: List, names: list[bytes]) -> bytes:
    return layout.head + layout.padding + layout.between.join(names) + layout.closing + layout.tail


def _list(text: bytes, language: str | None) -> List | None:
    if len(text) > MAX_BYTES or _BLANK.search(text):
        return None
    pattern = _PYTHON if language == "python" else _BRACES if language in _BRACED else None
    match = pattern.match(text) if pattern is not None else None
    if match is None or (language == "python" and bool(match[2]) != match[4].startswith(b")")):
        return None
    inside = match[3]
    names = tuple(b" ".join(part.split()) for part in inside.split(b","))
    if names[-1] == b"":
        names = names[:-1]
    if not names or b"" in names or len(set(names)) != len(names):
        return None
    padding = inside[: len(inside) - len(inside.lstrip())]
    closing = inside[len(inside.rstrip().removesuffix(b",").rstrip()) :]
    return List(match[1] + match[2], padding, names, _between(inside, padding), closing, match[4])


def _between(inside: bytes, padding: bytes) -> bytes:
    """As the statement itself parts its names; a list of one name says by its padding how it would."""
    found = re.search(rb",\s*(?=[^\s,])", inside)
    if found:
        return found[0]
    return b"," + padding if b"\n" in padding else b", "


def _layout(base: List, ours: List, theirs: List) -> List | None:
    """Whose way of writing the list is kept: of the side that changed it; None where the module is not the same."""
    if not _source(base) == _source(ours) == _source(theirs):
        return None
    one, other, old = ((side.head, side.tail) for side in (ours, theirs, base))
    if one == other or other == old:
        return ours
    return theirs if one == old else None


def _source(found: List) -> tuple[list[bytes], list[bytes]]:
    """What the names are taken from: words around the list, without those that another name of its own may add."""
    head, tail = _WORD.findall(found.head), _WORD.findall(found.tail.split(b"#")[0])
    return ([], tail) if b" from " in found.tail else (head, tail)


def _names(base: tuple[bytes, ...], ours: tuple[bytes, ...], theirs: tuple[bytes, ...]) -> list[bytes] | None:
    """Ours without what they removed, and with what they added after the name that stands before it there."""
    mine, other = set(ours), set(theirs)
    both_removed = set(base) - mine - other
    new = [name for name in theirs if name not in base and name not in mine]
    if both_removed and (new or mine - set(base)):
        return None
    names = [name for name in ours if name in other or name not in base]
    for name in new:
        names.insert(_after(names, theirs, name), name)
    last_words = [_WORD.findall(name)[-1:] for name in names]
    return names if len({tuple(words) for words in last_words}) == len(names) else None


def _after(names: list[bytes], theirs: tuple[bytes, ...], name: bytes) -> int:
    before = theirs[: theirs.index(name)][::-1]
    at = next((names.index(other) + 1 for other in before if other in names), 0)
    # Behind what ours added there.
    while at < len(names) and names[at] not in theirs:
        at += 1
    return at
