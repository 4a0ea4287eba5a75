"""An agent program that speaks JSON lines, played from a script: `python wire_program.py SCRIPT.json`.

    {"hear": PATTERN}        the next line of input has this in it; "$name" takes what stands there, "$_" anything
    {"say": MESSAGE}         print it, with "$name" filled in
    {"raw": TEXT}            print that, as it is
    {"file": [NAME, TEXT]}   write a file
    {"shell": COMMAND}       run it
    {"await": NAME}          wait until that file is there
    {"hang": true}           do nothing any more, until the input ends
    {"signal": N}            end by this signal
    {"exit": N}              end so; without one it ends with 0 when its input does

What it hears instead of what it should is written to `unexpected` beside the script, and ends it with 90.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any


def matches(pattern: Any, value: Any, names: dict[str, Any]) -> bool:
    if isinstance(pattern, str) and pattern.startswith("$"):
        names[pattern] = value
        return True
    if isinstance(pattern, dict):
        return isinstance(value, dict) and all(k in value and matches(p, value[k], names) for k, p in pattern.items())
    if isinstance(pattern, list):
        return isinstance(value, list) and all(matches(p, v, names) for p, v in zip(pattern, value, strict=True))
    return bool(pattern == value)


def filled(value: Any, names: dict[str, Any]) -> Any:
    if isinstance(value, str):
        return names.get(value, value)
    if isinstance(value, dict):
        return {key: filled(inner, names) for key, inner in value.items()}
    return [filled(inner, names) for inner in value] if isinstance(value, list) else value


def play(script: Path) -> None:
    names: dict[str, Any] = {}
    for step in json.loads(script.read_text()):
        match step:
            case {"hear": pattern}:
                heard = sys.stdin.readline()
                if not heard or not matches(pattern, json.loads(heard), names):
                    script.with_name("unexpected").write_text(f"heard {heard!r}, not {pattern}")
                    sys.exit(90)
            case {"say": message}:
                print(json.dumps(filled(message, names)), flush=True)
            case {"raw": text}:
                print(text, flush=True)
            case {"file": [name, text]}:
                Path(name).write_text(text)
            case {"shell": command}:
                subprocess.run(["sh", "-c", command], check=True)
            case {"await": name}:
                while not Path(name).exists():
                    time.sleep(0.005)
            case {"hang": True}:
                sys.stdin.read()
            case {"signal": number}:
                os.kill(os.getpid(), number)
                time.sleep(60)
            case {"exit": code}:
                sys.exit(code)
    sys.stdin.read()


if __name__ == "__main__":
    play(Path(sys.argv[1]))
