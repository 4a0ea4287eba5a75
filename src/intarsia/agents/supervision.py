"""Starting, watching and ending processes.

All that a session starts carries its id in the environment, or is below a process that does.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from intarsia.agents import Event, Limits, Running, ToolResult, ToolUse, TurnEnd, Waiting, reaper
from intarsia.agents.environment import MARKER
from intarsia.agents.reaper import lives

GRACE = 5.0


def spawn(argv: Sequence[str], *, cwd: Path, env: Mapping[str, str], output: Path) -> subprocess.Popen[bytes]:
    """Start a program in a process session of its own, with no input, its output appended to a file."""
    with output.open("ab") as sink:
        return subprocess.Popen(
            argv, cwd=cwd, env=dict(env), stdin=subprocess.DEVNULL, stdout=sink, stderr=sink, start_new_session=True
        )


def marked(session: str, role: str | None = None) -> list[psutil.Process]:
    """Living processes of the session, those of one role (agent, check) if given: what carries its marker, and all that
    is below such a process whatever its environment says.
    """
    return marked_sessions(role).get(session, [])


def marked_sessions(role: str | None = None) -> dict[str, list[psutil.Process]]:
    """The same of all sessions that have any."""
    living = {pid: seen for pid in psutil.pids() if (seen := _look(pid))}
    living.pop(os.getpid(), None)
    found: dict[str, list[psutil.Process]] = {}
    for pid, seen in living.items():
        env = _session_env(pid, living)
        if env and (role is None or env.get("INTARSIA_ROLE") == role):
            with contextlib.suppress(psutil.Error, OSError):
                process = psutil.Process(pid)
                again = _look(pid)
                if again and again.began == seen.began:  # it is still the same
                    found.setdefault(env[MARKER], []).append(process)
    return found


@dataclass(frozen=True)
class _Seen:
    """A living process: when it began tells it from another with its id; of its environment what is ours."""

    parent: int
    began: str
    env: Mapping[str, str]


def _session_env(pid: int, living: Mapping[int, _Seen]) -> Mapping[str, str] | None:
    """Of the nearest process, this one or above it, that carries a marker."""
    above: set[int] = set()
    while pid in living and pid not in above:
        above.add(pid)
        if MARKER in living[pid].env:
            return living[pid].env
        pid = living[pid].parent
    return None


def surrounding() -> str | None:
    """The session in which this process was started, even if its environment does not say so any more."""
    pid, seen = os.getpid(), _look(os.getpid())
    living: dict[int, _Seen] = {}
    while seen is not None and pid not in living:
        living[pid] = seen
        pid, seen = seen.parent, _look(seen.parent)
    env = _session_env(os.getpid(), living)
    return os.environ.get(MARKER) or (env[MARKER] if env else None)


def _look(pid: int) -> _Seen | None:
    """None when there is no such living process; what we may not look into has no environment."""
    if sys.platform != "linux":
        return _look_elsewhere(pid)
    try:
        state, parent, *rest = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b") ")[2].split()
        environ = Path(f"/proc/{pid}/environ").read_bytes()
    except PermissionError:
        environ = b""
    except (OSError, ValueError):
        return None
    if state in b"ZX":
        return None
    return _Seen(int(parent), rest[17].decode("ascii"), _ours(environ))


def _ours(environ: bytes) -> dict[str, str]:
    if b"INTARSIA_" not in environ:
        return {}
    pairs = (part.partition(b"=") for part in environ.split(b"\0") if part.startswith(b"INTARSIA_"))
    return {name.decode(errors="replace"): value.decode(errors="replace") for name, _, value in pairs}


def _look_elsewhere(pid: int) -> _Seen | None:
    try:
        process = psutil.Process(pid)
        if process.status() == psutil.STATUS_ZOMBIE:
            return None
        env = {name: value for name, value in process.environ().items() if name.startswith("INTARSIA_")}
        return _Seen(process.ppid(), str(process.create_time()), env)
    except (psutil.Error, OSError):
        return None


def end_marked(session: str, grace: float = GRACE) -> int:
    """SIGTERM to every process of the session, SIGKILL to those left after `grace` seconds; returns their number.

    The shells that keep hold of what is below them go last: what is left of an agent would be nobody's otherwise.
    """
    seen: set[psutil.Process] = set()
    warned: set[psutil.Process] = set()
    deadline = time.monotonic() + grace
    while family := {*marked(session), *filter(lives, seen)}:
        force = time.monotonic() > deadline
        shells = {process for process in family if process not in seen and _is_reaper(process)}
        for shell in shells - warned:
            _signal(shell, signal.SIGTERM)
        warned |= shells
        for process in family - shells:
            if process not in seen or force:
                _signal(process, signal.SIGKILL if force else signal.SIGTERM)
        if family == shells:
            for shell in shells:
                _signal(shell, signal.SIGKILL)
        seen |= family - shells
        _await_end(family if family == shells else family - shells, 0.1)
    return len(seen)


def _is_reaper(process: psutil.Process) -> bool:
    try:
        return tuple(process.cmdline()[: len(reaper.SHELL)]) == reaper.SHELL
    except (psutil.Error, OSError):
        return False


def _await_end(processes: Collection[psutil.Process], seconds: float) -> None:
    """Give them some time. Not by psutil.wait_procs: it takes a child's exit code, and its Popen then reads success."""
    deadline = time.monotonic() + seconds
    while any(lives(process) for process in processes) and time.monotonic() < deadline:
        time.sleep(0.005)


def _signal(process: psutil.Process, number: int) -> None:
    with contextlib.suppress(psutil.NoSuchProcess):
        process.send_signal(number)


def watch(
    running: Running, limits: Limits, on_event: Callable[[Event], TurnEnd | None], stopped: Callable[[], bool]
) -> TurnEnd:
    """Follow a turn to its end, and end it when it passes a limit, `on_event` says so, or the run is being stopped.

    An agent is idle when it says nothing and no tool of its runs: a long test, or a wait for a lease, is no silence.
    """
    started = spoke = time.monotonic()
    busy: set[str] = set()
    for event in running.events():
        now = time.monotonic()
        if isinstance(event, TurnEnd):
            return event
        over = None
        if not isinstance(event, Waiting):
            spoke = now
            _note(event, busy)
            over = on_event(event)
        if busy:
            spoke = now
        over = over or _exceeded(limits, now - started, now - spoke)
        if stopped():
            over = TurnEnd("stopped", "The run was interrupted.")
        if over is not None:
            running.stop()
            return over
    return TurnEnd("killed", "The driver ended without a result.")


def _note(event: Event, busy: set[str]) -> None:
    if isinstance(event, ToolUse):
        busy.add(event.id)
    elif isinstance(event, ToolResult):
        busy.discard(event.id)


def _exceeded(limits: Limits, running: float, silent: float) -> TurnEnd | None:
    if limits.wall and running > limits.wall:
        return TurnEnd("timeout", f"It ran longer than {limits.wall} s.")
    if limits.idle and silent > limits.idle:
        return TurnEnd("idle", f"It printed nothing for {limits.idle} s.")
    return None
