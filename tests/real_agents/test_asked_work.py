"""The real Claude Code and the real Codex work on issues through their drivers, and ask before each step."""

from __future__ import annotations

import random
import re
from typing import Any

import pytest

from intarsia.agents.supervision import marked
from intarsia.testing import ModelServer, Request, Step
from tests.real_agents.programs import AgentProgram, ClaudeCode, ask_for, wait_for_result
from tests.run.test_crash import finish
from tests.support.processes import kill, with_command
from tests.support.sandbox import Sandbox
from tests.support.until import until

DONE = Step(text="I am done.")


@pytest.fixture
def project(asking: Sandbox) -> Sandbox:
    return asking


def issue(project: Sandbox, model: ModelServer, id: str, *steps: Step) -> None:
    model.add({id: list(steps)})
    project.issue(id, "--body", f"[[script:{id}]]")


def asked(model: ModelServer, script: str) -> list[Request]:
    return [request for request in model.requests if request.script == script]


def commit(program: AgentProgram, message: str = "Work") -> Step:
    return program.escalated(f"git add --all && git commit --quiet -m '{message}' && echo committed")


def session(project: Sandbox) -> dict[str, Any]:
    (only,) = project.sessions()
    return only


def wait_for_conversation(project: Sandbox, model: ModelServer, program: AgentProgram) -> None:
    """Until both have written down what can be gone on with."""
    wait_for_result(program, model, "it-1")
    until(lambda: session(project)["vendor_id"])


def test_an_issue_becomes_a_landed_commit(project: Sandbox, model: ModelServer, program: AgentProgram) -> None:
    issue(project, model, "it-1", program.create("answer.txt", "42"), commit(program), DONE)
    project.ok("run")
    assert project.show("answer.txt") == "42"
    used = session(project)["usage"]
    assert (used["input"], used["output"]) == (3000, 150)
    assert session(project)["vendor_id"]
    assert marked(session(project)["id"]) == []
    log = project.ok("session", "logs", "it-1")
    assert "answer.txt" in log
    assert "[completed]" in log


def test_a_follow_up_goes_on_in_the_same_process_and_is_counted_once(
    project: Sandbox, model: ModelServer, program: AgentProgram
) -> None:
    process = program.escalated("echo below $PPID")
    first = [process, program.create("answer.txt", "41"), commit(program), Step(text="That should do.")]
    second = [process, program.read("answer.txt"), program.edit("answer.txt", "41", "42"), commit(program), DONE]
    issue(project, model, "it-1", *first, *second)
    project.ok("run")
    assert project.show("answer.txt") == "42"
    assert session(project)["turn"] == 2
    requests = asked(model, "it-1")
    assert len({request.conversation for request in requests}) == 1
    found = [re.search(r"below (\d+)", str(request.said)) for request in requests if request.step in (1, 5)]
    assert len({pid[1] for pid in found if pid}) == 1
    assert all(found)
    assert session(project)["usage"]["input"] == 9000
    assert marked(session(project)["id"]) == []


def test_files_outside_and_refused_commands_are_out_of_reach_and_another_way_lands(
    project: Sandbox, model: ModelServer, program: AgentProgram
) -> None:
    issue(
        project,
        model,
        "it-1",
        program.create(str(project.root / "outside.txt"), "x"),
        program.escalated("git reset --hard HEAD~1"),
        program.create("answer.txt", "42"),
        commit(program),
        DONE,
    )
    project.ok("run")
    assert not (project.root / "outside.txt").exists()
    told = "\n".join(str(request.said) for request in asked(model, "it-1"))
    assert "is outside your working directory" in told
    assert "git reset --hard" in told.replace("git reset --hard HEAD~1'", "")
    assert project.files() >= {"answer.txt"}


def test_an_agent_ends_without_a_commit_by_our_tool(
    project: Sandbox, model: ModelServer, program: AgentProgram
) -> None:
    resolve = program.ours("resolve", {"kind": "obsolete", "rationale": "It was removed."})
    issue(project, model, "it-1", resolve, DONE)
    project.ok("run")
    assert session(project)["reason"] == "obsolete: It was removed."


