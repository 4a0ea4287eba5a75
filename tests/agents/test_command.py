"""Any program as an agent: how it gets its prompt, and how its end is read."""

from __future__ import annotations

import json
import os
import secrets
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from intarsia.agents import Limits, Said, Turn, TurnEnd
from intarsia.agents.command import CommandDriver
from intarsia.agents.environment import MARKER, base
from intarsia.agents.supervision import end_marked, marked
from intarsia.errors import ConfigError, NotReady
from tests.support.until import until

MakeTurn = Callable[..., Turn]


@pytest.fixture
def make_turn(tmp_path: Path) -> Iterator[MakeTurn]:
    session = f"s-{secrets.token_hex(4)}"

    def make(prompt: str = "Do it.\n", number: int = 1, output: int = 1_000_000) -> Turn:
        env = {**os.environ, MARKER: session, "INTARSIA_ROLE": "agent"}
        turn = Turn(session, "it-1", number, prompt, tmp_path, tmp_path, env, Limits(0, 0, output))
        turn.prompt_file.write_text(prompt, encoding="utf-8")
        return turn

    yield make
    end_marked(session, grace=0)


def end_of(driver: CommandDriver, turn: Turn) -> TurnEnd:
    *_, end = driver.start(turn).events()
    assert isinstance(end, TurnEnd)
    return end


def shell(script: str, followup: str = "") -> CommandDriver:
    def command(text: str) -> str:
        return f"sh -c {json.dumps(text)}"

    return CommandDriver(command(script), command(followup) if followup else "")


def test_the_prompt_comes_on_standard_input(make_turn: MakeTurn) -> None:
    assert end_of(CommandDriver("cat"), make_turn("ünï\n")) == TurnEnd("completed", "", "ünï\n")


def test_placeholders_are_filled_in_once_and_other_braces_stay(make_turn: MakeTurn) -> None:
    driver = CommandDriver(
        f"{sys.executable} -c 'import sys; print(sys.argv[1:], sys.stdin.read())' "
        "{prompt} {issue}/{turn} {session} '{prompt_file}' {workspace} {} {other} {a:1} '{{issue}}'"
    )
    turn = make_turn("{issue} $HOME 'q'")
    expected = ["{issue} $HOME 'q'", "it-1/1", turn.session, str(turn.prompt_file), str(turn.workspace)]
    assert end_of(driver, turn).last_message == f"{[*expected, '{}', '{other}', '{a:1}', '{it-1}']} \n"


@pytest.mark.parametrize(
    ("script", "outcome", "detail"),
    [
        ("exit 0", "completed", ""),
        ("exit 3", "failed", "It ended with exit code 3."),
        ("no-such-program", "failed", "It ended with exit code 127."),
        ("kill -9 $$", "killed", "It ended with signal 9."),
        ("kill -15 $$", "killed", "It ended with signal 15."),
        ("kill -9 $PPID", "killed", "Its process ended without an exit code."),
    ],
)
def test_how_a_program_ended(make_turn: MakeTurn, script: str, outcome: str, detail: str) -> None:
    end = end_of(shell(script), make_turn())
    assert (end.outcome, end.detail) == (outcome, detail)


def test_only_the_end_of_what_it_printed_is_its_last_message(make_turn: MakeTurn) -> None:
    events = list(shell("head -c 500000 /dev/zero | tr '\\0' x; printf '\\n\\377end\\n'").start(make_turn()).events())
    end = events[-1]
    assert isinstance(end, TurnEnd)
    assert len(end.last_message) <= 16_384
    assert end.last_message.endswith("x\n\N{REPLACEMENT CHARACTER}end\n")
    assert [event for event in events if isinstance(event, Said)][-1].text == "\N{REPLACEMENT CHARACTER}end"


def test_too_much_output_ends_it_and_the_log_is_cut(make_turn: MakeTurn) -> None:
    turn = make_turn(output=1_000)
    end = end_of(shell("trap '' TERM; while :; do echo 0123456789; done"), turn)
    assert (end.outcome, end.detail) == ("flooded", "It printed more than 1000 bytes.")
    assert turn.output_file.stat().st_size == 1_000
    assert marked(turn.session) == []


def test_a_follow_up_may_have_its_own_command(make_turn: MakeTurn) -> None:
    driver = shell("echo first", "echo again")
    assert [end_of(driver, make_turn(number=n)).last_message for n in (1, 2)] == ["first\n", "again\n"]


def test_a_new_start_forgets_how_an_interrupted_one_ended(make_turn: MakeTurn) -> None:
    turn = make_turn()
    turn.exit_file.write_text("0\n")
    turn.output_file.write_text("old\n")
    assert end_of(shell("echo new; exit 4"), turn) == TurnEnd("failed", "It ended with exit code 4.", "new\n")


def test_another_supervisor_follows_a_living_program_to_its_end(make_turn: MakeTurn, tmp_path: Path) -> None:
    turn = make_turn()
    go = tmp_path / "go"
    driver = shell(f"echo begun; until [ -e {go} ]; do sleep 0.02; done; echo over; exit 5")
    driver.start(turn)
    until(lambda: turn.output_file.read_text() == "begun\n")
    adopted = CommandDriver("true").adopt(turn)
    assert adopted is not None
    events = adopted.events()
    assert next(events) == Said("begun")
    go.touch()
    assert list(events)[-1] == TurnEnd("failed", "It ended with exit code 5.", "begun\nover\n")


def test_another_supervisor_learns_how_a_program_ended_unwatched(make_turn: MakeTurn) -> None:
    turn = make_turn()
    shell("echo done").start(turn)
    until(turn.exit_file.exists)
    adopted = CommandDriver("true").adopt(turn)
    assert adopted is not None
    assert list(adopted.events())[-1] == TurnEnd("completed", "", "done\n")


def test_there_is_nothing_to_adopt_without_a_process_or_a_result(make_turn: MakeTurn) -> None:
    assert CommandDriver("true").adopt(make_turn()) is None


@pytest.mark.parametrize("command", ["", "  ", "sh -c 'unclosed"])
def test_a_command_that_is_none_is_refused(command: str) -> None:
    with pytest.raises(ConfigError):
        CommandDriver(command)


def test_a_program_that_is_not_there_is_refused_before_anything_starts() -> None:
    with pytest.raises(NotReady, match="'no-such-agent' is not on the PATH"):
        CommandDriver("true", "no-such-agent --again").check()


def test_the_environment_is_an_allow_list(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SECRET_TOKEN", "GIT_DIR", "PYTHONPATH", "WANTED", "LC_TIME", "AWS_PROFILE"):
        monkeypatch.setenv(name, "x")
    env = base(["WANTED", "NOT_SET"])
    assert {"WANTED", "LC_TIME", "PATH", "HOME"} <= set(env)
    assert not {"SECRET_TOKEN", "GIT_DIR", "PYTHONPATH", "AWS_PROFILE", "NOT_SET"} & set(env)
    assert env["PATH"].split(os.pathsep)[-1] == str(Path(sys.executable).parent)
