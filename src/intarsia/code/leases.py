"""What must be leased for changes to a file.

The name of a lock is the unit's key without ordinals: they shift when a unit is added or removed, so all units of one
name share a lock. What has no name of its own is locked with what contains it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Literal

from intarsia.code.identity import without_ordinals
from intarsia.code.touched import Change

Mode = Literal["exclusive", "insert", "imports"]
MAX_URI = 1_900  # bytes, and one for each name; what is longer is locked with what contains it
_STRONGER = {"exclusive": 2, "insert": 1, "imports": 0}


def needs(path: str, changes: Iterable[Change]) -> dict[str, Mode]:
    """Resource URI → mode, for all of these changes; a change of blank lines needs nothing."""
    found: dict[str, Mode] = {}
    for change in changes:
        for name, mode in _wanted(path, change):
            if name not in found or _STRONGER[mode] > _STRONGER[found[name]]:
                found[name] = mode
    return dict(sorted(found.items()))


def uri(path: str, key: str = "", part: str = "") -> str:
    """The resource of a file, of a symbol in it, or of a `part` of that symbol, such as `body`."""
    path = _printable(path.replace("#", "%23"))
    name = lock_name(key)
    names = name.split(".") if name else []
    while True:
        made = f"code:{path}" + ("#" + ".".join(names) if names else "") + (f"/{part}" if part and names else "")
        if len(made.encode()) + len(names) <= MAX_URI or not (names or "/" in path):
            return made
        part = ""
        if names:
            names.pop()
        else:
            path = path.rpartition("/")[0]


def lock_name(key: str) -> str:
    """The key that can be locked for a unit: of its name, or of what contains it; empty for the file."""
    name = without_ordinals(key)
    if name.startswith("import "):
        return ""
    container, _, last = name.rpartition(".")
    return container if last.startswith("(") and last != "(docstring)" else name


def _wanted(path: str, change: Change) -> Iterator[tuple[str, Mode]]:
    key, into = change.key, change.into
    if change.kind == "file":
        yield uri(path), "exclusive"
    elif change.kind == "imports":
        yield uri(path), "imports"
    elif change.kind == "body":
        yield uri(path, key, "body" if lock_name(key) == without_ordinals(key) else ""), "exclusive"
    elif change.kind != "lead":
        if change.kind in ("added", "moved", "renamed"):
            yield uri(path, into if change.kind != "renamed" else into.rpartition(".")[0]), "insert"
        if change.kind == "renamed":
            yield uri(path, into), "exclusive"
        if change.kind != "added" or lock_name(key) == without_ordinals(key):
            yield uri(path, key), "exclusive"


def _printable(path: str) -> str:
    if path.isprintable():
        return path
    return re.sub(r".", lambda found: found[0] if found[0].isprintable() else _percent(found[0]), path, flags=re.DOTALL)


def _percent(char: str) -> str:
    return "".join(f"%{byte:02X}" for byte in char.encode("utf-8", "surrogatepass"))