@pytest.mark.parametrize("program", [ClaudeCode], indirect=True)
def test_an_agent_that_forgot_to_commit_is_sent_back_in_the_same_turn(
    project: Sandbox, model: ModelServer, program: AgentProgram
) -> None:
    issue(project, model, "it-1", program.create("answer.txt", "42"), Step(text="There."), commit(program), DONE)
    project.ok("run")
    assert project.show("answer.txt") == "42"
    assert session(project)["turn"] == 1


def test_an_overloaded_model_costs_no_attempt(project: Sandbox, model: ModelServer, program: AgentProgram) -> None:
    issue(project, model, "it-1", Step(http=529, times=0))
    assert project.call("run", env={"INTARSIA_RUN_PATIENCE": "0"}).returncode == 1
    assert session(project)["stage"] == "parked"
    assert "overloaded" in session(project)["reason"]
    project.ok("agent", "resume", program.name)
    model.add({"it-1": [program.create("answer.txt", "42"), commit(program), DONE]})
    project.ok("run")
    assert project.show("answer.txt") == "42"
    assert session(project)["stage"] == "done"


def test_a_killed_agent_goes_on_in_the_same_session(
    project: Sandbox, model: ModelServer, program: AgentProgram
) -> None:
    # Claude Code answers for the model where it was broken off, so that a step of the script may be passed over.
    go = project.root.parent / "go"
    work = [program.create("answer.txt", "42"), program.escalated(f"until test -e {go}; do sleep 0.1; done")]
    steps = [*work, commit(program), commit(program), DONE]
    issue(project, model, "it-1", *steps)
    with project.start("run") as supervisor:
        wait_for_conversation(project, model, program)
        kill(marked(session(project)["id"], "agent"))
        go.touch()
        said, _ = supervisor.communicate(timeout=300)
    assert supervisor.returncode == 0, said
    assert project.show("answer.txt") == "42"
    assert session(project)["attempt"] == 1
    assert len(project.events("agent_resumed")) == 1
    assert len({request.conversation for request in asked(model, "it-1")}) == 1


def test_a_killed_supervisor_is_replaced_and_its_agents_conversation_goes_on(
    project: Sandbox, model: ModelServer, program: AgentProgram
) -> None:
    steps = [
        program.create("answer.txt", "42"),
        Step(tools=commit(program).tools, awaits=["go"]),
        DONE,
        commit(program),
        DONE,
    ]
    issue(project, model, "it-1", *steps)
    with project.start("run") as supervisor:
        wait_for_conversation(project, model, program)
        supervisor.kill()
    id = session(project)["id"]
    again = project.start("run")
    until(lambda: project.events("agent_resumed"))  # the one before is over by then, and got no answer
    ask_for(model, "go")
    finish(again)
    assert project.show("answer.txt") == "42"
    assert session(project)["id"] == id
    assert len(project.events("agent_resumed")) == 1
    assert len({request.conversation for request in asked(model, "it-1")}) == 1
    assert marked(id) == []


def test_what_forgets_its_environment_and_detaches_itself_does_not_survive(
    project: Sandbox, model: ModelServer, program: AgentProgram
) -> None:
    seconds = f"6{random.randrange(10**8)}"
    escape = program.escalated(f"env -i setsid sh -c 'setsid sleep {seconds} >/dev/null 2>&1 &' && echo escaped")
    issue(project, model, "it-1", program.create("answer.txt", "42"), escape, commit(program), DONE)
    project.ok("run")
    assert "escaped" in str([request.said for request in asked(model, "it-1")])
    assert project.show("answer.txt") == "42"
    assert with_command("sleep", seconds) == []
    assert project.events("processes_ended")


def test_what_it_costs_is_known_and_limited_while_it_works(
    project: Sandbox, model: ModelServer, program: AgentProgram
) -> None:
    issue(project, model, "it-1", program.create("a.txt", "1"), commit(program), program.read("a.txt"), DONE)
    project.write("intarsia.toml", (project.root / "intarsia.toml").read_text() + "\n[limits]\nsession_tokens = 1500\n")
    assert project.call("run").returncode == 1
    assert "limits.session_tokens is 1,500, and 2," in session(project)["reason"]
    assert session(project)["usage"]["cost"] > 0
    assert marked(session(project)["id"]) == []
