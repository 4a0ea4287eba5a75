"""Any agent that speaks the Agent Client Protocol, version 1 (agentclientprotocol.com), asked before every step.

The protocol is spoken here, not by the package of its makers: that starts programs in its own way and environment. The
agent is put into the mode in which it asks, and gets its prompt only when it says that it is in it. What it asks for is
allowed once, never for ever. An agent that changes something without asking, or after a no, is ended at once.
"""

from __future__ import annotations

import re
import shlex
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from intarsia.agents import (
    AgentEvent,
    Answer,
    Ask,
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
    Unenforced,
    Usage,
)
from intarsia.agents.acp_agents import AGENTS, UNKNOWN, AcpAgent
from intarsia.agents.acp_asks import can_allow, option, questions, shown
from intarsia.agents.acp_host import Host
from intarsia.agents.acp_opening import AUTH_REQUIRED, Opening, said, settings
from intarsia.agents.acp_steps import Steps
from intarsia.agents.asking import Questions
from intarsia.agents.calls import Calls
from intarsia.agents.mcp_bridge import Bridge
from intarsia.agents.outcomes import of_error
from intarsia.agents.programs import npm_version, on_path, said_version
from intarsia.agents.wire import Json, Wire, died, one_line
from intarsia.agents.wired import LastingTurn
from intarsia.errors import ConfigError

NO_METHOD = -32601
FOLLOWUPS = 5
ENDS: Mapping[str, Outcome] = {
    "end_turn": "completed",
    "max_tokens": "truncated",
    "max_turn_requests": "exhausted",
    "refusal": "refused",
    "cancelled": "failed",
}


class AcpDriver:
    name = "acp"

    def __init__(self, agent: str = "", command: str = "", model: str = "", options: Sequence[str] = ()) -> None:
        self._agent, self._about = agent, _known(agent, command)
        program, *arguments = _split(command) if command else [self._about.program, *self._about.arguments]
        if model and self._about.model:
            arguments.append(self._about.model + model)
        self._program, self._arguments = program, [*arguments, *options]
        self._model = "" if self._about.model else model
        self.capabilities = Capabilities(
            asks_edits=True,
            asks_shell=True,
            resumes=self._about.resumes,
            tools=self._about.tools,
            objects=True,
            stays=True,
            usage=True,
            weaker=self._about.weaker,
        )

    def check(self) -> None:
        self._found()

    def version(self) -> str:
        found = self._found()
        return npm_version(found) or said_version(found) if self._agent else ""

    def start(self, turn: Turn) -> Running:
        return AcpTurn(turn, [self._found(), *self._arguments], self._about, self._model)

    def adopt(self, turn: Turn) -> Running | None:
        """It talks to the supervisor that started it, and ends with that."""
        return None

    def _found(self) -> str:
        package = self._about.package
        return on_path(
            self._program, f"npm install --global {package}" if package else "Install it, or correct command."
        )


def _known(agent: str, command: str) -> AcpAgent:
    if agent and agent not in AGENTS:
        raise ConfigError(f"No agent {agent!r} of this protocol is known.", hint=f"Known are: {', '.join(AGENTS)}.")
    if not agent and not command:
        raise ConfigError(
            "The driver acp needs an agent or a command.", hint=f"agent = one of {', '.join(AGENTS)}; or command = '…'."
        )
    return AGENTS[agent] if agent else UNKNOWN


def _split(command: str) -> list[str]:
    try:
        return shlex.split(command)
    except ValueError as error:
        raise ConfigError(f"The agent's command can't be parsed: {error}: {command}") from error


