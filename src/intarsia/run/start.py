"""Putting a run together from a project's configuration."""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from intarsia.agents import drivers
from intarsia.agents.supervision import surrounding
from intarsia.config import DRIVERS, Agent, Config
from intarsia.errors import ConfigError, Conflict, NotReady
from intarsia.kernel import sessions
from intarsia.kernel.database import Database
from intarsia.kernel.sessions import Session
from intarsia.run import limits
from intarsia.run.context import Context, Worker, account_of, host_name, supervisor_id
from intarsia.run.crew import Crew
from intarsia.run.progress import Reporter
from intarsia.run.prompts import Prompts
from intarsia.workspace.landing import Landing
from intarsia.workspace.repository import Repository
from intarsia.workspace.shared_landing import SharedLanding

if TYPE_CHECKING:
    from intarsia.workspace.shared import Tree


def context(repository: Repository, database: Database, config: Config, reporter: Reporter) -> Context:
    """Check everything a run needs; raises before anything is claimed when something is missing."""
    repository.require_git()
    repository.require_commit()
    identity = repository.require_identity()
    target = repository.target(config.land.target)
    name, agent = choose_agent(config)
    chain = [(name, agent), *_fallback(config, name, agent)]
    worker, *fallback = (_worker(repository, config, *each) for each in chain)
    host = host_name()
    shared = config.workspace.kind == "shared"
    return Context(
        repository=repository,
        database=database,
        config=config,
        worker=worker,
        fallback=tuple(fallback),
        prompts=Prompts.load(repository.root, config.run.prompts),
        identity=identity,
        landing=(SharedLanding if shared else Landing)(repository, target, config.land.strategy),
        crew=Crew(config.run.agents),
        run=f"r-{secrets.token_hex(4)}",
        host=host,
        supervisor=supervisor_id(host),
        reporter=reporter,
        tree=_shared_tree(repository, database, config, target) if shared else None,
        parent=_parent(database, config),
    )


def _worker(repository: Repository, config: Config, name: str, agent: Agent) -> Worker:
    driver = drivers.make(config.runnable(agent), repository.root)
    driver.check()
    limits.require_meters(config, name, agent, driver)
    return Worker(name, agent, driver)


def _fallback(config: Config, name: str, agent: Agent) -> list[tuple[str, Agent]]:
    """Raises ConfigError for those that can't take another agent's place."""
    for other in agent.fallback:
        known = [each for each, its in config.agents.items() if its.driver and each != name]
        if other not in known:
            raise ConfigError(
                f"agents.{name}.fallback names {other!r}, which is no other agent that intarsia runs.",
                hint=f"Known: {', '.join(known) or 'none'}. Another model is an agent of its own, with its account.",
            )
        if account_of(config.agents[other]) == account_of(agent):
            raise ConfigError(
                f"agents.{name}.fallback names {other!r}, which has the same account: both are paused together.",
                hint=f'If they do not share one, say so: agents.{other}.account = "NAME".',
            )
    return [(other, config.agents[other]) for other in agent.fallback]


def _parent(database: Database, config: Config) -> Session | None:
    """The session that starts this run, if one does. Raises Conflict when it may not."""
    name = surrounding()
    with database.read() as tx:
        if name is None or not sessions.exists(tx, name):
            return None
        parent = sessions.get(tx, name)
    if parent.depth >= config.limits.depth:
        raise Conflict(
            f"{parent.id} is a session, {parent.depth} deep, and limits.depth is {config.limits.depth}: "
            "it may start no sessions.",
            hint="Make issues instead (intarsia issue new): the run that is under way takes them.",
        )
    return parent


def _shared_tree(repository: Repository, database: Database, config: Config, target: str) -> Tree:
    """Raises NotReady unless the tree is that of the branch which work lands on."""
    current = repository.git.try_line("symbolic-ref", "--short", "--quiet", "HEAD")
    if current != target:
        raise NotReady(
            f"All sessions edit {repository.root}, which is on {current or 'no branch'}, and not on {target}.",
            hint=f"git switch {target}, or workspace.kind = 'worktree' in intarsia.toml.",
        )
    from intarsia.run import sharing  # and with it the grammars

    tree = sharing.open_tree(repository, database, config, target)
    sharing.sweep(tree, repository, database, config, target)
    return tree


def choose_agent(config: Config) -> tuple[str, Agent]:
    """The agent named by run.agent, or given there as 'DRIVER: ARGUMENTS' or DRIVER, or the only one there is."""
    chosen = config.run.agent
    driver, colon, rest = chosen.partition(":")
    if colon and driver.strip() in DRIVERS:
        name, given = driver.strip(), rest.strip()
        takes = {"acp": "agent", "amp": "mode", "command": "command", "script": "scenario"}.get(name, "model")
        return name, msgspec.convert({"driver": name, takes: given}, Agent)
    if chosen in BY_NAME and chosen not in config.agents:
        return chosen, Agent(driver=chosen)
    if chosen:
        if chosen not in config.agents:
            known = ", ".join(config.agents) or "none"
            raise ConfigError(
                f"There is no agent {chosen!r} (known: {known}).", hint="Add it under [agents], or: " + _HOW
            )
        return chosen, config.agents[chosen]
    runnable = {name: agent for name, agent in config.agents.items() if agent.driver}
    if len(runnable) == 1:
        return next(iter(runnable.items()))
    why = "several agents are configured" if runnable else "no agent that intarsia can run is configured"
    raise ConfigError(f"Which agent? {why}.", hint="Set run.agent in intarsia.toml, or: " + _HOW)


def known_agents(config: Config, root: Path) -> dict[str, Agent]:
    """Those that are configured, and those that need no settings and are installed."""
    configured = {name: agent for name, agent in config.agents.items() if agent.driver}
    others = {name: Agent(driver=name) for name in BY_NAME if name not in config.agents}
    return configured | {name: agent for name, agent in others.items() if _is_installed(agent, root)}


def _is_installed(agent: Agent, root: Path) -> bool:
    try:
        drivers.make(agent, root).check()
    except NotReady:
        return False
    return True


BY_NAME = ("claude", "codex")  # drivers that need to be told nothing
_HOW = "intarsia run --agent claude, or --agent 'command: my-agent --task {prompt_file}'"
