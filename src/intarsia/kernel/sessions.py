"""One attempt of one agent at one thing, as a row: identity, stage, supervisor, and what it needs to be taken over.

A session is protected by the lease on its issue: every change names the token of that lease, so a supervisor that was
replaced while it slept can change nothing any more.
"""

from __future__ import annotations

import json
import os
from collections.abc import Collection
from typing import Any

import msgspec
from msgspec import Struct

from intarsia.clock import iso
from intarsia.errors import Held, NotFound, StaleLease
from intarsia.kernel import events, issues, leases
from intarsia.kernel.database import Transaction
from intarsia.kernel.engine import Row

ACTIVE = ("working", "checking", "reviewing", "landing")
PARKED = "parked"
ENDED = ("done", "failed", "blocked", "released", "cancelled")


class Session(Struct, frozen=True):
    id: str
    run: str
    agent: str
    driver: str
    purpose: str
    issue: str
    stage: str
    reason: str
    resume: str | None
    supervisor: str
    token: int
    turn: int
    attempt: int
    workspace: str | None
    branch: str | None
    base: str | None
    head: str | None
    prompt: str
    progress: str
    vendor_id: str | None
    resolution: dict[str, Any] | None
    usage: dict[str, Any]
    parent: str | None
    depth: int
    created: float
    updated: float
    ended: float | None

    @property
    def resource(self) -> str:
        return f"issue:{self.issue}"

    @property
    def active(self) -> bool:
        return self.stage in ACTIVE

    def as_json(self) -> dict[str, Any]:
        times = {name: iso(getattr(self, name)) for name in ("created", "updated", "ended")}
        hidden = ("prompt", "progress", "token")
        return {**{k: v for k, v in msgspec.structs.asdict(self).items() if k not in hidden}, **times}


def new_id() -> str:
    return f"s-{os.urandom(4).hex()}"


def new_secret() -> str:
    """256 bits; only the hash is ever stored in the database."""
    return os.urandom(32).hex()


def digest(secret: str) -> str:
    import hashlib  # 5 ms, which most commands need not pay

    return hashlib.sha256(secret.encode(errors="surrogateescape")).hexdigest()


def matches(secret: str, secret_hash: str) -> bool:
    import hmac

    return hmac.compare_digest(secret_hash, digest(secret))


def start(
    tx: Transaction,
    *,
    run: str,
    agent: str,
    driver: str,
    supervisor: str,
    secret: str,
    ttl: int,
    only: Collection[str] = (),
    queues: Collection[str] = (),
    parent: Session | None = None,
) -> tuple[Session, issues.Issue] | None:
    """Claim the most urgent ready issue for a new session; None when nothing is ready. `parent` is what starts it."""
    session_id = new_id()
    claimed = issues.claim(tx, session_id, ttl, only, queues)
    if claimed is None:
        return None
    issue, lease = claimed
    attempt = _attempts_so_far(tx, issue.id) + 1
    above, depth = _above(tx, issue.id, parent)
    tx.execute(
        """INSERT INTO sessions (project, id, run, agent, driver, purpose, issue, secret_hash, stage, reason,
               supervisor, token, turn, attempt, branch, prompt, progress, usage, parent, depth, created, updated)
           VALUES (:project, :id, :run, :agent, :driver, 'issue', :issue, :secret_hash, 'working', '',
               :supervisor, :token, 1, :attempt, :branch, '', '', '{}', :parent, :depth, :now, :now)""",
        id=session_id,
        run=run,
        agent=agent,
        driver=driver,
        issue=issue.id,
        secret_hash=digest(secret),
        supervisor=supervisor,
        token=lease.token,
        attempt=attempt,
        branch=f"intarsia/{issue.id}/{attempt}",
        parent=above,
        depth=depth,
    )
    events.record(
        tx,
        "session_started",
        actor=supervisor,
        run=run,
        issue=issue.id,
        session=session_id,
        agent=agent,
        attempt=attempt,
        **({"parent": above} if above else {}),
    )
    return get(tx, session_id), issue


def _above(tx: Transaction, issue_id: str, parent: Session | None) -> tuple[str | None, int]:
    """Which session called for this one, or started its run; and how deep it is below."""
    call = tx.one("SELECT session, depth FROM calls WHERE project = :project AND issue = :issue", issue=issue_id)
    started = (parent.id, parent.depth + 1) if parent else (None, 0)
    return (call["session"], call["depth"]) if call and call["depth"] >= started[1] else started


