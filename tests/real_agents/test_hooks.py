"""A person's own Claude Code and Codex, with our hooks installed as docs/how-to/gateway.md says, beside others."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from intarsia.testing import ModelServer, Step
from tests.real_agents.programs import AgentProgram, ClaudeCode
from tests.support.sandbox import Sandbox

PAGE = Path(__file__).parent.parent.parent / "docs" / "how-to" / "gateway.md"
CODE = "def held():\n    return 1\n\n\ndef free():\n    return 2\n"


class Own:
    """The program as its person starts it, as the member alice; bob holds a symbol."""

    def __init__(self, project: Sandbox, program: AgentProgram, model: ModelServer) -> None:
        self.project, self.program, self.model = project, program, model
        project.commit("a.py", CODE, "Code")
        for name in ("alice", "bob"):
            project.ok("agent", "join", name)
        project.ok("lock", "acquire", "code:a.py#held", env={"INTARSIA_AGENT": "bob"})

    def install(self, hooks: str) -> None:
        """These hooks, in the file that the page names."""
        if isinstance(self.program, ClaudeCode):
            path = Path.home() / ".claude" / "settings.json"
            path.write_text(json.dumps({**json.loads(path.read_text()), **json.loads(hooks)}))
        else:
            (Path.home() / ".codex" / "hooks.json").write_text(hooks)

    def work(self, *steps: Step, mode: str = "acceptEdits") -> str:
        """Let it do these steps; what its tools answered."""
        script = f"own-{len(self.model.requests)}"
        self.model.add({script: [*steps, Step(text="I am done.")]})
        prompt = f"[[script:{script}]]"
        if isinstance(self.program, ClaudeCode):
            argv = ["claude", "--print", prompt, "--permission-mode", mode]
        else:
            argv = ["codex", "exec", "--dangerously-bypass-hook-trust", "--sandbox", "danger-full-access", prompt]
        done = subprocess.run(
            argv, cwd=self.project.root, env={**self.project.env, "INTARSIA_AGENT": "alice"},
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=300, check=False,
        )  # fmt: skip
        said = [json.dumps(request.said) for request in self.model.requests if request.script == script]
        return "\n".join([*said, done.stdout, done.stderr])

    @property
    def text(self) -> str:
        return (self.project.root / "a.py").read_text()


def documented(program: str) -> str:
    """The hooks that the page shows, for one of the two."""
    blocks = re.findall(r"^```json\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    found: str = next(block for block in blocks if "intarsia hook" in block)
    return found.replace("intarsia hook claude", f"intarsia hook {program}")


@pytest.fixture
def own(program: AgentProgram, sandbox: Sandbox, model: ModelServer) -> Own:
    sandbox.env["PATH"] += os.pathsep + str(Path(sys.executable).parent)  # where `intarsia` is
    return Own(sandbox, program, model)


def edits(own: Own) -> list[Step]:
    path = "a.py" if own.program.name == "codex" else str(own.project.root / "a.py")
    return [own.program.read(path), own.program.edit(path, "    return 1", "    return 10")]


def test_it_is_kept_from_a_symbol_that_another_holds(own: Own) -> None:
    own.install(documented(own.program.name))
    said = own.work(*edits(own))
    assert own.text == CODE, said
    assert "bob" in said and "holds code:a.py#held" in said
    path = "a.py" if own.program.name == "codex" else str(own.project.root / "a.py")
    said = own.work(own.program.read(path), own.program.edit(path, "    return 2", "    return 20"))
    assert own.text == CODE.replace("return 2", "return 20"), said
    other = str(own.project.root / "b.py") if own.program.name == "claude" else "b.py"
    own.work(own.program.create(other, "x = 1"))
    assert (own.project.root / "b.py").read_text().strip() == "x = 1"
    assert [one["resource"] for one in own.project.json("lock", "list")["leases"]] == ["code:a.py#held"]


def test_without_a_hook_that_answers(own: Own) -> None:
    """What each vendor makes of it: see the page. Only Claude Code has a mode in which nothing is written then."""
    dead = re.sub(r'"intarsia hook \w+"', '"/no/such/program"', documented(own.program.name))
    own.install(dead)
    if isinstance(own.program, ClaudeCode):
        own.work(*edits(own), mode="dontAsk")
        assert own.text == CODE
    own.work(*edits(own))
    assert own.text == CODE.replace("return 1", "return 10")


@pytest.mark.parametrize("program", [ClaudeCode], indirect=True)
def test_where_only_hooks_allow_our_hook_does(own: Own) -> None:
    own.install(documented("claude"))
    path = str(own.project.root / "a.py")
    free = own.program.edit(path, "    return 2", "    return 20")
    said = own.work(*edits(own), free, own.program.shell("git push --force"), mode="dontAsk")
    assert own.text == CODE.replace("return 2", "return 20"), said
