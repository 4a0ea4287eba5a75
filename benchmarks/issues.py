"""What one more issue costs a run of four script agents, on a repository of 50 files."""

from __future__ import annotations

import sqlite3
import statistics
import subprocess
from collections.abc import Iterator
from contextlib import closing

from benchmarks.support import Bench, Result, repository, seconds

NO_OP = '[[issues."*".turns]]\nsteps = [{ say = "ISSUE_NO_CHANGE: nothing to do" }]\n'
COMMIT = """
[[issues."*".turns]]
steps = [{ shell = "echo $INTARSIA_ISSUE > $INTARSIA_ISSUE.txt" }, { commit = "Add a file" }]
"""
CHECK = "[checks]\ntrivial = 'true'\n"
FEW, MANY, ROUNDS = 20, 120, 3


def measure() -> Iterator[Result]:
    yield Result("no-op issue, marginal cost", _marginal(NO_OP, ""), "ms", 15)
    landing = _marginal(COMMIT, CHECK)
    yield Result("worktree, commit, check and landing, marginal cost", landing, "ms", 60)
    plain = statistics.median(_plain_git() for _ in range(ROUNDS))
    yield Result("the same by hand: git worktree add, commit, merge, remove", plain, "ms")
    yield Result("intarsia with 4 agents / by hand, one after another", landing / plain, "x")
    first, last = _drift()
    yield Result("1,000 ready issues: cost of the first 100 no-ops", first, "ms")
    yield Result("1,000 ready issues: cost of the last 100 / the first", last / first, "x", 1.5)


def _marginal(scenario: str, config: str) -> float:
    """Milliseconds per issue: many minus few, so that start-up does not count."""
    costs = []
    for _ in range(ROUNDS):
        few, many = _run(FEW, scenario, config), _run(MANY, scenario, config)
        costs.append((many - few) / (MANY - FEW) * 1000)
    return statistics.median(costs)


def _run(count: int, scenario: str, config: str) -> float:
    with repository() as bench:
        agent = _prepare(bench, count, scenario, config)
        return seconds(lambda: bench.intarsia("run", "--agent", agent, "--agents", "4", "--json"))


def _prepare(bench: Bench, count: int, scenario: str, config: str) -> str:
    (bench.folder / "scenario.toml").write_text(scenario)
    (bench.root / "intarsia.toml").write_text(config)
    bench.add_issues(count)
    return f"script: {bench.folder / 'scenario.toml'}"


def _plain_git() -> float:
    """Milliseconds per issue of a shell loop that isolates each change in a linked worktree and merges it."""
    script = """
    for n in $(seq 30); do
      git worktree add --quiet -b work-$n ../tree-$n && cd ../tree-$n
      echo $n > issue-$n.txt && git add --all && git commit --quiet -m "Add a file" && sh -c true
      cd ../project && git merge --quiet work-$n && git worktree remove ../tree-$n && git branch --quiet -D work-$n
    done
    """
    with repository() as bench:
        argv = ["/bin/sh", "-ec", script]
        return seconds(lambda: subprocess.run(argv, cwd=bench.root, env=bench.env, check=True)) / 30 * 1000


def _drift() -> tuple[float, float]:
    """Milliseconds per issue at the start and at the end of a run of 1,000, from the times of its events."""
    with repository() as bench:
        agent = _prepare(bench, 1000, NO_OP, "")
        bench.intarsia("run", "--agent", agent, "--agents", "4", "--json")
        times = _closing_times(bench)
    return (times[100] - times[0]) * 10, (times[-1] - times[-101]) * 10


def _closing_times(bench: Bench) -> list[float]:
    with closing(sqlite3.connect(bench.root / ".intarsia/intarsia.db")) as connection:
        rows = connection.execute("SELECT time FROM events WHERE kind = 'issue_closed' ORDER BY id")
        return [float(row[0]) for row in rows]
