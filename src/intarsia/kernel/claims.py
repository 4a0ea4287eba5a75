"""Working on an issue without `intarsia run`: a person or foreign agent claims it, keeps it alive, and finishes it.

A claim is an issue in progress together with its assignee's exclusive lease on `issue:ID`. Only who holds it may renew,
finish or hand it on; when the lease is over, however that came, the issue is open again. The issues of sessions are
their supervisor's, and none of this applies to them.
"""

from __future__ import annotations

from collections.abc import Mapping

from intarsia.clock import iso
from intarsia.errors import Conflict, InputError, NotHolder
from intarsia.kernel import decisions, events, issues, leases, sessions
from intarsia.kernel.database import Transaction
from intarsia.kernel.issues import Draft, Issue
from intarsia.kernel.leases import Lease


def claim(tx: Transaction, issue_id: str, holder: str, ttl: int) -> Lease:
    """Take an open, ready issue; raises Held or Conflict that says what stands in the way. Claiming again renews."""
    if sessions.exists(tx, holder):
        raise Conflict(f"{holder} is a session of intarsia run, and works on the issue it was given.")
    issue = issues.get(tx, issue_id)
    expire(tx, issue_id)  # a claim that ran out does not stand in the way
    if _is_claim_of(tx, issue_id, holder):
        return heartbeat(tx, issue_id, holder, ttl)
    if holders := leases.conflicting(tx, holder, leases.wants({issue.resource: "exclusive"})):
        raise leases.held_error(holders[0])
    issue = issues.get(tx, issue_id)
    if issue.status != "open":
        raise Conflict(f"{issue_id} is {issue.status}, not open.", hint=f"See: intarsia issue show {issue_id}")
    if not issues.ready(tx, [issue_id], limit=1):
        raise Conflict(f"{issue_id} is not ready.", hint=f"See what it waits for: intarsia issue dep list {issue_id}")
    lease = leases.acquire(tx, holder, issue.resource, ttl, note=issue.title)
    issues.change(tx, issue_id, status="in_progress", assignee=holder)
    events.record(tx, "issue_claimed", actor=holder, issue=issue_id)
    return lease


def heartbeat(tx: Transaction, issue_id: str, holder: str, ttl: int) -> Lease:
    """Renew the claim; raises NotHolder."""
    issue = _held_by(tx, issue_id, holder)
    leases.renew_one(tx, holder, issue.resource, ttl)
    return leases.require_holder(tx, issue.resource, holder)


def complete(tx: Transaction, issue_id: str, holder: str, conclusion: str) -> Issue:
    """Close the issue with its conclusion, which is recorded as a decision; raises NotHolder."""
    issue = _held_by(tx, issue_id, holder)
    decisions.record(tx, issue_id, holder, "conclusion", conclusion)
    leases.release(tx, holder, issue.resource)
    return issues.close(tx, issue_id, "completed", holder)


def amend(tx: Transaction, issue_id: str, actor: str, remark: str) -> None:
    """Add to what was concluded; the issue's status stays as it is."""
    issues.get(tx, issue_id)
    decisions.record(tx, issue_id, actor, "amendment", remark)
    events.record(tx, "issue_amended", actor=actor, issue=issue_id, remark=remark.strip())


def release(tx: Transaction, issue_id: str, holder: str, note: str = "") -> Issue:
    """Give the issue back unfinished; raises NotHolder."""
    issue = _held_by(tx, issue_id, holder)
    leases.release(tx, holder, issue.resource)
    issues.requeue(tx, issue_id, note or f"Released by {holder}.", holder, attempt=False)
    return issues.get(tx, issue_id)


def block(tx: Transaction, issue_id: str, actor: str, note: str) -> Issue:
    """Set an issue aside; one that is claimed only by its holder, whose claim ends."""
    issue = issues.get(tx, issue_id)
    if not note.strip():
        raise InputError("Say what blocks it.")
    if issue.status == "in_progress":
        _held_by(tx, issue_id, actor)
        leases.release(tx, actor, issue.resource)
    elif issue.status != "open":
        raise Conflict(f"{issue_id} is {issue.status}, and can't be blocked.")
    issues.change(tx, issue_id, status="blocked", assignee=None)
    events.record(tx, "issue_blocked", actor=actor, issue=issue_id, note=note.strip())
    return issues.get(tx, issue_id)


def unblock(tx: Transaction, issue_id: str, actor: str, note: str = "") -> Issue:
    """Make a blocked issue open again; raises Conflict if it is not blocked."""
    issue = issues.get(tx, issue_id)
    if issue.status != "blocked":
        raise Conflict(f"{issue_id} is {issue.status}, not blocked.")
    return issues.reopen(tx, issue_id, actor, note)


def transfer(tx: Transaction, issue_id: str, actor: str, queue: str, sla: int, note: str = "") -> Issue:
    """Move an issue to another queue, whose SLA (minutes; 0: none) starts now; a claim on it ends, and only its
    holder may do it.
    """
    issue = issues.get(tx, issue_id)
    if issue.status == "closed":
        raise Conflict(f"{issue_id} is closed already ({issue.resolution}).")
    if issue.queue == queue:
        raise Conflict(f"{issue_id} is in {queue} already.")
    if issue.status == "in_progress":
        release(tx, issue_id, actor, f"Transferred to {queue}.")
    issues.change(tx, issue_id, queue=queue, due=tx.now + sla * 60 if sla else None)
    events.record(tx, "issue_transferred", actor=actor, issue=issue_id, source=issue.queue, target=queue, note=note)
    return issues.get(tx, issue_id)


