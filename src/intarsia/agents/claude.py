"""Claude Code, asked before every step: the program in the wheel `claude-agent-sdk`, over its stream of JSON.

It runs in the mode `dontAsk`, in which all that nobody allowed is denied; what is allowed, our hook allows, one use of
a tool at a time, after asking the approver. The hook is registered so that a hook that fails denies too. No work is
given before it took our hooks, and none goes on if it did not ask the first of them, or a tool server is not connected.
The layer in Python of that wheel is not used: it hands our whole environment to the program, and leaves it in our
process group, where a Ctrl-C would end it.
"""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path
from typing import Any

from intarsia.agents import (
    AgentEvent,
    Capabilities,
    Conversation,
    Outcome,
    RateLimit,
    Running,
    Said,
    ToolResult,
    ToolUse,
    Turn,
    TurnEnd,
    Usage,
    mcp,
)
from intarsia.agents.asking import Questions
from intarsia.agents.claude_tools import TOOLS, answered, question, shown, verdict
from intarsia.agents.outcomes import STATUS
from intarsia.agents.programs import find_program, said_version
from intarsia.agents.wire import Json, Wire, died
from intarsia.agents.wired import AGAIN, LastingTurn

SERVER = "intarsia"
HOOKS = ("UserPromptSubmit", "PreToolUse", "Stop")
# An approver may wait for a lease as long as the turn may last; without an answer until then it is a no.
STRICT = {"timeout": 7 * 86_400, "onFailure": "block"}
LOST = "No conversation found"
OBJECTIONS = 5


class ClaudeDriver:
    name = "claude"
    capabilities = Capabilities(
        asks_edits=True,
        asks_shell=True,
        changes=True,
        resumes=True,
        tools=True,
        objects=True,
        stays=True,
        usage=True,
        costs=True,
        weaker=("A command that was allowed does what it does with all rights that you have: there is no sandbox.",),
    )

    def __init__(self, model: str = "", options: Sequence[str] = (), command: str = "") -> None:
        self._options = [*([f"--model={model}"] if model else []), *options]
        self._command = command

    def check(self) -> None:
        program(self._command)

    def version(self) -> str:
        return said_version(program(self._command)).partition(" ")[0]

    def start(self, turn: Turn) -> Running:
        return ClaudeTurn(turn, program(self._command), self._options)

    def adopt(self, turn: Turn) -> Running | None:
        """It talks to the supervisor that started it, and ends with that."""
        return None


def program(command: str) -> str:
    """The program that is named, else the one in the wheel, else one on the PATH. Raises NotReady."""
    return find_program("claude", command, "claude_agent_sdk", "_bundled/claude")


