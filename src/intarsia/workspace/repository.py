"""The user's repository: finding it, and the few things intarsia reads and writes there."""

from __future__ import annotations

import os
import re
import time
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from intarsia.errors import ConfigError, GitError, NotReady
from intarsia.workspace.git import Git

if TYPE_CHECKING:  # with what they import, a quarter of the time of a short command
    from intarsia.workspace.attributes import Attributes
    from intarsia.workspace.objects import Objects, Store
    from intarsia.workspace.references import References

STATE = ".intarsia"
ROOT_MARK = "intarsia-root"
OLDEST_GIT = (2, 38)
STRAIGHT = 1000  # commits that are followed one by one
_ON = "ref: refs/heads/"
_UNUSUAL = re.compile(rb"(?i)worktree|include|bare\s*=(?!\s*false\b)")  # in a repository's configuration


@dataclass(frozen=True)
class Repository:
    """`root` is the main worktree, whichever worktree or subdirectory the search began in; `here` is where it began."""

    root: Path
    git_dir: Path
    here: Path

    @classmethod
    def discover(cls, start: Path) -> Repository:
        """Find the repository around `start`; raises NotReady with the cure when there is none that can be used."""
        marked = os.environ.get("INTARSIA_ROOT")
        git = Git(Path(marked) if marked else start)
        if plain := _plain_root(git.directory):
            return cls(root=plain, git_dir=plain / ".git", here=git.directory)
        asked = ("rev-parse", "--path-format=absolute", "--is-bare-repository", "--git-dir", "--git-common-dir")
        try:
            bare, own, common = git.run(*asked).splitlines()
        except GitError as error:
            raise _not_a_repository(git.directory, error) from error
        if bare == "true":
            raise NotReady(
                f"{common} is a bare repository: it has no files to work on.",
                hint="Clone it and run intarsia in the clone.",
            )
        mark = Path(own) / ROOT_MARK
        if mark.is_file():
            return cls.discover(Path(mark.read_text(encoding="utf-8")))
        return cls(root=_main_worktree(git, own, common), git_dir=Path(common), here=git.directory)

    @cached_property
    def git(self) -> Git:
        return Git(self.root)

    @cached_property
    def objects(self) -> Objects:
        """For reading; keeps a process until `close`."""
        from intarsia.workspace.objects import Objects

        return Objects(self.git, self.store)

    @cached_property
    def store(self) -> Store:
        from intarsia.workspace.objects import Store

        return Store(self.git_dir / "objects")

    def close(self) -> None:
        """End the processes that were kept, if any was started."""
        for name in ("objects", "references"):
            if kept := vars(self).get(name):
                kept.close()

    @cached_property
    def references(self) -> References:
        """Keeps a process until `close`."""
        from intarsia.workspace.references import References

        return References(self.git, self.git_dir)

    @cached_property
    def local_config(self) -> list[tuple[str, str]]:
        """The repository's own settings, as they were when first asked for."""
        listing = self.git.run("config", "--local", "--includes", "--list", "-z", ok=(0, 1))
        pairs = (entry.partition("\n") for entry in listing.split("\0") if entry)
        return [(key, value if equals else "true") for key, equals, value in pairs]

    @property
    def state(self) -> Path:
        return self.root / STATE

    def make_state(self) -> Path:
        """The state directory, made if need be, ignored by git through its own .gitignore."""
        ignore = self.state / ".gitignore"
        try:
            if not ignore.is_file() or not ignore.stat().st_size:
                self.state.mkdir(mode=0o700, exist_ok=True)
                ignore.write_text("*\n", encoding="utf-8")
        except OSError as error:
            raise NotReady(
                f"The state directory {self.state} can't be written: {error.strerror}.",
                hint="Make it writable and leave room on its disk.",
            ) from error
        return self.state

    def project_id(self, *, keep: bool = True) -> str:
        """The root commit's first 12 digits, so that clones on several hosts agree; kept, as finding it is slow."""
        kept = self.state / "project"
        if kept.is_file() and (text := kept.read_text(encoding="utf-8").strip()):
            return text
        self.require_commit()
        roots = self.git.run("rev-list", "--max-parents=0", "HEAD").split()
        project = min(roots)[:12]
        if keep:
            self.make_state()
            kept.write_text(project + "\n", encoding="utf-8")
        return project

    def require_commit(self) -> None:
        if self.git.try_line("rev-parse", "--verify", "--quiet", "HEAD^{commit}") is None:
            raise NotReady(
                f"{self.root} has no commit yet.",
                hint="Make one first: git add --all && git commit -m 'First commit'",
            )

    def require_identity(self) -> tuple[str, str]:
        """Name and address that commits are made with; raises NotReady when git knows none."""
        said = self.git.try_line("var", "GIT_COMMITTER_IDENT")
        found = re.fullmatch(r"(.+) <(.+)> \d+ [+-]\d+", said or "")
        configured = self.git.try_line("config", "user.email") or os.environ.get("GIT_COMMITTER_EMAIL")
        if not found or not configured:
            raise NotReady(
                "git knows no name and e-mail address to commit with.",
                hint="git config --global user.name 'Your Name' && git config --global user.email you@example.com",
            )
        return found[1], found[2]

    def require_git(self) -> None:
        found = re.search(r"(\d+)\.(\d+)", self.git.line("version"))
        version = (int(found[1]), int(found[2])) if found else (0, 0)
        if version < OLDEST_GIT:
            raise NotReady(f"git {version[0]}.{version[1]} is too old.", hint="Install git 2.38 or newer.")

    def target(self, configured: str) -> str:
        """The branch that work lands on, by its short name."""
        if configured:
            if self.tip(configured) is None:
                raise ConfigError(f"land.target {configured!r} is no branch of {self.root}.", hint="See: git branch")
            return configured
        current = Git(self.here).try_line("symbolic-ref", "--short", "--quiet", "HEAD")
        if current is None:
            raise NotReady(
                f"{self.here} is on no branch (detached HEAD), so there is nowhere to land.",
                hint="Check a branch out, or name one: intarsia run --target BRANCH",
            )
        return current

    def tip(self, branch: str) -> str | None:
        """The branch's commit; git is asked unless it is plain to see."""
        from intarsia.workspace.references import is_id

        try:
            loose = _read(self.git_dir / "refs/heads" / branch)
            if is_id(loose) and self.objects.commit(loose):
                return loose
        except (OSError, UnicodeDecodeError, GitError):
            loose = ""  # it is packed, or something else is the matter with it
        return self.git.try_line("rev-parse", "--verify", "--quiet", f"refs/heads/{branch}^{{commit}}")

    def head(self) -> str | None:
        """The commit that is checked out, if there is one."""
        if named := self._head_names():
            return self.tip(named)
        return self.git.try_line("rev-parse", "--verify", "--quiet", "HEAD^{commit}")

    def since(self, base: str, head: str) -> list[str] | None:
        """The commits since `base`, newest first; None where not each has one parent, that is here too."""
        found: list[str] = []
        while head != base:
            try:
                parents = self.objects.commit(head).parents
            except GitError:  # a shallow clone ends before
                return None
            if len(parents) != 1 or len(found) == STRAIGHT:
                return None
            found.append(head)
            head = parents[0]
        return found

    def refs(self) -> dict[str, str]:
        return self.references.all()

    def checkout(self, branch: str) -> Path | None:
        """The worktree of the user's that has this branch checked out; git is asked unless it is plainly this one."""
        if self._head_names() == branch:
            return self.root
        found = self.git.line("for-each-ref", "--format=%(worktreepath)", f"refs/heads/{branch}")
        return Path(found) if found else None

    def _head_names(self) -> str:
        """The branch that is checked out here, where that is plain to see."""
        try:
            at = _read(self.git_dir / "HEAD")
        except (OSError, UnicodeDecodeError):
            return ""
        return at.removeprefix(_ON) if at.startswith(_ON) and not at.endswith(".invalid") else ""

    def trees(self, *commits: str) -> list[str]:
        """The trees of commits, named in full."""
        return [self.objects.commit(commit).tree for commit in commits]

    def committer(self) -> bytes:
        """Who commits, and that it is now, as a commit has it. Raises GitError where git knows nobody."""
        return self._now(self._identities[1])

    def author(self) -> bytes:
        """Who would be the author of a commit made now; like `committer`."""
        return self._now(self._identities[0])

    @staticmethod
    def _now(identity: str) -> bytes:
        return f"{identity} {int(time.time())} {time.strftime('%z')}".encode(errors="surrogateescape")

    @cached_property
    def _identities(self) -> tuple[str, str]:
        author, committer = (self.git.line("var", f"GIT_{who}_IDENT") for who in ("AUTHOR", "COMMITTER"))
        return author.rsplit(" ", 2)[0], committer.rsplit(" ", 2)[0]

    @cached_property
    def attributes(self) -> Attributes:
        from intarsia.workspace.attributes import Attributes

        return Attributes(self.git, self.git_dir, self.objects)

    def delete_ref(self, ref: str) -> None:
        self.references.update(f"delete {ref}\n")

    def fingerprint(self, refs: dict[str, str]) -> dict[str, str]:
        """What of the repository no agent has any business to change: its config, its hooks, and these refs of its."""
        found = {"config": _digest(self.git_dir / "config")}
        hooks = self.git_dir / "hooks"
        if hooks.is_dir():
            # Samples are run by nobody.
            found |= {f"hooks/{hook.name}": _digest(hook) for hook in hooks.iterdir() if hook.suffix != ".sample"}
        foreign = {ref: oid for ref, oid in refs.items() if not is_ours(ref)}
        return {**found, **foreign}


