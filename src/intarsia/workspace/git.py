"""Running git, always in the same surroundings: no prompts, no hooks, no ambient GIT_… variables, English answers."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from intarsia.errors import GitError, NotReady

if TYPE_CHECKING:
    import subprocess

TIMEOUT = 600
SETTINGS = {
    "core.hooksPath": "/dev/null",
    "core.fsmonitor": "false",
    "core.quotePath": "false",
    "gc.auto": "0",
    "maintenance.auto": "false",
    "commit.gpgSign": "false",
    "advice.detachedHead": "false",
    "merge.autoStash": "false",
    "core.useReplaceRefs": "false",
    "log.showSignature": "false",
    "color.ui": "false",
}
_FLAGS = [part for name, value in SETTINGS.items() for part in ("-c", f"{name}={value}")]


class Git:
    """git in one directory; with `git_dir`, on that repository with the directory as its tree."""

    def __init__(self, directory: Path, git_dir: Path | None = None) -> None:
        self.directory = directory
        self._argv = ["git", *_FLAGS, "-C", str(directory)]
        if git_dir is not None:
            self._argv += [f"--git-dir={git_dir}", f"--work-tree={directory}"]

    def run(
        self,
        *args: str,
        stdin: str | None = None,
        ok: Collection[int] = (0,),
        env: Mapping[str, str] | None = None,
    ) -> str:
        """Standard output of `git ARGS`; raises GitError, with what git said, on any other exit code."""
        return self.call(*args, stdin=stdin, ok=ok, env=env).stdout

    def read(self, *args: str, stdin: bytes = b"", env: Mapping[str, str] | None = None) -> bytes | None:
        """Standard output as it is, byte for byte; None when git says no."""
        import subprocess

        done = subprocess.run(
            [*self._argv, *args],
            input=stdin,
            capture_output=True,
            env={**surroundings(), **(env or {})},
            timeout=TIMEOUT,
            start_new_session=True,
            check=False,
        )
        if done.returncode < 0:
            raise GitError(f"git {args[0]} was ended by signal {-done.returncode}.", git_exit=done.returncode)
        return done.stdout if done.returncode == 0 else None

    def start(self, *args: str) -> subprocess.Popen[bytes]:
        """A git process to talk to; it ends with its standard input."""
        import subprocess

        return subprocess.Popen(
            [*self._argv, *args],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=surroundings(),
            start_new_session=True,
        )

    def call(
        self,
        *args: str,
        stdin: str | None = None,
        ok: Collection[int] = (0,),
        env: Mapping[str, str] | None = None,
    ) -> subprocess.CompletedProcess[str]:
        import subprocess  # 3 ms, which commands that need no git are spared

        try:
            done = subprocess.run(
                [*self._argv, *args],
                input=stdin,
                stdin=subprocess.DEVNULL if stdin is None else None,
                capture_output=True,
                encoding="utf-8",
                errors="surrogateescape",
                env={**surroundings(), **(env or {})},
                timeout=TIMEOUT,
                start_new_session=True,
                check=False,
            )
        except FileNotFoundError as error:
            if not self.directory.is_dir():
                raise GitError(f"{self.directory} is gone.") from error
            raise NotReady("git is not installed.", hint="Install git 2.38 or newer.") from error
        except subprocess.TimeoutExpired as error:
            raise GitError(f"git {args[0]} took more than {TIMEOUT} s.") from error
        if done.returncode not in ok:
            said = " ".join((done.stderr.strip() or done.stdout.strip()).split())
            raise GitError(f"git {args[0]} failed: {shown(said)}", git_exit=done.returncode)
        return done

    def send(self, to: Git, revisions: str) -> None:
        """Copy the commits that `revisions` (lines for rev-list) reach to another repository, every object verified."""
        import subprocess

        pack = [*self._argv, "pack-objects", "--revs", "--stdout", "--quiet"]
        unpack = [*to._argv, "unpack-objects", "-q", "--strict"]
        with subprocess.Popen(
            pack, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=surroundings()
        ) as packer:
            unpacker = subprocess.Popen(
                unpack, stdin=packer.stdout, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=surroundings()
            )
            assert packer.stdin is not None and packer.stdout is not None and packer.stderr is not None
            packer.stdout.close()
            packer.stdin.write(revisions.encode())
            packer.stdin.close()
            complaints = unpacker.communicate()[1] + packer.stderr.read()
        if packer.returncode or unpacker.returncode:
            raise GitError(
                f"Commits can't be copied from {self.directory}: {complaints.decode(errors='replace').strip()}",
                git_exit=min(packer.returncode, unpacker.returncode) or 1,
            )

    def unpack(self, pack: bytes) -> None:
        """Take in the objects of a pack, every one verified, with all that they lead to. Raises GitError."""
        if self.read("unpack-objects", "-q", "--strict", stdin=pack) is None:
            raise GitError("git will not have these commits: an object is broken, or one that they need is missing.")

    def line(self, *args: str, ok: Collection[int] = (0,)) -> str:
        return self.run(*args, ok=ok).strip()

    def try_line(self, *args: str) -> str | None:
        """The answer, or None when git says no."""
        try:
            return self.line(*args)
        except GitError as error:
            if was_killed(error):
                raise
            return None


def end(process: subprocess.Popen[bytes]) -> int:
    """End a process that was talked to, which may have ended by itself; its exit code."""
    for pipe in (process.stdin, process.stdout):
        with suppress(BrokenPipeError):
            if pipe is not None:
                pipe.close()
    return process.wait()


def was_killed(error: Exception) -> bool:
    """Whether git did not say no, but was ended by a signal."""
    return isinstance(error, GitError) and error.data.get("git_exit", 0) < 0


def shown(name: str) -> str:
    """A file's name, or what git says of one, on one line: what can't be printed is escaped."""
    return "".join(c if c.isprintable() else _escaped(c) for c in name)


def _escaped(character: str) -> str:
    number = ord(character)
    # What surrogateescape made of a byte that is not UTF-8.
    return f"\\x{number - 0xDC00:02x}" if 0xDC80 <= number <= 0xDCFF else character.encode("unicode_escape").decode()


@cache
def surroundings() -> dict[str, str]:
    """Our environment without what would point git elsewhere, and with what makes its answers fixed."""
    env = {name: value for name, value in os.environ.items() if not name.startswith("GIT_") or name in _KEPT}
    return {**env, "GIT_TERMINAL_PROMPT": "0", "GIT_OPTIONAL_LOCKS": "0", "LC_ALL": "C.UTF-8", "LANGUAGE": "C"}


_KEPT = {"GIT_CONFIG_GLOBAL", "GIT_CONFIG_SYSTEM", "GIT_CONFIG_NOSYSTEM", "GIT_SSH", "GIT_SSH_COMMAND"} | {
    f"GIT_{who}_{what}" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")
}
