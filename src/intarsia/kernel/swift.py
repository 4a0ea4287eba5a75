"""Leases in one round trip to PostgreSQL, without waiting for other transactions of the project.

A function in the server does what `line.request` does when nobody waits. It locks less than a transaction of ours: the
project shared, what is around each resource shared, and each resource alone, in the order of their keys. So grants of
unrelated resources commit side by side, and every other change of the project, which locks it alone, still sees each
grant whole. Where somebody waits or holds, the function answers nothing, and the way through the line decides.
"""

from __future__ import annotations

from collections.abc import Collection

from intarsia.kernel.database import Database
from intarsia.kernel.leases import Grant, Want
from intarsia.kernel.postgresql import CHANNEL, lock_number
from intarsia.kernel.resources import SEPARATOR

_ACQUIRE = """
    SELECT * FROM intarsia_acquire(:project, :project_lock, :session, :locks, :alone, :near, :near_shared,
        :keys, :names, :shared, :low, :high, :ttl, :note)"""
_RELEASE = "SELECT intarsia_release(:project, :project_lock, :session, :keys, :channel) AS key"


def acquire(database: Database, session: str, asked: Collection[Want], ttl: int, note: str) -> Grant | None:
    """The grant, if this database can give it this way and nothing stands in its way."""
    if not database.has_functions:
        return None
    near: dict[str, set[str]] = {"shared": set(), "exclusive": set()}
    for want in asked:
        near[want.mode].update([*want.resource.around, want.resource.key])
    own = {want.resource.key for want in asked}
    keys = sorted(near["shared"] | near["exclusive"])
    rows = database.call(
        _ACQUIRE,
        project_lock=lock_number(database.project),
        session=session,
        locks=[lock_number(database.project + SEPARATOR + key) for key in keys],
        alone=[key in own for key in keys],
        near=list(near["exclusive"]),
        near_shared=list(near["shared"]),
        keys=[want.resource.key for want in asked],
        names=[want.resource.name for want in asked],
        shared=[want.mode == "shared" for want in asked],
        low=[want.resource.inside[0] for want in asked],
        high=[want.resource.inside[1] for want in asked],
        ttl=ttl,
        note=note,
    )
    if not rows:
        return None
    return Grant(session, [want.resource.name for want in asked], rows[0]["token"], rows[0]["expires"])


def release(database: Database, session: str, keys: Collection[str]) -> set[str] | None:
    """The keys of what was released; None if this database can't do it this way."""
    if not database.has_functions:
        return None
    rows = database.call(
        _RELEASE, project_lock=lock_number(database.project), session=session, keys=list(keys), channel=CHANNEL
    )
    return {row["key"] for row in rows}
