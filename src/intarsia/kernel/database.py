"""One database, two engines: a SQLite file or a PostgreSQL server, behind one small class.

Every change runs in a transaction that is alone in its project: SQLite by `BEGIN IMMEDIATE`, PostgreSQL by an
advisory lock. So the code above it may read, decide and write as if no other process existed.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from intarsia.clock import Clock
from intarsia.errors import ConfigError, DatabaseError, InputError
from intarsia.kernel.engine import Engine, Row
from intarsia.kernel.migrations import DIALECTS, MIGRATIONS

MIGRATING = "intarsia:migrations"


class Transaction:
    """Statements of one transaction. `now` is the database's time, read once, in seconds since the epoch."""

    def __init__(self, engine: Engine, project: str, clock: Clock | None) -> None:
        self._engine = engine
        self._clock = clock
        self._now: float | None = None
        self.project = project

    @property
    def now(self) -> float:
        if self._now is None:
            self._now = self._clock.now() if self._clock else self._engine.now()
        return self._now

    @property
    def next_token_sql(self) -> str:
        return self._engine.next_token

    def wake(self) -> None:
        """Let those who wait for a resource look again when this transaction is done."""
        self._engine.wake(self.project)

    def announce(self) -> None:
        """Let everybody who waits in `wait_for_change` look again when this transaction is done."""
        self._engine.announce(self.project)

    def all(self, sql: str, **params: Any) -> list[Row]:
        return self._run(sql, params)[0]

    def one(self, sql: str, **params: Any) -> Row | None:
        rows = self.all(sql, **params)
        return rows[0] if rows else None

    def execute(self, sql: str, **params: Any) -> int:
        """Run a change; returns the number of rows it touched."""
        return self._run(sql, params)[1]

    def _run(self, sql: str, params: dict[str, Any]) -> tuple[list[Row], int]:
        try:
            return self._engine.execute(sql, self._bind(sql, params))
        except UnicodeEncodeError as error:
            raise InputError("The text holds bytes that are not UTF-8.") from error

    def _bind(self, sql: str, params: dict[str, Any]) -> dict[str, Any]:
        """`:project` and `:now` are known to every statement."""
        if ":project" in sql:
            params.setdefault("project", self.project)
        if ":now" in sql:
            params.setdefault("now", self.now)
        return params


class Database:
    """Opened on `url`, for one project. Safe to share between the threads of a process."""

    def __init__(self, url: str, project: str, clock: Clock | None = None, *, dry_run: bool = False) -> None:
        self.url = url
        self.dry_run = dry_run
        self.project = project
        self._clock = clock
        self._lock = threading.RLock()
        self._open = False
        self._borrows_schema = False
        self._engine = _connect(url)
        try:
            self._migrate()
        except BaseException:
            self._engine.close()
            raise

    @contextmanager
    def transaction(self) -> Iterator[Transaction]:
        """All or nothing, and alone: no other process changes this project meanwhile. On a dry run, nothing."""
        with self._lock, self._running(lock=self.project, keep=not self.dry_run) as tx:
            yield tx

    @contextmanager
    def read(self) -> Iterator[Transaction]:
        """A consistent view that waits for nobody; must not write."""
        with self._lock, self._running(lock=None) as tx:
            yield tx

    @contextmanager
    def _running(self, lock: str | None, *, keep: bool = True) -> Iterator[Transaction]:
        if self._open:
            raise RuntimeError("A transaction of this thread is open already, and they do not nest.")
        self._engine.begin(MIGRATING if self._borrows_schema else lock)
        self._open = True
        try:
            tx = Transaction(self._engine, self.project, self._clock)
            if self._borrows_schema:
                self._apply_migrations(tx)
            yield tx
        except BaseException:
            self._engine.rollback()
            raise
        else:
            self._engine.commit() if keep and not self._borrows_schema else self._engine.rollback()
        finally:
            self._open = False

    @property
    def has_functions(self) -> bool:
        """Whether leases can be granted by a function in the server, with the server's clock."""
        return self._engine.dialect == "postgresql" and self._clock is None and not self.dry_run

    def call(self, sql: str, **params: Any) -> list[Row]:
        """One statement that is a transaction of its own, without the project's lock."""
        with self._lock:
            if self._open:
                raise RuntimeError("A transaction of this thread is open already, and they do not nest.")
            return self._engine.call(sql, {"project": self.project, **params})

    def changes(self) -> object:
        """A mark that differs after any change of the database that others could be waiting for."""
        with self._lock:
            return self._engine.changes(self.project)

    def wait_for_change(self, seen: object, seconds: float) -> None:
        """Return when `changes` differs from `seen`, or after so many seconds."""
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0 and self.changes() == seen:
            self._engine.wait(self.project, seen, left)

    def close(self) -> None:
        self._engine.close()

    def _migrate(self) -> None:
        """Bring the schema up to date; on a dry run in each of its transactions, which are rolled back."""
        if self._version() == len(MIGRATIONS):
            return
        if self.dry_run:
            self._borrows_schema = True
            return
        with self._running(lock=MIGRATING) as tx:
            self._apply_migrations(tx)

    def _apply_migrations(self, tx: Transaction) -> None:
        words = DIALECTS[self._engine.dialect]
        if not self._engine.has_table("migrations"):
            tx.execute(
                "CREATE TABLE migrations (number INTEGER PRIMARY KEY, applied {double} NOT NULL)".format(**words)
            )
        done = self._applied(tx)
        if done > len(MIGRATIONS):
            raise DatabaseError(
                f"The database is of a newer intarsia (schema {done}, this program knows {len(MIGRATIONS)}).",
                hint="Install the newer intarsia: pip install --upgrade intarsia",
            )
        for number, statements in enumerate(MIGRATIONS[done:], start=done + 1):
            for statement in statements:
                tx.execute(statement.format(**words))
            tx.execute("INSERT INTO migrations (number, applied) VALUES (:number, :now)", number=number)

    def _version(self) -> int:
        with self._running(lock=None) as tx:
            return self._applied(tx) if self._engine.has_table("migrations") else 0

    @staticmethod
    def _applied(tx: Transaction) -> int:
        row = tx.one("SELECT coalesce(max(number), 0) AS number FROM migrations")
        return int(row["number"]) if row else 0


def _connect(url: str) -> Engine:
    scheme = url.partition("://")[0] if "://" in url else "(none)"  # what is no URL may hold a password
    if scheme == "sqlite":
        from intarsia.kernel.sqlite import SQLite, path_of

        return SQLite(path_of(url))
    if scheme in ("postgresql", "postgres"):
        from intarsia.kernel.postgresql import PostgreSQL

        return PostgreSQL(url)
    raise ConfigError(
        f"database.url has the unknown scheme {scheme!r}.",
        hint="Use sqlite:///PATH or postgresql://USER@HOST/DATABASE.",
    )
