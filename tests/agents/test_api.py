"""The agent that is only a model and our own tools, with the scripted model on loopback."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from intarsia.agents import (
    AgentEvent,
    Answer,
    Ask,
    Conversation,
    Said,
    Tool,
    ToolResult,
    TurnEnd,
    Usage,
    Waiting,
)
from intarsia.agents.api import ApiDriver
from intarsia.agents.supervision import marked
from intarsia.errors import ConfigError, InputError
from intarsia.testing import ModelServer, Step, ToolCall
from tests.agents.conftest import Stage
from tests.support.processes import kill
from tests.support.sandbox import Sandbox

MODELS = {"anthropic": "anthropic:scripted", "openai": "openai:scripted"}
DONE = Step(text="I am done.")
COMMIT = "git add --all && git commit --quiet -m Work"


@dataclass
class Approver:
    """Refuses what names one of these words, and remembers all it was asked."""

    refused: tuple[str, ...] = ()
    asked: list[Ask] = field(default_factory=list)

    def answer(self, ask: Ask, withdrawn: Callable[[], bool]) -> Answer:
        self.asked.append(ask)
        text = f"{ask.command} {[edit.path.name for edit in ask.edits]}"
        return Answer(not any(word in text for word in self.refused), "bob holds it.")


@pytest.fixture(scope="module")
def model() -> Iterator[ModelServer]:
    with ModelServer() as server:
        yield server


def use(tool: str, **given: Any) -> Step:
    return Step(tools=[ToolCall(tool, given)])


class Bench:
    def __init__(self, stage: Stage, model: ModelServer, provider: str) -> None:
        self.stage, self.model, self.provider = stage, model, provider
        self.workspace = stage.workspace
        self.scripts = 0

    def start(self, *steps: Step, options: tuple[str, ...] = (), approver: Any = None, **given: Any) -> Any:
        self.scripts += 1
        name = f"{self.stage.session}-{self.scripts}"
        self.model.add({name: list(steps)})
        url, keys = self.model.url, {"ANTHROPIC_API_KEY": "dummy", "OPENAI_API_KEY": "dummy"}
        urls = {"ANTHROPIC_BASE_URL": url, "OPENAI_BASE_URL": f"{url}/v1"}
        env = {**self.stage.turn().env, **keys, **urls, "NO_PROXY": "*", **given.pop("env", {})}
        turn = self.stage.turn(prompt=f"[[script:{name}]]", env=env, approver=approver or Approver(), **given)
        return ApiDriver(MODELS[self.provider], options).start(turn)

    def play(self, *steps: Step, **given: Any) -> list[AgentEvent]:
        return [event for event in self.start(*steps, **given).events() if not isinstance(event, Waiting)]

    def told(self) -> str:
        """What the model read of what its tools said."""
        return "\n".join(json.dumps(request.said) for request in self.model.requests if request.step)

    def there(self) -> set[str]:
        return {path.name for path in self.workspace.iterdir()}


@pytest.fixture
def bench(stage: Stage, model: ModelServer) -> Bench:
    return Bench(stage, model, "anthropic")


@pytest.fixture(params=MODELS)
def each_bench(request: pytest.FixtureRequest, stage: Stage, model: ModelServer) -> Bench:
    return Bench(stage, model, request.param)


def end(events: list[AgentEvent]) -> TurnEnd:
    assert isinstance(events[-1], TurnEnd)
    return events[-1]


def results(events: list[AgentEvent]) -> list[bool]:
    return [event.ok for event in events if isinstance(event, ToolResult)]


def test_every_step_is_asked_for(each_bench: Bench) -> None:
    approver = Approver()
    events = each_bench.play(
        use("write", path="a.txt", text="one\ntwo\n"),
        Step(text="First this.", tools=use("edit", path="a.txt", old="one", new="1").tools),
        use("read", path="a.txt"),
        use("shell", command="cat a.txt; env | grep -c API_KEY; exit 3"),
        DONE,
        approver=approver,
    )
    assert end(events) == TurnEnd("completed", "", "I am done.")
    assert Said("First this.") in events
    path = each_bench.workspace / "a.txt"
    asked = [(ask.kind, ask.command, [(edit.path, edit.text) for edit in ask.edits]) for ask in approver.asked]
    assert asked == [
        ("edit", "", [(path, "one\ntwo\n")]),
        ("edit", "", [(path, "1\ntwo\n")]),
        ("read", "", [(path, None)]),
        ("shell", "cat a.txt; env | grep -c API_KEY; exit 3", []),
    ]
    assert results(events) == [True] * 4
    assert "1\\ntwo\\n0\\n\\n[exit code 3]" in each_bench.told()
    used = [event for event in events if isinstance(event, Usage)]
    assert len({usage.scope for usage in used}) == 1
    assert (used[-1].input, used[-1].output) == (5000, 250)


def test_what_is_refused_is_not_done_and_the_turn_goes_on(bench: Bench) -> None:
    events = bench.play(
        use("write", path="held.txt", text="x"),
        use("shell", command="touch held2.txt"),
        use("write", path="free.txt", text="x"),
        DONE,
        approver=Approver(("held",)),
    )
    assert end(events).outcome == "completed"
    assert bench.there() == {"free.txt"}
    assert results(events) == [False, False, True]
    assert "This was refused: bob holds it." in bench.told()


def test_a_dead_approver_allows_nothing(bench: Bench) -> None:
    class Dead:
        def answer(self, ask: Ask, withdrawn: Callable[[], bool]) -> Answer:
            raise OSError("the database is gone")

    events = bench.play(use("write", path="a", text="x"), use("shell", command="touch b"), DONE, approver=Dead())
    assert end(events).outcome == "completed"
    assert bench.there() == set()


def test_a_step_may_be_allowed_in_another_form(bench: Bench) -> None:
    class Corrects:
        def answer(self, ask: Ask, withdrawn: Callable[[], bool]) -> Answer:
            return Answer(True, text="ours\n") if ask.kind == "edit" else Answer(True, command="echo ours >b.txt")

    steps = (use("write", path="a.txt", text="theirs"), use("shell", command="echo theirs >b.txt"), DONE)
    bench.play(*steps, approver=Corrects())
    assert [(bench.workspace / name).read_text() for name in ("a.txt", "b.txt")] == ["ours\n", "ours\n"]


def test_what_can_not_be_done_is_told_to_the_model(bench: Bench) -> None:
    (bench.workspace / "a.txt").write_text("x x")
    (bench.workspace / "binary").write_bytes(b"\xff\xfe")
    approver = Approver()
    events = bench.play(
        use("edit", path="a.txt", old="x", new="y"),
        use("edit", path="none.txt", old="x", new="y"),
        use("read", path="binary"),
        use("read"),
        use("fly"),
        use("edit", path="a.txt", old="x", new="y", all=True),
        use("shell", command="sleep 60", seconds=1),
        DONE,
        approver=approver,
    )
    assert end(events).outcome == "completed"
    assert results(events) == [False] * 5 + [True, True]
    told = bench.told()
    for words in (
        "2 times",
        "There is no file",
        "can't be read as text",
        "path is a text",
        "no tool fly",
        "ended by us",
    ):
        assert words in told
    assert (bench.workspace / "a.txt").read_text() == "y y"


def test_our_tools_come_before_its_own(bench: Bench) -> None:
    def write(given: Mapping[str, Any]) -> str:
        if given["path"] == "bad":
            raise InputError("That is no path.")
        return f"kept {given['path']}"

    schema = {"type": "object", "properties": {"path": {"type": "string"}}, "required": ["path"]}
    tool = Tool("write", "Write.", schema, write)
    approver = Approver()
    steps = (use("write", path="a"), use("write", path="bad"), DONE)
    assert results(bench.play(*steps, tools=(tool,), approver=approver)) == [True, False]
    assert approver.asked == []
    assert "kept a" in bench.told()
    assert "That is no path." in bench.told()
    assert [request.tools.count("write") for request in bench.model.requests if request.tools][-1] == 1


def test_a_conversation_is_resumed(each_bench: Bench) -> None:
    first = each_bench.play(use("write", path="a.txt", text="x"), DONE)
    id = next(event.id for event in first if isinstance(event, Conversation))
    second = each_bench.play(Step(text="I remember."), number=2, conversation=id)
    assert second[0] == Conversation(id)
    assert end(second).last_message == "I remember."
    kept = json.loads((each_bench.stage.folder / f"conversation-{id}.json").read_text())
    assert [message["role"] for message in kept] == [
        "system",
        "user",
        "assistant",
        "tool",
        "assistant",
        "user",
        "assistant",
    ]
    scopes = {event.scope for event in (*first, *second) if isinstance(event, Usage)}
    assert len(scopes) == 2


@pytest.mark.parametrize("id", ["00000000-0000-0000-0000-000000000000", "../../x"])
def test_one_that_is_not_there_is_begun_anew(bench: Bench, id: str) -> None:
    events = bench.play(DONE, conversation=id)
    assert end(events).outcome == "completed"
    assert events[0] != Conversation(id)


def test_a_killed_agent_leaves_a_conversation_that_goes_on(bench: Bench) -> None:
    events: list[AgentEvent] = []
    for event in bench.start(use("shell", command="sleep 60"), DONE).events():
        events.append(event)
        if not isinstance(event, Waiting | Conversation) and "shell" in str(event):
            kill(marked(bench.stage.session))
    assert end(events).outcome == "killed"
    id = next(event.id for event in events if isinstance(event, Conversation))
    again = bench.play(Step(text="Well."), conversation=id)
    assert end(again) == TurnEnd("completed", "", "Well.")
    assert "This was interrupted" in (bench.stage.folder / f"conversation-{id}.json").read_text()


def test_an_objection_sends_the_agent_back_to_work(bench: Bench) -> None:
    def objection(last_words: str) -> str:
        return "" if (bench.workspace / "a.txt").exists() else f"After {last_words}: no a.txt."

    steps = (Step(text="That was it."), use("write", path="a.txt", text="x"), DONE)
    assert end(bench.play(*steps, objection=objection)) == TurnEnd("completed", "", "I am done.")
    assert "After That was it.: no a.txt." in bench.told()


@pytest.mark.parametrize(
    ("step", "outcome"),
    [
        (Step(http=401, times=0), "auth"),
        (Step(http=429, times=0, headers={"retry-after": "0"}), "rate_limited"),
        (Step(http=529, times=0, headers={"retry-after": "0"}), "overloaded"),
        (Step(http=400, times=0), "api_error"),
        (Step(text="Half", cut=True), "api_error"),
        (Step(text="Half", ends="truncated"), "truncated"),
        (Step(text="I won't.", ends="refused"), "refused"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
@pytest.mark.parametrize("provider", MODELS)
def test_a_model_that_fails_is_no_success(
    provider: str, step: Step, outcome: str, model: ModelServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In our own process, as that of the agent takes a second to start."""
    from intarsia.agents import api_agent

    class Nobody(api_agent.Supervisor):
        def tell(self, **message: Any) -> None:
            pass

        def hear(self) -> Any:
            return {"allow": False}

    name = f"{provider}-{tmp_path.name}"
    model.add({name: [use("read", path="none"), step, step, step]})
    url = {"anthropic": model.url, "openai": f"{model.url}/v1"}[provider]
    for variable, value in {"API_KEY": "dummy", "BASE_URL": url}.items():
        monkeypatch.setenv(f"{provider.upper()}_{variable}", value)
    task = {
        "model": MODELS[provider],
        "prompt": f"[[script:{name}]]",
        "workspace": str(tmp_path),
        "tools": [],
        "steps": 9,
    }
    found, detail, _ = api_agent.result_of(Nobody(), {**task, "conversation": str(tmp_path / "conversation.json")})
    assert found == outcome
    assert detail


