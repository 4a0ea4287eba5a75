"""What one side may have to look at because of the other's change: by name, so a hint and never a verdict."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from functools import cached_property

from msgspec import structs

from intarsia.code.conflicts.source import Files, SemanticConflict, Versions
from intarsia.code.languages import language_of
from intarsia.code.names.index import Place, plain
from intarsia.code.names.links import family
from intarsia.code.names.record import Record, Row, recorded
from intarsia.code.outline import recall
from intarsia.code.recent import Recent

# Names that so many classes have that the name alone says nothing.
_COMMON = (
    "add all append apply build call check clear close copy count create decode delete disconnect dump encode end error"
    " execute exists exit extend fetch fileno filter find finish flush format get group handle head id index info init"
    " insert is_empty items iter join key keys len length list load lock log main map match message name new next open"
    " parse path peek pop post print process push put read readline register release remove render replace reset result"
    " run save search seek send set setup setUp size sort split start state status stop strip submit tearDown test text"
    " to_string toString title type update upper url validate value values visit wait warning write"
)
COMMON = frozenset(_COMMON.split())
SHORTEST = 3


class _Side:
    """One side's version of the files, and how it differs from the base."""

    def __init__(self, name: str, files: Files, base: Files) -> None:
        self.name = name
        self._files, self._base = files, base
        paths = [path for path in files if files[path] != base.get(path)]
        self.after = _records(files, paths)
        self.before = _records(base, paths)
        self.language = {path: record.language for path, record in [*self.before.items(), *self.after.items()]}

    def rows(self, path: str) -> tuple[dict[str, Row], dict[str, Row]]:
        """The definitions of a file by key, before and after."""
        return _definitions(path, self._base.get(path)), _definitions(path, self._files.get(path))

    @cached_property
    def removed(self) -> list[Place]:
        return [self._place(path, row) for path in self.before for row in self._gone(path)]

    def _gone(self, path: str) -> list[Row]:
        before, after = self.rows(path)
        record = self.after.get(path)
        still = {_last(name) for name in record.imports} if record else set()
        return [row for key, row in before.items() if key not in after and row.name not in still]

    @cached_property
    def resigned(self) -> list[Place]:
        """Definitions that have another signature now."""
        found: list[Place] = []
        for path in self.before:
            before, after = self.rows(path)
            both = (after[key] for key in before.keys() & after.keys() if _is_function(after[key]))
            found += [self._place(path, row) for row in both if row.signature != before[plain(row.key)].signature]
        return sorted(found)

    @cached_property
    def added(self) -> list[tuple[Place, Row]]:
        found = []
        for path in self.after:
            before, after = self.rows(path)
            found += [(self._place(path, row), row) for key, row in after.items() if key not in before]
        return found

    @cached_property
    def written(self) -> list[tuple[str, Record, Row]]:
        """The units that are not in the base as they are."""
        found = []
        for path, record in self.after.items():
            known = {(row.key, row.signature, row.body) for row in self._before(path)}
            found += [(path, record, row) for row in record.units if (row.key, row.signature, row.body) not in known]
        return found

    def has(self, place: Place, other: _Side) -> bool:
        """Whether this side made the same change to that definition, or to the whole file."""
        if place.path not in self.after and place.path not in self.before:
            return False
        mine, theirs = self.rows(place.path)[1].get(place.key), other.rows(place.path)[1].get(place.key)
        return mine == theirs or bool(mine and theirs and mine.signature == theirs.signature)

    def _before(self, path: str) -> Collection[Row]:
        record = self.before.get(path)
        return record.units if record else ()

    def _place(self, path: str, row: Row) -> Place:
        return Place(path, plain(row.key), row.line, row.last, row.kind, self.language[path])


def notices(versions: Versions, provable: Collection[SemanticConflict]) -> Iterator[SemanticConflict]:
    """Those that no provable conflict says already."""
    said = {(each.path, _last(each.symbol)) for each in provable}
    ours, theirs = (_Side(name, versions.of(name), versions.base) for name in ("ours", "theirs"))
    found = list(_twice(ours, theirs))
    for user, changer in ((ours, theirs), (theirs, ours)):
        uses = _Uses(user, changer, versions.combined)
        found += [*uses.of(changer.resigned, "signature"), *uses.of(changer.removed, "removed")]
    yield from (each for each in found if (each.path, _last(each.symbol)) not in said)


