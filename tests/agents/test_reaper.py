"""Agents that detach what they start from everything: nothing of it outlives them."""

from __future__ import annotations

import gc
import os
import secrets
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import psutil
import pytest

from intarsia.agents import Driver, Limits, Turn, TurnEnd, reaper, starter
from intarsia.agents.claude import ClaudeDriver
from intarsia.agents.codex import CodexDriver
from intarsia.agents.command import CommandDriver, Program
from intarsia.agents.environment import MARKER
from intarsia.agents.supervision import end_marked, marked
from tests.agents import test_claude, test_codex
from tests.agents.conftest import Script, Stage
from tests.support.processes import command_line, with_command
from tests.support.sandbox import Sandbox
from tests.support.until import until

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="Only Linux has sub-reapers.")
# Without environment, in a session of its own, its parent gone, nothing open, elsewhere: `{0}` is how it is known.
ESCAPE = 'env -i setsid sh -c \'cd /; exec >/dev/null 2>&1; setsid sh -c "trap \\"\\" TERM; exec sleep 600.{0}" &\''


@pytest.fixture
def digits() -> str:
    return "1" + "".join(str(secrets.randbelow(10)) for _ in range(9))


@pytest.fixture
def turn(tmp_path: Path) -> Iterator[Turn]:
    session = f"s-{secrets.token_hex(4)}"
    env = {**os.environ, MARKER: session, "INTARSIA_ROLE": "agent"}
    made = Turn(session, "it-1", 1, "Do it.", tmp_path, tmp_path, env, Limits(0, 0, 1_000_000))
    made.prompt_file.write_text(made.prompt, encoding="utf-8")
    yield made
    end_marked(session, grace=0)


def escaped(digits: str) -> list[psutil.Process]:
    """Those that did it, wherever they are."""
    return with_command("sleep", f"600.{digits}")


def the_one_that_escaped(digits: str) -> psutil.Process:
    """It may still be on its way when its agent has ended."""
    until(lambda: escaped(digits))
    (process,) = escaped(digits)
    return process


def agent(folder: Path, digits: str, then: str) -> str:
    script = folder / f"agent-{digits}"
    script.write_text(f"{ESCAPE.format(digits)}\nsleep 0.1\n{then}\n", encoding="utf-8")
    return f"sh {script}"


def test_what_escapes_by_all_means_is_found_and_ended(turn: Turn, tmp_path: Path, digits: str) -> None:
    running = CommandDriver(agent(tmp_path, digits, "echo bye")).start(turn)
    assert list(running.events())[-1] == TurnEnd("completed", "", "bye\n")
    process = the_one_that_escaped(digits)
    assert process in marked(turn.session)
    assert MARKER not in process.environ()
    end_marked(turn.session, grace=0.2)
    assert not escaped(digits)
    assert not marked(turn.session)


def test_stopping_an_agent_stops_what_escaped(turn: Turn, tmp_path: Path, digits: str) -> None:
    running = CommandDriver(agent(tmp_path, digits, "sleep 600")).start(turn)
    until(lambda: escaped(digits))
    running.stop()
    assert not escaped(digits)
    assert not marked(turn.session)
    assert not turn.exit_file.exists()


def test_others_are_left_alone(turn: Turn, tmp_path: Path, digits: str) -> None:
    other = CommandDriver(agent(tmp_path, digits + "1", "sleep 600"))
    beside = Turn(
        turn.session + "0", "it-2", 2, "", tmp_path, tmp_path, {**turn.env, MARKER: turn.session + "0"}, turn.limits
    )
    beside.prompt_file.write_text("", encoding="utf-8")
    running = other.start(beside)
    until(lambda: escaped(digits + "1"))
    list(CommandDriver(agent(tmp_path, digits, "true")).start(turn).events())
    gc.collect()
    end_marked(turn.session, grace=0)
    assert not escaped(digits)
    assert escaped(digits + "1")
    running.stop()
    assert not escaped(digits + "1")


def test_an_agent_that_leaves_nothing_leaves_no_shell(turn: Turn) -> None:
    assert list(CommandDriver("true").start(turn).events())[-1] == TurnEnd("completed")
    until(lambda: not marked(turn.session))


def test_a_program_outlives_its_supervisor_and_what_it_left_is_found(turn: Turn, tmp_path: Path, digits: str) -> None:
    """A supervisor in another process starts it, and is killed."""
    command = agent(tmp_path, digits, f"until [ -e {tmp_path}/go ]; do sleep 0.02; done; echo over")
    supervisor = subprocess.Popen([sys.executable, "-c", _SUPERVISOR, command, turn.session, str(tmp_path)])
    until(lambda: escaped(digits))
    supervisor.send_signal(signal.SIGKILL)
    supervisor.wait()
    running = CommandDriver("true").adopt(turn)
    assert isinstance(running, Program)
    process = the_one_that_escaped(digits)
    assert process in marked(turn.session)
    running.stop()
    assert not escaped(digits)


_SUPERVISOR = """
import os, sys
from pathlib import Path
from intarsia.agents import Limits, Turn
from intarsia.agents.command import CommandDriver
command, session, folder = sys.argv[1], sys.argv[2], Path(sys.argv[3])
env = {**os.environ, "INTARSIA_SESSION": session, "INTARSIA_ROLE": "agent"}
list(CommandDriver(command).start(Turn(session, "it-1", 1, "", folder, folder, env, Limits(0, 0, 10000))).events())
"""


