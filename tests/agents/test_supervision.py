"""Processes: all that a session starts is found by its marker and ended, and nothing else is."""

from __future__ import annotations

import os
import secrets
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from intarsia.agents import AgentEvent, Limits, Said, ToolResult, ToolUse, TurnEnd, Waiting
from intarsia.agents.environment import MARKER
from intarsia.agents.supervision import end_marked, marked, marked_sessions, spawn, watch
from tests.support.until import until

IGNORES_TERM = "trap '' TERM; echo ready; while :; do sleep 0.1; done"
UNLIMITED = Limits(wall=0, idle=0, output=1_000_000)


@pytest.fixture
def session() -> Iterator[str]:
    name = f"s-{secrets.token_hex(4)}"
    yield name
    end_marked(name, grace=0)


def start(session: str, command: str, output: Path, **env: str) -> subprocess.Popen[bytes]:
    """A shell with the session's marker; returns when it printed a line."""
    argv = ["/bin/sh", "-c", command]
    process = spawn(argv, cwd=output.parent, env={**os.environ, MARKER: session, **env}, output=output)
    until(lambda: "\n" in output.read_text())
    return process


def test_every_marked_process_is_found_wherever_it_went(session: str, tmp_path: Path) -> None:
    daemon = "setsid sh -c 'echo ready; exec sleep 600' & sleep 600 & wait"
    process = start(session, daemon, tmp_path / "log", INTARSIA_ROLE="agent")
    other = start(session + "0", "echo ready; exec sleep 600", tmp_path / "other")
    until(lambda: len(marked(session)) == 3)
    assert len(marked(session, "agent")) == 3
    assert marked(session, "check") == []
    assert len(marked_sessions()[session]) == 3
    assert end_marked(session) == 3
    process.wait(60)
    assert marked(session) == []
    assert other.poll() is None
    assert end_marked(session + "0") == 1
    assert other.wait(60) == -signal.SIGTERM


def test_what_forgets_its_environment_is_found_below_what_does_not(session: str, tmp_path: Path) -> None:
    process = start(session, "env -i sleep 600 & echo ready; exec sleep 600", tmp_path / "log")
    until(lambda: len(marked(session)) == 2)
    assert end_marked(session) == 2
    assert process.wait(60) == -signal.SIGTERM


def test_those_that_ignore_sigterm_are_killed_after_the_grace(session: str, tmp_path: Path) -> None:
    process = start(session, IGNORES_TERM, tmp_path / "log")
    started = time.monotonic()
    assert end_marked(session, grace=0.5) >= 1
    assert time.monotonic() - started > 0.4
    assert process.wait(60) == -signal.SIGKILL


def test_output_is_appended_and_input_is_empty(session: str, tmp_path: Path) -> None:
    (tmp_path / "log").write_text("before\n")
    process = start(session, "cat; echo out; echo err >&2", tmp_path / "log")
    assert process.wait(60) == 0
    assert (tmp_path / "log").read_text() == "before\nout\nerr\n"
    assert os.getpgid(0) != process.pid


class Scripted:
    """Says what it is told to, and remembers whether it was stopped."""

    def __init__(self, events: list[AgentEvent], *, forever: bool = False) -> None:
        self._events = events
        self._forever = forever
        self.stopped = False

    def events(self) -> Iterator[AgentEvent]:
        yield from self._events
        while self._forever:
            time.sleep(0.01)
            yield Waiting()

    def stop(self) -> None:
        self.stopped = True


def test_a_turn_ends_as_its_driver_says() -> None:
    heard: list[AgentEvent] = []
    end = TurnEnd("completed", "", "bye")
    running = Scripted([Waiting(), Said("one"), end])
    assert watch(running, UNLIMITED, heard.append, lambda: False) == end
    assert heard == [Said("one")]
    assert not running.stopped


def test_a_driver_that_ends_without_a_result_is_no_success() -> None:
    assert watch(Scripted([Waiting()]), UNLIMITED, lambda _: None, lambda: False).outcome == "killed"


@pytest.mark.parametrize(
    ("limits", "stopped", "outcome"),
    [
        (Limits(wall=1, idle=0, output=1), False, "timeout"),
        (Limits(wall=0, idle=1, output=1), False, "idle"),
        (UNLIMITED, True, "stopped"),
    ],
)
def test_a_turn_that_passes_a_limit_or_is_interrupted_is_stopped(limits: Limits, stopped: bool, outcome: str) -> None:
    running = Scripted([Said("one")], forever=True)
    assert watch(running, limits, lambda _: None, lambda: stopped).outcome == outcome
    assert running.stopped


def test_an_agent_whose_tool_runs_is_not_idle() -> None:
    busy: list[AgentEvent] = [ToolUse("t", "make")]
    for events, wall, outcome in ((busy, 2, "timeout"), ([*busy, ToolResult("t", ok=True)], 600, "idle")):
        limits = Limits(wall=wall, idle=1, output=1)
        assert watch(Scripted(events, forever=True), limits, lambda _: None, lambda: False).outcome == outcome
