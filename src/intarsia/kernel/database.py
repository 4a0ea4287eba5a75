"""One database, two engines: a SQLite file or a PostgreSQL server, behind one small class.

Every change runs in a transaction that is alone in its project: SQLite by `BEGIN IMMEDIATE`, PostgreSQL by an
advisory lock. So the code above it may read, decide and write as if no other process existed.
"""

from __future__ import annotations

import os
import re
import sqlite3
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from intarsia.clock import Clock
from intarsia.errors import ConfigError, DatabaseError, InputError
from intarsia.kernel.migrations import DIALECTS, MIGRATIONS

if TYPE_CHECKING:
    import psycopg

Params = Mapping[str, Any]
Row = dict[str, Any]

BUSY_SECONDS = 30
BUSY_HINT = f"Another process kept the database busy for {BUSY_SECONDS} s; try again, or see: intarsia doctor"
RESTART_SECONDS = 10
POLL_SECONDS = 0.005
CHANNEL = "intarsia"
MEMORY = ":memory:"
MIGRATING = "intarsia:migrations"


class Engine(Protocol):
    """What differs between SQLite and PostgreSQL."""

    dialect: str
    next_token: str

    def begin(self, lock: str | None) -> None: ...
    def execute(self, sql: str, params: Params) -> tuple[list[Row], int]: ...
    def commit(self) -> None: ...
    def rollback(self) -> None: ...
    def call(self, sql: str, params: Params) -> list[Row]: ...
    def now(self) -> float: ...
    def wake(self, project: str) -> None: ...
    def announce(self, project: str) -> None: ...
    def changes(self, project: str) -> object: ...
    def wait(self, project: str, seen: object, seconds: float) -> None: ...
    def has_table(self, name: str) -> bool: ...
    def close(self) -> None: ...


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
        return SQLite(_sqlite_path(url))
    if scheme in ("postgresql", "postgres"):
        return PostgreSQL(url)
    raise ConfigError(
        f"database.url has the unknown scheme {scheme!r}.",
        hint="Use sqlite:///PATH or postgresql://USER@HOST/DATABASE.",
    )


def _sqlite_path(url: str) -> Path:
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


# How a client learns that its server is out of reach: 10 s without an answer to what it sent, or to its probes.
CONNECTION: dict[str, str | int] = {
    "application_name": "intarsia",
    "connect_timeout": 10,
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,
}
# What the server does about clients; units are in the values. Others wait for what a client holds in a transaction, so
# one that can't be reached is dropped after 3 s, wherever it stopped, and one that can must not pause longer than 5 s.
SESSION = {
    # Whatever the server's default is: what was read before a lock was got must not be believed after it.
    "default_transaction_isolation": "read committed",
    "idle_in_transaction_session_timeout": "5s",
    "lock_timeout": f"{BUSY_SECONDS}s",
    "statement_timeout": "60s",
    "tcp_keepalives_idle": "1s",
    "tcp_keepalives_interval": "1s",
    "tcp_keepalives_count": "3",
    "tcp_user_timeout": "3s",
}
QUIET_SECONDS = 2  # after which a client must make sure that it was not dropped
# Lets also the dead leave a queue for a lock; not every system that a server runs on can do it.
CHECK_CLIENT = "SET client_connection_check_interval TO '500ms'"
# Of those who could not connect now, these may in a moment.
BUSY = re.compile(
    "too many c|remaining connection slots|Resource temporarily unavailable|"
    "database system is (starting up|shutting down|in recovery|not (yet )?accepting)"
)
HINTS = {
    "25P03": "Nothing of this transaction was kept, because it paused for too long while others waited; try again.",
    "55P03": BUSY_HINT,
    "57014": "The server is overloaded, or somebody cancelled this; nothing of it was kept. Try again.",
    "53300": "The server took no more clients: try again later, run fewer at once, or raise its max_connections.",
}
UNSURE = "It is not known whether the last change was kept: look before you repeat it."


