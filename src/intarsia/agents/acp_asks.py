"""What an agent of the Agent Client Protocol asks for, as a question to our approver; and our answer to it."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from intarsia.agents import Ask, Edit
from intarsia.agents.wire import one_line

CHANGING = ("edit", "delete", "move")
READING = ("read", "search", "think")
PATHS = ("file_path", "filePath", "filepath", "path", "abs_path", "fileName", "source", "destination")

Json = dict[str, Any]


def questions(call: Mapping[str, Any], cwd: Path) -> list[Ask]:
    """By what a call would do, rather than by what it says of its kind; one that does two things asks for both."""
    id, given, name = str(call.get("toolCallId")), _input(call), tool_name(call)
    kind, command, edits = call.get("kind"), command_of(given), tuple(edits_of(call, cwd))
    asks = []
    if kind in CHANGING or _diffs(call):
        asks.append(Ask("edit", id, edits=edits, tool=name, input=given))
    if command or kind == "execute":
        asks.append(Ask("shell", id, command=command, cwd=_place(given, cwd), tool=name, input=given))
    return asks or [Ask("read" if kind in READING else "tool", id, edits=edits, tool=name, input=given)]


def tool_name(call: Mapping[str, Any]) -> str:
    """As the program calls it, where it says so; else the kind of it."""
    for about in (call.get("_meta") or {}).values():
        if isinstance(about, Mapping) and isinstance(about.get("toolName"), str):
            return str(about["toolName"])
    return str(call.get("kind") or "other")


def _place(given: Mapping[str, Any], cwd: Path) -> Path:
    place = given.get("cwd") or given.get("workdir") or given.get("directory")
    return cwd / place if isinstance(place, str) else cwd


def command_of(given: Mapping[str, Any]) -> str:
    """The command in the input of a tool; of `SHELL -lc SCRIPT` the script."""
    command = given.get("command") or given.get("cmd")
    if isinstance(command, list) and all(isinstance(word, str) for word in command):
        shell = len(command) == 3 and command[1] in ("-c", "-lc") and Path(command[0]).name in ("sh", "bash", "zsh")
        return str(command[2]) if shell else shlex.join(command)
    return command if isinstance(command, str) else ""


def edits_of(call: Mapping[str, Any], cwd: Path) -> Iterator[Edit]:
    """Every file that a call names, once; with its text where there is one."""
    named: dict[Path, str | None] = {}
    for diff in _diffs(call):
        place = cwd / str(diff.get("path"))
        named[place] = _after(place, named[place] if place in named else _read(place), diff)
    for place in call.get("locations") or ():
        if isinstance(place, Mapping) and isinstance(place.get("path"), str):
            named.setdefault(cwd / place["path"], None)
    given = _input(call)
    for name in PATHS:
        if isinstance(given.get(name), str):
            named.setdefault(cwd / given[name], None)
    for path, text in named.items():
        yield Edit(path, text, deletes=call.get("kind") == "delete")


def _after(place: Path, before: str | None, diff: Mapping[str, Any]) -> str | None:
    """The file as it would be: some agents tell all of it, others the part that they replace. None if unclear."""
    old, new = diff.get("oldText"), diff.get("newText")
    if not isinstance(new, str) or (before is None and place.exists()):
        return None
    if before is None or not isinstance(old, str) or old.strip() == before.strip():
        return new
    return before.replace(old, new, 1) if before.count(old) == 1 else None


def _read(place: Path) -> str | None:
    try:
        return place.read_bytes().decode()
    except (OSError, UnicodeDecodeError):
        return None


def shown(call: Mapping[str, Any], cwd: Path) -> str:
    """One line about a call."""
    title, command = str(call.get("title") or ""), command_of(_input(call))
    about = command or " ".join(str(edit.path) for edit in edits_of(call, cwd))
    kind = str(call.get("kind") or "tool")
    return one_line(f"{kind} {about if command or (about and about not in title) else title}")


def option(options: Sequence[Mapping[str, Any]], *, allow: bool) -> Json:
    """What is chosen of the answers it offers: never one that is for ever; if there is no such yes, a no."""
    wanted = ("allow_once", "reject_once") if allow else ("reject_once",)
    for kind in wanted:
        for offered in options:
            if offered.get("kind") == kind:
                return {"outcome": {"outcome": "selected", "optionId": offered.get("optionId")}}
    return {"outcome": {"outcome": "cancelled"}}


def can_allow(options: Sequence[Mapping[str, Any]]) -> bool:
    return any(offered.get("kind") == "allow_once" for offered in options)


def merged(before: Mapping[str, Any], update: Mapping[str, Any]) -> Json:
    """A call, with what an update says of it."""
    return {**before, **{key: value for key, value in update.items() if value is not None}}


def _diffs(call: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [part for part in call.get("content") or () if isinstance(part, Mapping) and part.get("type") == "diff"]


def _input(call: Mapping[str, Any]) -> Mapping[str, Any]:
    given = call.get("rawInput")
    return given if isinstance(given, Mapping) else {}
