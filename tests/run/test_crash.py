"""kill -9 at every effect of a run: the next run goes on, and the end is as if nothing had happened."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from intarsia.agents.supervision import marked_sessions
from intarsia.kernel import Database, events, issues, leases, sessions
from intarsia.kernel.issues import Draft
from intarsia.workspace.repository import Repository
from tests.support.crash import Ended, Runner
from tests.support.sandbox import Sandbox, Step, adds
from tests.support.until import until

CHUNKS = 4
ALWAYS = ("before commit", "during")
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
# In an agent's turn: wait until there was one on each of the two issues.
BOTH_BEGUN = """cd "$INTARSIA_ROOT" && touch ".intarsia/begun-$INTARSIA_ISSUE"
for n in $(seq 2400); do test -e .intarsia/begun-it-1 -a -e .intarsia/begun-it-2 && exit; sleep 0.05; done; exit 1"""


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
    """A run that nobody interrupted: its points by name, and what it left on the branch."""

    points: list[str]
    tree: str
    commits: int

    @classmethod
    def of(cls, job: Job) -> Reference:
        box = job.sandbox()
        done = job.run(box, kill_at=0)
        assert done.code == 0, done.output
        check_clean(box, job.scripts)
        return cls(done.points, box.tree(), int(box.git("rev-list", "--count", "main")))

    def distinct(self) -> list[int]:
        """Every commit of a transaction and every moment in which a process runs; of other points one of a kind, as
        those only repeat what was done before with other names.
        """
        kinds = [re.sub(r"[0-9a-f]{7,}|\d", "#", name) for name in self.points]
        firsts = {kind: number for number, kind in reversed(list(enumerate(kinds, start=1)))}
        return [n for n, kind in enumerate(kinds, 1) if kind.startswith(ALWAYS) or firsts[kind] == n]

    def named(self, *starts: str) -> list[int]:
        return [number for number, name in enumerate(self.points, start=1) if name.startswith(starts)]


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
    told = f"killed at {kills}: {[died.points for died in deaths]}\n{deaths[-1].output}\n{last.output}"
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
    assert len(reference.points) > 80
    every = list(range(1, len(reference.points) + 1))
    for point in (every if "CRASH_AT_EVERY_POINT" in os.environ else reference.distinct())[chunk::CHUNKS]:
        crash_and_go_on(job, reference, point)


def test_runs_killed_one_after_another_are_finished_by_the_last(tmp_path: Path, runner: Runner) -> None:
    job = repairs(tmp_path, runner)
    reference = Reference.of(job)
    for first in range(10, len(reference.points), 24):
        crash_and_go_on(job, reference, first, 9, 6, 40)


def test_the_same_on_postgresql(tmp_path: Path, runner: Runner, postgres_url: str) -> None:
    job = Job(tmp_path, runner, {"it-1": adds("one.txt", "1\n")}, "", database=postgres_url)
    reference = Reference.of(job)
    for point in reference.named("before commit"):
        crash_and_go_on(job, reference, point)


def test_a_program_as_agent_is_followed_to_its_end_or_begun_again(tmp_path: Path, runner: Runner) -> None:
    agent = tmp_path / "agent.sh"
    agent.write_text('echo "$1" >> "$1.txt" && git add --all && git commit --quiet --message "$1"\n')
    job = Job(tmp_path, runner, {"it-1": []}, "", agent=f"command: sh {agent} {{issue}}")
    reference = Reference.of(job)
    for point in reference.named("before commit", "before /bin/sh", "during /bin/sh", "before git merge"):
        crash_and_go_on(job, reference, point)


def test_sessions_side_by_side_are_combined_whichever_effect_it_is_killed_at(tmp_path: Path, runner: Runner) -> None:
    scripts = {issue: adds(f"{issue}.txt", f"{issue}\n") for issue in ("it-1", "it-2")}
    # Neither lands before the other was begun, so the second is checked on the combination.
    scripts = {issue: [[{"shell": BOTH_BEGUN}, *turn] for turn in turns] for issue, turns in scripts.items()}
    job = Job(tmp_path, runner, scripts, "[checks]\nfine = 'test -e README.md'\n", options=("--agents", "2"))
    reference = Reference.of(job)
    for point in range(1, len(reference.points) + 1, 9):
        crash_and_go_on(job, reference, point)


# One part of it is killed, and the rest lives on.


WAITS = """echo $$ >> "$INTARSIA_ROOT/.intarsia/pids"
for n in $(seq 6000); do test -e "$INTARSIA_ROOT/.intarsia/go" && break; sleep 0.05; done
echo done >> "$INTARSIA_ISSUE.txt" && git add --all && git commit --quiet --message "$INTARSIA_ISSUE"
"""


def waiting_agent(box: Sandbox) -> str:
    """An agent that notes its process id, and works when the file `go` is there."""
    path = box.root.parent / "agent.sh"
    path.write_text(WAITS)
    return f"command: sh {path}"


def pids(box: Sandbox) -> list[int]:
    noted = box.root / ".intarsia/pids"
    return [int(line) for line in noted.read_text().split()] if noted.exists() else []


def kill(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.communicate()


def finish(process: subprocess.Popen[str], code: int = 0) -> str:
    output, _ = process.communicate(timeout=300)
    assert process.returncode == code, output
    return output


def let_go(box: Sandbox) -> None:
    (box.root / ".intarsia/go").touch()


def test_an_agent_that_outlives_its_supervisor_is_adopted(sandbox: Sandbox) -> None:
    sandbox.issue("it-1")
    agent = waiting_agent(sandbox)
    first = sandbox.start("run", "--agent", agent)
    until(lambda: len(pids(sandbox)) == 1)
    kill(first)
    second = sandbox.start("run", "--agent", agent)
    until(lambda: len(sandbox.events("agent_adopted")) == 1)
    let_go(sandbox)
    finish(second)
    assert sandbox.show("it-1.txt") == "done"
    assert len(pids(sandbox)) == len(sandbox.events("session_started")) == 1
    check_clean(sandbox, ["it-1"])


def test_an_agent_that_ended_while_nobody_supervised_it_is_not_started_again(sandbox: Sandbox) -> None:
    sandbox.issue("it-1")
    agent = waiting_agent(sandbox)
    first = sandbox.start("run", "--agent", agent)
    until(lambda: len(pids(sandbox)) == 1)
    kill(first)
    let_go(sandbox)
    until(lambda: any(sandbox.root.glob(".intarsia/sessions/*/exit-1")))
    sandbox.ok("run", "--agent", agent)
    assert sandbox.show("it-1.txt") == "done"
    assert len(pids(sandbox)) == len(sandbox.events("session_started")) == 1
    check_clean(sandbox, ["it-1"])


@pytest.mark.parametrize("whom", ["the agent", "the shell around it"])
def test_an_issue_whose_agent_was_killed_is_tried_again(sandbox: Sandbox, whom: str) -> None:
    sandbox.issue("it-1")
    run = sandbox.start("run", "--agent", waiting_agent(sandbox))
    until(lambda: len(pids(sandbox)) == 1)
    agent = psutil.Process(pids(sandbox)[0])
    (agent if whom == "the agent" else agent.parent() or agent).kill()
    until(lambda: len(pids(sandbox)) == 2)
    let_go(sandbox)
    finish(run)
    assert [e["kind"] for e in sandbox.events("issue_requeued", "issue_closed")] == ["issue_requeued", "issue_closed"]
    assert sandbox.show("it-1.txt") == "done"
    check_clean(sandbox, ["it-1"])


def test_an_issue_whose_agents_are_killed_every_time_is_set_aside(sandbox: Sandbox) -> None:
    sandbox.issue("it-1")
    sandbox.call("run", "--agent", "command: sh -c 'kill -9 $$'")
    assert sandbox.status("it-1") == "blocked"
    assert len(sandbox.events("session_started")) == 3


def test_a_check_that_was_killed_is_run_again(sandbox: Sandbox) -> None:
    check = (
        'echo $$ >> "$INTARSIA_ROOT/.intarsia/pids"; test $(wc -l < "$INTARSIA_ROOT/.intarsia/pids") = 2 || sleep 60'
    )
    sandbox.commit("intarsia.toml", f"[checks]\nfine = '''{check}'''\n", "Configure")
    sandbox.issue("it-1")
    run = sandbox.start("run", "--agent", sandbox.scenario({"it-1": adds("one.txt", "1\n")}))
    until(lambda: len(pids(sandbox)) == 1)
    os.kill(pids(sandbox)[0], signal.SIGKILL)
    finish(run)
    assert [s["turn"] for s in sandbox.sessions()] == [1]
    check_clean(sandbox, ["it-1"])


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("command", ["rev-parse", "read-tree", "unpack-objects", "status", "clean", "merge"])
def test_a_git_that_was_killed_is_run_again(sandbox: Sandbox, command: str, when: str) -> None:
    """Before or after it did its work, when it runs for the second time."""
    sandbox.commit("intarsia.toml", "[checks]\nfine = 'true'\n", "Configure")
    sandbox.issue("it-1")
    sandbox.issue("it-2", "--needs", "it-1")
    real, shim = shutil.which("git"), sandbox.root.parent / "bin/git"
    shim.parent.mkdir()
    work = f'{real} "$@"' if when == "after" else ":"
    marks = sandbox.root.parent / "mark"
    shim.write_text(
        f"#!/bin/sh\ncase \" $* \" in *hooksPath=/dev/null*' {command} '*)\n"
        f"  mkdir {marks}-1 2>/dev/null || if mkdir {marks}-2 2>/dev/null; then {work}; kill -9 $$; fi\nesac\n"
        f'exec {real} "$@"\n'
    )
    shim.chmod(0o755)
    turn = [{"append": "one.txt", "text": "1\n"}, {"commit": "One"}]
    agent = sandbox.scenario({"it-1": [turn], "it-2": [turn]})
    done = sandbox.call("run", "--agent", agent, env={"PATH": f"{shim.parent}:{os.environ['PATH']}"})
    assert Path(f"{marks}-2").exists()
    assert done.returncode == 0 or (command == "rev-parse" and "git" in done.stderr), done.stdout + done.stderr
    sandbox.ok("run", "--agent", agent)
    assert sandbox.show("one.txt") == "1\n1"
    check_clean(sandbox, ["it-1", "it-2"])


def stages(database: Database) -> list[str]:
    with database.read() as tx:
        return [session.stage for session in sessions.find(tx)]


def test_landing_waits_for_another_git_in_the_checkout(sandbox: Sandbox) -> None:
    sandbox.issue("it-1")
    lock = sandbox.root / ".git/index.lock"
    lock.touch()
    run = sandbox.start("run", "--agent", sandbox.scenario({"it-1": adds("one.txt", "1\n")}))
    database = opened(sandbox)
    until(lambda: stages(database) == ["landing"])  # by no process: git is asked again for a few seconds only
    database.close()
    lock.unlink()
    finish(run)
    check_clean(sandbox, ["it-1"])


def test_a_run_whose_slots_all_wait_to_land_is_not_held_up_by_a_dead_one(sandbox: Sandbox, runner: Runner) -> None:
    sandbox.commit("intarsia.toml", "[run]\nlease = 3600\n", "Configure")  # nothing ends by itself
    for issue in ("it-1", "it-2"):
        sandbox.issue(issue)
    run = sandbox.start("run", "--agent", waiting_agent(sandbox), "--agents", "1")
    until(lambda: len(pids(sandbox)) == 1)
    agent = sandbox.scenario({"it-2": adds("two.txt", "2\n")})
    died = runner.run(sandbox.root, ["run", "--agent", agent], sandbox.env, kill_at="before git merge")
    assert died.code == -signal.SIGKILL
    let_go(sandbox)
    finish(run)
    check_clean(sandbox, ["it-1", "it-2"])