class _Uses:
    """What one side wrote that mentions what the other changed, and still does in the combination."""

    def __init__(self, user: _Side, changer: _Side, both: Files) -> None:
        self.user = user
        self.changer = changer
        self.both = both

    def of(self, places: list[Place], kind: str) -> Iterator[SemanticConflict]:
        """One for each symbol and file, at the first unit that is no import, if there is one."""
        for place in places:
            short = _used_as(place.key)
            is_method = "." in place.key and short == _last(place.key)
            told = len(short) >= SHORTEST and not short.startswith("__") and not (is_method and short in COMMON)
            if not told or self.user.has(place, self.changer):
                continue
            using: dict[str, Row] = {}
            for path, record, row in self.user.written:
                itself = path == place.path and plain(row.key) == place.key
                if not itself and self.uses(path, record, row, self.words(place, short, path, record), kind):
                    before = using.setdefault(path, row)
                    using[path] = row if before.kind == "import" else before
            yield from (self.notice(kind, place, path, row) for path, row in using.items())

    def words(self, place: Place, short: str, path: str, record: Record) -> set[str]:
        """The words that may mean it; of what makes instances, those that mean its class."""
        if short == _last(place.key):
            return place.words(path, record)
        return structs.replace(place, key=place.key.rpartition(".")[0]).words(path, record)

    def uses(self, path: str, record: Record, row: Row, words: set[str], kind: str) -> bool:
        """What was removed must be mentioned anew: of what mentioned it before, the other side took care."""
        known = _words_of(self.user.before.get(path), row.key) if kind == "removed" else set()
        still = _words_of(_record(path, self.both.get(path)), row.key)
        meant = words | {_last(word) for word in words} if row.kind == "import" else words
        return not meant.isdisjoint({record.names[at] for at in row.words} & still - known)

    def notice(self, kind: str, place: Place, path: str, row: Row) -> SemanticConflict:
        happened = "whose signature changed in" if kind == "signature" else "which is gone from"
        said = f"{plain(row.key)} in {path} mentions {place.key}, {happened} {place.path}"
        if kind == "removed":
            said += _where(place, self.changer)
        return SemanticConflict(
            kind, False, place.key, path, row.line, place.path, self.user.name, self.changer.name, said
        )


def _used_as(key: str) -> str:
    """The word by which code uses a definition; what makes instances is used by the name of its class."""
    owner, _, name = key.rpartition(".")
    return _last(owner) if owner and name in ("__init__", "constructor") else name


def _last(key: str) -> str:
    return key.rpartition(".")[2]


def _words_of(record: Record | None, key: str) -> set[str]:
    """What the units of a key mention."""
    if record is None:
        return set()
    return {record.names[at] for row in record.units if plain(row.key) == plain(key) for at in row.words}


def _where(place: Place, changer: _Side) -> str:
    """Where a removed definition went: the same name elsewhere, or the same body under another name."""
    name = _last(place.key)
    before = changer.rows(place.path)[0].get(place.key)
    for there, row in changer.added:
        if row.name == name:
            return f"; it is {there.key} in {there.path} now"
        if before is not None and row.body and row.body == before.body and there.path == place.path:
            return f"; it is called {there.key} now"
    return ""


def _twice(ours: _Side, theirs: _Side) -> Iterator[SemanticConflict]:
    """Helpers that both sides added: of the same name, or with the same body."""
    if not theirs.added:
        return
    common = {(p.path, p.key) for p, _ in ours.added} & {(p.path, p.key) for p, _ in theirs.added}
    other = {p.key: (p, row) for p, row in theirs.added if _is_helper(p, row) and (p.path, p.key) not in common}
    bodies = {row.body: (place, row) for place, row in other.values() if _is_long(row)}
    for place, row in ours.added:
        if not _is_helper(place, row) or (place.path, place.key) in common:
            continue
        match = other.get(place.key) or (bodies.get(row.body) if _is_long(row) else None)
        if match is None or family(match[0].language) != family(place.language):
            continue
        there = match[0]
        what = "have the same name" if there.key == place.key else "have the same body"
        said = f"{place.key} in {place.path} and {there.key} in {there.path}, both new, {what}"
        yield SemanticConflict("twice", False, place.key, place.path, place.line, there.path, "both", "both", said)


def _is_helper(place: Place, row: Row) -> bool:
    name = row.name
    plain_name = len(name) > SHORTEST and not name.startswith("__") and not name.lower().startswith("test")
    return plain_name and "." not in place.key and name not in COMMON and _is_function(row)


def _is_long(row: Row) -> bool:
    return bool(row.body) and row.last - row.line >= 3


def _is_function(row: Row) -> bool:
    return any(part in row.kind for part in ("function", "method", "constructor", "class", "struct"))


def _definitions(path: str, data: bytes | None) -> dict[str, Row]:
    """By their keys."""
    return (_recent_definitions(data, path) if data is not None else None) or {}


def _defining(data: bytes, path: str) -> dict[str, Row]:
    record = _record(path, data)
    return {plain(row.key): row for row in record.units if row.defines} if record else {}


def _record(path: str, data: bytes | None) -> Record | None:
    return _recent_record(data, path) if data is not None else None


def _records(files: Files, paths: Collection[str]) -> dict[str, Record]:
    found = ((path, _record(path, files.get(path))) for path in paths)
    return {path: record for path, record in found if record is not None}


def _recorded(data: bytes, path: str) -> Record | None:
    language = language_of(path, data)
    return None if language is None else recorded(recall(data, language), language)


_recent_record = Recent(_recorded)
_recent_definitions = Recent(_defining)
