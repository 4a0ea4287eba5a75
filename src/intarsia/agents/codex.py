"""Codex, asked before every step: `codex app-server` of the wheel `openai-codex-cli-bin`, by JSON-RPC over its pipes.

Its sandbox lets it read only. A patch, and a command that has to leave the sandbox, needs our approval; what we do not
answer is not done, and a no refuses that one step and lets the turn go on. The prompt is sent only when the thread says
that it really runs so.
"""

from __future__ import annotations

import json
import random
import shlex
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import intarsia
from intarsia.agents import (
    AgentEvent,
    Answer,
    Ask,
    Capabilities,
    Conversation,
    Edit,
    RateLimit,
    Running,
    Said,
    ToolResult,
    ToolUse,
    Turn,
    TurnEnd,
    Usage,
    Waiting,
    mcp,
)
from intarsia.agents.asking import Questions
from intarsia.agents.codex_ends import Answers, end_of, message_of
from intarsia.agents.patches import patched
from intarsia.agents.programs import find_program, said_version
from intarsia.agents.wire import Json, Wire, died, one_line
from intarsia.agents.wired import AGAIN, LastingTurn

KEYS = ("CODEX_API_KEY", "OPENAI_API_KEY")
ASKING = {"approvalPolicy": "on-request", "sandbox": "read-only"}
INSTRUCTIONS = (
    "The file system is read-only for your commands. Change files with apply_patch. Ask for escalated permissions for "
    "a command that has to write, such as git commit or a build. A step that is declined was refused for a reason, "
    "which you are told: do it another way, or leave it and go on."
)
NO_METHOD = -32601
STARTS = 6


class CodexDriver:
    name = "codex"
    capabilities = Capabilities(
        asks_edits=True,
        asks_shell=True,
        resumes=True,
        tools=True,
        stays=True,
        guides=("AGENTS.md",),
        usage=True,
        weaker=(
            "A command that was allowed runs outside the sandbox, with all rights that you have.",
            "Its sandbox needs a machine that lets users make namespaces; elsewhere its commands fail until it asks.",
            "It tells tokens, but no cost; and leaves out the words of a model that declines.",
        ),
    )

    def __init__(self, model: str = "", options: Sequence[str] = (), command: str = "") -> None:
        self._model = model
        self._options = options
        self._command = command

    def check(self) -> None:
        program(self._command)

    def version(self) -> str:
        return said_version(program(self._command)).rpartition(" ")[2]

    def start(self, turn: Turn) -> Running:
        return CodexTurn(turn, program(self._command), self._model, self._options)

    def adopt(self, turn: Turn) -> Running | None:
        """It talks to the supervisor that started it, and ends with that."""
        return None


def program(command: str) -> str:
    """The program that is named, else the one in the wheel, else one on the PATH. Raises NotReady."""
    return find_program("codex", command, "codex_cli_bin", "bin/codex")