def _attempts_so_far(tx: Transaction, issue_id: str) -> int:
    row = tx.one("SELECT count(*) AS n FROM sessions WHERE project = :project AND issue = :issue", issue=issue_id)
    return int(row["n"]) if row else 0


def get(tx: Transaction, session_id: str) -> Session:
    row = tx.one("SELECT * FROM sessions WHERE project = :project AND id = :id", id=session_id)
    if row is None:
        raise NotFound(f"There is no session {session_id}.", hint="See: intarsia session list")
    return _session(row)


def exists(tx: Transaction, session_id: str) -> bool:
    found = tx.one("SELECT 1 AS one FROM sessions WHERE project = :project AND id = :id", id=session_id)
    return found is not None


def find(
    tx: Transaction, *, stages: Collection[str] = (), issue: str | None = None, limit: int = 1000
) -> list[Session]:
    """Sessions in these stages (all, if none are named), newest first."""
    filters = ["project = :project"]
    if stages:
        filters.append("stage IN ({})".format(", ".join(f"'{stage}'" for stage in stages)))
    if issue is not None:
        filters.append("issue = :issue")
    rows = tx.all(
        f"SELECT * FROM sessions WHERE {' AND '.join(filters)} ORDER BY created DESC, id LIMIT :limit",
        issue=issue,
        limit=limit,
    )
    return [_session(row) for row in rows]


def authenticate(tx: Transaction, session_id: str, secret: str) -> Session:
    """The session whose secret this is; anything else is as if the session did not exist."""
    row = tx.one("SELECT secret_hash FROM sessions WHERE project = :project AND id = :id", id=session_id)
    if row is None or not matches(secret, row["secret_hash"]):
        raise NotFound("This is not the identity of any session of this project.")
    return get(tx, session_id)


def say(tx: Transaction, who: str, text: str) -> None:
    """Record what somebody is doing, for the people who watch."""
    session = get(tx, who) if exists(tx, who) else None
    run, issue = (session.run, session.issue) if session else (None, None)
    events.record(tx, "said", actor=who, run=run, issue=issue, session=session.id if session else None, text=text)


def update(tx: Transaction, session: Session, **values: Any) -> Session:
    """Change a session under its lease; raises StaleLease when another supervisor has it or it ended."""
    leases.require(tx, session.resource, session.token)
    for name in ("resolution", "usage"):
        if values.get(name) is not None:
            values[name] = json.dumps(values[name])
    assignments = ", ".join(f"{name} = :{name}" for name in values)
    tx.execute(
        f"UPDATE sessions SET {assignments}, updated = :now WHERE project = :project AND id = :id",
        id=session.id,
        **values,
    )
    return get(tx, session.id)


def advance(tx: Transaction, session: Session, stage: str, reason: str = "", **values: Any) -> Session:
    """Move to another stage, and record it."""
    moved = update(tx, session, stage=stage, reason=reason, **values)
    events.record(
        tx,
        f"session_{stage}",
        actor=session.supervisor,
        run=session.run,
        issue=session.issue,
        session=session.id,
        reason=reason,
        turn=moved.turn,
    )
    return moved


def end(tx: Transaction, session: Session, stage: str, reason: str = "", **values: Any) -> Session:
    """Enter a final stage (or park) and give back all the session holds, in the same transaction."""
    values.setdefault("workspace", None)
    if stage in ENDED:
        values["ended"] = tx.now
    ended = advance(tx, session, stage, reason, **values)
    leases.release_all(tx, session.id)
    return ended


def park(tx: Transaction, session: Session, reason: str, resume: str) -> Session:
    """Set a session aside, to be resumed at stage `resume` by a later run."""
    return end(tx, session, PARKED, reason, resume=resume)


