"""Where the index keeps what it knows of each content: a cache in one SQLite file, which may vanish at any time.

Contents, not paths, are the keys, so that any number of processes, each with its own version of the repository, share
the file without a word. The file's name tells by which code it was made, and how often it had to be begun anew.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from hashlib import blake2b
from pathlib import Path
from typing import Any
from zlib import crc32

import msgspec
from msgspec import Struct

from intarsia.code.names.record import Record
from intarsia.errors import DatabaseError

BUSY_SECONDS = 10.0
KEEP_DAYS = 7
SECONDS_OF_A_DAY = 86_400
_MADE_BY = (
    *("../languages", "../members", "../naming", "../outline", "../roles", "../splitter"),
    *("index", "links", "mentions", "record", "store"),
)
_AT_ONCE = 500
_SCHEMA = """
CREATE TABLE IF NOT EXISTS contents (
    id INTEGER PRIMARY KEY AUTOINCREMENT, key TEXT NOT NULL UNIQUE, day INTEGER NOT NULL, units INTEGER NOT NULL,
    lines INTEGER NOT NULL, record BLOB NOT NULL
);
CREATE TABLE IF NOT EXISTS mentions (pair INTEGER PRIMARY KEY);
CREATE TABLE IF NOT EXISTS definitions (pair INTEGER PRIMARY KEY);
"""
# A pair is a name, as 32 bits with a sign, and behind it the id of a content.
_CONTENTS = 1 << 32


class Entry(Struct, frozen=True, gc=False):
    """A content in the store."""

    id: int
    day: int
    units: int
    lines: int


class Unusable(DatabaseError):
    """The file is damaged or can't be written; whoever meets this begins another one."""


class Locked(Unusable):
    """Others write for longer than it is worth to wait."""


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Record).decode


class Store:
    """In a directory, or in memory when there is none; in a file with a number greater than `after`."""

    def __init__(self, place: Path | None, after: int = -1) -> None:
        self.path: Path | None = None
        self.number = 0
        if place is not None:
            self.path, self.number = _file(place, after)
        try:
            self._connection = sqlite3.connect(
                self.path or ":memory:", timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False
            )
            self._enter_wal()
            self._connection.execute("PRAGMA synchronous=OFF")
            self._connection.executescript(_SCHEMA)
        except sqlite3.Error as error:
            raise _explained(error) from error

    def close(self) -> None:
        self._connection.close()

    def known(self, keys: Collection[str]) -> dict[str, Entry]:
        """Those contents that are there."""
        found: dict[str, Entry] = {}
        for some in _chunks(list(keys)):
            marks = ",".join("?" * len(some))
            for key, *entry in self._all(
                f"SELECT key, id, day, units, lines FROM contents WHERE key IN ({marks})", some
            ):
                found[key] = Entry(*entry)
        return found

    def add(self, records: Sequence[tuple[str, Record]]) -> dict[str, Entry]:
        """Keep records under their keys; what another process kept meanwhile stays."""
        day = _today()
        rows = [(key, day, len(record.units), record.lines, _encode(record)) for key, record in records]
        with self._writing():
            self._many("INSERT OR IGNORE INTO contents (key, day, units, lines, record) VALUES (?, ?, ?, ?, ?)", rows)
            ids = self.known([key for key, _ in records])
            for table, names in (("mentions", _mentioned), ("definitions", _defined)):
                pairs = sorted(pair for key, record in records for pair in _pairs(names(record), ids[key].id))
                # As one text, since to bind a hundred thousand numbers takes longer than to read them.
                self._all(f"INSERT OR IGNORE INTO {table} SELECT value FROM json_each(?)", [_numbers(pairs)])
        return ids

    def record(self, content: int) -> Record | None:
        rows = self._all("SELECT record FROM contents WHERE id = ?", [content])
        return _unpacked(rows[0][0]) if rows else None

    def mentioning(self, name: str) -> list[int]:
        return self._contents("mentions", name)

    def defining(self, name: str) -> list[int]:
        return self._contents("definitions", name)

    def keep(self, entries: Collection[Entry]) -> None:
        """Say once a day that these are in use, and drop what nobody used for a week."""
        today = _today()
        stale = [entry.id for entry in entries if entry.day < today]
        if not stale:
            return
        with self._writing():
            self._many("UPDATE contents SET day = ? WHERE id = ?", [(today, content) for content in stale])
            old = self._all("SELECT id, record FROM contents WHERE day < ?", [today - KEEP_DAYS])
            for content, packed in old:
                record = _unpacked(packed)
                for table, names in (("mentions", _mentioned), ("definitions", _defined)):
                    self._many(f"DELETE FROM {table} WHERE pair = ?", zip(_pairs(names(record), content), strict=True))
            self._many("DELETE FROM contents WHERE id = ?", [(content,) for content, _ in old])

    def _contents(self, table: str, name: str) -> list[int]:
        first = _number(name) * _CONTENTS
        rows = self._all(f"SELECT pair FROM {table} WHERE pair BETWEEN ? AND ?", [first, first + _CONTENTS - 1])
        return [pair - first for (pair,) in rows]

    def _enter_wal(self) -> None:
        """Switching needs the file alone, and SQLite does not wait for that by itself."""
        deadline = time.monotonic() + BUSY_SECONDS
        while self._connection.execute("PRAGMA journal_mode").fetchone()[0] not in ("wal", "memory"):
            try:
                self._connection.execute("PRAGMA journal_mode=WAL")
            except sqlite3.OperationalError as error:
                if "locked" not in str(error) or time.monotonic() > deadline:
                    raise
                time.sleep(0.01)

    @contextmanager
    def _writing(self) -> Iterator[None]:
        self._all("BEGIN IMMEDIATE", ())
        try:
            yield
        except BaseException:
            if self._connection.in_transaction:
                self._connection.rollback()
            raise
        self._all("COMMIT", ())

    def _all(self, sql: str, values: Sequence[object]) -> list[tuple[Any, ...]]:
        try:
            return self._connection.execute(sql, values).fetchall()
        except sqlite3.Error as error:
            raise _explained(error) from error

    def _many(self, sql: str, rows: Iterable[Sequence[object]]) -> None:
        try:
            self._connection.executemany(sql, rows)
        except sqlite3.Error as error:
            raise _explained(error) from error


