"""Any agent that speaks the Agent Client Protocol, version 1 (agentclientprotocol.com), asked before every step.

The protocol is spoken here, not by the package of its makers: that starts programs in its own way and environment. The
agent is put into the mode in which it asks, and gets its prompt only when it says that it is in it. What it asks for is
allowed once, never for ever. An agent that changes something without asking, or after a no, is ended at once.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import intarsia
from intarsia.agents import (
    AgentEvent,
    Answer,
    Ask,
    Capabilities,
    Conversation,
    Outcome,
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
from intarsia.agents.acp_steps import Steps
from intarsia.agents.asking import Questions
from intarsia.agents.mcp_bridge import Bridge
from intarsia.agents.outcomes import of_error
from intarsia.agents.programs import npm_version, on_path, said_version
from intarsia.agents.wire import Json, Wire, died
from intarsia.errors import ConfigError

VERSION = 1
AUTH_REQUIRED = -32000
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
            resumes=True,
            tools=True,
            objects=True,
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


class AcpTurn:
    """One prompt to an agent, and the follow-ups that it needs, in a process of its own."""

    def __init__(self, turn: Turn, argv: Sequence[str], about: AcpAgent, model: str) -> None:
        self._turn, self._about, self._model = turn, about, model
        self._calls: list[tuple[str, Callable[[Json], None], Callable[[Json], None] | None]] = []
        self._session = ""
        self._settings: dict[str, str] = {}
        self._settled = False
        self._steps = Steps(turn.workspace, reads_unasked=about.reads_unasked)
        self._untold: list[str] = []
        self._open: set[str] = set()
        self._line, self._words = "", ""
        self._prompts = 0
        self._bridge = Bridge(turn.tools) if turn.tools else None
        env = {**about.env, **turn.env}
        self._wire = Wire(turn, argv, env, self._hear, died, patience=about.patience)
        self._questions = Questions(turn.approver, aside=self._wire.aside)
        self._host = Host(turn, self._questions, self._wire.aside, self._steps.written.add)
        self._wire.begin()
        offered = {
            "fs": {"readTextFile": about.reads, "writeTextFile": about.writes},
            "terminal": about.terminals,
        }
        client = {"name": "intarsia", "title": "intarsia", "version": intarsia.__version__}
        hello = {"protocolVersion": VERSION, "clientCapabilities": offered, "clientInfo": client}
        self._call("initialize", hello, self._connected)

    def events(self) -> Iterator[AgentEvent]:
        yield from self._wire.events()
        self._release()

    def stop(self) -> None:
        self._wire.stop()
        self._release()

    def _release(self) -> None:
        self._host.end()
        if self._bridge is not None:
            self._bridge.close()

    # To the first prompt.

    def _connected(self, agent: Json) -> None:
        if agent.get("protocolVersion") != VERSION:
            return self._refuse(f"it speaks version {agent.get('protocolVersion')} of the protocol, not {VERSION}")
        loads = (agent.get("agentCapabilities") or {}).get("loadSession")
        return self._load() if self._turn.conversation and loads else self._open_new()

    def _load(self) -> None:
        id = self._turn.conversation
        self._call(
            "session/load",
            {"sessionId": id, **self._place()},
            lambda opened: self._opened({**opened, "sessionId": id}),
            lambda error: self._open_new(),
        )

    def _open_new(self, *, may_log_in: bool = True) -> None:
        def otherwise(error: Json) -> None:
            method = next((m for key, m in self._about.methods.items() if self._turn.env.get(key)), "")
            if error.get("code") == AUTH_REQUIRED and method and may_log_in:
                self._call("authenticate", {"methodId": method}, lambda _: self._open_new(may_log_in=False))
            else:
                self._fail("session/new", error)

        self._call("session/new", self._place(), self._opened, otherwise)

    def _place(self) -> Json:
        return {"cwd": str(self._turn.workspace), "mcpServers": [self._bridge.server()] if self._bridge else []}

    def _opened(self, opened: Json) -> None:
        self._session = str(opened.get("sessionId"))
        self._settings = _settings(opened)
        wanted = dict(self._about.settings)
        if not wanted and "mode" in self._settings:
            return self._refuse(f"nobody knows which of its modes asks; it is in {self._settings['mode']}")
        if self._model:
            wanted["model"] = self._model
        return self._settle([*wanted.items()], _options(opened))

    def _settle(self, wanted: Sequence[tuple[str, str]], options: set[str]) -> None:
        """Set one after another, and see each of them set, before the first prompt."""
        if not wanted:
            self._settled = True
            self._wire.tell(Conversation(self._session))
            return self._prompt(self._turn.prompt)
        (id, value), *rest = wanted
        if id not in self._settings:
            return self._refuse(f"it has no setting {id}, which has to be {value}")
        if self._settings[id] == value:
            return self._settle(rest, options)

        def then(changed: Json) -> None:
            self._settings |= _settings(changed) if id in options else {id: value}
            if self._settings[id] != value:
                return self._refuse(f"its {id} stays {self._settings[id]}, though it has to be {value}")
            return self._settle(rest, options)

        def otherwise(error: Json) -> None:
            self._refuse(f"its {id} can't be set to {value}: {_said(error)}")

        if id in options:
            change: Json = {"sessionId": self._session, "configId": id, "value": value}
            return self._call("session/set_config_option", change, then, otherwise)
        method, name = {"mode": ("session/set_mode", "modeId"), "model": ("session/set_model", "modelId")}[id]
        return self._call(method, {"sessionId": self._session, name: value}, then, otherwise)

    def _refuse(self, why: str) -> None:
        done = "It was ended" if self._prompts else "Nothing was done"
        self._wire.abort(TurnEnd("unguarded", f"{done}: {why}."))

    # A prompt, and its end.

    def _prompt(self, text: str) -> None:
        self._prompts += 1
        self._words = ""
        given = {"sessionId": self._session, "prompt": [{"type": "text", "text": text}]}
        self._call("session/prompt", given, self._ended, lambda error: self._fail("", error))

    def _ended(self, result: Json) -> None:
        self._flush()
        for id in sorted(self._open):
            self._wire.tell(ToolResult(id, False, "It did not say how that ended."))
        self._open.clear()
        self._count(result)
        reason = str(result.get("stopReason"))
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
        self._prompt(
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
            self._prompt(problem) if problem else self._finish(end)

        self._wire.aside.do(lambda: objection(words), then)
        return None

    def _finish(self, end: TurnEnd) -> None:
        if self._bridge is not None and not self._bridge.was_used:
            self._wire.tell(Unenforced("It did not connect to the tools of intarsia; the same commands are there."))
        self._wire.finish(end)

    def _fail(self, what: str, error: Json) -> None:
        text = f"{what}: {_said(error)}".removeprefix(": ")
        self._wire.finish(TurnEnd("auth" if error.get("code") == AUTH_REQUIRED else of_error(text), text, self._words))

    def _count(self, result: Json) -> None:
        """Of each prompt by itself; some tell it in a place of their own."""
        used = result.get("usage") or {}
        quota = ((result.get("_meta") or {}).get("quota") or {}).get("token_count") or {}
        cached = used.get("cachedReadTokens") or 0
        given = used.get("inputTokens") or quota.get("input_tokens") or 0
        output = used.get("outputTokens") or quota.get("output_tokens") or 0
        if given or output:
            given += cached + (used.get("cachedWriteTokens") or 0)
            self._wire.tell(Usage(f"{self._session}/{self._turn.number}.{self._prompts}", given, cached, output))

    # What it tells.

    def _call(
        self,
        method: str,
        params: Json,
        then: Callable[[Json], None],
        otherwise: Callable[[Json], None] | None = None,
    ) -> None:
        self._calls.append((method, then, otherwise))
        self._wire.send({"jsonrpc": "2.0", "id": len(self._calls) - 1, "method": method, "params": params})

    def _hear(self, message: Json) -> None:
        params, id, method = message.get("params") or {}, message.get("id"), message.get("method")
        if method is None:
            return self._answered(message)
        if id is not None:
            return self._serve(method, params, lambda said: self._wire.send({"jsonrpc": "2.0", "id": id, **said}))
        if method == "session/update" and self._settled and params.get("sessionId") == self._session:
            self._note(params.get("update") or {})
        return None

    def _answered(self, message: Json) -> None:
        id = message.get("id")
        if not isinstance(id, int) or not 0 <= id < len(self._calls):
            return None
        method, then, otherwise = self._calls[id]
        self._calls[id] = (method, lambda _: None, lambda _: None)  # a second answer is none
        if "error" not in message:
            return then(message.get("result") or {})
        error = message["error"] if isinstance(message["error"], dict) else {}
        return otherwise(error) if otherwise else self._fail(method, error)

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
                self._changed(_settings(update))
            case {"sessionUpdate": "usage_update", "cost": {"amount": amount, "currency": "USD"}}:
                self._wire.tell(Usage(self._session, cost=float(amount)))

    def _say(self, text: str) -> None:
        self._words += text
        *lines, self._line = (self._line + text).split("\n")
        for line in filter(None, lines):
            self._wire.tell(Said(line))

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
            self._words, self._untold = "", []  # it goes on
        step = self._steps.update(id, update)
        if step.get("status") not in ("completed", "failed"):
            return self._begin_step(id, step)
        if problem := self._steps.problem(id):
            return self._refuse(problem)
        self._begin_step(id, step)
        self._open.discard(id)
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


def _options(opened: Json) -> set[str]:
    return {str(one.get("id")) for one in opened.get("configOptions") or ()}


def _settings(told: Json) -> dict[str, str]:
    """What is set, by the name of the setting: its options, else its modes and models."""
    modes, models = told.get("modes") or {}, told.get("models") or {}
    found = {"mode": modes.get("currentModeId"), "model": models.get("currentModelId")}
    found |= {str(one.get("id")): one.get("currentValue") for one in told.get("configOptions") or ()}
    return {id: str(value) for id, value in found.items() if value is not None}


def _said(error: Json) -> str:
    data = error.get("data")
    details = data.get("details") or data.get("message") if isinstance(data, dict) else data
    return " ".join(dict.fromkeys(str(part) for part in (error.get("message"), details) if part))