class ClaudeTurn(LastingTurn):
    """Of Claude Code."""

    def __init__(self, turn: Turn, program: str, options: Sequence[str]) -> None:
        self._turn = turn
        self._program = program
        self._options = options
        self._connect(turn.conversation)

    def _again(self) -> Iterator[AgentEvent]:
        """There is no such conversation."""
        self._connect("")
        return self._wire.events()

    def _connect(self, conversation: str) -> None:
        self._conversation = conversation or str(uuid.uuid4())
        self._resumes = bool(conversation)
        self._wire = Wire(self._turn, self._argv(), self._env(), self._hear, died, acts=acts)
        self._set_out(self._turn)
        self._wire.begin()
        hooks = {name: [{"matcher": None, "hookCallbackIds": [name], **STRICT}] for name in HOOKS}
        begin = {"subtype": "initialize", "hooks": hooks}
        self._wire.send({"type": "control_request", "request_id": "initialize", "request": begin})

    def _set_out(self, turn: Turn) -> None:
        self._turn = turn
        self._scope = f"{self._conversation}/{uuid.uuid4().hex[:8]}"
        self._asked = False
        self._state = ""
        self._retry_after: float | None = None
        self._result: TurnEnd | None = None
        self._answers: dict[str, Usage] = {}
        self._objected = 0
        self._error = ""
        self._questions = Questions(turn.approver, changes=True, aside=self._wire.aside)

    def _argv(self) -> list[str]:
        servers = {SERVER: {"type": "sdk", "name": SERVER}} if self._turn.tools else {}
        return [
            self._program, "--print", "--verbose", "--input-format=stream-json", "--output-format=stream-json",
            "--permission-mode=dontAsk", f"--tools={','.join(TOOLS)}",
            "--strict-mcp-config", f"--mcp-config={json.dumps({'mcpServers': servers})}",
            f"--resume={self._conversation}" if self._resumes else f"--session-id={self._conversation}",
            *self._options,
        ]  # fmt: skip

    def _env(self) -> dict[str, str]:
        ours = {"DISABLE_AUTOUPDATER": "1", "CLAUDE_CODE_SDK_READS_SESSION_STATE": "1"}
        if "TMPDIR" in self._turn.env:
            ours["CLAUDE_CODE_TMPDIR"] = self._turn.env["TMPDIR"]
        return {**self._turn.env, **ours}

    # What it tells.

    def _hear(self, message: Json) -> None:
        match message:
            case {"type": "control_response", "response": {"request_id": "initialize"}}:
                self._begin(message["response"])
            case {"type": "control_request", "request_id": id, "request": request}:
                self._serve(request, lambda answer: self._reply(id, answer))
            case {"type": "system", "subtype": "init"}:
                self._examine(message)
            case {"type": "system", "subtype": "session_state_changed", "state": state}:
                self._state = state
                self._end_if_idle()
            case {"type": "system", "subtype": "api_retry"}:
                seconds = float(message.get("retry_delay_ms") or 0) / 1000
                self._wire.tell(RateLimit(f"The model's server: {message.get('error')}; it asks again.", seconds))
            case {"type": "rate_limit_event", "rate_limit_info": {"status": "rejected", "resetsAt": int(moment)}}:
                self._retry_after = max(0.0, moment - time.time())
            case {"type": "assistant" | "user", "message": said}:
                self._error = str(message.get("error") or "")
                self._relate(said, own=message.get("parent_tool_use_id") is None)
            case {"type": "result"}:
                self._conclude(message)

    def _begin(self, response: Json) -> None:
        """It is there. Only if it took our hooks, and denies when one fails, it gets its prompt."""
        took = response.get("response") or {}
        if response.get("subtype") != "success" or not took.get("hook_on_failure_supported"):
            return self._refuse("this version does not deny what a hook that failed should have judged")
        if took.get("hooks_applied") is False:
            return self._refuse("it did not take our hooks")
        self._wire.tell(Conversation(self._conversation))
        return self._prompt()

    def _prompt(self) -> None:
        prompt = {"role": "user", "content": self._turn.prompt}
        self._wire.send(
            {"type": "user", "message": prompt, "parent_tool_use_id": None, "session_id": self._conversation}
        )

    def _examine(self, init: Json) -> None:
        servers = {server.get("name"): server.get("status") for server in init.get("mcp_servers", [])}
        down = [name for name, status in servers.items() if status != "connected"]
        if init.get("permissionMode") != "dontAsk":
            self._refuse(f"its permission mode is {init.get('permissionMode')}, not dontAsk")
        elif down or (self._turn.tools and SERVER not in servers):
            self._refuse(f"the tool server {', '.join(map(str, down)) or SERVER} is not connected")

    def _refuse(self, why: str) -> None:
        self._wire.abort(TurnEnd("unguarded", f"Nothing was done: {why}."))

    def _relate(self, said: Json, *, own: bool) -> None:
        if not self._asked:
            return self._refuse("it began to work without asking our hook")
        if said.get("role") == "assistant" and "usage" in said:
            self._count(str(said.get("id")), str(said.get("model") or ""), said["usage"])
        for block in said["content"] if isinstance(said.get("content"), list) else []:
            match block:
                case {"type": "text", "text": text} if own and said.get("role") == "assistant":
                    self._wire.tell(Said(text))
                case {"type": "tool_use", "id": id, "name": name, "input": given}:
                    self._wire.tell(ToolUse(id, shown(name, given)))
                case {"type": "tool_result", "tool_use_id": id}:
                    self._wire.tell(ToolResult(id, not block.get("is_error"), _text(block.get("content"))))
        return None

    def _count(self, answer: str, model: str, used: Json) -> None:
        """What was used since the last total, should no other come; the output of an answer is told before its end."""
        self._answers[answer] = _tokens(self._scope, model, used)
        self._wire.tell(summed(self._scope, tuple(self._answers.values())))

    def _conclude(self, result: Json) -> None:
        """It has answered; the turn is over when it has nothing to do any more, such as to hear of a subagent."""
        if self._resumes and not self._asked and LOST in " ".join(map(str, result.get("errors") or [])):
            return self._wire.finish(AGAIN)
        if self._answers:
            self._answers.clear()
            self._wire.tell(Usage(self._scope))
            self._wire.tell(total(result, self._conversation))
        self._result = end_of(result, self._retry_after, self._error)
        if self._result.outcome != "completed":
            return self._wire.finish(self._result)
        return self._end_if_idle()

    def _end_if_idle(self) -> None:
        if self._result is not None and self._state in ("", "idle"):
            self._wire.finish(self._result)

    # What it asks.

    def _serve(self, request: Json, reply: Callable[[Json], None]) -> None:
        match request:
            case {"subtype": "hook_callback", "callback_id": "PreToolUse", "input": given}:
                self._judge(given, reply)
            case {"subtype": "hook_callback", "callback_id": "UserPromptSubmit"}:
                self._asked = True
                reply({})
            case {"subtype": "hook_callback", "callback_id": "Stop", "input": given}:
                self._object(str(given.get("last_assistant_message") or ""), reply)
            case {"subtype": "mcp_message", "message": message}:
                self._answer_tools(message, reply)
            case _:
                reply({"error": "intarsia does not know this request."})

    def _judge(self, given: Json, reply: Callable[[Json], None]) -> None:
        name, use = str(given.get("tool_name")), given.get("tool_input") or {}
        if name.startswith(f"mcp__{SERVER}__"):
            return reply(verdict(allow=True))
        ask = question(name, use, str(given.get("tool_use_id")), Path(str(given.get("cwd"))))
        if ask is None:
            return reply(verdict(allow=False, reason=f"intarsia does not know the tool {name}, so it is not allowed."))
        self._questions.put(ask, lambda answer: reply(answered(name, use, answer)))
        return None

    def _object(self, last_words: str, reply: Callable[[Json], None]) -> None:
        objection = self._turn.objection
        if objection is None or self._objected == OBJECTIONS:
            return reply({})

        def tell(done: Future[str]) -> None:
            problem = "" if done.exception() else done.result()  # the gate judges in any case
            self._objected += bool(problem)
            reply({"decision": "block", "reason": problem} if problem else {})

        self._wire.aside.do(lambda: objection(last_words), tell)
        return None

    def _answer_tools(self, message: Json, reply: Callable[[Json], None]) -> None:
        answer = mcp.answer(self._turn.tools, message)
        if callable(answer):
            self._wire.aside.do(
                answer,
                lambda done: reply(
                    {"error": str(done.exception())} if done.exception() else {"mcp_response": done.result()}
                ),
            )
        else:
            reply({"mcp_response": answer or {"jsonrpc": "2.0", "result": {}}})

    def _reply(self, id: Any, answer: Json) -> None:
        kind = {"subtype": "error", **answer} if "error" in answer else {"subtype": "success", "response": answer}
        self._wire.send({"type": "control_response", "response": {"request_id": id, **kind}})


