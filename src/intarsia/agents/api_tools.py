"""What the agent of the driver `api` can do: files and commands. Each step says first what it would do."""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from intarsia.agents import environment

Json = dict[str, Any]

MOST = 30_000
SECONDS = 600
_SESSION = ("INTARSIA_", "GIT_", "XDG_", "TMPDIR", "PORT")  # names of what every session gets


class Failed(Exception):
    """What the model asked for can't be done; it is told why."""


@dataclass(frozen=True)
class Step:
    """`asks` is the question; `do` gets the command and the text of the answer, if that has others."""

    asks: Json
    do: Callable[[str | None, str | None], str]


@dataclass(frozen=True)
class OwnTool:
    name: str
    description: str
    schema: Json
    prepare: Callable[[Path, Mapping[str, Any]], Step]


def declared(name: str, description: str, schema: Mapping[str, Any]) -> Json:
    function = {"name": name, "description": description, "parameters": dict(schema)}
    return {"type": "function", "function": function}


def _read(root: Path, given: Mapping[str, Any]) -> Step:
    path, first, most = root / _text(given, "path"), _number(given, "first", 1), _number(given, "lines", 2000)

    def do(command: str | None, text: str | None) -> str:
        lines = _content(path).splitlines(keepends=True)
        return _short("".join(lines[first - 1 : first - 1 + most]))

    return Step({"kind": "read", "path": str(path), "text": None, "tool": "read"}, do)


def _write(root: Path, given: Mapping[str, Any]) -> Step:
    return _change(root / _text(given, "path"), _text(given, "text"), "write")


def _edit(root: Path, given: Mapping[str, Any]) -> Step:
    path, old, new = root / _text(given, "path"), _text(given, "old"), _text(given, "new")
    before = _content(path)
    found = before.count(old) if old else 0
    if found != 1 and not (found and given.get("all") is True):
        raise Failed(f"The old text is in {path.name} {found} times; it has to be there once, or say all.")
    return _change(path, before.replace(old, new), "edit")


def _change(path: Path, after: str, tool: str) -> Step:
    def do(command: str | None, text: str | None) -> str:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(after if text is None else text, encoding="utf-8", newline="")
        except OSError as error:
            raise Failed(f"{path}: {error.strerror}") from error
        return "Done." if text is None else "Done, with another text than yours: read it."

    return Step({"kind": "edit", "path": str(path), "text": after, "tool": tool}, do)


def _shell(root: Path, given: Mapping[str, Any]) -> Step:
    wanted, seconds = _text(given, "command"), _number(given, "seconds", SECONDS)

    def do(command: str | None, text: str | None) -> str:
        return _run(command or wanted, root, seconds)

    return Step({"kind": "shell", "command": wanted}, do)


def _run(command: str, root: Path, seconds: int) -> str:
    """Its output and exit code. What it leaves running in the background goes on, and does not keep us."""
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen(
            ["/bin/sh", "-c", command],
            cwd=root,
            env=_without_keys(),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
        try:
            code = process.wait(seconds)
            how = f"exit code {code}"
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            how = f"ended by us after {seconds} s"
        size = output.tell()
        output.seek(max(0, size - 4 * MOST))
        return f"{_short(output.read().decode(errors='replace'))}\n[{how}]".lstrip()


def _without_keys() -> dict[str, str]:
    """What a command gets: nothing that was given to this process by name, as the key of the model was."""
    own = {name: value for name, value in os.environ.items() if name.startswith(_SESSION)}
    return {**environment.base(), **own}


def _content(path: Path) -> str:
    try:
        return path.read_bytes().decode("utf-8")
    except FileNotFoundError as error:
        raise Failed(f"There is no file {path}.") from error
    except (OSError, UnicodeDecodeError) as error:
        raise Failed(f"{path} can't be read as text: {error}") from error


def _short(text: str) -> str:
    if len(text) <= MOST:
        return text
    return f"{text[: MOST // 2]}\n… {len(text) - MOST} characters are left out …\n{text[-MOST // 2 :]}"


def _text(given: Mapping[str, Any], name: str) -> str:
    value = given.get(name)
    if not isinstance(value, str):
        raise Failed(f"{name} is a text that has to be given.")
    return value


def _number(given: Mapping[str, Any], name: str, otherwise: int) -> int:
    value = given.get(name, otherwise)
    if not isinstance(value, int) or value < 1:
        raise Failed(f"{name} is a number, from 1.")
    return value


def _schema(*required: str, **properties: str) -> Json:
    types = {name: {"type": kind} for name, kind in properties.items()}
    return {"type": "object", "properties": types, "required": list(required), "additionalProperties": False}


OWN = (
    OwnTool(
        "read",
        "The text of a file; of a long one, so many lines from the first that you name.",
        _schema("path", path="string", first="integer", lines="integer"),
        _read,
    ),
    OwnTool("write", "Write a whole file.", _schema("path", "text", path="string", text="string"), _write),
    OwnTool(
        "edit",
        "Replace a text that stands in a file once; with all: everywhere.",
        _schema("path", "old", "new", path="string", old="string", new="string", all="boolean"),
        _edit,
    ),
    OwnTool(
        "shell",
        "Run a shell command, also to search, test and commit. It ends after `seconds`, 600 if you do not say.",
        _schema("command", command="string", seconds="integer"),
        _shell,
    ),
)