class CodexTurn(LastingTurn):
    """Of Codex."""

    def __init__(self, turn: Turn, program: str, model: str, options: Sequence[str]) -> None:
        self._turn = turn
        self._model = model
        self._conversation = turn.conversation
        self._key = next((turn.env[name] for name in KEYS if turn.env.get(name)), "")
        # A key is for this process only, and goes into no file.
        store = ["-c", 'cli_auth_credentials_store="ephemeral"'] if self._key else []
        self._argv = [program, "app-server", *store, *options]
        self._starts = 0
        self._connect()

    def _set_out(self, turn: Turn) -> None:
        self._turn = turn
        self._turn_id = ""
        self._last_words = ""
        self._answers = Answers()
        self._changes: dict[str, Sequence[Json]] = {}
        self._questions = Questions(turn.approver, aside=self._wire.aside)

    def _connect(self) -> None:
        self._starts += 1
        self._spoke = False
        self._calls: list[Callable[[Json], None]] = []
        self._wire = Wire(self._turn, self._argv, self._turn.env, self._hear, self._gone, acts=acts)
        self._set_out(self._turn)
        self._wire.begin()
        client = {"name": "intarsia", "title": "intarsia", "version": intarsia.__version__}
        self._call("initialize", {"clientInfo": client, "capabilities": {"experimentalApi": True}}, self._begin)

    def _gone(self, code: int) -> TurnEnd:
        """Of several that start at once in a new home, all but one may fail to make its database, and end (0.163)."""
        return AGAIN if code == 1 and not self._spoke and self._starts < STARTS else died(code)

    def _again(self) -> Iterator[AgentEvent]:
        yield from pause(self._starts)
        self._connect()
        yield from self.events()

    # To the first prompt.

    def _begin(self, _: Json) -> None:
        self._spoke = True
        self._wire.send({"method": "initialized"})
        self._call("account/read", {}, self._log_in)

    def _log_in(self, read: Json) -> None:
        if read.get("account") or not read.get("requiresOpenaiAuth"):
            self._open()
        elif self._key:
            self._call("account/login/start", {"type": "apiKey", "apiKey": self._key}, lambda _: self._open())
        else:
            cure = "Log in with `codex login`, or name CODEX_API_KEY under env of the agent."
            self._wire.finish(TurnEnd("auth", f"Codex has no login. {cure}"))

    def _open(self) -> None:
        settings: Json = {"cwd": str(self._turn.workspace), **ASKING, "developerInstructions": INSTRUCTIONS}
        if self._model:
            settings["model"] = self._model
        if self._conversation:
            known = {**settings, "threadId": self._conversation, "excludeTurns": True}
            return self._call("thread/resume", known, self._opened, lambda _: self._start(settings))
        return self._start(settings)

    def _start(self, settings: Json) -> None:
        tools = [
            {"type": "function", "name": tool.name, "description": tool.description, "inputSchema": dict(tool.schema)}
            for tool in self._turn.tools
        ]
        self._call("thread/start", {**settings, "dynamicTools": tools}, self._opened)

    def _opened(self, opened: Json) -> None:
        """The thread is there. Only if it asks, it gets its prompt."""
        sandbox = (opened.get("sandbox") or {}).get("type")
        policy, reviewer = opened.get("approvalPolicy"), opened.get("approvalsReviewer")
        if (policy, sandbox, reviewer) != ("on-request", "readOnly", "user"):
            return self._refuse(f"it runs with {policy} approvals by {reviewer} in a {sandbox} sandbox")
        self._conversation = opened["thread"]["id"]
        self._model = str(opened.get("model") or self._model)
        self._wire.tell(Conversation(self._conversation))
        return self._prompt()

    def _prompt(self) -> None:
        given = [{"type": "text", "text": self._turn.prompt}]
        self._call("turn/start", {"threadId": self._conversation, "input": given}, self._started_turn)

    def _started_turn(self, started: Json) -> None:
        self._turn_id = started["turn"]["id"]

    def _refuse(self, why: str) -> None:
        self._wire.abort(TurnEnd("unguarded", f"Nothing was done: {why}."))

    # What it tells.

    def _call(
        self,
        method: str,
        params: Json,
        then: Callable[[Json], None],
        otherwise: Callable[[Json], None] | None = None,
    ) -> None:
        def answered(message: Json) -> None:
            if "error" not in message:
                then(message.get("result") or {})
            elif otherwise is not None:
                otherwise(message["error"])
            else:
                self._wire.finish(TurnEnd("failed", f"{method}: {message['error'].get('message')}"))

        self._calls.append(answered)
        self._wire.send({"id": len(self._calls) - 1, "method": method, "params": params})

    def _hear(self, message: Json) -> None:
        params = message.get("params") or {}
        if "id" in message and "method" not in message:
            return self._calls[message["id"]](message)
        if "id" in message:
            return self._serve(
                message["method"], params, lambda **answer: self._wire.send({"id": message["id"], **answer})
            )
        return self._note(message.get("method"), params)

    def _note(self, method: Any, params: Json) -> None:
        match method:
            case "item/started":
                self._started(params["item"])
            case "item/completed":
                self._completed(params["item"])
            case "thread/tokenUsage/updated" if params.get("threadId") == self._conversation:
                used = params["tokenUsage"]["total"]
                figures = (used["inputTokens"], used["cachedInputTokens"], used["outputTokens"])
                self._wire.tell(Usage(self._conversation, *figures, model=self._model))
                self._answers.paid(params["tokenUsage"])
            case "error" if params.get("willRetry"):
                self._wire.tell(
                    RateLimit(f"The model's server: {one_line(message_of(params['error']))}; it asks again.")
                )
            case "mcpServer/startupStatus/updated" if params.get("status") == "failed":
                self._refuse(f"the tool server {params.get('name')} is not connected")
            case "turn/completed" if params.get("threadId") == self._conversation:
                self._wire.finish(end_of(params["turn"], self._last_words, declined=self._answers.declined))

    def _started(self, item: Json) -> None:
        self._answers.note(item)
        if item["type"] == "fileChange":
            self._changes[item["id"]] = item["changes"]
        if text := _shown(item):
            self._wire.tell(ToolUse(item["id"], text))

    def _completed(self, item: Json) -> None:
        if item["type"] == "agentMessage":
            self._last_words = item["text"]
            self._wire.tell(Said(item["text"]))
        elif _shown(item):
            output = item.get("aggregatedOutput") or ""
            self._wire.tell(ToolResult(item["id"], item.get("status") == "completed", output))

    # What it asks.

    def _serve(self, method: str, params: Json, reply: Callable[..., None]) -> None:
        match method:
            case "item/fileChange/requestApproval":
                changes = self._changes.get(params["itemId"], ())
                self._ask(Ask("edit", params["itemId"], edits=tuple(edits(changes)), tool="apply_patch"), reply)
            case "item/commandExecution/requestApproval" if isinstance(params.get("command"), str):
                place = Path(params.get("cwd") or self._turn.workspace)
                command = script_of(params["command"])
                self._ask(Ask("shell", params["itemId"], command=command, cwd=place, tool="exec_command"), reply)
            case "item/fileChange/requestApproval" | "item/commandExecution/requestApproval":
                reply(result={"decision": "decline"})
            case "item/tool/call":
                name, arguments = params.get("tool"), params.get("arguments") or {}
                self._wire.aside.do(
                    lambda: mcp.called(self._turn.tools, name, arguments),
                    lambda done: reply(
                        result=_content(*(done.result() if not done.exception() else (False, "It failed.")))
                    ),
                )
            case _:
                reply(error={"code": NO_METHOD, "message": "Nobody is there to answer this."})

    def _ask(self, ask: Ask, reply: Callable[..., None]) -> None:
        def answered(answer: Answer) -> None:
            if answer.reason:
                self._tell_why(answer.reason if answer.allow else f"{ask.tool} was declined: {answer.reason}")
            reply(result={"decision": "accept" if answer.allow else "decline"})

        self._questions.put(ask, answered)

    def _tell_why(self, reason: str) -> None:
        """A no takes no reason along, so the model reads it as a word of its user's."""
        given = [{"type": "text", "text": reason}]
        steer = {"threadId": self._conversation, "expectedTurnId": self._turn_id, "input": given}
        self._call("turn/steer", steer, lambda _: None, lambda _: None)


