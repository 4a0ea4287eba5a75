"""Which drivers there are. Adding one is a class in a file of its own, and a line here."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from intarsia.agents import Driver
from intarsia.agents.confinement import Confinement
from intarsia.config import Agent
from intarsia.errors import ConfigError


def make(agent: Agent, root: Path) -> Driver:
    """The driver of an agent of the project at `root`. Raises ConfigError; whether it can run, its `check` says."""
    if not agent.driver:
        raise ConfigError(
            "This agent has no driver: intarsia does not run it.", hint="Set its driver in intarsia.toml."
        )
    if agent.driver != "command" and agent.confine not in ("", "off"):
        raise ConfigError(
            f"An agent of the driver {agent.driver} can't be confined: only those of 'command' can.",
            hint="Leave its confine out, or run the program by the driver 'command'.",
        )
    return MAKERS[agent.driver](agent, root)


def confinement(agent: Agent) -> Confinement:
    return Confinement(agent.confine or "off", agent.network, tuple(agent.writable))


def programs() -> dict[str, Driver]:
    """The drivers of certain programs, as they are without settings."""
    from intarsia.agents.acp_agents import AGENTS

    own = [Agent(driver=name) for name in MAKERS if name not in ("acp", "command", "script")]
    others = {f"acp {name}": make(Agent(driver="acp", agent=name), Path()) for name in AGENTS}
    return {agent.driver: make(agent, Path()) for agent in own} | others


def _command(agent: Agent, root: Path) -> Driver:
    from intarsia.agents.command import CommandDriver

    return CommandDriver(agent.command, agent.followup, confinement(agent))


def _script(agent: Agent, root: Path) -> Driver:
    from intarsia.agents.script import ScriptDriver

    return ScriptDriver(root / Path(agent.scenario).expanduser())


def _acp(agent: Agent, root: Path) -> Driver:
    from intarsia.agents.acp import AcpDriver

    return AcpDriver(agent.agent, agent.command, agent.model, agent.options)


def _amp(agent: Agent, root: Path) -> Driver:
    from intarsia.agents.amp import AmpDriver

    return AmpDriver(agent.mode, agent.options, agent.command)


def _api(agent: Agent, root: Path) -> Driver:
    from intarsia.agents.api import ApiDriver

    return ApiDriver(agent.model, agent.options)


def _claude(agent: Agent, root: Path) -> Driver:
    from intarsia.agents.claude import ClaudeDriver

    return ClaudeDriver(agent.model, agent.options, agent.command)


def _codex(agent: Agent, root: Path) -> Driver:
    from intarsia.agents.codex import CodexDriver
    from intarsia.agents.codex_exec import CodexExecDriver

    if agent.mode not in ("", "exec"):
        raise ConfigError(f"Codex has no mode {agent.mode!r}.", hint="It has one besides the usual: exec.")
    driver = CodexExecDriver if agent.mode else CodexDriver
    return driver(agent.model, agent.options, agent.command)


MAKERS: dict[str, Callable[[Agent, Path], Driver]] = {
    "acp": _acp,
    "amp": _amp,
    "api": _api,
    "claude": _claude,
    "codex": _codex,
    "command": _command,
    "script": _script,
}
