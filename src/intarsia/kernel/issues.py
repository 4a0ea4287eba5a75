"""Units of work: what is ready, who works on it, what waits for what."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Collection, Sequence
from typing import Any

import msgspec
from msgspec import Struct, field

from intarsia.clock import iso
from intarsia.errors import Conflict, InputError, NotFound
from intarsia.kernel import events, leases
from intarsia.kernel.database import Transaction
from intarsia.kernel.engine import Row
from intarsia.kernel.modes import Mode
from intarsia.kernel.resources import parse

TYPES = ("task", "bug", "feature", "chore", "epic")
STATUSES = ("open", "in_progress", "blocked", "deferred", "closed")
DEPENDENCY_KINDS = ("blocks", "parent-child", "related", "discovered-from")
NEEDS_FOLLOWUP = "needs-followup"
ID_PATTERN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


class Draft(Struct, frozen=True):
    """What a person gives to make an issue; everything else starts at its default. `sla` is in minutes, 0 for none."""

    title: str
    body: str = ""
    acceptance: str = ""
    type: str = "task"
    priority: int = 2
    labels: Sequence[str] = ()
    claims: Sequence[str] = ()
    parent: str | None = None
    needs: Sequence[str] = ()
    blocks: Sequence[str] = ()
    external: str | None = None
    queue: str = "default"
    id: str | None = None
    prefix: str = "ia"
    sla: int = 0


class Issue(Struct, frozen=True):
    id: str
    title: str
    body: str
    acceptance: str
    type: str
    priority: int
    status: str
    queue: str
    labels: list[str]
    assignee: str | None
    claims: list[str]
    parent: str | None
    external: str | None
    resolution: str | None
    attempts: int
    not_before: float | None
    due: float | None
    created: float
    updated: float
    closed: float | None
    needs: list[str] = field(default_factory=list)

    @property
    def resource(self) -> str:
        return f"issue:{self.id}"

    def as_json(self) -> dict[str, Any]:
        times = {name: iso(getattr(self, name)) for name in ("not_before", "due", "created", "updated", "closed")}
        return {**msgspec.structs.asdict(self), **times}


def create(tx: Transaction, draft: Draft, actor: str) -> Issue:
    """Store a new issue with its dependencies; raises InputError for bad values, NotFound for unknown ids."""
    _check(draft)
    if draft.id is not None and _row(tx, draft.id):
        raise InputError(f"There is already an issue {draft.id}.")
    issue_id = draft.id or _fresh_id(tx, draft.prefix)
    for other in (*draft.needs, *draft.blocks, *([draft.parent] if draft.parent else [])):
        get(tx, other)
    tx.execute(
        """INSERT INTO issues (project, id, title, body, acceptance, type, priority, status, queue, labels, claims,
               parent, external, due, attempts, created, updated)
           VALUES (:project, :id, :title, :body, :acceptance, :type, :priority, 'open', :queue, :labels, :claims,
               :parent, :external, :due, 0, :now, :now)""",
        id=issue_id,
        title=draft.title.strip(),
        body=draft.body,
        acceptance=draft.acceptance,
        type=draft.type,
        priority=draft.priority,
        queue=draft.queue,
        labels=json.dumps(sorted(set(draft.labels))),
        claims=json.dumps(list(draft.claims)),
        parent=draft.parent,
        external=draft.external,
        due=tx.now + draft.sla * 60 if draft.sla else None,
    )
    for needed in draft.needs:
        add_dependency(tx, issue_id, needed, "blocks", actor)
    for waiting in draft.blocks:
        add_dependency(tx, waiting, issue_id, "blocks", actor)
    events.record(tx, "issue_created", actor=actor, issue=issue_id, title=draft.title.strip())
    return get(tx, issue_id)


def get(tx: Transaction, issue_id: str) -> Issue:
    row = _row(tx, issue_id)
    if row is None:
        raise NotFound(f"There is no issue {issue_id}.", hint="See: intarsia issue list")
    return _issues(tx, [row])[0]


def find(
    tx: Transaction, *, statuses: Collection[str] = STATUSES, label: str | None = None, limit: int = 1_000_000
) -> list[Issue]:
    """Issues of these statuses, most urgent first."""
    rows = tx.all(
        f"""SELECT * FROM issues WHERE project = :project AND status IN ({_quoted(statuses)})
            ORDER BY priority, created, id LIMIT :limit""",
        limit=limit,
    )
    return [issue for issue in _issues(tx, rows) if label is None or label in issue.labels]


def counts(tx: Transaction) -> dict[str, int]:
    rows = tx.all("SELECT status, count(*) AS n FROM issues WHERE project = :project GROUP BY status")
    found = {row["status"]: row["n"] for row in rows}
    return {status: found.get(status, 0) for status in STATUSES}


_READY = """
    WITH RECURSIVE waiting (id) AS (
        SELECT d.issue FROM dependencies d
          JOIN issues b ON b.project = d.project AND b.id = d.target AND b.status <> 'closed'
         WHERE d.project = :project AND d.kind = 'blocks'
        UNION
        SELECT i.id FROM issues i JOIN waiting w ON i.parent = w.id WHERE i.project = :project
    )
    SELECT * FROM issues
     WHERE project = :project AND status = 'open' AND type <> 'epic'
       AND (not_before IS NULL OR not_before <= :now)
       AND id NOT IN (SELECT id FROM waiting)