class PostgreSQL:
    """Bounded in all it waits for: see CONNECTION and SESSION, which parameters and `options` of the URL override.

    A server that has no free connection, or is starting, is asked again for BUSY_SECONDS; one that was there before and
    is gone, for RESTART_SECONDS. A transaction is never repeated: what broke within one is a DatabaseError.
    """

    dialect = "postgresql"
    next_token = "SELECT nextval('tokens') AS last"

    def __init__(self, url: str) -> None:
        try:
            import psycopg
            from psycopg.conninfo import conninfo_to_dict, make_conninfo
            from psycopg.rows import dict_row
        except ImportError as error:
            raise DatabaseError(
                "PostgreSQL needs the psycopg package.", hint="pip install 'intarsia[postgres]'"
            ) from error
        self._errors: type[psycopg.Error] = psycopg.Error
        self._integrity: type[psycopg.Error] = psycopg.IntegrityError

        def connect() -> psycopg.Connection[Row]:
            given = conninfo_to_dict(url)
            options = str(given.get("options", ""))
            defaults = {name: value for name, value in CONNECTION.items() if name not in given}
            connection = psycopg.connect(make_conninfo(url, **defaults), autocommit=True, row_factory=dict_row)
            wishes = [f"SET {name} TO '{value}'" for name, value in SESSION.items() if name not in options]
            try:
                connection.execute("; ".join([*wishes, CHECK_CLIENT]).encode())
            except psycopg.errors.InvalidParameterValue:
                connection.execute("; ".join(wishes).encode())
            return connection

        self._open = connect
        self._connection = self._connect()
        self._used = time.time()
        self._listener: psycopg.Connection[Row] | None = None
        self._listening = threading.Lock()
        self._heard = 0

    def _connect(self, *, again: bool = False) -> psycopg.Connection[Row]:
        """Open a connection; with `again`, to a server that was there, and so may only be restarting."""
        start, pause = time.monotonic(), 0.05
        while True:
            try:
                return self._open()
            except self._errors as error:
                waited = time.monotonic() - start
                if waited > BUSY_SECONDS or not (BUSY.search(str(error)) or (again and waited < RESTART_SECONDS)):
                    raise self._explained(error) from error
            time.sleep(pause * (0.5 + os.urandom(1)[0] / 255))  # apart from the others that were sent away
            pause = min(pause * 1.5, 1.0)

    def begin(self, lock: str | None) -> None:
        # Nobody waits for a reader, so it may pause as long as it likes.
        start = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET LOCAL idle_in_transaction_session_timeout TO 0"
        if lock:
            start = f"BEGIN; SELECT pg_advisory_xact_lock({lock_number(lock)})"
        try:
            self._begin(start)
        except DatabaseError:
            if not self._connection.closed:
                raise
            # The server dropped the connection since it was last used, and nothing was begun yet.
            self._connection = self._connect(again=True)
            self._begin(start)

    def _begin(self, start: str) -> None:
        try:
            self._run(start, {})
        except BaseException:
            self.rollback()  # it may have begun, and then waited in vain for the lock
            raise

    def execute(self, sql: str, params: Params) -> tuple[list[Row], int]:
        return self._run(_psycopg_style(sql), params)

    def commit(self) -> None:
        self._run_for_good("COMMIT", {})

    def rollback(self) -> None:
        try:
            if not self._connection.closed:
                self._run("ROLLBACK", {})
        except DatabaseError:
            if not self._connection.closed:  # else the server rolls back by itself
                raise

    def call(self, sql: str, params: Params) -> list[Row]:
        self._make_sure()
        return self._run_for_good(_psycopg_style(sql), params)[0]

    def _make_sure(self) -> None:
        """Have a connection that lives, as what is sent for good on a dead one can't be repeated."""
        try:
            if not self._connection.closed and not 0 <= time.time() - self._used < QUIET_SECONDS:
                self._run("SELECT 1", {})
        except DatabaseError:
            if not self._connection.closed:
                raise
        if self._connection.closed:
            self._connection = self._connect(again=True)

    def now(self) -> float:
        rows, _ = self._run("SELECT extract(epoch FROM clock_timestamp())::float8 AS now", {})
        return float(rows[0]["now"])

    def wake(self, project: str) -> None:
        """Notify only if somebody waits: notifications make the commits of all databases of a server take turns."""
        self._run(
            "SELECT pg_notify(%(channel)s, %(project)s) FROM line WHERE project = %(project)s LIMIT 1",
            {"channel": CHANNEL, "project": project},
        )

    def announce(self, project: str) -> None:
        self._run("SELECT pg_notify(%(channel)s, %(project)s)", {"channel": CHANNEL, "project": project})

    def changes(self, project: str) -> object:
        """Listens from the first call on, so that no wake-up after it is missed."""
        if self._listener is None or self._listener.closed:
            with self._listening:
                listener = self._connect(again=self._listener is not None)
                try:
                    listener.execute(f"LISTEN {CHANNEL}")
                except self._errors as error:
                    listener.close()
                    raise self._explained(error) from error
                self._listener = listener
                self._heard += 1  # whatever was said while nobody listened
        return self._heard  # without `_listening`, which a thread that waits keeps for long

    def wait(self, project: str, seen: object, seconds: float) -> None:
        with self._listening:
            if self._heard != seen or self._listener is None:
                return
            try:
                for notice in self._listener.notifies(timeout=min(seconds, 0.2), stop_after=1):
                    self._heard += notice.payload == project
            except self._errors:
                self._listener.close()

    def has_table(self, name: str) -> bool:
        # Not to_regclass: that may answer from this connection's cache, which lags behind what others just committed.
        rows, _ = self._run(
            """SELECT 1 FROM pg_catalog.pg_class JOIN pg_catalog.pg_namespace n ON n.oid = relnamespace
                WHERE relname = %(name)s AND n.nspname = ANY (current_schemas(false))""",
            {"name": name},
        )
        return bool(rows)

    def close(self) -> None:
        self._connection.close()
        if self._listener is not None:
            self._listener.close()

    def _run(self, sql: str, params: Params) -> tuple[list[Row], int]:
        try:
            cursor = self._connection.execute(sql.encode(), params or None)
            self._used = time.time()
            return (cursor.fetchall() if cursor.description else []), cursor.rowcount
        except self._integrity:
            raise
        except self._errors as error:
            raise self._explained(error) from error

    def _run_for_good(self, sql: str, params: Params) -> tuple[list[Row], int]:
        """Run what can't be taken back, and say so when the connection breaks before the answer."""
        try:
            return self._run(sql, params)
        except DatabaseError as error:
            if self._connection.closed and error.hint not in HINTS.values():
                error.hint = UNSURE
            raise

    @staticmethod
    def _explained(error: psycopg.Error) -> DatabaseError:
        said = without_password(str(error).strip())
        state = error.sqlstate or ("53300" if BUSY.search(said) else "")
        return DatabaseError(
            f"The PostgreSQL database can't be used: {said}",
            hint=HINTS.get(state, "Check database.url (or INTARSIA_DATABASE_URL) and that the server runs."),
        )


@lru_cache(maxsize=1024)
def lock_number(name: str) -> int:
    """The number of an advisory lock; the same on every client."""
    import hashlib

    return int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8).digest(), signed=True)


def without_password(text: str) -> str:
    """A text with the passwords of all URLs in it replaced by an ellipsis."""
    text = re.sub(r"(://[^/@\s:]*:)[^/\s]*@", r"\1…@", text)
    return re.sub(r"([?&]password=)[^&\s\"]+", r"\1…", text)


@lru_cache(maxsize=512)
def _psycopg_style(sql: str) -> str:
    return re.sub(r"(?<![:\w]):([a-z_]\w*)", r"%(\1)s", sql.replace("%", "%%"))
