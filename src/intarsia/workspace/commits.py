"""A session's part of the shared tree as commits: the branch's newest version with its changes, and nobody else's.

The user's index is not read and not written. Each session has a branch of its own, `intarsia/ISSUE/ATTEMPT`, that holds
its commits until they land.
"""

from __future__ import annotations

from dataclasses import dataclass

from intarsia.errors import Conflict, GitError
from intarsia.workspace.joining import Overlap, join
from intarsia.workspace.objects import EXECUTABLE, MODULE, PLAIN, TREE, Commit, Entry, name_of_blob
from intarsia.workspace.repository import Repository
from intarsia.workspace.shared import Tree
from intarsia.workspace.trees import with_files
from intarsia.workspace.versions import Commits, Own, Versions

ARCHIVE = "refs/intarsia/archive"


class NothingToCommit(Conflict):
    code = "nothing_to_commit"


def is_plainly(entry: Entry, content: bytes | None) -> bool:
    """Whether this is the content as it is, without any conversion; if not, git has to be asked."""
    return content is not None and entry.oid == name_of_blob(content, entry.oid)


def content_at(repository: Repository, commit: str, path: str) -> bytes | None:
    """A file's content as a checkout would write it; None if the commit has no such file."""
    entry = repository.objects.at(commit, path)
    if entry is None or entry.mode in (TREE, MODULE):
        return None
    if repository.attributes.convert(commit, path):
        return repository.git.read("cat-file", "--filters", f"{commit}:{path}")
    return repository.objects.read(entry.oid)


class Branch:
    """The files of a branch, or of what is checked out, as they are now."""

    def __init__(self, repository: Repository, name: str) -> None:
        self._repository = repository
        self._name = name

    def content(self, path: str, guess: bytes | None) -> bytes | None:
        """As a checkout would write it; None if there is no such file. `guess` is what it probably is."""
        tip = self._repository.tip(self._name) if self._name else self._repository.head()
        entry = self._repository.objects.at(tip, path) if tip else None
        if tip is None or entry is None:
            return None
        return guess if is_plainly(entry, guess) else content_at(self._repository, tip, path)


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
        parts = [self._onto(tip, row) for row in rows]
        tree = self._write_tree(tip, parts)
        parent = made.head if made is not None and made.base == tip else tip
        if parent == tip and made is not None:
            message = "\n\n".join(filter(None, [self._said(made), message]))
        head = self._made(tree, parent, message)
        self._repository.references.update(f"update refs/heads/{self._branch} {head}\n")
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
        tree = self._write_tree(tip, parts)
        kept = parent if [tree] == self._repository.trees(parent) else self._made(tree, parent, "Uncommitted work")
        self._repository.references.update(f"update {self.archived(label)} {kept}\n")
        return kept

    def _made(self, tree: str, parent: str, message: str) -> str:
        author, committer = self._repository.author(), self._repository.committer()
        text = f"{message.strip()}\n".encode(errors="surrogateescape")
        return self._repository.store.commit(Commit(tree, (parent,), author, text), committer)

    def _onto(self, tip: str, row: Own) -> Part:
        base, own = self._versions.data(row.base), self._versions.data(row.own)
        there = self._repository.objects.at(tip, row.path)
        same = is_plainly(there, base) if there is not None else base is None
        newest = base if same else content_at(self._repository, tip, row.path)
        return Part(row.path, newest, join(row.path, base, newest, own))

    def _write_tree(self, tip: str, parts: list[Part]) -> str:
        """The tree of `tip` with these files."""
        [tree] = self._repository.trees(tip)
        files = {part.path: self._entry(tip, part) for part in parts if part.base != part.own}
        return with_files(self._repository.objects, self._repository.store, tree, files)

    def _entry(self, tip: str, part: Part) -> Entry | None:
        if part.own is None:
            return None
        there = self._repository.objects.at(tip, part.path)
        return Entry(there.mode if there else self._mode_on_disk(part.path), self._stored(tip, part.path, part.own))

    def _stored(self, tip: str, path: str, content: bytes) -> str:
        if not self._repository.attributes.convert(tip, path):
            return self._repository.store.blob(content, tip)
        oid = self._git.read("hash-object", "-w", "--stdin", f"--path={path}", stdin=content)
        if oid is None:
            raise GitError(f"git can't store {path}.")
        return oid.decode().strip()

    def _mode_on_disk(self, path: str) -> int:
        try:
            return EXECUTABLE if (self._tree.root / path).stat().st_mode & 0o100 else PLAIN
        except FileNotFoundError:
            return PLAIN

    def _tip(self) -> str:
        tip = self._repository.tip(self._target)
        if tip is None:
            raise GitError(f"The branch {self._target} is gone.")
        return tip

    def _said(self, made: Commits) -> str:
        commits = reversed(self._repository.since(made.base, made.head) or [])
        bodies = [
            self._repository.objects.commit(commit).message.decode(errors="surrogateescape") for commit in commits
        ]
        return "\n\n".join(body.strip() for body in bodies if body.strip())
