"""References of a repository: all of them read from its files, and changed by one git process that stays."""

from __future__ import annotations

import os
import re
import subprocess
import threading
from contextlib import suppress
from pathlib import Path

from intarsia.workspace.git import Git, end

_ID = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_LINK = "ref: "


def is_id(text: str) -> bool:
    return _ID.fullmatch(text) is not None


class References:
    """Safe to use from several threads."""

    def __init__(self, git: Git, git_dir: Path) -> None:
        self._git = git
        self._git_dir = git_dir
        self._lock = threading.Lock()
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._packed: tuple[tuple[int, int, int], dict[str, str]] = ((0, 0, 0), {})

    def all(self) -> dict[str, str]:
        """What each points to. git is asked where they are not kept in files."""
        if not (self._git_dir / "refs/heads").is_dir():
            listing = self._git.run("for-each-ref", "--format=%(refname) %(objectname)")
            return dict(line.split(" ", 1) for line in listing.splitlines())
        loose = self._loose()  # first: one that is being packed is then found twice, and not never
        known = {**self._in_pack(), **loose}
        resolved = {ref: known.get(at.removeprefix(_LINK), "") for ref, at in known.items()}
        return {ref: at if is_id(at) else resolved[ref] for ref, at in known.items() if is_id(at) or resolved[ref]}

    def _loose(self) -> dict[str, str]:
        found = {}
        for folder, _, names in os.walk(self._git_dir / "refs"):
            for name in names:
                place = Path(folder, name)
                with suppress(FileNotFoundError):  # it was just deleted, or packed
                    found[str(place.relative_to(self._git_dir))] = place.read_text("utf-8", "replace").strip()
        return {ref: at for ref, at in found.items() if not ref.endswith(".lock")}

    def _in_pack(self) -> dict[str, str]:
        place = self._git_dir / "packed-refs"
        try:
            facts = place.stat()
            stamp = (facts.st_mtime_ns, facts.st_size, facts.st_ino)
            if self._packed[0] != stamp:
                lines = place.read_text(encoding="utf-8", errors="surrogateescape").splitlines()
                entries = (line.split(" ", 1) for line in lines if line[:1] not in ("#", "^"))
                self._packed = (stamp, {entry[1]: entry[0] for entry in entries if len(entry) == 2})
            return self._packed[1]
        except FileNotFoundError:
            return {}

    def update(self, commands: str, message: str = "intarsia") -> None:
        """Lines as `git update-ref --stdin` has them, all or nothing; `message` is for the reflog. Raises GitError."""
        with self._lock:
            if not self._told(f"start\n{commands}prepare\ncommit\n", message):
                self._end(message)
                self._git.run("update-ref", "-m", message, "--stdin", stdin=commands)  # which says what is wrong

    def _told(self, transaction: str, message: str) -> bool:
        """Whether the process says that all was done; it ends when something is wrong."""
        if message not in self._processes:
            self._processes[message] = self._git.start("update-ref", "-m", message, "--stdin")
        process = self._processes[message]
        assert process.stdin is not None and process.stdout is not None
        try:
            process.stdin.write(transaction.encode(errors="surrogateescape"))
            process.stdin.flush()
        except BrokenPipeError:
            return False
        return all(process.stdout.readline() == b"%s: ok\n" % step for step in (b"start", b"prepare", b"commit"))

    def _end(self, message: str) -> None:
        end(self._processes.pop(message))

    def close(self) -> None:
        with self._lock:
            for message in list(self._processes):
                self._end(message)
