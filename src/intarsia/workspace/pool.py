"""Which slots are free on this host; a slot is a lease."""

from __future__ import annotations

from intarsia.errors import Held
from intarsia.kernel import leases, sessions
from intarsia.kernel.database import Transaction
from intarsia.workspace.repository import Repository
from intarsia.workspace.worktree import Worktree


def acquire(tx: Transaction, session: str, host: str, ttl: int) -> str:
    """Lease the free slot with the lowest number; returns the resource."""
    taken = {lease.resource for lease in leases.held(tx, f"workspace:{host}/")}
    # A session whose lease ran out is to be taken over, with its agent that may still run in there.
    taken |= {session.workspace or "" for session in sessions.find(tx, stages=sessions.ACTIVE)}
    number = 1
    while True:
        resource = f"workspace:{host}/{number}"
        if resource not in taken:
            try:
                leases.acquire(tx, session, resource, ttl)
                return resource
            except Held:
                pass
        number += 1


def worktree(repository: Repository, resource: str) -> Worktree:
    return Worktree(repository, int(resource.rpartition("/")[2]))


def idle(tx: Transaction, repository: Repository, host: str) -> list[Worktree]:
    """Slots on disk that no session holds."""
    taken = {lease.resource for lease in leases.held(tx, f"workspace:{host}/")}
    folder = repository.state / "worktrees"
    numbers = sorted(int(entry.name) for entry in folder.iterdir() if entry.name.isdigit()) if folder.is_dir() else []
    return [Worktree(repository, number) for number in numbers if f"workspace:{host}/{number}" not in taken]
