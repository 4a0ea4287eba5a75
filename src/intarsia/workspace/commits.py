"""A session's part of the shared tree as commits: the branch's newest version with its changes, and nobody else's.

The user's index is not read and not written. Each session has a branch of its own, `intarsia/ISSUE/ATTEMPT`, that holds
its commits until they land.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import threading
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from intarsia.errors import Conflict, GitError
from intarsia.workspace.joining import Overlap, join
from intarsia.workspace.repository import Repository
from intarsia.workspace.shared import Tree
from intarsia.workspace.versions import Commits, Own, Versions

ARCHIVE = "refs/intarsia/archive"


class NothingToCommit(Conflict):
    code = "nothing_to_commit"


@dataclass(frozen=True)
class Entry:
    """A file of a commit, as git names it."""

    mode: str
    oid: str

    def is_plainly(self, content: bytes | None) -> bool:
        """Whether this is the content as it is, without any conversion; if not, git has to be asked."""
        return content is not None and self.oid == _blob_name(content, len(self.oid))


def entries_at(repository: Repository, commit: str, paths: Collection[str]) -> dict[str, Entry]:
    """Those of these files that a commit has."""
    listing = repository.git.run("ls-tree", "-z", "--full-tree", commit, "--", *paths) if paths else ""
    found = {}
    for line in listing.split("\0"):
        facts, _, path = line.partition("\t")
        if path:
            mode, _, oid = facts.split()
            found[path] = Entry(mode, oid)
    return found


def _blob_name(content: bytes, digits: int) -> str:
    make = hashlib.sha1 if digits == 40 else hashlib.sha256
    return make(b"blob %d\0" % len(content) + content).hexdigest()


def content_at(repository: Repository, commit: str, path: str) -> bytes | None:
    """A file's content as a checkout would write it; None if the commit has no such file."""
    return repository.git.read("cat-file", "--filters", f"{commit}:{path}")


class Branch:
    """The files of a branch as they are now; one git process answers most questions, as they come with every edit."""

    def __init__(self, repository: Repository, ref: str) -> None:
        self._repository = repository
        self._ref = ref
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None

    def content(self, path: str, guess: bytes | None) -> bytes | None:
        """As a checkout would write it; None if there is no such file. `guess` is what it probably is."""
        oid = self._oid(path)
        if oid is None:
            return None
        if Entry("", oid).is_plainly(guess):
            return guess
        return content_at(self._repository, self._ref, path)

    def _oid(self, path: str) -> str | None:
        with self._lock:
            answer = self._ask(path) or self._ask(path)
        if not answer:
            raise GitError("git cat-file ended.", git_exit=-1)
        facts = answer.split()
        return facts[0].decode() if len(facts) == 3 and facts[1] == b"blob" else None

    def _ask(self, path: str) -> bytes:
        """A line of `git cat-file --batch-check`, which is started if it does not run; empty if it ended."""
        if self._process is None or self._process.poll() is not None:
            self._process = self._repository.git.start("cat-file", "--batch-check")
        assert self._process.stdin is not None and self._process.stdout is not None
        try:
            self._process.stdin.write(os.fsencode(f"{self._ref}:{path}\n"))
            self._process.stdin.flush()
        except BrokenPipeError:
            return b""
        return self._process.stdout.readline()


@dataclass(frozen=True)
class Part:
    """A session's version of one file, on top of one version of the branch."""

    path: str
    base: bytes | None
    own: bytes | None


