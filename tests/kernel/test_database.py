from __future__ import annotations

import secrets
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from intarsia.errors import ConfigError, DatabaseError, InputError
from intarsia.kernel import Database, issues
from intarsia.kernel.issues import Draft
from intarsia.kernel.migrations import MIGRATIONS
from intarsia.kernel.postgresql import without_password
from tests.kernel.worker import workers
from tests.support.disk import Disk
from tests.support.postgres import create_database, drop_database

TABLES = {"migrations", "tokens", "issues", "dependencies", "sessions", "leases", "events", "evidence"}


@pytest.fixture
def fresh_url(database_url: str) -> Iterator[str]:
    """A database that nobody has opened before."""
    if database_url.startswith("sqlite"):
        yield database_url
        return
    name = f"fresh_{secrets.token_hex(6)}"
    yield create_database(database_url, name)
    drop_database(database_url, name)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Disk]:
    disk = Disk(tmp_path / "disk", "2m")
    yield disk
    disk.unmount()


def migrations(database: Database) -> list[int]:
    with database.read() as tx:
        return [row["number"] for row in tx.all("SELECT number FROM migrations ORDER BY number")]


def titles(database: Database) -> list[str]:
    with database.read() as tx:
        return sorted(issue.title for issue in issues.find(tx))


def add(database: Database, title: str, body: str = "") -> None:
    with database.transaction() as tx:
        issues.create(tx, Draft(title, body), "test")


# Migrations.


def test_a_fresh_database_gets_all_tables_once(fresh_url: str) -> None:
    first = Database(fresh_url, "p")
    add(first, "stays")
    applied = migrations(first)
    first.close()
    again = Database(fresh_url, "p")
    assert applied == migrations(again) == list(range(1, len(MIGRATIONS) + 1))
    assert titles(again) == ["stays"]
    with again.read() as tx:
        for table in TABLES:
            tx.all(f"SELECT * FROM {table}")
    again.close()


def test_many_processes_migrate_one_new_database(fresh_url: str) -> None:
    with workers(4, fresh_url, "p") as processes:
        assert processes.all("open") == ["opened"] * 4
    database = Database(fresh_url, "p")
    assert migrations(database) == list(range(1, len(MIGRATIONS) + 1))
    database.close()


def test_a_newer_schema_is_refused_and_left_alone(fresh_url: str) -> None:
    database = Database(fresh_url, "p")
    with database.transaction() as tx:
        tx.execute("INSERT INTO migrations (number, applied) VALUES (:number, :now)", number=len(MIGRATIONS) + 1)
    database.close()
    with pytest.raises(DatabaseError, match="newer intarsia") as refused:
        Database(fresh_url, "p")
    assert refused.value.exit_code == 2
    assert "upgrade" in refused.value.hint


# Transactions.


def test_a_transaction_is_kept_whole(database: Database) -> None:
    with database.transaction() as tx:
        issues.create(tx, Draft("one", id="a"), "test")
        issues.create(tx, Draft("two", id="b", needs=["a"]), "test")
    assert titles(database) == ["one", "two"]


def test_a_transaction_that_fails_changes_nothing(database: Database) -> None:
    add(database, "before")
    with pytest.raises(ZeroDivisionError), database.transaction() as tx:
        issues.create(tx, Draft("lost"), "test")
        raise ZeroDivisionError
    with pytest.raises(InputError), database.transaction() as tx:
        issues.create(tx, Draft("lost too"), "test")
        issues.create(tx, Draft(""), "test")
    assert titles(database) == ["before"]
    add(database, "after")
    assert titles(database) == ["after", "before"]


def test_a_broken_statement_is_an_error_and_rolls_back(database: Database) -> None:
    with pytest.raises(DatabaseError), database.transaction() as tx:
        issues.create(tx, Draft("lost"), "test")
        tx.execute("INSERT INTO nowhere VALUES (1)")
    assert titles(database) == []


def test_a_view_can_not_write(database: Database) -> None:
    with pytest.raises(DatabaseError), database.read() as tx:
        issues.create(tx, Draft("sneaked in"), "test")
    add(database, "allowed")
    assert titles(database) == ["allowed"]


def test_a_view_does_not_see_what_others_change_meanwhile(database: Database) -> None:
    add(database, "before")
    other = Database(database.url, database.project)
    with database.read() as tx:
        assert len(issues.find(tx)) == 1
        add(other, "meanwhile")
        assert len(issues.find(tx)) == 1
    assert titles(database) == ["before", "meanwhile"]
    other.close()


