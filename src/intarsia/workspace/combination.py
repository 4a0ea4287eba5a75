"""The tree that holds both what has landed and what a session did: git's merge, and a merge by symbol where that fails.

git leaves files in conflict that two sides changed at different symbols; and it calls files clean that define a symbol
twice. So what it leaves is merged by symbol, and what both sides changed is looked at whatever git said.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from intarsia.errors import GitError
from intarsia.workspace.blobs import Blobs, Objects
from intarsia.workspace.repository import Repository
from intarsia.workspace.two_sides import INDEX, Rest

if TYPE_CHECKING:
    from intarsia.code.conflicts.source import SemanticConflict
    from intarsia.code.merging.files import File
    from intarsia.code.merging.merge import Conflict

REGULAR = (0o100644, 0o100755)
_STAGES = {("1", "2", "3"), ("2", "3")}  # of a file that both sides have; others are conflicts of names


@dataclass(frozen=True)
class Blob:
    mode: int
    oid: str


@dataclass(frozen=True)
class Change:
    """What one side did to a file: its name before and after, and what it is now, unless it is gone."""

    old: str
    new: str
    before: Blob | None
    after: Blob | None


@dataclass(frozen=True)
class Clash:
    """A file that can't hold both sides' work; `conflict` is None where no symbol of it is at issue."""

    path: str
    conflict: Conflict | None = None


@dataclass(frozen=True)
class Combined:
    """`tree` holds both, if there is no clash; `by_symbol` are the files that git could not have merged."""

    tree: str
    clashes: Sequence[Clash] = ()
    by_symbol: Sequence[str] = ()


class Combination:
    """Of two commits with a common `base`; `ours` is what has landed."""

    def __init__(self, repository: Repository, objects: Objects, base: str, ours: str, theirs: str) -> None:
        self._git = repository.git
        self._objects = objects
        self._index = repository.state / INDEX
        self._sides = (ours, theirs)
        self._base, self._ours, self._theirs = repository.trees(base, ours, theirs)

    def combine(self) -> Combined:
        tree, stages = self._merged_by_git()
        settled: dict[str, File | None] = {}
        clashes = []
        for path, blobs in stages.items():
            found = self._merge(path, blobs)
            if isinstance(found, Clash):
                clashes.append(found)
            else:
                settled[path] = found
        if not clashes:
            clashes = list(self._check_clean(tree, stages.keys(), settled))
        if clashes or not settled:
            return Combined(tree, clashes)
        return Combined(self._with_files(tree, settled), by_symbol=sorted(settled))

    def broken(self, tree: str) -> Sequence[SemanticConflict]:
        """What the two sides break only together, in a tree that holds both; nothing if not both changed code."""
        ours, theirs = (_by_path(side.values()) for side in self.changes)
        paths = {path for path in (*ours, *theirs) if is_code(path)}
        if not (paths & ours.keys() and paths & theirs.keys()):
            return ()
        from intarsia.code.conflicts.semantic import conflicts

        base = {path: blob for side in (theirs, ours) for path, (blob, _) in side.items()}
        old = {path: self._text(base[path]) for path in paths}
        mine = {path: self._text(ours[path][1]) if path in ours else old[path] for path in paths}
        other = {path: self._text(theirs[path][1]) if path in theirs else old[path] for path in paths}
        both = {path: self._objects.read(f"{tree}:{path}") for path in paths}
        with closing(Rest(Blobs(self._git, self._base, self._objects), self._index)) as rest:
            return conflicts(old, mine, other, rest, both)

    def _text(self, blob: Blob | None) -> bytes | None:
        """Of a regular file."""
        return self._objects.read(blob.oid) if blob is not None and blob.mode in REGULAR else None

    @cached_property
    def both(self) -> list[tuple[Change, Change]]:
        """The files that both sides changed."""
        ours, theirs = self.changes
        return [(ours[old], theirs[old]) for old in sorted(ours.keys() & theirs.keys())]

    @cached_property
    def changes(self) -> tuple[dict[str, Change], dict[str, Change]]:
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
                found[old] = Change(old, new, _blob(before_mode, before), _blob(after_mode, after))
        return found

    def _merged_by_git(self) -> tuple[str, dict[str, dict[str, Blob]]]:
        """The tree that git makes, and what it leaves in conflict: its versions by stage (1 base, 2 ours, 3 theirs)."""
        done = self._git.call("merge-tree", "--write-tree", "-z", "--no-messages", *self._sides, ok=(0, 1))
        tree, *entries = done.stdout.rstrip("\0").split("\0")
        stages: dict[str, dict[str, Blob]] = {}
        for entry in entries:
            facts, path = entry.split("\t", 1)
            mode, oid, stage = facts.split(" ")
            stages.setdefault(path, {})[stage] = Blob(int(mode, 8), oid)
        return tree, stages

    def _merge(self, path: str, blobs: Mapping[str, Blob]) -> File | Clash | None:
        from intarsia.code.merging.files import merge_files  # and with it the grammars
        from intarsia.code.merging.merge import Conflict

        if tuple(sorted(blobs)) not in _STAGES:
            return Clash(path)
        base, ours, theirs = (self._file(blobs.get(stage)) for stage in "123")
        merged = merge_files(path, base, ours, theirs)
        return Clash(path, merged) if isinstance(merged, Conflict) else merged

    def _check_clean(self, tree: str, left: Iterable[str], settled: dict[str, File | None]) -> Iterable[Clash]:
        """Look at what git merged without a word; what is wrong is merged by symbol, or else a clash."""
        for ours, theirs in self.both:
            path = ours.new if ours.new != ours.old else theirs.new
            versions = {"1": ours.before, "2": ours.after, "3": theirs.after}
            blobs = {stage: blob for stage, blob in versions.items() if blob is not None}
            if path in left or len(blobs) < 3 or ours.after == theirs.after:
                continue
            if not self._is_valid(path, blobs, self._objects.read(f"{tree}:{path}")):
                found = self._merge(path, blobs)
                if isinstance(found, Clash):
                    yield found
                else:
                    settled[path] = found

    def _is_valid(self, path: str, blobs: Mapping[str, Blob], result: bytes | None) -> bool:
        from intarsia.code.languages import language_of
        from intarsia.code.merging.valid import check

        files = [file for blob in blobs.values() if (file := self._file(blob)) is not None and file.is_text]
        if result is None or len(files) < 3:
            return True
        base, ours, theirs = (file.data for file in files)
        return not check(base, ours, theirs, result, language_of(path, result))

    def _file(self, blob: Blob | None) -> File | None:
        from intarsia.code.merging.files import MODULE, File

        if blob is None:
            return None
        if blob.mode == MODULE:
            return File(blob.mode, blob.oid.encode())
        data = self._objects.read(blob.oid)
        if data is None:
            raise GitError(f"git can't read the object {blob.oid}.")
        return File(blob.mode, data)

    def _with_files(self, tree: str, files: Mapping[str, File | None]) -> str:
        """The tree with these files as they are given."""
        lines = [self._entry(path, file) for path, file in files.items()]
        with TemporaryDirectory() as folder:
            env = {"GIT_INDEX_FILE": str(Path(folder, "index"))}
            self._git.run("read-tree", tree, env=env)
            self._git.run("update-index", "-z", "--index-info", stdin="".join(f"{line}\0" for line in lines), env=env)
            return self._git.run("write-tree", env=env).strip()

    def _entry(self, path: str, file: File | None) -> str:
        from intarsia.code.merging.files import MODULE

        if file is None:
            return f"0 {'0' * len(self._base)}\t{path}"
        if file.mode == MODULE:  # its data is the commit
            return f"{file.mode:o} {file.data.decode()}\t{path}"
        oid = self._git.read("hash-object", "-w", "--stdin", "--no-filters", stdin=file.data)
        if oid is None:
            raise GitError(f"git can't keep the merged {path}.")
        return f"{file.mode:o} {oid.decode().strip()}\t{path}"


def _by_path(changes: Iterable[Change]) -> dict[str, tuple[Blob | None, Blob | None]]:
    """What was and is in each place; a renamed file is gone from one, and new in another."""
    found: dict[str, tuple[Blob | None, Blob | None]] = {}
    for change in changes:
        if change.new == change.old:
            found[change.old] = change.before, change.after
        else:
            found[change.old] = change.before, None
            found[change.new] = None, change.after
    return found


def is_code(path: str) -> bool:
    from intarsia.code.languages import language_of

    return language_of(path, b"") is not None


def _blob(mode: str, oid: str) -> Blob | None:
    return Blob(int(mode, 8), oid) if int(mode, 8) else None
