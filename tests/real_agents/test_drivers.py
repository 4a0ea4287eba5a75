"""The drivers of Claude Code and Codex with the real programs: they ask before each step, and tell how it ended."""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from intarsia.agents import (
    AgentEvent,
    Answer,
    Ask,
    Conversation,
    Driver,
    Limits,
    RateLimit,
    Said,
    Tool,
    ToolResult,
    Turn,
    TurnEnd,
    Usage,
)
from intarsia.agents.claude import ClaudeDriver
from intarsia.agents.codex import CodexDriver
from intarsia.agents.environment import MARKER
from intarsia.agents.following import Following
from intarsia.agents.supervision import end_marked, marked
from intarsia.errors import InputError
from intarsia.testing import ModelServer, Step
from tests.real_agents.programs import AgentProgram, ClaudeCode, Codex, wait_for_result
from tests.support.processes import kill
from tests.support.sandbox import Sandbox
from tests.support.until import until

DRIVERS: Mapping[str, Callable[[], Driver]] = {"claude": ClaudeDriver, "codex": CodexDriver}
DONE = Step(text="I am done.")


@dataclass
class Approver:
    """Refuses what names one of these words, and remembers all it was asked."""

    refused: tuple[str, ...] = ()
    asked: list[Ask] = field(default_factory=list)

    def answer(self, ask: Ask, withdrawn: Callable[[], bool]) -> Answer:
        self.asked.append(ask)
        text = f"{ask.command} {[edit.path.name for edit in ask.edits]}"
        refused = any(word in text for word in self.refused)
        return Answer(not refused, "bob holds it; do something else." if refused else "")

    def kinds(self) -> list[str]:
        return [ask.kind for ask in self.asked if ask.kind != "read"]


class Dead:
    def answer(self, ask: Ask, withdrawn: Callable[[], bool]) -> Answer:
        raise OSError("the database is gone")


@dataclass
class Bench:
    """A workspace, and turns of the real program in it."""

    program: AgentProgram
    driver: Driver
    model: ModelServer
    sandbox: Sandbox
    folder: Path
    session: str
    approver: Any = field(default_factory=Approver)
    options: dict[str, Any] = field(default_factory=dict)

    def turn(self, *steps: Step, number: int = 1, conversation: str = "") -> Turn:
        name = secrets.token_hex(4)
        self.model.add({name: list(steps)})
        # Codex takes no home in a directory for temporary files, which that of a test is.
        env = {**os.environ, MARKER: self.session, "INTARSIA_ROLE": "agent", "TMPDIR": str(self.folder)}
        prompt = f"[[script:{name}]]"
        turn = Turn(self.session, name, number, prompt, self.sandbox.root, self.folder, env, Limits(0, 0, 10**8))
        return replace(turn, approver=self.approver, conversation=conversation, **self.options)

    def play(self, *steps: Step, **given: Any) -> list[AgentEvent]:
        return list(self.driver.start(self.turn(*steps, **given)).events())

    def write(self, name: str, text: str) -> Step:
        return self.program.create(str(self.sandbox.root / name), text)

    def told(self) -> str:
        """What the model read of what its tools said."""
        return "\n".join(json.dumps(request.said) for request in self.model.requests if request.step)

    def there(self) -> set[str]:
        return {path.name for path in self.sandbox.root.iterdir()} - {".git", ".gitignore", "README.md"}


@pytest.fixture
def bench(program: AgentProgram, model: ModelServer, sandbox: Sandbox, tmp_path: Path) -> Iterator[Bench]:
    folder = tmp_path / "session"
    folder.mkdir()
    session = f"s-{secrets.token_hex(4)}"
    yield Bench(program, DRIVERS[program.name](), model, sandbox, folder, session)
    until(lambda: not marked(session))  # the shell around it ends a moment later
    end_marked(session, grace=0)


def end(events: list[AgentEvent]) -> TurnEnd:
    assert isinstance(events[-1], TurnEnd)
    return events[-1]


def used(events: list[AgentEvent]) -> dict[str, Usage]:
    """The last figure of each scope, without those that were taken back."""
    found = {event.scope: event for event in events if isinstance(event, Usage)}
    return {scope: usage for scope, usage in found.items() if usage.input}


def conversation(events: list[AgentEvent]) -> str:
    return next(event.id for event in events if isinstance(event, Conversation))


