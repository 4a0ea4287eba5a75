"""Programs confined by bubblewrap, bwrap(1).

All is read-only to them but what is theirs, and there is no network unless it is granted.
"""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from intarsia.agents import Turn
from intarsia.errors import ConfigError, NotReady

PROBE_SECONDS = 20
_VIEW = ("--die-with-parent", "--unshare-pid", "--unshare-ipc", "--unshare-uts", "--cap-drop", "ALL",
         "--ro-bind", "/", "/", "--dev", "/dev", "--proc", "/proc")  # fmt: skip
_HINT = "Install bubblewrap and allow user namespaces, or set confine to 'on' or 'off'."


@dataclass(frozen=True)
class Confinement:
    """`mode` is off, on or required; `writable` are directories besides the session's own, `~/` being the home."""

    mode: str = "off"
    network: bool = False
    writable: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for place in self.writable:
            if not place.startswith(("/", "~/")):
                raise ConfigError(f"writable: {place!r} is not absolute.", hint="Begin it with / or ~/.")

    def check(self) -> None:
        """Raise NotReady when it is required and can't be done."""
        if self.mode == "required" and (problem := unavailable(network=self.network)):
            raise NotReady(f"This agent must be confined, and can't be: {problem}", hint=_HINT)

    @property
    def missing(self) -> str:
        """Why an agent that should be confined is not; empty when it is, or need not be."""
        return unavailable(network=self.network) if self.mode != "off" else ""

    def wrap(self, argv: Sequence[str], turn: Turn) -> list[str]:
        """The command that runs this one confined. Raises NotReady when it must be and can't be."""
        self.check()
        if self.mode == "off" or self.missing:
            return list(argv)
        places = [*_own(turn), *(str(_expanded(place, turn.env)) for place in self.writable)]
        needed = [*places, str(turn.folder), *_read(turn)]
        view = [
            shutil.which("bwrap") or "bwrap",
            *_view(network=self.network),
            *_covers(turn, needed, network=self.network),
        ]
        for place in places:
            view += ["--bind-try", place, place]
        git = turn.workspace / ".git"
        if git.is_dir():  # the user's own repository, in a tree that all share
            view += ["--ro-bind", str(git), str(git)]
        return [*view, "--chdir", str(turn.workspace), "--", *argv]


UNCONFINED = Confinement()


def unavailable(*, network: bool) -> str:
    """Why programs can't be confined here, found out by doing it once; empty when they can."""
    found = shutil.which("bwrap")
    if sys.platform != "linux":
        return "bubblewrap is for Linux only."
    return _try(found, network) if found else "bwrap (bubblewrap) is not installed."


@functools.cache
def _try(bwrap: str, network: bool) -> str:
    argv = [bwrap, *_view(network=network), "--", "true"]
    try:
        done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=PROBE_SECONDS)
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"bwrap does not run here: {error}"
    said = done.stderr.strip().split("\n")[0]
    return "" if done.returncode == 0 else f"bwrap does not work here: {said or f'exit code {done.returncode}'}"


def _view(*, network: bool) -> list[str]:
    return [*_VIEW, *(() if network else ("--unshare-net",))]


def _own(turn: Turn) -> list[str]:
    """The workspace, its repository when that lies beside it, and the session's temporary and cache directories."""
    return [str(place) for place in (turn.workspace, *_beside(turn)) if place != turn.folder]


def _beside(turn: Turn) -> Iterator[Path]:
    git = turn.workspace / ".git"
    if git.is_file():
        yield Path(git.read_text(encoding="utf-8").removeprefix("gitdir:").strip())
    for name in ("TMPDIR", "XDG_CACHE_HOME"):
        if turn.env.get(name):
            yield Path(turn.env[name])


def _read(turn: Turn) -> list[str]:
    """What has to stay visible: the project, the home directory, and this program."""
    return [sys.prefix, *(turn.env[name] for name in ("HOME", "INTARSIA_ROOT") if turn.env.get(name))]


def _covers(turn: Turn, needed: Sequence[str], *, network: bool) -> list[str]:
    """/tmp becomes the session's own, and /run, with the sockets of the machine's services, is empty without network;
    not where something needed lies below.
    """
    covers: list[str] = []
    if turn.env.get("TMPDIR") and not _any_below("/tmp", needed):
        covers += ["--bind", turn.env["TMPDIR"], "/tmp"]
    if not network and not _any_below("/run", needed):
        covers += ["--tmpfs", "/run"]
    return covers


def _any_below(place: str, paths: Sequence[str]) -> bool:
    top = os.path.realpath(place)
    return any(Path(os.path.realpath(path)).is_relative_to(top) for path in paths)


def _expanded(place: str, env: Mapping[str, str]) -> Path:
    home = Path(env.get("HOME", "/"))
    return home / place.removeprefix("~/") if place.startswith("~/") else Path(place)
