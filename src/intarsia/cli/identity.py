"""Who calls: the session whose environment this is, or a member who joined on this machine."""

from __future__ import annotations

import os
from pathlib import Path

from intarsia.cli.common import Project
from intarsia.errors import NotReady
from intarsia.kernel import members, sessions
from intarsia.kernel.database import Transaction

SESSION, AGENT, SECRET = "INTARSIA_SESSION", "INTARSIA_AGENT", "INTARSIA_SECRET"


def caller(project: Project, tx: Transaction) -> str:
    """The name that leases and claims are held by; raises NotReady or NotFound for who can't prove it."""
    environ = os.environ
    if environ.get(SESSION):
        return sessions.authenticate(tx, environ[SESSION], environ.get(SECRET, "")).id
    name = environ.get(AGENT) or _only_member(project)
    secret = environ.get(SECRET) or _stored_secret(project, name)
    member = members.authenticate(tx, name, secret)
    members.touch(tx, member.name)
    return member.name


def folder(project: Project) -> Path:
    return project.repository.state / "agents"


def _only_member(project: Project) -> str:
    names = sorted(path.name for path in folder(project).glob("*") if path.is_file())
    if len(names) == 1:
        return names[0]
    if not names:
        raise NotReady("You have not joined this project.", hint="intarsia agent join NAME")
    raise NotReady(f"Several agents joined here: {', '.join(names)}.", hint=f"Say which one you are: {AGENT}=NAME")


def _stored_secret(project: Project, name: str) -> str:
    try:
        return (folder(project) / name).read_text(encoding="ascii")
    except OSError as error:
        raise NotReady(
            f"{name} has not joined this project on this machine.", hint=f"intarsia agent join {name}"
        ) from error
