"""How long an agent waits for one command."""

from __future__ import annotations

import sys
from collections.abc import Iterator

from benchmarks.support import Result, median, repository


def measure() -> Iterator[Result]:
    with repository() as bench:
        bench.add_issues(100)
        bare = median(lambda: bench.git("--version"), 20)
        python = median(lambda: _python(bench.env), 20)
        listing = median(lambda: bench.intarsia("issue", "list"), 20)
        ready = median(lambda: bench.intarsia("issue", "ready", "--json"), 20)
    yield Result("git --version, for comparison", bare * 1000, "ms")
    yield Result("python -c pass, for comparison", python * 1000, "ms")
    yield Result("intarsia issue list, 100 issues", listing * 1000, "ms", 80)
    yield Result("intarsia issue ready --json, 100 issues", ready * 1000, "ms", 80)


def _python(env: dict[str, str]) -> None:
    import subprocess

    subprocess.run([sys.executable, "-c", "pass"], env=env, check=True)
