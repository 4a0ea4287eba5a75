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
from intarsia.kernel.modes import MODES, Mode, near, spelled, within
from intarsia.kernel.postgresql import CHANNEL, lock_number
from intarsia.kernel.resources import SEPARATOR

_ACQUIRE = """
    SELECT * FROM intarsia_acquire(:project, :project_lock, :session, :locks, :alone, :near, :near_modes,
        :low, :high, :inside_modes, :keys, :names, :modes, :strength, :ttl, :note)"""
_STRENGTH = list(MODES)
_RELEASE = "SELECT intarsia_release(:project, :project_lock, :session, :keys, :channel) AS key"


def acquire(database: Database, session: str, asked: Collection[Want], ttl: int, note: str) -> Grant | None:
    """The grant, if this database can give it this way and nothing stands in its way."""
    if not database.has_functions:
        return None
    own = [want.resource.key for want in asked]
    around: dict[str, frozenset[Mode]] = {}
    for want in asked:
        for key, modes in near(want.resource, want.mode).items():
            around[key] = modes | around[key] if key in around else modes
    inside = [within(want.resource, want.mode) for want in asked]
    keys = sorted(around)
    rows = database.call(
        _ACQUIRE,
        project_lock=lock_number(database.project),
        session=session,
        locks=[lock_number(database.project + SEPARATOR + key) for key in keys],
        alone=[key in own for key in keys],
        near=keys,
        near_modes=[spelled(around[key]) for key in keys],
        low=[low for low, _, _ in inside],
        high=[high for _, high, _ in inside],
        inside_modes=[spelled(modes) for _, _, modes in inside],
        keys=own,
        names=[want.resource.name for want in asked],
        modes=[want.mode for want in asked],
        strength=_STRENGTH,
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
