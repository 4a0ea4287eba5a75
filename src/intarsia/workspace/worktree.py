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

import os
import re
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from intarsia.errors import GitError
from intarsia.workspace.git import Git, shown
from intarsia.workspace.repository import ROOT_MARK, Repository

INCLUDE = ".worktreeinclude"
DIRECTORIES = ("objects/info", "objects/pack", "refs/heads", "hooks", "info")
# Files that change what git finds in a repository; only those that the user's has belong into a borrowed one.
SETTINGS_FILES = ("info/exclude", "info/attributes", "shallow")
STRAY = (*SETTINGS_FILES, "commondir", "config.worktree", "info/grafts", "objects/info/http-alternates")
ARCHIVE = "refs/intarsia/archive"
# Settings of the user's repository that would be wrong or unsafe in a borrowed one.
NOT_BORROWED = ("core.bare", "core.worktree", "core.repositoryformatversion", "core.fsmonitor", "core.logallrefupdates")
SECTIONS_NOT_BORROWED = (
    "remote", "branch", "submodule", "extensions", "include", "includeif", "user", "gc", "maintenance",
)  # fmt: skip


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
        self.git_dir = self.slot / "git"
        self.cache = self.slot / "cache"
        self.tmp = self.slot / "tmp"
        self._owner = self.slot / "owner"

    @cached_property
    def git(self) -> Git:
        return Git(self.path, self.git_dir)

    @property
    def owner(self) -> str | None:
        if not self._owner.is_file():
            return None
        named = self._owner.read_text(encoding="utf-8", errors="replace")
        return named if re.fullmatch(r"s-[0-9a-f]+", named) else "unknown"

    def prepare(
        self, session: str | None, branch: str, at: str, identity: tuple[str, str], keep: Iterable[str] = ()
    ) -> None:
        """Make the tree exactly commit `at`, on `branch`; what a former session left unsaved is archived first.

        Without a session nothing that is made in here is worth keeping.
        """
        self.rescue(identity)
        self._make_own()
        shutil.rmtree(self.tmp, ignore_errors=True)
        for directory in (self.cache, self.tmp):
            directory.mkdir(exist_ok=True)
        self._new_repository(branch, at, identity)
        self._unhide()
        self.restore(at, keep)
        self._empty_submodules()
        self._copy_included()
        if session is not None:
            self._owner.write_text(session, encoding="utf-8")  # what is here now is whole, and to be kept

    def resume(self, identity: tuple[str, str]) -> None:
        """Take up a workspace that another process prepared."""
        self._given = self._settings(identity)

    def restore(self, at: str, keep: Iterable[str] = ()) -> None:
        """Throw away every difference of the tree to commit `at`, ignored files too, except `keep`."""
        self.path.mkdir(parents=True, exist_ok=True)
        self._link()
        (self.git_dir / "index.lock").unlink(missing_ok=True)
        try:
            self.git.run("reset", "--quiet", "--hard", at)
        except GitError:
            # The index may be what is broken; it is only a cache.
            (self.git_dir / "index").unlink(missing_ok=True)
            self.git.run("reset", "--quiet", "--hard", at)
        self.git.run("clean", "-ffdxq", *(part for pattern in keep for part in ("-e", pattern)))
        self._trust_index()

    def lay(self, snapshot: str) -> None:
        """Put the files of a snapshot into the tree, uncommitted as they were."""
        self.git.run("read-tree", "--reset", "-u", snapshot)
        self.git.run("reset", "--quiet", "--mixed", "HEAD")

    def show_target(self, target: str, tip: str) -> None:
        """Let the session see the branch it lands on, as origin/TARGET."""
        _write(self.git_dir / "refs/remotes/origin" / target, f"{tip}\n".encode(), 0o644)

    def inspect(self, base: str, foreign: Iterable[str]) -> Inspection:
        """Judge what a turn left; `foreign` are commits whose history is not this session's work."""
        lost = self.path.is_symlink() or not self.path.is_dir()
        tampered = [*self._seal(), *self._ground(base)]
        if lost:
            self.restore("HEAD")
        self._unhide()
        head, dirty = self._status()
        commits, onto = self._own_commits([base, *foreign]) if head != base else ([], [])
        left = self._snapshot_tree() if dirty else head
        return Inspection(head, commits, dirty, left, onto, self._branches_beside(), tampered, lost)

    def made_here(self, commit: str) -> bool:
        """Whether the commit is in this workspace's own store; what others made is only borrowed."""
        objects = self.git_dir / "objects"
        packs = [str(index) for index in (objects / "pack").glob("*.idx")]
        return (objects / commit[:2] / commit[2:]).is_file() or (
            bool(packs) and f"\n{commit} " in "\n" + self.git.run("verify-pack", "--verbose", *packs)
        )

    def save(self, branch: str, commit: str) -> None:
        """Copy a commit with its history to the user's repository, as `branch`."""
        self._export({f"refs/heads/{branch}": commit})

    def archive(self, session: str, label: str, base: str) -> bool:
        """Keep all commits and uncommitted files under refs/intarsia/archive; false if there is nothing but `base`."""
        self._seal()
        self._unhide()
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

    def _new_repository(self, branch: str, at: str, identity: tuple[str, str]) -> None:
        """Everything is made anew but the index, which spares git reading every file of the tree again."""
        index, kept = self.git_dir / "index", self.slot / "index"
        if index.is_file():
            index.replace(kept)
        shutil.rmtree(self.git_dir, ignore_errors=True)
        for directory in DIRECTORIES:
            (self.git_dir / directory).mkdir(parents=True)
        if kept.is_file():
            kept.replace(index)
        self._given = self._settings(identity)
        for name, (content, mode) in self._given.items():
            _write(self.git_dir / name, content, mode)
        tip = self.git_dir / "refs/heads" / branch
        tip.parent.mkdir(parents=True, exist_ok=True)
        tip.write_text(at + "\n", encoding="utf-8")
        unfinished = self.git_dir / "HEAD.new"
        unfinished.write_text(f"ref: refs/heads/{branch}\n", encoding="utf-8")
        unfinished.replace(self.git_dir / "HEAD")  # there, whole, only once all the rest is

    def _empty_submodules(self) -> None:
        """A submodule that a former session filled has lost its repository, which lay in that session's."""
        if (self.path / ".gitmodules").is_file():
            for entry in self.git.run("ls-files", "--stage", "-z").split("\0"):
                if entry.startswith("160000 "):
                    place = self.path / entry.partition("\t")[2]
                    _delete(place)
                    place.mkdir(parents=True)

    def _settings(self, identity: tuple[str, str]) -> dict[str, tuple[bytes, int]]:
        """The files of the repository that no agent has any business to change, with their modes."""
        user = self._repository.git_dir
        given = {
            "config": (self._config(identity).encode(errors="surrogateescape"), 0o644),
            "objects/info/alternates": (f"{user / 'objects'}\n".encode(), 0o644),
            ROOT_MARK: (str(self._repository.root).encode(), 0o644),
        }
        for name in SETTINGS_FILES:
            if (user / name).is_file():
                given[name] = ((user / name).read_bytes(), 0o644)
        for hook in (user / "hooks").iterdir() if (user / "hooks").is_dir() else ():
            if hook.suffix != ".sample" and hook.is_file():
                given[f"hooks/{hook.name}"] = (hook.read_bytes(), hook.stat().st_mode & 0o777)
        return given

    def _config(self, identity: tuple[str, str]) -> str:
        pairs = self._repository.local_config
        borrowed = [(key, value) for key, value in pairs if _is_borrowed(key)]
        formats = [(key, value) for key, value in pairs if key == "extensions.objectformat"]
        lfs = self._repository.git_dir / "lfs"
        own = [
            ("core.repositoryformatversion", "1" if formats else "0"),
            ("core.bare", "false"),
            ("core.logAllRefUpdates", "true"),
            ("user.name", identity[0]),
            ("user.email", identity[1]),
            ("commit.gpgSign", "false"),
            ("gc.auto", "0"),
            *formats,
            *([("lfs.storage", str(lfs))] if lfs.is_dir() else []),
        ]
        return "".join(_config_line(key, value) for key, value in [*borrowed, *own])

    def _seal(self) -> list[str]:
        """Put the repository's own settings back as they were given; returns what had been changed."""
        changed = self._make_own()
        link = self.path / ".git"
        if link.is_symlink() or not link.is_file() or link.read_bytes() != os.fsencode(self._pointer):
            changed.append(".git")
            self._link()
        for name, (content, mode) in self._given.items():
            actual = self.git_dir / name
            if not actual.is_file() or actual.read_bytes() != content:
                changed.append(name)
                _write(actual, content, mode)
        hooks = [f"hooks/{hook.name}" for hook in (self.git_dir / "hooks").iterdir()]
        for name in [name for name in (*STRAY, *hooks) if name not in self._given]:
            if (self.git_dir / name).exists():
                changed.append(shown(name))
                _delete(self.git_dir / name)
        for lock in ("index.lock", "HEAD.lock", "config.lock"):
            (self.git_dir / lock).unlink(missing_ok=True)
        return changed

    def _make_own(self) -> list[str]:
        """See that everything here is really here: what leads elsewhere is removed, and never followed."""
        changed = []
        for place in (self.slot, self.path, self.cache, self.tmp, self.git_dir):
            if place.is_symlink() or (place.exists() and not place.is_dir()):
                changed.append(place.name)
                place.unlink()
            place.mkdir(parents=True, exist_ok=True)
        for folder, directories, files in os.walk(self.git_dir):
            for path in [Path(folder, name) for name in (*directories, *files)]:
                if path.is_symlink():
                    changed.append(shown(str(path.relative_to(self.git_dir))))
                    path.unlink()
        for directory in DIRECTORIES:
            (self.git_dir / directory).mkdir(parents=True, exist_ok=True)
        return changed

    def _ground(self, at: str) -> list[str]:
        """Without a HEAD that is a commit nothing can be judged: put it back to where the session began."""
        changed = []
        if not self._has_head(at):
            changed.append("HEAD")
            _write(self.git_dir / "HEAD", f"{at}\n".encode(), 0o644)
        if not (self.git_dir / "index").is_file():
            self.git.run("reset", "--quiet")
        return changed

    def _has_head(self, base: str) -> bool:
        try:
            head = (self.git_dir / "HEAD").read_text(encoding="utf-8").strip()
            if head.startswith("ref: "):
                head = (self.git_dir / head.removeprefix("ref: ")).read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError):
            head = ""
        known = head == base or (self.git_dir / "objects" / head[:2] / head[2:]).is_file()
        return known or self.git.try_line("rev-parse", "--verify", "--quiet", "HEAD^{commit}") is not None

    @property
    def _pointer(self) -> str:
        return f"gitdir: {self.git_dir}\n"

    def _link(self) -> None:
        _write(self.path / ".git", os.fsencode(self._pointer), 0o644)

    def _unhide(self) -> None:
        """Files marked assume-unchanged or skip-worktree would differ from the commit without showing it."""
        if self._index_stamp() == self._trusted_stamp():
            return
        listing = self.git.run("ls-files", "-v", "-z").split("\0")
        hidden = [entry[2:] for entry in listing if entry and (entry[0].islower() or entry[0] == "S")]
        for flag in ("--no-assume-unchanged", "--no-skip-worktree") if hidden else ():
            self.git.run("update-index", flag, "-z", "--stdin", stdin="\0".join(hidden))
        self._trust_index()

    def _index_stamp(self) -> str:
        try:
            found = (self.git_dir / "index").stat()
        except FileNotFoundError:
            return ""
        return f"{found.st_mtime_ns} {found.st_size} {found.st_ino}"

    def _trusted_stamp(self) -> str:
        stamp = self.slot / "index-stamp"
        return stamp.read_text(encoding="ascii") if stamp.is_file() else ""

    def _trust_index(self) -> None:
        """Remember the index as one that hides nothing."""
        (self.slot / "index-stamp").write_text(self._index_stamp(), encoding="ascii")

    def _branches_beside(self) -> list[str]:
        """Branches with commits that HEAD lacks."""
        heads = [path for path in (self.git_dir / "refs/heads").rglob("*") if path.is_file()]
        if len(heads) == 1 and not (self.git_dir / "packed-refs").exists():
            return []
        return self.git.run("for-each-ref", "--format=%(refname:short)", "refs/heads", "--no-merged=HEAD").split()

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

    def _export(self, refs: dict[str, str]) -> None:
        """Copy commits to the user's repository and point refs of it there; every object is verified on the way."""
        wanted = "".join(f"{commit}\n" for commit in refs.values())
        known = "".join(f"^{commit}\n" for commit in set(self._repository.refs().values()))
        self.git.send(self._repository.git, wanted + known)
        self._repository.git.run("update-ref", "--stdin", stdin="".join(f"update {r} {c}\n" for r, c in refs.items()))

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


def _write(path: Path, content: bytes, mode: int) -> None:
    _delete(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    path.chmod(mode)


def _delete(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _is_borrowed(key: str) -> bool:
    return key not in NOT_BORROWED and key.split(".", 1)[0] not in SECTIONS_NOT_BORROWED


def _config_line(key: str, value: str) -> str:
    section, _, rest = key.partition(".")
    subsection, _, name = rest.rpartition(".")
    escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    quoted = subsection.replace("\\", "\\\\").replace('"', '\\"')
    header = f'[{section} "{quoted}"]' if subsection else f"[{section}]"
    return f'{header} {name} = "{escaped}"\n'