def escalate(tx: Transaction, issue_id: str, actor: str, draft: Draft) -> Issue:
    """Open another issue about a disagreement on this one, which stays as it is; the two are linked.

    Raises Conflict while the same disagreement is open already.
    """
    issues.get(tx, issue_id)
    same = tx.one(
        """SELECT id FROM issues JOIN dependencies d ON d.project = issues.project AND d.issue = issues.id
            WHERE d.project = :project AND d.target = :original AND d.kind = 'related'
              AND body = :body AND status <> 'closed'""",
        original=issue_id,
        body=draft.body,
    )
    if same:
        raise Conflict(f"This was escalated already: {same['id']}.", hint=f"See: intarsia issue show {same['id']}")
    raised = issues.create(tx, draft, actor)
    issues.add_dependency(tx, raised.id, issue_id, "related", actor)
    events.record(tx, "issue_escalated", actor=actor, issue=issue_id, to=raised.id, queue=draft.queue)
    return issues.get(tx, raised.id)


def escalation_body(parts: Mapping[str, str], original: Issue) -> str:
    """The template: disagreement, positions, facts, options. Raises InputError for a missing part."""
    missing = [name for name, text in parts.items() if not text.strip()]
    if missing:
        raise InputError(f"An escalation needs its {', '.join(missing)}.")
    sections = [f"## {name.capitalize()}\n\n{text.strip()}" for name, text in parts.items()]
    return "\n\n".join([*sections, f"## About\n\n{original.id}: {original.title}\n\n{original.body}".rstrip()])


def overdue(tx: Transaction, queue: str | None = None) -> list[Issue]:
    """Unfinished issues whose SLA has passed, the longest overdue first."""
    found = issues.find(tx, statuses=("open", "in_progress", "blocked", "deferred"))
    late = [i for i in found if i.due is not None and i.due < tx.now and queue in (None, i.queue)]
    return sorted(late, key=lambda issue: issue.due or 0)


_UNHELD = """
    SELECT id, assignee FROM issues i
     WHERE i.project = :project AND i.status = 'in_progress' AND i.assignee IS NOT NULL
       AND NOT EXISTS (SELECT 1 FROM sessions s WHERE s.project = i.project AND s.id = i.assignee)
       AND NOT EXISTS (SELECT 1 FROM leases l
                        WHERE l.project = i.project AND l.session = i.assignee
                          AND l.resource = 'issue:' || i.id AND l.expires > :now)
"""


def expire(tx: Transaction, only: str | None = None) -> list[str]:
    """Requeue the issues (or this one) of members whose claim ran out or was lost; returns those requeued."""
    unheld = tx.all(f"{_UNHELD} {'AND i.id = :only' if only else ''} ORDER BY i.id", only=only)
    lapsed = leases.lapsed(tx, "issue:") if unheld else []
    for row in unheld:
        note = f"{row['assignee']} does not hold it any more."
        for lease in lapsed:
            if (lease.resource, lease.session) == (f"issue:{row['id']}", row["assignee"]):
                leases.drop(tx, lease)
                note = f"{lease.session} sent no heartbeat; its claim ran out at {iso(lease.expires)}."
        issues.requeue(tx, row["id"], note, "guardian")
    return [row["id"] for row in unheld]


def let_go(tx: Transaction, lease: Lease) -> None:
    """Release a living grant of a member; the issue that it is a claim on, if it is one, is open again."""
    if issue_id := _claimed(tx, lease):
        release(tx, issue_id, lease.session)
    else:
        leases.release(tx, lease.session, lease.resource)


def take_away(tx: Transaction, lease: Lease, actor: str, note: str = "") -> None:
    """End somebody else's grant, and their claim if it is one. Recorded; the holder's later writes are refused."""
    issue_id = _claimed(tx, lease)
    leases.drop(tx, lease)
    events.record(tx, "lock_forced", actor=actor, resource=lease.resource, holder=lease.session, note=note)
    if issue_id:
        why = f"Taken from {lease.session} by {actor}{f': {note}' if note else ''}."
        issues.requeue(tx, issue_id, why, actor, attempt=False)


def _claimed(tx: Transaction, lease: Lease) -> str | None:
    """The issue that this lease is a claim on; None if it is a mere lock."""
    scheme, _, issue_id = lease.resource.partition(":")
    return issue_id if scheme == "issue" and _is_claim_of(tx, issue_id, lease.session) else None


def _is_claim_of(tx: Transaction, issue_id: str, holder: str) -> bool:
    found = tx.one(
        "SELECT status, assignee FROM issues WHERE project = :project AND id = :id AND status = 'in_progress'",
        id=issue_id,
    )
    return found is not None and found["assignee"] == holder


def _held_by(tx: Transaction, issue_id: str, holder: str) -> Issue:
    """The issue, if `holder` has claimed it and the claim still lives; raises NotHolder, Conflict for a session."""
    issue = issues.get(tx, issue_id)
    try:
        leases.require_holder(tx, issue.resource, holder)
    except NotHolder as error:  # perhaps because just this was done already
        error.hint = f"{issue_id} is {issue.resolution or issue.status}; see: intarsia issue show {issue_id}"
        raise
    if sessions.exists(tx, holder):
        raise Conflict(
            f"{holder} is a session of intarsia run, which judges its work when its turn ends.",
            hint="To end without a commit: intarsia resolve",
        )
    if issue.assignee != holder:
        raise NotHolder(
            f"{holder} has locked {issue_id}, not claimed it.", hint=f"intarsia issue claim {issue_id}", holder=holder
        )
    return issue
