"""Whether the vendor of a worker's account serves it now, and what is done when it does not."""

from __future__ import annotations

import random

from intarsia.agents import TurnEnd
from intarsia.errors import Aborted
from intarsia.kernel import pauses
from intarsia.run.context import Context


class Unserved(Aborted):
    """The vendor serves this account not now, or (`closed`) not before somebody logs in."""

    def __init__(self, reason: str, account: str, *, closed: bool = False) -> None:
        super().__init__(reason)
        self.account = account
        self.closed = closed


def refusal(context: Context) -> Unserved | None:
    """Why no turn may begin now, while the account is paused."""
    account = context.worker.account
    with context.database.read() as tx:
        pause = pauses.active(tx).get(account)
    return Unserved(pause.text, account) if pause else None


def met(context: Context, session: str, end: TurnEnd, reason: str) -> Unserved:
    """A turn that ended like this was not served: all are told, but that there is no login only this run."""
    account = context.worker.account
    if end.outcome == "auth":
        return Unserved(reason, account, closed=True)
    with context.database.transaction() as tx:
        pauses.pause(tx, account, session, reason, chance=random.random(), retry_after=end.retry_after)
    return Unserved(reason, account)


def served(context: Context) -> None:
    with context.database.transaction() as tx:
        pauses.served(tx, context.worker.account)
