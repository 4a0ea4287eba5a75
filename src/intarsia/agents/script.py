"""The shipped fake: an agent that follows a scenario file. Everything it does is real but the thinking.

    [[issues.ID.turns]]             # the first turn; the next table is the first follow-up, and so on
    steps = [
      { write = "PATH", text = "…" },             { append = "PATH", text = "…" },
      { replace = "PATH", old = "…", new = "…" }, { delete = "PATH" },
      { shell = "COMMAND" },                      { commit = "MESSAGE" },
      { wait = SECONDS },                         { say = "…" },
      { fail = "…" },                             { hang = true },
      { conversation = "ID" },                    { usage = { input = N, output = N, cost = DOLLARS, model = "…" } },
      { end = "OUTCOME", text = "…", retry_after = SECONDS, times = N },
    ]

With `times` a turn ends like that only so often when it is begun again, and else goes on.

The issue `"*"` stands for all that have no entry. A turn that is not written does nothing. With `asks = true` at the
top of the file it asks before each edit and each command; a step that is refused is left out, and it goes on. Where
the turn offers tools to read and write files and to commit, it uses those; a tool that refuses ends the turn.
"""

from __future__ import annotations

import subprocess
import time
import tomllib
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

from intarsia.agents import (
    AgentEvent,
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
    Waiting,
)
from intarsia.agents.asking import Questions
from intarsia.agents.supervision import end_marked, spawn
from intarsia.errors import ConfigError, IntarsiaError, NotFound

TICK = 0.05
Step = dict[str, Any]


class ScriptDriver:
    name = "script"
    capabilities = Capabilities(
        resumes=True,
        usage=True,
        leaves_processes=False,
        weaker=("It asks before it acts only when its scenario says so.",),
    )

    def __init__(self, scenario: Path) -> None:
        self._path = scenario
        self._issues, asks = _load(scenario)
        figures = [step["usage"] for step in _steps(self._issues) if "usage" in step]
        costs = all("cost" in figure for figure in figures)
        self.capabilities = replace(self.capabilities, asks_edits=asks, asks_shell=asks, costs=costs)

    def check(self) -> None:
        """The scenario was read when the driver was made."""

    def version(self) -> str:
        return ""

    def start(self, turn: Turn) -> Running:
        script = self._issues.get(turn.issue, self._issues.get("*", {}))
        turns = script.get("turns", [])
        steps = turns[turn.number - 1].get("steps", []) if turn.number <= len(turns) else []
        return Performance(turn, steps, asks=self.capabilities.asks_edits)

    def adopt(self, turn: Turn) -> Running | None:
        """A script runs inside its supervisor and dies with it."""
        return None


class Performance:
    """One turn of a script."""

    def __init__(self, turn: Turn, steps: list[Step], *, asks: bool = False) -> None:
        self._turn = turn
        self._steps = steps
        self._questions = Questions(turn.approver) if asks else None
        self._tools = {tool.name: tool for tool in turn.tools}
        self._said: list[str] = []
        self._shell_used = False

    def events(self) -> Iterator[AgentEvent]:
        with self._turn.output_file.open("w", encoding="utf-8") as log:
            for number, step in enumerate(self._steps):
                text = _description(step)
                log.write(text + "\n")
                log.flush()
                yield Waiting() if "wait" in step else Said(text)
                try:
                    yield from self._ask_and_perform(step, f"{self._turn.number}.{number}")
                except _Ended as ended:
                    yield self._end(ended.outcome, str(ended), ended.retry_after)
                    return
                except OSError as error:
                    yield self._end("failed", f"{text}: {error}")
                    return
        yield self._end("completed")

    def _end(self, outcome: Outcome, detail: str = "", retry_after: float | None = None) -> TurnEnd:
        self._withdraw()
        return TurnEnd(outcome, detail, "\n".join(self._said), retry_after)

    def _withdraw(self) -> None:
        if self._questions is not None:
            self._questions.withdraw()

    def stop(self) -> None:
        self._withdraw()
        if self._shell_used:
            end_marked(self._turn.session)

    def _ask_and_perform(self, step: Step, id: str) -> Iterator[AgentEvent]:
        ask = self._question(step, id)
        if ask is None or self._questions is None:
            yield from self._perform(step)
            return
        yield ToolUse(id, _description(step))
        asked = self._questions.put(ask)
        while not asked.done():
            time.sleep(TICK)
            yield Waiting()
        answer = self._questions.read(asked)
        if answer.allow:
            yield from self._perform(step)
        yield ToolResult(id, answer.allow, answer.reason)

    def _question(self, step: Step, id: str) -> Ask | None:
        match step:
            case {"write": name, "text": text}:
                edit = Edit(self._path(name), text)
            case {"append": name, "text": text}:
                edit = Edit(self._path(name), _text(self._path(name)) + text)
            case {"replace": name, "old": old, "new": new}:
                edit = Edit(self._path(name), _text(self._path(name)).replace(old, new, 1))
            case {"delete": name}:
                edit = Edit(self._path(name), None, deletes=True)
            case {"shell": command}:
                return Ask("shell", id, command=command, cwd=self._turn.workspace)
            case {"commit": message}:
                return Ask("shell", id, command=f"git commit -m {message!r}", cwd=self._turn.workspace)
            case _:
                return None
        return Ask("edit", id, edits=(edit,))

    def _perform(self, step: Step) -> Iterator[AgentEvent]:
        if "write" in self._tools and (given := _by_tools(step)) is not None:
            yield from self._call(given)
            return
        match step:
            case {"write": path, "text": text}:
                self._place(path).write_text(text, encoding="utf-8")
            case {"append": path, "text": text}:
                with self._place(path).open("a", encoding="utf-8") as file:
                    file.write(text)
            case {"replace": path, "old": old, "new": new}:
                self._replace(self._path(path), old, new)
            case {"delete": path}:
                self._path(path).unlink()
            case {"shell": command}:
                yield from self._shell(["/bin/sh", "-c", command])
            case {"commit": message}:
                yield from self._shell(["/bin/sh", "-c", 'git add --all && git commit --quiet -m "$1"', "-", message])
            case {"wait": seconds}:
                yield from self._wait(time.monotonic() + seconds)
            case {"hang": True}:
                yield from self._wait(float("inf"))
            case {"say": text}:
                self._said.append(text)
            case {"fail": reason}:
                raise _Ended(reason)
            case {"conversation": id}:
                yield Conversation(id)
            case {"usage": figures}:
                yield Usage(scope=self._turn.conversation or f"turn-{self._turn.number}", **figures)
            case {"end": outcome} if "times" not in step or self._counted() <= step["times"]:
                raise _Ended(step.get("text", ""), outcome, step.get("retry_after"))

    def _counted(self) -> int:
        """How often this turn came to such a step, now included."""
        file = self._turn.folder / f"times-{self._turn.number}"
        with file.open("a", encoding="utf-8") as marks:
            marks.write("x")
        return file.stat().st_size

    def _call(self, change: Callable[[Call], None]) -> Iterator[AgentEvent]:
        """Do it by the turn's tools, in another thread: they may wait for others."""
        with ThreadPoolExecutor(1, "tool") as executor:
            done = executor.submit(change, lambda name, given: self._tools[name].call(given))
            while True:
                try:
                    return done.result(TICK)
                except TimeoutError:
                    yield Waiting()
                except IntarsiaError as refused:
                    raise _Ended(f"{refused.message} {refused.hint}".strip()) from refused

    def _path(self, name: str) -> Path:
        return self._turn.workspace / name

    def _place(self, name: str) -> Path:
        path = self._path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    @staticmethod
    def _replace(path: Path, old: str, new: str) -> None:
        text = path.read_text(encoding="utf-8")
        if old not in text:
            raise _Ended(f"{path.name} does not contain {old!r}")
        path.write_text(text.replace(old, new, 1), encoding="utf-8")

    @staticmethod
    def _wait(until: float) -> Iterator[AgentEvent]:
        while time.monotonic() < until:
            time.sleep(min(TICK, until - time.monotonic()))
            yield Waiting()

    def _shell(self, argv: list[str]) -> Iterator[AgentEvent]:
        self._shell_used = True
        process = spawn(argv, cwd=self._turn.workspace, env=self._turn.env, output=self._turn.output_file)
        while True:
            try:
                code = process.wait(TICK)
                break
            except subprocess.TimeoutExpired:
                yield Waiting()
        if code:
            raise _Ended(f"{argv[2]!r} ended with exit code {code}")