def test_the_process_that_starts_agents_may_be_killed(turn: Turn) -> None:
    list(CommandDriver("true").start(turn).events())
    for child in psutil.Process().children():
        if command_line(child)[-1:] == [str(Path(starter.__file__))]:
            child.kill()
            child.wait()
    assert list(CommandDriver("echo again").start(turn).events())[-1] == TurnEnd("completed", "", "again\n")


def test_a_large_request_arrives_whole(turn: Turn, tmp_path: Path) -> None:
    given = tmp_path / "given"
    given.write_text("input")
    words = ["a" * 100_000, "", "ü\n"]
    script = "import sys; print(len(sys.argv[1]), sys.argv[2:], sys.stdin.read())"
    argv = [sys.executable, "-c", script, *words]
    with given.open("rb") as source, turn.output_file.open("ab") as sink:
        output = {"output": sink.fileno(), "errors": sink.fileno()}
        exit_file = turn.exit_file
        held = reaper.start(argv, given=source.fileno(), exit_file=exit_file, cwd=tmp_path, env=turn.env, **output)
    assert held.wait(60)
    assert held.code == 0
    assert turn.output_file.read_text(encoding="utf-8") == "100000 ['', 'ü\\n'] input\n"
    held.release()


Begun = tuple[Callable[[str], Driver], Script, Script]
ASKED: Mapping[str, Begun] = {
    "claude": (lambda program: ClaudeDriver(command=program), test_claude.begun(), [test_claude.result()]),
    "codex": (lambda program: CodexDriver(command=program), test_codex.begun(), [test_codex.ended()]),
}


@pytest.fixture(params=ASKED)
def asked(request: pytest.FixtureRequest) -> Begun:
    return ASKED[request.param]


def test_what_escapes_from_an_agent_that_asks_is_found_and_ended(stage: Stage, asked: Begun, digits: str) -> None:
    driver, begun, over = asked
    program = stage.program([*begun, {"shell": ESCAPE.format(digits)}, *over])
    end = list(driver(program).start(stage.turn()).events())[-1]
    assert isinstance(end, TurnEnd)
    assert end.outcome == "completed"
    process = the_one_that_escaped(digits)
    assert process in marked(stage.session)
    assert MARKER not in process.environ()
    end_marked(stage.session, grace=0.2)
    assert not escaped(digits)
    assert not marked(stage.session)


def test_stopping_an_agent_that_asks_stops_what_escaped(stage: Stage, digits: str) -> None:
    program = stage.program([*test_claude.begun(), {"shell": ESCAPE.format(digits)}, {"hang": True}])
    running = ClaudeDriver(command=program).start(stage.turn())
    until(lambda: escaped(digits))
    running.stop()
    assert not escaped(digits)
    assert not marked(stage.session)


def test_of_an_agent_that_is_not_guarded_nothing_escapes(stage: Stage, digits: str) -> None:
    unguarded = test_claude.begun(mode="acceptEdits")
    program = stage.program([{"shell": ESCAPE.format(digits)}, *unguarded, {"hang": True}])
    end = list(ClaudeDriver(command=program).start(stage.turn()).events())[-1]
    assert isinstance(end, TurnEnd)
    assert end.outcome == "unguarded"
    assert not escaped(digits)


def test_what_is_left_of_a_killed_supervisor_is_found_by_the_next(stage: Stage, digits: str) -> None:
    """With its supervisor the program ends; the shell stays, as what it has below it is marked by nothing else."""
    over = [test_claude.begun()[0], {"shell": ESCAPE.format(digits)}]
    argv = [sys.executable, "-c", _ASKED_SUPERVISOR, stage.program(over), stage.session, str(stage.folder)]
    supervisor = subprocess.Popen(argv)
    until(lambda: escaped(digits))
    supervisor.send_signal(signal.SIGKILL)
    supervisor.wait()
    until(lambda: not [each for each in marked(stage.session) if "wire_program.py" in " ".join(command_line(each))])
    process = the_one_that_escaped(digits)
    assert process in marked(stage.session)
    end_marked(stage.session, grace=0.2)
    assert not escaped(digits)


_ASKED_SUPERVISOR = """
import os, sys
from pathlib import Path
from intarsia.agents import Limits, Turn
from intarsia.agents.claude import ClaudeDriver
program, session, folder = sys.argv[1], sys.argv[2], Path(sys.argv[3])
env = {**os.environ, "INTARSIA_SESSION": session, "INTARSIA_ROLE": "agent"}
turn = Turn(session, "it-1", 1, "", folder, folder, env, Limits(0, 0, 10000))
list(ClaudeDriver(command=program).start(turn).events())
"""


@pytest.mark.parametrize(
    ("then", "wall", "stage"), [("echo > x; git add x; git commit -qm x", 600, "done"), ("sleep 600", 1, "failed")]
)
def test_in_a_run_nothing_escapes(
    sandbox: Sandbox, tmp_path: Path, digits: str, then: str, wall: int, stage: str
) -> None:
    sandbox.issue("it-1")
    sandbox.call("run", "--agent", f"command: {agent(tmp_path, digits, then)}", env={"INTARSIA_LIMITS_WALL": str(wall)})
    assert sandbox.sessions("it-1")[0]["stage"] == stage
    assert not escaped(digits)
