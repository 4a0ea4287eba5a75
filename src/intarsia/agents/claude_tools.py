"""The tools of Claude Code: which of them we know, and what each use of one would do."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from intarsia.agents import Answer, Ask, Edit
from intarsia.agents.wire import one_line

READING = ("Read", "Glob", "Grep")
EDITING = ("Write", "Edit", "NotebookEdit")
# `Task` is called `Agent` when it is asked for; what a subagent does is asked for like all else.
OTHERS = ("Task", "Agent", "TaskStop", "Skill", "WebFetch", "WebSearch")
TOOLS = ("Bash", *READING, *EDITING, *OTHERS)

_STRAIGHT = str.maketrans("\u2018\u2019\u201c\u201d", "''\"\"")

Input = Mapping[str, Any]


def question(name: str, given: Input, id: str, cwd: Path) -> Ask | None:
    """What is asked for by this use of a tool; None for a tool that we do not know."""
    if name == "Bash" and isinstance(given.get("command"), str):
        return Ask("shell", id, command=given["command"], cwd=cwd, tool=name, input=given)
    if name in EDITING:
        return Ask("edit", id, edits=_edits(name, given, cwd), tool=name, input=given)
    if name in READING:
        path = given.get("file_path") or given.get("path")
        return Ask("read", id, edits=(Edit(_place(path, cwd), None),) if path else (), tool=name, input=given)
    return Ask("tool", id, tool=name, input=given) if name in OTHERS else None


def _edits(name: str, given: Input, cwd: Path) -> tuple[Edit, ...]:
    named = given.get("notebook_path" if name == "NotebookEdit" else "file_path")
    if not isinstance(named, str):
        return ()
    path = _place(named, cwd)
    if name == "Write":
        return (Edit(path, _string(given.get("content"))),)
    return (Edit(path, _replaced(path, given) if name == "Edit" else None),)


def _place(path: str, cwd: Path) -> Path:
    """Where it is; what the tool itself expands stays as it is, and is in no workspace."""
    return Path(path) if path.startswith(("~", "$")) else cwd / path


def _replaced(path: Path, given: Input) -> str | None:
    """The file as it would be, unchanged where the tool itself will refuse; None when we can't tell."""
    before, old, new = _read(path), given.get("old_string"), given.get("new_string")
    if not isinstance(old, str) or not isinstance(new, str):
        return None
    if not old:
        return new if not before else None
    if before is None:
        return None
    there = _there(before, old)
    return before.replace(there, new, -1 if given.get("replace_all") else 1) if there is not None else before


def _there(text: str, old: str) -> str | None:
    """What the tool takes for `old`: quotation marks count as the same, straight or curly; else it refuses."""
    at = text.find(old)
    if at < 0:
        at = text.translate(_STRAIGHT).find(old.translate(_STRAIGHT))
    return text[at : at + len(old)] if at >= 0 else None


def changed(name: str, given: Input, answer: Answer) -> Input | None:
    """What the tool shall do instead, if the answer says so; None when it can't be told to."""
    if answer.command is not None:
        return {**given, "command": answer.command} if name == "Bash" else None
    if name == "Write":
        return {**given, "content": answer.text}
    before = _read(Path(str(given.get("file_path"))))
    if name == "Edit" and before:
        return {**given, "old_string": before, "new_string": answer.text, "replace_all": False}
    return None


def answered(name: str, use: Input, answer: Answer) -> dict[str, Any]:
    """What its hook is told: yes, no, or another way."""
    if not answer.allow:
        return verdict(allow=False, reason=answer.reason)
    if answer.command is None and answer.text is None:
        return verdict(allow=True, **({"additionalContext": answer.reason} if answer.reason else {}))
    instead = changed(name, use, answer)
    if instead is None:
        return verdict(allow=False, reason=f"This is allowed in another form only. {answer.reason}")
    return verdict(allow=True, updatedInput=instead)


def verdict(*, allow: bool, reason: str = "", **more: Any) -> dict[str, Any]:
    said = {"permissionDecision": "allow" if allow else "deny", "permissionDecisionReason": reason, **more}
    return {"hookSpecificOutput": {"hookEventName": "PreToolUse", **said}}


def shown(name: str, given: Input) -> str:
    """One line about a use of a tool."""
    for key in ("command", "file_path", "notebook_path", "pattern", "url", "query", "description", "text", "rationale"):
        if isinstance(given.get(key), str):
            return one_line(f"{name.removeprefix('mcp__intarsia__')} {given[key]}")
    return name


def _read(path: Path) -> str | None:
    try:
        return path.read_bytes().decode()
    except (OSError, UnicodeDecodeError):
        return None


def _string(value: Any) -> str | None:
    return value if isinstance(value, str) else None