def test_every_edit_and_every_command_that_writes_is_asked_for(bench: Bench) -> None:
    commit = "git add --all && git commit --quiet -m Work && echo committed"
    events = bench.play(
        bench.write("a.txt", "one"),
        bench.program.read(str(bench.sandbox.root / "a.txt")),
        bench.program.edit(str(bench.sandbox.root / "a.txt"), "one", "two"),
        bench.program.escalated(commit),
        DONE,
    )
    assert end(events) == TurnEnd("completed", "", "I am done.")
    assert bench.sandbox.show("a.txt") == "two"
    first, second = [ask.edits[0] for ask in bench.approver.asked if ask.kind == "edit"]
    assert {first.path, second.path} == {bench.sandbox.root / "a.txt"}
    assert (first.text or "").strip() == "one"
    assert (second.text or "").strip() == "two"
    assert [ask.command for ask in bench.approver.asked if ask.kind == "shell" and "git" in ask.command] == [commit]
    assert Said("I am done.") in events
    assert not [event for event in events if isinstance(event, ToolResult) and not event.ok]
    (usage,) = used(events).values()
    assert (usage.scope, usage.input, usage.output) == (conversation(events), 5000, 250)


def test_a_refused_edit_is_not_made_and_the_turn_goes_on_another_way(bench: Bench) -> None:
    bench.approver = Approver(refused=("held.txt",))
    events = bench.play(bench.write("held.txt", "x"), bench.write("free.txt", "y"), DONE)
    assert end(events).outcome == "completed"
    assert bench.there() == {"free.txt"}
    assert "bob holds it" in bench.told()
    assert [event.ok for event in events if isinstance(event, ToolResult)] == [False, True]


def test_a_refused_command_is_not_run(bench: Bench) -> None:
    bench.approver = Approver(refused=("push",))
    events = bench.play(bench.program.escalated("touch pushed; git push"), DONE)
    assert end(events).outcome == "completed"
    assert bench.there() == set()


def test_a_dead_approver_allows_nothing(bench: Bench) -> None:
    bench.approver = Dead()
    events = bench.play(bench.write("a.txt", "x"), bench.program.escalated("touch b.txt"), DONE)
    assert end(events).outcome == "completed"
    assert bench.there() == set()


def test_the_agent_waits_until_it_is_answered(bench: Bench) -> None:
    asked, free = threading.Event(), threading.Event()

    class Patient:
        def answer(self, ask: Ask, withdrawn: Callable[[], bool]) -> Answer:
            asked.set()
            return Answer(free.wait(300))

    bench.approver = Patient()
    events = bench.driver.start(bench.turn(bench.write("a.txt", "x"), DONE)).events()
    while not asked.is_set():
        next(events)
    assert bench.there() == set()
    free.set()
    assert end(list(events)).outcome == "completed"
    assert bench.there() == {"a.txt"}


def test_what_is_asked_when_we_die_is_not_done(bench: Bench) -> None:
    """The one who would answer is in another process, which is killed while the agent waits."""
    turn = bench.turn(bench.write("a.txt", "x"), bench.program.escalated("touch b.txt"), DONE)
    (bench.folder / "prompt").write_text(turn.prompt)
    argv = [sys.executable, "-c", HOST, bench.program.name, bench.session, str(turn.workspace), str(bench.folder)]
    host = subprocess.Popen(argv, env=turn.env)
    until(lambda: (bench.folder / "asked").exists())
    host.kill()
    host.wait()
    until(lambda: not marked(bench.session))
    assert bench.there() == set()


HOST = """
import os, sys, time
from pathlib import Path
from intarsia.agents import Limits, Turn
from tests.real_agents.test_drivers import DRIVERS
name, session, workspace, folder = sys.argv[1], sys.argv[2], Path(sys.argv[3]), Path(sys.argv[4])

class Patient:
    def answer(self, ask, withdrawn):
        (folder / "asked").touch()
        time.sleep(600)

limits = Limits(0, 0, 10**8)
prompt = (folder / "prompt").read_text()
turn = Turn(session, "it-1", 1, prompt, workspace, folder, dict(os.environ), limits, approver=Patient())
list(DRIVERS[name]().start(turn).events())
"""


def test_our_tools_can_be_called(bench: Bench) -> None:
    said: list[str] = []

    def status(given: Mapping[str, Any]) -> str:
        said.append(given["text"])
        if given["text"] == "bad":
            raise InputError("That is no status.", hint="Say more.")
        return "Shown."

    schema = {"type": "object", "properties": {"text": {"type": "string"}}, "required": ["text"]}
    bench.options = {"tools": (Tool("status", "Say how it goes.", schema, status),)}
    steps = [bench.program.ours("status", {"text": text}) for text in ("good", "bad")]
    assert end(bench.play(*steps, DONE)).outcome == "completed"
    assert said == ["good", "bad"]
    assert "Shown." in bench.told()
    assert "That is no status. Say more." in bench.told()
    assert bench.approver.kinds() == []