def take_over(tx: Transaction, seen: Session, supervisor: str, run: str, ttl: int) -> Session:
    """Continue a session whose supervisor is gone, with new tokens; raises StaleLease if it moved on meanwhile.

    What it holds of the code stays held; its place in the queue to land, and perhaps its workspace, is given up.
    """
    now = get(tx, seen.id)
    if (now.supervisor, now.token, now.stage) != (seen.supervisor, seen.token, seen.stage):
        raise StaleLease(f"{seen.id} was taken over by {now.supervisor}.")
    for held in leases.of(tx, seen.id):
        if held.resource.startswith(("land:", "workspace:")):
            leases.release(tx, seen.id, held.resource)
    leases.refence(tx, seen.id, ttl)
    lease = leases.acquire(tx, seen.id, seen.resource, ttl)
    stage = (now.resume or "working") if now.stage == PARKED else now.stage
    workspace = now.workspace if now.workspace and _still_free(tx, seen.id, now.workspace, ttl) else None
    tx.execute(
        """UPDATE sessions SET supervisor = :supervisor, run = :run, token = :token, stage = :stage, resume = NULL,
               workspace = :workspace, updated = :now WHERE project = :project AND id = :id""",
        id=seen.id,
        supervisor=supervisor,
        run=run,
        token=lease.token,
        stage=stage,
        workspace=workspace,
    )
    events.record(
        tx,
        "session_taken_over",
        actor=supervisor,
        run=run,
        issue=seen.issue,
        session=seen.id,
        previous=seen.supervisor,
        stage=stage,
    )
    return get(tx, seen.id)


def hand_over(tx: Transaction, session: Session, agent: str, driver: str) -> Session:
    """Let another agent go on, if it is another one; of another driver it can't know the conversation."""
    if (session.agent, session.driver) == (agent, driver):
        return session
    facts = {"run": session.run, "issue": session.issue, "session": session.id}
    events.record(tx, "session_handed_over", actor=session.supervisor, **facts, previous=session.agent, agent=agent)
    vendor_id = session.vendor_id if session.driver == driver else None
    return update(tx, session, agent=agent, driver=driver, vendor_id=vendor_id)


def renew(tx: Transaction, supervisor: str, ttl: int) -> int:
    """Keep what the sessions of this supervisor hold; those that another one took over are not among them."""
    own = [session.id for session in find(tx, stages=ACTIVE) if session.supervisor == supervisor]
    return leases.renew(tx, own, ttl)


def needs(tx: Transaction, lease: leases.Lease) -> bool:
    """Whether a supervisor took this lease, so that its session can work: its issue and its workspace."""
    if not exists(tx, lease.session):
        return False
    session = get(tx, lease.session)
    return lease.resource in (session.resource, session.workspace)


def _still_free(tx: Transaction, session_id: str, workspace: str, ttl: int) -> bool:
    try:
        leases.acquire(tx, session_id, workspace, ttl)
    except Held:
        return False
    return True


def expire(tx: Transaction, *, spare_host: str = "") -> list[Session]:
    """Requeue the issues of sessions whose lease ran out, except those of `spare_host`, which can resume them."""
    gone = []
    for lease in leases.lapsed(tx, "issue:"):
        if not exists(tx, lease.session):
            continue
        session = get(tx, lease.session)
        if spare_host and session.supervisor.startswith(f"{spare_host}:"):
            continue
        note = f"The lease of {session.id} ran out at {iso(lease.expires)}: nobody renewed it."
        issues.requeue(tx, session.issue, note, "intarsia", session=session.id)
        tx.execute(
            """UPDATE sessions SET stage = 'released', reason = :reason, workspace = NULL, ended = :now, updated = :now
                WHERE project = :project AND id = :id""",
            id=session.id,
            reason=note,
        )
        leases.release_all(tx, session.id)
        events.record(
            tx,
            "session_released",
            actor="intarsia",
            run=session.run,
            issue=session.issue,
            session=session.id,
            reason=note,
        )
        gone.append(session)
    return gone


def cancel_parked(tx: Transaction, issue_id: str, actor: str) -> None:
    """End the parked session of an issue that a person takes back; its branch stays."""
    for session in find(tx, stages=[PARKED], issue=issue_id):
        tx.execute(
            """UPDATE sessions SET stage = 'cancelled', ended = :now, updated = :now
                WHERE project = :project AND id = :id""",
            id=session.id,
        )
        events.record(tx, "session_cancelled", actor=actor, run=session.run, issue=issue_id, session=session.id)


def _session(row: Row) -> Session:
    values = {name: value for name, value in row.items() if name not in ("project", "secret_hash")}
    resolution = json.loads(row["resolution"]) if row["resolution"] else None
    return Session(**{**values, "resolution": resolution, "usage": json.loads(row["usage"])})
