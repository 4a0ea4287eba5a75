"""Starting, watching and ending processes. All that a session starts carries its id in the environment."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import psutil

from intarsia.agents import Event, Limits, Running, ToolResult, ToolUse, TurnEnd, Waiting
from intarsia.agents.environment import MARKER

GRACE = 5.0


def spawn(argv: Sequence[str], *, cwd: Path, env: Mapping[str, str], output: Path) -> subprocess.Popen[bytes]:
    """Start a program in a process session of its own, with no input, its output appended to a file."""
    with output.open("ab") as sink:
        return subprocess.Popen(
            argv, cwd=cwd, env=dict(env), stdin=subprocess.DEVNULL, stdout=sink, stderr=sink, start_new_session=True
        )


def marked(session: str, role: str | None = None) -> list[psutil.Process]:
    """Living processes of this user that carry the session's marker, those of one role (agent, check) if given."""
    wanted = {MARKER: session, **({"INTARSIA_ROLE": role} if role else {})}
    return [process for process, env in _environments() if all(env.get(k) == v for k, v in wanted.items())]


def marked_sessions() -> dict[str, list[psutil.Process]]:
    """All processes that carry any session's marker, by session."""
    found: dict[str, list[psutil.Process]] = {}
    for process, env in _environments():
        if session := env.get(MARKER):
            found.setdefault(session, []).append(process)
    return found


def _environments() -> Iterator[tuple[psutil.Process, dict[str, str]]]:
    me = os.getpid()
    for pid in psutil.pids():
        if pid == me:
            continue
        try:
            process = psutil.Process(pid)
            env = process.environ()
            if process.status() != psutil.STATUS_ZOMBIE:
                yield process, env
        except (psutil.Error, OSError):
            continue


def end_marked(session: str, grace: float = GRACE) -> int:
    """SIGTERM to every marked process, SIGKILL to those left after `grace` seconds; returns how many there were."""
    seen: set[int] = set()
    deadline = time.monotonic() + grace
    while processes := marked(session):
        force = time.monotonic() > deadline
        for process in processes:
            if process.pid not in seen or force:
                seen.add(process.pid)
                _signal(process, signal.SIGKILL if force else signal.SIGTERM)
        _await_end(processes, 0.1)
    return len(seen)


def _await_end(processes: Sequence[psutil.Process], seconds: float) -> None:
    """Give them some time. Not by psutil.wait_procs: it takes a child's exit code, and its Popen then reads success."""
    deadline = time.monotonic() + seconds
    while any(_lives(process) for process in processes) and time.monotonic() < deadline:
        time.sleep(0.005)


def _lives(process: psutil.Process) -> bool:
    try:
        return bool(process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def _signal(process: psutil.Process, number: int) -> None:
    with contextlib.suppress(psutil.NoSuchProcess):
        process.send_signal(number)


def watch(running: Running, limits: Limits, on_event: Callable[[Event], None], stopped: Callable[[], bool]) -> TurnEnd:
    """Follow a turn to its end, and end it when it passes a limit or the run is being stopped.

    An agent is idle when it says nothing and no tool of its runs: a long test, or a wait for a lease, is no silence.
    """
    started = spoke = time.monotonic()
    busy: set[str] = set()
    for event in running.events():
        now = time.monotonic()
        if isinstance(event, TurnEnd):
            return event
        if not isinstance(event, Waiting):
            spoke = now
            _note(event, busy)
            on_event(event)
        if busy:
            spoke = now
        over = _exceeded(limits, now - started, now - spoke)
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
