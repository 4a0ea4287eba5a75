"""The scripted agent: every step does what it says, and a wrong scenario is refused when it is read."""

from __future__ import annotations

import os
import secrets
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path

import pytest

from intarsia.agents import (
    AgentEvent,
    Answer,
    Ask,
    Conversation,
    Edit,
    Limits,
    Said,
    ToolResult,
    ToolUse,
    Turn,
    TurnEnd,
    Usage,
    Waiting,
)
from intarsia.agents.environment import MARKER
from intarsia.agents.script import ScriptDriver
from intarsia.agents.supervision import end_marked, marked
from intarsia.errors import ConfigError

Play = Callable[..., list[AgentEvent]]


@pytest.fixture
def session() -> Iterator[str]:
    name = f"s-{secrets.token_hex(4)}"
    yield name
    end_marked(name, grace=0)


@pytest.fixture
def play(tmp_path: Path, session: str) -> Play:
    """Perform a turn of a scenario in an empty directory."""

    def play(scenario: str, issue: str = "it-1", number: int = 1) -> list[AgentEvent]:
        running = driver(tmp_path, scenario).start(turn(tmp_path, session, issue, number))
        return list(running.events())

    return play


def driver(folder: Path, scenario: str) -> ScriptDriver:
    path = folder / "scenario.toml"
    path.write_text(scenario, encoding="utf-8")
    return ScriptDriver(path)


def turn(folder: Path, session: str, issue: str = "it-1", number: int = 1) -> Turn:
    workspace = folder / "workspace"
    workspace.mkdir(exist_ok=True)
    env = {**os.environ, MARKER: session}
    return Turn(session, issue, number, "Do it.", workspace, folder, env, Limits(0, 0, 1_000_000))


def steps(*parts: str, issue: str = "it-1") -> str:
    return f'[[issues."{issue}".turns]]\nsteps = [{", ".join(parts)}]\n'


def end(events: list[AgentEvent]) -> TurnEnd:
    assert isinstance(events[-1], TurnEnd)
    return events[-1]


def test_files_are_written_changed_and_deleted(play: Play, tmp_path: Path) -> None:
    events = play(
        steps(
            '{write = "deep/a.txt", text = "one\\n"}',
            '{append = "deep/a.txt", text = "two two\\n"}',
            '{replace = "deep/a.txt", old = "two", new = "2"}',
            '{write = "b.txt", text = ""}',
            '{delete = "b.txt"}',
            '{say = "first"}',
            '{say = "last"}',
        )
    )
    assert (tmp_path / "workspace/deep/a.txt").read_text() == "one\n2 two\n"
    assert not (tmp_path / "workspace/b.txt").exists()
    assert end(events) == TurnEnd("completed", "", "first\nlast")
    assert Said("write: deep/a.txt") in [Said(e.text.split(",")[0]) for e in events if isinstance(e, Said)]


@pytest.mark.parametrize(
    ("step", "detail"),
    [
        ('{fail = "on purpose"}', "on purpose"),
        ('{shell = "exit 3"}', "'exit 3' ended with exit code 3"),
        ('{replace = "a.txt", old = "x", new = "y"}', "No such file"),
        ('{delete = "none"}', "No such file"),
        ('{commit = "Nothing here"}', "ended with exit code"),
    ],
)
def test_a_step_that_fails_ends_the_turn_without_success(play: Play, tmp_path: Path, step: str, detail: str) -> None:
    found = end(play(steps('{say = "before"}', step, '{write = "after", text = ""}')))
    assert found.outcome == "failed"
    assert detail in found.detail
    assert found.last_message == "before"
    assert not (tmp_path / "workspace/after").exists()


def test_each_issue_has_its_turns_and_a_star_stands_for_the_others(play: Play) -> None:
    two = '[[issues.it-1.turns]]\nsteps = [{say = "1"}]\n[[issues.it-1.turns]]\nsteps = [{say = "2"}]\n'
    scenario = two + '[[issues."*".turns]]\nsteps = [{say = "any"}]\n'
    said = [
        end(play(scenario, issue, n)).last_message for issue, n in (("it-1", 1), ("it-1", 2), ("it-1", 3), ("x", 1))
    ]
    assert said == ["1", "2", "", "any"]


