"""`intarsia.toml` as typed models, of which everything has a default."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta, Struct, field

from intarsia.errors import ConfigError

FILE = "intarsia.toml"
DRIVERS = ("acp", "amp", "api", "claude", "codex", "command", "script")

Seconds = Annotated[int, Meta(ge=0)]
Count = Annotated[int, Meta(ge=0)]
Dollars = Annotated[float, Meta(ge=0)]


class Model(Struct, forbid_unknown_fields=True, kw_only=True):
    """A table of the file; each field's description is what the reference shows."""


class Project(Model):
    id: Annotated[str, Meta(description="Name of the project in the database; empty: taken from the root commit.")] = ""


class DatabaseSettings(Model):
    url: Annotated[
        str, Meta(description="sqlite:////PATH or postgresql://…; empty: intarsia.db in the state directory.")
    ] = ""


class Run(Model):
    agent: Annotated[str, Meta(description="Agent to use: a name under [agents], or 'DRIVER: ARGUMENTS'.")] = ""
    env: Annotated[list[str], Meta(description="Names of our environment variables that every agent may see.")] = field(
        default_factory=list
    )
    agents: Annotated[
        int, Meta(ge=1, le=256, description="Agents that work at the same time; what they finished lands meanwhile.")
    ] = 4
    followups: Annotated[
        int, Meta(ge=0, description="Times an agent is told what failed and may go on, per session.")
    ] = 3
    attempts: Annotated[
        int, Meta(ge=1, description="Sessions an issue gets when its agents crash or hang, before it is blocked.")
    ] = 1
    lease: Annotated[
        int, Meta(ge=5, le=86_400, description="Seconds a supervisor may be silent before its sessions are given up.")
    ] = 60
    prompts: Annotated[
        str, Meta(description="Directory with templates of your own for what agents are told, such as 'prompts'.")
    ] = ""
    patience: Annotated[
        int, Meta(ge=0, description="Seconds a run waits for an account that its vendor lets wait, before it ends.")
    ] = 21_600
    on_overlap: Annotated[
        str,
        Meta(
            pattern="^(wait|refuse|advise|)$",
            description="When two would change the same: wait, refuse or advise; empty: advise, in a shared tree wait.",
        ),
    ] = ""
    confine: Annotated[
        str,
        Meta(pattern="^(off|on|required)$", description="Whether command agents that do not say it are confined."),
    ] = "off"


class Limits(Model):
    wall: Annotated[int, Meta(ge=0, description="Seconds one turn of an agent may take; 0: no limit.")] = 1800
    idle: Annotated[
        int, Meta(ge=0, description="Seconds an agent may print nothing; 0: no limit, as many print only at their end.")
    ] = 0
    output: Annotated[int, Meta(ge=1, description="Bytes an agent may print in one turn.")] = 64 * 1024 * 1024
    session_turns: Annotated[Count, Meta(description="Turns that agents may have in a session; 0: no limit.")] = 0
    session_tokens: Annotated[Count, Meta(description="Tokens, read and written, in a session; 0: no limit.")] = 0
    session_cost: Annotated[Dollars, Meta(description="Dollars that a session may cost; 0: no limit.")] = 0
    issue_turns: Annotated[Count, Meta(description="Turns in all sessions of an issue; 0: no limit.")] = 0
    issue_tokens: Annotated[Count, Meta(description="Tokens in all sessions of an issue; 0: no limit.")] = 0
    issue_cost: Annotated[Dollars, Meta(description="Dollars that an issue may cost; 0: no limit.")] = 0
    run_turns: Annotated[Count, Meta(description="Turns in one `intarsia run`; 0: no limit.")] = 0
    run_tokens: Annotated[Count, Meta(description="Tokens in one `intarsia run`; 0: no limit.")] = 0
    run_cost: Annotated[Dollars, Meta(description="Dollars that one `intarsia run` may cost; 0: no limit.")] = 0
    day_turns: Annotated[Count, Meta(description="Turns on one day (UTC) in the project; 0: no limit.")] = 0
    day_tokens: Annotated[Count, Meta(description="Tokens on one day (UTC) in the project; 0: no limit.")] = 0
    day_cost: Annotated[Dollars, Meta(description="Dollars on one day (UTC) in the project; 0: no limit.")] = 0
    depth: Annotated[
        Count, Meta(description="How deep sessions may start sessions that start sessions; 0: they start none.")
    ] = 3


class Price(Model):
    input: Annotated[Dollars, Meta(description="Dollars for a million tokens that the model reads.")]
    output: Annotated[Dollars, Meta(description="Dollars for a million tokens that it writes.")]
    cached: Annotated[
        Dollars | None, Meta(description="The same for those it reads from a cache; if not given: as input.")
    ] = None
    written: Annotated[
        Dollars | None, Meta(description="The same for those it keeps in a cache; if not given: as input.")
    ] = None


