"""Which grants go together: the one table, for Python and for the function in PostgreSQL.

- `exclusive`: nobody else changes this, or depends on it.
- `shared`: what is here stays as it is, for somebody depends on it.
- `insert`, `imports`, `append`: new members of a container, import lines of a file, entries at the end of a unit. They
  change nothing that is here, so they go with each other, with `shared`, and with whoever changes a member; but not
  with whoever changes the unit itself, as a whole or one of its parts (`…#f/body`), or something around it.
"""

from __future__ import annotations

from functools import cache
from typing import Literal, get_args

from intarsia.kernel.resources import SEPARATOR, Resource

Mode = Literal["append", "imports", "insert", "shared", "exclusive"]
# Where one resource lies, seen from another: "unit" is what that is a part of, "part" is a part of that.
Place = Literal["around", "unit", "same", "part", "inside"]

MODES: tuple[Mode, ...] = get_args(Mode)
"""Weakest first: each stands in the way of all that those before it do. One grant holds the strongest asked for."""

_Modes = frozenset[Mode]
_NONE: _Modes = frozenset()
_ALONE: _Modes = frozenset({"exclusive"})
_FIRM: _Modes = frozenset({"exclusive", "shared"})
_EVERY: _Modes = frozenset(MODES)


def _row(around: _Modes, unit: _Modes, same: _Modes, part: _Modes, inside: _Modes) -> dict[Place, _Modes]:
    return {"around": around, "unit": unit, "same": same, "part": part, "inside": inside}


# What stands in the way of an asked mode, if it is held at that place.
CONFLICTS: dict[Mode, dict[Place, _Modes]] = {
    "exclusive": _row(_FIRM, _EVERY, _EVERY, _EVERY, _EVERY),
    "shared": _row(_ALONE, _ALONE, _ALONE, _ALONE, _ALONE),
    "insert": _row(_ALONE, _ALONE, _ALONE, _ALONE, _NONE),
    "imports": _row(_ALONE, _ALONE, _ALONE, _ALONE, _NONE),
    "append": _row(_ALONE, _ALONE, _ALONE, _ALONE, _NONE),
}
ANYWHERE: dict[Mode, _Modes] = {mode: _NONE.union(*row.values()) for mode, row in CONFLICTS.items()}
"""What stands in the way of an asked mode at some place."""


def stronger(one: Mode, other: Mode) -> Mode:
    return max(one, other, key=MODES.index)


def conflict(asked: Mode, key: str, held: Mode, held_key: str) -> bool:
    """Whether a grant of `held_key` keeps another session from `key`; the same whichever of them was first."""
    where = place(held_key, key)
    return where is not None and held in CONFLICTS[asked][where]


def place(other: str, key: str) -> Place | None:
    """Where the resource of the key `other` lies, seen from that of `key`; None if neither contains the other."""
    if other == key:
        return "same"
    if other.startswith(key + SEPARATOR):
        return "part" if other[len(key) + 1] == "/" else "inside"
    if key.startswith(other + SEPARATOR):
        return "unit" if key[len(other) + 1] == "/" else "around"
    return None


def near(resource: Resource, mode: Mode) -> dict[str, _Modes]:
    """What stands in the way on the resource itself, and on each that contains it, by key."""
    row, parts = CONFLICTS[mode], resource.key.split(SEPARATOR)
    found = {
        key: row["unit" if below[0] == "/" else "around"] for key, below in zip(resource.around, parts[1:], strict=True)
    }
    found[resource.key] = row["same"]
    return found


@cache
def spelled(modes: _Modes) -> str:
    return " ".join(sorted(modes))


def within(resource: Resource, mode: Mode) -> tuple[str, str, _Modes]:
    """The half-open range of the keys of all that can stand in the way inside of a resource, and in which modes."""
    row = CONFLICTS[mode]
    low, high = resource.inside if row["inside"] else resource.parts
    return low, high, row["part"]