class SessionCommits:
    """The commits of one session, which land on `target`."""

    def __init__(self, tree: Tree, repository: Repository, target: str, session: str, branch: str) -> None:
        self._tree = tree
        self._versions: Versions = tree.versions
        self._repository = repository
        self._git = repository.git
        self._target = target
        self._session = session
        self._branch = branch

    @property
    def made(self) -> Commits | None:
        return self._versions.commits(self._session)

    def dirty(self) -> list[str]:
        """Files with changes that are in no commit of the session."""
        return [row.path for row in self._tree.parts_of(self._session) if row.dirty]

    def commit(self, message: str) -> str:
        """Commit all that the session made; raises NothingToCommit, or Overlap where the branch changed the same."""
        if not self.dirty():
            raise NothingToCommit("You have changed nothing since your last commit.")
        return self._commit(message)

    def renew(self) -> str | None:
        """Put the session's commits on the newest commit of the branch, as one; raises Overlap. None if it has none."""
        made = self.made
        if made is None or made.base == self._tip():
            return made.head if made else None
        return self._commit("")

    def _commit(self, message: str) -> str:
        tip, made = self._tip(), self.made
        rows = self._tree.parts_of(self._session)
        there = entries_at(self._repository, tip, [row.path for row in rows])
        parts = [self._onto(tip, row, there.get(row.path)) for row in rows]
        tree = self._write_tree(tip, parts, there)
        parent = made.head if made is not None and made.base == tip else tip
        if parent == tip and made is not None:
            message = "\n\n".join(filter(None, [self._said(made), message]))
        head = self._git.run("commit-tree", tree, "-p", parent, "-F", "-", stdin=f"{message.strip()}\n").strip()
        self._git.run("update-ref", f"refs/heads/{self._branch}", head)
        with self._versions.change():
            for part in parts:
                base, own = self._versions.keep(part.base), self._versions.keep(part.own)
                self._versions.set_own(self._session, part.path, base, own)
            self._versions.set_commits(self._session, tip, head)
        return head

    def overlapping(self) -> dict[str, bytes | None]:
        """The files in which the branch changed the same as the session, with their newest content there."""
        tip = self._tip()
        found = {}
        for row in self._tree.parts_of(self._session):
            newest = content_at(self._repository, tip, row.path)
            try:
                join(row.path, self._versions.data(row.base), newest, self._versions.data(row.own))
            except Overlap:
                found[row.path] = newest
        return found

    def start_over(self) -> None:
        """What the session has is to be committed anew."""
        with self._versions.change():
            self._versions.drop_commits(self._session)

    def archived(self, label: str) -> str:
        """The ref of what was archived under this label."""
        return f"{ARCHIVE}/{self._session}/{label}/work"

    def archive(self, label: str) -> str | None:
        """Keep what the session has, committed or not, under refs/intarsia/archive; the commit, None for nothing."""
        rows = [row for row in self._tree.parts_of(self._session) if row.changed]
        made = self.made
        if not rows and made is None:
            return None
        tip = made.base if made else self._tip()
        parts = [Part(row.path, self._versions.data(row.base), self._versions.data(row.own)) for row in rows]
        parent = made.head if made else tip
        tree = self._write_tree(tip, parts, entries_at(self._repository, tip, [part.path for part in parts]))
        kept = parent
        if tree != self._git.line("rev-parse", f"{parent}^{{tree}}"):
            kept = self._git.run("commit-tree", tree, "-p", parent, "-m", "Uncommitted work").strip()
        self._git.run("update-ref", self.archived(label), kept)
        return kept

    def _onto(self, tip: str, row: Own, there: Entry | None) -> Part:
        base, own = self._versions.data(row.base), self._versions.data(row.own)
        same = there.is_plainly(base) if there is not None else base is None
        newest = base if same else content_at(self._repository, tip, row.path)
        return Part(row.path, newest, join(row.path, base, newest, own))

    def _write_tree(self, tip: str, parts: list[Part], there: Mapping[str, Entry]) -> str:
        """The tree of `tip` with these files, made in an index of its own."""
        index = self._tree.state / "shared" / f"index-{self._session}"
        env = {"GIT_INDEX_FILE": str(index)}
        try:
            self._git.run("read-tree", tip, env=env)
            entries = "".join(self._entry(part, there.get(part.path)) for part in parts if part.base != part.own)
            if entries:
                self._git.run("update-index", "-z", "--index-info", stdin=entries, env=env)
            return self._git.run("write-tree", env=env).strip()
        finally:
            index.unlink(missing_ok=True)
            Path(f"{index}.lock").unlink(missing_ok=True)

    def _entry(self, part: Part, there: Entry | None) -> str:
        if part.own is None:
            return f"0 {'0' * 40}\t{part.path}\0"
        oid = self._git.read("hash-object", "-w", "--stdin", f"--path={part.path}", stdin=part.own)
        if oid is None:
            raise GitError(f"git can't store {part.path}.")
        mode = there.mode if there is not None else self._mode_on_disk(part.path)
        return f"{mode} {oid.decode().strip()}\t{part.path}\0"

    def _mode_on_disk(self, path: str) -> str:
        try:
            return "100755" if (self._tree.root / path).stat().st_mode & 0o100 else "100644"
        except FileNotFoundError:
            return "100644"

    def _tip(self) -> str:
        tip = self._repository.tip(self._target)
        if tip is None:
            raise GitError(f"The branch {self._target} is gone.")
        return tip

    def _said(self, made: Commits) -> str:
        bodies = self._git.run("log", "--reverse", "-z", "--format=%B", f"{made.base}..{made.head}").split("\0")
        return "\n\n".join(body.strip() for body in bodies if body.strip())
