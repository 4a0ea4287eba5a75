"""No program that we start for an agent sees more of our environment than is allowed, whichever driver starts it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.sandbox import Sandbox, adds

OURS = {"DATABASE_PASSWORD": "leaked-1", "OTHER_API_KEY": "leaked-2", "PYTHONPATH_EXTRA": "leaked-3"}
NAMED = {"MY_KEY": "named-key"}


def dumping(tmp_path: Path) -> tuple[Path, Path]:
    """A program that writes down its environment and ends, and where it does so."""
    program, dump = tmp_path / "dump", tmp_path / "dump.txt"
    program.write_text(f'#!/bin/sh\necho "-- $*" >>{dump}\nenv >>{dump}\necho 1.0.0\n')
    program.chmod(0o755)
    return program, dump


@pytest.mark.parametrize(
    ("driver", "more"),
    [
        ("command", ""),
        ("claude", ""),
        ("codex", ""),
        ("acp", "agent = 'gemini'\n"),
    ],
)
def test_an_agent_program_sees_what_is_allowed_and_what_is_named(
    sandbox: Sandbox, tmp_path: Path, driver: str, more: str
) -> None:
    program, dump = dumping(tmp_path)
    table = f"[agents.a]\ndriver = '{driver}'\ncommand = '{program}'\nenv = ['MY_KEY']\n{more}"
    sandbox.commit("intarsia.toml", table, "Configure")
    sandbox.issue("it-1")
    sandbox.call("agent", "show", "a", env={**OURS, **NAMED})
    sandbox.call("run", env={**OURS, **NAMED, "INTARSIA_RUN_ATTEMPTS": "1"})
    seen = dump.read_text()
    assert "INTARSIA_SESSION=s-" in seen
    assert "MY_KEY=named-key" in seen
    assert "leaked" not in seen


def test_checks_setup_and_scripts_see_neither_ours_nor_the_keys_of_agents(sandbox: Sandbox, tmp_path: Path) -> None:
    dump = tmp_path / "dump.txt"
    settings = f"[workspace]\nsetup = 'env >>{dump}'\n[checks]\nseen = 'env >>{dump}'\n[run]\nenv = ['MY_KEY']\n"
    sandbox.commit("intarsia.toml", settings, "Configure")
    sandbox.issue("it-1")
    agent = sandbox.scenario({"it-1": [[{"shell": f"env >{tmp_path / 'agent.txt'}"}, *adds("a.txt", "a\n")[0]]]})
    sandbox.ok("run", "--agent", agent, env={**OURS, **NAMED})
    assert dump.read_text().count("INTARSIA_ROLE=") == 2
    assert "leaked" not in dump.read_text() + (tmp_path / "agent.txt").read_text()
    assert "named-key" not in dump.read_text()
    assert "named-key" in (tmp_path / "agent.txt").read_text()