def test_a_model_that_is_overloaded_once_is_asked_again(bench: Bench) -> None:
    retried = Step(text="I am done.", http=529, headers={"retry-after": "0"})
    assert end(bench.play(retried)).outcome == "completed"


def test_there_is_an_end_to_its_steps(bench: Bench) -> None:
    steps = [use("read", path="none")] * 9
    assert end(bench.play(*steps, options=("--max-steps=3",))).outcome == "exhausted"


def test_without_a_key_nothing_is_begun(bench: Bench) -> None:
    assert end(bench.play(DONE, env={"ANTHROPIC_API_KEY": ""})).outcome == "auth"


def test_what_lies_in_the_workspace_is_no_part_of_the_agent(bench: Bench) -> None:
    for name in ("any_llm.py", "json.py", "intarsia.py"):
        (bench.workspace / name).write_text("raise SystemExit('this was run')")
    assert end(bench.play(DONE)).outcome == "completed"


def test_a_stopped_turn_leaves_no_process(bench: Bench) -> None:
    running = bench.start(use("shell", command="setsid sleep 600 & echo started"), Step(hang=True))
    for event in running.events():
        if isinstance(event, ToolResult):
            break
    assert len(marked(bench.stage.session)) >= 2
    running.stop()
    assert marked(bench.stage.session) == []


@pytest.mark.parametrize("model", ["", "claude", ":x", "anthropic:"])
def test_a_driver_needs_a_model_with_its_provider(model: str) -> None:
    with pytest.raises(ConfigError, match="needs a model with its provider"):
        ApiDriver(model).check()
    with pytest.raises(ConfigError, match="no option '--fast'"):
        ApiDriver("openai:x", ["--fast"])


def test_an_issue_becomes_a_landed_commit(sandbox: Sandbox, model: ModelServer) -> None:
    names = ["ANTHROPIC_API_KEY", "ANTHROPIC_BASE_URL", "NO_PROXY"]
    sandbox.env |= {"ANTHROPIC_API_KEY": "dummy", "ANTHROPIC_BASE_URL": model.url, "NO_PROXY": "*"}
    table = f"[agents.one]\ndriver = 'api'\nmodel = 'anthropic:scripted'\nenv = {names}\n"
    sandbox.commit("intarsia.toml", table, "Configure")
    model.add({"land": [use("write", path="hello.txt", text="Hello\n"), use("shell", command=COMMIT), DONE]})
    sandbox.issue("it-1", "--body", "[[script:land]]")
    sandbox.ok("run")
    assert sandbox.show("hello.txt") == "Hello"
