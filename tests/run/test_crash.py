"""kill -9 at every effect of a run: the next run goes on, and the end is as if nothing had happened."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from intarsia.agents.supervision import marked_sessions
from intarsia.kernel import Database, events, issues, leases, sessions
from intarsia.kernel.issues import Draft
from intarsia.workspace.repository import Repository
from tests.support.crash import Ended, Runner
from tests.support.sandbox import Sandbox, Step, adds

CHUNKS = 6
REPAIRS = {
    "it-1": [
        [{"append": "answer.txt", "text": "41\n"}, {"commit": "Answer"}],
        [{"append": "answer.txt", "text": "42\n"}, {"commit": "Correct the answer"}],
    ],
    "it-2": [
        [{"append": "two.txt", "text": "a\n"}],
        [{"append": "two.txt", "text": "b\n"}, {"commit": "Two"}],
    ],
}


@dataclass
class Job:
    """What runs in each sandbox: issues with their scripts, a configuration, options of `intarsia run`."""

    folder: Path
    runner: Runner
    scripts: Mapping[str, list[list[Step]]]
    config: str
    options: Sequence[str] = ("--agents", "1")
    agent: str = ""
    database: str = ""
    made: int = 0

    def sandbox(self) -> Sandbox:
        self.made += 1
        box = Sandbox(self.folder / str(self.made), self.database)
        box.commit("intarsia.toml", self.config, "Configure")
        Repository.discover(box.root).make_state()
        with opened(box).transaction() as tx:
            for issue in self.scripts:
                issues.create(tx, Draft(f"Do {issue}", id=issue), "test")
        return box

    def run(self, box: Sandbox, kill_at: int | None = None) -> Ended:
        """`intarsia run`, killed at a point; 0 only counts the points."""
        agent = self.agent or box.scenario(self.scripts)
        return self.runner.run(box.root, ["run", "--agent", agent, *self.options], box.env, kill_at)


@dataclass(frozen=True)
class Reference:
    """A run that nobody interrupted: its points, and what it left on the branch."""

    points: int
    tree: str
    commits: int

    @classmethod
    def of(cls, job: Job) -> Reference:
        box = job.sandbox()
        done = job.run(box, kill_at=0)
        assert done.code == 0, done.output
        check_clean(box, job.scripts)
        return cls(int(done.said), box.tree(), int(box.git("rev-list", "--count", "main")))


def opened(box: Sandbox) -> Database:
    url = box.env.get("INTARSIA_DATABASE_URL") or f"sqlite://{box.root}/.intarsia/intarsia.db"
    return Database(url, box.env.get("INTARSIA_PROJECT_ID") or Repository.discover(box.root).project_id())


def check_clean(box: Sandbox, done: Iterable[str]) -> None:
    """Every issue is closed once by one session's commits, and nothing else is left anywhere."""
    database = opened(box)
    with database.read() as tx:
        history = list(events.everything(tx))
        assert [i.id for i in issues.find(tx, statuses=["closed"])] == sorted(done)
        assert sorted(e.issue or "" for e in history if e.kind == "issue_closed") == sorted(done)
        assert [s.id for s in sessions.find(tx, stages=[*sessions.ACTIVE, sessions.PARKED])] == []
        assert leases.held(tx) + leases.lapsed(tx, "") == []
        ours = {s.id for s in sessions.find(tx)}
    database.close()
    assert ours.isdisjoint(marked_sessions())
    landed: dict[str, set[str]] = {issue: set() for issue in done}
    trailers = "%(trailers:key=Issue,valueonly,separator=) %(trailers:key=Intarsia-Session,valueonly,separator=)"
    for line in box.git("log", f"--format={trailers}", "main").splitlines():
        if line.strip():
            issue, session = line.split()
            landed[issue].add(session)
    assert [len(by) for by in landed.values()] == [1] * len(landed), landed
    assert box.git("for-each-ref", "refs/heads") == f"{box.git('rev-parse', 'main')} commit\trefs/heads/main"
    assert list((box.root / ".intarsia/worktrees").glob("*/owner")) == []
    assert box.git("status", "--porcelain") == ""
    assert "error" not in box.git("fsck", "--strict", "--no-dangling")


def crash_and_go_on(job: Job, reference: Reference, *kills: int) -> None:
    """Run, killed at the first point; then again, killed at the next; then to the end."""
    box = job.sandbox()
    deaths = [job.run(box, kill_at=point) for point in kills]
    assert all(died.code in (-signal.SIGKILL, 0) for died in deaths), deaths[-1].output
    last = job.run(box)
    told = f"killed at {kills}: {[died.said for died in deaths]}\n{deaths[-1].output}\n{last.output}"
    try:
        assert last.code == 0
        assert box.tree() == reference.tree, box.git("log", "-p", "main")
        assert int(box.git("rev-list", "--count", "main")) == reference.commits
        check_clean(box, job.scripts)
    except (AssertionError, subprocess.CalledProcessError) as problem:
        raise AssertionError(f"{told}\n{problem}") from problem


@pytest.fixture
def runner() -> Iterator[Runner]:
    runner = Runner()
    yield runner
    runner.close()


def repairs(folder: Path, runner: Runner) -> Job:
    return Job(folder, runner, REPAIRS, "[checks]\nanswer = 'grep -q 42 answer.txt'\n")


@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_a_run_killed_at_any_effect_is_finished_by_the_next(tmp_path: Path, runner: Runner, chunk: int) -> None:
    job = repairs(tmp_path, runner)
    reference = Reference.of(job)
    assert reference.points > 80
    for point in range(1 + chunk, reference.points + 1, CHUNKS):
        crash_and_go_on(job, reference, point)
