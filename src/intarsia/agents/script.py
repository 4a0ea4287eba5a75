"""The shipped fake: an agent that follows a scenario file. Everything it does is real but the thinking.

    [[issues.ID.turns]]             # the first turn; the next table is the first follow-up, and so on
    steps = [
      { write = "PATH", text = "…" },             { append = "PATH", text = "…" },
      { replace = "PATH", old = "…", new = "…" }, { delete = "PATH" },
      { shell = "COMMAND" },                      { commit = "MESSAGE" },
      { wait = SECONDS },                         { say = "…" },
      { fail = "…" },                             { hang = true },
    ]

The issue `"*"` stands for all that have no entry. A turn that is not written does nothing.
"""

from __future__ import annotations

import subprocess
import time
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from intarsia.agents import AgentEvent, Running, Said, Turn, TurnEnd, Waiting
from intarsia.agents.supervision import end_marked, spawn
from intarsia.errors import ConfigError

TICK = 0.05
Step = dict[str, Any]


class ScriptDriver:
    name = "script"
    leaves_processes = False

    def __init__(self, scenario: Path) -> None:
        self._path = scenario
        self._issues = _load(scenario)

    def check(self) -> None:
        """The scenario was read when the driver was made."""

    def start(self, turn: Turn) -> Running:
        script = self._issues.get(turn.issue, self._issues.get("*", {}))
        turns = script.get("turns", [])
        steps = turns[turn.number - 1].get("steps", []) if turn.number <= len(turns) else []
        return Performance(turn, steps)

    def adopt(self, turn: Turn) -> Running | None:
        """A script runs inside its supervisor and dies with it."""
        return None


class Performance:
    """One turn of a script."""

    def __init__(self, turn: Turn, steps: list[Step]) -> None:
        self._turn = turn
        self._steps = steps
        self._said: list[str] = []
        self._shell_used = False

    def events(self) -> Iterator[AgentEvent]:
        with self._turn.output_file.open("w", encoding="utf-8") as log:
            for step in self._steps:
                text = _description(step)
                log.write(text + "\n")
                log.flush()
                yield Waiting() if "wait" in step else Said(text)
                try:
                    yield from self._perform(step)
                except _Failed as failure:
                    yield TurnEnd("failed", str(failure), self._message())
                    return
                except OSError as error:
                    yield TurnEnd("failed", f"{text}: {error}", self._message())
                    return
        yield TurnEnd("completed", "", self._message())

    def stop(self) -> None:
        if self._shell_used:
            end_marked(self._turn.session)

    def _message(self) -> str:
        return "\n".join(self._said)

    def _perform(self, step: Step) -> Iterator[AgentEvent]:
        match step:
            case {"write": path, "text": text}:
                self._path(path).write_text(text, encoding="utf-8")
            case {"append": path, "text": text}:
                with self._path(path).open("a", encoding="utf-8") as file:
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
                raise _Failed(reason)

    def _path(self, name: str) -> Path:
        path = self._turn.workspace / name
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    @staticmethod
    def _replace(path: Path, old: str, new: str) -> None:
        text = path.read_text(encoding="utf-8")
        if old not in text:
            raise _Failed(f"{path.name} does not contain {old!r}")
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
            raise _Failed(f"{argv[2]!r} ended with exit code {code}")


def _description(step: Step) -> str:
    """What a person reads in the log and beside the session: what was said as it was said, the rest by its verb."""
    if "say" in step:
        return str(step["say"])
    return ", ".join(f"{name}: {value}" for name, value in step.items() if name in _VERBS)


class _Failed(Exception):
    """The scenario says, or a step of it means, that the agent fails here."""


_VERBS = ("write", "append", "replace", "delete", "shell", "commit", "wait", "hang", "say", "fail")


def _load(path: Path) -> dict[str, Any]:
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
    return issues
