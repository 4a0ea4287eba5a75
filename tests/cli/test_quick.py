"""Commands that agents call all day import no more than they need: what it costs is measured by benchmarks/cli.py."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from tests.support.sandbox import Sandbox

SLOW = {
    "subprocess", "tempfile", "shutil", "asyncio", "ssl", "email", "difflib", "rich", "psycopg", "psutil",
    "tree_sitter", "starlette", "uvicorn", "anyio", "mcp", "httpx",
}  # fmt: skip
CODE = """
import json, sys
sys.argv = ["intarsia", *json.loads(sys.argv[1])]
import intarsia.cli
try:
    intarsia.cli.main()
except SystemExit as end:
    print(json.dumps([end.code, sorted(sys.modules)]), file=sys.stderr)
"""
COMMANDS = ["lock acquire x:1", "lock check x:2", "issue list", "message inbox", "status reading", "log write a b"]


def imported(sandbox: Sandbox, line: str, **env: str) -> set[str]:
    done = subprocess.run(
        [sys.executable, "-c", CODE, json.dumps(line.split())],
        cwd=sandbox.root, env={**sandbox.env, **env}, capture_output=True, text=True, check=True,
    )  # fmt: skip
    code, modules = json.loads(done.stderr.splitlines()[-1])
    assert code == 0, done.stderr
    return set(modules)


@pytest.mark.parametrize("line", COMMANDS)
def test_on_the_database(sandbox: Sandbox, line: str) -> None:
    sandbox.ok("agent", "join", "alice")
    assert not imported(sandbox, line) & SLOW


def test_by_the_gateway(sandbox: Sandbox) -> None:
    sandbox.ok("agent", "join", "alice")
    running = sandbox.start("gateway", "--json")
    assert running.stdout is not None
    url = json.loads(running.stdout.readline())["url"]
    try:
        for line in COMMANDS:
            found = imported(sandbox, line, INTARSIA_URL=url, INTARSIA_AGENT="alice")
            assert not found & {*SLOW, "sqlite3"}, line
    finally:
        running.terminate()
        running.communicate()