"""


def ready(
    tx: Transaction, only: Collection[str] = (), queues: Collection[str] = (), limit: int = 1_000_000
) -> list[Issue]:
    """Open issues nothing stands in the way of, most urgent first; only these ids and queues, where any are given."""
    among = f"AND id IN ({_quoted(only)})" if only else ""
    names = {f"queue{n}": queue for n, queue in enumerate(queues)}
    among += f" AND queue IN ({', '.join(f':{name}' for name in names)})" if names else ""
    return _issues(tx, tx.all(f"{_READY} {among} ORDER BY priority, created, id LIMIT :limit", limit=limit, **names))


def claim(
    tx: Transaction, session: str, ttl: int, only: Collection[str] = (), queues: Collection[str] = ()
) -> tuple[Issue, leases.Lease] | None:
    """Give the most urgent ready issue to `session`, with its lease; None when nothing is ready."""
    issue = _first_free(tx, session, only, queues)
    if issue is None:
        return None
    lease = leases.acquire(tx, session, issue.resource, ttl, note=issue.title)
    change(tx, issue.id, status="in_progress", assignee=session)
    return get(tx, issue.id), lease


def _first_free(tx: Transaction, session: str, only: Collection[str], queues: Collection[str]) -> Issue | None:
    """The most urgent ready issue that nobody has locked; nearly always simply the first."""
    for limit in (1, 1_000_000):
        for issue in ready(tx, only, queues, limit):
            if not leases.conflicting(tx, session, leases.wants({issue.resource: "exclusive"})):
                return issue
    return None


def close(tx: Transaction, issue_id: str, resolution: str, actor: str, session: str | None = None) -> Issue:
    """Finish an issue for good. Raises Conflict if it is closed already."""
    issue = get(tx, issue_id)
    if issue.status == "closed":
        raise Conflict(f"{issue_id} is closed already ({issue.resolution}).")
    change(tx, issue_id, status="closed", resolution=resolution, assignee=None, closed=tx.now)
    events.record(tx, "issue_closed", actor=actor, issue=issue_id, session=session, resolution=resolution)
    return get(tx, issue_id)


def reopen(tx: Transaction, issue_id: str, actor: str, note: str = "") -> Issue:
    issue = get(tx, issue_id)
    if issue.status == "open":
        raise Conflict(f"{issue_id} is open already.")
    labels = [label for label in issue.labels if label != NEEDS_FOLLOWUP]
    change(tx, issue_id, status="open", resolution=None, assignee=None, closed=None, labels=json.dumps(labels))
    events.record(tx, "issue_reopened", actor=actor, issue=issue_id, note=note)
    return get(tx, issue_id)


def requeue(
    tx: Transaction, issue_id: str, note: str, actor: str, *, session: str | None = None, attempt: bool = True
) -> None:
    """Put a claimed issue back among the open ones and say why; counts as an attempt unless told otherwise."""
    issue = get(tx, issue_id)
    change(tx, issue_id, status="open", assignee=None, attempts=issue.attempts + int(attempt))
    events.record(tx, "issue_requeued", actor=actor, issue=issue_id, session=session, note=note)


def block(tx: Transaction, issue_id: str, note: str, actor: str, session: str | None = None) -> None:
    """Set an issue aside for a person: status blocked, label needs-followup, and the reason as a note."""
    issue = get(tx, issue_id)
    labels = sorted({*issue.labels, NEEDS_FOLLOWUP})
    change(tx, issue_id, status="blocked", assignee=None, attempts=issue.attempts + 1, labels=json.dumps(labels))
    events.record(tx, "issue_blocked", actor=actor, issue=issue_id, session=session, note=note)


def notes(tx: Transaction, issue_id: str) -> list[str]:
    """Why it was blocked, requeued or reopened, oldest first."""
    return [event.data["note"] for event in events.latest(tx, 1000, issue=issue_id) if event.data.get("note")]


def add_dependency(tx: Transaction, issue_id: str, target: str, kind: str, actor: str) -> None:
    """Record that `issue_id` waits for `target` (blocks), is its child (parent-child) or refers to it."""
    if kind not in DEPENDENCY_KINDS:
        raise InputError(f"A dependency is one of {', '.join(DEPENDENCY_KINDS)}, not {kind!r}.")
    get(tx, issue_id)
    get(tx, target)
    if kind in ("blocks", "parent-child"):
        _refuse_cycle(tx, issue_id, target)
    if kind == "parent-child":
        change(tx, issue_id, parent=target)
    else:
        tx.execute(
            """INSERT INTO dependencies (project, issue, target, kind) VALUES (:project, :issue, :target, :kind)
               ON CONFLICT DO NOTHING""",
            issue=issue_id,
            target=target,
            kind=kind,
        )
    events.record(tx, "dependency_added", actor=actor, issue=issue_id, target=target, dependency=kind)


def remove_dependency(tx: Transaction, issue_id: str, target: str, actor: str) -> None:
    """Forget every dependency of `issue_id` on `target`; raises NotFound if there is none."""
    issue = get(tx, issue_id)
    removed = tx.execute(
        "DELETE FROM dependencies WHERE project = :project AND issue = :issue AND target = :target",
        issue=issue_id,
        target=target,
    )
    if issue.parent == target:
        change(tx, issue_id, parent=None)
    elif not removed:
        raise NotFound(f"{issue_id} does not depend on {target}.", hint=f"See: intarsia issue show {issue_id}")
    events.record(tx, "dependency_removed", actor=actor, issue=issue_id, target=target)


def dependencies(tx: Transaction, issue_id: str) -> list[dict[str, str]]:
    """All edges at this issue: `issue` waits for, belongs to or refers to `target`."""
    edges = tx.all(
        """SELECT issue, target, kind FROM dependencies
            WHERE project = :project AND (issue = :id OR target = :id) ORDER BY issue, target, kind""",
        id=issue_id,
    )
    family = tx.all(
        """SELECT id AS issue, parent AS target, 'parent-child' AS kind FROM issues
            WHERE project = :project AND parent IS NOT NULL AND (id = :id OR parent = :id) ORDER BY id""",
        id=issue_id,
    )
    return edges + family


def _refuse_cycle(tx: Transaction, issue_id: str, target: str) -> None:
    """Walk from `target` along what it waits for; meeting `issue_id` would close a circle."""
    came_from: dict[str, str | None] = {target: None}
    todo = [target]
    while todo:
        here = todo.pop()
        if here == issue_id:
            path = [here]
            while (step := came_from[path[-1]]) is not None:
                path.append(step)
            circle = " → ".join([issue_id, *reversed(path)])
            raise InputError(f"That would be a circle of dependencies: {circle}.")
        for following in _waits_for(tx, here):
            if following not in came_from:
                came_from[following] = here
                todo.append(following)


def _waits_for(tx: Transaction, issue_id: str) -> list[str]:
    rows = tx.all(
        """SELECT target FROM dependencies WHERE project = :project AND issue = :id AND kind = 'blocks'
           UNION SELECT parent AS target FROM issues WHERE project = :project AND id = :id AND parent IS NOT NULL""",
        id=issue_id,
    )
    return [row["target"] for row in rows]


def _check(draft: Draft) -> None:
    if not draft.title.strip():
        raise InputError("An issue needs a title.")
    if "\n" in draft.title or len(draft.title) > 300:
        raise InputError("A title is one line of at most 300 characters.", hint="Put the rest into the body.")
    if draft.type not in TYPES:
        raise InputError(f"A type is one of {', '.join(TYPES)}, not {draft.type!r}.")
    if isinstance(draft.priority, bool) or draft.priority not in range(5):
        raise InputError(f"A priority is 0 (most urgent) to 4, not {draft.priority!r}.")
    if draft.id is not None:
        check_id(draft.id)
    if "\x00" in draft.title + draft.body + draft.acceptance:
        raise InputError("The text holds a NUL byte.")
    for claim in draft.claims:
        parse_claim(claim)


def parse_claim(text: str) -> tuple[str, Mode]:
    """The resource that an issue expects to write, and how: exclusively, unless a mode stands before it.

    `code:src/a.py`, or `insert code:src/a.py#Class`; raises InputError.
    """
    mode, space, name = text.strip().partition(" ")
    if not space or ":" in mode:
        return parse(text.strip()).name, "exclusive"
    return parse(name.strip()).name, leases.check_mode(mode)


def check_id(issue_id: str) -> None:
    """Ids become parts of branch names and trailers, so they must be safe there."""
    if not ID_PATTERN.fullmatch(issue_id) or ".." in issue_id or issue_id.endswith((".", ".lock")):
        raise InputError(
            f"{issue_id!r} can't be an issue id.",
            hint="Use letters, digits, '.', '_' and '-', at most 64, letter or digit first.",
        )


def _fresh_id(tx: Transaction, prefix: str) -> str:
    size = 2
    while _row(tx, candidate := f"{prefix}-{os.urandom(size).hex()}"):
        size = min(size + 1, 8)
    return candidate


def _row(tx: Transaction, issue_id: str) -> Row | None:
    return tx.one("SELECT * FROM issues WHERE project = :project AND id = :id", id=issue_id)


def change(tx: Transaction, issue_id: str, **values: Any) -> None:
    """Set columns of an issue; the caller records why."""
    assignments = ", ".join(f"{name} = :{name}" for name in values)
    tx.execute(
        f"UPDATE issues SET {assignments}, updated = :now WHERE project = :project AND id = :id", id=issue_id, **values
    )


def _issues(tx: Transaction, rows: list[Row]) -> list[Issue]:
    needs = _needs(tx, [row["id"] for row in rows])
    return [_issue(row, needs.get(row["id"], [])) for row in rows]


def _needs(tx: Transaction, ids: list[str]) -> dict[str, list[str]]:
    """What each of these issues waits for."""
    if not ids:
        return {}
    only = f"AND issue = '{ids[0]}'" if len(ids) == 1 else ""
    found: dict[str, list[str]] = {}
    for row in tx.all(
        f"""SELECT issue, target FROM dependencies WHERE project = :project AND kind = 'blocks' {only}
             ORDER BY issue, target"""
    ):
        found.setdefault(row["issue"], []).append(row["target"])
    return found


def _issue(row: Row, needs: list[str]) -> Issue:
    values = {name: value for name, value in row.items() if name != "project"}
    return Issue(**{**values, "labels": json.loads(row["labels"]), "claims": json.loads(row["claims"])}, needs=needs)


def _quoted(words: Collection[str]) -> str:
    """A list for SQL's IN; every word is a status or an id that passed `check_id`."""
    for word in words:
        check_id(word)
    return ", ".join(f"'{word}'" for word in words)
