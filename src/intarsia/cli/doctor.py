"""`intarsia doctor`: whether everything that a run needs is there."""

from __future__ import annotations

import os
import platform
import shutil
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

import click

from intarsia.cli.common import Output, find_repository, open_database, with_output
from intarsia.clock import iso
from intarsia.config import Config
from intarsia.errors import IntarsiaError, NotReady
from intarsia.kernel import sessions
from intarsia.settings import load
from intarsia.workspace.repository import Repository

if TYPE_CHECKING:
    from intarsia.gateway.register import Entry

LOW_DISK = 500 * 1024 * 1024
OLD_PRICES = 180
"""Days."""


@dataclass(frozen=True)
class Finding:
    what: str
    ok: bool
    detail: str
    hint: str = ""


@click.command(short_help="Check everything that a run needs.")
@with_output
def doctor(output: Output, /) -> int:
    """Check git, the repository, the configuration, the database and the agents; say how to cure what is wrong.

    \b
    Example:
      intarsia doctor

    Exit codes: 0 all is well; 2 something would stop a run.
    """
    findings = list(_examine())
    lines = [f"{'✓' if f.ok else '✗'} {f.what}: {f.detail}" + (f"\n    → {f.hint}" if f.hint else "") for f in findings]
    healthy = all(f.ok for f in findings)
    output.show("\n".join(lines), healthy=healthy, findings=[asdict(f) for f in findings])
    return 0 if healthy else 2


def _examine() -> Iterator[Finding]:
    yield Finding("python", True, platform.python_version())
    repository, finding = _find_repository()
    yield finding
    if repository is None:
        return
    yield _try("git", lambda: _git(repository))
    yield _try("commit", lambda: _commit(repository))
    yield _try("identity", lambda: " <".join(repository.require_identity()) + ">")
    config, finding = _load(repository)
    yield finding
    if config is None:
        return
    yield _try("target branch", lambda: repository.target(config.land.target))
    yield _try("state directory", lambda: _disk(repository.make_state()))
    yield _try("database", lambda: _database(repository, config))
    yield _try("agents", lambda: _agents(repository, config))
    yield from _drivers()
    yield _try("prompts", lambda: _prompts(repository, config))
    yield Finding("checks", True, ", ".join(config.checks) or "none: any commit lands unproven; add [checks]")
    yield _confinement(config)
    yield from _gateway(repository, config)
    yield _prices()
    yield from _locks(repository)


def _find_repository() -> tuple[Repository | None, Finding]:
    try:
        repository = find_repository()
    except IntarsiaError as error:
        return None, Finding("repository", False, error.message, error.hint)
    return repository, Finding("repository", True, str(repository.root))


def _load(repository: Repository) -> tuple[Config | None, Finding]:
    try:
        config = load(repository.root).config
    except IntarsiaError as error:
        return None, Finding("configuration", False, error.message, error.hint)
    return config, Finding("configuration", True, "valid")


def _try(what: str, examine: Callable[[], str]) -> Finding:
    try:
        return Finding(what, True, examine())
    except IntarsiaError as error:
        return Finding(what, False, error.message, error.hint)


def _git(repository: Repository) -> str:
    repository.require_git()
    return repository.git.line("version").removeprefix("git version ")


def _commit(repository: Repository) -> str:
    repository.require_commit()
    return repository.git.line("log", "-1", "--format=%h %s")


def _disk(state: Path) -> str:
    free = shutil.disk_usage(state).free
    if free < LOW_DISK:
        raise NotReady(f"only {free // 1024**2} MiB are free for {state}.", hint="Make room: workspaces are checkouts.")
    return f"{state}, {free // 1024**3} GiB free"


def _database(repository: Repository, config: Config) -> str:
    database = open_database(repository, config, config.project.id or repository.project_id())
    with database.transaction() as tx:
        active = sessions.find(tx, stages=sessions.ACTIVE)
    return f"answers and can be written; {len(active)} sessions under way"


def _agents(repository: Repository, config: Config) -> str:
    from intarsia.agents import drivers
    from intarsia.run.start import known_agents

    for agent in [agent for agent in config.agents.values() if agent.driver]:
        drivers.make(config.runnable(agent), repository.root).check()
    known = [*config.agents, *(name for name in known_agents(config, repository.root) if name not in config.agents)]
    return ", ".join(known) or "none here; name any program with: intarsia run --agent 'command: …'"