def acts(message: Json) -> bool:
    """Whether it does something, or asks for it, while it waits for a prompt."""
    if message.get("subtype") == "session_state_changed":
        return bool(message.get("state") != "idle")
    return message.get("type") in ("assistant", "user", "control_request", "result")


# Says that the conversation to go on with is not there; a new one is begun.


def total(result: Json, conversation: str) -> Usage:
    """All that this conversation used, also before it was resumed (measured with 2.1.327)."""
    parts = []
    for model, used in (result.get("modelUsage") or {}).items():
        cached, written = used.get("cacheReadInputTokens", 0), used.get("cacheCreationInputTokens", 0)
        given, output = used.get("inputTokens", 0) + cached + written, used.get("outputTokens", 0)
        parts.append(Usage(conversation, given, cached, output, used.get("costUSD"), written, model))
    return replace(summed(conversation, tuple(parts)), cost=result.get("total_cost_usd"))


def summed(scope: str, parts: tuple[Usage, ...]) -> Usage:
    """All of them together, of unknown cost; by model only where there are several."""
    models = sorted({part.model for part in parts})
    return Usage(
        scope,
        sum(part.input for part in parts),
        sum(part.cached for part in parts),
        sum(part.output for part in parts),
        written=sum(part.written for part in parts),
        model=models[0] if len(models) == 1 else "",
        parts=parts if len(models) > 1 else (),
    )


def _tokens(scope: str, model: str, used: Json) -> Usage:
    cached, written = used.get("cache_read_input_tokens") or 0, used.get("cache_creation_input_tokens") or 0
    given = (used.get("input_tokens") or 0) + cached + written
    return Usage(scope, given, cached, used.get("output_tokens") or 0, written=written, model=model)


def end_of(result: Json, retry_after: float | None = None, error: str = "") -> TurnEnd:
    """How a turn ended, by its flags: `subtype` says "success" of an unreachable server too.

    `error` is the kind of it that its last message names, where the result names none.
    """
    text = str(result.get("result") or "")
    detail = text or "; ".join(map(str, result.get("errors") or []))
    outcome = _outcome(result, error)
    return TurnEnd(outcome, "" if outcome == "completed" else detail, text, retry_after)


def _outcome(result: Json, error: str) -> Outcome:
    if result.get("subtype") in ("error_max_turns", "error_max_budget_usd"):
        return "exhausted"
    if result.get("stop_reason") in _STOPS:
        return _STOPS[result["stop_reason"]]
    if result.get("is_error") is not False or result.get("subtype") != "success":
        status, kind = result.get("api_error_status"), result.get("api_error") or error
        unreachable = result.get("terminal_reason") == "api_error" or status is not None
        return STATUS.get(status) or _KINDS.get(kind, "api_error") if unreachable else "failed"
    return "completed"


_STOPS: dict[str, Outcome] = {"refusal": "refused", "max_tokens": "truncated"}
_KINDS: dict[str | None, Outcome] = {
    "max_output_tokens": "truncated",
    "authentication_failed": "auth",
    "billing_error": "rate_limited",
    "rate_limit": "rate_limited",
    "overloaded": "overloaded",
}


def _text(content: Any) -> str:
    if isinstance(content, str):
        return content
    return " ".join(block["text"] for block in content or [] if isinstance(block, dict) and "text" in block)
