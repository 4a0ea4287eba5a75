"""Agents that come from npm: how each learns of the model server, and what its tools are called."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from intarsia.testing import Step, ToolCall
from tests.real_agents.programs import Codex, package

PLACES = [Path(".venv", "npm", kind, "node_modules", ".bin").resolve() for kind in ("programs", "adapters")]


class NpmAgent(Protocol):
    name: str
    model: str

    def configure(self, home: Path, url: str) -> Mapping[str, str]:
        """Write the settings of somebody who uses another server than the vendor's; what is in the environment too."""
        ...

    def create(self, path: Path, text: str) -> Step:
        """A new file, by its tool for files."""
        ...

    def shell(self, command: str) -> Step:
        """A command that has to write."""
        ...


def step(tool: str, **given: object) -> Step:
    return Step(tools=[ToolCall(tool, given)])


class Gemini:
    name = "gemini"
    model = "gemini-2.5-flash"

    def configure(self, home: Path, url: str) -> Mapping[str, str]:
        settings = {
            "security": {"auth": {"selectedType": "gemini-api-key"}},
            "privacy": {"usageStatisticsEnabled": False},
            "general": {"disableAutoUpdate": True},
        }
        path = home / ".gemini" / "settings.json"
        path.parent.mkdir()
        path.write_text(json.dumps(settings), encoding="utf-8")
        trusted = {"GEMINI_CLI_TRUST_WORKSPACE": "true"}
        return {"GEMINI_API_KEY": "dummy", "GOOGLE_GEMINI_BASE_URL": url, **trusted}

    def create(self, path: Path, text: str) -> Step:
        return step("write_file", file_path=str(path), content=text)

    def shell(self, command: str) -> Step:
        return step("run_shell_command", command=command, description="As scripted")


class Copilot:
    name = "copilot"
    model = ""

    def configure(self, home: Path, url: str) -> Mapping[str, str]:
        return {
            "COPILOT_OFFLINE": "true",
            "COPILOT_PROVIDER_BASE_URL": f"{url}/v1",
            "COPILOT_PROVIDER_API_KEY": "dummy",
            "COPILOT_MODEL": "scripted",
        }

    def create(self, path: Path, text: str) -> Step:
        return step("create", path=str(path), file_text=text)

    def shell(self, command: str) -> Step:
        return step("bash", command=command, description="As scripted", mode="sync")


class OpenCode:
    name = "opencode"
    model = "scripted/scripted"

    def configure(self, home: Path, url: str) -> Mapping[str, str]:
        provider = {
            "npm": "@ai-sdk/openai-compatible",
            "name": "Scripted",
            "options": {"baseURL": f"{url}/v1", "apiKey": "dummy"},
            "models": {"scripted": {"name": "Scripted"}},
        }
        path = home / ".config" / "opencode" / "opencode.json"
        path.parent.mkdir(parents=True)
        path.write_text(json.dumps({"provider": {"scripted": provider}}), encoding="utf-8")
        return {"OPENCODE_DISABLE_MODELS_FETCH": "1"}

    def create(self, path: Path, text: str) -> Step:
        return step("write", filePath=str(path), content=text)

    def shell(self, command: str) -> Step:
        return step("bash", command=command, description="As scripted")


class ClaudeAgentAcp:
    name = "claude-agent-acp"
    model = ""

    def configure(self, home: Path, url: str) -> Mapping[str, str]:
        program = package("claude_agent_sdk") / "_bundled" / "claude"
        return {
            "ANTHROPIC_API_KEY": "dummy",
            "ANTHROPIC_BASE_URL": url,
            "CLAUDE_CODE_EXECUTABLE": str(program),
            "DISABLE_AUTOUPDATER": "1",
        }

    def create(self, path: Path, text: str) -> Step:
        return step("Write", file_path=str(path), content=text)

    def shell(self, command: str) -> Step:
        return step("Bash", command=command, description="As scripted")


class CodexAcp:
    name = "codex-acp"
    model = ""

    def configure(self, home: Path, url: str) -> Mapping[str, str]:
        Codex().configure(home, url)
        return {"CODEX_API_KEY": "dummy", "CODEX_PATH": str(package("codex_cli_bin") / "bin" / "codex")}

    def create(self, path: Path, text: str) -> Step:
        return Codex().create(str(path), text)

    def shell(self, command: str) -> Step:
        return Codex().escalated(command)
