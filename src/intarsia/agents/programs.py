"""Finding the native programs of vendors, which come in wheels: started by themselves, not by a script around them."""

from __future__ import annotations

import json
import shutil
import subprocess
from importlib.util import find_spec
from pathlib import Path

from intarsia.agents import environment
from intarsia.errors import NotReady


def find_program(name: str, command: str, package: str, inside: str) -> str:
    """The program that `command` names, else the one `inside` a package, else `name` on the PATH. Raises NotReady."""
    if command:
        return on_path(command, f"Install it, or take command out of the agent's table: intarsia[{name}] brings one.")
    spec = find_spec(package)
    for place in (spec.submodule_search_locations or []) if spec else []:
        if (Path(place) / inside).is_file():
            return str(Path(place) / inside)
    return on_path(name, f"pip install 'intarsia[{name}]'")


def said_version(program: str) -> str:
    """What it prints about its version; it gets no more of our environment than in a session."""
    done = subprocess.run(
        [program, "--version"],
        env=environment.base(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    return done.stdout.strip()


def npm_version(program: str) -> str:
    """Of the npm package that a program is in; empty when it is in none."""
    for place in Path(program).resolve().parents:
        if (place / "package.json").is_file():
            about = json.loads((place / "package.json").read_text(encoding="utf-8"))
            return str(about["version"]) if "version" in about else ""
    return ""


def on_path(name: str, hint: str) -> str:
    """Where a program is. Raises NotReady."""
    found = shutil.which(name)
    if found is None:
        raise NotReady(f"The agent's program {name!r} is not installed.", hint=hint)
    return found
