"""Which names the files of a repository define and mention: by name, without types.

A name leads to a definition when the file imports it (or needs no import in its language). A prototype with a similar
rule was right for six of ten functions found and missed three of a hundred (design/code.md); this one was not measured.
Enough to tell who should look, not enough to forbid.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Collection, Iterable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import TypeVar

from msgspec import Struct

from intarsia.code.languages import language_of
from intarsia.code.names.links import family, names_file, near, takes
from intarsia.code.names.record import Record, Row, record_of
from intarsia.code.names.store import Entry, Locked, Store, Unusable

Reader = Callable[[str], bytes | None]
Answer = TypeVar("Answer")

_BATCH = 100
_CACHED = 1024
_AMBIGUOUS = 8
_CROWD = 100  # of so many definitions there is one in reach of every file
_ORDINAL = re.compile(r"#\d+(?=\.|$)")
_EXPLICIT_SELF = frozenset({"python", "javascript", "rust", "go", "php"})


class Refreshed(Struct, frozen=True):
    """How many files, units and lines the index has now, and how many files were read for it."""

    files: int
    read: int
    units: int
    lines: int


class Place(Struct, frozen=True, order=True):
    """A unit of a file, and where it stands: `line` to `last`."""

    path: str
    key: str
    line: int
    last: int
    kind: str
    language: str

    @property
    def uri(self) -> str:
        return f"code:{self.path}#{plain(self.key)}" if self.key else f"code:{self.path}"

    def words(self, path: str, record: Record) -> set[str]:
        """The words of a file that may mean this definition; those behind a dot begin with one.

        A method is meant only by what stands behind a dot, where the language has it so.
        """
        if family(record.language) != family(self.language):
            return set()
        top, dot, rest = self.key.partition(".")
        name = rest.rpartition(".")[2] if dot else top
        close = near(self.language, path, self.path)
        linked = close or names_file(record.imports, self.language, self.path)
        if dot:
            linked = linked or takes(record.imports, self.path, top)
            bare = {name} if close and family(self.language) not in _EXPLICIT_SELF else set()
            return {f".{name}", *bare} if linked else set()
        if linked:
            return {name, f".{name}"}
        return {name} if takes(record.imports, self.path, name) else set()


class Index:
    """Of one version of the files; what is known of each content is shared through the directory by all processes."""

    def __init__(self, directory: Path | None) -> None:
        """Without a directory, everything is kept in memory."""
        self._directory = directory
        self._files: dict[str, str] = {}
        self._read: Reader = _nothing
        self._begin(-1)

    def close(self) -> None:
        self._store.close()

    def forget(self) -> None:
        """Begin anew, for all that open the index from now on."""
        self._store.close()
        self._begin(self._store.number)

    @property
    def paths(self) -> Collection[str]:
        """All files, also those that have no units."""
        return self._files.keys()

    def refresh(self, files: Iterable[tuple[str, str]], read: Reader) -> Refreshed:
        """Have these files and no others: pairs of path and content id, such as git's. Only of contents that were
        never seen, `read` is asked; it answers None for a file that is no longer there."""
        self._files, self._read = dict(files), read
        return self._safely(self._fill)

    def change(self, path: str, content: str, data: bytes) -> Refreshed:
        """One file has another content now."""
        before = self._read
        self._files[path] = content
        self._read = lambda asked: data if asked == path else before(asked)
        done = self._safely(lambda: self._fill([path]))
        self._read = before
        return done

    def definitions(self, name: str) -> list[Place]:
        """Of `name`, `Class.method` or any longer end of a key."""
        return self._safely(lambda: sorted(place for place, _ in self._defining(name)))

    def mentions(self, name: str) -> list[Place]:
        """The units that mention a definition of that name, other than the definitions themselves."""
        return self._safely(lambda: sorted(self._mentioning(name)))

    def mentioning(self, name: str) -> list[str]:
        """The files that use that word, whatever they mean by it."""
        return self._safely(lambda: sorted(path for path, _ in self._found(self._store.mentioning(name))))

    def depends(self, path: str, key: str) -> list[Place]:
        """The definitions that a unit, or any member of it, mentions; without names that are defined all over."""
        return self._safely(lambda: sorted(self._dependencies(path, key)))

    def units(self, path: str) -> list[Place]:
        """In the order of the file; nothing for a file that is unknown, or of an unknown language."""
        return self._safely(
            lambda: [_place(path, record, row) for record in self._record(path) for row in record.units]
        )

    def _begin(self, after: int) -> None:
        self._store = _opened(self._directory, after)
        self._known: dict[str, Entry] = {}
        self._here: dict[str, str] = {}
        self._entries: dict[str, Entry] = {}
        self._paths: dict[int, list[str]] = {}
        self._load = lru_cache(maxsize=_CACHED)(self._store.record)

    def _safely(self, action: Callable[[], Answer]) -> Answer:
        """A damaged file is no error: all that was in it can be read again."""
        for _ in range(2):
            try:
                return action()
            except Locked:
                break
            except Unusable:
                self._store.close()
                self._begin(self._store.number)
                action = self._filled(action)
        self._directory = None
        self._begin(-1)
        self._fill()
        return action()

    def _filled(self, action: Callable[[], Answer]) -> Callable[[], Answer]:
        def filled() -> Answer:
            self._fill()
            return action()

        return filled

    def _fill(self, paths: Iterable[str] | None = None) -> Refreshed:
        """Bring what is known in line with the files, or with those of these paths."""
        if paths is None:
            paths = [path for path, content in self._files.items() if self._here.get(path) != content]
            for path in self._here.keys() - self._files.keys():
                self._leave(path)
        keys = {path: key for path in paths if (key := _key(path, self._files[path]))}
        wanted = {key: path for path, key in keys.items() if key not in self._known}
        self._known.update(self._store.known(wanted))
        unknown = [(key, path) for key, path in wanted.items() if key not in self._known]
        read = sum(self._add(some) for some in _batches(unknown))
        for path, key in keys.items():
            self._enter(path, self._known.get(key))
        self._store.keep(self._entries.values())
        units, lines = (sum(getattr(each, name) for each in self._entries.values()) for name in ("units", "lines"))
        return Refreshed(len(self._entries), read, units, lines)

    def _enter(self, path: str, entry: Entry | None) -> None:
        self._leave(path)
        if entry is not None:
            self._here[path] = self._files[path]
            self._entries[path] = entry
            self._paths.setdefault(entry.id, []).append(path)

    def _leave(self, path: str) -> None:
        if self._here.pop(path, None) is not None:
            self._paths[self._entries.pop(path).id].remove(path)

    def _add(self, some: list[tuple[str, str]]) -> int:
        """Read contents that nobody else has read in the meantime; how many."""
        self._known.update(self._store.known([key for key, _ in some]))
        records = []
        for key, path in some:
            data = self._read(path) if key not in self._known else None
            if data is not None and (record := record_of(path, data)):
                records.append((key, record))
        if records:
            self._known.update(self._store.add(records))
        return len(records)

    def _found(self, contents: Iterable[int]) -> Iterator[tuple[str, Record]]:
        for content in contents:
            paths = self._paths.get(content)
            record = self._load(content) if paths else None
            if record is not None:
                yield from ((path, record) for path in paths or ())

    def _record(self, path: str) -> list[Record]:
        entry = self._entries.get(path)
        record = self._load(entry.id) if entry else None
        return [] if record is None else [record]

    def _defining(self, name: str) -> Iterator[tuple[Place, Row]]:
        short = name.rpartition(".")[2]
        for path, record in self._found(self._store.defining(short)):
            for row in record.units:
                if row.name == short and row.defines and f".{plain(row.key)}".endswith(f".{name}"):
                    yield _place(path, record, row), row

    def _mentioning(self, name: str) -> Iterator[Place]:
        short = name.rpartition(".")[2]
        definitions = [place for place, _ in self._defining(name)]
        known = {(place.path, place.key) for place in definitions}
        filtered = definitions if len(definitions) <= _CROWD else []
        for path, record in self._found(self._store.mentioning(short)):
            meant = _meaning(filtered, path, record) if filtered else {short, f".{short}"}
            words, imported = _positions(record, meant), _positions(record, {short} if meant else set())
            for row in record.units:
                used = not (imported if row.kind == "import" else words).isdisjoint(row.words)
                if used and (path, row.key) not in known:
                    yield _place(path, record, row)

    def _dependencies(self, path: str, key: str) -> set[Place]:
        found: set[Place] = set()
        for record in self._record(path):
            inside = [row for row in record.units if row.key == key or row.key.startswith(f"{key}.")]
            names = {record.names[word] for row in inside for word in row.words}
            for name in names:
                found.update(self._meant(path, record, name))
        return {place for place in found if place.path != path or not (place.key + ".").startswith(f"{key}.")}

    def _meant(self, path: str, record: Record, name: str) -> list[Place]:
        """What a word of a file leads to: its own definitions, else those that it imports, if they are not many."""
        short = name.removeprefix(".")
        definitions = [place for place, _ in self._defining(short)]
        if len(definitions) > _AMBIGUOUS:
            definitions = [place for place in definitions if place.path == path]
        meant = [place for place in definitions if name in place.words(path, record)]
        own = [place for place in meant if place.path == path]
        named = [place for place in meant if names_file(record.imports, place.language, place.path)]
        return own or named or meant


def plain(key: str) -> str:
    """A key without ordinals, which change when others of the name come and go."""
    return _ORDINAL.sub("", key)


def _meaning(definitions: list[Place], path: str, record: Record) -> set[str]:
    """The words of a file that may mean one of the definitions."""
    found: set[str] = set()
    for place in definitions:
        found |= place.words(path, record)
        if len(found) > 1:
            break
    return found


def _positions(record: Record, names: set[str]) -> set[int]:
    return {at for at, each in enumerate(record.names) if each in names} if names else set()


def _place(path: str, record: Record, row: Row) -> Place:
    return Place(path, row.key, row.line, row.last, row.kind, record.language)


def _opened(directory: Path | None, after: int) -> Store:
    try:
        return Store(directory, after)
    except Locked:
        return Store(None)
    except Unusable:
        pass
    try:
        return Store(directory, after + 1)
    except Unusable:
        return Store(None)


def _key(path: str, content: str) -> str:
    """The language is part of it, as it depends on the name; empty for files that have no units."""
    name = path.rpartition("/")[2]
    stem, dot, extension = name.rpartition(".")
    kind = dot + extension if stem else name
    return f"{content}:{kind}" if _has_language(kind) else ""


@lru_cache(maxsize=4096)
def _has_language(kind: str) -> bool:
    return language_of(f"_{kind}" if kind.startswith(".") else kind, b"") is not None


def _batches(unknown: list[tuple[str, str]]) -> Iterator[list[tuple[str, str]]]:
    """In no order, so that processes that begin at once read different files and learn of each other's."""
    random.shuffle(unknown)
    for at in range(0, len(unknown), _BATCH):
        yield unknown[at : at + _BATCH]


def _nothing(path: str) -> None:
    return None
