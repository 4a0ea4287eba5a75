"""`intarsia agent show` and `test`, with the real programs: what they promise is what a person sees."""

from __future__ import annotations

import json
import re

from intarsia.testing import ModelServer, Step
from tests.real_agents.programs import AgentProgram
from tests.support.sandbox import Sandbox

VERSION = re.compile(r"\d+\.\d+\.\d+")


def test_an_agent_passes_its_self_check(asking: Sandbox, model: ModelServer, program: AgentProgram) -> None:
    commit = "git add hello.txt && git commit --quiet -m 'Say hello'"
    model.add(
        {
            "edit": [program.create("hello.txt", "hello"), Step(text="Done.")],
            "refused-edit": [program.create("refused.txt", "no"), Step(text="It was refused.")],
            "refused-command": [program.escalated("touch refused.txt"), Step(text="It was refused.")],
            "commit": [program.escalated(commit), Step(text="Done.")],
            "resume": [Step(text="hello.txt")],
        }
    )
    found = json.loads(asking.ok("agent", "test", program.name, "--note", "[[script:{step}]] ", "--json"))
    assert [(finding["step"], finding["ok"]) for finding in found["findings"]] == [
        ("edit", True),
        ("refused edit", True),
        ("refused command", True),
        ("commit", True),
        ("resume", True),
    ]
    assert VERSION.fullmatch(found["version"])


def test_an_agent_that_does_nothing_fails_it(asking: Sandbox, model: ModelServer, program: AgentProgram) -> None:
    done = asking.call("agent", "test", program.name, "--note", "[[script:none]] ")
    assert done.returncode == 1
    assert "✗ edit: hello.txt is not there" in done.stdout
    assert "✗ refused edit: it did not try" in done.stdout


def test_an_agent_shows_what_it_can_do(asking: Sandbox, program: AgentProgram) -> None:
    shown = asking.json("agent", "show", program.name)["agent"]
    assert shown["driver"] == program.name
    assert VERSION.fullmatch(shown["version"])
    assert shown["capabilities"]["asks_edits"] is True
    findings = {f["what"]: f["detail"] for f in asking.json("doctor")["findings"]}
    assert findings[f"driver {program.name}"].startswith(f"{shown['version']}, asks before edits;")
