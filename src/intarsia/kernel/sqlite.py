"""A database in a file, for all processes of one host."""

from __future__ import annotations

import sqlite3
import time
from pathlib import Path
from typing import Any

from intarsia.errors import ConfigError, DatabaseError
from intarsia.kernel.engine import BUSY_HINT, BUSY_SECONDS, Params, Row

POLL_SECONDS = 0.005
MEMORY = ":memory:"


def path_of(url: str) -> Path:
    path = url.removeprefix("sqlite://")
    if path != MEMORY and (not path.startswith("/") or path == "/"):
        raise ConfigError(f"database.url {url!r} names no absolute path.", hint="Write sqlite:////absolute/path.db")
    return Path(path)


class SQLite:
    dialect = "sqlite"
    next_token = "UPDATE tokens SET last = last + 1 RETURNING last"

    def __init__(self, path: Path) -> None:
        self._path = path
        self._reading = False
        self._wakes = 0
        try:
            self._connection = sqlite3.connect(
                path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False, cached_statements=256
            )
            self._connection.row_factory = _as_dict
            self._set_up()
        except sqlite3.Error as error:
            raise self._explained(error) from error

    def _set_up(self) -> None:
        mode = self._connection.execute("PRAGMA journal_mode").fetchone()["journal_mode"]
        if mode != "wal":
            self._enter_wal()
        self._connection.execute("PRAGMA synchronous=NORMAL")

    def _enter_wal(self) -> None:
        """Switching needs the file alone, and SQLite does not wait for that by itself."""
        deadline = time.monotonic() + BUSY_SECONDS
        while True:
            try:
                self._connection.execute("PRAGMA journal_mode=WAL")
                return
            except sqlite3.OperationalError as error:
                if "locked" not in str(error) or time.monotonic() > deadline:
                    raise
                time.sleep(0.01)

    def begin(self, lock: str | None) -> None:
        if self._reading != (lock is None):
            self._reading = lock is None
            self._run(f"PRAGMA query_only={int(self._reading)}", {})
        self._run("BEGIN IMMEDIATE" if lock else "BEGIN", {})

    def execute(self, sql: str, params: Params) -> tuple[list[Row], int]:
        return self._run(sql, params)

    def commit(self) -> None:
        try:
            self._run("COMMIT", {})
        except DatabaseError:
            self.rollback()
            raise

    def rollback(self) -> None:
        if self._connection.in_transaction:
            self._run("ROLLBACK", {})

    def call(self, sql: str, params: Params) -> list[Row]:
        return self._run(sql, params)[0]

    def now(self) -> float:
        """A file has no clock of its own: all who share it are on this host."""
        return time.time()

    def wake(self, project: str) -> None:
        """Every commit shows in `changes` of every other connection; this is for the threads that share this one."""
        self._wakes += 1

    announce = wake

    def changes(self, project: str) -> object:
        version = self._run("PRAGMA data_version", {})[0][0]["data_version"]
        return version, self._wakes

    def wait(self, project: str, seen: object, seconds: float) -> None:
        time.sleep(min(seconds, POLL_SECONDS))

    def has_table(self, name: str) -> bool:
        rows, _ = self._run("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = :name", {"name": name})
        return bool(rows)

    def close(self) -> None:
        self._connection.close()

    def _run(self, sql: str, params: Params) -> tuple[list[Row], int]:
        try:
            cursor = self._connection.execute(sql, params)
            return cursor.fetchall(), cursor.rowcount
        except sqlite3.OperationalError as error:
            raise self._explained(error) from error
        except sqlite3.DatabaseError as error:
            if isinstance(error, sqlite3.IntegrityError | sqlite3.ProgrammingError):
                raise
            raise self._explained(error) from error

    def _explained(self, error: sqlite3.Error) -> DatabaseError:
        said = str(error)
        folder = self._path.parent
        if "full" in said or "disk I/O" in said:
            hint = f"Make room on the disk that holds {folder}; what was recorded so far is intact."
        elif "readonly" in said or "unable to open" in said:
            hint = f"Make {folder} exist and be writable, or set database.url to another place."
        elif "locked" in said:
            hint = BUSY_HINT
        else:
            hint = "See: intarsia doctor"
        return DatabaseError(f"The database {self._path} can't be used: {said}.", hint=hint)


def _as_dict(cursor: sqlite3.Cursor, row: tuple[Any, ...]) -> Row:
    return {column[0]: value for column, value in zip(cursor.description, row, strict=True)}
