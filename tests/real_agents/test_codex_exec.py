"""The simple mode of the real Codex: nobody is asked, and its own sandbox keeps it in its workspace."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from intarsia.agents.supervision import marked
from intarsia.testing import ModelServer, Request, Step
from tests.real_agents.conftest import configured, documented
from tests.real_agents.programs import AgentProgram, Codex
from tests.support.sandbox import Sandbox

pytestmark = pytest.mark.parametrize("program", [Codex], indirect=True)
DONE = Step(text="I am done.")


@pytest.fixture
def project(program: AgentProgram, sandbox: Sandbox, has_sandbox: bool) -> Sandbox:
    if not has_sandbox:
        pytest.skip("This machine does not let Codex make a sandbox.")
    return configured(sandbox, program, documented(0).replace('driver = "codex"', 'driver = "codex"\nmode = "exec"'))


def issue(project: Sandbox, model: ModelServer, *steps: Step) -> None:
    model.add({"it-1": list(steps)})
    project.issue("it-1", "--body", "[[script:it-1]]")


def asked(model: ModelServer) -> list[Request]:
    return [request for request in model.requests if request.script == "it-1"]


def test_it_works_in_its_sandbox_and_a_follow_up_resumes_it(
    project: Sandbox, model: ModelServer, program: AgentProgram
) -> None:
    attack = "git -C $INTARSIA_ROOT config user.name Mallory; echo >$HOME/outside.txt; echo >/tmp/outside.txt"
    network = "curl -sS --max-time 2 $INTARSIA_LOOPBACK || echo no network"
    commit = program.shell("git add --all && git commit --quiet -m Work && echo committed")
    first = [program.create("answer.txt", "41"), program.shell(f"({attack}; {network}) 2>&1"), commit, DONE]
    second = [program.edit("answer.txt", "41", "42"), commit, DONE]
    issue(project, model, *first, *second)
    project.env |= {"INTARSIA_LOOPBACK": model.url}
    project.ok("run", "--env", "INTARSIA_LOOPBACK")
    assert project.show("answer.txt") == "42"
    (session,) = project.sessions()
    assert (session["turn"], session["usage"]["input"]) == (2, 7000)
    assert len({request.conversation for request in asked(model)}) == 1
    told = json.dumps([request.said for request in asked(model)])
    assert told.count("Read-only file system") >= 3
    assert "no network" in told
    assert not (Path.home() / "outside.txt").exists()
    assert marked(session["id"]) == []


@pytest.mark.parametrize(
    ("step", "reason"),
    [
        (Step(http=529, times=0), "found its model overloaded"),
        (Step(http=401, times=0), "has no valid login"),
        (Step(text="Half a word", cut=True), "lost its model"),
        (Step(text="I won't.", ends="refused"), "declined to work on this"),
    ],
    ids=["overloaded", "auth", "cut", "refused"],
)
def test_what_goes_wrong_is_told_apart(project: Sandbox, model: ModelServer, step: Step, reason: str) -> None:
    issue(project, model, *[step] * 12)
    assert project.call("run", env={"INTARSIA_RUN_PATIENCE": "0"}).returncode == 1
    assert reason in project.sessions()[0]["reason"]
    assert project.sessions()[0]["stage"] != "done"
