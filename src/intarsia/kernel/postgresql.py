"""A database on a server, for any number of hosts."""

from __future__ import annotations

import os
import re
import threading
import time
from functools import lru_cache
from typing import TYPE_CHECKING

from intarsia.errors import DatabaseError
from intarsia.kernel.engine import BUSY_HINT, BUSY_SECONDS, Params, Row

if TYPE_CHECKING:
    import psycopg

RESTART_SECONDS = 10
CHANNEL = "intarsia"

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
LISTENING_SECONDS = 0.2  # at once, as the others who wait on the connection do it one after another
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
                for notice in self._listener.notifies(timeout=min(seconds, LISTENING_SECONDS), stop_after=1):
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
        except (KeyboardInterrupt, SystemExit):
            self._connection.close()  # it is in the middle of a command; the server takes back what was begun
            raise

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
