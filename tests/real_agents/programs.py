"""The real agent programs: where they are, how they learn of the model server, and what their tools are called."""

from __future__ import annotations

import json
import subprocess
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol
from urllib.request import Request, urlopen

from intarsia.agents import Driver
from intarsia.agents.claude import ClaudeDriver
from intarsia.agents.codex import CodexDriver
from intarsia.testing import ModelServer, Step, ToolCall
from tests.support.until import until

RETRIES = 2


class AgentProgram(Protocol):
    """`memory`: where in a home it keeps its conversations; `result`: what is in there of a tool's result."""

    name: str
    key: str
    memory: str
    result: str

    @property
    def directory(self) -> Path:
        """What has to be on the PATH."""
        ...

    def configure(self, home: Path, url: str) -> None:
        """Write the settings of somebody who uses another server than the vendor's."""
        ...

    def read(self, path: str) -> Step: ...

    def edit(self, path: str, old: str, new: str) -> Step:
        """Replace a line of a file that was read."""
        ...

    def create(self, path: str, text: str) -> Step:
        """A new file, by its tool for files."""
        ...

    def shell(self, command: str) -> Step: ...

    def escalated(self, command: str) -> Step:
        """A command that has to write, where that has to be said."""
        ...

    def call(self, tool: str, given: dict[str, Any]) -> ToolCall: ...

    def ours(self, tool: str, given: dict[str, Any]) -> Step:
        """A tool of intarsia's."""
        ...

    def with_missing_server(self) -> Driver:
        """Its driver, with a tool server `gone` that is not there."""
        ...


class ClaudeCode:
    name = "claude"
    key = "ANTHROPIC_API_KEY"
    memory = ".claude/projects/**/*.jsonl"
    result = '"tool_result"'

    @property
    def directory(self) -> Path:
        return package("claude_agent_sdk") / "_bundled"

    def configure(self, home: Path, url: str) -> None:
        settings = {"ANTHROPIC_BASE_URL": url, "CLAUDE_CODE_MAX_RETRIES": str(RETRIES), "DISABLE_AUTOUPDATER": "1"}
        path = home / ".claude" / "settings.json"
        path.parent.mkdir()
        path.write_text(json.dumps({"env": settings}), encoding="utf-8")

    def read(self, path: str) -> Step:
        return Step(tools=[ToolCall("Read", {"file_path": path})])

    def edit(self, path: str, old: str, new: str) -> Step:
        return Step(tools=[ToolCall("Edit", {"file_path": path, "old_string": old, "new_string": new})])

    def create(self, path: str, text: str) -> Step:
        return Step(tools=[ToolCall("Write", {"file_path": path, "content": text})])

    def shell(self, command: str) -> Step:
        return Step(tools=[ToolCall("Bash", {"command": command, "description": "As scripted"})])

    escalated = shell

    def call(self, tool: str, given: dict[str, Any]) -> ToolCall:
        return ToolCall(tool, given)

    def ours(self, tool: str, given: dict[str, Any]) -> Step:
        return Step(tools=[ToolCall(f"mcp__intarsia__{tool}", given)])

    def with_missing_server(self) -> Driver:
        servers = {"mcpServers": {"gone": {"command": "/no/such/server", "args": []}}}
        return ClaudeDriver(options=[f"--mcp-config={json.dumps(servers)}"])


class Codex:
    name = "codex"
    key = "CODEX_API_KEY"
    memory = ".codex/sessions/**/*.jsonl"
    result = '_call_output"'

    @property
    def directory(self) -> Path:
        return package("codex_cli_bin") / "bin"

    def configure(self, home: Path, url: str) -> None:
        path = home / ".codex" / "config.toml"
        path.parent.mkdir()
        # gpt-5.5 is the model for which this version declares the tools used here.
        path.write_text(
            f"""
            model = "gpt-5.5"
            model_provider = "scripted"
            check_for_update_on_startup = false
            [features]
            plugins = false  # looks for a marketplace on the internet, and waits 5 s for a name server at its end
            [analytics]
            enabled = false
            [model_providers.scripted]
            name = "scripted"
            base_url = "{url}/v1"
            wire_api = "responses"
            env_key = "{self.key}"
            request_max_retries = {RETRIES}
            stream_max_retries = 1
            """,
            encoding="utf-8",
        )

    def read(self, path: str) -> Step:
        return self.shell(f"cat {path}")

    def edit(self, path: str, old: str, new: str) -> Step:
        return self._patch(f"*** Update File: {path}\n@@\n-{old}\n+{new}")

    def create(self, path: str, text: str) -> Step:
        return self._patch(f"*** Add File: {path}\n+{text}")

    @staticmethod
    def _patch(patch: str) -> Step:
        return Step(tools=[ToolCall("apply_patch", f"*** Begin Patch\n{patch}\n*** End Patch")])

    def shell(self, command: str) -> Step:
        return Step(tools=[ToolCall("exec_command", {"cmd": command})])

    def escalated(self, command: str) -> Step:
        more = {"sandbox_permissions": "require_escalated", "justification": "It has to write."}
        return Step(tools=[ToolCall("exec_command", {"cmd": command, **more})])

    def call(self, tool: str, given: dict[str, Any]) -> ToolCall:
        return ToolCall(tool, given)

    def ours(self, tool: str, given: dict[str, Any]) -> Step:
        return Step(tools=[ToolCall(tool, given)])

    def with_missing_server(self) -> Driver:
        return CodexDriver(options=["-c", 'mcp_servers.gone.command="/no/such/server"'])


def wait_for_result(program: AgentProgram, model: ModelServer, script: str) -> None:
    """Until it asks what comes after its first step, and has written down what came of that: a moment later."""
    model.wait_for(script, 1, 120)
    until(lambda: any(program.result in path.read_text() for path in Path.home().glob(program.memory)))


def ask_for(model: ModelServer, script: str) -> None:
    """For answers that await this."""
    message = {"role": "user", "content": f"[[script:{script}]]"}
    body = {"model": "any", "max_tokens": 1, "tools": [{"name": "any"}], "messages": [message]}
    headers = {"Content-Type": "application/json"}
    urlopen(Request(f"{model.url}/v1/messages", json.dumps(body).encode(), headers)).close()


def package(name: str) -> Path:
    spec = find_spec(name)
    assert spec is not None, f"{name} is not installed: make test-agents"
    assert spec.submodule_search_locations is not None
    return Path(spec.submodule_search_locations[0])


def codex_can_sandbox() -> bool:
    """Whether this machine lets a user make the namespaces that the sandbox of Codex is made of."""
    bwrap = package("codex_cli_bin") / "codex-resources" / "bwrap"
    argv = [str(bwrap), "--unshare-user", "--unshare-pid", "--unshare-net", "--ro-bind", "/", "/", "--proc", "/proc"]
    return subprocess.run([*argv, "true"], capture_output=True, check=False).returncode == 0
