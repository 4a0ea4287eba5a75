"""A repository's objects without a process for each: read by one git that stays, and written as git writes them.

What is written is a loose object, as gitformat-loose(5) has it; like git's own it is not forced to the disk before the
reference that makes it count.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import threading
import zlib
from collections.abc import Iterable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from intarsia.errors import GitError
from intarsia.workspace.git import Git, end

TREE = 0o40000
MODULE = 0o160000
PLAIN, EXECUTABLE = REGULAR = (0o100644, 0o100755)
LARGEST = 32 * 1024 * 1024
"""Bytes of an object that is read whole: a few of an agent's may make as many as it likes."""
_KEPT = 4096


class Entry(NamedTuple):
    """What a tree has under one name."""

    mode: int
    oid: str


class Commit(NamedTuple):
    """`author` is the line as it stands in the commit; `encoding` that of the message, if it is not UTF-8."""

    tree: str
    parents: tuple[str, ...]
    author: bytes
    message: bytes
    encoding: str = ""


class Objects:
    """Safe to use from several threads. The process is started when the first object is read that is not in `store`."""

    def __init__(self, git: Git, store: Store | None = None) -> None:
        self._git = git
        self._store = store
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        # An object never changes, so what was read of one holds for ever.
        self.tree = lru_cache(_KEPT)(self._tree)
        self.commit = lru_cache(_KEPT)(self._commit)

    def read(self, name: str) -> bytes | None:
        """What `name` (an id, or TREE:PATH) holds; None when there is no such thing. Raises GitError."""
        found = self._loose(name)
        return self._told(name) if found is None else found[1]

    def _loose(self, name: str) -> tuple[bytes, bytes] | None:
        """Kind and content of what was made here not long ago."""
        return self._store.get(name) if self._store is not None and len(name) in (40, 64) else None

    def _told(self, name: str) -> bytes | None:
        with self._lock:
            try:
                return self._ask(name)
            except BrokenPipeError:
                self._end()
            try:
                return self._ask(name)
            except BrokenPipeError:
                raise GitError(f"git cat-file ended before it read {name}.", git_exit=self._end()) from None

    def _ask(self, name: str) -> bytes | None:
        if self._process is None:
            self._process = self._git.start("cat-file", "--batch", "-z")
        return _asked(self._process, name)

    def _end(self) -> int:
        process, self._process = self._process, None
        return end(process) if process is not None else 0

    def _tree(self, oid: str) -> Mapping[str, Entry]:
        """The entries of a tree, or of a commit's, by name. Raises GitError."""
        found = self._loose(oid)
        if found is not None and found[0] == b"commit":
            return self.tree(parsed(found[1]).tree)
        data = found[1] if found is not None and found[0] == b"tree" else self._require(f"{oid}^{{tree}}")
        return dict(entries_of(data, len(oid) // 2))

    def _commit(self, oid: str) -> Commit:
        """Raises GitError."""
        return parsed(self._require(oid))

    def files(self, tree: str, inside: str = "") -> dict[str, Entry]:
        """All that a tree holds, in all directories, by path; submodules too."""
        found: dict[str, Entry] = {}
        for name, entry in self.tree(tree).items():
            if entry.mode == TREE:
                found |= self.files(entry.oid, f"{inside}{name}/")
            else:
                found[inside + name] = entry
        return found

    def at(self, tree: str, path: str) -> Entry | None:
        """What a tree has at a path."""
        name, _, rest = path.partition("/")
        entry = self.tree(tree).get(name)
        if entry is None or not rest:
            return entry
        return self.at(entry.oid, rest) if entry.mode == TREE else None

    def _require(self, name: str) -> bytes:
        data = self.read(name)
        if data is None:
            raise GitError(f"git can't read the object {name}.")
        return data

    def close(self) -> None:
        with self._lock:
            self._end()


class Store:
    """Where new objects of a repository go: its own directory `objects`."""

    def __init__(self, objects: Path) -> None:
        self._objects = objects

    def loose(self) -> set[str]:
        """The ids of all objects that are here as files of their own."""
        folders = [folder for folder in self._objects.iterdir() if len(folder.name) == 2]
        return {folder.name + file.name for folder in folders for file in folder.iterdir()}

    def has_packs(self) -> bool:
        return any((self._objects / "pack").glob("*.pack"))

    def get(self, oid: str) -> tuple[bytes, bytes] | None:
        """Kind and content of a loose object; None if it is not here, not what its name says, or large."""
        try:
            with (self._objects / oid[:2] / oid[2:]).open("rb") as file:
                whole = zlib.decompressobj().decompress(file.read(LARGEST), LARGEST)
        except (OSError, zlib.error):
            return None
        head, _, data = whole.partition(b"\0")
        return (head.split(b" ")[0], data) if _name(whole, len(oid)) == oid else None

    def get_commit(self, oid: str) -> Commit | None:
        """Raises GitError for what is no commit."""
        found = self.get(oid)
        return None if found is None else parsed(found[1])

    def blob(self, data: bytes, like: str) -> str:
        """The id of a content, which is there afterwards. `like` is any id of this repository. Raises OSError."""
        return self._write(b"blob", data, like)

    def tree(self, entries: Mapping[str, Entry], like: str) -> str:
        ordered = sorted(entries.items(), key=lambda item: _sorted_as(*item))
        data = b"".join(
            b"%o %s\0%s" % (entry.mode, os.fsencode(name), bytes.fromhex(entry.oid)) for name, entry in ordered
        )
        return self._write(b"tree", data, like)

    def commit(self, commit: Commit, committer: bytes) -> str:
        lines = [b"tree " + commit.tree.encode(), *(b"parent " + parent.encode() for parent in commit.parents)]
        lines += [b"author " + commit.author, b"committer " + committer, b"", commit.message]
        return self._write(b"commit", b"\n".join(lines), commit.tree)

    def _write(self, kind: bytes, data: bytes, like: str) -> str:
        whole = b"%s %d\0%s" % (kind, len(data), data)
        oid = _name(whole, len(like))
        folder = self._objects / oid[:2]
        place = folder / oid[2:]
        try:
            os.utime(place)  # so that no clean-up takes it for old
        except FileNotFoundError:
            packed = zlib.compress(whole, 1)
            try:
                _create(place, packed)
            except FileNotFoundError:
                self._make(folder)
                _create(place, packed)
        return oid

    def _make(self, folder: Path) -> None:
        try:
            folder.mkdir()
        except FileExistsError:
            return
        folder.chmod(self._objects.stat().st_mode & 0o7777)  # shared with others, if the repository is


def name_of_blob(content: bytes, like: str) -> str:
    """What git calls a content in a repository where another thing is called `like`."""
    return _name(b"blob %d\0%s" % (len(content), content), len(like))


def _name(whole: bytes, digits: int) -> str:
    return (hashlib.sha1 if digits == 40 else hashlib.sha256)(whole).hexdigest()


def _create(place: Path, content: bytes) -> None:
    """A file that is there whole or not at all, and is never written again; git clears away unfinished ones."""
    unfinished = place.with_name(f"tmp_obj_{os.urandom(8).hex()}")
    with unfinished.open("xb") as file:
        file.write(content)
        os.fchmod(file.fileno(), 0o444)
    unfinished.rename(place)


def _sorted_as(name: str, entry: Entry) -> bytes:
    """git sorts a directory as if its name ended in a slash."""
    return os.fsencode(name) + (b"/" if entry.mode == TREE else b"")


def entries_of(data: bytes, width: int) -> Iterable[tuple[str, Entry]]:
    """What the content of a tree says; `width` is that of an id in bytes. Raises GitError."""
    at = 0
    try:
        while at < len(data):
            space = data.index(b" ", at)
            end = data.index(b"\0", space) + 1
            name = data[space + 1 : end - 1].decode(errors="surrogateescape")
            yield name, Entry(int(data[at:space], 8), data[end : end + width].hex())
            at = end + width
    except ValueError:
        raise GitError("A tree of the repository is broken.", hint="git fsck") from None


def parsed(data: bytes) -> Commit:
    """What the content of a commit says. Raises GitError."""
    head, _, message = data.partition(b"\n\n")
    fields: dict[bytes, list[bytes]] = {}
    for line in head.split(b"\n"):
        key, _, value = line.partition(b" ")
        fields.setdefault(key, []).append(value)
    if not fields.keys() >= {b"tree", b"author"}:
        raise GitError("A commit of the repository is broken.", hint="git fsck")
    parents = tuple(parent.decode() for parent in fields.get(b"parent", []))
    encoding = fields.get(b"encoding", [b""])[0].decode(errors="replace")
    return Commit(fields[b"tree"][0].decode(), parents, fields[b"author"][0], message, encoding)


def _asked(process: subprocess.Popen[bytes], name: str) -> bytes | None:
    assert process.stdin is not None and process.stdout is not None
    process.stdin.write(f"{name}\0".encode(errors="surrogateescape"))
    process.stdin.flush()
    facts = process.stdout.readline().split()
    if not facts:
        raise BrokenPipeError
    if facts[-1] in (b"missing", b"ambiguous"):
        return None
    size = int(facts[2])
    data = process.stdout.read(size + 1)
    if len(data) <= size:
        raise BrokenPipeError
    return data[:size]
