"""A working directory for each session, with a repository of its own that borrows the user's objects.

`git worktree` would share the user's config, hooks, stash and branches with every agent. Here they are the session's
own: whatever an agent does with git in its workspace stays there, and only the commits that intarsia fetches leave it.
The repository lies beside the tree, not in it, so an agent that deletes its tree does not delete its commits.

    .intarsia/worktrees/3/          a slot: used by one session after another
        NAME/                       the tree; NAME is the project's
        git/                        its repository
        cache/  tmp/                XDG_CACHE_HOME and TMPDIR of the session
        owner                       the session whose work may still be in here
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from intarsia.errors import GitError
from intarsia.workspace.borrowed import Borrowed, delete, write
from intarsia.workspace.git import Git
from intarsia.workspace.objects import Store
from intarsia.workspace.packing import pack
from intarsia.workspace.repository import Repository

INCLUDE = ".worktreeinclude"
ARCHIVE = "refs/intarsia/archive"


@dataclass(frozen=True)
class Inspection:
    """What a turn left in a workspace.

    `commits` are the session's own, oldest first, and `onto` are their parents that are not; `elsewhere` are branches
    with commits that HEAD lacks; `tampered` names what was changed in the workspace's repository settings; `lost` says
    that the tree itself was gone; `left` changes when anything in the tree does.
    """

    head: str
    commits: Sequence[str]
    dirty: Sequence[str]
    left: str
    onto: Sequence[str] = ()
    elsewhere: Sequence[str] = ()
    tampered: Sequence[str] = ()
    lost: bool = False


class Worktree:
    """Slot `number` of the pool of `repository`."""

    def __init__(self, repository: Repository, number: int) -> None:
        self._repository = repository
        self.number = number
        self.slot = repository.state / "worktrees" / str(number)
        self.path = self.slot / repository.root.name
        self._own = Borrowed(repository, self.slot, self.path)
        self.git_dir = self._own.git_dir
        self.cache = self.slot / "cache"
        self.tmp = self.slot / "tmp"
        self._owner = self.slot / "owner"
        self._store = Store(self.git_dir / "objects")

    @property
    def git(self) -> Git:
        return self._own.git

    @property
    def owner(self) -> str | None:
        if not self._owner.is_file():
            return None
        named = self._owner.read_text(encoding="utf-8", errors="replace")
        return named if re.fullmatch(r"s-[0-9a-f]+", named) else "unknown"

    def prepare(
        self,
        session: str | None,
        branch: str,
        at: str,
        identity: tuple[str, str],
        keep: Iterable[str] = (),
        seen: Mapping[str, str] | None = None,
    ) -> None:
        """Make the tree exactly commit `at`, on `branch`; what a former session left unsaved is archived first.

        `seen` are other refs that it shall see. Without a session nothing that is made in here is worth keeping.
        """
        self.rescue(identity)
        self._own.make_own()
        self._own.create(branch, {**(seen or {}), f"refs/heads/{branch}": at}, identity)
        self._own.unhide()
        self._renew(("read-tree", "--reset", "-u", at), keep)  # the branch is there already
        if session is not None:
            self._owner.write_text(session, encoding="utf-8")  # what is here now is whole, and to be kept

    def show(self, commit: str, keep: Iterable[str] = ()) -> None:
        """Make the tree exactly this commit, as if it had been prepared for it."""
        self._own.seal()
        self._own.unhide()
        self._renew(("reset", "--quiet", "--hard", commit), keep)

    def _renew(self, move: Sequence[str], keep: Iterable[str]) -> None:
        if any(self.tmp.iterdir()):
            shutil.rmtree(self.tmp, ignore_errors=True)
            self.tmp.mkdir(exist_ok=True)
        self._reach(move, keep)
        self._empty_submodules()
        self._copy_included()

    def resume(self, identity: tuple[str, str]) -> None:
        """Take up a workspace that another process prepared."""
        self._own.resume(identity)

    def restore(self, at: str, keep: Iterable[str] = ()) -> None:
        """Throw away every difference of the tree to commit `at`, ignored files too, except `keep`."""
        self._reach(("reset", "--quiet", "--hard", at), keep)

    def _reach(self, move: Sequence[str], keep: Iterable[str]) -> None:
        """Let git move the index and the tree, and clean up after it."""
        self.path.mkdir(parents=True, exist_ok=True)
        self._own.link()
        (self.git_dir / "index.lock").unlink(missing_ok=True)
        try:
            self.git.run(*move)
        except GitError:
            # The index may be what is broken; it is only a cache.
            (self.git_dir / "index").unlink(missing_ok=True)
            self.git.run(*move)
        self.git.run("clean", "-ffdxq", *(part for pattern in keep for part in ("-e", pattern)))
        self._own.trust_index()

    def lay(self, snapshot: str) -> None:
        """Put the files of a snapshot into the tree, uncommitted as they were."""
        self.git.run("read-tree", "--reset", "-u", snapshot)
        self.git.run("reset", "--quiet", "--mixed", "HEAD")

    def show_target(self, target: str, tip: str) -> None:
        """Let the session see the branch it lands on, as origin/TARGET."""
        write(self.git_dir / "refs/remotes/origin" / target, f"{tip}\n".encode(), 0o644)

    def inspect(self, base: str, foreign: Iterable[str]) -> Inspection:
        """Judge what a turn left; `foreign` are commits whose history is not this session's work."""
        lost = self.path.is_symlink() or not self.path.is_dir()
        tampered = [*self._own.seal(), *self._own.ground(base)]
        if lost:
            self.restore("HEAD")
        self._own.unhide()
        head, dirty = self._status()
        straight = self._straight(base, head)
        if straight is None:
            commits, onto = self._own_commits([base, *({*foreign} - self._committed())])
        else:
            commits, onto = straight, [base] * bool(straight)
        left = self._snapshot_tree() if dirty else head
        return Inspection(head, commits, dirty, left, onto, self._own.branches_beside(), tampered, lost)

    def made_here(self, commit: str) -> bool:
        """Whether the commit is in this workspace's own store; what others made is only borrowed."""
        objects = self.git_dir / "objects"
        packs = [str(index) for index in (objects / "pack").glob("*.idx")]
        return (objects / commit[:2] / commit[2:]).is_file() or (
            bool(packs) and f"\n{commit} " in "\n" + self.git.run("verify-pack", "--verbose", *packs)
        )

    def save(self, branch: str, commit: str, known: Collection[str] = ()) -> None:
        """Copy a commit with its history to the user's repository, as `branch`; it has what `known` commits reach."""
        self._export({f"refs/heads/{branch}": commit}, known)

    def archive(self, session: str, label: str, base: str) -> bool:
        """Keep all commits and uncommitted files under refs/intarsia/archive; false if there is nothing but `base`."""
        self._own.seal()
        self._own.unhide()
        work = self._snapshot()
        listing = self.git.run("for-each-ref", "--format=%(refname) %(objectname)", "refs/heads", "refs/stash")
        refs = dict(line.split(" ", 1) for line in listing.splitlines())
        if {work, *refs.values()} <= {base}:
            return False
        place = f"{ARCHIVE}/{session}/{label}"
        kept = {f"{place}/{ref.removeprefix('refs/')}": commit for ref, commit in refs.items()}
        self._export({f"{place}/work": work, **kept})
        return True

    def rescue(self, identity: tuple[str, str]) -> str | None:
        """Archive what a session left here without saying that it was done; returns that session's id."""
        owner = self.owner
        if owner is None:
            return None
        try:
            if (self.git_dir / "HEAD").is_file():
                self.resume(identity)
                self.archive(owner, "rescued", base="")
        except (GitError, OSError):
            self.set_aside(owner)
        self.forget()
        return owner

    def set_aside(self, session: str) -> Path:
        """Move all that is in this slot, as it is, to the session's folder, for a person to look at."""
        folder = self._repository.state / "sessions" / session
        folder.mkdir(parents=True, exist_ok=True)
        number = 1
        while (place := folder / f"workspace-{number}").exists():
            number += 1
        self.slot.rename(place)
        return place

    def forget(self) -> None:
        """Say that all work in here is saved or not wanted."""
        self._owner.unlink(missing_ok=True)

    def remove(self) -> None:
        shutil.rmtree(self.slot, ignore_errors=True)

    def _empty_submodules(self) -> None:
        """A submodule that a former session filled has lost its repository, which lay in that session's."""
        if (self.path / ".gitmodules").is_file():
            for entry in self.git.run("ls-files", "--stage", "-z").split("\0"):
                if entry.startswith("160000 "):
                    place = self.path / entry.partition("\t")[2]
                    delete(place)
                    place.mkdir(parents=True)

    def _status(self) -> tuple[str, list[str]]:
        asked = ("status", "--porcelain=v2", "--branch", "--untracked-files=normal", "-z")
        entries = iter(self.git.run(*asked).split("\0"))
        head, dirty = "", []
        for entry in entries:
            if entry.startswith("# branch.oid "):
                head = entry.removeprefix("# branch.oid ")
            elif entry.startswith("? "):
                dirty.append(entry[2:])
            elif entry.startswith("1 "):
                dirty.append(entry.split(" ", 8)[8])
            elif entry.startswith("2 "):
                dirty.append(entry.split(" ", 9)[9])
                next(entries)
            elif entry.startswith("u "):
                dirty.append(entry.split(" ", 10)[10])
        return head, dirty

    def _straight(self, base: str, head: str) -> list[str] | None:
        """The commits since `base`, oldest first, if each was made here on the one before, and nobody else has it."""
        found: list[str] = []
        while head != base:
            made = self._store.get_commit(head)
            if made is None or len(made.parents) != 1 or self._repository.objects.read(head) is not None:
                return None
            found.append(head)
            head = made.parents[0]
        return found[::-1]

    def _committed(self) -> set[str]:
        """What was committed here. Somebody else may have made the very same commit, in the same second."""
        log = self.git_dir / "logs" / "HEAD"
        lines = log.read_bytes().splitlines() if log.is_file() else []
        return {line.split()[1].decode() for line in lines if line.partition(b"\t")[2].startswith(b"commit")}

    def _own_commits(self, foreign: Sequence[str]) -> tuple[list[str], list[str]]:
        """Those that HEAD reaches and `foreign` does not, oldest first; and the parents they were put on."""
        known = "".join(f"^{commit}\n" for commit in foreign)
        listing = self.git.run(
            "rev-list", "--reverse", "--topo-order", "--ignore-missing", "--parents", "HEAD", "--stdin", stdin=known
        )
        family = [line.split() for line in listing.splitlines()]
        own = {commit: None for commit, *_ in family}
        return list(own), sorted({parent for _, *parents in family for parent in parents if parent not in own})

    def _snapshot(self) -> str:
        """A commit of everything in the tree that is not ignored; HEAD itself when nothing differs."""
        head = self.git.line("rev-parse", "HEAD")
        if not self._status()[1]:
            return head
        return self.git.run("commit-tree", self._snapshot_tree(), "-p", head, "-m", "Uncommitted work").strip()

    def _snapshot_tree(self) -> str:
        index = {"GIT_INDEX_FILE": str(self.git_dir / "snapshot-index")}
        self.git.run("read-tree", "HEAD", env=index)
        self.git.run("add", "--all", "--ignore-errors", ok=(0, 1), env=index)
        return self.git.run("write-tree", env=index).strip()

    def _export(self, refs: dict[str, str], known: Collection[str] = ()) -> None:
        """Copy commits to the user's repository and point refs of it there; every object is verified on the way."""
        packed = pack(self._store, refs.values())
        if packed is None:
            wanted = "".join(f"{commit}\n" for commit in refs.values())
            there = "".join(f"^{commit}\n" for commit in known or set(self._repository.refs().values()))
            self.git.send(self._repository.git, wanted + there)
        else:
            self._repository.git.unpack(packed)
        self._repository.references.update("".join(f"update {ref} {commit}\n" for ref, commit in refs.items()))

    def _copy_included(self) -> None:
        """Copy the ignored files that .worktreeinclude names (such as .env) from the user's tree."""
        root = self._repository.root
        if not (root / INCLUDE).is_file():
            return
        git = self._repository.git
        wanted = git.run("ls-files", "-z", "--others", "--ignored", f"--exclude-from={root / INCLUDE}")
        ignored = git.run("check-ignore", "-z", "--stdin", stdin=wanted, ok=(0, 1)) if wanted else ""
        for name in [name for name in ignored.split("\0") if name and not name.startswith(".intarsia/")]:
            (self.path / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(root / name, self.path / name, follow_symlinks=False)
