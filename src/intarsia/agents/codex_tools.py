"""The tools of Codex as its hooks name them, and what each use of one would do."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from intarsia.agents import Ask, Edit

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
    """The files that a patch names; what would be in them is not told."""
    for line in patch.splitlines():
        if found := _FILE.fullmatch(line.strip()):
            yield Edit(cwd / found[2].strip(), None, deletes=found[1] == "Delete File")
