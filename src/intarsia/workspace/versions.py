"""What the sessions of one working tree have seen and made, in a small database of its own in the state directory.

Contents are kept once, by their hash, and only as long as something here names them. The tree is one machine's, so this
is too: other hosts that work on the project have their own.
"""

from __future__ import annotations

import hashlib
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from msgspec import Struct

from intarsia.errors import DatabaseError

FILE = "shared.db"
ABSENT = ""
"""Stands for the hash of a file that is not there."""
NOT_COMMITTED = "-"
_STEPS = (
    """
CREATE TABLE versions (hash TEXT PRIMARY KEY, data BLOB NOT NULL);
CREATE TABLE files (path TEXT PRIMARY KEY, known TEXT NOT NULL, good TEXT NOT NULL, outside INTEGER NOT NULL);
CREATE TABLE seen (session TEXT, path TEXT, hash TEXT NOT NULL, PRIMARY KEY (session, path));
CREATE TABLE own (session TEXT, path TEXT, base TEXT NOT NULL, own TEXT NOT NULL, kept_base TEXT NOT NULL,
    kept TEXT NOT NULL, committed TEXT NOT NULL, out INTEGER NOT NULL, PRIMARY KEY (session, path));
CREATE TABLE commits (session TEXT PRIMARY KEY, base TEXT NOT NULL, head TEXT NOT NULL, kept_base TEXT NOT NULL,
    kept_head TEXT NOT NULL);
CREATE TABLE intents (path TEXT PRIMARY KEY, session TEXT NOT NULL, spare TEXT NOT NULL, before TEXT NOT NULL,
    after TEXT NOT NULL, seen TEXT, base TEXT, own TEXT, out INTEGER NOT NULL);
CREATE INDEX seen_hash ON seen (hash);
CREATE INDEX own_base ON own (base);
CREATE INDEX own_own ON own (own);
CREATE INDEX own_kept_base ON own (kept_base);
CREATE INDEX own_kept ON own (kept);
CREATE INDEX files_known ON files (known);
CREATE INDEX files_good ON files (good);
""",
    "CREATE TABLE outlines (hash TEXT PRIMARY KEY, packed BLOB NOT NULL)",
)
"""What makes each version of the database from the one before."""
_NAMED_IN = (
    ("files", ("known", "good")),
    ("seen", ("hash",)),
    ("own", ("base", "own", "kept_base", "kept")),
    ("intents", ("before", "after", "seen", "base", "own")),
)


_UNNAMED = " AND ".join(
    f"NOT EXISTS (SELECT 1 FROM {table} WHERE {column} = versions.hash)"
    for table, columns in _NAMED_IN
    for column in columns
)


class File(Struct, frozen=True):
    """`known`: what intarsia last saw on disk. `good`: the last version without errors, ABSENT if there was none.

    `outside`: it holds changes that no session made.
    """

    known: str
    good: str
    outside: bool


class Own(Struct, frozen=True):
    """One session's part of a file: what it made of `base`, a version of the branch.

    `kept` is that of the turn's start, `committed` that of its last commit ("-": it is in none). `out`: it was taken
    out of the tree, to be put back.
    """

    path: str
    base: str
    own: str
    kept_base: str
    kept: str
    committed: str
    out: int

    @property
    def changed(self) -> bool:
        return self.base != self.own

    @property
    def dirty(self) -> bool:
        """Whether its last commit lacks something."""
        return self.own != (self.base if self.committed == NOT_COMMITTED else self.committed)


class Commits(Struct, frozen=True):
    """A session's commits: the last of them, and the commit of the branch that they stand on."""

    base: str
    head: str
    kept_base: str = ""
    kept_head: str = ""


class Intent(Struct, frozen=True):
    """A write that was begun: the file becomes `after`, and the session's row what is named here (None: as it was)."""

    path: str
    session: str
    spare: str
    before: str
    after: str
    seen: str | None
    base: str | None
    own: str | None
    out: int = 0


