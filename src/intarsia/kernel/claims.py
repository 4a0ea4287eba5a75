"""Working on an issue without `intarsia run`: a person or foreign agent claims it, keeps it alive, and finishes it.

The claim is the exclusive lease on `issue:ID`; only who holds it may renew, finish or hand it on.
"""

from __future__ import annotations

from collections.abc import Mapping

from intarsia.clock import iso
from intarsia.errors import Conflict, InputError
from intarsia.kernel import decisions, events, issues, leases, sessions
from intarsia.kernel.database import Transaction
from intarsia.kernel.issues import Draft, Issue
from intarsia.kernel.leases import Lease


def claim(tx: Transaction, issue_id: str, holder: str, ttl: int) -> Lease:
    """Take an open, ready issue; raises Held or Conflict that says what stands in the way. Claiming again renews."""
    issue = issues.get(tx, issue_id)
    current = next(iter(leases.on(tx, issue.resource)), None)
    if current is not None and current.session == holder:
        leases.renew_one(tx, holder, issue.resource, ttl)
        return leases.require_holder(tx, issue.resource, holder)
    if current is not None:
        raise leases.held_error(current)
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
    resource = issues.get(tx, issue_id).resource
    leases.require_holder(tx, resource, holder)
    leases.renew_one(tx, holder, resource, ttl)
    return leases.require_holder(tx, resource, holder)


def complete(tx: Transaction, issue_id: str, holder: str, conclusion: str) -> Issue:
    """Close the issue with its conclusion, which is recorded as a decision; raises NotHolder."""
    issue = issues.get(tx, issue_id)
    leases.require_holder(tx, issue.resource, holder)
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
    issue = issues.get(tx, issue_id)
    leases.require_holder(tx, issue.resource, holder)
    leases.release(tx, holder, issue.resource)
    issues.requeue(tx, issue_id, note or f"Released by {holder}.", holder, attempt=False)
    return issues.get(tx, issue_id)


def block(tx: Transaction, issue_id: str, actor: str, note: str) -> Issue:
    """Set an issue aside; one that is claimed only by its holder, whose claim ends."""
    issue = issues.get(tx, issue_id)
    if not note.strip():
        raise InputError("Say what blocks it.")
    if issue.status == "in_progress":
        leases.require_holder(tx, issue.resource, actor)
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
    """Open another issue about a disagreement on this one, which stays as it is; the two are linked."""
    issues.get(tx, issue_id)
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


def expire(tx: Transaction) -> list[str]:
    """Requeue the issues of members whose claim ran out, and drop their other leases that did; returns the issues."""
    gone = []
    for lease in leases.lapsed(tx, "issue:"):
        if sessions.exists(tx, lease.session):
            continue
        issue_id = lease.resource.removeprefix("issue:")
        leases.drop(tx, lease)
        if issues.get(tx, issue_id).assignee == lease.session:
            note = f"{lease.session} sent no heartbeat; its claim ran out at {iso(lease.expires)}."
            issues.requeue(tx, issue_id, note, "guardian", session=None)
            gone.append(issue_id)
    return gone