def _read(path: Path) -> str:
    return path.read_text(encoding="utf-8").strip()


def is_ours(ref: str) -> bool:
    return ref.startswith(("refs/heads/intarsia/", "refs/intarsia/"))


def _digest(path: Path) -> str:
    import hashlib  # 5 ms, which most commands need not pay

    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:
        return "unreadable"


def _plain_root(start: Path) -> Path | None:
    """The root of a repository of the plainest kind; None is for git to say, which takes longer than all of this.

    Plain is what lies around `start`, is this user's, and has its own `.git` directory with nothing unusual in it.
    """
    here = Path(os.path.realpath(start))
    try:
        device = here.stat().st_dev
        for place in (here, *here.parents):
            if os.path.lexists(place / ".git"):
                return place if _is_plain(place, device) else None
            if (place / "HEAD").exists():  # bare, or the inside of a `.git`
                return None
    except OSError:
        return None
    return None


def _is_plain(root: Path, device: int) -> bool:
    git = root / ".git"
    if git.is_symlink() or not all((git / name).is_dir() for name in ("objects", "refs")):
        return False
    if {(found.st_uid, found.st_dev) for found in (root.stat(), git.stat())} != {(os.geteuid(), device)}:
        return False
    unusual = _UNUSUAL.search((git / "config").read_bytes())
    return (git / "HEAD").is_file() and not unusual


def _not_a_repository(directory: Path, error: GitError) -> NotReady:
    if "not a git repository" in error.message:
        return NotReady(f"{directory} is not in a git repository.", hint="Go to one, or make one: git init")
    return NotReady(error.message, hint="git must be able to read this repository.")


def _main_worktree(git: Git, own: str, common: str) -> Path:
    if own == common:
        top = git.try_line("rev-parse", "--path-format=absolute", "--show-toplevel")
        if top is None:
            # Inside the .git directory itself.
            top = str(Path(common).parent)
        return Path(top)
    first = git.run("worktree", "list", "--porcelain").split("\n", 1)[0]
    return Path(first.removeprefix("worktree "))
