"""Our tools for an agent that can only be told of a tool server to start: a program that passes all it hears on to us.

It finds us by a socket in a directory that only we can enter. `python -m intarsia.agents.mcp_bridge SOCKET`.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import sys
import tempfile
import threading
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from intarsia.agents import Tool, mcp

SERVER = "intarsia"


class Bridge:
    """Tools, those of the turn under way, until it is closed."""

    def __init__(self, tools: Sequence[Tool]) -> None:
        self.was_used = False
        self.tools = tools
        self._place = Path(tempfile.mkdtemp(prefix="intarsia-"))
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.bind(str(self._place / "tools"))
        self._socket.listen()
        threading.Thread(target=self._accept, name="tools", daemon=True).start()

    def server(self) -> dict[str, Any]:
        """How an agent starts the program, as the Agent Client Protocol says it."""
        arguments = ["-P", "-m", "intarsia.agents.mcp_bridge", str(self._place / "tools")]
        return {"name": SERVER, "command": sys.executable, "args": arguments, "env": []}

    def close(self) -> None:
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        shutil.rmtree(self._place, ignore_errors=True)

    def _accept(self) -> None:
        with suppress(OSError):  # it was closed
            while True:
                connection, _ = self._socket.accept()
                threading.Thread(target=self._serve, args=(connection,), name="tools", daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with suppress(OSError, ValueError), connection, connection.makefile("rwb") as stream:
            for line in stream:
                self.was_used = True
                answer = mcp.answer(self.tools, json.loads(line))
                reply = answer() if callable(answer) else answer
                if reply is not None:
                    stream.write(json.dumps(reply).encode() + b"\n")
                    stream.flush()


def main() -> None:
    """Pass on what we hear, and what is answered, until one side is gone."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(sys.argv[1])
        threading.Thread(target=_answers, args=(connection,), daemon=True).start()
        while chunk := os.read(sys.stdin.fileno(), 65_536):
            connection.sendall(chunk)


def _answers(connection: socket.socket) -> None:
    while chunk := connection.recv(65_536):
        sys.stdout.buffer.write(chunk)
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
