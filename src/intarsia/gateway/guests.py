"""A person's own Claude Code or Codex, which asks by its hooks: kept away from what others hold, else left as it is.

What it edits is leased for the member it works as, until it ends its turn. Whether it may do the rest is for its person
to say, unless it runs in a mode in which only hooks allow anything.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from intarsia.agents import Answer, Ask, environment
from intarsia.gateway.claims import patience
from intarsia.gateway.operation import Site
from intarsia.kernel import leases
from intarsia.kernel.database import Transaction
from intarsia.kernel.modes import Mode
from intarsia.kernel.overlap import Advised, Allowed, Arbiter, Refused
from intarsia.run.approver import WorkspaceApprover
from intarsia.run.guard import Guard
from intarsia.run.place import Seated
from intarsia.workspace.policy import Policy

NOTE = "editing, says its hook"
FENCED = "dontAsk"
"""The permission mode of Claude Code in which what no hook allows is denied."""


class _Leases(Arbiter):
    """Marks what it takes, so that it can be given back; what the member locked by hand stays the member's."""

    def __init__(self, site: Site, me: str) -> None:
        super().__init__(site.database, me, "refuse", ttl=patience(site.config, me))
        self._site, self._me = site, me

    def ask(
        self, needs: Mapping[str, Mode], note: str = "", withdrawn: Callable[[], bool] = lambda: False
    ) -> Allowed | Advised | Refused:
        with self._site.database.read() as tx:
            own = {lease.resource for lease in leases.of(tx, self._me) if lease.note != NOTE}
        return super().ask({name: mode for name, mode in needs.items() if name not in own}, NOTE, withdrawn)


def answer(site: Site, me: str, ask: Ask | None, withdrawn: Callable[[], bool], *, fenced: bool) -> Answer | None:
    """Yes or no; None where it is for the person to say."""
    root = site.root.resolve()
    place = Seated(root, 0, root, root)
    approver = WorkspaceApprover(place, _Leases(site, me))
    if ask is None:
        return Answer(False, "intarsia does not know this tool, so it is not allowed.") if fenced else None
    if fenced:
        policy = Policy.of(site.config.policy, environment.base(), shared=site.config.workspace.kind == "shared")
        return Guard(policy, root, approver).answer(ask, withdrawn)
    inside = tuple(edit for edit in ask.edits if root in edit.path.resolve().parents)
    if ask.kind != "edit" or (ask.edits and not inside):
        return None
    said = approver.answer(replace(ask, edits=inside), withdrawn)
    return None if said.allow else said


def is_fenced(given: Mapping[str, Any]) -> bool:
    return given.get("permission_mode") == FENCED


def end_turn(tx: Transaction, me: str) -> None:
    """Give back what was leased for edits."""
    for lease in leases.of(tx, me):
        if lease.note == NOTE:
            leases.release(tx, me, lease.resource)
