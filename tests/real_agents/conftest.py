from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from intarsia.testing import ModelServer
from tests.real_agents import loopback
from tests.real_agents.programs import AgentProgram, ClaudeCode, Codex, codex_can_sandbox
from tests.support.sandbox import Sandbox

PAGE = Path(__file__).parent.parent.parent / "docs" / "how-to" / "claude-and-codex.md"


@pytest.fixture(scope="session")
def is_offline() -> bool:
    """True where this machine lets us leave its network; every test is in there then."""
    return loopback.enter()


@pytest.fixture(scope="session")
def has_sandbox() -> bool:
    return codex_can_sandbox()


@pytest.fixture
def model(is_offline: bool) -> Iterator[ModelServer]:
    with ModelServer() as server:
        yield server


@pytest.fixture(params=[ClaudeCode, Codex], ids=lambda kind: kind.name)
def program(request: pytest.FixtureRequest, model: ModelServer, monkeypatch: pytest.MonkeyPatch) -> AgentProgram:
    """A program on the PATH, with a home where nobody ever was, that talks to the scripted model."""
    made: AgentProgram = request.param()
    made.configure(Path.home(), model.url)
    monkeypatch.setenv("PATH", f"{made.directory}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv(made.key, "dummy")
    for name in [name for name in os.environ if name.lower().endswith("_proxy")]:
        monkeypatch.delenv(name)
    return made


@pytest.fixture
def asking(program: AgentProgram, sandbox: Sandbox) -> Sandbox:
    """A repository whose agents are those of the documentation, letter by letter, run by their drivers."""
    return configured(sandbox, program, documented(0))


@pytest.fixture
def project(program: AgentProgram, sandbox: Sandbox, has_sandbox: bool) -> Sandbox:
    """The same, with the agents as plain commands."""
    tables = documented(1)
    return configured(
        sandbox, program, tables if has_sandbox else tables.replace("workspace-write", "danger-full-access")
    )


def documented(number: int) -> str:
    tables: list[str] = re.findall(r"^```toml\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    return tables[number]


def configured(sandbox: Sandbox, program: AgentProgram, tables: str) -> Sandbox:
    check = "[checks]\nanswer = 'test ! -e answer.txt || grep -qx 42 answer.txt'\n"
    sandbox.commit("intarsia.toml", tables + check, "Configure")
    sandbox.env |= {"INTARSIA_RUN_AGENT": program.name}
    return sandbox
