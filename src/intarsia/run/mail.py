"""What others told a session since its last turn: its agent gets it with the next prompt, whatever program it is."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace

from intarsia.agents import Turn
from intarsia.errors import Conflict
from intarsia.kernel import messages
from intarsia.kernel.database import Database

MOST = 20


def enclosed(database: Database, turn: Turn) -> Turn:
    """The turn with what is in the session's inbox, which stays there until the turn is over."""
    with database.transaction() as tx:
        found = messages.inbox(tx, turn.session, MOST)
        messages.shown(tx, turn.session, found)
    if not found:
        return turn
    said = "\n\n".join(f"From {one.sender} ({one.kind}, message {one.id}):\n{one.body.strip()}" for one in found)
    return replace(turn, prompt=f"{turn.prompt.rstrip()}\n\n## What others told you\n\n{said}\n")


def acknowledge(database: Database, session: str) -> None:
    """The turn is over: what was enclosed has been read, and what came meanwhile has not."""
    with database.transaction() as tx, suppress(Conflict):
        messages.ack(tx, session)
