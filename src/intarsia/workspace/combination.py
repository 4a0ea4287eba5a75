"""The tree that holds both what has landed and what a session did.

Files that one side changed are taken, and those of code that both changed are merged by symbol. Where that is not
enough, as with renamed files, git merges; what it leaves in conflict is merged by symbol, and what it calls clean is
looked at, as git calls files clean that define a symbol twice, or in which one side uses what the other changed.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from intarsia.errors import GitError
from intarsia.workspace.blobs import Blobs
from intarsia.workspace.objects import MODULE, REGULAR, Entry
from intarsia.workspace.repository import Repository
from intarsia.workspace.trees import differences, with_files
from intarsia.workspace.two_sides import INDEX, Rest

if TYPE_CHECKING:
    from intarsia.code.conflicts.source import SemanticConflict
    from intarsia.code.merging.files import File
    from intarsia.code.merging.merge import Conflict

_STAGES = {("1", "2", "3"), ("2", "3")}  # of a file that both sides have; others are conflicts of names


@dataclass(frozen=True)
class Change:
    """What one side did to a file: its name before and after, and what it is now, unless it is gone."""

    old: str
    new: str
    before: Entry | None
    after: Entry | None


@dataclass(frozen=True)
class Clash:
    """A file that can't hold both sides' work; `conflict` is None where no symbol of it is at issue."""

    path: str
    conflict: Conflict | None = None


@dataclass(frozen=True)
class Combined:
    """`tree` holds both, if there is no clash; `by_symbol` are the files that were merged by symbol."""

    tree: str
    clashes: Sequence[Clash] = ()
    by_symbol: Sequence[str] = ()


class Combination:
    """Of two commits with a common `base`; `ours` is what has landed."""

    def __init__(self, repository: Repository, base: str, ours: str, theirs: str) -> None:
        self._repository = repository
        self._git = repository.git
        self._objects = repository.objects
        self._sides = (ours, theirs)
        self._base, self._ours, self._theirs = repository.trees(base, ours, theirs)

    def combine(self) -> Combined:
        return self._by_files() or self._by_git()

    def broken(self, tree: str) -> Sequence[SemanticConflict]:
        """What the two sides break only together, in a tree that holds both; nothing if not both changed code."""
        ours, theirs = self._differences
        paths = {path for path in (*ours, *theirs) if is_code(path)}
        if not (paths & ours.keys() and paths & theirs.keys()):
            return ()
        from intarsia.code.conflicts.semantic import conflicts

        base = {path: entry for side in (theirs, ours) for path, (entry, _) in side.items()}
        old = {path: self._text(base[path]) for path in paths}
        mine = {path: self._text(ours[path][1]) if path in ours else old[path] for path in paths}
        other = {path: self._text(theirs[path][1]) if path in theirs else old[path] for path in paths}
        both = {path: self._text(self._objects.at(tree, path)) for path in paths}
        with closing(Rest(Blobs(self._base, self._objects), self._repository.state / INDEX)) as rest:
            return conflicts(old, mine, other, rest, both)

    def _text(self, entry: Entry | None) -> bytes | None:
        """Of a regular file."""
        return self._objects.read(entry.oid) if entry is not None and entry.mode in REGULAR else None

    @cached_property
    def _differences(self) -> tuple[dict[str, tuple[Entry | None, Entry | None]], ...]:
        """What is not as in the base, in ours and in theirs; a renamed file is gone from one place, new in another."""
        return tuple(differences(self._objects, self._base, side) for side in (self._ours, self._theirs))

    # Without git.

    def _by_files(self) -> Combined | None:
        """None where it can't be said without git, or not all can be merged by symbol."""
        ours, theirs = self._differences
        if any(map(_may_rename, (ours, theirs))) or _nested(ours, theirs):
            return None
        settled = {path: after for path, (_, after) in theirs.items() if path not in ours}
        merged = [path for path in theirs if path in ours and ours[path][1] != theirs[path][1]]
        for path in merged:
            file = self._by_symbol(path, theirs[path][0], ours[path][1], theirs[path][1])
            if file is None:
                return None
            settled[path] = self._kept(file)
        return Combined(with_files(self._objects, self._repository.store, self._ours, settled), by_symbol=merged)

    def _by_symbol(self, path: str, base: Entry | None, ours: Entry | None, theirs: Entry | None) -> File | None:
        if ours is None or theirs is None or not is_code(path):
            return None
        if self._repository.attributes.name_merge(self._ours, path):
            return None
        versions = {"1": base, "2": ours, "3": theirs}
        found = self._merge(path, {stage: entry for stage, entry in versions.items() if entry is not None})
        return None if isinstance(found, Clash) else found

    # With git.

    def _by_git(self) -> Combined:
        tree, stages = self._merged_by_git()
        settled: dict[str, File | None] = {}
        clashes = []
        for path, entries in stages.items():
            found = self._merge(path, entries)
            if isinstance(found, Clash):
                clashes.append(found)
            else:
                settled[path] = found
        if not clashes:
            clashes = list(self._check_clean(tree, stages.keys(), settled))
        if clashes or not settled:
            return Combined(tree, clashes)
        kept = {path: None if file is None else self._kept(file) for path, file in settled.items()}
        return Combined(with_files(self._objects, self._repository.store, tree, kept), by_symbol=sorted(settled))

    @cached_property
    def both(self) -> list[tuple[Change, Change]]:
        """The files that both sides changed."""
        ours, theirs = self._changes
        return [(ours[old], theirs[old]) for old in sorted(ours.keys() & theirs.keys())]

    @cached_property
    def _changes(self) -> tuple[dict[str, Change], dict[str, Change]]:
        """Ours and theirs, by the file's name in the base."""
        ours, theirs = (f"{self._base} {side}\n" for side in (self._ours, self._theirs))
        asked = ("diff-tree", "--stdin", "-r", "-z", "-M", "--raw", "--no-abbrev")
        of_ours, _, of_theirs = self._git.run(*asked, stdin=ours + theirs).removeprefix(ours).partition(theirs)
        return self._changed(of_ours), self._changed(of_theirs)

    @staticmethod
    def _changed(listing: str) -> dict[str, Change]:
        fields = iter(listing.split("\0"))
        found = {}
        for entry in fields:
            if entry:
                modes, status = entry[1:].rsplit(" ", 1)
                before_mode, after_mode, before, after = modes.split(" ")
                old = next(fields)
                new = next(fields) if status[0] in "RC" else old
                found[old] = Change(old, new, _entry(before_mode, before), _entry(after_mode, after))
        return found

    def _merged_by_git(self) -> tuple[str, dict[str, dict[str, Entry]]]:
        """The tree that git makes, and what it leaves in conflict: its versions by stage (1 base, 2 ours, 3 theirs)."""
        done = self._git.call("merge-tree", "--write-tree", "-z", "--no-messages", *self._sides, ok=(0, 1))
        tree, *entries = done.stdout.rstrip("\0").split("\0")
        stages: dict[str, dict[str, Entry]] = {}
        for entry in entries:
            facts, path = entry.split("\t", 1)
            mode, oid, stage = facts.split(" ")
            stages.setdefault(path, {})[stage] = Entry(int(mode, 8), oid)
        return tree, stages

    def _merge(self, path: str, entries: Mapping[str, Entry]) -> File | Clash | None:
        from intarsia.code.merging.files import merge_files  # and with it the grammars
        from intarsia.code.merging.merge import Conflict

        if tuple(sorted(entries)) not in _STAGES:
            return Clash(path)
        base, ours, theirs = (self._file(entries.get(stage)) for stage in "123")
        merged = merge_files(path, base, ours, theirs)
        return Clash(path, merged) if isinstance(merged, Conflict) else merged

    def _check_clean(self, tree: str, left: Collection[str], settled: dict[str, File | None]) -> Iterable[Clash]:
        """Look at what git merged without a word; what is wrong is merged by symbol, or else a clash."""
        for ours, theirs in self.both:
            path = ours.new if ours.new != ours.old else theirs.new
            versions = {"1": ours.before, "2": ours.after, "3": theirs.after}
            entries = {stage: entry for stage, entry in versions.items() if entry is not None}
            if path in left or len(entries) < 3 or ours.after == theirs.after:
                continue
            found = self._merge(path, entries)
            if self._is_valid(path, entries, self._objects.read(f"{tree}:{path}")):
                yield from self._entangled(path, found)
            elif isinstance(found, Clash):
                yield found
            else:
                settled[path] = found

    def _entangled(self, path: str, found: File | Clash | None) -> Iterable[Clash]:
        """Of what git merged by lines, and what could not be merged by symbol, the symbols that can't be both."""
        from intarsia.code.merging.files import entangled

        named = self._repository.attributes.name_merge(self._ours, path)
        if isinstance(found, Clash) and found.conflict is not None and not named:
            left = entangled(path, found.conflict)
            if left is not None:
                yield Clash(path, left)

    def _is_valid(self, path: str, entries: Mapping[str, Entry], result: bytes | None) -> bool:
        from intarsia.code.languages import language_of
        from intarsia.code.merging.valid import check

        files = [file for entry in entries.values() if (file := self._file(entry)) is not None and file.is_text]
        if result is None or len(files) < 3:
            return True
        base, ours, theirs = (file.data for file in files)
        return not check(base, ours, theirs, result, language_of(path, result))

    def _file(self, entry: Entry | None) -> File | None:
        from intarsia.code.merging.files import File

        if entry is None:
            return None
        if entry.mode == MODULE:
            return File(entry.mode, entry.oid.encode())
        data = self._objects.read(entry.oid)
        if data is None:
            raise GitError(f"git can't read the object {entry.oid}.")
        return File(entry.mode, data)

    def _kept(self, file: File) -> Entry:
        """The file as an entry of a tree, its content kept in the repository; of a submodule it is the commit."""
        if file.mode == MODULE:
            return Entry(file.mode, file.data.decode())
        return Entry(file.mode, self._repository.store.blob(file.data, self._base))


def _may_rename(side: Mapping[str, tuple[Entry | None, Entry | None]]) -> bool:
    """Whether files came and others went, which git may know for the same."""
    return any(before is None for before, _ in side.values()) and any(after is None for _, after in side.values())


def _nested(one: Collection[str], other: Collection[str]) -> bool:
    """Whether what is a file's name on one side may be a directory's on the other."""
    return bool(_folders(one) & set(other) or _folders(other) & set(one))


def _folders(paths: Iterable[str]) -> set[str]:
    return {path[:at] for path in paths for at, sign in enumerate(path) if sign == "/"}


def is_code(path: str) -> bool:
    from intarsia.code.languages import language_of

    return language_of(path, b"") is not None


def _entry(mode: str, oid: str) -> Entry | None:
    return Entry(int(mode, 8), oid) if int(mode, 8) else None
