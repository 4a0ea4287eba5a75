"""Storing what was read of a Mai project.

Mai counts its ids per queue, so that one id may name several issues: those are stored as QUEUE-ID, and what only names
the id (decisions, references, history) is attached to none of them.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from intarsia.errors import Conflict
from intarsia.kernel import events, issues
from intarsia.kernel.database import Transaction
from intarsia.outside.mai import ACTOR, AMENDED, CLAIMED, Found, Mai

_WORD = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


class Imported(Struct, frozen=True):
    """What was stored; `collisions` maps an id of Mai that named several issues to the ids they have now."""

    issues: dict[str, str]
    collisions: dict[str, list[str]]
    decisions: int
    history: int
    summaries: int
    remarks: list[str]
    again: bool = False

    def as_json(self) -> dict[str, Any]:
        return msgspec.structs.asdict(self)


def store(tx: Transaction, mai: Mai, actor: str) -> Imported:
    """Put all of it into an empty or used project; once: what was stored before is not stored again.

    Raises Conflict when another state of a Mai project was imported before.
    """
    if before := _earlier(tx):
        if before.get("digest") != mai.digest:
            raise Conflict(f"A Mai project was imported into this project already: {before.get('source')}.")
        return Imported(before["issues"], before["collisions"], 0, 0, 0, [], again=True)
    ambiguous = _ambiguous(mai)
    names, collisions = _choose_ids(tx, mai, ambiguous)
    several = {mai_id: collisions.get(mai_id, []) for mai_id in ambiguous}
    plain = {found.mai_id: names[found.queue, found.mai_id] for found in mai.issues if found.mai_id not in ambiguous}
    remarks = list(mai.rules.remarks)
    for found in mai.issues:
        _store_issue(tx, mai, found, names[found.queue, found.mai_id], alone=found.mai_id in plain)
    for found in mai.issues:
        remarks += _store_references(tx, found, names[found.queue, found.mai_id], plain, several)
    remarks += _store_conclusions(tx, mai, plain, several)
    _store_history(tx, mai, plain)
    remarks += _store_days(tx, mai)
    kept = {f"{queue}/{mai_id}": issue_id for (queue, mai_id), issue_id in names.items()}
    events.record(
        tx,
        "mai_imported",
        actor=actor,
        source=str(mai.root),
        digest=mai.digest,
        issues=kept,
        collisions=collisions,
    )
    decided = sum(conclusion.mai_id in plain for conclusion in mai.conclusions)
    return Imported(kept, collisions, decided, len(mai.history), len(mai.days), remarks)


def _ambiguous(mai: Mai) -> set[str]:
    """Ids of which there are several files, also if some of them can't be read."""
    unread = [Path(broken.file) for broken in mai.broken]
    count = Counter(found.mai_id for found in mai.issues)
    count.update(path.stem for path in unread if path.parts[0] == "queues")
    return {mai_id for mai_id in count if count[mai_id] > 1}


def _choose_ids(
    tx: Transaction, mai: Mai, ambiguous: set[str]
) -> tuple[dict[tuple[str, str], str], dict[str, list[str]]]:
    """An id for each issue: its own, unless that is ambiguous, or an issue that is here already has it."""
    taken = {row["id"] for row in tx.all("SELECT id FROM issues WHERE project = :project")}
    shared = ambiguous | taken
    names = {(found.queue, found.mai_id): found.mai_id for found in mai.issues if found.mai_id not in shared}
    taken |= set(names.values())
    collisions: dict[str, list[str]] = {}
    for found in mai.issues:
        if found.mai_id in shared:
            stem = f"{found.queue[: 60 - len(found.mai_id)].rstrip('.-')}-{found.mai_id}"
            chosen, number = stem, 2
            while chosen in taken:
                chosen, number = f"{stem}-{number}", number + 1
            taken.add(chosen)
            names[found.queue, found.mai_id] = chosen
            collisions.setdefault(found.mai_id, []).append(chosen)
    return names, collisions


def _store_issue(tx: Transaction, mai: Mai, found: Found, issue_id: str, *, alone: bool) -> None:
    concluded = [c for c in mai.conclusions if c.mai_id == found.mai_id and c.kind == "conclusion"]
    status = found.status
    if status in AMENDED:
        status = "closed" if alone and concluded else "open"
    closed = None
    if status == "closed":
        closed = max((c.time for c in concluded), default=tx.now) if alone else tx.now
    tx.execute(
        """INSERT INTO issues (project, id, title, body, acceptance, type, priority, status, queue, labels, claims,
               external, resolution, attempts, due, created, updated, closed)
           VALUES (:project, :id, :title, :body, '', 'task', 2, :status, :queue, '[]', '[]',
               :external, :resolution, 0, :due, :created, :now, :closed)""",
        id=issue_id,
        title=found.title,
        body=found.body,
        status=status,
        queue=found.queue,
        external=found.mai_id,
        resolution="completed" if status == "closed" else None,
        due=found.due,
        created=found.created,
        closed=closed,
    )
    _record(tx, found.created, ACTOR, issue_id, title=found.title, status=found.said, external=found.mai_id,
            initiator=found.initiator, handler=found.handler)  # fmt: skip
    for note in found.timeline:
        _record(tx, note.time, note.actor, issue_id, note=note.text)
    if found.said in CLAIMED:
        _record(tx, tx.now, ACTOR, issue_id, note="It was claimed in Mai; a claim there is no lease, so it is open.")
    elif found.status in AMENDED:
        _record(tx, tx.now, ACTOR, issue_id, note=f"Mai only said that it was amended; it is {status}.")