class AcpTurn(LastingTurn):
    """Of an agent of the Agent Client Protocol."""

    def __init__(self, turn: Turn, argv: Sequence[str], about: AcpAgent, model: str) -> None:
        self._about = about
        self._conversation = ""
        self._started = uuid.uuid4().hex[:8]
        self._bridge = Bridge(turn.tools) if turn.tools and about.tools else None
        env = {**about.env, **turn.env}
        self._wire = Wire(turn, argv, env, self._hear, died, patience=about.patience, acts=acts)
        self._set_out(turn)
        self._call = Calls(self._wire.send, self._fail)
        self._opening = Opening(
            turn,
            about,
            [self._bridge.server()] if self._bridge else [],
            model=model,
            call=self._call,
            aside=self._wire.aside,
            ready=self._ready,
            refuse=self._refuse,
            fail=self._fail,
        )
        self._wire.begin()
        self._opening.begin()

    def _set_out(self, turn: Turn) -> None:
        self._turn = turn
        self._scope = self._started if self._about.adds_up else uuid.uuid4().hex[:8]
        self._steps = Steps(turn.workspace, self._about)
        self._untold: list[str] = []
        self._open: set[str] = set()
        self._line, self._words, self._error = "", "", ""
        self._prompts = 0
        self._questions = Questions(turn.approver, aside=self._wire.aside)
        self._host = Host(turn, self._questions, self._wire.aside, self._steps.written.add)
        if self._bridge is not None:
            self._bridge.tools = turn.tools

    def events(self) -> Iterator[AgentEvent]:
        yield from super().events()
        if not self.stays:
            self._release()

    def stop(self) -> None:
        super().stop()
        self._release()

    def close(self) -> None:
        super().close()
        self._release()

    def _release(self) -> None:
        self._host.end()
        if self._bridge is not None:
            self._bridge.close()

    def _ready(self, session: str) -> None:
        self._conversation = session
        self._wire.tell(Conversation(session))
        self._prompt()

    def _refuse(self, why: str) -> None:
        done = "It was ended" if self._prompts else "Nothing was done"
        self._wire.abort(TurnEnd("unguarded", f"{done}: {why}."))

    # A prompt, and its end.

    def _prompt(self) -> None:
        self._send(self._turn.prompt)

    def _send(self, text: str) -> None:
        self._prompts += 1
        self._words = self._error = ""
        given = {"sessionId": self._conversation, "prompt": [{"type": "text", "text": text}]}
        self._call("session/prompt", given, self._ended, lambda error: self._fail("", error))

    def _ended(self, result: Json) -> None:
        self._flush()
        for id in sorted(self._open):
            self._wire.tell(ToolResult(id, False, "It did not say how that ended."))
        self._open.clear()
        self._count(result)
        reason = str(result.get("stopReason"))
        if self._error:
            return self._finish(TurnEnd(_of_api(self._error), self._error, self._words.strip()))
        if reason in ("end_turn", "cancelled") and self._untold and self._prompts <= FOLLOWUPS:
            return self._tell_why()
        outcome = ENDS.get(reason, "failed")
        if outcome != "completed":
            return self._finish(TurnEnd(outcome, f"It ended its turn: {reason}.", self._words.strip()))
        if not self._words.strip() and not self._steps.any:
            return self._finish(TurnEnd("failed", "It ended its turn without a word or a step."))
        return self._object()

    def _tell_why(self) -> None:
        reasons, self._untold = self._untold, []
        listed = "\n".join(f"- {reason}" for reason in reasons)
        self._send(
            f"You were not allowed to do this:\n{listed}\n"
            "Do it another way, or leave it, and go on with your task. If that is done, say so."
        )

    def _object(self) -> None:
        objection, words = self._turn.objection, self._words.strip()
        end = TurnEnd("completed", "", words)
        if objection is None or self._prompts > FOLLOWUPS:
            return self._finish(end)

        def then(done: Any) -> None:
            problem = "" if done.exception() else done.result()  # the gate judges in any case
            self._send(problem) if problem else self._finish(end)

        self._wire.aside.do(lambda: objection(words), then)
        return None

    def _finish(self, end: TurnEnd) -> None:
        self._host.end()
        if self._bridge is not None and not self._bridge.was_used:
            self._wire.tell(Unenforced("It did not connect to the tools of intarsia; the same commands are there."))
        self._wire.finish(end)

    def _fail(self, what: str, error: Json) -> None:
        text = f"{what}: {said(error)}".removeprefix(": ")
        self._wire.finish(TurnEnd("auth" if error.get("code") == AUTH_REQUIRED else of_error(text), text, self._words))

    def _count(self, result: Json) -> None:
        """Of each prompt, or of all since it was started; some tell it in a place of their own."""
        used = result.get("usage") or {}
        quota = ((result.get("_meta") or {}).get("quota") or {}).get("token_count") or {}
        cached = used.get("cachedReadTokens") or 0
        given = used.get("inputTokens") or quota.get("input_tokens") or 0
        output = used.get("outputTokens") or quota.get("output_tokens") or 0
        if given or output:
            given += cached + (used.get("cachedWriteTokens") or 0)
            scope = self._scope if self._about.adds_up else f"{self._scope}.{self._prompts}"
            self._wire.tell(Usage(f"{self._conversation}/{scope}", given, cached, output))

    # What it tells.

    def _hear(self, message: Json) -> None:
        params, id, method = message.get("params") or {}, message.get("id"), message.get("method")
        if method is None:
            return self._call.answered(message)
        if id is not None:
            return self._serve(method, params, lambda answer: self._wire.send({"jsonrpc": "2.0", "id": id, **answer}))
        if method == "session/update" and not self._conversation:
            self._opening.note()
        elif method == "session/update" and params.get("sessionId") == self._conversation:
            self._note(params.get("update") or {})
        return None

    def _note(self, update: Json) -> None:
        match update:
            case {"sessionUpdate": "agent_message_chunk", "content": {"type": "text", "text": str(text)}}:
                self._say(text)
            case {"sessionUpdate": "tool_call" | "tool_call_update", "toolCallId": str(id)}:
                self._flush()
                self._step(id, update)
            case {"sessionUpdate": "current_mode_update", "currentModeId": str(mode)}:
                self._changed({"mode": mode})
            case {"sessionUpdate": "config_option_update"}:
                self._changed(settings(update))
            case {"sessionUpdate": "usage_update", "cost": {"amount": amount, "currency": "USD"}}:
                self._wire.tell(Usage(self._conversation, cost=float(amount)))

    def _say(self, text: str) -> None:
        self._error = text if _begins(text, self._about.errors) else ""
        if _begins(text, self._about.notices):
            self._flush()
            return self._wire.tell(RateLimit(one_line(text)) if "etrying" in text else Said(text))
        self._words += text
        *lines, self._line = (self._line + text).split("\n")
        for line in filter(None, lines):
            self._wire.tell(Said(line))
        return None

    def _flush(self) -> None:
        if self._line:
            self._wire.tell(Said(self._line))
        self._line = ""

    def _changed(self, settings: Mapping[str, str]) -> None:
        for id, value in self._about.settings.items():
            if settings.get(id, value) != value:
                self._refuse(f"its {id} became {settings[id]}, in which it does not ask")

    def _step(self, id: str, update: Json) -> None:
        if id not in self._steps:
            self._words, self._error, self._untold = "", "", []  # it goes on
        step = self._steps.update(id, update)
        if step.get("status") not in ("completed", "failed"):
            return self._begin_step(id, step)
        if problem := self._steps.problem(id):
            return self._refuse(problem)
        self._begin_step(id, step)
        self._open.discard(id)
        self._words = ""  # said before this was done
        return self._wire.tell(ToolResult(id, step["status"] == "completed"))

    def _begin_step(self, id: str, step: Json) -> None:
        if id not in self._open:
            self._open.add(id)
            self._wire.tell(ToolUse(id, shown(step, self._turn.workspace)))

    # What it asks.

    def _serve(self, method: str, params: Json, reply: Callable[[Json], None]) -> None:
        if method == "session/request_permission":
            self._permit(params.get("toolCall") or {}, params.get("options") or (), reply)
        elif self._host.serves(method):
            self._host.serve(method, params, reply)
        else:
            reply({"error": {"code": NO_METHOD, "message": "Nobody is there to answer this."}})

    def _permit(self, call: Json, options: Sequence[Json], reply: Callable[[Json], None]) -> None:
        id = str(call.get("toolCallId"))
        step = self._steps.ask(id, call)
        self._flush()
        self._begin_step(id, step)
        if not can_allow(options):
            return self._answer(step, options, Answer(False, "It can't be allowed just once."), reply)
        if step.get("kind") == "switch_mode":
            return self._answer(step, options, Answer(False, "The mode of this session stays as it is."), reply)
        return self._ask(questions(step, self._turn.workspace), step, options, reply)

    def _ask(self, asks: list[Ask], step: Json, options: Sequence[Json], reply: Callable[[Json], None]) -> None:
        """Put one question after the other; the first no is the answer."""
        first, *rest = asks
        if first.kind == "shell" and not first.command:
            return self._answer(step, options, Answer(False, "It is not clear which command this would run."), reply)

        def answered(answer: Answer) -> None:
            if answer.allow and rest:
                self._ask(rest, step, options, reply)
            else:
                self._answer(step, options, answer, reply)

        self._questions.put(first, answered)
        return None

    def _answer(self, step: Json, options: Sequence[Json], answer: Answer, reply: Callable[[Json], None]) -> None:
        if not answer.allow:
            self._steps.refused.add(str(step.get("toolCallId")))
            self._untold.append(f"{shown(step, self._turn.workspace)}: {answer.reason or 'no reason was given'}")
        reply({"result": option(options, allow=answer.allow)})


def acts(message: Json) -> bool:
    """Whether it does something, or asks for it, while it waits for a prompt."""
    update = (message.get("params") or {}).get("update") or {}
    return ("id" in message and "method" in message) or str(update.get("sessionUpdate")).startswith("tool_call")


def _begins(text: str, pattern: str) -> bool:
    return bool(pattern and re.match(pattern, text))


def _of_api(text: str) -> Outcome:
    outcome = of_error(text)
    return "api_error" if outcome == "failed" else outcome
