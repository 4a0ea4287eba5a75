"""The driver protocol: what intarsia asks of the code that runs one kind of agent program.

A driver starts a turn, and the turn tells what happens as typed events, the last of which says how it ended. Before it
lets the agent change a file or run a command, it asks the turn's approver, and does what that answers; an approver that
fails has said no. What a driver can't do it says in its `Capabilities`, never by doing less.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol, runtime_checkable

Outcome = Literal[
    "completed",  # the agent ended its turn, and nothing says that something went wrong
    "refused",  # the model declined to do this
    "truncated",  # the model's last answer was cut off at its length
    "exhausted",  # the agent program's own limit of turns or cost
    "api_error",  # the model's server failed, refused the request or broke off
    "auth",  # no login, or a key that is not valid
    "rate_limited",  # the account has used what it may for now
    "overloaded",  # the model's server has no room for now
    "unguarded",  # its hook or its tools did not come up, so it was given no work
    "failed",  # the agent program ended with an error
    "killed",  # something else ended it
    "timeout",
    "idle",
    "flooded",
    "spent",  # we did, as its session came to a limit of ours of tokens or cost
    "issue_spent",  # the same, of its issue
    "stopped",  # we did, as the run is being stopped
]


@dataclass(frozen=True)
class Limits:
    """Of one turn: seconds in all, seconds without a word (0: none), bytes of output."""

    wall: int
    idle: int
    output: int


# What an agent asks before it acts, and what it is told.


@dataclass(frozen=True)
class Edit:
    """A file as it would be afterwards; `text` is None when it would be gone, or when the driver can't tell."""

    path: Path
    text: str | None
    deletes: bool = False


@dataclass(frozen=True)
class Ask:
    """May the agent do this? `tool` and `input` are as the agent program names them.

    `edit`: `edits` says which files, each by its absolute path. `shell`: `command`, to run in `cwd`. `read`: it only
    looks at `edits[0].path`, if it names one. `tool`: anything else, such as its search of the web.
    """

    kind: Literal["edit", "shell", "read", "tool"]
    id: str = ""
    edits: tuple[Edit, ...] = ()
    command: str = ""
    cwd: Path | None = None
    tool: str = ""
    input: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Answer:
    """Yes or no. A no says why and what to do instead; a yes may name another `command`, or another `text` of the file.

    Changes are for drivers that can make them (`Capabilities.changes`); to the others a yes with changes is a no.
    """

    allow: bool
    reason: str = ""
    command: str | None = None
    text: str | None = None


class Approver(Protocol):
    def answer(self, ask: Ask, withdrawn: Callable[[], bool]) -> Answer:
        """Called in a thread of the driver's; may take its time, until `withdrawn`. To raise is to say no."""
        ...


class Nobody:
    """An approver that allows nothing."""

    def answer(self, ask: Ask, withdrawn: Callable[[], bool]) -> Answer:
        return Answer(False, "There is nobody here who could allow this.")


@dataclass(frozen=True)
class Tool:
    """Something of ours that the agent may call; `schema` is the JSON schema of its arguments, an object.

    `call` gets the arguments and returns what the agent reads; an IntarsiaError is told to it as a failure.
    """

    name: str
    description: str
    schema: Mapping[str, Any]
    call: Callable[[Mapping[str, Any]], str]


@dataclass(frozen=True)
class Turn:
    """One prompt to an agent. `folder` keeps the session's prompts and output; `number` counts from 1.

    `conversation` is the vendor's id of the one to go on with, empty for a new one. When the agent wants to end its
    turn, drivers that can (`Capabilities.objects`) ask `objection` with its last words: text sends it back to work.
    `lasting` says that the agent program may stay for a follow-up; whoever says so has to `close` what it started.
    """

    session: str
    issue: str
    number: int
    prompt: str
    workspace: Path
    folder: Path
    env: Mapping[str, str]
    limits: Limits
    conversation: str = ""
    approver: Approver = field(default_factory=Nobody)
    tools: tuple[Tool, ...] = ()
    objection: Callable[[str], str] | None = None
    lasting: bool = False

    @property
    def prompt_file(self) -> Path:
        return self.folder / f"prompt-{self.number}.md"

    @property
    def output_file(self) -> Path:
        return self.folder / f"output-{self.number}.log"

    @property
    def exit_file(self) -> Path:
        return self.folder / f"exit-{self.number}"


