"""A real git repository and the real `intarsia` command on it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

Step = dict[str, Any]


class Sandbox:
    """A repository with one commit; `database` is a URL, or empty for the default SQLite file."""

    def __init__(self, root: Path, database: str = "") -> None:
        self.root = root
        root.mkdir(parents=True)
        self.git("init", "--quiet", "--initial-branch=main")
        self.write("README.md", "A sandbox.\n")
        self.write(".gitignore", "*.ignored\n")
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message=First commit")
        self.env = dict(os.environ)
        if database:
            self.env |= {"INTARSIA_DATABASE_URL": database, "INTARSIA_PROJECT_ID": uuid.uuid4().hex[:12]}

    def git(self, *args: str, cwd: Path | None = None) -> str:
        done = subprocess.run(["git", *args], cwd=cwd or self.root, check=True, capture_output=True, text=True)
        return done.stdout.strip()

    def write(self, name: str, text: str) -> Path:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return path

    def commit(self, name: str, text: str, message: str) -> str:
        self.write(name, text)
        self.git("add", name)
        self.git("commit", "--quiet", f"--message={message}")
        return self.git("rev-parse", "HEAD")

    def show(self, name: str, at: str = "main") -> str:
        return self.git("show", f"{at}:{name}")

    def files(self, at: str = "main") -> set[str]:
        return set(self.git("ls-tree", "-r", "--name-only", at).splitlines())

    def tree(self, at: str = "main") -> str:
        return self.git("rev-parse", f"{at}^{{tree}}")

    def call(
        self, *args: str, cwd: Path | None = None, env: Mapping[str, str] | None = None, timeout: float = 300
    ) -> subprocess.CompletedProcess[str]:
        """Run `intarsia ARGS`; the caller looks at the exit code."""
        return subprocess.run(
            [sys.executable, "-m", "intarsia", *args],
            cwd=cwd or self.root,
            env={**self.env, **(env or {})},
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )

    def ok(self, *args: str, **kwargs: Any) -> str:
        """Run `intarsia ARGS`, which must succeed; its output."""
        done = self.call(*args, **kwargs)
        assert done.returncode == 0, f"intarsia {args} ended with {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def json(self, *args: str, **kwargs: Any) -> dict[str, Any]:
        """The JSON answer of `intarsia ARGS --json`, whatever its exit code."""
        answer: dict[str, Any] = json.loads(self.call(*args, "--json", **kwargs).stdout)
        return answer

    def issue(self, id: str, *options: str, title: str = "") -> None:
        self.ok("issue", "new", title or f"Do {id}", "--id", id, *options)

    def status(self, id: str) -> str:
        status: str = self.json("issue", "show", id)["issue"]["status"]
        return status

    def sessions(self, issue: str | None = None) -> list[dict[str, Any]]:
        """Newest first."""
        found: list[dict[str, Any]] = self.json("session", "list", *(["--issue", issue] if issue else []))["sessions"]
        return found

    def events(self, *kinds: str) -> list[dict[str, Any]]:
        found = self.json("log", "--limit", "100000")["events"]
        return [event for event in found if not kinds or event["kind"] in kinds]

    def start(self, *args: str, env: Mapping[str, str] | None = None) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "intarsia", *args],
            cwd=self.root,
            env={**self.env, **(env or {})},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def scenario(self, scripts: Mapping[str, Sequence[Sequence[Step]]]) -> str:
        """Write a scenario (per issue a list of turns, each a list of steps); the value for `--agent`."""
        path = self.root.parent / f"{self.root.name}-scenario.toml"
        lines = []
        for issue, turns in scripts.items():
            lines.append(f"[issues.{json.dumps(issue)}]\nturns = [")
            for steps in turns:
                inline = ", ".join(_inline(step) for step in steps)
                lines.append(f"  {{ steps = [{inline}] }},")
            lines.append("]")
        path.write_text("\n".join(lines), encoding="utf-8")
        return f"script: {path}"


def _inline(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key} = {_inline(inner)}" for key, inner in value.items()) + "}"
    return json.dumps(value)


def after(path: Path) -> Step:
    """Go on as soon as there is such a file."""
    return {"shell": f"until test -e '{path}'; do sleep 0.02; done"}


def adds(name: str, text: str) -> list[list[Step]]:
    """A script of one turn that writes a file and commits it."""
    return [[{"write": name, "text": text}, {"commit": f"Add {name}"}]]
