"""The project as Markdown for people to read, kept up from events, one way: nothing is ever read back.

    README.md  queues/NAME.md  issues/ID.md  history/DATE.md  summaries/DATE.md

All pages but history say how things stand, so writing one again does no harm; they are written before the cursor moves
past the events that changed them. A page of history grows, and its last line says up to which event it does.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable, Mapping
from itertools import groupby
from pathlib import Path
from typing import Any

from msgspec import Struct

from intarsia.clock import iso
from intarsia.config import Queue
from intarsia.errors import Conflict
from intarsia.kernel import daily, events
from intarsia.kernel.database import Database
from intarsia.kernel.events import Event
from intarsia.outside.folder import TEMPORARY, Folder
from intarsia.outside.markdown import file_name
from intarsia.outside.pages import front_page, history_line, issue_page, queue_page, summary_page

STATE = ".intarsia-mirror.json"
FORMAT = 1
FOLDERS = ("queues", "issues", "history", "summaries")
BATCH = 5000
AT_ONCE = 200
_MARK = re.compile(r"<!-- through event (\d+) -->\n\Z")
_DATE = re.compile(r"\d{4}-\d\d-\d\d")


class Update(Struct, frozen=True):
    """What one pass did: `files` that were written or removed, and the event up to which the mirror is complete."""

    events: int
    files: list[str]
    cursor: int

    def as_json(self) -> dict[str, Any]:
        return {"events": self.events, "files": self.files, "cursor": self.cursor}


class Mirror:
    """A directory that follows one project. One process writes to it at a time, and may be killed at any instant."""

    def __init__(
        self, database: Database, directory: Path, queues: Mapping[str, Queue], *, dry_run: bool = False
    ) -> None:
        """Raises Conflict for a directory that holds something else, or that another process writes to."""
        self._database = database
        self._queues = queues
        self._dry_run = dry_run
        self._folder = Folder.open(directory, dry_run=dry_run)
        try:
            self._folder.lock()
            self._folders: dict[str, Folder] = {}
            self._cursor, self._whole = self._state()
            if not self._whole:
                self._save(0, whole=False)  # before anything else is in it, so that it is known for a mirror
            self._folders = {name: self._folder.inside(name) for name in FOLDERS}
            for folder in (self._folder, *self._folders.values()):
                folder.remove(TEMPORARY)  # of one that was killed
        except BaseException:
            self._folder.close()
            raise
        self._written: list[str] = []

    def update(self, *, rebuild: bool = False) -> Update:
        """Write what has changed since the last pass; with `rebuild` look at everything, and remove what is no more."""
        self._written = []
        if rebuild or not self._whole or self._is_ahead():
            return self._rebuild()
        try:
            return self._follow()
        except _Unreadable:
            return self._rebuild()

    def close(self) -> None:
        for folder in (*self._folders.values(), self._folder):
            folder.close()

    def _state(self) -> tuple[int, bool]:
        """The cursor, and whether all before it is there."""
        content = self._folder.read(STATE)
        if content is None:
            if self._folder.names():
                raise Conflict(
                    f"{self._folder.path} is not empty, and no mirror.",
                    hint="Name a directory that does not exist yet.",
                )
            return 0, False
        try:
            state = json.loads(content)
            found, project, cursor, whole = state["format"], state["project"], int(state["cursor"]), state["whole"]
        except (ValueError, KeyError, TypeError) as error:
            raise Conflict(f"{self._folder.path / STATE} can't be read, so this may be no mirror.") from error
        if project != self._database.project:
            raise Conflict(f"{self._folder.path} is the mirror of another project, {project}.")
        return cursor, whole is True and found == FORMAT

    def _save(self, cursor: int, whole: bool) -> None:
        for folder in (*self._folders.values(), self._folder):
            folder.settle()
        state = {"format": FORMAT, "project": self._database.project, "cursor": cursor, "whole": whole}
        self._folder.write(STATE, json.dumps(state).encode() + b"\n")
        self._cursor, self._whole = cursor, whole

    def _is_ahead(self) -> bool:
        with self._database.read() as tx:
            row = tx.one("SELECT coalesce(max(id), 0) AS last FROM events WHERE project = :project")
        return row is not None and row["last"] < self._cursor

    def _follow(self) -> Update:
        changed: set[str] = set()
        dates: set[str] = set()
        count = 0
        cursor = self._cursor
        while batch := self._events(cursor):
            self._write_history(batch, replace=())
            changed |= _issues_of(batch)
            dates |= _dates_of(batch)
            count += len(batch)
            cursor = batch[-1].id
        self._write_issues(changed)
        self._write_summaries(dates)
        self._write_queues()
        if cursor != self._cursor or self._written:
            self._save(cursor, whole=True)
        return Update(count, sorted(set(self._written)), cursor)

    def _rebuild(self) -> Update:
        self._save(0, whole=False)
        days: set[str] = set()
        count = cursor = 0
        while batch := self._events(cursor):
            fresh = {_day(event) for event in batch} - days
            days |= fresh
            self._write_history(batch, replace=days if self._dry_run else fresh)
            count += len(batch)
            cursor = batch[-1].id
        with self._database.read() as tx:
            ids = [row["id"] for row in tx.all("SELECT id FROM issues WHERE project = :project ORDER BY id")]
            dates = {row["date"] for row in tx.all("SELECT date FROM dailies WHERE project = :project")}
        self._write_issues(ids)
        self._write_summaries(dates)
        self._write_queues()
        self._keep_only("history", map(file_name, days))
        self._keep_only("issues", map(file_name, ids))
        self._keep_only("summaries", map(file_name, dates))
        self._save(cursor, whole=True)
        return Update(count, sorted(set(self._written)), cursor)

    def _events(self, cursor: int) -> list[Event]:
        with self._database.read() as tx:
            return events.since(tx, cursor, limit=BATCH)

    def _write_history(self, batch: Collection[Event], replace: Collection[str]) -> None:
        """Add events to the pages of their days, each once, whatever was written before."""
        for day, found in groupby(sorted(batch, key=lambda event: (_day(event), event.id)), key=_day):
            name = file_name(day)
            before, through = "", 0
            if day not in replace and (content := self._folders["history"].read(name)) is not None:
                before, through = _split_history(content)
            fresh = [event for event in found if event.id > through]
            if fresh:
                head = before or f"# History of {day}\n\nTimes are UTC.\n\n"
                lines = "".join(f"{history_line(event)}\n" for event in fresh)
                self._write("history", name, f"{head}{lines}<!-- through event {fresh[-1].id} -->\n")

    def _write_issues(self, ids: Iterable[str]) -> None:
        todo = sorted(ids)
        for start in range(0, len(todo), AT_ONCE):
            pages: dict[str, str] = {}
            with self._database.read() as tx:
                for issue_id in todo[start : start + AT_ONCE]:
                    if tx.one("SELECT 1 AS one FROM issues WHERE project = :project AND id = :id", id=issue_id):
                        pages[issue_id] = issue_page(tx, issue_id)
            for issue_id, text in pages.items():
                self._write("issues", file_name(issue_id), text)

    def _write_summaries(self, dates: Iterable[str]) -> None:
        for date in sorted(dates):
            with self._database.read() as tx:
                summary = daily.find(tx, date)
            if summary is not None:
                self._write("summaries", file_name(date), summary_page(summary))
            elif file_name(date) in self._folders["summaries"].names():
                self._remove("summaries", file_name(date))

    def _write_queues(self) -> None:
        with self._database.read() as tx:
            used = tx.all("SELECT DISTINCT queue FROM issues WHERE project = :project")
            names = sorted({"default", *self._queues, *(row["queue"] for row in used)})
            pages = {name: queue_page(tx, name, self._queues.get(name)) for name in names}
        for name, text in pages.items():
            self._write("queues", file_name(name), text)
        self._keep_only("queues", map(file_name, names))
        self._write("", "README.md", front_page(self._database.project, names))

    def _write(self, folder: str, name: str, text: str) -> None:
        place = self._folders[folder] if folder else self._folder
        if place.write(name, text.encode(errors="replace")):
            self._written.append(f"{folder}/{name}" if folder else name)

    def _keep_only(self, folder: str, names: Iterable[str]) -> None:
        for name in set(self._folders[folder].names()) - set(names):
            if name.endswith(".md"):
                self._remove(folder, name)

    def _remove(self, folder: str, name: str) -> None:
        self._folders[folder].remove(name)
        self._written.append(f"{folder}/{name}")


class _Unreadable(Exception):
    """Somebody changed a page of history by hand."""


def _split_history(content: bytes) -> tuple[str, int]:
    """A page of history without its last line, and the event that one names; raises _Unreadable."""
    text = content.decode(errors="replace")
    found = _MARK.search(text)
    if found is None:
        raise _Unreadable
    return text[: found.start()], int(found[1])


def _day(event: Event) -> str:
    return (iso(event.time) or "")[:10]


def _issues_of(batch: Iterable[Event]) -> set[str]:
    """Issues whose page an event may change: its own, and the other end of a dependency."""
    found: set[str] = set()
    for event in batch:
        if event.issue:
            found.add(event.issue)
        if event.kind in ("dependency_added", "dependency_removed"):
            found.add(event.data["target"])
    return found


def _dates_of(batch: Iterable[Event]) -> set[str]:
    """The days whose summaries an event may change."""
    named = (event.data.get("date") for event in batch)
    return {date for date in named if isinstance(date, str) and _DATE.fullmatch(date)}