# What happens in a turn.


@dataclass(frozen=True)
class Said:
    """The agent printed this; for agents that do not tell us more, all that they do."""

    text: str


@dataclass(frozen=True)
class ToolUse:
    """The agent uses a tool: `text` says in one line which and what for. It is busy until the ToolResult of this id."""

    id: str
    text: str


@dataclass(frozen=True)
class ToolResult:
    id: str
    ok: bool
    text: str = ""


@dataclass(frozen=True)
class Conversation:
    """The vendor's id of this conversation, to be remembered: with it a later turn can go on."""

    id: str


@dataclass(frozen=True)
class Usage:
    """All that was used so far under `scope`, a conversation or a turn: a later figure replaces an earlier one.

    Tokens, those read from a cache (`cached`) and those written to one (`written`) among the input; `cost` in US
    dollars, None where the vendor does not say. `parts` is the same by model, where there were several.
    """

    scope: str
    input: int = 0
    cached: int = 0
    output: int = 0
    cost: float | None = None
    written: int = 0
    model: str = ""
    parts: tuple[Usage, ...] = ()


@dataclass(frozen=True)
class RateLimit:
    """The model's server asks for patience, and the agent program waits; `seconds` if it says how long."""

    text: str
    seconds: float | None = None


@dataclass(frozen=True)
class Unenforced:
    """Something that was asked for is not enforced in this turn; `text` says what, and why not."""

    text: str


@dataclass(frozen=True)
class Waiting:
    """Nothing new; sent often enough that limits can be watched."""


@dataclass(frozen=True)
class TurnEnd:
    """How a turn ended. Only `completed` is success, and only of the turn: the gate judges the work.

    `retry_after`: seconds until it makes sense to try again, where the vendor says so.
    """

    outcome: Outcome
    detail: str = ""
    last_message: str = ""
    retry_after: float | None = None


Event = Said | ToolUse | ToolResult | Conversation | Usage | RateLimit | Unenforced
AgentEvent = Event | Waiting | TurnEnd


class Running(Protocol):
    """A turn under way."""

    def events(self) -> Iterator[AgentEvent]:
        """Everything that happens, at least ten times a second; ends with a TurnEnd."""
        ...

    def stop(self) -> None:
        """End it: SIGTERM, 5 s, then every process that carries the session's marker."""
        ...


@runtime_checkable
class Lasting(Running, Protocol):
    """A turn whose program can stay after it (`Turn.lasting`), for a while, and be given the next prompt."""

    @property
    def stays(self) -> bool:
        """Whether it does; then it is all that is left of the session."""
        ...

    def follow_up(self, turn: Turn) -> bool:
        """Go on with this turn, whose `events` are the next; false when the program is gone, or not fit for it."""
        ...

    def close(self) -> None:
        """Let the program end, if it stays."""
        ...


@dataclass(frozen=True)
class Capabilities:
    """What a driver can do; `weaker` says in sentences what is not enforced with it, for people to read."""

    asks_edits: bool = False  # before every change of a file by a tool of the agent's
    asks_shell: bool = False  # before every command that could write
    changes: bool = False  # an ask may be allowed with changes
    resumes: bool = False  # a later turn can go on with a conversation, also after a crash
    stays: bool = False  # a follow-up may go on in the same process of the agent program
    adopts: bool = False  # a turn outlives its supervisor, and another one can follow it
    tools: bool = False  # the agent can call our tools
    objects: bool = False  # the agent can be sent back to work when it wants to end its turn
    guides: tuple[str, ...] = ("AGENTS.md", "CLAUDE.md")  # which of these it reads by itself
    usage: bool = False  # tokens are told
    costs: bool = False  # what they cost is told too
    leaves_processes: bool = True  # what the agent started may live on after its turn
    weaker: tuple[str, ...] = ()


class Driver(Protocol):
    name: str
    capabilities: Capabilities

    def check(self) -> None:
        """Raise NotReady or ConfigError when no session could be started."""
        ...

    def version(self) -> str:
        """Of the agent program, as it calls itself; empty if it has none. Raises NotReady when it is not there."""
        ...

    def start(self, turn: Turn) -> Running:
        """Begin a turn, in the conversation it names if there is still one; in a new one else."""
        ...

    def adopt(self, turn: Turn) -> Running | None:
        """The turn that another supervisor started, if it still runs or has ended with a known result."""
        ...
