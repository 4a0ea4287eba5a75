"""Programs below a shell that keeps hold of all that they start, until we let go of it.

The shell is started by a small process of its own (see starter.py). When its program has ended, it writes the exit code
and waits for us: what the program left running is then still below it, and belongs to the session beyond doubt. When we
die meanwhile, it waits as long as there is something, so that the next supervisor finds it.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import psutil

# Arguments: a file for the exit code, the program. There is no code when we end it. What it waits for is 4, and 3 is
# closed to say that the program has ended.
AROUND = (
    'exit=$1; shift; trap "ended=1" TERM; "$@" 3>&- 4<&-; code=$?; '
    '[ "$ended" ] || { echo "$code" >"$exit.new"; mv "$exit.new" "$exit"; }; '
    'trap "" TERM; exec 0<&- 1>&- 2>&- 3>&-; read -r _ <&4; '
    'while left=; read -r left </proc/$$/task/$$/children; [ "$left" ]; do sleep 5; done'
)
SHELL = ("/bin/sh", "-c", AROUND, "intarsia")
LONGEST = 10.0


class Held:
    """A program that runs, or has ended, below its shell."""

    def __init__(self, pid: int, hold: int, done: int, exit_file: Path) -> None:
        self.pid = pid
        self._hold = hold
        self._done = done
        self._exit_file = exit_file
        self._closed = False

    def wait(self, seconds: float) -> bool:
        """Whether the program has ended, or its shell, after at most so long."""
        return self._closed or bool(select.select([self._done], [], [], seconds)[0])

    @property
    def code(self) -> int | None:
        """The exit code of a program that has ended, more than 128 for a signal; None when it was ended by us."""
        return exit_code(self._exit_file)

    @property
    def alone(self) -> bool:
        """Whether nothing lives below its shell."""
        try:
            below = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text(encoding="ascii").split()
        except OSError:
            return False
        return not any(_is_alive(int(pid)) for pid in below)

    @property
    def gone(self) -> bool:
        """Whether the shell has ended: nobody is left to read from us."""
        if self._closed:
            return True
        poll = select.poll()
        poll.register(self._hold, 0)
        return bool(poll.poll(0))

    def kill(self) -> None:
        """End the program and all that it started, at once."""
        deadline = time.monotonic() + LONGEST
        while time.monotonic() < deadline and (left := self._below()):
            for process in left:
                with contextlib.suppress(psutil.NoSuchProcess):
                    process.kill()
            psutil.wait_procs(left, timeout=0.05)

    def _below(self) -> list[psutil.Process]:
        if self.gone:
            return []
        try:
            return [each for each in psutil.Process(self.pid).children(recursive=True) if lives(each)]
        except psutil.NoSuchProcess:
            return []

    def let_go(self) -> None:
        """We need it no more: the shell ends now, unless the program left something that somebody has to end first."""
        if not self.gone and not self.alone:
            with _lock:
                _left.add(self)
            return
        if not self.gone:
            with contextlib.suppress(psutil.Error):
                shell = psutil.Process(self.pid)
                shell.kill()
                shell.wait(LONGEST)
        self.release()

    def release(self) -> None:
        if not self._closed:
            self._closed = True
            os.close(self._hold)
            os.close(self._done)


def _is_alive(pid: int) -> bool:
    try:
        return lives(psutil.Process(pid))
    except psutil.NoSuchProcess:
        return False


def lives(process: psutil.Process) -> bool:
    try:
        return bool(process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def exit_code(path: Path) -> int | None:
    try:
        return int(path.read_text(encoding="ascii"))
    except (FileNotFoundError, ValueError):
        return None


class _Starter:
    def __init__(self) -> None:
        self._channel, other = socket.socketpair()
        argv = [sys.executable, "-I", "-S", str(Path(__file__).with_name("starter.py"))]
        with other:
            self._process = subprocess.Popen(argv, stdin=other.fileno(), start_new_session=True)

    def start(self, request: Mapping[str, object], passed: Sequence[int]) -> tuple[int, int, int]:
        """The process, and our ends of what it waits for and of what it closes when it is done."""
        waited_for, hold = os.pipe()
        done, closed = os.pipe()
        with tempfile.TemporaryFile() as asked:
            asked.write(json.dumps(request).encode())
            asked.seek(0)
            try:
                socket.send_fds(self._channel, [b"."], [asked.fileno(), *passed, closed, waited_for])
                answer = self._channel.makefile("rb").readline()
            finally:
                os.close(waited_for)
                os.close(closed)
        if not answer:
            os.close(hold)
            os.close(done)
            raise BrokenPipeError
        return int(answer), hold, done

    def close(self) -> None:
        self._channel.close()
        self._process.wait()


_lock = threading.Lock()
_left: set[Held] = set()
_starter: _Starter | None = None


def start(
    argv: Sequence[str], *, cwd: Path, env: Mapping[str, str], exit_file: Path, given: int, output: int, errors: int
) -> Held:
    """Start a program in a process session of its own, with these descriptors as its input and output."""
    global _starter
    request = {"argv": [*SHELL, str(exit_file), *argv], "cwd": str(cwd), "env": dict(env)}
    exit_file.unlink(missing_ok=True)
    with _lock:
        for held in [held for held in _left if held.gone]:
            held.release()
            _left.discard(held)
        _starter = _starter or _Starter()
        try:
            started = _starter.start(request, (given, output, errors))
        except (BrokenPipeError, ConnectionResetError):  # somebody ended it
            _starter.close()
            _starter = _Starter()
            started = _starter.start(request, (given, output, errors))
        return Held(*started, exit_file)
