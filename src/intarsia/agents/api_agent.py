"""The agent of the driver `api`: `python -m intarsia.agents.api_agent`, its task a line of JSON on its input.

A loop around a model: it says what to do, we ask whether it may, do it, and tell it what came of that, until it has
nothing more to do. What was said is kept in a file after each step, so that a later turn can go on with it.
"""

from __future__ import annotations

import json
import sys
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from any_llm import AnyLLM, exceptions

from intarsia.agents.api_tools import OWN, Failed, Step, declared
from intarsia.agents.outcomes import of_error

Json = dict[str, Any]

MOST_TOKENS = 16_000
SYSTEM = (
    "You are a coding agent. You work in a git repository, in your current directory, by the tools that you are given. "
    "Paths are relative to it. A step that is refused was refused for a reason, which you are told: do it another way, "
    "or leave it and go on. When you are done, say so without using a tool."
)
OUTCOMES: tuple[tuple[type[Exception], str], ...] = (
    (exceptions.MissingApiKeyError, "auth"),
    (exceptions.AuthenticationError, "auth"),
    (exceptions.InsufficientFundsError, "rate_limited"),
    (exceptions.ContentFilterError, "refused"),
    (exceptions.ContextLengthExceededError, "exhausted"),
)
ENDS = {"length": "truncated", "content_filter": "refused"}


class Supervisor:
    """The one who started us, at the other end of our pipes."""

    def tell(self, **message: Any) -> None:
        print(json.dumps(message), flush=True)

    def ask(self, **message: Any) -> Json:
        """Nothing is done without an answer; when there is nobody to give one, this is the end."""
        self.tell(**message)
        return self.hear()

    def hear(self) -> Json:
        line = sys.stdin.readline()
        if not line:
            sys.exit(0)
        heard: Json = json.loads(line)
        return heard


@dataclass
class Talk:
    """A conversation, kept in a file."""

    place: Path
    messages: list[Json] = field(default_factory=list)

    @classmethod
    def of(cls, place: Path) -> Talk:
        messages = json.loads(place.read_text(encoding="utf-8")) if place.is_file() else [_message("system", SYSTEM)]
        return cls(place, list(_answered(messages)))

    def add(self, message: Json) -> None:
        self.messages.append(message)
        new = self.place.with_suffix(".new")
        new.write_text(json.dumps(self.messages), encoding="utf-8")
        new.replace(self.place)


def _answered(messages: list[Json]) -> Iterator[Json]:
    """A step of which nothing came, as we were killed, gets an answer: a model takes no other conversation."""
    there = {message.get("tool_call_id") for message in messages}
    for message in messages:
        yield message
        for call in message.get("tool_calls") or ():
            if call["id"] not in there:
                yield _message("tool", "This was interrupted; see whether it was done.", tool_call_id=call["id"])