def test_a_conversation_is_resumed_and_what_it_used_is_told_for_all_of_it(bench: Bench) -> None:
    first = bench.play(bench.write("a.txt", "x"), DONE)
    second = bench.play(bench.write("b.txt", "x"), DONE, number=2, conversation=conversation(first))
    assert conversation(second) == conversation(first)
    assert len({request.conversation for request in bench.model.requests if request.script}) == 1
    one, both = (used(events)[conversation(first)] for events in (first, second))
    assert (one.input, both.input) == (2000, 4000)
    assert both.cost == (one.cost if one.cost is None else pytest.approx(2 * one.cost))
    assert bench.there() == {"a.txt", "b.txt"}


def test_a_conversation_that_is_not_there_is_begun_anew(bench: Bench) -> None:
    unknown = "019a0000-0000-7000-8000-000000000000"
    events = bench.play(bench.write("a.txt", "x"), DONE, conversation=unknown)
    assert end(events).outcome == "completed"
    assert conversation(events) != unknown
    assert bench.there() == {"a.txt"}


def test_a_killed_agent_leaves_a_conversation_that_goes_on(bench: Bench) -> None:
    turn = bench.turn(bench.write("a.txt", "x"), Step(hang=True))
    events: list[AgentEvent] = []
    for event in bench.driver.start(turn).events():
        events.append(event)
        if isinstance(event, ToolResult):
            wait_for_result(bench.program, bench.model, turn.issue)
            kill(marked(bench.session))
    assert end(events).outcome == "killed"
    again = bench.play(bench.write("b.txt", "x"), DONE, conversation=conversation(events))
    assert conversation(again) == conversation(events)
    assert bench.there() == {"a.txt", "b.txt"}
    # Two answers before and two after: what the killed process had used is not lost, and nothing is counted twice.
    figures = {**used(events), **used(again)}
    assert sum(usage.input for usage in figures.values()) == 3000


def test_a_stopped_turn_leaves_no_process(bench: Bench) -> None:
    leave = bench.program.escalated("setsid sleep 600 >/dev/null 2>&1 & echo started")
    running = bench.driver.start(bench.turn(leave, Step(hang=True)))
    for event in running.events():
        if isinstance(event, ToolResult):
            break
    assert len(marked(bench.session)) >= 2
    running.stop()
    assert marked(bench.session) == []


