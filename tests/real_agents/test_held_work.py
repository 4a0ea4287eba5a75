"""What another holds is waited for inside the ask, or refused, or told: with the real programs and `intarsia run`."""

from __future__ import annotations

import pytest

from intarsia.kernel import line
from intarsia.testing import ModelServer
from tests.real_agents.programs import AgentProgram
from tests.real_agents.test_asked_work import DONE, asked, commit, issue
from tests.run.test_crash import finish, opened
from tests.support.sandbox import Sandbox
from tests.support.until import until

CODE = "def f():\n    return 1\n\n\ndef g():\n    return 3\n"
F, G = ("    return 1", "    return 2"), ("    return 3", "    return 4")
HELD = "ann (by hand) holds code:a.py#f (exclusive) since"


@pytest.fixture
def project(asking: Sandbox) -> Sandbox:
    """ann holds f."""
    asking.commit("a.py", CODE, "Code")
    asking.ok("agent", "join", "ann")
    asking.ok("lock", "acquire", "code:a.py#f", "--note", "by hand")
    return asking


def told(model: ModelServer) -> str:
    return "\n".join(str(request.said) for request in asked(model, "it-1"))


def test_it_is_waited_for_and_then_granted(project: Sandbox, model: ModelServer, program: AgentProgram) -> None:
    issue(project, model, "it-1", program.read("a.py"), program.edit("a.py", *F), commit(program), DONE)
    run = project.start("run", env={"INTARSIA_RUN_ON_OVERLAP": "wait"})

    def waits() -> bool:
        with opened(project).read() as tx:
            return bool(line.standing(tx))

    until(waits, 60)
    assert {path.read_text() for path in project.root.glob(".intarsia/**/a.py")} == {CODE}
    project.ok("lock", "release", "code:a.py#f")
    finish(run)
    assert project.show("a.py") + "\n" == CODE.replace(*F)
    assert HELD not in told(model)
    assert project.events("changed_unheld") == []


def test_it_is_refused_and_done_another_way(project: Sandbox, model: ModelServer, program: AgentProgram) -> None:
    steps = [program.read("a.py"), program.edit("a.py", *F), program.edit("a.py", *G), commit(program), DONE]
    issue(project, model, "it-1", *steps)
    project.ok("run", env={"INTARSIA_RUN_ON_OVERLAP": "refuse"})
    assert project.show("a.py") + "\n" == CODE.replace(*G)
    assert HELD in told(model)


def test_it_is_told_in_the_same_turn(project: Sandbox, model: ModelServer, program: AgentProgram) -> None:
    issue(project, model, "it-1", program.read("a.py"), program.edit("a.py", *F), commit(program), DONE)
    project.ok("run")
    assert project.show("a.py") + "\n" == CODE.replace(*F)
    assert HELD in told(model)
    (event,) = project.events("changed_unheld")
    assert event["data"]["obstacles"][0]["holder"] == "ann"