class Agent:
    def __init__(self, supervisor: Supervisor, task: Json) -> None:
        self._supervisor = supervisor
        self._task = task
        self._talk = Talk.of(Path(task["conversation"]))
        self._ours = {tool["name"] for tool in task["tools"]}
        self._scope = uuid.uuid4().hex[:8]
        self._used = {"input": 0, "cached": 0, "output": 0}

    def work(self) -> tuple[str, str, str]:
        """How the turn ended, why, and its last words."""
        provider, _, model = self._task["model"].partition(":")
        llm = AnyLLM.create(provider, unified_exceptions=True)
        self._talk.add(_message("user", self._task["prompt"]))
        words = ""
        for _ in range(self._task["steps"]):
            answer = llm.completion(model, [*self._talk.messages], tools=self._tools(), max_tokens=MOST_TOKENS)
            choice = answer.choices[0]
            self._count(answer.usage)
            words = choice.message.content or ""
            if words:
                self._supervisor.tell(said=words)
            if choice.finish_reason in ENDS:
                return ENDS[choice.finish_reason], f"The model's answer ended as {choice.finish_reason}.", words
            self._talk.add(_plain(choice.message))
            if choice.message.tool_calls:
                for call in self._talk.messages[-1]["tool_calls"]:
                    self._do(call["id"], call["function"]["name"], call["function"]["arguments"])
            elif choice.finish_reason != "stop":
                return "failed", f"The model's answer ended as {choice.finish_reason}.", words
            elif problem := self._supervisor.ask(done=words)["objection"]:
                self._talk.add(_message("user", problem))
            else:
                return ("completed", "", words) if words else ("failed", "The model ended without a word.", "")
        return "exhausted", f"It took {self._task['steps']} steps, as many as it may.", words

    def _tools(self) -> list[Json]:
        """Those of the session come before our own of the same name."""
        own = [tool for tool in OWN if tool.name not in self._ours]
        return [declared(t["name"], t["description"], t["schema"]) for t in self._task["tools"]] + [
            declared(tool.name, tool.description, tool.schema) for tool in own
        ]

    def _do(self, id: str, name: str, given: str) -> None:
        self._supervisor.tell(use=id, text=f"{name} {given}")
        try:
            ok, text = True, self._result(name, _object(given))
        except Failed as failed:
            ok, text = False, f"Error: {failed}"
        self._supervisor.tell(did=id, ok=ok, text=text)
        self._talk.add(_message("tool", text or "(nothing)", tool_call_id=id))

    def _result(self, name: str, given: Mapping[str, Any]) -> str:
        if name in self._ours:
            answer = self._supervisor.ask(call=name, arguments=dict(given))
            if not answer["ok"]:
                raise Failed(answer["text"])
            return str(answer["text"])
        tool = next((tool for tool in OWN if tool.name == name), None)
        if tool is None:
            raise Failed(f"There is no tool {name}.")
        step = tool.prepare(Path(self._task["workspace"]), given)
        return step.do(*self._allowed(step))

    def _allowed(self, step: Step) -> tuple[str | None, str | None]:
        """The command and the text to use, if they are others; raises Failed for a no."""
        answer = self._supervisor.ask(ask=step.asks)
        if answer.get("allow") is not True:
            raise Failed(f"This was refused: {answer.get('reason')}")
        return answer.get("command"), answer.get("text")

    def _count(self, usage: Any) -> None:
        if usage is None:
            return
        details = usage.prompt_tokens_details
        self._used["input"] += usage.prompt_tokens
        self._used["cached"] += (details.cached_tokens or 0) if details else 0
        self._used["output"] += usage.completion_tokens
        self._supervisor.tell(used={"scope": self._scope, **self._used})


def _message(role: str, content: str, **more: Any) -> Json:
    return {"role": role, "content": content, **more}


def _plain(message: Any) -> Json:
    """What the model said, as it is said to it again."""
    plain: Json = message.model_dump(mode="json", exclude_none=True)
    return {"content": "", **plain}


def _object(text: str) -> Mapping[str, Any]:
    try:
        given = json.loads(text or "{}")
    except ValueError as error:
        raise Failed(f"These arguments are no JSON: {error}") from error
    if not isinstance(given, dict):
        raise Failed("The arguments have to be an object.")
    return given


def main() -> None:
    supervisor = Supervisor()
    outcome, detail, words = result_of(supervisor, supervisor.hear())
    supervisor.tell(end=outcome, detail=detail, words=words)


def result_of(supervisor: Supervisor, task: Json) -> tuple[str, str, str]:
    """The same as `Agent.work`, also of a model that could not be asked."""
    try:
        return Agent(supervisor, task).work()
    except exceptions.AnyLLMError as error:
        return _outcome(error), str(error), ""


def _outcome(error: exceptions.AnyLLMError) -> str:
    """What the library says of it, else what the server's status or its words say; all of it has to do with the API."""
    for kind, outcome in OUTCOMES:
        if isinstance(error, kind):
            return outcome
    found = of_error(str(error), getattr(error, "status_code", None))
    if isinstance(error, exceptions.RateLimitError) and found == "failed":
        return "rate_limited"
    return "api_error" if found == "failed" else found


if __name__ == "__main__":
    main()
