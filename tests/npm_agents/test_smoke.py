"""Agents from npm through the driver `acp`, each with a scripted model on loopback, dummy keys and a new home."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from intarsia.agents.acp_agents import AGENTS
from intarsia.agents.supervision import marked
from intarsia.testing import ModelServer, Step
from tests.npm_agents.programs import PLACES, ClaudeAgentAcp, CodexAcp, Copilot, Gemini, NpmAgent, OpenCode
from tests.real_agents import loopback
from tests.support.sandbox import Sandbox

DONE = Step(text="I am done.")


@pytest.fixture(scope="session")
def is_offline() -> bool:
    """True where this machine lets us leave its network; every test is in there then."""
    return loopback.enter()


@pytest.fixture
def model(is_offline: bool) -> Iterator[ModelServer]:
    with ModelServer() as server:
        yield server


@pytest.fixture(params=[Gemini, Copilot, OpenCode, ClaudeAgentAcp, CodexAcp], ids=lambda kind: kind.name)
def agent(request: pytest.FixtureRequest) -> NpmAgent:
    made: NpmAgent = request.param()
    return made


@pytest.fixture
def project(agent: NpmAgent, model: ModelServer, sandbox: Sandbox) -> Sandbox:
    """A repository whose agent is this one."""
    env = agent.configure(Path.home(), model.url)
    for name in [name for name in sandbox.env if name.lower().endswith("_proxy")]:
        del sandbox.env[name]
    sandbox.env |= {**env, "PATH": os.pathsep.join([*map(str, PLACES), sandbox.env["PATH"]])}
    named = f"model = '{agent.model}'\n" if agent.model else ""
    table = f"[agents.one]\ndriver = 'acp'\nagent = '{agent.name}'\n{named}env = {json.dumps(list(env))}\n"
    sandbox.commit("intarsia.toml", f"[run]\nagent = 'one'\n[limits]\nwall = 120\n{table}", "Configure")
    return sandbox


def test_an_issue_becomes_a_landed_commit_after_a_follow_up_in_the_same_process(
    project: Sandbox, model: ModelServer, agent: NpmAgent
) -> None:
    checks = (project.root / "intarsia.toml").read_text() + "[checks]\ngreeting = 'grep -qx Hi hello.txt'\n"
    project.commit("intarsia.toml", checks, "Check")
    commit = "git add --all && git commit --quiet -m Greet && echo committed"
    first = [agent.create(Path("hello.txt"), "Hello"), agent.shell(commit), DONE]
    model.add({"work": [*first, agent.shell(f"echo Hi >hello.txt && {commit}"), DONE]})
    project.issue("it-1", "--body", "[[script:work]]")
    project.ok("run")
    assert project.show("hello.txt") == "Hi"
    (session,) = project.sessions()
    assert session["turn"] == 2
    assert marked(session["id"]) == []
    folder = project.root / ".intarsia" / "sessions" / session["id"]
    began = ["protocolVersion" in (folder / f"wire-{turn}.jsonl").read_text() for turn in (1, 2)]
    assert began == [True, False]


def test_an_agent_passes_its_self_check(project: Sandbox, model: ModelServer, agent: NpmAgent) -> None:
    commit = "git add hello.txt && git commit --quiet -m 'Say hello'"
    model.add(
        {
            "edit": [agent.create(Path("hello.txt"), "hello"), Step(text="Done.")],
            "refused-edit": [agent.create(Path("refused.txt"), "no"), Step(text="It was refused.")],
            "refused-command": [agent.shell("touch refused.txt"), Step(text="It was refused.")],
            "commit": [agent.shell(commit), Step(text="Done.")],
            "resume": [Step(text="hello.txt")],
        }
    )
    said = project.call("agent", "test", "one", "--note", "[[script:{step}]] ", "--json")
    found = json.loads(said.stdout)
    about = AGENTS[agent.name]
    findings = {finding["step"]: finding["ok"] for finding in found["findings"]}
    resumed = True if about.resumes else None
    done = dict.fromkeys(("edit", "refused edit", "refused command", "commit"), True)
    assert findings == {**done, "resume": resumed}, found
    assert found["version"] == about.tried
