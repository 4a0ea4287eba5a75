"""What an agent of the Agent Client Protocol may have us do for it: read and write files, and run commands.

Each is asked for like a step of its own, and what is refused is answered with an error that says why.
"""

from __future__ import annotations

import contextlib
import os
import shlex
import signal
import subprocess
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from intarsia.agents import Answer, Ask, Edit, Turn
from intarsia.agents.asking import Aside, Questions
from intarsia.errors import IntarsiaError, NotFound

Json = dict[str, Any]
MOST = 1_000_000
NOT_THERE = -32002
FAILED = -32603
INVALID = -32602

Reply = Callable[[Json], None]


class Host:
    """The services of one turn. `wrote` is told of each file that an agent has us write."""

    def __init__(self, turn: Turn, questions: Questions, aside: Aside, wrote: Callable[[Path], None]) -> None:
        self._turn = turn
        self._questions = questions
        self._aside = aside
        self._wrote = wrote
        self._terminals: dict[str, Terminal] = {}

    def serves(self, method: str) -> bool:
        return method.startswith(("fs/", "terminal/"))

    def serve(self, method: str, params: Mapping[str, Any], reply: Reply) -> None:
        """Answer with `{"result": …}` or `{"error": …}`, maybe later and in another thread."""
        edit = self._edit(params)
        match method:
            case "fs/read_text_file" if edit is not None:
                ask = Ask("read", edits=(edit,), tool=method, input=params)
                self._when_allowed(ask, reply, lambda: {"content": _read(edit.path, params)})
            case "fs/write_text_file" if edit is not None and edit.text is not None:
                ask = Ask("edit", edits=(edit,), tool=method, input=params)
                self._when_allowed(ask, reply, lambda: self._write(edit))
            case "terminal/create" if isinstance(params.get("command"), str):
                self._create(params, reply)
            case "terminal/wait_for_exit" if params.get("terminalId") in self._terminals:
                terminal = self._terminals[params["terminalId"]]
                self._aside.do(terminal.wait, lambda done: reply({"result": done.result()}))
            case "terminal/output" | "terminal/kill" | "terminal/release" if (
                params.get("terminalId") in self._terminals
            ):
                reply({"result": self._terminals[params["terminalId"]].do(method)})
            case _:
                reply(_error(INVALID, f"intarsia can't do this: {method}."))

    def end(self) -> None:
        for terminal in self._terminals.values():
            terminal.kill()

    def _edit(self, params: Mapping[str, Any]) -> Edit | None:
        path, text = params.get("path"), params.get("content")
        if not isinstance(path, str):
            return None
        return Edit(self._turn.workspace / path, text if isinstance(text, str) else None)

    def _write(self, edit: Edit) -> Json:
        edit.path.parent.mkdir(parents=True, exist_ok=True)
        edit.path.write_text(edit.text or "", encoding="utf-8", newline="")
        self._wrote(edit.path)
        return {}

    def _create(self, params: Mapping[str, Any], reply: Reply) -> None:
        words = [params["command"], *map(str, params.get("args") or ())]
        script = shlex.join(words) if len(words) > 1 else words[0]
        place = self._turn.workspace / str(params.get("cwd") or "")
        ask = Ask("shell", command=script, cwd=place, tool="terminal/create", input=params)

        def start() -> Json:
            more = {str(one["name"]): str(one["value"]) for one in params.get("env") or () if _is_harmless(one)}
            id = f"terminal-{len(self._terminals) + 1}"
            self._terminals[id] = Terminal(script, place, {**more, **self._turn.env}, params.get("outputByteLimit"))
            return {"terminalId": id}

        self._when_allowed(ask, reply, start)

    def _when_allowed(self, ask: Ask, reply: Reply, do: Callable[[], Json]) -> None:
        def answered(answer: Answer) -> None:
            reply(_done(do) if answer.allow else _error(FAILED, f"This is not allowed: {answer.reason}"))

        self._questions.put(ask, answered)


class Terminal:
    """A command under way, and the last of what it printed."""

    def __init__(self, script: str, cwd: Path, env: Mapping[str, str], most: Any) -> None:
        self._most = min(most, MOST) if isinstance(most, int) and most > 0 else MOST
        self._kept, self._cut = b"", False
        self._process = subprocess.Popen(
            ["/bin/sh", "-c", script],
            cwd=cwd,
            env=dict(env),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        self._reader = threading.Thread(target=self._read, name="terminal", daemon=True)
        self._reader.start()

    def do(self, method: str) -> Json:
        if method != "terminal/output":
            self.kill()
            return {}
        ended = self._process.poll() is not None
        if ended:
            self._reader.join(1)
        status = {"exitStatus": self._status()} if ended else {}
        return {"output": self._kept.decode(errors="replace"), "truncated": self._cut, **status}

    def wait(self) -> Json:
        self._process.wait()
        return self._status()

    def kill(self) -> None:
        if self._process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)

    def _status(self) -> Json:
        code = self._process.poll()
        if code is not None and code < 0:
            return {"exitCode": None, "signal": signal.Signals(-code).name}
        return {"exitCode": code, "signal": None}

    def _read(self) -> None:
        assert self._process.stdout is not None
        while chunk := os.read(self._process.stdout.fileno(), 65_536):
            self._cut = self._cut or len(self._kept) + len(chunk) > self._most
            self._kept = (self._kept + chunk)[-self._most :]


def _is_harmless(variable: Any) -> bool:
    """Ours are laid over those that it names; what loads code into programs is left out."""
    name = variable.get("name") if isinstance(variable, Mapping) else None
    return isinstance(name, str) and "value" in variable and not name.startswith(("LD_", "INTARSIA_", "GIT_"))


def _read(path: Path, params: Mapping[str, Any]) -> str:
    if not path.is_file():
        raise NotFound(f"There is no file {path}.")
    text = path.read_bytes().decode()
    first, most = params.get("line"), params.get("limit")
    if first is None and most is None:
        return text
    lines = text.splitlines(keepends=True)[max(int(first or 1) - 1, 0) :]
    return "".join(lines if most is None else lines[: int(most)])


def _done(do: Callable[[], Json]) -> Json:
    try:
        return {"result": do()}
    except NotFound as error:
        return _error(NOT_THERE, error.message)
    except (IntarsiaError, OSError, ValueError) as error:
        return _error(FAILED, str(error))


def _error(code: int, message: str) -> Json:
    return {"error": {"code": code, "message": message, "data": {"details": message}}}