def test_transactions_do_not_nest(database: Database) -> None:
    with pytest.raises(RuntimeError, match="nest"), database.transaction() as tx:
        issues.create(tx, Draft("lost"), "test")
        add(database, "lost too")
    with pytest.raises(RuntimeError, match="nest"), database.read():
        titles(database)
    assert titles(database) == []


def test_projects_do_not_see_each_other(database: Database) -> None:
    add(database, "mine")
    other = Database(database.url, f"{database.project}-other")
    assert titles(other) == []
    other.close()


def test_threads_share_a_database(database: Database) -> None:
    def count() -> None:
        for _ in range(20):
            with database.transaction() as tx:
                tx.execute("UPDATE issues SET attempts = attempts + 1 WHERE project = :project")

    add(database, "counter")
    threads = [threading.Thread(target=count) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with database.read() as tx:
        assert issues.find(tx)[0].attempts == 80


def test_text_comes_back_as_it_was(database: Database) -> None:
    body = "100% :now :project %s 'quoted' \"double\" \\ ✓ 🧶 \r\n\t"
    add(database, "texts", body)
    with database.read() as tx:
        assert issues.find(tx)[0].body == body


def test_text_that_is_not_utf8_is_bad_input(database: Database) -> None:
    with pytest.raises(InputError, match="UTF-8"):
        add(database, "\udcff")
    assert titles(database) == []


# Opening.


@pytest.mark.parametrize(
    ("url", "error"),
    [
        ("mysql://host/db", ConfigError),
        ("nonsense", ConfigError),
        ("/a/path.db", ConfigError),
        ("sqlite://relative.db", ConfigError),
        ("sqlite:///", ConfigError),
        ("sqlite:////nowhere/at/all/intarsia.db", DatabaseError),
        ("sqlite:////tmp", DatabaseError),
        ("postgresql://user:hunter2@127.0.0.1:1/db", DatabaseError),
        ("postgresql://user:hunter2@[half/db", DatabaseError),
        ("postgresql://user:hunter2@127.0.0.1:port/db", DatabaseError),
        ("postgresql://127.0.0.1:1/db?password=hunter2&nonsense=1", DatabaseError),
        ("host=127.0.0.1 password=hunter2", ConfigError),
    ],
)
def test_a_bad_url_is_refused_without_telling_its_password(url: str, error: type[Exception]) -> None:
    with pytest.raises((ConfigError, DatabaseError)) as refused:
        Database(url, "p")
    assert type(refused.value) is error
    assert refused.value.exit_code == 2
    assert refused.value.hint
    assert "hunter2" not in str(refused.value)


def test_an_unknown_postgresql_database_is_named(postgres_url: str) -> None:
    with pytest.raises(DatabaseError, match="no_such_database"):
        Database(postgres_url.replace("/test_", "/no_such_database_", 1), "p")


def test_a_file_that_is_no_database_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "intarsia.db"
    path.write_bytes(b"This is not a database. " * 100)
    with pytest.raises(DatabaseError, match="not a database"):
        Database(f"sqlite://{path}", "p")
    assert path.read_bytes() == b"This is not a database. " * 100


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("postgresql://me:secret@host/db", "postgresql://me:…@host/db"),
        ("postgresql://me:se@cret@host/db", "postgresql://me:…@host/db"),
        ("postgresql://host/db?user=me&password=secret&x=1", "postgresql://host/db?user=me&password=…&x=1"),
        ("postgresql://me@host:5432/db", "postgresql://me@host:5432/db"),
        ("sqlite:////a/path.db", "sqlite:////a/path.db"),
    ],
)
def test_passwords_are_not_shown(text: str, shown: str) -> None:
    assert without_password(text) == shown


def test_psycopg_is_imported_for_postgresql_only(tmp_path: Path) -> None:
    program = f"""
import sys
from intarsia.kernel import Database
Database("sqlite://{tmp_path}/intarsia.db", "p").close()
sys.exit("psycopg" in sys.modules)
"""
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


# Trouble while open.


def drop_connections(url: str, database: Database) -> None:
    """What a restart of the server, or its administrator, does to ours."""
    with database.read() as tx:
        row = tx.one("SELECT pg_backend_pid() AS pid")
    assert row
    with psycopg.connect(url, autocommit=True) as administrator:
        administrator.execute("SELECT pg_terminate_backend(%s, 60000)", [row["pid"]])


