"""A program called like Amp that prints what Amp is known to print: `amp_program.py SCRIPT.json …`.

The script says what `permissions test` answers (`tested`), and what is done (`steps`): `use` a tool, which is asked of
the delegate first unless `unasked`, `say` words, `result` the end, `print` anything, `exit` with a code.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any


def tell(**message: Any) -> None:
    print(json.dumps({"session_id": "T-1", "parent_tool_use_id": None, **message}), flush=True)


def said(role: str, *content: Any, **more: Any) -> None:
    tell(type=role, message={"role": role, "content": list(content), **more})


def use(step: dict[str, Any], id: str, settings: Path) -> None:
    tool, given = step["use"], step["input"]
    usage = {"input_tokens": 10, "output_tokens": 2, "cache_read_input_tokens": 5}
    said("assistant", {"type": "tool_use", "id": id, "name": tool, "input": given}, usage=usage)
    allowed, why = True, ""
    if not step.get("unasked"):
        (rule,) = json.loads(settings.read_text())["amp.permissions"]
        assert (rule["tool"], rule["action"]) == ("*", "delegate")
        env = {**os.environ, "AGENT_TOOL_NAME": tool}
        done = subprocess.run([rule["to"]], input=json.dumps(given), env=env, text=True, capture_output=True)
        allowed, why = done.returncode == 0, done.stderr
    if allowed and tool == "create_file":
        Path(given["path"]).write_text(given["content"])
    if allowed and tool == "Bash":
        subprocess.run(["/bin/sh", "-c", given["cmd"]], check=False)
    said("user", {"type": "tool_result", "tool_use_id": id, "content": why or "done", "is_error": not allowed})


def play(script: dict[str, Any], arguments: list[str]) -> int:
    settings = Path(arguments[arguments.index("--settings-file") + 1])
    Path(os.environ["AMP_HEARD"]).write_text(json.dumps(arguments) + "\n" + sys.stdin.read())
    tell(type="system", subtype="init", mcp_servers=script.get("servers", []), tools=[])
    for number, step in enumerate(script["steps"]):
        match step:
            case {"use": _}:
                use(step, f"u-{number}", settings)
            case {"say": text}:
                said("assistant", {"type": "text", "text": text})
            case {"result": result}:
                tell(type="result", **result)
            case {"print": text}:
                print(text, file=sys.stderr, flush=True)
            case {"hang": True}:
                sys.stdout.flush()
                import time

                time.sleep(60)
            case {"exit": code}:
                return int(code)
    return 0


if __name__ == "__main__":
    given = json.loads(Path(sys.argv[1]).read_text())
    if sys.argv[2:4] == ["permissions", "test"]:
        print(given.get("tested", "action: delegate"))
        sys.exit(0)
    if sys.argv[2:] == ["--version"]:
        print("0.0.1790142911 (released today)")
        sys.exit(0)
    sys.exit(play(given, sys.argv[2:]))
