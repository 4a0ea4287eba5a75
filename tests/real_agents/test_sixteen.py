"""Eight real Claude Code and eight real Codex at once in one repository: two runs share its issues and its branch."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from intarsia.agents.supervision import marked
from intarsia.testing import ModelServer, Step
from tests.real_agents.conftest import documented
from tests.real_agents.programs import ClaudeCode, Codex
from tests.support.sandbox import Sandbox

PROGRAMS = (ClaudeCode(), Codex())
EACH = 8
QUEUES = """
[queues.claude]
handler = "claude"

[queues.codex]
handler = "codex"
"""


@pytest.fixture
def programs(model: ModelServer, monkeypatch: pytest.MonkeyPatch) -> None:
    for program in PROGRAMS:
        program.configure(Path.home(), model.url)
        monkeypatch.setenv("PATH", f"{program.directory}{os.pathsep}{os.environ['PATH']}")
        monkeypatch.setenv(program.key, "dummy")
    for name in [name for name in os.environ if name.lower().endswith("_proxy")]:
        monkeypatch.delenv(name)


@pytest.fixture
def project(programs: None, sandbox: Sandbox) -> Sandbox:
    sandbox.commit("intarsia.toml", documented(0) + QUEUES, "Configure")
    return sandbox


def test_eight_of_each_work_at_the_same_time_and_all_land(project: Sandbox, model: ModelServer) -> None:
    ids = {program.name: [f"{program.name}-{number}" for number in range(EACH)] for program in PROGRAMS}
    every = [id for each in ids.values() for id in each]
    for program in PROGRAMS:
        for id in ids[program.name]:
            work = program.create(f"{id}.txt", id)
            commit = program.escalated(f"git add --all && git commit --quiet -m {id}")
            # Nobody is answered before all sixteen have asked.
            model.add({id: [Step(tools=work.tools, awaits=every), commit, Step(text="I am done.")]})
            project.ok("issue", "new", program.name, f"Do {id}", "--id", id, "--body", f"[[script:{id}]]")
    runs = [
        project.start("run", "--agents", str(EACH), env={"INTARSIA_RUN_AGENT": program.name}) for program in PROGRAMS
    ]
    for run in runs:
        said, _ = run.communicate(timeout=500)
        assert run.returncode == 0, said
    assert project.files() >= {f"{id}.txt" for id in every}
    assert {(found["issue"], found["agent"], found["stage"]) for found in project.sessions()} == {
        (id, name, "done") for name, each in ids.items() for id in each
    }
    assert {found["usage"]["input"] for found in project.sessions()} == {3000}
    assert [marked(found["id"]) for found in project.sessions()] == [[]] * len(every)
