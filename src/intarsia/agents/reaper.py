"""Programs below a shell that keeps hold of all that they start, until we let go of it.

The shell is started by a small process of its own (see starter.py). When its program has ended, it writes the exit code
and waits for us: what the program left running is then still below it, and belongs to the session beyond doubt. When we
die meanwhile, it does not wait.
"""

from __future__ import annotations

import json
import os
import select
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

# Arguments: a file for the program's input, one for its exit code, the program. There is no code when we end it.
AROUND = (
    'input=$1 exit=$2; shift 2; trap "ended=1" TERM; "$@" <"$input" 3>&-; code=$?; '
    '[ "$ended" ] || { echo "$code" >"$exit.new"; mv "$exit.new" "$exit"; }; trap "" TERM; exec 3>&-; read -r _'
)
SHELL = ("/bin/sh", "-c", AROUND, "intarsia")


class Held:
    """A program that runs, or has ended, below its shell."""

    def __init__(self, pid: int, hold: int, done: int) -> None:
        self.pid = pid
        self._hold = hold
        self._done = done

    def wait(self, seconds: float) -> bool:
        """Whether the program has ended, or its shell, after at most so long."""
        return bool(select.select([self._done], [], [], seconds)[0])

    @property
    def alone(self) -> bool:
        """Whether the program has left nothing below its shell."""
        try:
            return not Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text(encoding="ascii").strip()
        except OSError:
            return False

    @property
    def gone(self) -> bool:
        """Whether the shell has ended: nobody is left to read from us."""
        poll = select.poll()
        poll.register(self._hold, 0)
        return bool(poll.poll(0))

    def release(self) -> None:
        """Let the shell end; what is still below it then belongs to nobody."""
        _kept.discard(self)
        for descriptor in (self._hold, self._done):
            os.close(descriptor)


class _Starter:
    def __init__(self) -> None:
        self._channel, other = socket.socketpair()
        argv = [sys.executable, "-I", "-S", str(Path(__file__).with_name("starter.py"))]
        with other:
            self._process = subprocess.Popen(argv, stdin=other.fileno(), start_new_session=True)

    def start(self, argv: Sequence[str], cwd: Path, env: Mapping[str, str], output: Path) -> Held:
        given, hold = os.pipe()
        done, finished = os.pipe()
        with tempfile.TemporaryFile() as request, output.open("ab") as sink:
            request.write(json.dumps({"argv": list(argv), "cwd": str(cwd), "env": dict(env)}).encode())
            request.seek(0)
            try:
                socket.send_fds(self._channel, [b"."], [request.fileno(), given, sink.fileno(), finished])
                answer = self._channel.makefile("rb").readline()
            finally:
                os.close(given)
                os.close(finished)
        if not answer:
            os.close(hold)
            os.close(done)
            raise BrokenPipeError
        return Held(int(answer), hold, done)

    def close(self) -> None:
        self._channel.close()
        self._process.wait()


_lock = threading.Lock()
_kept: set[Held] = set()  # a shell ends when we close what it waits for, which to forget it would do
_starter: _Starter | None = None


def start(
    argv: Sequence[str], *, given: Path, exit_file: Path, cwd: Path, env: Mapping[str, str], output: Path
) -> Held:
    """Start a program in a process session of its own, its input from a file, its output appended to another."""
    global _starter
    around = [*SHELL, str(given), str(exit_file), *argv]
    with _lock:
        for held in [held for held in _kept if held.gone]:
            held.release()
        _starter = _starter or _Starter()
        try:
            held = _starter.start(around, cwd, env, output)
        except (BrokenPipeError, ConnectionResetError):  # somebody ended it
            _starter.close()
            _starter = _Starter()
            held = _starter.start(around, cwd, env, output)
        _kept.add(held)
        return held
