"""What Amp starts before each use of a tool: asks the turn behind a socket, and rejects all that it does not allow.

The tool is named by AGENT_TOOL_NAME, its input is JSON on standard input; exit code 0 allows, 2 rejects.
"""

from __future__ import annotations

import json
import os
import socket
import sys

ALLOW, REJECT = 0, 2


def main() -> int:
    try:
        asked = {"tool": os.environ["AGENT_TOOL_NAME"], "input": json.loads(sys.stdin.read() or "{}")}
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(sys.argv[1])
            connection.sendall(json.dumps(asked).encode() + b"\n")
            with connection.makefile("rb") as stream:
                answer = json.loads(stream.readline())
    except (OSError, ValueError, KeyError) as error:
        print(f"intarsia can't be asked, so this is not allowed: {error!r}", file=sys.stderr)
        return REJECT
    if answer.get("allow") is True:
        return ALLOW
    print(answer.get("reason") or "This is not allowed.", file=sys.stderr)
    return REJECT


if __name__ == "__main__":
    sys.exit(main())
