"""The hooks of Claude Code and Codex, answered as the drivers answer: for agents that run as plain commands.

Both programs go on when a hook fails, so nothing here fails: what is not clearly allowed is denied. A person's own
program, which works as a member, is answered by guests.py.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from msgspec import Meta

from intarsia.agents import Answer as Said
from intarsia.agents import claude_tools, codex_tools, environment
from intarsia.agents.claude_tools import verdict
from intarsia.errors import InputError, NotReady
from intarsia.gateway import files, guests
from intarsia.gateway.files import worktree_of
from intarsia.gateway.operation import Answer, Caller, Given, Site, operation
from intarsia.kernel import leases
from intarsia.kernel.database import Transaction
from intarsia.kernel.sessions import Session
from intarsia.run import held
from intarsia.run.approver import SharedApprover, WorkspaceApprover
from intarsia.run.guard import Guard
from intarsia.run.place import Place, Seated
from intarsia.workspace import pool
from intarsia.workspace.policy import Policy

Program = Literal["claude", "codex"]
OURS = "mcp__intarsia__"
STOP = "Stop"
LONGEST_WAIT = 20
"""Seconds that a hook waits for what another holds: both programs take a hook that is too slow for a yes."""


class Use(Given):
    """What the program gives its hooks `PreToolUse` and `Stop`."""

    program: Program
    input: Annotated[dict[str, Any], Meta(description="As it comes on the hook's standard input.")]


class Verdict(Answer):
    output: Annotated[dict[str, Any], Meta(description="What the hook shall print.")]


@operation("hooks/decide", Use, Verdict, waits=True)
def decide(caller: Caller, given: Use) -> Verdict:
    """Say whether an agent may use a tool; or (`Stop`) whether it is done."""
    with caller.database.transaction() as tx:
        session, me = caller.session(tx), caller.identify(tx)
        slot = _slot(tx, session) if session else ""
    if given.input.get("hook_event_name") == STOP:
        return Verdict(output=_stopped(caller, session, me, given.input))
    if session and session.stage != "working":
        raise NotReady("Only a session that is at work may use tools.")
    name, use, id, cwd = _read(given.input)
    ours = name.startswith(OURS)
    tools = claude_tools if given.program == "claude" else codex_tools
    if session is None:
        ask = tools.question(name, use, id, Path(cwd or caller.site.root))
        fenced = guests.is_fenced(given.input)
        found = Said(True) if ours and fenced else None
        if not ours:
            found = guests.answer(caller.site, me, ask, caller.withdrawn, fenced=fenced)
        return Verdict(output=_told(given.program, name, use, found) if found else {})
    if ours:
        return Verdict(output=verdict(allow=True) if given.program == "claude" else {})
    guard, place = _guard(caller.site, session, slot)
    ask = tools.question(name, use, id, Path(cwd) if cwd else place.path)
    answer = _unknown(name) if ask is None else guard.answer(ask, caller.withdrawn)
    return Verdict(output=_told(given.program, name, use, answer))


def _stopped(caller: Caller, session: Session | None, me: str, given: dict[str, Any]) -> dict[str, Any]:
    """A session is sent back to work once, with what is missing; the gate has the rest."""
    if session is None:
        with caller.database.transaction() as tx:
            guests.end_turn(tx, me)
        return {}
    if session.stage != "working" or session.resolution is not None or given.get("stop_hook_active"):
        return {}
    missing = files.unfinished(caller.site, session)
    return {"decision": "block", "reason": missing} if missing else {}


def denied(reason: str) -> dict[str, Any]:
    """A no that both programs understand."""
    return verdict(allow=False, reason=reason)


def _unknown(name: str) -> Said:
    return Said(False, f"intarsia does not know the tool {name}, so it is not allowed.")


def _told(program: Program, name: str, use: dict[str, Any], answer: Said) -> dict[str, Any]:
    if program == "claude":
        return claude_tools.answered(name, use, answer)
    if answer.allow and answer.command is None and answer.text is None:
        return {}
    return denied(answer.reason or "This is allowed in another form only.")


def _read(given: dict[str, Any]) -> tuple[str, dict[str, Any], str, str]:
    """Tool, its input, the id of its use, and where; raises InputError."""
    name, use, cwd = given.get("tool_name"), given.get("tool_input"), given.get("cwd", "")
    if not isinstance(name, str) or not isinstance(use, dict) or not isinstance(cwd, str):
        raise InputError("This is not what a hook PreToolUse gets.")
    if cwd and not Path(cwd).is_absolute():
        raise InputError("The hook's cwd is no absolute path.")
    return name, use, str(given.get("tool_use_id", "")), cwd


def _slot(tx: Transaction, session: Session) -> str:
    """The workspace that the session has: in a shared tree it is only for what it keeps beside."""
    held = [lease.resource for lease in leases.of(tx, session.id) if lease.resource.startswith("workspace:")]
    return session.workspace or next(iter(held), "")


def _guard(site: Site, session: Session, slot: str) -> tuple[Guard, Place]:
    """Who answers, as for the drivers; and where the session works."""
    shared = session.workspace is None and site.config.workspace.kind == "shared"
    if shared and slot:
        beside = pool.worktree(site.repository, slot)
        place: Place = Seated(site.root, beside.number, beside.tmp, beside.cache)
    else:
        place = worktree_of(site, session)
    env = {**environment.base(), "TMPDIR": str(place.tmp), "XDG_CACHE_HOME": str(place.cache)}
    policy = Policy.of(site.config.policy, env, shared=shared)
    arbiter = held.arbiter(site.database, site.config, session.id, shared=shared, longest=LONGEST_WAIT)
    approver = SharedApprover(place) if shared else WorkspaceApprover(place, arbiter)
    return Guard(policy, place.path, approver), place