@pytest.mark.parametrize(
    ("step", "outcome"),
    [
        (Step(http=529, times=0), "overloaded"),
        (Step(http=429, times=0), "rate_limited"),
        (Step(http=401, times=0), "auth"),
        (Step(http=500, times=0), "api_error"),
        (Step(http=400, times=0), "api_error"),
        (Step(text="Half a word", cut=True), "api_error"),
        (Step(text="Half a word", ends="truncated"), "truncated"),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_a_model_that_fails_is_no_success(bench: Bench, step: Step, outcome: str) -> None:
    events = bench.play(bench.write("a.txt", "x"), *[step] * 6)
    assert end(events).outcome == outcome
    assert end(events).detail


def test_a_model_that_declines_is_no_success(bench: Bench) -> None:
    declines = Step(text="I won't.", ends="refused")
    assert end(bench.play(*[declines] * 6)).outcome == "refused"
    assert end(bench.play(bench.write("a.txt", "x"), *[declines] * 6, number=2)).outcome == "refused"


@pytest.mark.parametrize("program", [ClaudeCode], indirect=True)
def test_without_a_login_it_is_no_failure_of_the_model(bench: Bench) -> None:
    turn = bench.turn(DONE)
    events = list(bench.driver.start(replace(turn, env={**turn.env, bench.program.key: ""})).events())
    assert end(events).outcome == "auth"
    assert "/login" in end(events).detail


def test_a_model_that_is_overloaded_once_is_asked_again(bench: Bench) -> None:
    write = bench.write("a.txt", "x")
    events = bench.play(Step(tools=write.tools, http=529), DONE)
    assert end(events).outcome == "completed"
    assert bench.there() == {"a.txt"}
    if bench.program.name == "claude":  # what the transport of Codex tries again, it does not tell
        assert [event for event in events if isinstance(event, RateLimit)]


def test_a_tool_server_that_is_down_is_noticed_before_any_work(bench: Bench) -> None:
    bench.driver = bench.program.with_missing_server()
    events = bench.play(bench.write("a.txt", "x"), DONE)
    assert end(events).outcome == "unguarded"
    assert "gone" in end(events).detail
    assert bench.there() == set()


@pytest.mark.parametrize("program", [ClaudeCode], indirect=True)
def test_what_the_settings_of_a_user_allow_is_asked_for_all_the_same(bench: Bench) -> None:
    path = Path.home() / ".claude" / "settings.json"
    settings = json.loads(path.read_text())
    settings |= {"permissions": {"allow": ["Write", "Bash"]}, "disableAllHooks": True}
    path.write_text(json.dumps(settings))
    bench.approver = Dead()
    assert end(bench.play(bench.write("a.txt", "x"), bench.program.shell("touch b.txt"), DONE)).outcome == "completed"
    assert bench.there() == set()


@pytest.mark.parametrize("program", [Codex], indirect=True)
def test_the_settings_of_a_user_do_not_open_the_sandbox_of_codex(bench: Bench) -> None:
    path = Path.home() / ".codex" / "config.toml"
    path.write_text('approval_policy = "never"\nsandbox_mode = "danger-full-access"\n' + path.read_text())
    bench.approver = Dead()
    assert end(bench.play(bench.write("a.txt", "x"), bench.program.shell("touch b.txt"), DONE)).outcome == "completed"
    assert bench.there() == set()


@pytest.mark.parametrize("program", [ClaudeCode], indirect=True)
def test_a_step_may_be_allowed_in_another_form(bench: Bench) -> None:
    class Corrects:
        def answer(self, ask: Ask, withdrawn: Callable[[], bool]) -> Answer:
            return Answer(True, text="ours\n") if ask.kind == "edit" else Answer(True, command="echo ours >c.txt")

    bench.approver = Corrects()
    events = bench.play(bench.write("a.txt", "theirs"), bench.program.shell("echo theirs >c.txt"), DONE)
    assert end(events).outcome == "completed"
    assert [(bench.sandbox.root / name).read_text() for name in ("a.txt", "c.txt")] == ["ours\n", "ours\n"]


@pytest.mark.parametrize("program", [ClaudeCode], indirect=True)
def test_an_objection_sends_the_agent_back_to_work(bench: Bench) -> None:
    heard: list[str] = []

    def objection(last_words: str) -> str:
        heard.append(last_words)
        return "" if (bench.sandbox.root / "a.txt").exists() else "There is no a.txt yet."

    bench.options = {"objection": objection}
    events = bench.play(Step(text="That was it."), bench.write("a.txt", "x"), DONE)
    assert heard == ["That was it.", "I am done."]
    assert end(events) == TurnEnd("completed", "", "I am done.")
    assert "There is no a.txt yet." in bench.told()


@pytest.mark.parametrize("program", [ClaudeCode], indirect=True)
def test_a_subagent_is_asked_too_and_waited_for(bench: Bench) -> None:
    bench.model.add({"inner": [bench.write("inner.txt", "x"), DONE]})
    task = {"description": "Inner", "prompt": "[[script:inner]]", "subagent_type": "general-purpose"}
    events = bench.play(Step(tools=[bench.program.call("Task", task)]), Step(text="It works."), DONE)
    assert end(events).outcome == "completed"
    assert bench.there() == {"inner.txt"}
    assert [ask.edits[0].path.name for ask in bench.approver.asked if ask.kind == "edit"] == ["inner.txt"]


def test_a_follow_up_goes_on_in_the_same_process_and_is_counted_once(bench: Bench) -> None:
    following = Following(bench.driver)
    first = list(following.start(bench.turn(bench.write("a.txt", "x"), DONE)).events())
    assert end(first).outcome == "completed"
    assert following.stays
    before = {*marked(bench.session, "agent")}
    turn = bench.turn(bench.write("b.txt", "y"), Step(text="More."), number=2, conversation=conversation(first))
    second = list(following.start(turn).events())
    assert end(second) == TurnEnd("completed", "", "More.")
    assert before & {*marked(bench.session, "agent")}  # what it runs beside itself may come and go
    assert bench.there() == {"a.txt", "b.txt"}
    assert [ask.edits[0].path.name for ask in bench.approver.asked if ask.kind == "edit"] == ["a.txt", "b.txt"]
    (usage,) = used(second).values()
    assert (usage.input, usage.output) == (4000, 200)
    if usage.cost is not None:
        assert usage.cost == pytest.approx(2 * (used(first)[usage.scope].cost or 0))
    following.close()


def test_the_program_gets_the_environment_of_its_turn_and_nothing_else(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    turn = bench.turn(bench.program.shell("echo seen: $LATE/$INTARSIA_ROLE"), DONE)
    monkeypatch.setenv("LATE", "not for agents")
    assert end(list(bench.driver.start(turn).events())).outcome == "completed"
    assert "seen: /agent" in bench.told()
