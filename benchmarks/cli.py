"""How long an agent waits for one command."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from benchmarks.support import Bench, Result, median, repository


def measure() -> Iterator[Result]:
    with repository() as bench:
        bench.add_issues(100)
        bare = median(lambda: bench.git("--version"), 20)
        python = median(lambda: _python(bench.env), 20)
        listing = median(lambda: bench.intarsia("issue", "list"), 20)
        ready = median(lambda: bench.intarsia("issue", "ready", "--json"), 20)
        with _served(bench):
            asked = median(lambda: bench.intarsia("lock", "check", "code:a.py"), 20)
            listed = median(lambda: bench.intarsia("issue", "list"), 20)
    yield Result("git --version, for comparison", bare * 1000, "ms")
    yield Result("python -c pass, for comparison", python * 1000, "ms")
    yield Result("intarsia issue list, 100 issues", listing * 1000, "ms", 80)
    yield Result("intarsia issue ready --json, 100 issues", ready * 1000, "ms", 80)
    yield Result("intarsia lock check, by the gateway", asked * 1000, "ms", 80)
    yield Result("intarsia issue list, 100 issues, by the gateway", listed * 1000, "ms", 80)


@contextmanager
def _served(bench: Bench) -> Iterator[None]:
    """Commands go as a member by a gateway that runs."""
    bench.intarsia("agent", "join", "alice")
    argv = [sys.executable, "-m", "intarsia", "gateway", "--json"]
    with subprocess.Popen(argv, cwd=bench.root, env=bench.env, stdout=subprocess.PIPE, text=True) as gateway:
        assert gateway.stdout is not None
        before = dict(bench.env)
        bench.env |= {"INTARSIA_URL": json.loads(gateway.stdout.readline())["url"], "INTARSIA_AGENT": "alice"}
        try:
            bench.intarsia("lock", "list")
            yield
        finally:
            bench.env = before
            gateway.terminate()


def _python(env: dict[str, str]) -> None:
    subprocess.run([sys.executable, "-c", "pass"], env=env, check=True)