def _store_references(
    tx: Transaction, found: Found, issue_id: str, plain: Mapping[str, str], several: Mapping[str, list[str]]
) -> list[str]:
    remarks = []
    for reference in found.references:
        target = plain.get(reference)
        if target is not None and target != issue_id:
            issues.add_dependency(tx, issue_id, target, "related", ACTOR)
            continue
        why = f"may mean {', '.join(several[reference])}" if reference in several else "is no other issue"
        remarks.append(f"{issue_id} refers to {reference}, which {why}; kept as a note.")
        _record(tx, found.created, ACTOR, issue_id, note=f"It refers to {reference}.")
    return remarks


def _store_conclusions(
    tx: Transaction, mai: Mai, plain: Mapping[str, str], several: Mapping[str, list[str]]
) -> list[str]:
    apart: dict[str, int] = {}
    for conclusion in mai.conclusions:
        issue_id = plain.get(conclusion.mai_id)
        if issue_id is None:
            apart[conclusion.mai_id] = apart.get(conclusion.mai_id, 0) + 1
            _record(tx, conclusion.time, conclusion.actor, None, external=conclusion.mai_id,
                    type=conclusion.kind, text=conclusion.text)  # fmt: skip
            continue
        tx.execute(
            """INSERT INTO decisions (project, issue, actor, kind, text, time)
               VALUES (:project, :issue, :actor, :kind, :text, :time)""",
            issue=issue_id,
            actor=conclusion.actor,
            kind=conclusion.kind,
            text=conclusion.text,
            time=conclusion.time,
        )
    return [
        f"{number} decisions on {mai_id} are in the log only: "
        + ("they may be on any of " + ", ".join(several[mai_id]) if mai_id in several else "there is no such issue")
        for mai_id, number in apart.items()
    ]


def _store_history(tx: Transaction, mai: Mai, plain: Mapping[str, str]) -> None:
    """A line belongs to an issue if it names that one, and no other."""
    for note in mai.history:
        named = {plain[word] for word in _WORD.findall(note.text) if word in plain}
        issue = named.pop() if len(named) == 1 else None
        _record(tx, note.time, note.actor, issue, type=note.type, text=note.text, status=note.status)


def _store_days(tx: Transaction, mai: Mai) -> list[str]:
    known = {row["date"] for row in tx.all("SELECT date FROM dailies WHERE project = :project")}
    order = {agent: place for place, agent in enumerate(mai.rules.daily)}
    remarks = [f"The daily summary of {date} is here already." for date in sorted({d.date for d in mai.days} & known)]
    for date in sorted({day.date for day in mai.days} - known):
        days = sorted((day for day in mai.days if day.date == date), key=lambda day: order.get(day.agent, len(order)))
        times = [day.time for day in days]
        tx.execute(
            """INSERT INTO dailies (project, date, opened, collected)
               VALUES (:project, :date, :opened, :collected)""",
            date=date,
            opened=min(times),
            collected=max(times),
        )
        for place, day in enumerate(days):
            tx.execute(
                """INSERT INTO summaries (project, date, agent, place, status, text, time)
                   VALUES (:project, :date, :agent, :place, 'written', :text, :time)""",
                date=date,
                agent=day.agent,
                place=place,
                text=day.text,
                time=day.time,
            )
        _record(tx, tx.now, ACTOR, None, type="daily_summary", date=date)
    return remarks


def _record(tx: Transaction, time: float, actor: str, issue: str | None, **data: Any) -> None:
    """An event of kind `imported`, at the time it happened."""
    tx.execute(
        """INSERT INTO events (project, time, issue, actor, kind, data)
           VALUES (:project, :time, :issue, :actor, 'imported', :data)""",
        time=time,
        issue=issue,
        actor=actor,
        data=json.dumps({key: value for key, value in data.items() if value not in ("", None)}),
    )


def _earlier(tx: Transaction) -> dict[str, Any] | None:
    """The record of an import that was done before."""
    rows = tx.all("SELECT data FROM events WHERE project = :project AND kind = 'mai_imported' ORDER BY id DESC LIMIT 1")
    data: dict[str, Any] | None = json.loads(rows[0]["data"]) if rows else None
    return data