def test_waiting_goes_on_telling_that_it_lives(play: Play, tmp_path: Path, session: str) -> None:
    assert end(play(steps("{wait = 0.01}"))).outcome == "completed"
    running = driver(tmp_path, steps("{wait = 600}")).start(turn(tmp_path, session))
    assert all(isinstance(event, Waiting) for event in islice(running.events(), 4))
    running.stop()


def test_a_stopped_turn_leaves_no_process(tmp_path: Path, session: str) -> None:
    running = driver(tmp_path, steps('{shell = "sleep 600 & sleep 600"}')).start(turn(tmp_path, session))
    events = running.events()
    while len(marked(session)) < 3:
        assert isinstance(next(events), Said | Waiting)
    running.stop()
    assert marked(session) == []


@pytest.mark.parametrize(
    "scenario",
    [
        "not toml",
        steps('{wrong = "x"}'),
        steps("{}"),
        steps('{write = "a", text = "", delete = "a"}'),
        steps('{end = "?"}'),
    ],
)
def test_a_wrong_scenario_is_refused(tmp_path: Path, scenario: str) -> None:
    with pytest.raises(ConfigError, match=r"scenario\.toml"):
        driver(tmp_path, scenario)


def test_a_missing_scenario_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="can't be read"):
        ScriptDriver(tmp_path / "none.toml")


def test_scenarios_of_the_tests_are_toml(tmp_path: Path) -> None:
    assert tomllib.loads(steps('{say = "x"}')) == {"issues": {"it-1": {"turns": [{"steps": [{"say": "x"}]}]}}}


class Strict:
    """Allows what does not touch secret.txt, and remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[Ask] = []

    def answer(self, ask: Ask, withdrawn: Callable[[], bool]) -> Answer:
        self.asked.append(ask)
        return Answer("secret" not in f"{ask.command}{[edit.path.name for edit in ask.edits]}", "It is secret.")


def test_with_asks_each_edit_and_command_is_asked_for_and_what_is_refused_is_left_out(
    tmp_path: Path, session: str
) -> None:
    scenario = "asks = true\n" + steps(
        '{write = "secret.txt", text = "x"}',
        '{write = "a.txt", text = "one\\n"}',
        '{replace = "a.txt", old = "one", new = "two"}',
        '{shell = "echo >secret.txt"}',
        '{delete = "a.txt"}',
        '{say = "done"}',
    )
    strict = Strict()
    asking = driver(tmp_path, scenario)
    assert asking.capabilities.asks_edits
    events = list(asking.start(replace(turn(tmp_path, session), approver=strict)).events())
    place = tmp_path / "workspace"
    assert list(place.iterdir()) == []
    assert [ask.edits for ask in strict.asked if ask.kind == "edit"] == [
        (Edit(place / "secret.txt", "x"),),
        (Edit(place / "a.txt", "one\n"),),
        (Edit(place / "a.txt", "two\n"),),
        (Edit(place / "a.txt", None, deletes=True),),
    ]
    assert [e.ok for e in events if isinstance(e, ToolResult)] == [False, True, True, False, True]
    assert {e.id for e in events if isinstance(e, ToolUse)} == {e.id for e in events if isinstance(e, ToolResult)}
    assert end(events) == TurnEnd("completed", "", "done")


def test_what_a_vendor_tells_can_be_played(play: Play) -> None:
    events = play(
        steps('{conversation = "c-1"}', "{usage = {input = 5, cost = 0.1}}", '{end = "overloaded", text = "HTTP 529"}')
    )
    assert Conversation("c-1") in events
    assert Usage("turn-1", input=5, cost=0.1) in events
    assert end(events) == TurnEnd("overloaded", "HTTP 529")
