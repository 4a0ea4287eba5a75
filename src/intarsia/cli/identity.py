"""Who calls: the session whose environment this is, or a member who joined on this machine."""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from intarsia.cli.common import Project, actor, find_repository, open_project
from intarsia.errors import InputError, NotFound, NotReady
from intarsia.kernel import members, sessions
from intarsia.kernel.database import Transaction
from intarsia.workspace.repository import Repository

if TYPE_CHECKING:
    from intarsia.gateway.client import Client
    from intarsia.gateway.operation import Caller, Site

SESSION, AGENT, SECRET = "INTARSIA_SESSION", "INTARSIA_AGENT", "INTARSIA_SECRET"


def caller(project: Project, tx: Transaction) -> str:
    """The name that leases and claims are held by; raises NotReady or NotFound for who can't prove it."""
    environ = os.environ
    if environ.get(SESSION):
        return sessions.authenticate(tx, environ[SESSION], environ.get(SECRET, "")).id
    name = _member(project.repository)
    secret = environ.get(SECRET) or _stored_secret(project.repository, name)
    member = members.authenticate(tx, name, secret)
    members.touch(tx, member.name)
    return member.name


def who(project: Project, tx: Transaction) -> str:
    """Who changes what needs no identity, for the record: whoever says who it is must prove it; else a person."""
    return caller(project, tx) if says_who() else actor()


def says_who() -> bool:
    """Whether the environment names a session or a member."""
    return bool(os.environ.get(SESSION) or os.environ.get(AGENT))


def client(*, dry_run: bool = False, anybody: bool = False, person: bool = False) -> Client:
    """Asks as whose environment this is; with `anybody` also as the person, with `person` only as that.

    Dry runs and people have the database.
    """
    from intarsia.gateway.client import URL, Client
    from intarsia.gateway.operation import Caller

    at_hand = dry_run or person or (anybody and not says_who())

    @cache
    def local() -> Caller:
        project = open_project(dry_run=dry_run)
        prove = who if anybody else caller
        return Caller(site_of(project), lambda tx: actor() if person else prove(project, tx))

    return Client("" if at_hand else os.environ.get(URL, ""), credentials, local)


def site_of(project: Project) -> Site:
    from intarsia.gateway.operation import Site

    return Site(project.repository, project.database, project.config)


def credentials() -> tuple[str, str]:
    """Name and secret of whose environment this is, for the gateway. Raises NotReady or NotFound."""
    name, given = os.environ.get(SESSION), os.environ.get(SECRET)
    if name:
        if not given:
            raise NotReady(f"{SESSION} is set and {SECRET} is not.", hint="Take both from the session's environment.")
        return name, given
    if given and os.environ.get(AGENT):
        return _named_member(), given
    repository = find_repository()
    name = _member(repository)
    return name, given or _stored_secret(repository, name)


def folder(repository: Repository) -> Path:
    return repository.state / "agents"


def _member(repository: Repository) -> str:
    """The name of whose environment this is, when it is no session."""
    return _named_member() if os.environ.get(AGENT) else _only_member(repository)


def _named_member() -> str:
    name = os.environ[AGENT]
    try:
        members.check_name(name)
    except InputError as error:
        raise NotFound(f"{AGENT} is {name!r}, which can't be an agent's name.", hint=error.hint) from error
    return name


def _only_member(repository: Repository) -> str:
    names = sorted(path.name for path in folder(repository).glob("[!.]*") if path.is_file())
    if len(names) == 1:
        return names[0]
    if not names:
        raise NotReady("You have not joined this project.", hint="intarsia agent join NAME")
    raise NotReady(f"Several agents joined here: {', '.join(names)}.", hint=f"Say which one you are: {AGENT}=NAME")


def _stored_secret(repository: Repository, name: str) -> str:
    found = stored_secret(repository, name)
    if found is None:
        raise NotReady(f"{name} has not joined this project on this machine.", hint=f"intarsia agent join {name}")
    return found


def stored_secret(repository: Repository, name: str) -> str | None:
    try:
        return (folder(repository) / name).read_text(encoding="ascii", errors="replace")
    except FileNotFoundError:
        return None


def store_secret(repository: Repository, name: str, secret: str) -> None:
    """Keep it where only this user can read it: all of it, or nothing."""
    path = folder(repository) / name
    path.parent.mkdir(mode=0o700, exist_ok=True)
    path.parent.chmod(0o700)
    unfinished = path.with_name(f".{name}.{os.getpid()}")
    with os.fdopen(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="ascii") as file:
        file.write(secret)
        file.flush()
        os.fsync(file.fileno())
    unfinished.replace(path)
