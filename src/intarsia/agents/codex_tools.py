"""The tools of Codex as its hooks name them, and what each use of one would do."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from intarsia.agents import Ask, Edit

_END = "*** End Patch"
_FILE = re.compile(r"\*\*\* (Add File|Update File|Delete File|Move to): (.+)")


def question(name: str, given: Mapping[str, Any], id: str, cwd: Path) -> Ask | None:
    """What is asked for by this use of a tool; None for a tool that we do not know."""
    command = given.get("command")
    if not isinstance(command, str):
        return None
    if name == "Bash":
        return Ask("shell", id, command=command, cwd=cwd, tool=name, input=given)
    if name == "apply_patch":
        return Ask("edit", id, edits=tuple(edits(command, cwd)), tool=name, input=given)
    return None


def edits(patch: str, cwd: Path) -> Iterator[Edit]:
    """The files that a patch names, each as it would be where that is plain to see."""
    for kind, name, lines in _files(patch):
        path = cwd / name
        if kind == "Add File":
            yield Edit(path, "".join(f"{line[1:]}\n" for line in lines))
        elif kind == "Update File":
            yield Edit(path, _updated(path, lines))
        else:
            yield Edit(path, None, deletes=kind == "Delete File")


def _files(patch: str) -> list[tuple[str, str, list[str]]]:
    """What is done to which file, and the lines that say how. A file that moves counts as gone, and as another one."""
    found: list[tuple[str, str, list[str]]] = []
    for line in patch.split("\n"):
        if line.strip() == _END:
            break
        if header := _FILE.fullmatch(line.strip()):
            if header[1] == "Move to" and found:
                found[-1] = ("Moved", found[-1][1], [])
            found.append((header[1], header[2].strip(), []))
        elif found and not line.startswith("*** "):
            found[-1][2].append(line)
    return found


def _updated(path: Path, lines: list[str]) -> str | None:
    """The file after these hunks; None unless each fits in one place only, for Codex looks for one that nearly does."""
    try:
        before = path.read_bytes().decode()
    except (OSError, UnicodeDecodeError):
        return None
    after, at = before, 0
    for hunk in _hunks(lines):
        old = "".join(f"{line[1:]}\n" for line in hunk if line[:1] in (" ", "-", ""))
        new = "".join(f"{line[1:]}\n" for line in hunk if line[:1] in (" ", "+", ""))
        place = _only_place(after, old, at)
        if place is None:
            return None
        after, at = after[:place] + new + after[place + len(old) :], place + len(new)
    return after


def _only_place(text: str, old: str, start: int) -> int | None:
    """Where these whole lines stand, behind `start`, if they stand in the text once."""
    places = [match.start() for match in re.finditer(f"(?m)^(?={re.escape(old)})", text)] if old else []
    return places[0] if len(places) == 1 and places[0] >= start else None


def _hunks(lines: list[str]) -> Iterator[list[str]]:
    hunk: list[str] = []
    for line in [*lines, "@@"]:
        if not line.startswith("@@"):
            hunk.append(line)
        elif hunk:
            yield hunk
            hunk = []