class Workspace(Model):
    kind: Annotated[
        str,
        Meta(
            pattern="^(worktree|shared)$",
            description="worktree: each session has a tree of its own; shared: all edit yours, symbol by symbol.",
        ),
    ] = "worktree"
    wait: Annotated[
        int, Meta(ge=0, description="Seconds an edit, or work that is to land, waits for what another session holds.")
    ] = 60
    append: Annotated[
        list[str],
        Meta(description="Symbols of a shared tree that all may add to at once, as in 'registry.py#register_all'."),
    ] = field(default_factory=list)
    setup: Annotated[str, Meta(description="Shell command that prepares a fresh workspace, such as 'npm ci'.")] = ""
    setup_timeout: Annotated[int, Meta(ge=1, description="Seconds the setup command may take.")] = 600
    keep: Annotated[
        list[str],
        Meta(description="Ignored paths that stay in a workspace for the next session, such as 'node_modules'."),
    ] = field(default_factory=list)
    port_base: Annotated[int, Meta(ge=1024, le=60_000, description="First port given to workspaces.")] = 20_000
    ports: Annotated[int, Meta(ge=1, le=1000, description="Ports each workspace has for itself.")] = 20


class Land(Model):
    target: Annotated[str, Meta(description="Branch that work lands on; empty: the one checked out.")] = ""
    strategy: Annotated[
        str,
        Meta(pattern="^(rebase|merge|squash)$", description="How commits land: rebase (linear), merge or squash."),
    ] = "rebase"
    broken: Annotated[
        str,
        Meta(
            pattern="^(return|notify)$",
            description="What provably breaks only together with what landed meanwhile: return it to its session, or"
            " only tell.",
        ),
    ] = "return"


class Check(Model):
    command: Annotated[str, Meta(min_length=1, description="Shell command; it passes when it exits with 0.")]
    timeout: Annotated[int, Meta(ge=1, description="Seconds it may take.")] = 600


class Gate(Model):
    code: Annotated[
        list[str],
        Meta(description="Patterns of files that are code: a docs_only resolution may not change them."),
    ] = field(
        default_factory=lambda: [
            "*.py", "*.js", "*.jsx", "*.ts", "*.tsx", "*.go", "*.rs", "*.java", "*.c", "*.cc", "*.cpp", "*.h", "*.hpp",
            "*.cs", "*.rb", "*.php", "*.swift", "*.kt", "*.scala", "*.sh", "*.sql", "*.toml", "*.json", "*.yaml",
            "*.yml", "*.lock", "Makefile", "Dockerfile",
        ]
    )  # fmt: skip


class Agent(Model):
    driver: Annotated[
        str,
        Meta(
            pattern=f"^({'|'.join(DRIVERS)}|)$",
            description=f"What runs it: {', '.join(DRIVERS)}; empty: not intarsia.",
        ),
    ] = ""
    agent: Annotated[
        str, Meta(description="Which program the driver acp runs, such as 'gemini'; see: intarsia doctor.")
    ] = ""
    mode: Annotated[
        str, Meta(description="For amp: smart, rush or deep; for codex: exec, which asks nobody; empty: as it is set.")
    ] = ""
    model: Annotated[
        str, Meta(description="Model it uses, where its driver can say; empty: as the program has it.")
    ] = ""
    options: Annotated[
        list[str], Meta(description="More arguments for the programs of acp, claude and codex: '--max-turns=50'.")
    ] = field(default_factory=list)
    heartbeat: Annotated[
        int, Meta(ge=1, le=57_600, description="Seconds between its heartbeats; 1.5 times that ends its claims.")
    ] = 1200
    command: Annotated[
        str,
        Meta(description="Program and arguments; {prompt}, {prompt_file}, {issue}, {session}, {turn} are filled in."),
    ] = ""
    followup: Annotated[str, Meta(description="Program and arguments for follow-up turns; empty: the same.")] = ""
    scenario: Annotated[str, Meta(description="File for the script driver.")] = ""
    env: Annotated[list[str], Meta(description="Names of our environment variables that the agent may see.")] = field(
        default_factory=list
    )
    confine: Annotated[
        str,
        Meta(
            pattern="^(off|on|required|)$",
            description="Confine a command agent by bubblewrap: off, on (if it can be), required; empty: run.confine.",
        ),
    ] = ""
    network: Annotated[bool, Meta(description="Whether the agent has the network when it is confined.")] = False
    writable: Annotated[
        list[str],
        Meta(description="Directories that it may write when it is confined, besides its own: '~/.cache/pip'."),
    ] = field(default_factory=list)
    account: Annotated[
        str, Meta(description="What is paused when its vendor lets it wait; empty: all agents of its driver together.")
    ] = ""
    fallback: Annotated[
        list[str], Meta(description="Agents that work instead, the first that can, while its account can't.")
    ] = field(default_factory=list)
    wall: Annotated[Seconds | None, Meta(description="Overrides limits.wall for this agent.")] = None
    idle: Annotated[Seconds | None, Meta(description="Overrides limits.idle for this agent.")] = None


