"""The driver protocol: what intarsia asks of the code that runs one kind of agent program."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

Outcome = Literal["completed", "failed", "timeout", "idle", "flooded", "stopped", "killed"]


@dataclass(frozen=True)
class Limits:
    """Of one turn: seconds in all, seconds without a word (0: none), bytes of output."""

    wall: int
    idle: int
    output: int


@dataclass(frozen=True)
class Turn:
    """One prompt to an agent. `folder` keeps the session's prompts and output; `number` counts from 1."""

    session: str
    issue: str
    number: int
    prompt: str
    workspace: Path
    folder: Path
    env: Mapping[str, str]
    limits: Limits

    @property
    def prompt_file(self) -> Path:
        return self.folder / f"prompt-{self.number}.md"

    @property
    def output_file(self) -> Path:
        return self.folder / f"output-{self.number}.log"

    @property
    def exit_file(self) -> Path:
        return self.folder / f"exit-{self.number}"


@dataclass(frozen=True)
class Said:
    """The agent is alive and printed or did this."""

    text: str


@dataclass(frozen=True)
class Waiting:
    """Nothing new; sent often enough that limits can be watched."""


@dataclass(frozen=True)
class TurnEnd:
    """How a turn ended. Only `completed` is success, and only of the turn: the gate judges the work."""

    outcome: Outcome
    detail: str = ""
    last_message: str = ""


AgentEvent = Said | Waiting | TurnEnd


class Running(Protocol):
    """A turn under way."""

    def events(self) -> Iterator[AgentEvent]:
        """Everything that happens, at least ten times a second; ends with a TurnEnd."""
        ...

    def stop(self) -> None:
        """End it: SIGTERM, 5 s, then every process that carries the session's marker."""
        ...


class Driver(Protocol):
    name: str
    leaves_processes: bool

    def check(self) -> None:
        """Raise NotReady or ConfigError when no session could be started."""
        ...

    def start(self, turn: Turn) -> Running: ...

    def adopt(self, turn: Turn) -> Running | None:
        """The turn that another supervisor started, if it still runs or has ended with a known result."""
        ...
