"""Amp, asked before every tool by its own rules of permission: each use of a tool is delegated to a program of ours.

Amp does not ask by itself. A file of settings with one rule, for all tools, makes it start `amp_delegate`, which asks
us and rejects what we do not allow. Whether the rule holds is tested before the prompt is given; and a tool that was
used though we were not asked ends the turn. No test of ours ever ran the real Amp: its loop is on its maker's server.
"""

from __future__ import annotations

import io
import json
import shlex
import subprocess
import sys
import uuid
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from intarsia.agents import (
    AgentEvent,
    Answer,
    Ask,
    Capabilities,
    Conversation,
    Edit,
    Running,
    Said,
    ToolResult,
    ToolUse,
    Turn,
    TurnEnd,
    Usage,
)
from intarsia.agents.asking import Questions
from intarsia.agents.doorway import Doorway
from intarsia.agents.outcomes import of_error
from intarsia.agents.programs import on_path, said_version
from intarsia.agents.wire import Json, Wire, died, one_line
from intarsia.agents.wired import WiredTurn
from intarsia.errors import ConfigError

MODES = ("smart", "rush", "deep")
EDITING = ("create_file", "edit_file", "undo_edit", "apply_patch", "format_file")
READING = ("Read", "glob", "Grep", "finder", "look_at", "read_thread", "find_thread", "task_list", "skill")
TESTED = (("Bash", "--cmd", "touch x"), ("edit_file", "--path", "x"), ("create_file", "--path", "x"))


class AmpDriver:
    name = "amp"
    capabilities = Capabilities(
        asks_edits=True,
        asks_shell=True,
        resumes=True,
        usage=True,
        weaker=(
            "None of our tests ever ran the real Amp, only one played from what is known of its output.",
            "A tool that it uses without asking is noticed only when it has done so; that ends its turn.",
            "What its subagents do it asks for, but does not tell.",
            "A command that was allowed does what it does with all rights that you have: there is no sandbox.",
        ),
    )

    def __init__(self, mode: str = "", options: Sequence[str] = (), command: str = "") -> None:
        if mode and mode not in MODES:
            raise ConfigError(f"Amp has no mode {mode!r}.", hint=f"Its modes are {', '.join(MODES)}.")
        self._options = [*([f"--mode={mode}"] if mode else []), *options]
        self._command = command

    def check(self) -> None:
        program(self._command)

    def version(self) -> str:
        return said_version(program(self._command)).partition(" ")[0]

    def start(self, turn: Turn) -> Running:
        return AmpTurn(turn, program(self._command), self._options)

    def adopt(self, turn: Turn) -> Running | None:
        """It asks the supervisor that started it, and can do nothing without."""
        return None


def program(command: str) -> str:
    """The program that is named, else one on the PATH. Raises NotReady."""
    return on_path(command or "amp", "npm install --global @ampcode/cli, and log in by: amp login")


class AmpTurn(WiredTurn):
    """Of Amp, in a process of its own."""

    def __init__(self, turn: Turn, program: str, options: Sequence[str]) -> None:
        self._turn = turn
        self._desk = Desk(self._answer)
        self._untested = self._desk.problem(program, turn)
        self._used: dict[str, str] = {}
        self._count = (0, 0, 0)
        self._id, self._scope = "", uuid.uuid4().hex[:8]
        thread = ["threads", "continue", turn.conversation] if turn.conversation.startswith("T-") else []
        argv = [program, *thread, "--execute", "--stream-json", "--stream-json-input", *self._desk.settings, *options]
        # One that did not pass the test is not started at all.
        self._wire = Wire(turn, ["true"] if self._untested else argv, turn.env, self._hear, self._gone)
        self._questions = Questions(turn.approver, aside=self._wire.aside)
        self._wire.begin()
        if not self._untested:
            given = {"role": "user", "content": [{"type": "text", "text": turn.prompt}]}
            self._wire.send({"type": "user", "message": given})
            self._wire.hang_up()

    def events(self) -> Iterator[AgentEvent]:
        yield from super().events()
        self._desk.close()

    def stop(self) -> None:
        super().stop()
        self._desk.close()

    def _gone(self, code: int) -> TurnEnd:
        if self._untested:
            return TurnEnd("unguarded", f"Nothing was done: {self._untested}.")
        end = died(code)
        words = self._turn.output_file.read_text(encoding="utf-8", errors="replace")[-2000:]
        found = of_error(words)
        return end if end.outcome == "killed" or found in ("failed", "refused") else TurnEnd(found, one_line(words))

    # What it tells.

    def _hear(self, message: Json) -> None:
        match message:
            case {"type": "system", "subtype": "init"}:
                self._begin(message)
            case {"type": "assistant" | "user", "message": dict(said)}:
                self._relate(said, own=message.get("parent_tool_use_id") is None)
            case {"type": "result"}:
                self._wire.finish(end_of(message))

    def _begin(self, init: Json) -> None:
        self._id = str(init.get("session_id"))
        down = [
            str(server.get("name")) for server in init.get("mcp_servers") or () if server.get("status") != "connected"
        ]
        if down:
            return self._refuse(f"the tool server {', '.join(down)} is not connected")
        return self._wire.tell(Conversation(self._id))

    def _relate(self, said: Json, *, own: bool) -> None:
        if said.get("role") == "assistant":
            self._add_up(said.get("usage") or {})
        for block in said["content"] if isinstance(said.get("content"), list) else []:
            match block:
                case {"type": "text", "text": str(text)} if own and said.get("role") == "assistant":
                    self._wire.tell(Said(text))
                case {"type": "tool_use", "id": str(id), "name": str(name), "input": dict(given)}:
                    self._used[id] = name
                    self._wire.tell(ToolUse(id, one_line(f"{name} {json.dumps(given)}")))
                case {"type": "tool_result", "tool_use_id": str(id)}:
                    self._done(id, failed=bool(block.get("is_error")), text=str(block.get("content")))

    def _done(self, id: str, *, failed: bool, text: str) -> None:
        name = self._used.get(id, "")
        if not failed and name not in READING and not self._desk.was_allowed(name):
            return self._refuse(f"it used {name or 'a tool'} without asking")
        return self._wire.tell(ToolResult(id, not failed, text))

    def _refuse(self, why: str) -> None:
        self._wire.abort(TurnEnd("unguarded", f"It was ended: {why}."))

    def _add_up(self, usage: Json) -> None:
        cached = int(usage.get("cache_read_input_tokens") or 0)
        given = int(usage.get("input_tokens") or 0) + cached + int(usage.get("cache_creation_input_tokens") or 0)
        figures = (given, cached, int(usage.get("output_tokens") or 0))
        self._count = tuple(map(sum, zip(self._count, figures, strict=True)))  # type: ignore[assignment]
        if any(figures):
            self._wire.tell(Usage(f"{self._id}/{self._scope}", *self._count))

    # What it asks.

    def _answer(self, name: str, given: Mapping[str, Any]) -> Answer:
        return self._questions.read(self._questions.put(_question(name, given, self._turn.workspace)))