def test_a_dropped_connection_is_opened_again(postgres_url: str) -> None:
    database = Database(postgres_url, secrets.token_hex(6))
    add(database, "before")
    drop_connections(postgres_url, database)
    add(database, "after a transaction")
    drop_connections(postgres_url, database)
    assert titles(database) == ["after a transaction", "before"]
    database.close()


def test_a_connection_dropped_within_a_transaction_loses_all_of_it(postgres_url: str) -> None:
    database = Database(postgres_url, secrets.token_hex(6))
    with pytest.raises(DatabaseError), database.transaction() as tx:
        issues.create(tx, Draft("lost"), "test")
        row = tx.one("SELECT pg_backend_pid() AS pid")
        assert row
        with psycopg.connect(postgres_url, autocommit=True) as administrator:
            administrator.execute("SELECT pg_terminate_backend(%s, 60000)", [row["pid"]])
        issues.create(tx, Draft("lost too"), "test")
    add(database, "kept")
    assert titles(database) == ["kept"]
    database.close()


def integrity(path: Path) -> str:
    connection = sqlite3.connect(path)
    answer: str = connection.execute("PRAGMA integrity_check").fetchone()[0]
    connection.close()
    return answer


def test_a_full_disk_is_one_error_and_loses_nothing(small_disk: Disk) -> None:
    path = small_disk.path / "intarsia.db"
    database = Database(f"sqlite://{path}", "p")
    kept = []
    with pytest.raises(DatabaseError) as full:
        for number in range(10_000):
            add(database, f"issue {number}", body="x" * 20_000)
            kept.append(f"issue {number}")
    assert "Make room" in full.value.hint
    assert titles(database) == sorted(kept)
    database.close()
    assert integrity(path) == "ok"


def test_work_goes_on_once_a_full_disk_has_room_again(small_disk: Disk) -> None:
    path = small_disk.path / "intarsia.db"
    database = Database(f"sqlite://{path}", "p")
    add(database, "before")
    small_disk.fill()
    with pytest.raises(DatabaseError, match="full"):
        add(database, "lost", body="x" * 100_000)
    small_disk.free()
    add(database, "after")
    assert titles(database) == ["after", "before"]
    database.close()
    assert integrity(path) == "ok"


def test_no_room_for_a_new_database_is_an_error(small_disk: Disk) -> None:
    small_disk.fill()
    with pytest.raises(DatabaseError):
        Database(f"sqlite://{small_disk.path / 'intarsia.db'}", "p")
    small_disk.free()
    database = Database(f"sqlite://{small_disk.path / 'intarsia.db'}", "p")
    assert titles(database) == []
    database.close()


def test_a_read_only_disk_is_an_error(small_disk: Disk) -> None:
    path = small_disk.path / "intarsia.db"
    database = Database(f"sqlite://{path}", "p")
    add(database, "before")
    database.close()
    small_disk.remount("ro")
    with pytest.raises(DatabaseError) as refused:
        add(Database(f"sqlite://{path}", "p"), "lost")
    assert "writable" in refused.value.hint
    small_disk.remount("rw")
    assert integrity(path) == "ok"
    database = Database(f"sqlite://{path}", "p")
    assert titles(database) == ["before"]
    database.close()


@pytest.mark.parametrize("end", [KeyboardInterrupt, SystemExit])
def test_a_signal_in_the_middle_of_a_command_leaves_a_database_that_can_be_used(
    postgres_url: str, end: type[BaseException]
) -> None:
    """Such as for leaving the line, which a guard does that is ended while it waits."""
    opened, ended = Database(postgres_url, "p-signalled"), 0

    def ends(number: int, frame: object) -> None:
        raise end

    before = signal.signal(signal.SIGALRM, ends)
    try:
        for n in range(150):  # a command has many moments
            try:
                signal.setitimer(signal.ITIMER_REAL, 0.0005 + n * 0.00002)
                with opened.transaction() as tx:
                    for _ in range(1000):
                        tx.all("SELECT generate_series(1, 200)")
            except end:
                ended += 1
            with opened.transaction() as tx:
                assert tx.one("SELECT 1 AS x") == {"x": 1}
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert ended > 100
    opened.close()
