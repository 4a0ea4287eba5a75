"""A session's part of the shared tree as commits: the branch's newest version with its changes, and nobody else's.

The user's index is not read and not written. Each session has a branch of its own, `intarsia/ISSUE/ATTEMPT`, that holds
its commits until they land.
"""

from __future__ import annotations

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


def content_at(repository: Repository, commit: str, path: str) -> bytes | None:
    """A file's content as a checkout would write it; None if the commit has no such file."""
    return repository.git.read("cat-file", "--filters", f"{commit}:{path}")


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
        parts = self._parts(tip)
        tree = self._write_tree(tip, parts)
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
        kept = parent
        if tree != self._git.line("rev-parse", f"{parent}^{{tree}}"):
            kept = self._git.run("commit-tree", tree, "-p", parent, "-m", "Uncommitted work").strip()
        self._git.run("update-ref", f"{ARCHIVE}/{self._session}/{label}/work", kept)
        return kept

    def _parts(self, tip: str) -> list[Part]:
        return [self._onto(tip, row) for row in self._tree.parts_of(self._session)]

    def _onto(self, tip: str, row: Own) -> Part:
        base, own = self._versions.data(row.base), self._versions.data(row.own)
        newest = content_at(self._repository, tip, row.path)
        return Part(row.path, newest, join(row.path, base, newest, own))

    def _write_tree(self, tip: str, parts: list[Part]) -> str:
        """The tree of `tip` with these files, made in an index of its own."""
        index = self._tree.state / "shared" / f"index-{self._session}"
        env = {"GIT_INDEX_FILE": str(index)}
        try:
            self._git.run("read-tree", tip, env=env)
            entries = "".join(self._entry(part, env) for part in parts if part.base != part.own)
            if entries:
                self._git.run("update-index", "-z", "--index-info", stdin=entries, env=env)
            return self._git.run("write-tree", env=env).strip()
        finally:
            index.unlink(missing_ok=True)
            Path(f"{index}.lock").unlink(missing_ok=True)

    def _entry(self, part: Part, env: dict[str, str]) -> str:
        if part.own is None:
            return f"0 {'0' * 40}\t{part.path}\0"
        oid = self._git.read("hash-object", "-w", "--stdin", f"--path={part.path}", stdin=part.own)
        if oid is None:
            raise GitError(f"git can't store {part.path}.")
        return f"{self._mode(part.path, env)} {oid.decode().strip()}\t{part.path}\0"

    def _mode(self, path: str, env: dict[str, str]) -> str:
        """As on the branch; a new file's as on disk."""
        known = self._git.run("ls-files", "--stage", "-z", "--", f":(literal){path}", env=env)
        if known:
            return known[:6]
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
