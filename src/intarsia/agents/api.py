"""A model and nothing else: one key for its API, and an agent of our own around it, in a process of its own.

That process, `api_agent`, talks to the model and does what it is told to; before each step it asks us, over its pipes,
by JSON lines, and without our yes it does nothing. When we are gone its input ends, and so does it.
"""

from __future__ import annotations

import sys
import uuid
from collections.abc import Sequence
from concurrent.futures import Future
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any, get_args

from intarsia.agents import (
    Answer,
    Ask,
    Capabilities,
    Conversation,
    Edit,
    Outcome,
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
from intarsia.agents.wire import Json, Wire, died, one_line
from intarsia.errors import ConfigError, NotReady

LIBRARY = "any_llm"
STEPS = 200


class ApiDriver:
    name = "api"
    capabilities = Capabilities(
        asks_edits=True,
        asks_shell=True,
        changes=True,
        resumes=True,
        tools=True,
        objects=True,
        guides=(),
        usage=True,
        weaker=(
            "A command that was allowed does what it does with all rights that you have: there is no sandbox.",
            "It tells tokens, but no cost; and it is a small agent: no subagents, no search of the web.",
        ),
    )

    def __init__(self, model: str = "", options: Sequence[str] = ()) -> None:
        self._model = model
        self._steps = _steps(options)

    def check(self) -> None:
        self.version()
        if not all(self._model.partition(":")):
            raise ConfigError(
                f"The driver api needs a model with its provider, not {self._model!r}.",
                hint='Set the agent\'s model, such as "anthropic:claude-sonnet-5-5" or "openai:gpt-5.5".',
            )

    def version(self) -> str:
        if find_spec(LIBRARY) is None:
            raise NotReady("The library for model APIs is not installed.", hint="pip install 'intarsia[api]'")
        return version("any-llm-sdk")

    def start(self, turn: Turn) -> Running:
        return ApiTurn(turn, self._model, self._steps)

    def adopt(self, turn: Turn) -> Running | None:
        """It talks to the supervisor that started it, and ends with that."""
        return None


def _steps(options: Sequence[str]) -> int:
    """Of `--max-steps=N`, the only option there is."""
    steps = STEPS
    for option in options:
        name, _, value = option.partition("=")
        if name != "--max-steps" or not value.isdigit():
            raise ConfigError(f"The driver api has no option {option!r}.", hint="It has one: --max-steps=200")
        steps = int(value)
    return steps


class ApiTurn:
    """One prompt to the model, and all that it does about it."""

    def __init__(self, turn: Turn, model: str, steps: int) -> None:
        self._turn = turn
        known = turn.conversation if _is_ours(turn) else ""
        self._id = known or str(uuid.uuid4())
        # Nothing in the directory that it works in may become a part of the process that asks us.
        argv = [sys.executable, "-P", "-m", "intarsia.agents.api_agent"]
        self._wire = Wire(turn, argv, turn.env, self._hear, died)
        self._questions = Questions(turn.approver, changes=True, aside=self._wire.aside)
        self.events, self.stop = self._wire.events, self._wire.stop
        self._wire.begin()
        self._wire.tell(Conversation(self._id))
        tools = [{"name": t.name, "description": t.description, "schema": dict(t.schema)} for t in turn.tools]
        self._wire.send(
            {
                "model": model,
                "prompt": turn.prompt,
                "conversation": str(conversation_file(turn.folder, self._id)),
                "workspace": str(turn.workspace),
                "tools": tools,
                "steps": steps,
            }
        )

    def _hear(self, message: Json) -> None:
        match message:
            case {"said": str(text)}:
                self._wire.tell(Said(text))
            case {"use": str(id), "text": str(text)}:
                self._wire.tell(ToolUse(id, one_line(text)))
            case {"did": str(id), "ok": bool(ok), "text": str(text)}:
                self._wire.tell(ToolResult(id, ok, text))
            case {"used": used}:
                self._wire.tell(Usage(f"{self._id}/{used['scope']}", used["input"], used["cached"], used["output"]))
            case {"ask": ask}:
                self._questions.put(_ask(ask, self._turn.workspace), self._answer)
            case {"call": str(name), "arguments": dict(given)}:
                self._wire.aside.do(lambda: mcp.called(self._turn.tools, name, given), self._called)
            case {"done": str(words)}:
                self._object(words)
            case {"end": outcome, "detail": str(detail), "words": str(words)} if outcome in get_args(Outcome):
                self._wire.finish(TurnEnd(outcome, detail, words))

    def _answer(self, answer: Answer) -> None:
        changes = {"command": answer.command, "text": answer.text}
        self._wire.send({"allow": answer.allow, "reason": answer.reason, **changes})

    def _called(self, done: Future[tuple[bool, str]]) -> None:
        ok, text = (False, f"It failed: {done.exception()}") if done.exception() else done.result()
        self._wire.send({"ok": ok, "text": text})

    def _object(self, words: str) -> None:
        objection = self._turn.objection
        if objection is None:
            return self._wire.send({"objection": ""})

        def then(done: Future[str]) -> None:
            self._wire.send({"objection": "" if done.exception() else done.result()})  # the gate judges in any case

        self._wire.aside.do(lambda: objection(words), then)
        return None


def conversation_file(folder: Path, id: str) -> Path:
    return folder / f"conversation-{id}.json"


def _is_ours(turn: Turn) -> bool:
    try:
        uuid.UUID(turn.conversation)
    except ValueError:
        return False
    return conversation_file(turn.folder, turn.conversation).is_file()


def _ask(ask: Any, workspace: Path) -> Ask:
    """What it asks for; what can't be understood is an edit of nothing, which nobody allows."""
    match ask:
        case {"kind": "edit" | "read" as kind, "path": str(path), "text": str() | None as text, "tool": str(tool)}:
            return Ask(kind, edits=(Edit(workspace / path, text),), tool=tool)
        case {"kind": "shell", "command": str(command)}:
            return Ask("shell", command=command, cwd=workspace, tool="shell")
    return Ask("edit")