class Policy(Model):
    allow: Annotated[
        list[str],
        Meta(description="Shell commands to allow although they would be refused; a `*` stands for any words."),
    ] = field(default_factory=list)
    deny: Annotated[
        list[str], Meta(description="Shell commands to refuse besides; wins over allow: 'npm publish *'.")
    ] = field(default_factory=list)
    disallowed_tools: Annotated[
        list[str], Meta(description="Names of an agent's own tools that it may not use, such as 'WebSearch'.")
    ] = field(default_factory=list)


class Queue(Model):
    handler: Annotated[str, Meta(description="Agent that works on it.")] = ""
    sla: Annotated[int, Meta(ge=0, description="Minutes until an issue in it is overdue; 0: never.")] = 0
    prefix: Annotated[str, Meta(pattern="^[A-Za-z][A-Za-z0-9]{0,7}$", description="First part of its ids.")] = "ia"
    escalate_to: Annotated[str, Meta(description="Queue that gets its disagreements.")] = ""


class Daily(Model):
    order: Annotated[list[str], Meta(description="Agents that write a daily summary, in this order.")] = field(
        default_factory=list
    )
    timeout: Annotated[
        int, Meta(ge=1, description="Minutes after which the next one may skip who has not written.")
    ] = 60


class Sync(Model):
    command: Annotated[str, Meta(min_length=1, description="Shell command that gets events as JSON lines.")]
    timeout: Annotated[int, Meta(ge=1, description="Seconds it may take.")] = 60
    retries: Annotated[int, Meta(ge=0, description="Failures in a row after which only `sync retry` tries again.")] = 8


class Gateway(Model):
    start: Annotated[
        str,
        Meta(
            pattern="^(auto|off|required)$",
            description="Whether intarsia run serves its agents over HTTP too; auto: where intarsia[gateway] is there.",
        ),
    ] = "auto"
    port: Annotated[int, Meta(ge=0, le=65_535, description="Port on 127.0.0.1; 0: any free one.")] = 0


class Config(Model):
    project: Annotated[Project, Meta(description="Which project this is.")] = field(default_factory=Project)
    database: Annotated[DatabaseSettings, Meta(description="Where state lives.")] = field(
        default_factory=DatabaseSettings
    )
    run: Annotated[Run, Meta(description="The issue loop.")] = field(default_factory=Run)
    limits: Annotated[Limits, Meta(description="What agents may use.")] = field(default_factory=Limits)
    prices: Annotated[dict[str, Price], Meta(description="What models cost, by name; wins over what vendors say.")] = (
        field(default_factory=dict)
    )
    workspace: Annotated[Workspace, Meta(description="The directories agents work in.")] = field(
        default_factory=Workspace
    )
    land: Annotated[Land, Meta(description="How proven work reaches the branch.")] = field(default_factory=Land)
    gate: Annotated[Gate, Meta(description="What is judged before landing.")] = field(default_factory=Gate)
    checks: Annotated[
        dict[str, Check | str],
        Meta(description="Commands that must pass on the exact tree that lands: NAME = 'command', or a table."),
    ] = field(default_factory=dict)
    policy: Annotated[Policy, Meta(description="What agents may run.")] = field(default_factory=Policy)
    gateway: Annotated[Gateway, Meta(description="How agents talk back over HTTP.")] = field(default_factory=Gateway)
    queues: Annotated[dict[str, Queue], Meta(description="Queues by name; 'default' is always there.")] = field(
        default_factory=dict
    )
    daily: Annotated[Daily, Meta(description="The daily summary.")] = field(default_factory=Daily)
    sync: Annotated[dict[str, Sync], Meta(description="Outbound synchronisation by name.")] = field(
        default_factory=dict
    )
    agents: Annotated[dict[str, Agent], Meta(description="Agents by name.")] = field(default_factory=dict)

    def check_list(self) -> dict[str, Check]:
        return {name: Check(command=check) if isinstance(check, str) else check for name, check in self.checks.items()}

    def runnable(self, agent: Agent) -> Agent:
        """The agent with what it leaves to the run filled in."""
        if agent.driver != "command" or agent.confine:
            return agent
        return msgspec.structs.replace(agent, confine=self.run.confine)

    def queues_of(self, agent: str) -> list[str]:
        """The queues that `agent` works on: its own, and those without a handler; raises ConfigError for none."""
        handlers = {"default": "", **{name: queue.handler for name, queue in self.queues.items()}}
        found = [name for name, handler in handlers.items() if handler in ("", agent)]
        if not found:
            raise ConfigError(f"Every queue has another handler than {agent}.", hint="See: intarsia queue list")
        return found