# Says that the program is to be started again.


def pause(starts: int) -> Iterator[Waiting]:
    """Before it is started again: longer each time, and not as long as the others that begin at the same moment."""
    ready = time.monotonic() + starts * random.uniform(0.1, 0.5)
    while time.monotonic() < ready:
        time.sleep(0.05)
        yield Waiting()


def acts(message: Json) -> bool:
    """Whether it does something, or asks for it, while it waits for a prompt."""
    return ("id" in message and "method" in message) or message.get("method") in ("turn/started", "item/started")


def edits(changes: Sequence[Json]) -> Iterator[Edit]:
    """The files of a patch, as they would be; a file that moves is gone in one place and new in another."""
    for change in changes:
        path, kind, diff = Path(change["path"]), change["kind"], change.get("diff", "")
        match kind.get("type"):
            case "add":
                yield Edit(path, diff)
            case "delete":
                yield Edit(path, None, deletes=True)
            case _:
                after = patched(_read(path), diff)
                if moved := kind.get("move_path"):
                    yield Edit(path, None, deletes=True)
                yield Edit(Path(moved) if moved else path, after)


def script_of(command: str) -> str:
    """What a shell is asked to run by `SHELL -lc SCRIPT`, as Codex runs all its commands; others as they are."""
    try:
        words = shlex.split(command)
    except ValueError:
        return command
    is_shell = len(words) == 3 and words[1] in ("-c", "-lc") and Path(words[0]).name in ("sh", "bash", "zsh")
    return words[2] if is_shell else command


def _shown(item: Json) -> str:
    """One line about a use of a tool; nothing for what is none."""
    match item["type"]:
        case "commandExecution":
            return one_line(f"exec_command {script_of(item['command'])}")
        case "fileChange":
            return one_line("apply_patch " + " ".join(change["path"] for change in item["changes"]))
        case "mcpToolCall" | "dynamicToolCall":
            return one_line(f"{item['tool']} {json.dumps(item.get('arguments'))}")
        case "webSearch":
            return one_line(f"web_search {item.get('query', '')}")
    return ""


def _content(ok: bool, text: str) -> Json:
    return {"contentItems": [{"type": "inputText", "text": text}], "success": ok}


def _read(path: Path) -> str:
    try:
        return path.read_bytes().decode()
    except (OSError, UnicodeDecodeError):
        return ""
