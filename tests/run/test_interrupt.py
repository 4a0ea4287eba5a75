"""Ctrl-C once, twice, SIGTERM, and a supervisor that sleeps while another one takes its work over."""

from __future__ import annotations

import signal
import subprocess

import pytest

from intarsia.agents.supervision import marked_sessions
from tests.run.test_crash import check_clean, finish, let_go, pids, waiting_agent
from tests.support.sandbox import Sandbox
from tests.support.until import until


def begun(sandbox: Sandbox, count: int = 1, *options: str) -> subprocess.Popen[str]:
    """`intarsia run` with so many agents at work, each of which waits for `let_go`."""
    run = sandbox.start("run", "--agent", waiting_agent(sandbox), "--agents", str(count), *options)
    until(lambda: len(pids(sandbox)) == count)
    return run


def alive(sandbox: Sandbox) -> bool:
    return not marked_sessions().keys().isdisjoint(s["id"] for s in sandbox.sessions())


def test_one_interrupt_lets_what_runs_finish_and_starts_nothing_new(sandbox: Sandbox) -> None:
    for issue in ("it-1", "it-2"):
        sandbox.issue(issue)
    run = begun(sandbox)
    run.send_signal(signal.SIGINT)
    let_go(sandbox)
    assert "Finishing what runs" in finish(run, 0)
    assert [sandbox.status(issue) for issue in ("it-1", "it-2")] == ["closed", "open"]
    assert len(pids(sandbox)) == 1


@pytest.mark.parametrize("signals", [[signal.SIGINT, signal.SIGINT], [signal.SIGTERM], [signal.SIGINT, signal.SIGTERM]])
def test_stopped_agents_end_and_their_sessions_are_resumed(sandbox: Sandbox, signals: list[signal.Signals]) -> None:
    for issue in ("it-1", "it-2", "it-3"):
        sandbox.issue(issue)
    run = begun(sandbox, 2)
    for number in signals[:-1]:
        run.send_signal(number)
        assert run.stdout is not None
        assert any("Finishing what runs" in line for line in run.stdout)
    run.send_signal(signals[-1])
    finish(run, 130)
    assert not alive(sandbox)
    stages = {s["issue"]: (s["stage"], s["resume"]) for s in sandbox.sessions()}
    assert stages == {"it-1": ("parked", "working"), "it-2": ("parked", "working")}
    assert sandbox.status("it-3") == "open"
    let_go(sandbox)
    finish(sandbox.start("run", "--agent", waiting_agent(sandbox)), 0)
    assert len(sandbox.events("session_started")) == 3
    check_clean(sandbox, ["it-1", "it-2", "it-3"])


def test_three_interrupts_kill_and_the_next_run_goes_on(sandbox: Sandbox) -> None:
    sandbox.issue("it-1")
    path = sandbox.root.parent / "stubborn.sh"
    path.write_text(f"trap '' TERM\n. {waiting_agent(sandbox).rpartition(' ')[2]}\n")
    run = sandbox.start("run", "--agent", f"command: sh {path}")
    until(lambda: len(pids(sandbox)) == 1)
    for said in ("Finishing what runs", "Stopping the agents"):
        run.send_signal(signal.SIGINT)
        assert run.stdout is not None
        assert any(said in line for line in run.stdout)
    run.send_signal(signal.SIGINT)
    finish(run, 130)
    assert not alive(sandbox)
    let_go(sandbox)
    sandbox.ok("run", "--agent", f"command: sh {path}")
    check_clean(sandbox, ["it-1"])


def test_a_check_is_stopped_too_and_run_again_later(sandbox: Sandbox) -> None:
    check = 'echo $$ >> "$INTARSIA_ROOT/.intarsia/pids"; test -e "$INTARSIA_ROOT/.intarsia/go" || sleep 60'
    sandbox.commit("intarsia.toml", f"[checks]\nslow = '''{check}'''\n", "Configure")
    sandbox.issue("it-1")
    agent = sandbox.scenario({"it-1": [[{"append": "one.txt", "text": "1\n"}, {"commit": "One"}]]})
    run = sandbox.start("run", "--agent", agent)
    until(lambda: len(pids(sandbox)) == 1)
    run.send_signal(signal.SIGTERM)
    finish(run, 130)
    assert not alive(sandbox)
    assert [(s["stage"], s["resume"]) for s in sandbox.sessions()] == [("parked", "checking")]
    let_go(sandbox)
    sandbox.ok("run", "--agent", agent)
    assert len(sandbox.events("turn_ended")) == 1
    check_clean(sandbox, ["it-1"])


@pytest.mark.parametrize("awake", ["while the other works", "after all is done"])
def test_a_supervisor_that_slept_too_long_does_no_harm(sandbox: Sandbox, awake: str) -> None:
    sandbox.commit("intarsia.toml", "[run]\nlease = 10\n", "Configure")
    sandbox.issue("it-1")
    sleeper = begun(sandbox)
    sleeper.send_signal(signal.SIGSTOP)
    other = sandbox.start("run", "--agent", waiting_agent(sandbox))
    until(lambda: len(sandbox.events("agent_adopted")) == 1)
    if awake == "while the other works":
        sleeper.send_signal(signal.SIGCONT)
        assert sleeper.stdout is not None
        assert any("another supervisor took it over" in line for line in sleeper.stdout)
        assert alive(sandbox)
    let_go(sandbox)
    finish(other, 0)
    sleeper.send_signal(signal.SIGCONT)
    finish(sleeper, 0)
    assert len(pids(sandbox)) == len(sandbox.events("session_started")) == len(sandbox.events("turn_ended")) == 1
    assert sandbox.show("it-1.txt") == "done"
    check_clean(sandbox, ["it-1"])