def _explained(error: sqlite3.Error) -> Unusable:
    return (Locked if "locked" in str(error) else Unusable)(f"The index can't be used: {error}")


def _unpacked(packed: bytes) -> Record:
    try:
        return _decode(packed)
    except msgspec.MsgspecError as error:
        raise Unusable(str(error)) from error


def _mentioned(record: Record) -> set[int]:
    return {_number(name.removeprefix(".")) for name in record.names}


def _defined(record: Record) -> set[int]:
    return {_number(row.name) for row in record.units if row.defines}


def _pairs(names: set[int], content: int) -> list[int]:
    return [name * _CONTENTS + content for name in names]


def _number(name: str) -> int:
    """A name as 32 bits, so that no table of names is needed; the records tell apart what shares a number."""
    return crc32(name.encode("utf-8", "surrogateescape")) - (1 << 31)


def _numbers(numbers: list[int]) -> str:
    return msgspec.json.encode(numbers).decode()


def _chunks(keys: list[str]) -> Iterator[list[str]]:
    for at in range(0, len(keys), _AT_ONCE):
        yield keys[at : at + _AT_ONCE]


def _today() -> int:
    return int(time.time()) // SECONDS_OF_A_DAY


def _file(place: Path, after: int) -> tuple[Path, int]:
    """The newest file that this code made, if it is newer than `after`. A damaged one is left to those who have it
    open, and its name is not used again."""
    kind = f"names-{_made_by()}-"
    numbers = (path.stem.removeprefix(kind) for path in place.glob(f"{kind}*.db"))
    number = max([after + 1, *(int(number) for number in numbers if number.isdigit())])
    path = place / f"{kind}{number}.db"
    try:
        place.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            _tidy(place, kind, number)
    except OSError as error:
        raise Unusable(f"{place}: {error.strerror}") from error
    return path, number


def _tidy(place: Path, kind: str, number: int) -> None:
    """Remove the files that were found damaged, and those of other versions of this code that had their week."""
    damaged = {f"{kind}{before}.db{suffix}" for before in range(number) for suffix in ("", "-wal", "-shm")}
    oldest = time.time() - KEEP_DAYS * SECONDS_OF_A_DAY
    for path in place.glob("names-*"):
        if path.name in damaged or (not path.name.startswith(kind) and path.stat().st_mtime < oldest):
            path.unlink(missing_ok=True)


@cache
def _made_by() -> str:
    here = Path(__file__).parent
    sources = b"".join((here / f"{name}.py").read_bytes() for name in _MADE_BY)
    return blake2b(sources, digest_size=6).hexdigest()
