"""The repository of one workspace: it borrows the user's objects and settings, and what is done to it stays in it.

Its settings are given, and put back whenever intarsia is about to use it: an agent may have changed them. What leads
elsewhere, such as a symbolic link in place of a directory, is removed and never followed.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Collection, Mapping
from functools import cached_property
from pathlib import Path

from intarsia.workspace.git import Git, shown
from intarsia.workspace.repository import ROOT_MARK, Repository

DIRECTORIES = ("objects/info", "objects/pack", "refs/heads", "hooks", "info")
_FOLDERS = {str(folder) for name in DIRECTORIES for folder in (Path(name), *Path(name).parents)}
# Files that change what git finds in a repository; only those that the user's has belong into a borrowed one.
SETTINGS_FILES = ("info/exclude", "info/attributes", "shallow")
STRAY = (*SETTINGS_FILES, "commondir", "config.worktree", "info/grafts", "objects/info/http-alternates")
# Settings of the user's repository that would be wrong or unsafe in a borrowed one.
NOT_BORROWED = ("core.bare", "core.worktree", "core.repositoryformatversion", "core.fsmonitor", "core.logallrefupdates")
SECTIONS_NOT_BORROWED = (
    "remote", "branch", "submodule", "extensions", "include", "includeif", "user", "gc", "maintenance",
)  # fmt: skip


class Borrowed:
    """The repository in `slot`/git, whose tree is `path`."""

    def __init__(self, user: Repository, slot: Path, path: Path) -> None:
        self._user = user
        self._slot = slot
        self._path = path
        self.git_dir = slot / "git"
        self._given: dict[str, tuple[bytes, int]] = {}

    @cached_property
    def git(self) -> Git:
        return Git(self._path, self.git_dir)

    def resume(self, identity: tuple[str, str]) -> None:
        """Take up a repository that another process made."""
        self._given = self._settings(identity)

    def create(self, branch: str, refs: Mapping[str, str], identity: tuple[str, str]) -> None:
        """Leave nothing of a former session but the index, which spares git reading every file of the tree again.

        What is right already stays: a file system may take long to find room for what has just been deleted.
        """
        head = self.git_dir / "HEAD"
        head.unlink(missing_ok=True)
        self._given = self._settings(identity)
        try:
            _sweep(self.git_dir, {*self._given, "index"})
        except OSError:  # a session took our rights away from us
            shutil.rmtree(self.git_dir, ignore_errors=True)
            self.make_own()
        for name, (content, mode) in self._given.items():
            if not _is(self.git_dir / name, content, mode):
                write(self.git_dir / name, content, mode)
        packed = "".join(f"{commit} {ref}\n" for ref, commit in sorted(refs.items()))
        (self.git_dir / "packed-refs").write_text(packed, encoding="utf-8")
        unfinished = self.git_dir / "HEAD.new"
        unfinished.write_text(f"ref: refs/heads/{branch}\n", encoding="utf-8")
        unfinished.replace(head)  # there, whole, only once all the rest is

    def seal(self) -> list[str]:
        """Put the repository's own settings back as they were given; returns what had been changed."""
        changed = self.make_own()
        if self.link():
            changed.append(".git")
        for name, (content, mode) in self._given.items():
            if not _is(self.git_dir / name, content):
                changed.append(name)
                write(self.git_dir / name, content, mode)
        hooks = [f"hooks/{hook.name}" for hook in (self.git_dir / "hooks").iterdir()]
        for name in [name for name in (*STRAY, *hooks) if name not in self._given]:
            if (self.git_dir / name).exists():
                changed.append(shown(name))
                delete(self.git_dir / name)
        for lock in ("index.lock", "HEAD.lock", "config.lock"):
            (self.git_dir / lock).unlink(missing_ok=True)
        return changed

    def ground(self, at: str) -> list[str]:
        """Without a HEAD that is a commit nothing can be judged: put it back to where the session began."""
        changed = []
        if not self._has_head(at):
            changed.append("HEAD")
            write(self.git_dir / "HEAD", f"{at}\n".encode(), 0o644)
        if not (self.git_dir / "index").is_file():
            self.git.run("reset", "--quiet")
        return changed

    def unhide(self) -> None:
        """Files marked assume-unchanged or skip-worktree would differ from the commit without showing it."""
        if self._index_stamp() == self._trusted_stamp():
            return
        listing = self.git.run("ls-files", "-v", "-z").split("\0")
        hidden = [entry[2:] for entry in listing if entry and (entry[0].islower() or entry[0] == "S")]
        for flag in ("--no-assume-unchanged", "--no-skip-worktree") if hidden else ():
            self.git.run("update-index", flag, "-z", "--stdin", stdin="\0".join(hidden))
        self.trust_index()

    def trust_index(self) -> None:
        """Remember the index as one that hides nothing."""
        (self._slot / "index-stamp").write_text(self._index_stamp(), encoding="ascii")

    def branches_beside(self) -> list[str]:
        """Branches with commits that HEAD lacks."""
        loose = (path for path in (self.git_dir / "refs/heads").rglob("*") if path.is_file())
        names = {str(path.relative_to(self.git_dir)) for path in loose}
        if len(names | {ref for ref in self._packed() if ref.startswith("refs/heads/")}) == 1:
            return []
        return self.git.run("for-each-ref", "--format=%(refname:short)", "refs/heads", "--no-merged=HEAD").split()

    def link(self) -> bool:
        """See that the tree leads to this repository; false if it did."""
        link, pointer = self._path / ".git", os.fsencode(self._pointer)
        if not link.is_symlink() and _is(link, pointer):
            return False
        write(link, pointer, 0o644)
        return True

    def make_own(self) -> list[str]:
        """See that everything here is really here: what leads elsewhere is removed, and never followed."""
        changed = []
        for place in (self._slot, self._path, *(self._slot / name for name in ("cache", "tmp", "git"))):
            if place.is_symlink() or (place.exists() and not place.is_dir()):
                changed.append(place.name)
                place.unlink()
            if not place.is_dir():
                place.mkdir(parents=True, exist_ok=True)
        for path in _links(self.git_dir):
            changed.append(shown(str(path.relative_to(self.git_dir))))
            path.unlink()
        for directory in DIRECTORIES:
            if not (self.git_dir / directory).is_dir():
                (self.git_dir / directory).mkdir(parents=True, exist_ok=True)
        return changed

    def _settings(self, identity: tuple[str, str]) -> dict[str, tuple[bytes, int]]:
        """The files of the repository that no agent has any business to change, with their modes."""
        user = self._user.git_dir
        given = {
            "config": (self._config(identity).encode(errors="surrogateescape"), 0o644),
            "objects/info/alternates": (f"{user / 'objects'}\n".encode(), 0o644),
            ROOT_MARK: (str(self._user.root).encode(), 0o644),
        }
        for name in SETTINGS_FILES:
            if (user / name).is_file():
                given[name] = ((user / name).read_bytes(), 0o644)
        for hook in (user / "hooks").iterdir() if (user / "hooks").is_dir() else ():
            if hook.suffix != ".sample" and hook.is_file():
                given[f"hooks/{hook.name}"] = (hook.read_bytes(), hook.stat().st_mode & 0o777)
        return given

    def _config(self, identity: tuple[str, str]) -> str:
        pairs = self._user.local_config
        borrowed = [(key, value) for key, value in pairs if _is_borrowed(key)]
        formats = [(key, value) for key, value in pairs if key == "extensions.objectformat"]
        lfs = self._user.git_dir / "lfs"
        own = [
            ("core.repositoryformatversion", "1" if formats else "0"),
            ("core.bare", "false"),
            ("core.logAllRefUpdates", "true"),
            ("user.name", identity[0]),
            ("user.email", identity[1]),
            ("commit.gpgSign", "false"),
            ("gc.auto", "0"),
            ("maintenance.auto", "false"),  # which git would look into after each commit, in a process of its own
            *formats,
            *([("lfs.storage", str(lfs))] if lfs.is_dir() else []),
        ]
        return "".join(_config_line(key, value) for key, value in [*borrowed, *own])

    def _has_head(self, base: str) -> bool:
        try:
            head = (self.git_dir / "HEAD").read_text(encoding="utf-8").strip()
            if head.startswith("ref: "):
                head = self._resolved(head.removeprefix("ref: "))
        except (OSError, UnicodeDecodeError):
            head = ""
        known = head == base or (self.git_dir / "objects" / head[:2] / head[2:]).is_file()
        return known or self.git.try_line("rev-parse", "--verify", "--quiet", "HEAD^{commit}") is not None

    def _resolved(self, ref: str) -> str:
        loose = self.git_dir / ref
        return loose.read_text(encoding="utf-8").strip() if loose.is_file() else self._packed().get(ref, "")

    def _packed(self) -> dict[str, str]:
        try:
            lines = (self.git_dir / "packed-refs").read_text(encoding="utf-8", errors="replace").splitlines()
        except FileNotFoundError:
            return {}
        entries = (line.split(" ", 1) for line in lines if line[:1] not in ("#", "^"))
        return {entry[1]: entry[0] for entry in entries if len(entry) == 2}

    @property
    def _pointer(self) -> str:
        return f"gitdir: {self.git_dir}\n"

    def _index_stamp(self) -> str:
        try:
            found = (self.git_dir / "index").stat()
        except FileNotFoundError:
            return ""
        return f"{found.st_mtime_ns} {found.st_size} {found.st_ino}"

    def _trusted_stamp(self) -> str:
        stamp = self._slot / "index-stamp"
        return stamp.read_text(encoding="ascii") if stamp.is_file() else ""


def _sweep(folder: str | Path, kept: Collection[str], inside: str = "") -> None:
    """Delete all files but those to be kept, and the directories that a new repository would not have."""
    with os.scandir(folder) as entries:
        for entry in entries:
            name = inside + entry.name
            if entry.is_dir(follow_symlinks=False):
                _sweep(entry.path, kept, f"{name}/")
                if name not in _FOLDERS:
                    Path(entry.path).rmdir()
            elif name not in kept:
                Path(entry.path).unlink()


def _links(folder: str | Path) -> list[Path]:
    """The symbolic links in a directory and below."""
    found = []
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_symlink():
                found.append(Path(entry.path))
            elif entry.is_dir():
                found += _links(entry.path)
    return found


def _is(path: Path, content: bytes, mode: int | None = None) -> bool:
    """Whether the file is there, with this content, and with this mode if one is given."""
    try:
        with path.open("rb") as file:
            right = mode is None or os.fstat(file.fileno()).st_mode & 0o777 == mode
            return right and file.read() == content
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
        return False


def write(path: Path, content: bytes, mode: int) -> None:
    delete(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    path.chmod(mode)


def delete(path: Path) -> None:
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
