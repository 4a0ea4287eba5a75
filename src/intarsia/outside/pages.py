"""The pages of the mirror: what a queue, an issue and a day look like to a person."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any

from intarsia.clock import iso
from intarsia.config import Queue
from intarsia.kernel import decisions, events, issues
from intarsia.kernel.daily import Summary
from intarsia.kernel.database import Transaction
from intarsia.kernel.engine import Row
from intarsia.kernel.events import Event
from intarsia.kernel.issues import Issue
from intarsia.outside.markdown import facts, fenced, file_name, inline, table

FINISHED_SHOWN = 50
NOTES_SHOWN = 1000


def front_page(project: str, queues: Iterable[str]) -> str:
    links = "\n".join(f"- Queue [{inline(name)}](queues/{file_name(name)})" for name in queues)
    return (
        f"# Project {inline(project)}\n\n"
        "Written by `intarsia mirror`; what is changed here is lost, and changes nothing. Times are UTC.\n\n"
        f"{links}\n- [Issues](issues/)\n- [History](history/)\n- [Daily summaries](summaries/)\n"
    )


def queue_page(tx: Transaction, name: str, queue: Queue | None) -> str:
    rule = queue or Queue()
    waiting = tx.all(
        """SELECT id, title, priority, status, assignee, due FROM issues
            WHERE project = :project AND queue = :queue AND status <> 'closed' ORDER BY priority, created, id""",
        queue=name,
    )
    finished = tx.all(
        """SELECT id, title, resolution, closed FROM issues
            WHERE project = :project AND queue = :queue AND status = 'closed' ORDER BY closed DESC, id LIMIT :limit""",
        queue=name,
        limit=FINISHED_SHOWN,
    )
    parts = [
        f"# Queue {inline(name)}",
        facts(
            {
                "handler": inline(rule.handler),
                "SLA": f"{rule.sla} min" if rule.sla else "none",
                "escalates to": inline(rule.escalate_to),
            }
        ),
        "## Unfinished",
        _waiting_table(waiting) if waiting else "None.",
    ]
    if finished:
        parts += ["## Finished lately", _finished_table(finished)]
    return "\n\n".join(parts) + "\n"


def issue_page(tx: Transaction, issue_id: str) -> str:
    issue = issues.get(tx, issue_id)
    parts = [f"# {inline(issue.id)}: {inline(issue.title)}", facts(_issue_facts(issue))]
    for title, text in {"Body": issue.body, "Acceptance": issue.acceptance}.items():
        if text.strip():
            parts += [f"## {title}", fenced(text)]
    if edges := list(_edges(tx, issue)):
        parts += ["## Dependencies", "\n".join(edges)]
    if concluded := decisions.of(tx, issue_id):
        parts.append("## Decisions")
        for decision in concluded:
            parts += [f"### {decision.kind.capitalize()}, {iso(decision.time)}, {inline(decision.actor)}"]
            parts += [fenced(decision.text)]
    notes = [event for event in events.latest(tx, NOTES_SHOWN, issue=issue_id) if event.data.get("note")]
    if notes:
        parts.append("## Notes")
        for event in notes:
            parts += [f"### {iso(event.time)}, {inline(event.kind)}, {inline(event.actor)}"]
            parts += [fenced(str(event.data["note"]))]
    return "\n\n".join(parts) + "\n"


def summary_page(summary: Summary) -> str:
    parts = [f"# Summary of {inline(summary.date)}"]
    parts.append(facts({"collected": iso(summary.collected) or "not yet", "turn": inline(summary.turn or "")}))
    for entry in summary.entries:
        when = f", {iso(entry.time)}" if entry.time is not None else ""
        parts.append(f"## {inline(entry.agent)}: {entry.status}{when}")
        if entry.text.strip():
            parts.append(fenced(entry.text))
    return "\n\n".join(parts) + "\n"


def _issue_facts(issue: Issue) -> dict[str, str | None]:
    return {
        "status": issue.status,
        "resolution": inline(issue.resolution or ""),
        "queue": f"[{inline(issue.queue)}](../queues/{file_name(issue.queue)})",
        "type": inline(issue.type),
        "priority": f"P{issue.priority}",
        "assignee": inline(issue.assignee or ""),
        "SLA": f"due {iso(issue.due)}" if issue.due is not None else "none",
        "labels": inline(", ".join(issue.labels)),
        "expects to write": inline(", ".join(issue.claims)),
        "external": inline(issue.external or ""),
        "attempts": str(issue.attempts or ""),
        "not before": iso(issue.not_before),
        "created": iso(issue.created),
        "closed": iso(issue.closed),
    }


def _edges(tx: Transaction, issue: Issue) -> Iterator[str]:
    """What it names itself, and who names it; not its children, as a change of parent is no event of the old parent."""
    words = {
        "blocks": ("waits for", "waits for it"),
        "related": ("is related to", "is related to it"),
        "discovered-from": ("was found during", "was found during it"),
    }
    if issue.parent:
        yield f"- belongs to {_issue_link(issue.parent)}"
    for edge in issues.dependencies(tx, issue.id):
        if edge["kind"] not in words:
            continue
        outward, inward = words[edge["kind"]]
        if edge["issue"] == issue.id:
            yield f"- {outward} {_issue_link(edge['target'])}"
        else:
            yield f"- {_issue_link(edge['issue'])} {inward}"


def _issue_link(issue_id: str, prefix: str = "") -> str:
    return f"[{inline(issue_id)}]({prefix}{file_name(issue_id)})"


def _waiting_table(rows: Iterable[Row]) -> str:
    head = ("Issue", "", "Status", "Priority", "Assignee", "SLA")
    return table(
        head,
        (
            [
                _issue_link(row["id"], "../issues/"),
                inline(row["title"]),
                inline(row["status"]),
                f"P{row['priority']}",
                inline(row["assignee"] or ""),
                f"due {iso(row['due'])}" if row["due"] is not None else "",
            ]
            for row in rows
        ),
    )


def _finished_table(rows: Iterable[Row]) -> str:
    cells = (
        [
            _issue_link(row["id"], "../issues/"),
            inline(row["title"]),
            inline(row["resolution"] or ""),
            iso(row["closed"]),
        ]
        for row in rows
    )
    return table(("Issue", "", "Resolution", "Closed"), ([cell or "" for cell in row] for row in cells))


def history_line(event: Event) -> str:
    issue = f" {_issue_link(event.issue, '../issues/')}" if event.issue else ""
    data = ", ".join(f"{key}: {_shown(value)}" for key, value in event.data.items() if value not in (None, "", [], {}))
    told = f": {inline(data[:500])}" if data else ""
    return f"- {(iso(event.time) or '')[11:]} {inline(event.kind)}{issue} by {inline(event.actor)}{told}"


def _shown(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