def _drivers() -> Iterator[Finding]:
    """Which agent programs are here. One that is not is no fault, unless an agent that is configured needs it."""
    from intarsia.agents import drivers

    for name, made in drivers.programs().items():
        try:
            version = made.version()
        except NotReady as missing:
            yield Finding(f"driver {name}", True, f"not installed ({missing.hint})")
            continue
        asks = "asks before edits" if made.capabilities.asks_edits else "does not ask before edits"
        yield Finding(f"driver {name}", True, f"{version}, {asks}; {' '.join(made.capabilities.weaker)}")


def _confinement(config: Config) -> Finding:
    """Whether agents can be confined; a fault when one must be."""
    from intarsia.agents.confinement import unavailable

    modes = {config.runnable(agent).confine for agent in config.agents.values() if agent.driver == "command"}
    problem = unavailable(network=False)
    if not problem:
        return Finding("confinement", True, "bubblewrap works" + ("" if modes - {"off"} else "; no agent is confined"))
    if "required" in modes:
        return Finding("confinement", False, problem, "Install bubblewrap and allow user namespaces.")
    what = "agents with confine = 'on' run without" if "on" in modes else "no agent asks for it"
    return Finding("confinement", True, f"not available ({problem.rstrip('.')}); {what}")


def _gateway(repository: Repository, config: Config) -> Iterator[Finding]:
    """Those that run for this project here; else whether one could. And the one that this environment names."""
    from intarsia.gateway import register, server
    from intarsia.gateway.client import URL

    entries = register.running(repository.state)
    for entry in entries:
        yield _try("gateway", lambda entry=entry: _listening(entry))  # type: ignore[misc]
    if not entries:
        yield _try("gateway", lambda: _startable(config, server.installed()))
    if url := os.environ.get(URL):
        yield _try(URL, lambda: _named(url))


def _listening(entry: Entry) -> str:
    from intarsia.gateway import remote

    version = remote.health(entry.url)
    return f"{entry.url}, process {entry.pid}, since {iso(entry.since)}, answers (intarsia {version})"


def _startable(config: Config, installed: bool) -> str:
    """Raises NotReady where a run would not start."""
    settings = config.gateway
    if settings.start == "off":
        return "off (gateway.start); agents have the commands, which ask the database"
    if not installed:
        from intarsia.gateway import server

        if settings.start == "required":
            server.require()
        return "not installed (pip install 'intarsia[gateway]'); agents have the commands, which ask the database"
    if settings.port and not _is_free(settings.port):
        raise NotReady(
            f"no gateway of this project runs, and port {settings.port} of 127.0.0.1 is taken by something else.",
            hint="Set gateway.port to another one, or to 0 for any free one.",
        )
    where = f"port {settings.port}" if settings.port else "a free port"
    return f"none runs; intarsia run starts one at 127.0.0.1, on {where}"


def _is_free(port: int) -> bool:
    import socket

    try:
        socket.create_server(("127.0.0.1", port)).close()
    except OSError:
        return False
    return True


def _named(url: str) -> str:
    from intarsia.cli.identity import credentials
    from intarsia.gateway import remote

    name, secret = credentials()
    remote.check(url, (name, secret))
    return f"{url} is a gateway of this project, and knows {name}"


def _prices() -> Finding:
    from intarsia.run import prices

    table = prices.table()
    days = (date.today() - table.collected).days
    old = f", {days} days ago: look whether they still hold" if days > OLD_PRICES else ""
    detail = f"of {len(table.prices)} models, collected on {table.collected}{old}; yours win: [prices]"
    return Finding("prices", True, detail)


def _prompts(repository: Repository, config: Config) -> str:
    from intarsia.run.prompts import Prompts

    own = Prompts.load(repository.root, config.run.prompts).own
    return f"yours instead of ours: {', '.join(own)}" if own else "as they come with intarsia"


def _locks(repository: Repository) -> Iterator[Finding]:
    for lock in (repository.git_dir / "index.lock", repository.git_dir / "packed-refs.lock"):
        if lock.exists():
            hint = f"If no git runs here, a crash left it; remove it: rm {lock}"
            yield Finding("git lock", False, f"{lock} would stop landings", hint)
