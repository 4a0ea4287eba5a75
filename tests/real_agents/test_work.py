"""The real Claude Code and the real Codex work on issues; only their model is scripted."""

from __future__ import annotations

import json
from collections.abc import Iterable

from intarsia.agents.supervision import marked
from intarsia.testing import ModelServer, Request, Step
from tests.real_agents.programs import RETRIES, AgentProgram, ask_for
from tests.run.test_crash import finish
from tests.support.sandbox import Sandbox
from tests.support.until import until


def issue(project: Sandbox, model: ModelServer, id: str, *steps: Step) -> None:
    """An issue whose body names its script; the model says a last word after these steps."""
    model.add({id: [*steps, Step(text="I am done.")]})
    project.issue(id, "--body", f"[[script:{id}]]")


def scripted(model: ModelServer, script: str) -> list[Request]:
    return [request for request in model.requests if request.script == script]


def tool_results(requests: Iterable[Request]) -> str:
    return "\n".join(json.dumps(request.said) for request in requests)


def trailers(project: Sandbox, commit: str = "main") -> list[str]:
    return project.git("log", "-1", "--format=%(trailers:only,unfold)", commit).splitlines()


def commit(program: AgentProgram, message: str) -> Step:
    return program.shell(f"git add --all && git commit --quiet -m '{message}' && echo committed")


def test_an_issue_becomes_a_landed_commit(project: Sandbox, model: ModelServer, program: AgentProgram) -> None:
    project.commit("greeting.txt", "Hello\n", "Greet")
    edit = program.edit("greeting.txt", "Hello", "Hello, world")
    issue(project, model, "it-1", program.read("greeting.txt"), edit, commit(program, "Greet the world"))
    project.ok("run")
    assert project.show("greeting.txt") == "Hello, world"
    assert project.git("log", "-1", "--format=%s") == "Greet the world"
    assert trailers(project) == ["Issue: it-1", f"Intarsia-Session: {project.sessions()[0]['id']}"]
    assert project.git("status", "--porcelain") == ""
    assert [request.step for request in scripted(model, "it-1")] == [0, 1, 2, 3]
    assert "committed" in tool_results(scripted(model, "it-1"))


def test_a_failed_check_is_repaired_in_the_same_conversation(
    project: Sandbox, model: ModelServer, program: AgentProgram
) -> None:
    issue(
        project,
        model,
        "it-1",
        program.shell("echo 41 >answer.txt"),
        commit(program, "Answer"),
        Step(text="That should do."),
        program.read("answer.txt"),
        program.edit("answer.txt", "41", "42"),
        commit(program, "Correct the answer"),
    )
    project.ok("run")
    assert project.show("answer.txt") == "42"
    (session,) = project.sessions()
    assert session["turn"] == 2
    requests = scripted(model, "it-1")
    assert [request.step for request in requests] == list(range(7))
    assert len({request.conversation for request in requests}) == 1
    assert "the check answer failed" in tool_results(requests).lower()


def test_two_sessions_work_at_the_same_time(project: Sandbox, model: ModelServer, program: AgentProgram) -> None:
    for id in ("it-1", "it-2"):
        look = program.shell("ls")
        both = Step(tools=look.tools, awaits=["it-1", "it-2"])  # neither goes on before the other has begun
        steps = [both, program.shell(f"echo {id} >{id}.txt"), commit(program, f"Add {id}")]
        issue(project, model, id, *steps)
    project.ok("run")
    assert {"it-1.txt", "it-2.txt"} <= project.files()
    asked = [(request.script, request.step) for request in model.requests if request.script]
    assert {asked[0], asked[1]} == {("it-1", 0), ("it-2", 0)}
    assert len({request.conversation for request in model.requests if request.script}) == 2
    assert {tuple(trailers(project, at)) for at in ("main", "main~1")} == {
        (f"Issue: {session['issue']}", f"Intarsia-Session: {session['id']}") for session in project.sessions()
    }


def test_an_agent_whose_supervisor_was_killed_is_adopted(
    project: Sandbox, model: ModelServer, program: AgentProgram
) -> None:
    work = program.shell("echo 42 >answer.txt")
    issue(project, model, "it-1", Step(tools=work.tools, awaits=["go"]), commit(program, "Answer"))
    with project.start("run") as supervisor:
        model.wait_for("it-1", seconds=120)
        supervisor.kill()
    (session,) = project.sessions()
    assert session["stage"] == "working"
    assert marked(session["id"], "agent")
    again = project.start("run")
    until(lambda: project.events("agent_adopted"))
    ask_for(model, "go")
    finish(again)
    assert project.show("answer.txt") == "42"
    assert len(project.events("agent_adopted")) == 1
    assert len(project.sessions()) == 1
    assert [request.step for request in scripted(model, "it-1")] == [0, 1, 2]


def test_an_overloaded_model_is_asked_again(project: Sandbox, model: ModelServer, program: AgentProgram) -> None:
    work = program.shell("echo 42 >answer.txt")
    issue(project, model, "it-1", Step(tools=work.tools, http=529), commit(program, "Answer"))
    project.ok("run")
    assert project.show("answer.txt") == "42"
    assert [(request.step, request.status) for request in scripted(model, "it-1")] == [
        (0, 529),
        (0, 200),
        (1, 200),
        (2, 200),
    ]


def test_a_model_that_stays_overloaded_lands_nothing(
    project: Sandbox, model: ModelServer, program: AgentProgram
) -> None:
    before = project.git("rev-parse", "main")
    issue(project, model, "it-1", program.shell("echo 42 >answer.txt"), Step(http=529, times=0))
    assert project.call("run").returncode == 1
    (session,) = project.sessions()
    assert (session["stage"], session["reason"]) == ("failed", "The agent failed. It ended with exit code 1.")
    assert project.status("it-1") == "blocked"
    assert project.git("rev-parse", "main") == before
    asked = [request for request in scripted(model, "it-1") if request.step == 1]
    assert len(asked) > RETRIES
    assert "529" in project.ok("session", "logs", session["id"])
    assert marked(session["id"]) == []


def test_an_agent_that_hangs_is_ended_with_all_it_started(
    project: Sandbox, model: ModelServer, program: AgentProgram
) -> None:
    project.env |= {"INTARSIA_LIMITS_WALL": "20"}
    leave = program.shell("setsid sleep 600 >/dev/null 2>&1 & echo started")
    issue(project, model, "it-1", leave, Step(hang=True))
    with project.start("run") as supervisor:
        model.wait_for("it-1", 1, 120)
        session = project.sessions()[0]["id"]
        assert marked(session, "agent")
        supervisor.communicate(timeout=300)
    assert supervisor.returncode == 1
    assert project.sessions()[0]["reason"] == "The agent took too long. It ran longer than 20 s."
    assert marked(session) == []


def test_an_agent_says_in_its_last_words_that_nothing_has_to_change(
    project: Sandbox, model: ModelServer, program: AgentProgram
) -> None:
    words = "I looked.\n\nISSUE_NO_CHANGE: README.md says so already."
    model.add({"it-1": [program.read("README.md"), Step(text=words)]})
    project.issue("it-1", "--body", "[[script:it-1]]")
    project.ok("run")
    assert project.json("issue", "show", "it-1")["issue"]["resolution"] == "no_change"
    assert project.sessions()[0]["reason"] == "no_change: README.md says so already."
