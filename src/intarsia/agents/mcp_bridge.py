"""Our tools for an agent that can only be told of a tool server to start: a program that passes all it hears on to us.

It finds us by a doorway. `python -m intarsia.agents.mcp_bridge SOCKET`.
"""

from __future__ import annotations

import io
import json
import os
import socket
import sys
import threading
from collections.abc import Sequence
from typing import Any

from intarsia.agents import Tool, mcp
from intarsia.agents.doorway import Doorway

SERVER = "intarsia"


class Bridge:
    """Tools, those of the turn under way, until it is closed."""

    def __init__(self, tools: Sequence[Tool]) -> None:
        self.was_used = False
        self.tools = tools
        self._doorway = Doorway(self._serve)

    def close(self) -> None:
        self._doorway.close()

    def server(self) -> dict[str, Any]:
        """How an agent starts the program, as the Agent Client Protocol says it."""
        arguments = ["-P", "-m", "intarsia.agents.mcp_bridge", str(self._doorway.path)]
        return {"name": SERVER, "command": sys.executable, "args": arguments, "env": []}

    def _serve(self, stream: io.BufferedRWPair) -> None:
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