class Versions:
    """Safe to share between threads; every change is a transaction."""

    def __init__(self, folder: Path) -> None:
        self._lock = threading.RLock()
        self._loose: set[str] = set()  # contents that may have lost their last name in this change
        try:
            self._db = sqlite3.connect(folder / FILE, timeout=60, isolation_level=None, check_same_thread=False)
            self._db.execute("PRAGMA synchronous = NORMAL")
            self._prepare()
        except sqlite3.Error as error:
            raise DatabaseError(f"{folder / FILE}: {error}") from error

    def _prepare(self) -> None:
        if self._version() >= len(_STEPS):
            return
        self._db.execute("PRAGMA journal_mode = WAL")
        with self.change():
            for step in _STEPS[self._version() :]:
                for statement in step.split(";"):
                    self._db.execute(statement)
            self._db.execute(f"PRAGMA user_version = {len(_STEPS)}")

    def _version(self) -> int:
        return int(self._db.execute("PRAGMA user_version").fetchone()[0])

    @contextmanager
    def change(self) -> Iterator[None]:
        with self._lock:
            self._db.execute("BEGIN IMMEDIATE")
            self._loose.clear()
            try:
                yield
                self._sweep()
            except BaseException:
                self._db.execute("ROLLBACK")
                raise
            self._db.execute("COMMIT")

    def close(self) -> None:
        self._db.close()

    # Contents.

    def keep(self, data: bytes | None, outline: bytes | None = None) -> str:
        """Store a content, and its outline if there is one; the name of it. Inside of a change that also names it, or
        it may be gone after."""
        name = name_of(data)
        if data is not None:
            self._run("INSERT OR IGNORE INTO versions VALUES (?, ?)", name, data)
        if outline is not None:
            self._run("INSERT OR IGNORE INTO outlines VALUES (?, ?)", name, outline)
        return name

    def outline(self, name: str) -> bytes | None:
        row = self._one("SELECT packed FROM outlines WHERE hash = ?", name)
        return bytes(row[0]) if row else None

    def data(self, name: str) -> bytes | None:
        if name == ABSENT:
            return None
        row = self._one("SELECT data FROM versions WHERE hash = ?", name)
        if row is None:
            raise DatabaseError(f"The version {name} of a file is missing in {FILE}.", hint="intarsia doctor")
        return bytes(row[0])

    def _forget_unnamed(self, *names: str) -> None:
        """At the end of the change, as something else may name them then."""
        self._loose |= {name for name in names if name}

    def _sweep(self) -> None:
        names, self._loose = self._loose, set()
        if names:
            marks = ", ".join("?" * len(names))
            self._run(f"DELETE FROM versions WHERE hash IN ({marks}) AND {_UNNAMED}", *names)
            self._run(
                f"""DELETE FROM outlines WHERE hash IN ({marks})
                    AND NOT EXISTS (SELECT 1 FROM versions WHERE versions.hash = outlines.hash)""",
                *names,
            )

    # What is on disk.

    def file(self, path: str) -> File | None:
        row = self._one("SELECT known, good, outside FROM files WHERE path = ?", path)
        return File(row[0], row[1], bool(row[2])) if row else None

    def set_file(self, path: str, file: File) -> None:
        before = self.file(path)
        self._run("INSERT OR REPLACE INTO files VALUES (?, ?, ?, ?)", path, file.known, file.good, int(file.outside))
        if before is not None:
            self._forget_unnamed(before.known, before.good)

    def set_outside(self, path: str, outside: bool) -> None:
        """Whether the file holds changes that are no session's."""
        self._run("UPDATE files SET outside = ? WHERE path = ?", int(outside), path)

    # What sessions saw.

    def seen(self, session: str, path: str) -> str | None:
        """The version that the session believes the file to be; None if it never looked."""
        row = self._one("SELECT hash FROM seen WHERE session = ? AND path = ?", session, path)
        return str(row[0]) if row else None

    def set_seen(self, session: str, path: str, name: str | None) -> None:
        before = self.seen(session, path)
        if name is None:
            self._run("DELETE FROM seen WHERE session = ? AND path = ?", session, path)
        else:
            self._run("INSERT OR REPLACE INTO seen VALUES (?, ?, ?)", session, path, name)
        self._forget_unnamed(before or "")

    # What sessions made.

    def own(self, session: str, path: str) -> Own | None:
        found = self._all("SELECT * FROM own WHERE session = ? AND path = ?", session, path)
        return Own(*found[0][1:]) if found else None

    def all_own(self, session: str) -> list[Own]:
        rows = self._all("SELECT * FROM own WHERE session = ? ORDER BY path", session)
        return [Own(*row[1:]) for row in rows]

    def owners(self, path: str) -> list[str]:
        """The sessions with changes of this file that have not landed."""
        return [row[0] for row in self._all("SELECT session FROM own WHERE path = ? AND base <> own AND out = 0", path)]

    def set_own(self, session: str, path: str, base: str, own: str, *, out: bool = False) -> None:
        before = self.own(session, path)
        rest = (before.kept_base, before.kept, before.committed) if before else (base, base, NOT_COMMITTED)
        self._run(
            "INSERT OR REPLACE INTO own VALUES (?, ?, ?, ?, ?, ?, ?, ?)", session, path, base, own, *rest, int(out)
        )
        if before is not None:
            self._forget_unnamed(before.base, before.own)

    def commits(self, session: str) -> Commits | None:
        row = self._one("SELECT base, head, kept_base, kept_head FROM commits WHERE session = ?", session)
        return Commits(*row) if row else None

    def set_commits(self, session: str, base: str, head: str) -> None:
        """All that the session made is in its commit `head`, on top of the branch's commit `base`."""
        self._run("UPDATE own SET committed = own WHERE session = ?", session)
        self._run(
            """INSERT INTO commits VALUES (?, ?, ?, '', '')
               ON CONFLICT (session) DO UPDATE SET base = excluded.base, head = excluded.head""",
            session, base, head,
        )  # fmt: skip

    def begin_turn(self, session: str) -> None:
        """From here on, `kept` is what there is now."""
        before = self.all_own(session)
        self._run("UPDATE own SET kept_base = base, kept = own WHERE session = ?", session)
        self._run("UPDATE commits SET kept_base = base, kept_head = head WHERE session = ?", session)
        self._forget_unnamed(*(name for own in before for name in (own.kept_base, own.kept)))

    def restart_turn(self, session: str) -> None:
        """The commits made since `begin_turn` are not there any more."""
        self._run("UPDATE commits SET base = kept_base, head = kept_head WHERE session = ?", session)
        self._run("DELETE FROM commits WHERE session = ? AND head = ''", session)
        committed = "own" if self.commits(session) else f"'{NOT_COMMITTED}'"
        self._run(f"UPDATE own SET committed = {committed} WHERE session = ?", session)

    def drop_commits(self, session: str) -> None:
        """What the session made is in no commit any more."""
        self._run("DELETE FROM commits WHERE session = ?", session)
        self._run("UPDATE own SET committed = ? WHERE session = ?", NOT_COMMITTED, session)

    # Writes that were begun.

    def intent(self, path: str) -> Intent | None:
        row = self._one("SELECT * FROM intents WHERE path = ?", path)
        return Intent(*row) if row else None

    def begun(self, session: str) -> list[str]:
        """The files that the session began to write."""
        return [row[0] for row in self._all("SELECT path FROM intents WHERE session = ?", session)]

    def intend(self, intent: Intent) -> None:
        values = (getattr(intent, name) for name in Intent.__struct_fields__)
        self._run("INSERT OR REPLACE INTO intents VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", *values)

    def drop_intent(self, intent: Intent) -> None:
        self._run("DELETE FROM intents WHERE path = ?", intent.path)
        names = (intent.before, intent.after, intent.seen or "", intent.base or "", intent.own or "")
        self._forget_unnamed(*names)

    # The end.

    def sessions(self) -> set[str]:
        rows = self._all("SELECT session FROM seen UNION SELECT session FROM own UNION SELECT session FROM commits")
        return {row[0] for row in rows}

    def forget(self, session: str) -> None:
        """Nothing of this session is wanted any more."""
        names = [row[0] for row in self._all("SELECT hash FROM seen WHERE session = ?", session)]
        names += [name for own in self.all_own(session) for name in (own.base, own.own, own.kept_base, own.kept)]
        for table in ("seen", "own", "commits"):
            self._run(f"DELETE FROM {table} WHERE session = ?", session)
        self._forget_unnamed(*names)

    def forget_files(self) -> None:
        """Without sessions, what is on disk needs no memory."""
        if not self.sessions():
            self._run("DELETE FROM files")
            for table in ("versions", "outlines"):
                self._run(f"DELETE FROM {table} WHERE NOT EXISTS (SELECT 1 FROM intents)")

    def size(self) -> tuple[int, int]:
        """How many contents are kept, and their bytes."""
        row = self._one("SELECT count(*), coalesce(sum(length(data)), 0) FROM versions")
        assert row is not None
        return int(row[0]), int(row[1])

    def _run(self, sql: str, *values: Any) -> None:
        with self._lock:
            self._db.execute(sql, values)

    def _all(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        with self._lock:
            return self._db.execute(sql, values).fetchall()

    def _one(self, sql: str, *values: Any) -> tuple[Any, ...] | None:
        found = self._all(sql, *values)
        return found[0] if found else None


def name_of(data: bytes | None) -> str:
    return ABSENT if data is None else hashlib.blake2b(data, digest_size=20).hexdigest()