class Desk:
    """Where `amp_delegate` finds us, beside the settings for Amp."""

    def __init__(self, answer: Any) -> None:
        self._answer = answer
        self._allowed: Counter[str] = Counter()
        self._doorway = Doorway(self._serve)
        delegate, settings = (self._doorway.folder / name for name in ("ask", "settings.json"))
        ours = shlex.join([sys.executable, "-P", "-m", "intarsia.agents.amp_delegate", str(self._doorway.path)])
        delegate.write_text(f"#!/bin/sh\nexec {ours}\n", encoding="utf-8")
        delegate.chmod(0o700)
        rules = {
            "amp.permissions": [{"tool": "*", "action": "delegate", "to": str(delegate)}],
            "amp.dangerouslyAllowAll": False,
        }
        settings.write_text(json.dumps(rules), encoding="utf-8")
        self.settings = ["--settings-file", str(settings)]

    def problem(self, program: str, turn: Turn) -> str:
        """Why we can't be sure that it would ask, by its own account; nothing when we can."""
        for tool, *given in TESTED:
            argv = [program, "permissions", "test", tool, *given, *self.settings]
            try:
                done = subprocess.run(
                    argv, env=dict(turn.env), cwd=turn.workspace, capture_output=True, text=True,
                    stdin=subprocess.DEVNULL, timeout=30, check=False,
                )  # fmt: skip
            except (OSError, subprocess.TimeoutExpired) as error:
                return f"it can't be tested whether it asks: {error}"
            if "delegate" not in done.stdout:
                return f"it says that it would not ask for {tool}: {one_line(done.stdout + done.stderr)}"
        return ""

    def was_allowed(self, name: str) -> bool:
        """Each yes is for one use of a tool of that name."""
        allowed = self._allowed[name] > 0
        self._allowed[name] -= allowed
        return allowed

    def close(self) -> None:
        self._doorway.close()

    def _serve(self, stream: io.BufferedRWPair) -> None:
        asked = json.loads(stream.readline())
        name, given = str(asked["tool"]), dict(asked["input"])
        answer = self._answer(name, given)
        self._allowed[name] += answer.allow
        stream.write(json.dumps({"allow": answer.allow, "reason": answer.reason}).encode() + b"\n")


def _question(name: str, given: Mapping[str, Any], cwd: Path) -> Ask:
    command = given.get("cmd") or given.get("command")
    if name == "Bash":
        return (
            Ask("shell", command=command, cwd=cwd, tool=name, input=given) if isinstance(command, str) else Ask("edit")
        )
    path = given.get("path") or given.get("file_path")
    edits = (Edit(cwd / path, _text(given)),) if isinstance(path, str) else ()
    if name in EDITING:
        return Ask("edit", edits=edits, tool=name, input=given)
    return Ask("read" if name in READING else "tool", edits=edits, tool=name, input=given)


def _text(given: Mapping[str, Any]) -> str | None:
    return given["content"] if isinstance(given.get("content"), str) else None


def end_of(result: Json) -> TurnEnd:
    """How a turn ended, by its flags."""
    words = str(result.get("result") or "")
    problem = str(result.get("error") or words)
    if result.get("subtype") == "success" and result.get("is_error") is False:
        return TurnEnd("completed", "", words) if words else TurnEnd("failed", "It ended its turn without a word.")
    if result.get("subtype") == "error_max_turns":
        return TurnEnd("exhausted", problem, words)
    return TurnEnd(of_error(problem), problem or "It failed without saying why.", words)