Call = Callable[[str, Mapping[str, Any]], str]


def _by_tools(step: Step) -> Callable[[Call], None] | None:
    """How a step that changes files is done by tools; None for the others."""
    match step:
        case {"write": path, "text": text}:
            return lambda call: _write(call, path, lambda _: text)
        case {"append": path, "text": text}:
            return lambda call: _write(call, path, lambda before: before + text)
        case {"replace": path, "old": old, "new": new}:
            return lambda call: _write(call, path, lambda before: _replaced(path, before, old, new))
        case {"delete": path}:
            return lambda call: _ignore(call("remove", {"path": path}))
        case {"commit": message}:
            return lambda call: _ignore(call("commit", {"message": message}))
        case _:
            return None


def _write(call: Call, path: str, change: Callable[[str], str]) -> None:
    try:
        before = call("read", {"path": path})
    except NotFound:
        before = ""
    call("write", {"path": path, "text": change(before)})


def _replaced(path: str, text: str, old: str, new: str) -> str:
    if old not in text:
        raise NotFound(f"{path} does not contain {old!r}")
    return text.replace(old, new, 1)


def _ignore(answer: str) -> None:
    """What the tool says is for agents that read."""


def _description(step: Step) -> str:
    """What a person reads in the log and beside the session: what was said as it was said, the rest by its verb."""
    if "say" in step:
        return str(step["say"])
    return ", ".join(f"{name}: {value}" for name, value in step.items() if name in _VERBS)


class _Ended(Exception):
    """The scenario says, or a step of it means, that the turn ends here."""

    def __init__(self, reason: str, outcome: Outcome = "failed", retry_after: float | None = None) -> None:
        super().__init__(reason)
        self.outcome: Outcome = outcome
        self.retry_after = retry_after


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8") if path.exists() else ""


_VERBS = (
    "write", "append", "replace", "delete", "shell", "commit", "wait", "hang", "say", "fail",
    "conversation", "usage", "end",
)  # fmt: skip


def _steps(issues: Mapping[str, Any]) -> Iterator[Step]:
    for script in issues.values():
        for turn in script.get("turns", []):
            yield from turn.get("steps", [])


def _load(path: Path) -> tuple[dict[str, Any], bool]:
    try:
        scenario = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"The scenario {path} can't be read: {error.strerror}.") from error
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path}: {error}") from error
    issues: dict[str, Any] = scenario.get("issues", {})
    for issue, script in issues.items():
        for number, turn in enumerate(script.get("turns", []), start=1):
            for step in turn.get("steps", []):
                if sum(verb in step for verb in _VERBS) != 1:
                    raise ConfigError(f"{path}: issue {issue}, turn {number}: not one step: {step}")
                if step.get("end", "failed") not in get_args(Outcome):
                    raise ConfigError(f"{path}: issue {issue}, turn {number}: no outcome: {step}")
    return issues, scenario.get("asks") is True
