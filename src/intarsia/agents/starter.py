"""A small process that starts agents for its supervisor. Run as a script, as it must load nothing that it can spare.

It makes each agent's shell a *sub-reaper* (prctl(2)): what the agent starts stays below that shell, also what detaches
itself, forgets its environment and loses its parent. Only a process itself can ask for that, between fork and exec; to
fork the supervisor takes long, for its memory, and is not safe, for its threads. So this one forks.

Standard input is the channel: a byte with six descriptors (a request in JSON, then what becomes 0 to 4) is answered
with a line: the process's id. At its end this process ends; what it started goes on.
"""

import ctypes
import fcntl
import json
import os
import signal
import socket
import sys
from typing import Any

PR_SET_CHILD_SUBREAPER = 36
HEEDED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
PASSED = 5


def serve() -> None:
    for number in (*HEEDED, signal.SIGCHLD):  # of SIGCHLD to ignore means that those who ended are gone at once
        signal.signal(number, signal.SIG_IGN)
    prctl = ctypes.CDLL(None).prctl if sys.platform == "linux" else lambda *_: 0
    channel = socket.socket(fileno=0)
    while True:
        byte, descriptors, _, _ = socket.recv_fds(channel, 1, 1 + PASSED)
        if not byte:
            return
        pid = os.fork()
        if pid == 0:
            _become(prctl, descriptors)
        for descriptor in descriptors:
            os.close(descriptor)
        channel.sendall(b"%d\n" % pid)


def _become(prctl: Any, descriptors: list[int]) -> None:
    """In the child: turn into the program that is asked for. Never returns."""
    try:
        request, *passed = (fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 64) for fd in descriptors)
        with open(request, "rb") as file:  # noqa: PTH123
            wanted = json.load(file)
        for number in (*HEEDED, signal.SIGCHLD, signal.SIGPIPE, signal.SIGXFSZ):
            signal.signal(number, signal.SIG_DFL)
        os.setsid()
        prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
        os.chdir(wanted["cwd"])
        for target, source in enumerate(passed):
            os.dup2(source, target)
        os.closerange(PASSED, 64)
        os.execve(wanted["argv"][0], wanted["argv"], wanted["env"])
    finally:
        os._exit(127)


if __name__ == "__main__":
    serve()
